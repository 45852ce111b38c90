"""Reading a capture: one query set out of it, and why an item has no VAS."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.errors import UsageError
from vaslab.prompts.roles import KEY_ROLES, SYSTEM_ROLES, Role

NEEDED = ("mass", "vas", "vas_no_sink", "clamped", "n_queries", "n_keys", "before_image")

QUERY_WORDS = {
    "user": "user text",
    "user_after_image": "user text after the last image",
    "response": "response tokens",
}
"""How figures and tables name a query set."""


def one_query_set(capture: xr.Dataset, queries: str) -> xr.Dataset:
    """The part of `capture` measured from the query set `queries`; the dim `query_role` is gone.

    Raises:
        UsageError: `capture` lacks a variable of the contract, or holds no such query set.
    """
    missing = [name for name in NEEDED if name not in capture]
    if missing:
        raise UsageError(
            f"not a capture: it lacks {', '.join(missing)}; expected the dataset that vaslab.capture or "
            "vaslab.load_capture returns"
        )
    held = [str(role) for role in capture["query_role"].values]
    if queries not in held:
        raise UsageError(
            f"unknown query role {queries!r}: this capture holds {', '.join(held)}; name one of them, or "
            f"capture again with queries=({queries!r},)"
        )
    keys = [str(role) for role in capture["key_role"].values]
    absent = [role.name for role in KEY_ROLES if role.name not in keys]
    if absent:
        raise UsageError(f"not a capture: key_role lacks {', '.join(absent)}; it holds {', '.join(keys)}")
    return capture.sel(query_role=queries, drop=True)


def system_roles(sink: str) -> list[str]:
    """Names of the key roles in S: with the sink (the paper) or without.

    Raises:
        UsageError: `sink` is neither "include" nor "exclude".
    """
    if sink not in ("include", "exclude"):
        raise UsageError(f"sink is {sink!r}; expected 'include' (the paper) or 'exclude'")
    return [role.name for role in SYSTEM_ROLES if sink == "include" or role is not Role.system_sink]


def no_vas_reason(part: xr.Dataset, sink: str = "include") -> xr.DataArray:
    """Why each item of `part` (see `one_query_set`) has no VAS: one reason per item, "" where it has one.

    Returns:
        str, dims (item).
    """
    return xr.DataArray(reasons(part, sink), dims="item", coords={"item": part["item"]}, name="reason")


def reasons(part: xr.Dataset, sink: str = "include") -> NDArray[np.object_]:
    """The values of `no_vas_reason`: (item,)."""
    n_image, n_system = key_counts(part, [Role.image.name]), key_counts(part, system_roles(sink))
    ratio = part["vas" if sink == "include" else "vas_no_sink"].transpose("item", ...).values
    reason = np.full(part.sizes["item"], "", dtype=object)
    reason[~np.isfinite(ratio).reshape(len(reason), -1).any(1)] = "not a number in the capture"
    reason[n_image == 0] = "no image"
    reason[n_system == 0] = "no system token" if sink == "include" else "no system token besides the sink"
    reason[part["n_queries"].values == 0] = "no query token"
    return reason


def key_counts(part: xr.Dataset, roles: Sequence[str]) -> NDArray[np.float64]:
    """How many keys of `roles` each item has: (item,)."""
    counts = part["n_keys"].transpose("item", "key_role").values
    return counts[:, key_places(part, roles)].sum(1).astype(np.float64)


def key_places(part: xr.Dataset, roles: Sequence[str]) -> list[int]:
    """Where the key roles stand on the axis `key_role`."""
    held = [str(role) for role in part["key_role"].values]
    return [held.index(name) for name in roles]


def check_dims(over: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """`over` in the order of `allowed`.

    Raises:
        UsageError: a name in `over` is not in `allowed`, or stands there twice.
    """
    wrong = [name for name in over if name not in allowed]
    if wrong or len(set(over)) != len(over):
        raise UsageError(f"over={tuple(over)!r}; expected each at most once of {', '.join(allowed)}")
    return tuple(name for name in allowed if name in over)
