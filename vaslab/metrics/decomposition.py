"""Why VAS changed: a rise of visual attention, a fall of system attention, or neither."""

import numpy as np
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics.arrays import EVERYTHING, mean_over
from vaslab.metrics.definition import PAPER, Definition
from vaslab.metrics.floor import divisor
from vaslab.metrics.selection import check_dims
from vaslab.metrics.vas import vas_masses, vas_of

FORMS = ("ratio_of_means", "mean_log_ratio", "mean_of_ratios")


def decomposition(
    first: xr.Dataset,
    second: xr.Dataset,
    queries: str = PAPER.queries,
    form: str = "ratio_of_means",
    sink: str = PAPER.sink,
    over: tuple[str, ...] = ("item",),
) -> xr.Dataset:
    """Split log2(VAS of `second` / VAS of `first`) into the part of each mass.

        total = visual + system + spread

    With V and S the mean masses, visual = log2(V2 / V1) and system = -log2(S2 / S1): a fall of system attention is
    positive. For "ratio_of_means" (VAS = V / S) and "mean_log_ratio" (VAS = 2 to the mean of log2 v/s over items, and
    over the other axes in `over`) that is exact and spread is 0. The paper's "mean_of_ratios" also changes when the
    ratios spread more over queries, items and heads while the mean masses stay; `spread` is that part.
    S is not below the floor of VAS: the mean is held to it once, as in `vas` ("mean_log_ratio": each mass is). So
    total is log2 of VAS of `second` over VAS of `first`, of what both have, for both forms that `vas` knows.

    Args:
        first, second: Captures of the same items and heads.
        queries, sink: as `vas`.
        form: one of FORMS.
        over: averaged over before the logarithm ("mean_log_ratio": after it); () splits every item, layer and head.

    Returns:
        Dataset of total, visual, system, spread in log2 units (1 = a doubling), dims (item, layer, head) less `over`.
        NaN where a VAS is undefined on either side, or a mass is 0. Attributes: form, and n_items used.

    Raises:
        UsageError: captures of other items, layers or heads, an unknown form, query set or sink.
    """
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r}; expected one of {', '.join(FORMS)}")
    over = check_dims(tuple(over), EVERYTHING)
    for dim in ("item", "layer", "head"):
        if list(first[dim].values) != list(second[dim].values):
            raise UsageError(
                f"the captures differ in {dim}s; measure both on the same items with models of one architecture"
            )
    asked = Definition(queries, sink=sink)
    parts = [vas_masses(capture, asked) for capture in (first, second)]
    both = parts[0]["image"].notnull() & parts[1]["image"].notnull()

    # the floor stays one value an item where an item is in at all
    parts = [part[["image", "system"]].where(both).assign(floor=part["floor"]) for part in parts]
    if form == "mean_log_ratio":
        image = [mean_over(_log2(part["image"]), over) for part in parts]
        system = [mean_over(_log2(divisor(part)), over) for part in parts]
    else:
        image = [_log2(mean_over(part["image"], over)) for part in parts]
        system = [_log2(divisor(part, over)) for part in parts]
    visual, fall = image[1] - image[0], -(system[1] - system[0])
    total = visual + fall
    if form == "mean_of_ratios":
        ratios = [vas_of(capture, asked, over=()).where(both) for capture in (first, second)]
        logs = [_log2(mean_over(each, over)) for each in ratios]
        total = logs[1] - logs[0]
    out = xr.Dataset({"total": total, "visual": visual, "system": fall, "spread": total - visual - fall})
    if form != "mean_of_ratios":
        out["spread"] = xr.zeros_like(total).where(total.notnull())
    out.attrs = {
        "form": form,
        "units": "log2 of the ratio second / first",
        "queries": queries,
        "sink": sink,
        "n_items": int(both.any(("layer", "head")).sum()),
    }
    return out


def _log2(values: xr.DataArray) -> xr.DataArray:
    """log2, NaN at 0."""
    above = values.where(values > 0)
    return above.copy(data=np.log2(above.values))
