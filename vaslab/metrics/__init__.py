"""Capture -> labelled arrays: VAS, its forms and what changed it, masses and shares, answers, heads. Needs no torch."""

from vaslab.metrics.against import masses_against, visual_against
from vaslab.metrics.answers import (
    along_answer,
    along_parts,
    answer_parts,
    answer_rows,
    forgetting,
    part_means,
)
from vaslab.metrics.decomposition import decomposition
from vaslab.metrics.definition import PAPER, Definition
from vaslab.metrics.floor import divisor, divisor_per_item, floored
from vaslab.metrics.head_roles import head_shares, localisation, pointing, spatial_entropy
from vaslab.metrics.location_prior import exchanged_hits, location_prior
from vaslab.metrics.masses import masses
from vaslab.metrics.patches import patch_maps
from vaslab.metrics.selection import no_vas_reason, one_query_set
from vaslab.metrics.shares import shares
from vaslab.metrics.specifications import Specification, specifications, vas_as, vas_under
from vaslab.metrics.vas import vas, vas_masses, vas_of, vas_per_head, vas_per_item

__all__ = [
    "PAPER",
    "Definition",
    "Specification",
    "along_answer",
    "along_parts",
    "answer_parts",
    "answer_rows",
    "decomposition",
    "divisor",
    "divisor_per_item",
    "exchanged_hits",
    "floored",
    "forgetting",
    "head_shares",
    "localisation",
    "location_prior",
    "masses",
    "masses_against",
    "no_vas_reason",
    "one_query_set",
    "part_means",
    "patch_maps",
    "pointing",
    "shares",
    "spatial_entropy",
    "specifications",
    "vas",
    "vas_as",
    "vas_masses",
    "vas_of",
    "vas_per_head",
    "vas_per_item",
    "vas_under",
    "visual_against",
]
