"""The attention masses behind a VAS, apart: did visual attention rise, or system attention fall?"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaslab.metrics.arrays import DIMS, mean_there, named
from vaslab.metrics.selection import (
    QUERY_WORDS,
    check_dims,
    key_counts,
    key_places,
    one_query_set,
    system_roles,
)
from vaslab.prompts.roles import Role

ORDER = (
    Role.image,
    Role.video,
    Role.system_sink,
    Role.system,
    Role.user,
    Role.marker,
    Role.history,
    Role.response,
)


def masses(
    capture: xr.Dataset,
    queries: str = "user",
    sink: str = "include",
    over: tuple[str, ...] = (),
) -> xr.DataArray:
    """Attention mass on each role of keys, in parts of one; the roles sum to 1.

    Items without a picture are left out, as they are of VAS: they would count as pictures that get no attention. Where
    no item has one, all are kept.

    Args:
        capture: a Capture.
        queries: the query set; the mass is the mean over its queries within an item.
        sink: "include": role `system` is S of the paper (system_sink + system). "exclude": the two apart.
        over: which of ("layer", "head", "item") to average over; items without a query are left out.

    Returns:
        float, dims (item, layer, head, role) less those in `over`. NaN where an item has no such query, or is left
        out. Attributes say what was divided and averaged, and over how many items.

    Raises:
        UsageError: unknown query role, sink or dim.
    """
    part = one_query_set(capture, queries)
    over = check_dims(tuple(over), ("layer", "head", "item"))
    members = {role.name: [role.name] for role in ORDER}
    members[Role.system.name] = system_roles(sink)
    if sink == "include":
        del members[Role.system_sink.name]
    counted = _pictured(part)
    mass = part["mass"].transpose(*DIMS, "key_role").values
    mass = mean_there(np.where(counted[:, None, None, None], mass, np.array(np.nan, mass.dtype)), over)
    # a sum without skipping keeps an item without queries NaN
    summed = np.stack([mass[..., key_places(part, names)].sum(-1) for names in members.values()], axis=-1)
    like = part["vas"].expand_dims(role=list(members))
    out = named(summed, like, [*(name for name in DIMS if name not in over), "role"]).rename("share")
    out.attrs = {
        "long_name": "share of attention",
        "units": "1",
        "numerator": "attention mass on the role's keys",
        "denominator": "all attention of the query (1)",
        "queries": queries,
        "query_words": QUERY_WORDS.get(queries, queries),
        "averaged": ", ".join(("mean over queries", *(f"then {name}s" for name in over))),
        "system": " + ".join(system_roles(sink)),
        "n_items": int(((part["n_queries"].values > 0) & counted).sum()),
    }
    return out


def _pictured(part: xr.Dataset) -> NDArray[np.bool_]:
    """Which items have a picture; all of them where none has."""
    found = key_counts(part, [Role.image.name]) > 0
    return found if found.any() else np.ones_like(found)
