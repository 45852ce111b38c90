"""Attention mass per group of keys, edits of attention, and their seam into transformers."""

from vaslab.attention.mass import group_mass, require_mass
from vaslab.attention.request import Edit, Request
from vaslab.attention.seam import (
    ATTENTION_NAME,
    attached,
    register,
    requesting,
    text_decoder,
    vaslab_attention,
)

__all__ = [
    "ATTENTION_NAME",
    "Edit",
    "Request",
    "attached",
    "group_mass",
    "register",
    "requesting",
    "require_mass",
    "text_decoder",
    "vaslab_attention",
]
