"""The interval of a change of a share: published values, a search over all shares, and coverage where few change."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import xarray as xr

from vaslab.errors import UsageError
from vaslab.statistics import mean_t, share_change, share_interval
from vaslab.statistics.paired_shares import design_effect, score_interval

Z = scipy.stats.norm.ppf(0.975)


def each(values: list[float]) -> xr.DataArray:
    ids = [f"i{k}" for k in range(len(values))]
    return xr.DataArray(np.asarray(values, dtype=float), dims="item", coords={"item": ids})


def runs(fixed: int, broken: int, n: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Two runs of n items, of which the second mends `fixed` and loses `broken`."""
    return each([0] * fixed + [1] * (n - fixed)), each(
        [1] * fixed + [0] * broken + [1] * (n - fixed - broken)
    )


def pictures(n: int, of: int) -> xr.DataArray:
    names = np.array([f"p{k // of}" for k in range(n)], dtype=object)
    return xr.DataArray(names, dims="item", coords={"item": [f"i{k}" for k in range(n)]}, name="picture")


def test_the_published_intervals() -> None:
    """Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33, 2850, table IX: 1 and 7 of 21 pairs."""
    low, high = score_interval(1, 7, 21, Z)
    assert (float(low), float(high)) == pytest.approx((-0.517, -0.026), abs=5e-4)


def score(fixed: int, broken: int, n: int, difference: float) -> float:
    """Tango's score with the likeliest shares under a difference found by search."""

    def unlikely(down: float) -> float:
        up = down + difference
        counts, shares = (fixed, broken, n - fixed - broken), (up, down, 1 - up - down)
        return -sum(
            count * np.log(max(share, 1e-300)) for count, share in zip(counts, shares, strict=True) if count
        )

    ends = (max(0.0, -difference), (1 - difference) / 2)
    down = float(
        scipy.optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    )
    variance = (2 * down + difference - difference**2) / n
    return ((fixed - broken) / n - difference) / np.sqrt(variance)


@pytest.mark.parametrize(
    ("fixed", "broken", "n"), [(3, 1, 40), (0, 1, 200), (12, 30, 200), (2, 0, 40), (25, 5, 40)]
)
def test_both_ends_are_where_the_score_is_the_quantile(fixed: int, broken: int, n: int) -> None:
    low, high = (float(end) for end in score_interval(fixed, broken, n, Z))
    assert score(fixed, broken, n, low) == pytest.approx(Z, abs=1e-3)
    assert score(fixed, broken, n, high) == pytest.approx(-Z, abs=1e-3)


def test_where_few_change_the_interval_is_as_wide_as_where_none_does() -> None:
    for n in (40, 200):
        exact = scipy.stats.binomtest(0, n).proportion_ci(method="exact").high
        none = share_change(*runs(0, 0, n))
        assert exact < none.high < 1.1 * exact
        assert (none.low, none.p) == (-none.high, 1)
        for fixed, broken in [(1, 0), (0, 1), (1, 1), (2, 0), (3, 1), (0, 6), (5, 5), (20, 4)]:
            found = share_change(*runs(fixed, broken, n))
            assert found.high - found.low > none.high - none.low
            assert (found.fixed, found.broken, found.estimate) == (fixed, broken, (fixed - broken) / n)
    lost = share_change(*runs(0, 40, 40))
    assert lost.low == pytest.approx(-1)
    assert -1 + exact < lost.high < -0.8


def test_interval_and_p_are_one_test() -> None:
    """0 is outside just where p is below 5 %; for many changes p is that of the t test."""
    for n, of in ((40, 1), (200, 1), (200, 5)):
        for fixed in range(12):
            for broken in range(0, 12, 3):
                found = share_change(*runs(fixed, broken, n), pictures(n, of))
                assert (found.low <= 0 <= found.high) == (found.p >= 0.05)
    first, second = runs(40, 22, 400)
    assert share_change(first, second).p == pytest.approx(float(mean_t(second - first)["p"]), rel=0.05)


def drawn(n: int, of: int, up: float, down: float, shared: float, times: int) -> np.ndarray:
    """Changes of (time, picture, item of it): items of a picture are copies of one with the probability `shared`."""
    rng = np.random.default_rng(n + of)
    place = rng.random((times, n // of, of))
    copied = rng.random((times, n // of, 1)) < shared
    place = np.where(copied, place[..., :1], place)
    return (place < up).astype(float) - ((place >= up) & (place < up + down))


@pytest.mark.parametrize("n", [40, 200])
@pytest.mark.parametrize(
    ("up", "down"), [(0, 0), (0.01, 0), (0.02, 0), (0.03, 0.01), (0.05, 0.05), (0.1, 0.02)], ids=str
)
def test_the_truth_is_covered(n: int, up: float, down: float) -> None:
    """At least 93 %, exactly for single items, by simulation for clustered ones (Monte-Carlo error 0.6 %)."""
    quantile = scipy.stats.t.ppf(0.975, n - 1)
    fixed, broken = (axis.ravel() for axis in np.indices((n + 1, n + 1)))
    there = fixed + broken <= n
    fixed, broken = fixed[there], broken[there]
    counts = np.stack([fixed, broken, n - fixed - broken], axis=-1)
    weight = scipy.stats.multinomial.pmf(counts, n, [up, down, 1 - up - down])
    seen = weight > 1e-7
    low, high = score_interval(fixed[seen], broken[seen], n, quantile)
    held = (low <= up - down + 1e-9) & (high >= up - down - 1e-9)
    assert weight[seen][held].sum() > 0.93
    for of in (2, 5):
        labels = np.repeat(np.arange(n // of), of)
        quantile = scipy.stats.t.ppf(0.975, n // of - 1)
        for shared in (0.0, 0.5, 1.0):
            change = drawn(n, of, up, down, shared, 1500)
            design = np.array([design_effect(time.ravel(), labels) for time in change])
            counts = [(change == side).sum((1, 2)) for side in (1, -1)]
            low, high = score_interval(*counts, n, quantile, design)
            held = (low <= up - down + 1e-9) & (high >= up - down - 1e-9)
            assert held.mean() > 0.93, (of, shared)


def test_clusters_count_as_fewer_items() -> None:
    # ten questions a picture that all change alike are twenty items
    first = each([1] * 200)
    second = each([0] * 40 + [1] * 160)
    whole, alone = share_change(first, second, pictures(200, 10)), share_change(*runs(0, 4, 20))
    assert whole.design == pytest.approx(10)
    assert (whole.low, whole.high, whole.p) == pytest.approx((alone.low, alone.high, alone.p))
    assert share_interval(second, pictures(200, 10)) == pytest.approx(
        share_interval(each([0] * 4 + [1] * 16))
    )
    # nothing changed: no more than twenty pictures
    none = share_change(first, first, pictures(200, 10))
    assert none.high == pytest.approx(share_change(*runs(0, 0, 20)).high)
    # many independent changes: nearly as items
    rng = np.random.default_rng(0)
    many = each(rng.integers(0, 2, 2000).tolist())
    assert share_change(many * 0 + 1, many, pictures(2000, 2)).design == pytest.approx(1, abs=0.1)


def test_a_share_has_wilsons_interval() -> None:
    """With Student's quantile: as scipy's at the level that has this quantile."""
    values = each([1] * 31 + [0] * 67)
    level = 2 * scipy.stats.norm.cdf(scipy.stats.t.ppf(0.975, 97)) - 1
    want = scipy.stats.binomtest(31, 98).proportion_ci(level, method="wilson")
    assert share_interval(values) == pytest.approx((31 / 98, want.low, want.high))
    share, low, high = share_interval(each([0] * 98))
    assert (share, low) == (0, 0)
    assert high > scipy.stats.binomtest(0, 98).proportion_ci(method="exact").high


def test_what_cannot_be_told() -> None:
    first, second = runs(2, 1, 6)
    one = share_change(first, second, pictures(6, 6))
    assert np.isnan([one.low, one.high, one.p]).all()
    assert np.isnan(share_interval(second, pictures(6, 6))[1])
    half = second.where(second["item"] != "i0")
    assert share_change(first, half.isel(item=slice(None, None, -1))).n == 5
    with pytest.raises(UsageError, match="no item is told in both"):
        share_change(first * np.nan, second)
    with pytest.raises(UsageError, match="neither right"):
        share_change(first * 0.5, second)
    with pytest.raises(UsageError, match="there is no share"):
        share_interval(first * np.nan)
