"""What belongs to items, exchanged: against every order of six, and of three pictures with two questions each."""

from itertools import permutations

import numpy as np
import pytest

from vaslab.statistics import exchange_p

ERROR = 0.025
"""Four Monte Carlo errors of a share of 10,000 exchanges, at its widest, and the one that is counted."""


def far(drawn: list[float], observed: float) -> float:
    middle = np.mean(drawn)
    return float(np.mean(np.abs(np.array(drawn) - middle) >= abs(observed - middle) - 1e-12))


@pytest.mark.parametrize("follows", [0.0, 0.3, 1.0])
def test_p_is_that_of_every_order(follows: float) -> None:
    rng = np.random.default_rng(3)
    hits = (rng.random((6, 6)) < 0.3).astype(float)
    hits[np.diag_indices(6)] = rng.random(6) < 0.3 + follows
    drawn = [float(hits[np.arange(6), list(order)].mean()) for order in permutations(range(6))]
    expected = far(drawn, float(np.diag(hits).mean()))
    assert exchange_p(hits, np.arange(6)) == pytest.approx(expected, abs=ERROR)


def test_questions_of_a_picture_are_exchanged_together() -> None:
    rng = np.random.default_rng(4)
    hits = rng.random((6, 6))
    hits[np.diag_indices(6)] += 0.4
    labels = np.array([0, 0, 1, 1, 2, 2])
    drawn = []
    for order in permutations(range(3)):
        for turns in np.ndindex(2, 2, 2):
            partner = [2 * order[i // 2] + (i % 2 + turns[i // 2]) % 2 for i in range(6)]
            drawn.append(float(hits[np.arange(6), partner].mean()))
    expected = far(drawn, float(np.diag(hits).mean()))
    assert exchange_p(hits, labels) == pytest.approx(expected, abs=ERROR)
    # pictures of one and of three questions: each gets some that belong to one picture
    assert 0 < exchange_p(hits, np.array([0, 0, 0, 1, 2, 2])) <= 1


def test_rows_without_a_value_are_left_out_and_one_picture_is_no_test() -> None:
    hits = np.eye(8)
    hits[3] = np.nan
    assert exchange_p(hits, np.arange(8)) < 0.01
    assert np.isnan(exchange_p(np.eye(4), np.zeros(4, dtype=int)))
    assert np.isnan(exchange_p(np.full((4, 4), np.nan), np.arange(4)))
