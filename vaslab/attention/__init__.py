"""Attention mass per group of keys, edits of attention, and their seam into transformers."""

from vaslab.attention.mass import group_mass, require_mass
from vaslab.attention.request import CustomEdit, Edit, Request, fits
from vaslab.attention.seam import (
    ATTENTION_NAME,
    attached,
    carrying_nothing,
    editing,
    n_carrying,
    register,
    requesting,
    text_decoder,
    vaslab_attention,
)
from vaslab.attention.steps import AnyEdit

__all__ = [
    "ATTENTION_NAME",
    "AnyEdit",
    "CustomEdit",
    "Edit",
    "Request",
    "attached",
    "carrying_nothing",
    "editing",
    "fits",
    "group_mass",
    "n_carrying",
    "register",
    "requesting",
    "require_mass",
    "text_decoder",
    "vaslab_attention",
]
