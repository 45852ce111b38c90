"""Changes between two runs of the same items, each with its interval and p, as columns of a sweep's table.

Where no item differs from the others a bootstrap has no width. For shares it then gives way to the exact bound of
Clopper and Pearson (1934): of n pictures none changed sides, so the share that would is at most 1 - 0.025 ** (1 / n)
either way. A number that is the same for every item, such as the mass of rows that are not edited, has no bound of
this kind: both ends are the number.
"""

from __future__ import annotations

from math import exp
from typing import TypeAlias

import numpy as np
import xarray as xr
from scipy.stats import binomtest

from vaslab.statistics import (
    accuracy_interval,
    difference_interval,
    mean_interval,
    mean_p,
    mean_t,
    paired_accuracy,
    product_interval,
    ratio_interval,
)

Columns: TypeAlias = dict[str, float | int]


def never(n: int) -> float:
    """The largest share that none of `n` independent entries leaves open, at 95 % (Clopper and Pearson, two-sided)."""
    return float(binomtest(0, n).proportion_ci(0.95, method="exact").high)


def named(name: str, found: xr.Dataset) -> Columns:
    """An estimate and its interval as columns NAME, NAME_low and NAME_high."""
    return three(name, *(float(found[part]) for part in ("estimate", "low", "high")))


def three(name: str, estimate: float | int, low: float | int, high: float | int) -> Columns:
    """An estimate and its interval as columns."""
    return {name: estimate, f"{name}_low": low, f"{name}_high": high}


def share(name: str, values: xr.DataArray) -> Columns:
    """A share of the items with Wilson's interval; entries are 1, 0, or NaN, which is left out."""
    told = values.dropna("item")
    return named(name, accuracy_interval(int(told.sum()), told.size))


def rate(name: str, values: xr.DataArray, cluster: xr.DataArray) -> Columns:
    """A share of the items with its bootstrap interval over pictures, the exact bound where all items are alike."""
    found = named(name, mean_interval(values, cluster=cluster))
    if found[f"{name}_low"] == found[f"{name}_high"]:
        n = len(np.unique(cluster.values.astype(str)))
        ends = binomtest(round(float(found[name]) * n), n).proportion_ci(0.95, method="exact")
        return three(name, found[name], float(ends.low), float(ends.high))
    return found


def share_change(
    name: str, first: xr.DataArray, second: xr.DataArray, cluster: xr.DataArray, p: str
) -> Columns:
    """Change of a share, paired on items, with its bootstrap interval over pictures or the exact bound, and in the
    column `p` the t test with errors clustered by picture. Nothing where no item was graded in both."""
    if not bool((first.notnull() & second.notnull()).any()):
        return {}
    pair = paired_accuracy(first, second, cluster)
    low, high = pair.low, pair.high
    if low == high:
        open_to = never(pair.n_clusters)
        low, high = max(-1.0, low - open_to), min(1.0, high + open_to)
    return {**three(name, pair.difference, low, high), p: pair.p_clustered}


def small_change(name: str, first: xr.DataArray, second: xr.DataArray, cluster: xr.DataArray) -> Columns:
    """As `share_change` for few items: the interval of the t test in place of a bootstrap, so that both agree."""
    graded = first.notnull() & second.notnull()
    if not bool(graded.any()):
        return {}
    change = (second - first).where(graded, drop=True)
    by = cluster.sel(item=change["item"])
    found = mean_t(change, by)
    estimate, low, high = (float(found[part]) for part in ("estimate", "low", "high"))
    if low == high:
        open_to = never(len(np.unique(by.values.astype(str))))
        low, high = max(-1.0, low - open_to), min(1.0, high + open_to)
    return {**three(name, estimate, low, high), f"{name}_p": float(found["p"])}


def sides_changed(first: xr.DataArray, second: xr.DataArray) -> Columns:
    """How many answers became right, and wrong."""
    return {
        "fixed": int(((first == 0) & (second == 1)).sum()),
        "broken": int(((first == 1) & (second == 0)).sum()),
    }


def number_change(name: str, first: xr.DataArray, second: xr.DataArray, cluster: xr.DataArray) -> Columns:
    """Change of a number, paired on items, with its bootstrap interval over pictures, and p."""
    found = named(f"{name}_change", difference_interval(first, second, cluster=cluster))
    return {**found, f"{name}_p": float(mean_p(second - first, cluster))}


def vas_ratios(
    first: tuple[xr.DataArray, xr.DataArray, xr.DataArray],
    second: tuple[xr.DataArray, xr.DataArray, xr.DataArray],
    cluster: xr.DataArray,
) -> Columns:
    """VAS of the second run over that of the first, as a mean of ratios and as a ratio of means.

    Args:
        first, second: VAS, visual mass and system mass of each item.
        cluster: picture of each item.
    """
    if float(second[1].max()) == 0:
        # nothing is left of it, and 0 has no logarithm
        return three("vas_ratio", 0, 0, 0) | three("vas_means_ratio", 0, 0, 0)
    ratios = [(second[0], 1), (first[0], -1)]
    means = [(second[1], 1), (first[2], 1), (second[2], -1), (first[1], -1)]
    changed = product_interval(means, cluster=cluster)
    return {
        **named("vas_ratio", product_interval(ratios, cluster=cluster)),
        **named("vas_means_ratio", changed),
        "vas_means_p": float(changed["p"]),
    }


def perplexity(loss: xr.DataArray, tokens: xr.DataArray, cluster: xr.DataArray) -> Columns:
    """Perplexity of all texts, exp of the mean negative log-probability a token, with its bootstrap interval over
    pictures; nothing where there is no token."""
    if not float(tokens.sum()):
        return {}
    found = ratio_interval(loss, tokens, cluster=cluster)
    return three("perplexity", *(exp(float(found[part])) for part in ("estimate", "low", "high")))


def perplexity_change(
    first: xr.DataArray, second: xr.DataArray, tokens: xr.DataArray, cluster: xr.DataArray
) -> Columns:
    """Perplexity of the same texts in the second run over the first, paired on them."""
    if not float(tokens.sum()):
        return {}
    found = ratio_interval(second - first, tokens, cluster=cluster)
    ends = three("perplexity_ratio", *(exp(float(found[part])) for part in ("estimate", "low", "high")))
    return {**ends, "perplexity_p": float(mean_p(second - first, cluster))}
