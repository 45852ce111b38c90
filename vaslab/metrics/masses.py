"""The attention masses behind a VAS, apart: did visual attention rise, or system attention fall?"""

import xarray as xr

from vaslab.metrics.selection import QUERY_WORDS, check_dims, one_query_set, system_roles
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
    mass = part["mass"].where(counted)
    for dims in (tuple(d for d in over if d != "item"), tuple(d for d in over if d == "item")):
        if dims:
            mass = mass.mean(dims, skipna=True, dtype="float64")
    # skipna=False keeps an item without queries NaN: xarray sums nothing to zero
    summed = [mass.sel(key_role=names).sum("key_role", skipna=False) for names in members.values()]
    out = xr.concat(summed, dim=xr.Variable("role", list(members)), coords="minimal", compat="override")
    out = out.transpose(..., "role").rename("share")
    out.attrs = {
        "long_name": "share of attention",
        "units": "1",
        "numerator": "attention mass on the role's keys",
        "denominator": "all attention of the query (1)",
        "queries": queries,
        "query_words": QUERY_WORDS.get(queries, queries),
        "averaged": ", ".join(("mean over queries", *(f"then {name}s" for name in over))),
        "system": " + ".join(system_roles(sink)),
        "n_items": int(((part["n_queries"] > 0) & counted).sum()),
    }
    return out


def _pictured(part: xr.Dataset) -> xr.DataArray:
    """Which items have a picture; all of them where none has."""
    found = part["n_keys"].sel(key_role=Role.image.name, drop=True) > 0
    return found if found.any() else xr.ones_like(found)
