"""Numbers of a summary against hand-computed ones."""

import math

import numpy as np
import pytest
import xarray as xr

from vaslab.benchmarks import Item
from vaslab.prompts.roles import KEY_ROLES
from vaslab.studies.summary import summarise as summarise_run


def capture_of(image, system, vas):
    """Two items, one layer, one head: given masses, the rest on user."""
    roles = [role.name for role in KEY_ROLES]
    mass = np.zeros((2, 1, 1, 1, len(roles)), np.float32)
    mass[:, 0, 0, 0, roles.index("image")] = image
    mass[:, 0, 0, 0, roles.index("system")] = system
    mass[:, 0, 0, 0, roles.index("user")] = 1 - np.add(image, system)
    per_head = ("item", "layer", "head", "query_role")
    one = np.asarray(vas, np.float32)[:, None, None, None]
    return xr.Dataset(
        {
            "mass": ((*per_head, "key_role"), mass),
            "vas": (per_head, one),
            "vas_no_sink": (per_head, one),
            "clamped": (per_head, np.zeros_like(one)),
            "n_queries": (("item", "query_role"), [[3], [5]]),
            "n_keys": (("item", "key_role"), np.ones((2, len(roles)), int)),
            "before_image": (("item", "query_role"), [[0.0], [0.5]]),
        },
        coords={"item": ["a", "b"], "layer": [0], "head": [0], "query_role": ["user"], "key_role": roles},
    )


class Halves:
    """Guessing reaches a half of the items of kind `two` and a quarter of the others."""

    name = title = source = licence = forbidden = rule = ""

    def select(self, limit=None, seed=0):
        raise NotImplementedError

    def grade(self, item, response):
        raise NotImplementedError

    def chance(self, items):
        return sum(0.5 if item.kind == "two" else 0.25 for item in items) / len(items)

    def scores(self, items, grades):
        assert [item.id for item in items] == [grade.extracted or "1" for grade in grades]
        return {"both": float(all(grade.right for grade in grades)), "none": math.nan}


def row(**changes):
    told = {"right": True, "extracted": "0", "finished": True, "guessed": False, "by": "rule", "reason": ""}
    return {"error": "", "error_kind": "", **told} | changes


def summarise(rows, capture, about, seed):
    items = [Item(str(number), "?", kind="two" if number == 0 else "four") for number in range(len(rows))]
    return summarise_run(Halves(), items, rows, capture, about, seed)


ROWS = [
    row(),
    row(right=False, extracted=None, finished=False),
    row(right=None, error="gone.png: no", error_kind="its picture: no", extracted=None, finished=None),
    row(right=None, reason="no reference answer"),
]


def test_masses_are_those_of_items_with_a_picture():
    capture = capture_of([0.4, 0.0], [0.1, 0.6], [4.0, np.nan])
    capture["n_keys"].loc[{"item": "b", "key_role": "image"}] = 0
    found = summarise(ROWS[:2], capture, {}, seed=0)["queries"]["user"]["masses"]
    assert (found["image"]["estimate"], found["image"]["n"]) == (pytest.approx(0.4), 1)
    assert found["system"]["estimate"] == pytest.approx(0.1)
    capture["n_keys"].loc[{"key_role": "image"}] = 0
    assert summarise(ROWS[:2], capture, {}, seed=0)["queries"]["user"]["masses"]["system"]["n"] == 2


def test_a_summary_by_hand():
    found = summarise(ROWS, capture_of([0.4, 0.2], [0.1, 0.4], [4.5, 0.5]), {"model": "m"}, seed=0)
    assert found["model"] == "m"
    assert (found["n"], found["n_measured"], found["n_unfinished"]) == (4, 3, 1)
    assert found["failed"] == {"its picture: no": 1}
    assert (found["accuracy"]["estimate"], found["accuracy"]["n"]) == (0.5, 2)
    assert found["accuracy"]["not_extracted"] == 1
    assert found["accuracy"]["judged_by"] == {"rule": 2}
    assert found["not_graded"] == {"no reference answer": 1}
    # of the graded items, one has two options and one has four
    assert found["chance"] == pytest.approx(0.375)
    assert found["scores"] == {"both": 0.0, "none": None}
    user = found["queries"]["user"]
    assert user["vas"]["estimate"] == pytest.approx(2.5)
    assert user["vas"]["form"] == "mean_of_ratios"
    assert user["vas_ratio_of_means"]["estimate"] == pytest.approx(0.3 / 0.25)
    # one image token, and a system of two: its sink has no mass
    assert user["vas_per_token"]["estimate"] == pytest.approx(2 * 2.5)
    assert user["vas_ratio_of_means_per_token"]["estimate"] == pytest.approx(2 * 0.3 / 0.25)
    assert user["vas_no_sink"]["estimate"] == pytest.approx(2.5)
    assert user["vas_ratio_of_means_no_sink"]["estimate"] == pytest.approx(0.3 / 0.25)
    masses = {role: user["masses"][role]["estimate"] for role in ("image", "system", "user")}
    assert masses == pytest.approx({"image": 0.3, "system": 0.25, "user": 0.45})
    assert user["before_image_share"] == pytest.approx(0.25)
    assert (user["clamped_share"], user["n_queries"]) == (0.0, 8)


def test_a_ratio_of_means_rests_on_the_floor_as_it_does_in_figures():
    """Mean system mass 6e-9: the floor is on the mean, before a division by two system tokens and one of the image."""
    found = summarise(ROWS, capture_of([0.4, 0.2], [1e-8, 2e-9], [4e5, 2e5]), {"model": "m"}, seed=0)
    user = found["queries"]["user"]
    assert user["vas_ratio_of_means"]["estimate"] == pytest.approx(0.3 / 1e-6)
    assert user["vas_ratio_of_means_per_token"]["estimate"] == pytest.approx(2 * 0.3 / 1e-6)
    # one item above the floor lifts the mean above it: that is divided by as it is
    mixed = summarise(ROWS, capture_of([0.4, 0.2], [0.1, 2e-9], [4.0, 2e5]), {"model": "m"}, seed=0)
    assert mixed["queries"]["user"]["vas_ratio_of_means"]["estimate"] == pytest.approx(0.3 / 0.05, rel=1e-6)


def test_wilson_by_hand():
    """Wilson (1927): centre (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p q / n + z^2/4n^2) / (1 + z^2/n)."""
    rows = [row(right=index < 8, extracted=str(index), guessed=index > 6) for index in range(10)]
    found = summarise(rows, capture_of([0.4, 0.2], [0.1, 0.4], [4.0, 0.5]), {}, seed=0)["accuracy"]
    z, p, n = 1.959964, 0.8, 10
    centre = (p + z * z / 2 / n) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / (1 + z * z / n)
    assert found["guessed"] == 3
    assert (found["low"], found["high"]) == pytest.approx((centre - half, centre + half), abs=1e-6)


def test_without_a_vas_the_masses_still_stand():
    capture = capture_of([0.4, 0.2], [0.0, 0.0], [np.nan, np.nan])
    capture["n_keys"].loc[{"key_role": ["system", "system_sink"]}] = 0
    user = summarise(ROWS, capture, {}, seed=0)["queries"]["user"]
    assert user["vas"]["estimate"] is None
    assert "no system token" in user["vas"]["reason"]
    assert user["masses"]["image"]["estimate"] == pytest.approx(0.3)
