"""Titles on unequal data: items, heads, pictures and checkpoints of unequal weight; findings that are none."""

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr
from every_figure import title, words
from laid_out import TEXTS, answers, curves

from vaslab import plots
from vaslab.plots import items_words
from vaslab.plots.text import percent
from vaslab.prompts.roles import KEY_ROLES

NAMES = ("base", "tuned")


def pictures(sizes: list[int], capture: xr.Dataset) -> xr.DataArray:
    """Picture of each item: one that many are about, and others."""
    return xr.DataArray(
        np.repeat(np.arange(len(sizes)), sizes), dims="item", coords={"item": capture["item"].values}
    )


def moved(by: np.ndarray) -> tuple[xr.Dataset, xr.Dataset]:
    """Two captures; image mass and VAS of each item are multiplied in the second."""
    first, second = (made.realistic(len(by), 4, 3, None) for _ in range(2))
    second["mass"][..., 3] *= by[:, None, None, None]
    second["vas"][:] *= by[:, None, None, None]
    return first, second


def lengths(told: list[np.ndarray]) -> plots.Answers:
    """Answers of unequal length, one curve each."""
    n = [len(each) for each in told]
    image = np.concatenate(told)
    mass = np.zeros((len(image), 2, len(KEY_ROLES)))
    mass[:, :, 3], mass[:, :, 7] = image[:, None], 1 - image[:, None]
    ids = [f"q{at}" for at in range(len(told))]
    capture = xr.Dataset(
        {
            "row_mass": (("row", "layer", "key_role"), mass.astype("float32")),
            "row_item": ("row", np.repeat(np.arange(len(n)), n)),
            "row_position": ("row", np.concatenate([np.arange(each) for each in n]) + 20),
            "row_role": ("row", np.full(len(image), 7)),
        },
        coords={"item": ids, "layer": [0, 1], "key_role": [role.name for role in KEY_ROLES]},
    )
    return plots.Answers(capture, {name: ["x"] * each for name, each in zip(ids, n, strict=True)})


MOST = [30, *[1] * 6]
"""Thirty questions about one picture, six about others."""


@pytest.mark.parametrize("figure", ["decomposition", "compare", "training", "items"])
def test_one_picture_that_many_items_share_makes_no_finding(figure):
    by = np.r_[np.full(30, 1.5), 0.97, 1.05, 0.99, 1.02, 0.96, 1.01]
    by = by * np.random.default_rng(0).lognormal(0, 0.02, 36)
    first, second = moved(by)

    def said(cluster: xr.DataArray | None) -> str:
        if figure == "training":
            return title(plots.training(plots.training_table({0: first, 9: second}, cluster=cluster)))
        if figure == "items":
            return f"<b>{items_words.title_of(plots.items_table(first, second, cluster=cluster), NAMES)}"
        draw = {"decomposition": plots.changes, "compare": plots.compare}[figure]
        return title(draw(first, second, NAMES, cluster=cluster))

    assert "raises VAS" in said(None)
    clustered = said(pictures(MOST, first))
    assert "raises" not in clustered
    assert clustered.lower().startswith(("<b>no ", "<b>tuned against base: no clear change"))


def test_the_sign_test_of_items_counts_pictures():
    first, second = moved(np.r_[np.full(30, 1.5), np.full(6, 0.8)])
    cluster = pictures(MOST, first)
    table = plots.items_table(first, second, cluster=cluster)
    assert table.attrs["sides"] == (1, 6, 7)
    assert "over 36 items, none graded" in items_words.title_of(table, NAMES)
    # by hand: 1 of 7 or fewer, either way, is 2 (1 + 7) / 128
    foot = items_words.foot_of(table, {}, 12, 1, pictures=(12, 12))
    assert "p of rises against falls = 0.12 (sign test over pictures)" in foot
    every = plots.items_table(*moved(np.r_[np.full(30, 1.5), np.full(6, 1.2)]), cluster=cluster)
    assert "tuned raises VAS (mean of ratios) in 100% of 7 pictures, none graded" in items_words.title_of(
        every, NAMES
    )


def test_grades_of_some_items_are_counted_as_such():
    first, second = moved(np.full(36, 1.5))
    grades = [
        xr.DataArray(np.full(36, np.nan), dims="item", coords={"item": first["item"]}) for _ in range(2)
    ]
    grades[0][:3], grades[1][:5] = 0.0, 1.0
    told = items_words.title_of(plots.items_table(first, second, (grades[0], grades[1])), NAMES)
    assert told == "tuned fixes 3 and breaks 0 of 3 items: no clear difference"


def test_heads_that_some_items_lack_are_said_and_move_no_change():
    first, second = moved(np.ones(8))
    for each in (first, second):
        each["vas"][:7, 1, 2] = np.nan
        each["vas"][7, 1, 2] *= 400
    said = words(plots.heads(second))
    assert "Infinite or missing ratios of 1 head in 7 items: left out of the means." in said
    assert "missing ratios" not in words(plots.heads(moved(np.ones(8))[1]))
    second["vas"][7, 0, 0] = np.nan
    assert "No head of tuned differs clearly from base" in title(plots.compare(first, second, NAMES))
    assert "No clear change of VAS" in title(plots.changes(first, second, NAMES))
    table = plots.items_table(first, second)
    np.testing.assert_allclose(table["ratio"], 1, rtol=1e-6)


def test_nearly_all_heads_are_not_all():
    capture = made.realistic(3, 20, 20, None)
    capture["vas"][:], capture["mass"][..., 3], capture["mass"][..., :2] = 2.0, 0.4, 0.1
    assert title(plots.heads(capture)).startswith("<b>Every head attends more")
    capture["vas"][:, 4, 4], capture["mass"][:, 4, 4, :, 3] = 0.5, 0.1
    assert title(plots.heads(capture)).startswith("<b>99.8% of heads attend more")
    assert [percent(share) for share in (1, 0.9996, 0.996, 0.994)] == ["100%", ">99.9%", "99.6%", "99%"]


def test_answers_of_unequal_length_count_alike():
    """One long answer that rises beside many short ones that fall; and the other way."""
    rng = np.random.default_rng(0)
    short = [np.linspace(0.5, 0.4, 6) + rng.normal(0, 0.005, 6) for _ in range(20)]
    long = np.linspace(0.2, 0.9, 400)
    said = title(plots.forgetting_figure(plots.forgetting_table({"a": lengths([*short, long])})))
    assert "falls" not in said
    assert "rises" not in said
    said = title(plots.forgetting_figure(plots.forgetting_table({"a": lengths([*short, long[::-1]])})))
    assert "rises" not in said
    # the longer an answer, the less it looks; none of them changes, but the line has a dent where the short ones lack
    calm = [*[np.full(2, 0.6)] * 30, *[np.full(12, 0.2)] * 8]
    fig = plots.forgetting_figure(plots.forgetting_table({"a": lengths(calm)}))
    assert "does not clearly change along the answers of a" in title(fig)
    assert "Places that only longer answers hold rest on as few as 8 answers" in words(fig)


def test_a_checkpoint_with_too_few_answers_is_counted_apart():
    falls, one = curves(0.6, 0.2), curves(0.6, 0.2, items=1)
    flat = [np.full(len(TEXTS), 0.3)] * 6

    def said(**told: list[np.ndarray]) -> str:
        return title(
            plots.forgetting_figure(
                plots.forgetting_table({name: answers(each) for name, each in told.items()})
            )
        )

    assert "falls along the answer in both checkpoints; one has too few answers to tell" in said(
        a=falls, b=falls, c=one
    )
    assert "in the one checkpoint with enough answers; two have too few" in said(a=falls, b=one, c=one)
    assert "in any of two checkpoints; one has too few answers to tell" in said(a=flat, b=flat, c=one)
    assert "change along the answer in the one checkpoint with enough answers; one has too" in said(
        a=flat, b=one
    )


def test_a_picture_asked_about_often_makes_no_forgetting():
    falls = [np.linspace(0.6, 0.3, len(TEXTS))] * 30
    others = [np.linspace(0.5, 0.5 + by, len(TEXTS)) for by in (0.02, -0.03, 0.01, -0.01, 0.04, -0.02)]
    held = answers([*falls, *others])
    table = plots.forgetting_table({"a": held}, cluster=pictures(MOST, held.capture))
    assert "falls" in title(plots.forgetting_figure(plots.forgetting_table({"a": held})))
    assert "does not clearly change" in title(plots.forgetting_figure(table))
