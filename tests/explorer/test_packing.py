"""Quantisation: the bound that the page states, by brute force and by hand."""

import numpy as np
import pytest

from vaslab.explorer.packing import QUANTISATION, float_bytes, pack, pack_mean


@pytest.mark.parametrize("sharpness", [0.1, 3.0, 30.0])
def test_every_value_is_within_the_stated_bound(sharpness):
    scores = np.random.default_rng(0).normal(0, sharpness, (200, 400))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    cells = (0.7 * weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    packed = pack(cells)
    off = np.abs(packed.values.astype(np.float64) - cells)
    assert (off <= cells.max(axis=1, keepdims=True) / 510 * 1.0001).all()
    # the sentence on the page: 0.2 % of the row's largest patch
    assert off.max() / cells.max() <= 0.002
    assert "0.2 %" in QUANTISATION
    np.testing.assert_allclose(packed.share, 0.7, rtol=1e-6)


def test_by_hand():
    packed = pack(np.array([[0.0, 0.1, 0.2], [0.0, 0.0, 0.0], [1.0, 0.5, 0.001]], dtype=np.float32))
    assert packed.cells.tolist() == [[0, 128, 255], [0, 0, 0], [255, 128, 0]]
    np.testing.assert_allclose(packed.scale, [0.2, 0.0, 1.0])
    assert not packed.values[1].any()


def test_tiny_rows_do_not_overflow():
    packed = pack(np.array([[1e-38, 5e-39, 0.0]], dtype=np.float32))
    assert packed.cells.tolist() == [[255, 128, 0]]


def test_the_mean_of_rows_keeps_the_share_of_each():
    cells = np.array([[0.2, 0.0], [0.0, 0.4]], dtype=np.float32)
    packed = pack_mean(cells)
    np.testing.assert_allclose(packed.share, [0.2, 0.4])
    np.testing.assert_allclose(packed.values, [[0.1, 0.2]], atol=0.2 / 510)


def test_bytes_are_little_endian_float32():
    assert float_bytes([1.0, np.nan])[:4] == b"\x00\x00\x80\x3f"
    assert len(float_bytes(np.zeros((2, 3)))) == 24
