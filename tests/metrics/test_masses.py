"""One rule for items without a picture: what a summary, a figure and a table say of one run agrees."""

import numpy as np
import pytest
import xarray as xr

from vaslab.metrics import masses, shares
from vaslab.plots.head_numbers import heads_table
from vaslab.plots.lazy_numbers import lazy_table
from vaslab.prompts.roles import KEY_ROLES

ROLES = [role.name for role in KEY_ROLES]


def mixed(n_image):
    """Three items, two layers, two heads; the last item may lack its picture."""
    mass = np.zeros((3, 2, 2, 1, len(ROLES)), np.float32)
    for item, (image, system) in enumerate([(0.5, 0.25), (0.3, 0.3), (0.0, 0.8)]):
        mass[item, ..., ROLES.index("image")] = image
        mass[item, ..., ROLES.index("system")] = system
        mass[item, ..., ROLES.index("user")] = 1 - image - system
    per_head = ("item", "layer", "head", "query_role")
    vas = np.stack([np.full((2, 2, 1), value, np.float32) for value in (2.0, 1.0, np.nan)])
    n_keys = np.ones((3, len(ROLES)), int)
    n_keys[:, ROLES.index("image")] = n_image
    return xr.Dataset(
        {
            "mass": ((*per_head, "key_role"), mass),
            "vas": (per_head, vas),
            "vas_no_sink": (per_head, vas),
            "clamped": (per_head, np.zeros_like(vas)),
            "n_queries": (("item", "query_role"), [[3], [5], [4]]),
            "n_keys": (("item", "key_role"), n_keys),
            "before_image": (("item", "query_role"), [[0.0], [0.0], [0.0]]),
        },
        coords={
            "item": ["a", "b", "c"],
            "layer": [0, 1],
            "head": [0, 1],
            "query_role": ["user"],
            "key_role": ROLES,
        },
    )


def test_an_item_without_a_picture_counts_in_no_mean():
    capture = mixed([4, 4, 0])
    found = masses(capture, over=("layer", "head", "item"))
    assert float(found.sel(role="image")) == pytest.approx(0.4)
    assert float(found.sel(role="system")) == pytest.approx(0.275)
    assert found.attrs["n_items"] == 2
    assert bool(shares(capture).sel(item="c").isnull().all())
    lazy = lazy_table({"run": capture})
    assert lazy.loc[lazy["role"] == "image", "share"].tolist() == pytest.approx([0.4, 0.4])
    assert set(lazy["n_items"]) == {2}
    heads = heads_table(capture)
    assert heads["image"].tolist() == pytest.approx([0.4] * 4)
    assert set(heads["n_items"]) == {2}


def test_where_no_item_has_a_picture_all_count():
    found = masses(mixed([0, 0, 0]), over=("layer", "head", "item"))
    assert float(found.sel(role="system")) == pytest.approx(0.45)
    assert found.attrs["n_items"] == 3
