"""Which keys: every form that changes some keys takes their roles or a region, against the formula on eager
attention; and steering of rows that stand before its region."""

import pytest
import torch

import vaslab
from vaslab.interventions import Region
from vaslab.prompts.roles import Role

from .direct import direct, generated, places
from .test_formulas import PATCHES, REGIONS, check

pytestmark = pytest.mark.tiny


def of_role(encoded, item, n_keys, *roles):
    """Positions of some roles; those past the prompt are of the answer."""
    told = encoded.roles[item].tolist() + [int(Role.response)] * (n_keys - encoded.roles.shape[1])
    return [place for place, role in enumerate(told) if role in roles]


def inside(at, item):
    return [at[item].visual[patch] for patch in PATCHES[item]]


@pytest.mark.parametrize("name", ["avar", "additive"])
def test_roles_of_keys_that_are_enhanced_and_suppressed(qwen, encoded, name):
    """User text and the answer so far are enhanced, the picture is suppressed."""
    at = places(encoded)

    def before(layer, item, head, row, scores):
        if at[item].after_image(row):
            keys = of_role(encoded, item, len(scores), Role.user, Role.response)
            if name == "avar":
                scores[keys] *= 1.5
                scores[at[item].visual] *= 0.4
            else:
                scores[keys] += torch.tensor(1.5).log()
                scores[at[item].visual] += torch.tensor(0.4).log()

    def reference():
        with direct(qwen.model, before):
            return generated(qwen, encoded.inputs)

    settings = {"keys": ["user", "response"], "against": "image", "alpha": 0.5, "beta": 0.6}
    check(qwen, encoded, reference, name, **settings)


@pytest.mark.parametrize(
    ("name", "settings", "rows", "change"),
    [
        ("enhance", {"alpha": 1}, "after", lambda scores: 2 * scores),
        ("pai", {"alpha": 1, "gamma": 1, "layers": "all"}, "emitting", lambda s: s + s.abs()),
        ("adaptvis", {"threshold": 0, "sure": 3}, "last", lambda scores: 3 * scores),
        ("additive", {"alpha": 3, "beta": 0}, "after", lambda s: s + torch.tensor(4.0).log()),
    ],
)
def test_a_region_in_place_of_the_whole_picture(qwen, encoded, name, settings, rows, change):
    at = places(encoded)
    chosen = {
        "after": lambda item, row: at[item].after_image(row),
        "emitting": lambda item, row: at[item].emitting(row),
        "last": lambda item, row: row == at[item].length - 1,
    }[rows]

    def before(layer, item, head, row, scores):
        if chosen(item, row):
            scores[inside(at, item)] = change(scores[inside(at, item)])

    def reference():
        with direct(qwen.model, before):
            return generated(qwen, encoded.inputs)

    check(qwen, encoded, reference, name, regions=REGIONS, **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("var", {"tau": 3.0, "least": 0.0, "rho": 1.0}), ("sparc", {"tau": 0.0, "alpha": 3})],
)
def test_forms_that_follow_the_model_take_regions(qwen, encoded, name, settings):
    """An item without a region is left alone; a region of the whole picture is the picture."""

    def logits(**regions):
        with vaslab.intervene(qwen, name, **settings, **regions):
            return torch.stack(generated(qwen, encoded.inputs).logits, dim=1)

    plain = torch.stack(generated(qwen, encoded.inputs).logits, dim=1)
    # the other picture is of one colour: all of it would be a sink, and nothing left to take the weight
    whole, found = logits(), logits(regions=[Region((0, 0, 96, 96), (96, 96)), None])
    assert float((found[1] - plain[1]).abs().max()) < 1e-5
    assert float((found[0] - whole[0]).abs().max()) < 1e-5
    assert float((found[0] - plain[0]).abs().max()) > 1e-4


@pytest.mark.parametrize("queries", ["all", "text"])
@pytest.mark.parametrize(
    ("mode", "bias"), [("boost_suppress", 100), ("boost_suppress", 3.0), ("suppress_image", 100)]
)
def test_rows_before_the_region_lose_the_rest_of_the_picture(qwen, encoded, queries, mode, bias):
    """A row that cannot see the region keeps its text: the formula as it is, whatever the bias."""
    at = places(encoded)
    # the lower right: text and most of the picture stand before it
    regions = [Region((64, 64, 96, 96), (96, 96)), Region((64, 32, 96, 64), (96, 64))]
    patches = [[28, 29, 34, 35], [16, 17, 22, 23]]

    def before(layer, item, head, row, scores):
        held = [at[item].visual[patch] for patch in patches[item]]
        if row < at[item].first or (queries == "text" and row in at[item].visual):
            return
        scores[[key for key in at[item].visual if key not in held]] -= bias
        if mode == "boost_suppress":
            scores[held] += bias

    def reference():
        with direct(qwen.model, before):
            return generated(qwen, encoded.inputs)

    check(qwen, encoded, reference, "steer", regions=regions, queries=queries, mode=mode, bias=bias)
