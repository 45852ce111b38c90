"""Training-free interventions: named ways to move attention, and whom they touch."""

from vaslab.interventions.edited import EditedModel
from vaslab.interventions.intervene import intervene
from vaslab.interventions.intervention import Intervention
from vaslab.interventions.means import head_means
from vaslab.interventions.registry import INTERVENTIONS, defaults, make_intervention
from vaslab.interventions.target import Region, heads_of_role, top_heads

__all__ = [
    "INTERVENTIONS",
    "EditedModel",
    "Intervention",
    "Region",
    "defaults",
    "head_means",
    "heads_of_role",
    "intervene",
    "make_intervention",
    "top_heads",
]
