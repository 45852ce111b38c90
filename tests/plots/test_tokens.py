"""The tokens figure: masses laid out by hand, findings on answers that fall, rise and stay."""

import numpy as np
import plotly.graph_objects as go
import pytest
import scipy.signal
import xarray as xr

from vaslab.errors import UsageError
from vaslab.plots import tokens, tokens_table
from vaslab.plots.tokens_words import title_of
from vaslab.prompts.roles import KEY_ROLES


def answer(image: np.ndarray) -> xr.Dataset:
    """One answer: image mass (token, layer); half the rest is on the system prompt, half on the answer."""
    mass = np.zeros((*image.shape, 8))
    mass[..., 3] = image
    mass[..., 1] = mass[..., 7] = (1 - image) / 2
    n = len(image)
    return xr.Dataset(
        {
            "row_mass": (("row", "layer", "key_role"), mass.astype("float32")),
            "row_item": ("row", np.zeros(n, dtype=int)),
            "row_position": ("row", np.arange(n) + 30),
            "row_role": ("row", np.full(n, 7)),
        },
        coords={
            "item": ["q"],
            "layer": np.arange(image.shape[1]),
            "key_role": [role.name for role in KEY_ROLES],
        },
    )


def flat(values: list[float], layers: int = 3) -> xr.Dataset:
    return answer(np.tile(np.array(values)[:, None], (1, layers)))


def title(fig: go.Figure) -> str:
    return str(fig.layout.title.text).replace("<br>", " ")


def words(fig: go.Figure) -> str:
    return " | ".join(str(a.text) for a in fig.layout.annotations).replace("<br>", " ").replace("\u00a0", " ")


def test_rows_are_those_that_produced_the_token() -> None:
    own = tokens_table(flat([0.5, 0.2, 0.8]), "q", rows="own")
    np.testing.assert_allclose(own["image"].to_numpy()[::3], [0.5, 0.2, 0.8], rtol=1e-6)
    np.testing.assert_allclose(own["vas"].to_numpy()[::3], [0.5 / 0.25, 0.2 / 0.4, 0.8 / 0.1], rtol=1e-5)
    emitting = tokens_table(flat([0.5, 0.2, 0.8]), "q")
    np.testing.assert_allclose(emitting["image"].to_numpy()[::3], [np.nan, 0.5, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        # 39 rows are measured, the first 39: rows 0 to 6 and 32 to 38
        (np.linspace(0.6, 0.2, 40), "falls along this answer: 57% in its first fifth, 24% in its last"),
        (np.linspace(0.2, 0.6, 40), "rises along this answer"),
        (np.full(40, 0.3), "stays near 30% along this answer"),
        (np.full(40, 0.3) + 0.01 * (-1.0) ** np.arange(40), "stays near 30% along this answer"),
        # a hump and a dip, and ends that differ with a hump between
        (
            np.repeat([0.1, 0.9, 0.1], (8, 24, 8)),
            "ends where it began along this answer, after a rise to 90%",
        ),
        (
            np.repeat([0.6, 0.1, 0.6], (8, 24, 8)),
            "ends where it began along this answer, after a fall to 10%",
        ),
        (
            np.repeat([0.5, 0.9, 0.3], (8, 24, 8)),
            "falls along this answer, but not steadily: 50% in its first fifth",
        ),
        (np.array([0.4, 0.4]), "40% of attention lies on the image in this answer"),
    ],
)
def test_the_title_is_what_the_answer_does(curve: np.ndarray, expected: str) -> None:
    assert expected in title(tokens(flat(list(curve)), "q"))


def test_an_answer_without_trend_is_titled_by_none() -> None:
    """Tokens that vary by themselves, alone or with their neighbours, leave fifths apart; a real fall is still told."""
    named = {0.0: 0, 0.6: 0}
    for kept in named:
        for seed in range(100):
            rng = np.random.default_rng(seed)
            noise = scipy.signal.lfilter([1], [1, -kept], rng.normal(0, 0.05, 100))[-41:]
            text = title_of(np.tile((0.4 + noise)[:, None], (1, 3)))
            named[kept] += " falls " in text or " rises " in text
            falling = title_of(np.tile((0.6 - np.linspace(0, 0.4, 41) + noise / 3)[:, None], (1, 3)))
            assert " falls along this answer" in falling
    # at 5 % each, of 100; the second knows its correlation only from 40 tokens
    assert named[0.0] <= 5
    assert named[0.6] <= 10
    rng = np.random.default_rng(1)
    assert "does not clearly change along this answer" in title_of(0.4 + rng.normal(0, 0.1, (40, 1)))


def test_parts_texts_and_the_gap_are_shown() -> None:
    texts = ["<think>", "red", "</think>", "yes"]
    fig = tokens(flat([0.5, 0.4, 0.3, 0.2]), "q", texts)
    assert " | think | answer | " in words(fig)
    assert list(fig.layout.xaxis2.ticktext) == ["&lt;think&gt;", "red", "&lt;/think&gt;", "yes"]
    gap = next(t for t in fig.data if t.hovertemplate and "not measured" in t.hovertemplate)
    assert np.isfinite(np.array(gap.z, dtype=float)).sum() == 3
    assert "that of the first token is not measured" in words(fig)


def test_long_answers_have_windows_and_an_overview() -> None:
    fig = tokens(flat(list(np.linspace(0.5, 0.1, 1200)), 4), "q", window=2)
    assert list(fig.layout.xaxis2.range) == [999.5, 1199.5]
    assert "Tokens 1,000 to 1,199 of 1,200" in words(fig)
    assert len(fig.to_json()) < 300_000
    with pytest.raises(UsageError, match="window 3; this answer of 1200 tokens has 3 windows, from 0"):
        tokens(flat(list(np.linspace(0.5, 0.1, 1200)), 4), "q", window=3)


def test_shares_use_one_hue_from_0() -> None:
    fig = tokens(flat([0.5, 0.4, 0.3, 0.2]), "q", value="share")
    drawn = next(t for t in fig.data if t.type == "heatmap" and t.zmax == pytest.approx(50))
    assert drawn.zmin == 0
    assert drawn.colorscale[0][1] == "#ffffff"


def test_wrong_calls_say_what_there_is() -> None:
    with pytest.raises(UsageError, match="no answer of item 'x'; the capture holds q"):
        tokens_table(flat([0.5, 0.2]), "x")
    with pytest.raises(UsageError, match="has 2 answer tokens in the capture and 1 texts"):
        tokens_table(flat([0.5, 0.2]), "q", ["a"])
    with pytest.raises(UsageError, match="rows is 'next'"):
        tokens_table(flat([0.5, 0.2]), "q", rows="next")
    with pytest.raises(UsageError, match="value is 'mass'"):
        tokens(flat([0.5, 0.2]), "q", value="mass")
    with pytest.raises(UsageError, match="nothing of the answer of item q was measured; it is 1 token long"):
        tokens(flat([0.5]), "q")


def test_token_texts_cannot_inject_markup() -> None:
    fig = tokens(flat([0.5, 0.4, 0.2]), "q", ["<img src=x>", "%{x}", "c"])
    text = fig.to_json().replace("\\u003c", "<")
    assert "<img" not in text
