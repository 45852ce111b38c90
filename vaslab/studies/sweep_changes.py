"""Changes between two runs of the same items, each with its interval and p, as columns of a sweep's table.

Changes of shares have the score interval of `vaslab.statistics.share_change`, which is the test that gives their p;
changes of numbers a bootstrap interval over pictures and the t test. A number that is the same for every item, such as
the mass of rows that are not edited, has no width: both ends are the number.
"""

from __future__ import annotations

from math import exp
from typing import TypeAlias

import xarray as xr

from vaslab.statistics import (
    accuracy_interval,
    difference_interval,
    mean_p,
    product_interval,
    ratio_interval,
    share_change,
    share_interval,
)

Columns: TypeAlias = dict[str, float | int]


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
    """A share of the items with its score interval over pictures."""
    return three(name, *share_interval(values, cluster))


def change_of_share(
    name: str, first: xr.DataArray, second: xr.DataArray, cluster: xr.DataArray, p: str
) -> Columns:
    """Change of a share, paired on items, with its score interval over pictures, and in the column `p` the same test.
    Nothing where no item was graded in both."""
    if not bool((first.notnull() & second.notnull()).any()):
        return {}
    found = share_change(first, second, cluster)
    return {**three(name, found.estimate, found.low, found.high), p: found.p}


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
