"""Masses apart and shares per layer, against hand sums."""

import numpy as np
import pytest
import synthetic_capture as made

from vaslab.errors import UsageError
from vaslab.metrics import masses, shares


def test_masses_join_the_sink_to_the_system_message_and_sum_to_one() -> None:
    out = masses(made.hand())
    assert out.dims == ("item", "layer", "head", "role")
    assert "system_sink" not in out["role"].values
    np.testing.assert_allclose(out.sel(role="system", head=0), [[0.3, 0.5], [0.5, 0.1]], rtol=1e-5)
    np.testing.assert_allclose(out.sum("role"), 1, rtol=1e-5)


def test_sink_apart() -> None:
    out = masses(made.hand(), sink="exclude", over=("layer", "head", "item"))
    # means over (item, layer): sink (.15 + .4 + .1 + .05) / 4, system (.15 + .1 + .4 + .05) / 4
    np.testing.assert_allclose(out.sel(role="system_sink"), 0.7 / 4, rtol=1e-5)
    np.testing.assert_allclose(out.sel(role="system"), 0.7 / 4, rtol=1e-5)
    np.testing.assert_allclose(out.sum("role"), 1, rtol=1e-5)
    assert out.attrs["averaged"] == "mean over queries, then layers, then heads, then items"


def test_item_without_queries_is_nan_and_left_out_of_the_mean() -> None:
    capture = made.blank(made.hand(), 0, "query")
    out = masses(capture)
    assert np.isnan(out.isel(item=0)).all()
    np.testing.assert_allclose(
        masses(capture, over=("item",)).sel(role="image", head=0), [0.5, 0.8], rtol=1e-5
    )
    assert out.attrs["n_items"] == 1


def test_item_without_system_turn_still_has_shares() -> None:
    out = shares(made.blank(made.hand(), 0, "system"))
    np.testing.assert_allclose(out.sel(role="system").isel(item=0), 0)
    np.testing.assert_allclose(out.sel(role="image").isel(item=0), [0.4, 0.25], rtol=1e-5)


def test_shares_average_heads_within_item_and_layer() -> None:
    row = [0.1, 0.1, 0.4, 0.4, 0, 0, 0, 0]
    other = [0.2, 0.2, 0.4, 0.2, 0, 0, 0, 0]
    capture = made.from_rows({(0, 0, 0): [row], (0, 0, 1): [other]}, [[1, 1, 1, 1, 0, 0, 0, 0]])
    out = shares(capture)
    assert out.dims == ("item", "layer", "role")
    got = [out.sel(role=role).item() for role in ("image", "system", "user")]
    np.testing.assert_allclose(got, [0.3, 0.3, 0.4], rtol=1e-5)


def test_unknown_query_role_lists_what_the_capture_holds() -> None:
    with pytest.raises(UsageError, match=r"unknown query role 'answer': this capture holds user"):
        shares(made.hand(), "answer")
