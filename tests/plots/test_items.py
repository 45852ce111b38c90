"""The items figure: rows by hand, filters, findings on data built to have them, and not to."""

import base64
import io
import json
import time

import numpy as np
import plotly.graph_objects as go
import pytest
import synthetic_capture as made
import xarray as xr
from every_figure import title, words
from PIL import Image

from vaslab.errors import UsageError
from vaslab.plots import ItemWords, items, items_table
from vaslab.plots.items import thumbnail
from vaslab.plots.items_numbers import chosen
from vaslab.plots.theme import contrast


def graded(right: list[float]) -> xr.DataArray:
    return xr.DataArray(right, dims="item", coords={"item": [f"item-{i:05d}" for i in range(len(right))]})


def two(n: int = 6) -> tuple[xr.Dataset, xr.Dataset]:
    """VAS is 1 in the first; in the second it doubles with each item, the last one halves."""
    first, second = made.realistic(n, 3, 2, None), made.realistic(n, 3, 2, None)
    first["vas"][:] = 1.0
    second["vas"][:] = (2.0 ** np.arange(n))[:, None, None, None]
    second["vas"][n - 1] = 0.5
    return first, second


def shown(fig: go.Figure) -> list[str]:
    """Questions in the order of the rows."""
    return [str(a.text) for a in fig.layout.annotations if str(a.text).startswith(("why", "item-"))]


def test_table_holds_the_hand_numbers():
    table = items_table(*two(4), (graded([1, 0, 1, 0]), graded([1, 1, 0, np.nan])))
    by_name = table.set_index("item")
    assert by_name.loc["item-00000", "outcome"] == "right in both"
    assert by_name.loc["item-00001", "outcome"] == "fixed"
    assert by_name.loc["item-00002", "outcome"] == "broken"
    assert by_name.loc["item-00003", "outcome"] == "not graded"
    np.testing.assert_allclose(by_name.loc[["item-00001", "item-00002", "item-00003"], "ratio"], [2, 4, 0.5])
    # the largest change first, whichever its direction
    assert table["item"].tolist() == ["item-00002", "item-00001", "item-00003", "item-00000"]
    assert (table.attrs["paired"].fixed, table.attrs["paired"].broken, table.attrs["paired"].n) == (1, 1, 3)


def test_items_without_a_ratio_are_last_and_have_no_bar():
    first, second = two(4)
    first["vas"][1] = 0.0
    second["vas"][2] = np.nan
    table = items_table(first, second)
    assert table["item"].tolist()[2:] == ["item-00001", "item-00002"]
    assert table["ratio"].isna().sum() == 2
    fig = items(table)
    lengths = list(fig.data[1].x)
    assert lengths[2:] == [None, None]
    assert [str(a.text) for a in fig.layout.annotations].count("–") >= 2


def test_marks_are_words_and_rows_are_bars_of_the_change_scale():
    texts = {f"item-{i:05d}": ItemWords(f"why {i}?") for i in range(4)}
    fig = items(items_table(*two(4), (graded([1, 0, 1, 0]), graded([1, 1, 0, np.nan])), texts))
    assert shown(fig) == ["why 2?", "why 1?", "why 3?", "why 0?"]
    text = words(fig)
    assert text.count("✓ right") == 4
    assert text.count("✗ wrong") == 3
    assert text.count("not graded") >= 1
    np.testing.assert_allclose([x for x in fig.data[1].x if x is not None], [2, 1, -1, 0])
    colours = [c for c in fig.data[1].marker.color if c is not None]
    assert colours[2] != colours[1]


def test_buttons_show_what_was_fixed_and_broken():
    texts = {f"item-{i:05d}": ItemWords(f"why {i}?") for i in range(6)}
    right = (graded([1, 0, 1, 0, 1, 1]), graded([1, 1, 0, 1, 1, 1]))
    table = items_table(*two(), right, texts)
    fig = items(table, ("base", "tuned"))
    menu = json.loads(fig.to_json())["layout"]["updatemenus"][0]
    assert [b["label"] for b in menu["buttons"]] == [
        "largest change (6)",
        "fixed by tuned (2)",
        "broken by tuned (1)",
    ]
    pressed = menu["buttons"][1]["args"][1]
    told = [text for key, text in pressed.items() if key.startswith("annotations") and text.startswith("why")]
    assert told == list(chosen(table, "fixed")["question"])
    # pressing a button is the same as asking for it
    asked = items(table, ("base", "tuned"), which="fixed")
    assert shown(asked) == told
    assert json.loads(asked.to_json())["layout"]["updatemenus"][0]["active"] == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_buttons_read_pressed_and_unpressed(theme):
    menu = items(items_table(*two(3)), theme=theme).layout.updatemenus[0]
    pressed = "#f4faff"  # what plotly paints
    assert min(contrast(menu.font.color, each) for each in (menu.bgcolor, pressed)) >= 4.5


def test_each_picture_is_on_the_page_once_and_in_its_row():
    pictures = {f"item-{i:05d}": Image.new("RGB", (40, 30), (40 * i, 0, 0)) for i in range(4)}
    table = items_table(*two(4), (graded([1, 0, 1, 0]), graded([1, 1, 0, 0])))
    fig = items(table, pictures=pictures, which="fixed")
    assert len(fig.layout.images) == 4
    seen = [image for image in fig.layout.images if image.visible]
    assert len(seen) == 1
    assert "Pictures are not at hand" in words(items(table))


def test_a_picture_that_is_missing_is_said_in_its_row_and_in_the_foot():
    table = items_table(*two(4), (graded([1, 0, 0, 1]), graded([1, 1, 0, 0])))
    pictures = {f"item-{i:05d}": Image.new("RGB", (40, 30), (40 * i, 0, 0)) for i in (0, 1, 3)}
    fig = items(table, pictures=pictures)
    lost = [a for a in fig.layout.annotations if a.text == "no<br>picture"]
    questions = [a for a in fig.layout.annotations if a.text and "item-00002" in a.text]
    assert [a.y for a in lost] == [a.y for a in questions]
    assert len(lost) == 1
    assert "No picture is at hand of 1 of the 4 items that the buttons show." in words(fig)
    # one that the button for fixed items shows has its picture
    assert "no<br>picture" not in [
        a.text for a in items(table, pictures=pictures, which="fixed").layout.annotations
    ]
    whole = items(table, pictures=pictures | {"item-00002": Image.new("RGB", (9, 9))})
    for every in (whole, items(table)):
        assert "no<br>picture" not in [a.text for a in every.layout.annotations]
        assert "No picture is at hand" not in words(every)


def test_a_thumbnail_is_small_and_whole():
    uri = thumbnail(Image.effect_noise((900, 600), 80))
    kind, _, data = uri.partition(";base64,")
    assert kind in ("data:image/jpeg", "data:image/png")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (104, 69)
    assert len(data) < 16_000


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0] * 12, [1] * 10 + [0] * 2, "fixes 10 and breaks 0 of 12 items: clearly better than a"),
        ([1] * 12, [0] * 10 + [1] * 2, "fixes 0 and breaks 10 of 12 items: clearly worse than a"),
        ([1, 0] * 6, [0, 1] * 6, "fixes 6 and breaks 6 of 12 items: no clear difference"),
        ([1, 0] * 6, [1, 0] * 6, "is right where a is: none of 12 items fixed or broken"),
    ],
)
def test_the_title_is_what_the_data_say(first, second, expected):
    assert expected in title(items(items_table(*two(12), (graded(first), graded(second))), ("a", "b")))


def test_without_grades_the_title_is_about_vas_as_far_as_its_test_goes():
    assert "raises VAS (mean of ratios) in 83% of 12 items" in title(items(items_table(*two(12))))
    mixed = two(12)
    mixed[1]["vas"][:] = np.array([2.0, 0.5] * 6)[:, None, None, None]
    assert "no clear change of VAS (mean of ratios) over 12 items" in title(items(items_table(*mixed)))


def test_clusters_decide_the_test():
    """Ten items of one picture that were fixed together are one picture."""
    picture = xr.DataArray(["p"] * 10 + ["q", "r"], dims="item", coords={"item": graded([0] * 12)["item"]})
    right = (graded([0] * 12), graded([1] * 10 + [0] * 2))
    clear = items(items_table(*two(12), right))
    clustered = items(items_table(*two(12), right, cluster=picture))
    assert "clearly better" in title(clear)
    assert "no clear difference" in title(clustered)
    assert "score test over pictures" in words(clustered)


def test_many_items_are_quick_and_said_to_be_more():
    n = 10_000
    rng = np.random.default_rng(0)
    table = items_table(*two(40), (graded(rng.integers(0, 2, 40)), graded(rng.integers(0, 2, 40))))
    many = table.loc[table.index.repeat(n // 40)].assign(item=[f"item-{i:05d}" for i in range(n)])
    many.attrs = table.attrs
    start = time.thread_time()
    fig = items(many)
    assert time.thread_time() - start < 5
    assert "At most 12 of 10,000 items are shown; the CSV has all." in words(fig)


def test_wrong_calls_say_what_there_is():
    table = items_table(*two(3))
    with pytest.raises(UsageError, match="unknown filter 'worse'; expected one of largest, fixed, broken"):
        items(table, which="worse")
    with pytest.raises(UsageError, match="expected at least one of each"):
        items(table, rows=0)
    first, second = two(3)
    with pytest.raises(UsageError, match="do not align"):
        items_table(first, second.isel(item=[0, 1]))


def test_a_bar_that_is_cut_is_marked_behind_its_ratio():
    one, two_ = (made.realistic(60, 3, 2, None) for _ in range(2))
    two_["vas"][7] *= 4000.0
    fig = items(items_table(one, two_))
    marked = [a.text for a in fig.layout.annotations if a.text and a.text.startswith("×") and "▸" in a.text]
    assert marked == ["×4,000 ▸"]
    assert "1 bar beyond ×2 or ÷2 cut at the edge (◂ ▸)." in words(fig)
