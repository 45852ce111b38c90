"""Reading a capture: one query set out of it, and why an item has no VAS."""

import numpy as np
import xarray as xr

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
    n_system = part["n_keys"].sel(key_role=system_roles(sink)).sum("key_role")
    n_image = part["n_keys"].sel(key_role=Role.image.name)
    reason = np.full(part.sizes["item"], "", dtype=object)
    ratio = part["vas" if sink == "include" else "vas_no_sink"]
    lost = ~np.isfinite(ratio.transpose("item", ...).values).reshape(part.sizes["item"], -1).any(1)
    reason[lost] = "not a number in the capture"
    reason[(n_image == 0).values] = "no image"
    if sink == "include":
        reason[(n_system == 0).values] = "no system token"
    else:
        reason[(n_system == 0).values] = "no system token besides the sink"
    reason[(part["n_queries"] == 0).values] = "no query token"
    return xr.DataArray(reason, dims="item", coords={"item": part["item"]}, name="reason")


def check_dims(over: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """`over` in the order of `allowed`.

    Raises:
        UsageError: a name in `over` is not in `allowed`, or stands there twice.
    """
    wrong = [name for name in over if name not in allowed]
    if wrong or len(set(over)) != len(over):
        raise UsageError(f"over={tuple(over)!r}; expected each at most once of {', '.join(allowed)}")
    return tuple(name for name in allowed if name in over)
