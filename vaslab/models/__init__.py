"""Loaded models and the family table."""

from vaslab.models.families import FAMILIES, Family, family_of
from vaslab.models.load import load_model, organisms
from vaslab.models.vlm import Vlm

__all__ = ["FAMILIES", "Family", "Vlm", "family_of", "load_model", "organisms"]
