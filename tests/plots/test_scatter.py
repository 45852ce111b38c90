"""The scatter figure: its numbers against hand sums, its finding on data where it is true and where it is not."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import scipy.stats
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError
from vaslab.metrics import Definition, vas
from vaslab.plots import findings, scatter, scatter_table
from vaslab.plots import theme as themes
from vaslab.plots.kinds import kind_of, kind_styles
from vaslab.plots.levels import accuracy_level
from vaslab.plots.point_labels import place_labels
from vaslab.plots.scatter_words import title_of


def words(fig: go.Figure) -> str:
    return " | ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def table(vas: list[float], accuracy: list[float]) -> pd.DataFrame:
    names = [f"run-{i}" for i in range(len(vas))]
    return pd.DataFrame({"checkpoint": names, "vas": vas, "accuracy": accuracy})


RISING = table([0.5, 1, 2, 4, 8, 16], [0.30, 0.35, 0.43, 0.44, 0.52, 0.55])


def right_of(capture: xr.Dataset, right: list[float]) -> xr.DataArray:
    return xr.DataArray(right, dims="item", coords={"item": capture["item"].values})


def test_table_holds_the_hand_numbers() -> None:
    one, two = made.hand(), made.hand()
    two["vas"][:] *= 2
    grades = {"base": right_of(one, [1, 0]), "base-vars": right_of(two, [1, np.nan])}
    found = scatter_table({"base": one, "base-vars": two}, grades)
    np.testing.assert_allclose(found["vas"], [2.75, 5.5], rtol=1e-6)  # (1.5 + 0.5) / 2 and (1 + 8) / 2
    assert list(found["accuracy"]) == [0.5, 1]
    assert list(found["n_graded"]) == [2, 1]
    assert list(found["kind"]) == ["base", "+VARS"]
    low, high = scipy.stats.binomtest(1, 2).proportion_ci(method="wilson")
    np.testing.assert_allclose(found.loc[0, ["accuracy_low", "accuracy_high"]].astype(float), [low, high])
    ratio = scatter_table({"base": one}, grades, Definition(form="ratio_of_means"))
    np.testing.assert_allclose(ratio["vas"], (0.45 + 0.525) / (0.4 + 0.3), rtol=1e-6)
    with pytest.raises(UsageError, match="base has no graded item"):
        scatter_table({"base": one}, {"base": right_of(one, [np.nan, np.nan])})


def test_a_vas_that_rests_on_the_floor_says_so() -> None:
    one, two = made.hand(), made.hand()
    two["clamped"][:] = 0.75
    grades = {name: right_of(one, [1, 0]) for name in ("base", "tuned")}
    found = scatter_table({"base": one, "tuned": two}, grades)
    assert list(found["clamped_share"]) == [0, 0.75]
    assert "VAS is a bound: tuned 75%." in words(scatter(found))
    assert "is a bound" not in words(scatter(found[:1]))


def test_numbers_in_the_figure_are_those_of_scipy() -> None:
    fig = scatter(RISING)
    x, y = np.log2(RISING["vas"]), RISING["accuracy"]
    r, rho = scipy.stats.pearsonr(x, y), scipy.stats.spearmanr(x, y)
    interval = r.confidence_interval()
    text = words(fig)
    assert f"<b>r = {r.statistic:.2f}</b> (95% CI {interval.low:.2f} to {interval.high:.3f}" in text
    assert "n = 6 checkpoints" in text
    assert f"Spearman ρ = {rho.statistic:.3f} (95% CI " in text
    assert "Bonett and Wright" in text
    slope = scipy.stats.linregress(x, y).slope
    assert f"+{100 * slope:.1f} points of accuracy per doubling of VAS" in text
    assert "not a causal estimate" in text
    markers = [t for t in fig.data if t.mode == "markers"]
    np.testing.assert_allclose(np.concatenate([t.x for t in markers]), x)
    np.testing.assert_allclose(np.concatenate([t.y for t in markers]), 100 * y)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (RISING, "Checkpoints with a higher VAS answer better"),
        (
            table(list(RISING["vas"]), list(RISING["accuracy"][::-1])),
            "Checkpoints with a higher VAS answer worse",
        ),
        (
            table([1, 2, 4, 8, 16, 32], [0.5, 0.4, 0.6, 0.4, 0.6, 0.5]),
            "No clear relation of VAS and accuracy over 6",
        ),
        (
            table([1, 1.1, 1.2, 1.05, 1.15, 40], [0.42, 0.40, 0.38, 0.41, 0.39, 0.9]),
            "answer better, but run-5 alone carries it",
        ),
        (table([1, 2, 3], [0.1, 0.2, 0.3]), "3 checkpoints: too few for a correlation"),
        (table([1, 2, 3, 4], [0.5] * 4), "These checkpoints do not differ"),
    ],
)
def test_the_title_is_what_the_data_say(data: pd.DataFrame, expected: str) -> None:
    fig = scatter(data)
    if expected.endswith("carries it"):
        # a point far off both: five checkpoints fall, the sixth makes a line
        assert findings(data).without.low < 0
        if not findings(data).clear:
            expected = "No clear relation"
    assert expected in title(fig)


def test_few_checkpoints_are_drawn_without_r() -> None:
    fig = scatter(RISING[:3])
    assert "3 checkpoints: no r is given for fewer than 4" in words(fig)
    assert "r =" not in words(fig)
    assert not [t for t in fig.data if t.mode == "lines"]
    assert "causal" not in words(fig)


def test_checkpoints_without_a_value_are_named_not_drawn() -> None:
    data = table([1, 2, 4, 8, np.nan, 0], [0.1, 0.2, 0.3, 0.45, 0.5, 0.6])
    fig = scatter(data)
    assert "Left out, without VAS or accuracy: run-4, run-5" in words(fig)
    assert "n = 4 checkpoints" in words(fig)
    with pytest.raises(UsageError, match="nothing can be drawn"):
        scatter(data[4:])
    with pytest.raises(UsageError, match="lacks accuracy"):
        scatter(data[["checkpoint", "vas"]])


def test_uncertainty_over_items_is_there_where_items_are_shared() -> None:
    rng = np.random.default_rng(0)
    captures, grades = {}, {}
    for at in range(5):
        capture = made.realistic(30, 3, 2, lift=0.2 * at)
        captures[f"run-{at}"] = capture
        grades[f"run-{at}"] = right_of(capture, list((rng.random(30) < 0.3 + 0.1 * at).astype(float)))
    found = scatter_table(captures, grades)
    both = found.attrs["two_level"]
    assert both.n_clusters == 30
    assert "Resampled over 30 items, r is" in words(scatter(found))
    pictures = xr.DataArray(
        np.arange(30) // 3, dims="item", coords={"item": captures["run-0"]["item"].values}
    )
    clustered = scatter_table(captures, grades, cluster=pictures)
    assert clustered.attrs["two_level"].n_clusters == 10
    assert "over pictures (bootstrap; accuracy Wilson)" in words(scatter(clustered))


def test_accuracy_of_pictures_asked_often_has_wilsons_interval_of_fewer_items() -> None:
    """A bootstrap over pictures has no width where every answer is right."""
    items = [f"i{at}" for at in range(20)]
    right = xr.DataArray(np.ones(20), dims="item", coords={"item": items})
    pairs = xr.DataArray(np.arange(20) // 2, dims="item", coords={"item": items})
    found = accuracy_level(right, pairs)
    t2 = scipy.stats.t.ppf(0.975, 9) ** 2
    assert float(found["estimate"]) == float(found["high"]) == 1
    # Wilson's end at 10 items, which is what 20 questions on 10 pictures tell at least
    assert float(found["low"]) == pytest.approx(10 / (10 + t2))
    assert np.isnan(accuracy_level(right, xr.zeros_like(pairs))["low"])


def test_one_outlying_checkpoint_is_named_as_the_carrier() -> None:
    """Of 40 checkpoints 39 tell nothing: r without the last is near 0, and need not change its sign."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = np.append(rng.normal(1, 0.5, 39), 8), np.append(rng.normal(0.5, 0.02, 39), 0.9)
        found = findings(table(list(2.0**x), list(y)))
        assert title_of(found).endswith("answer better, but run-39 alone carries it")
        # nor is one named where all agree
        even = findings(table(list(2.0 ** x[:39]), list(0.5 + 0.1 * x[:39] + rng.normal(0, 0.03, 39))))
        assert title_of(even).endswith("answer better")


def test_names_cannot_inject_markup_and_a_hundred_fit() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-3, 3, 100)
    data = table(list(2.0**x), list(0.5 + 0.05 * x + rng.normal(0, 0.02, 100)))
    data["checkpoint"] = [f'<b onclick="x">%{{x}} {i}' for i in range(100)]
    text = scatter(data).to_json().replace("\\u003c", "<")
    assert "<b onclick" not in text
    assert scatter(data).layout.width < 1000


def test_labels_cover_no_point_and_no_other_label() -> None:
    rng = np.random.default_rng(3)
    points = [tuple(p) for p in rng.uniform(50, 750, (30, 2))]
    names = [f"checkpoint {i}" for i in range(30)]
    places = place_labels(points, names, (0, 0, 800, 800))
    boxes = [(x - 35, y - 8, x + 35, y + 8) for x, y in filter(None, places)]
    assert len(boxes) > 20
    for i, a in enumerate(boxes):
        assert all(a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1] for b in boxes[:i])
        assert not any(a[0] < x < a[2] and a[1] < y < a[3] for x, y in points)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_kinds_differ_in_marker_and_read_on_the_page(theme: str) -> None:
    look = themes.named(theme)
    kinds = [kind_of(name) for name in ("base", "multimodal cs", "text-only", "vard", "agto", "vars", "else")]
    styles = kind_styles(kinds, look)
    assert len({style.symbol for style in styles.values()}) == 7
    for style in styles.values():
        assert themes.contrast(style.text, look.background) >= 4.5


def graded(n: int, seed: int = 0, **attrs: object) -> tuple[dict[str, xr.Dataset], dict[str, xr.DataArray]]:
    """Checkpoints whose image mass and accuracy rise."""
    rng = np.random.default_rng(seed)
    captures = {f"run-{i}": made.realistic(20, 3, 2, lift=0.3 * i, **attrs) for i in range(n)}
    right = {
        name: right_of(capture, list((rng.random(20) < 0.3 + 0.1 * i).astype(float)))
        for i, (name, capture) in enumerate(captures.items())
    }
    return captures, right


def test_the_title_names_the_form_of_vas() -> None:
    captures, right = graded(5)
    assert "VAS (mean of ratios)" in title(scatter(scatter_table(captures, right)))
    other = scatter_table(captures, right, Definition(form="ratio_of_means", per_token=True))
    assert "VAS (ratio of means, per token)" in title(scatter(other))


def test_forms_that_say_different_things_are_both_in_the_title() -> None:
    captures, _ = graded(7)
    # the masses stay what they are; the mean of ratios falls where the ratio of means rises
    for i, capture in enumerate(captures.values()):
        capture["vas"][:] = 2.0 ** (7 - i)
    right = {
        name: right_of(capture, [1.0] * (4 + 2 * i) + [0.0] * (16 - 2 * i))
        for i, (name, capture) in enumerate(captures.items())
    }
    fig = scatter(scatter_table(captures, right))
    expected = "higher VAS (mean of ratios) answer worse; by VAS (ratio of means) they answer better"
    assert expected in title(fig)
    assert "By VAS (ratio of means): r = " in words(fig)


def test_checkpoints_told_by_revision_not_by_name() -> None:
    captures, right = graded(4)
    for name, capture in captures.items():
        capture.attrs["revision"] = f"sha256:{name}"
    assert len(scatter_table(captures, right)) == 4
    captures["run-3"].attrs["revision"] = "sha256:run-1"
    with pytest.raises(
        UsageError, match=r"run-1 and run-3 are the same checkpoint \(revision sha256:run-1\)"
    ):
        scatter_table(captures, right)


def test_data_sets_and_items_must_fit() -> None:
    captures, right = graded(5)
    captures["run-4"].attrs["data"], captures["run-0"].attrs["data"] = "easy-vqa", "glyph"
    with pytest.raises(UsageError, match="run-0 was measured on glyph, run-4 on easy-vqa"):
        scatter_table(captures, right)
    captures["run-4"].attrs["data"] = "glyph"
    captures["run-4"] = captures["run-4"].isel(item=slice(0, 12))
    right["run-4"] = right["run-4"][:12]
    table = scatter_table(captures, right)
    fig = scatter(table)
    assert "r over unequal items: 12 answered by all, 12 to 20 by each; over those " in words(fig)
    assert "measure all with the same --data, --limit and --seed" in words(fig)
    common = list(right["run-4"]["item"].values)
    x = np.log2([float(vas(c.sel(item=common))) for c in captures.values()])
    y = [float(r.sel(item=common).mean()) for r in right.values()]
    assert table.attrs["r_common"] == pytest.approx(scipy.stats.pearsonr(x, y).statistic)
    captures["run-0"] = captures["run-0"].isel(item=slice(12, None))
    with pytest.raises(UsageError, match="no item was answered by all 5 checkpoints"):
        scatter_table(captures, right)
    equal, grades = graded(5)
    assert "unequal" not in words(scatter(scatter_table(equal, grades)))


def test_levels_are_over_layers_and_heads_that_all_have() -> None:
    captures, right = graded(6)
    for capture in captures.values():
        capture["vas"][:, -1] *= 50
    last = int(next(iter(captures.values()))["layer"][-1])
    narrow = {name: capture.sel(layer=slice(0, last - 1)) for name, capture in captures.items()}
    expected = scatter_table(narrow, right)
    gaps = {name: capture.copy(deep=True) for name, capture in captures.items()}
    for name in list(gaps)[4:]:
        gaps[name]["vas"][:, -1] = np.nan
    shorter = {**captures, **{name: narrow[name] for name in list(captures)[4:]}}
    one_item = {name: capture.copy(deep=True) for name, capture in captures.items()}
    one_item[list(captures)[5]]["vas"][3, -1] = np.inf
    for case in (gaps, shorter, one_item):
        found = scatter_table(case, right)
        columns = ["vas", "vas_low", "vas_high", "vas_other_form", "accuracy"]
        np.testing.assert_allclose(found[columns], expected[columns], rtol=1e-6)
        assert found.attrs["heads"].startswith(f"layers 0–{last - 1}, which all checkpoints have (not all: ")
        assert "VAS of every checkpoint is over layers 0" in words(scatter(found))
    heads = {name: capture.copy(deep=True) for name, capture in captures.items()}
    heads[next(iter(captures))]["vas"][:, 0, 0] = np.nan
    sizes = next(iter(captures.values())).sizes
    n = sizes["layer"] * sizes["head"]
    found = scatter_table(heads, right)
    assert found.attrs["heads"].startswith(f"{n - 1} of {n} heads, which all")
    kept = {name: capture.copy(deep=True) for name, capture in captures.items()}
    for capture in kept.values():
        capture["vas"][:, 0, 0] = np.nan
    np.testing.assert_allclose(found["vas"], scatter_table(kept, right)["vas"], rtol=1e-6)
    for i, name in enumerate(gaps):
        gaps[name]["vas"][:, i % sizes["layer"]] = np.nan
    with pytest.raises(UsageError, match="no layer and head has a VAS in every checkpoint"):
        scatter_table(gaps, right)
