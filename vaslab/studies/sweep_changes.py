"""Levels of a run, and changes between two runs of the same items, as columns of a sweep's table.

Items of one picture count as fewer throughout. Shares have score intervals (`vaslab.statistics.share_interval`), their
changes that of `share_change`; changes of numbers have Student's t, ratios of means that of their logarithm
(`product_t`). Interval and p of a change are one test: 0, or a ratio of 1, is outside just where p is below 5 %. A
number that is the same for every item, such as the mass of rows that are not edited, has no width: both ends are the
number.
"""

from __future__ import annotations

from math import exp, nan
from typing import TypeAlias

import xarray as xr

from vaslab.statistics import (
    aligned,
    mean_interval,
    mean_p,
    mean_t,
    product_t,
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


def share(name: str, values: xr.DataArray, cluster: xr.DataArray) -> Columns:
    """A share of the items with its score interval over pictures; entries are 1, 0, or NaN, which is left out."""
    if not bool(values.notnull().any()):
        return three(name, nan, nan, nan)
    return three(name, *share_interval(values, cluster))


def level(name: str, values: xr.DataArray, cluster: xr.DataArray) -> Columns:
    """A mean over items with its bootstrap interval (BCa) over pictures."""
    return named(name, mean_interval(values, cluster=cluster))


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
    """Change of a number, paired on items, with the interval and p of Student's t over pictures (`mean_t`)."""
    before, after = aligned(first, second)
    found = mean_t(after - before, cluster)
    return {**named(f"{name}_change", found), f"{name}_p": float(found["p"])}


def vas_ratios(
    first: tuple[xr.DataArray, xr.DataArray, xr.DataArray],
    second: tuple[xr.DataArray, xr.DataArray, xr.DataArray],
    cluster: xr.DataArray,
) -> Columns:
    """VAS of the second run over that of the first, as a mean of ratios and as a ratio of means, each with its interval
    and p (`product_t`); where nothing is left of it, p is that of the visual mass.

    Args:
        first, second: VAS, visual mass and system mass of each item.
        cluster: picture of each item.
    """
    if float(second[1].max()) == 0:
        # 0 has no logarithm
        p = float(mean_p(second[1] - first[1], cluster))
        return {
            **three("vas_ratio", 0, 0, 0),
            **three("vas_means_ratio", 0, 0, 0),
            "vas_p": p,
            "vas_means_p": p,
        }
    ratios = product_t([(second[0], 1), (first[0], -1)], cluster=cluster)
    # in an order in which what did not change cancels to the bit
    means = product_t([(second[1], 1), (first[1], -1), (first[2], 1), (second[2], -1)], cluster=cluster)
    return {
        **named("vas_ratio", ratios),
        **named("vas_means_ratio", means),
        "vas_p": float(ratios["p"]),
        "vas_means_p": float(means["p"]),
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
    """Perplexity of the same texts in the second run over the first, paired on them, with its interval and p over
    pictures: exp of d, the change of loss a token, with Student's t of the ratio estimate.

    The error of a ratio sum(c) / sum(n) is that of the residuals c - d n over the mean of n (Cochran 1977, Sampling
    Techniques, section 6.4); c is a text's change of loss in nats, n its tokens.
    """
    if not float(tokens.sum()):
        return {}
    change = second - first
    ratio = float(change.sum() / tokens.sum())
    found = mean_t(ratio + (change - ratio * tokens) / tokens.mean(), cluster)
    ends = three("perplexity_ratio", *(exp(float(found[part])) for part in ("estimate", "low", "high")))
    return {**ends, "perplexity_p": float(found["p"])}
