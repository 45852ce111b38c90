"""Attention along answers: rows laid out by hand, and those of a real capture."""

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr
from PIL import Image

from vaslab.capture.capture import capture as measure
from vaslab.errors import UsageError
from vaslab.metrics import along_answer, along_parts, answer_parts, answer_rows, forgetting, part_means
from vaslab.prompts.prompt import Prompt


def with_rows(curves: dict[int, list[float]], layers: int = 2) -> xr.Dataset:
    """`hand` with answer rows: image mass of each answer token, the same in every layer; the rest on the answer. Rows
    stand in any order, between rows of the question."""
    rows = [(item, 20 + t, 7, value) for item, curve in curves.items() for t, value in enumerate(curve)]
    rows += [(item, 5, 2, 0.9) for item in curves]
    order = np.random.default_rng(0).permutation(len(rows))
    item, position, role, value = (np.array(column)[order] for column in zip(*rows, strict=True))
    mass = np.zeros((len(rows), layers, 8))
    mass[:, :, 3] = value[:, None]
    mass[:, :, 7] = 1 - value[:, None]
    return made.hand().assign(
        row_mass=(("row", "layer", "key_role"), mass.astype("float16")),
        row_item=("row", item),
        row_position=("row", position),
        row_role=("row", role),
    )


FALLING = {0: [0.8, 0.6, 0.4, 0.2], 1: [0.5] * 6}


def test_rows_of_answers_are_put_in_order() -> None:
    found = answer_rows(with_rows(FALLING))
    assert list(found["token"].values) == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]
    assert list(found["item"].values) == ["item-00000"] * 4 + ["item-00001"] * 6
    np.testing.assert_allclose(found.sel(key_role="image")[:4, 0], FALLING[0], atol=1e-3)


def test_along_the_answer_by_hand() -> None:
    found = along_answer(with_rows(FALLING), bins=2)
    # places 0, 1/3 | 2/3, 1
    np.testing.assert_allclose(found, [[0.7, 0.3], [0.5, 0.5]], atol=1e-3)
    np.testing.assert_allclose(found["part"], [0.25, 0.75])
    gaps = along_answer(with_rows({0: [0.8, 0.2]}), bins=4)
    np.testing.assert_array_equal(np.isnan(gaps), [[False, True, True, False]])


def test_forgetting_is_the_slope_over_the_answer() -> None:
    found = forgetting(with_rows({**FALLING}))
    np.testing.assert_allclose(found["change"], [-0.6, 0], atol=2e-3)
    np.testing.assert_allclose(found["share"], [-1.2, 0], atol=4e-3)
    assert list(found["n_tokens"].values) == [4, 6]
    assert np.isnan(forgetting(with_rows({0: [0.4, 0.2], 1: [0.1]}))["change"]).all()
    answers = forgetting(with_rows(FALLING), role="response")
    np.testing.assert_allclose(answers["change"], [0.6, 0], atol=2e-3)


@pytest.mark.parametrize(
    ("tokens", "parts"),
    [
        (["<think>", "a", "</think>", "<answer>", "b"], [("think", 0, 3), ("answer", 3, 5)]),
        (["<th", "ink>", "a ", "</", "think", ">b", "c"], [("think", 0, 6), ("answer", 6, 7)]),
        (["yes"], [("answer", 0, 1)]),
        (["<think>", "a", "</think>"], [("think", 0, 3)]),
        ([], [("answer", 0, 0)]),
    ],
)
def test_where_thinking_ends(tokens: list[str], parts: list[tuple[str, int, int]]) -> None:
    assert answer_parts(tokens) == parts


def test_means_before_and_after_the_turn() -> None:
    tokens = {"item-00000": ["a", "b", "</think>", "c"], "item-00001": list("abcdef")}
    found = part_means(with_rows(FALLING), tokens)
    np.testing.assert_allclose(found[0], [0.6, 0.2], atol=1e-3)
    np.testing.assert_allclose(found[1], [np.nan, 0.5], atol=1e-3)
    with pytest.raises(UsageError, match="item item-00001 has 6 answer tokens in the capture and 0 texts"):
        part_means(with_rows(FALLING), {"item-00000": tokens["item-00000"]})


def test_captures_without_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="kept no rows; capture with rows=True"):
        along_answer(made.hand())
    with pytest.raises(UsageError, match="holds no answer token"):
        answer_rows(with_rows({0: []}).assign(row_role=("row", [2])))
    with pytest.raises(UsageError, match="unknown key role 'picture'"):
        forgetting(with_rows(FALLING), "picture")
    with pytest.raises(UsageError, match="at least 2"):
        along_answer(with_rows(FALLING), bins=1)


@pytest.mark.tiny
def test_rows_of_a_real_capture(tiny) -> None:
    prompts = [
        Prompt(user="what is at the top?", images=[Image.new("RGB", (112, 112), c)]) for c in ("red", "blue")
    ]
    ids = [[tiny.processor.tokenizer.eos_token_id] * n for n in (5, 3)]
    capture = measure(tiny, prompts, ("user", "response"), rows=True, responses=ids)
    found = answer_rows(capture)
    assert list(found["token"].values) == [0, 1, 2, 3, 4, 0, 1, 2]
    own = capture["mass"].sel(query_role="response").mean("head")
    for item in range(2):
        rows = found.values[found["item"].values == capture["item"].values[item]]
        np.testing.assert_allclose(rows.mean(0), own[item], atol=1e-3)  # rows are float16
    assert along_answer(capture, bins=2).shape == (2, 2)


def test_thinking_and_answer_have_places_of_their_own() -> None:
    texts = ["<think>", "a", "b", "</think>", "yes", "."]
    capture = with_rows({0: [0.8, 0.6, 0.4, 0.2, 0.9, 0.7], 1: [0.5] * 6})
    tokens = {"item-00000": texts, "item-00001": ["x"] * 6}
    found = along_parts(capture, tokens, bins=(2, 1))
    # of the second nothing is thinking
    np.testing.assert_allclose(found, [[0.7, 0.3, 0.8], [np.nan, np.nan, 0.5]], atol=1e-3)
    assert list(found["part"].values) == ["think", "think", "answer"]
    np.testing.assert_allclose(found["within"], [0.25, 0.75, 0.5])
    with pytest.raises(UsageError, match="has 6 answer tokens in the capture and 2 texts"):
        along_parts(capture, {**tokens, "item-00001": ["x", "y"]})
    with pytest.raises(UsageError, match="at least 1 of each"):
        along_parts(capture, tokens, bins=(0, 3))
