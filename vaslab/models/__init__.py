"""Loaded models and the family table. Names are loaded on first use: where a model is can be told without torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaslab.models.families import FAMILIES, Family, family_of
    from vaslab.models.load import load_model
    from vaslab.models.located import organisms
    from vaslab.models.vlm import Vlm

_PUBLIC = {
    "FAMILIES": "vaslab.models.families",
    "Family": "vaslab.models.families",
    "Vlm": "vaslab.models.vlm",
    "family_of": "vaslab.models.families",
    "load_model": "vaslab.models.load",
    "organisms": "vaslab.models.located",
}

__all__ = ["FAMILIES", "Family", "Vlm", "family_of", "load_model", "organisms"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'vaslab.models' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
