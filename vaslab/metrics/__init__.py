"""Capture -> labelled arrays: VAS and its forms, the masses behind it, shares per layer. Needs no torch."""

from vaslab.metrics.masses import masses
from vaslab.metrics.patches import patch_maps
from vaslab.metrics.selection import no_vas_reason, one_query_set
from vaslab.metrics.shares import shares
from vaslab.metrics.vas import vas, vas_masses, vas_per_head, vas_per_item

__all__ = [
    "masses",
    "no_vas_reason",
    "one_query_set",
    "patch_maps",
    "shares",
    "vas",
    "vas_masses",
    "vas_per_head",
    "vas_per_item",
]
