"""Two runs side by side: the same items, under the same names, before any difference is taken."""

import numpy as np
import xarray as xr

from vaslab.errors import UsageError


def aligned(a: xr.DataArray, b: xr.DataArray, dim: str = "item") -> tuple[xr.DataArray, xr.DataArray]:
    """`a` and `b` with the entries of `dim` in the order of `a`; every other axis must be equal already.

    Raises:
        UsageError: `dim` has no names or a name twice, the names differ, or another axis differs. The message
            names the first that differ.
    """
    for side, values in (("first", a), ("second", b)):
        if dim not in values.dims or dim not in values.coords:
            raise UsageError(
                f"the {side} run has no named {dim} axis (its axes: {', '.join(map(str, values.dims))})"
            )
        ids = values[dim].values
        if len(np.unique(ids)) != len(ids):
            names, counts = np.unique(ids, return_counts=True)
            raise UsageError(
                f"the {side} run has {dim} {names[counts > 1][0]!s} more than once; give each one id"
            )
    if set(a.dims) != set(b.dims):
        raise UsageError(f"the runs do not align: axes {tuple(a.dims)} and {tuple(b.dims)}")
    for name in (str(d) for d in a.dims if d != dim):
        left, right = a[name].values, b[name].values
        if left.shape != right.shape or not (left == right).all():
            raise UsageError(
                f"the runs do not align on {name}: {len(left)} and {len(right)} entries, or other names; "
                "compare models of one architecture, measured with the same options"
            )
    left, right = a[dim].values, b[dim].values
    only_a = left[~np.isin(left, right)]
    only_b = right[~np.isin(right, left)]
    if len(only_a) or len(only_b):
        first = f"{only_a[0]} only in the first" if len(only_a) else f"{only_b[0]} only in the second"
        raise UsageError(
            f"the runs do not align: {len(only_a)} {dim}s are only in the first run and {len(only_b)} only "
            f"in the second (e.g. {first}); measure both on the same data and limit, or keep the common {dim}s"
        )
    if not (left == right).all():
        b = b.sel({dim: left})
    return a, b.transpose(*a.dims)
