"""Pictures to a page and back: what a visitor may send, and what is refused."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vaslab.errors import UsageError
from vaslab.explorer.pictures import data_uri, drawn, from_data_uri
from vaslab.prompts.images import ImageError


def uri(picture, kind):
    stream = io.BytesIO()
    picture.save(stream, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def encoded(head, data):
    return f"{head},{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_three_kinds_are_taken(kind):
    picture = Image.new("RGB", (40, 30), (10, 200, 30))
    found = from_data_uri(uri(picture, kind))
    assert found.size == (40, 30)
    assert found.mode == "RGB"
    assert np.abs(np.asarray(found).astype(int) - [10, 200, 30]).max() < 12


def test_a_small_picture_reaches_the_page_exactly_and_a_large_one_small():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8))
    assert data_uri(picture).startswith("data:image/png;base64,")
    np.testing.assert_array_equal(from_data_uri(data_uri(picture)), picture)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (1500, 3000, 3), dtype=np.uint8))
    shown = data_uri(noise)
    assert shown.startswith("data:image/jpeg;base64,")
    assert from_data_uri(shown).size == (1024, 512)


def photo(width, height):
    """Soft shapes with grain, as a camera gives them."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((width, height))
    grain = rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("most", "longest"), [(400_000, 1024), (48_000, 384), (8_000, 128)])
def test_a_bounded_picture_is_the_largest_that_fits(most, longest):
    shown = data_uri(photo(1600, 1200), most)
    assert len(shown) <= most
    assert max(from_data_uri(shown).size) >= longest
    # what is small anyway stays exact
    small = Image.new("RGB", (96, 96), (10, 200, 30))
    assert data_uri(small, most) == data_uri(small)
    assert data_uri(small).startswith("data:image/png")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://example.org/cat.png", "expected a PNG, JPEG or WebP"),
        ("data:text/html;base64,PGI+", "expected a PNG, JPEG or WebP"),
        (encoded("data:image/svg+xml;base64", SVG), "expected a PNG, JPEG or WebP"),
        (encoded("data:image/png;base64", SVG), "no PNG, JPEG or WebP"),
        (encoded("data:image/png;base64", b"GIF89a" + b"\0" * 40), "no PNG, JPEG or WebP"),
        ("data:image/png;base64,@@@@", "not base64"),
        ("data:image/png;base64," + "A" * 28_000_000, "more than 20 MB"),
        ("", "expected a PNG, JPEG or WebP"),
    ],
)
def test_anything_else_is_refused(given, said):
    with pytest.raises(UsageError, match=said):
        from_data_uri(given)


def test_a_truncated_picture_is_refused_in_one_line():
    data = base64.b64decode(uri(Image.new("RGB", (64, 64), "red"), "PNG").partition(",")[2])
    with pytest.raises(ImageError, match="damaged") as caught:
        from_data_uri(encoded("data:image/png;base64", data[: len(data) // 2]))
    assert "\n" not in str(caught.value)


def test_a_scene_is_drawn_where_it_was_placed():
    pixels = np.asarray(drawn([{"shape": "square", "color": "blue", "cell": 5}]))
    # cell 5 is the middle right one of 3 x 3 cells of 32 pixels
    assert pixels[48, 80].tolist() == [50, 80, 220]
    assert pixels[48, 16].min() > 150


@pytest.mark.parametrize(
    "glyphs",
    [
        [],
        ["<script>"],
        [{"shape": "heart", "color": "red", "cell": 0}],
        [{"shape": "circle", "color": "red", "cell": 9}],
        [{"shape": "circle", "color": "red", "cell": True}],
        [{"shape": "circle", "color": "red", "cell": 1}, {"shape": "square", "color": "red", "cell": 1}],
        [{"shape": ["circle"], "color": "red", "cell": 1}],
    ],
)
def test_a_scene_that_cannot_be_is_refused(glyphs):
    with pytest.raises(UsageError):
        drawn(glyphs)
