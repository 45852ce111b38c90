"""The role of a token position: which part of the conversation it belongs to."""

from enum import IntEnum


class Role(IntEnum):
    """Roles partition a sequence: every position has exactly one.

    The system message's own markers are system; every other template or vision marker is marker.
    `system_sink` is the first real position when it lies in the system message (the usual attention sink).
    """

    system_sink = 0
    system = 1
    user = 2
    image = 3
    video = 4
    marker = 5
    history = 6
    response = 7
    padding = 8


KEY_ROLES: tuple[Role, ...] = tuple(role for role in Role if role is not Role.padding)
"""Roles a key can have; they are the key groups of a capture, in order. Padding is group -1."""

SYSTEM_ROLES: tuple[Role, ...] = (Role.system_sink, Role.system)
"""S of the paper: every token that the template renders for the system message."""

MASS_FLOOR = 1e-6
"""Floor of the attention mass on S in VAS: the denominator is max(S mass, MASS_FLOOR)."""

QUERY_ROLES: tuple[str, ...] = ("user", "user_after_image", "response")
"""Sets of queries a capture can measure.

`user_after_image` leaves out text that stands before the item's last image token.
"""
