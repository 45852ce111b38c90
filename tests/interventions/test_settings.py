"""Values that cannot be: each is refused when the intervention is made, in one line that names the fix."""

import numpy as np
import pytest
import torch

import vaslab
from vaslab.errors import UsageError
from vaslab.interventions import EditedModel, Region, make_intervention
from vaslab.interventions.registry import as_intervention

BOX = Region((0, 0, 32, 32), (96, 96))
PAIRS = r"expected \(layer, head\) pairs, as \[\(3, 0\), \(3, 5\)\]"
INF = float("inf")

WRONG = [
    # names
    ("vaff", {}, "there is no intervention 'vaff'; did you mean 'vaf'"),
    (3, {}, "there is no intervention 3; expected avar, vaf"),
    (None, {}, "there is no intervention None; expected avar"),
    ("vaf", {"aplha": 1}, "vaf has no setting 'aplha'; did you mean 'alpha'"),
    ("ablate", {"heads": [(0, 0)], "keys": ["user"]}, "ablate has no setting 'keys'; .*layers, heads"),
    # numbers
    ("vaf", {"alpha": -1}, "alpha is -1; expected a finite number, at least 0"),
    ("vaf", {"alpha": "strong"}, "alpha is 'strong'; expected a finite number, at least 0"),
    ("vaf", {"alpha": True}, "alpha is True; expected a finite number"),
    ("vaf", {"alpha": None}, "alpha is None; expected a finite number"),
    (
        "additive",
        {"alpha": 1e39},
        "alpha is 1e[+]39; expected a finite number, at least 0 and within float32",
    ),
    ("vaf", {"alpha": INF}, "alpha is inf; expected a finite number"),
    ("vaf", {"alpha": float("nan")}, "alpha is nan; expected a finite number"),
    ("vaf", {"alpha": [0.1]}, r"alpha is \[0.1\]; expected a finite number"),
    ("vaf", {"beta": 2}, "beta is 2; expected a finite number, 0 to 1"),
    ("steer", {"regions": BOX, "bias": INF}, "bias is inf; expected a finite number"),
    ("pai", {"gamma": 0.5}, "gamma is 0.5; expected a finite number, at least 1"),
    ("var", {"p": 1.2}, "p is 1.2; expected a finite number, 0 to 1"),
    ("adaptvis", {"threshold": "low"}, "threshold is 'low'; expected a finite number, 0 to 1"),
    ("sparc", {"layer": 1.5}, "layer is 1.5; expected a whole number"),
    # layers
    ("vaf", {"layers": 2}, r"layers is 2; expected all, middle, FIRST-, FIRST-LAST, or a list, as \[2, 3\]"),
    ("vaf", {"layers": None}, "layers is None; expected all, middle"),
    ("vaf", {"layers": "midle"}, "layers is 'midle'; did you mean 'middle'"),
    ("vaf", {"layers": "2"}, "layers is '2'; expected all, middle"),
    ("vaf", {"layers": "3-1"}, "layers is '3-1'; expected all, middle"),
    ("vaf", {"layers": ["a"]}, r"layers\[0\] is 'a'; expected a whole number"),
    ("vaf", {"layers": [1.7]}, r"layers\[0\] is 1.7; expected a whole number"),
    ("vaf", {"layers": [0, True]}, r"layers\[1\] is True; expected a whole number"),
    ("vaf", {"layers": []}, r"layers is \[\], which names no layer; leave layers out"),
    ("vaf", {"layers": {"first": 2}}, "layers is {'first': 2}; expected all, middle"),
    # heads
    ("vaf", {"heads": "visual"}, f"heads is 'visual'; {PAIRS}, such as heads_of_role"),
    ("vaf", {"heads": {"top": 3}}, f"heads is {{'top': 3}}; {PAIRS}, such as .*top_heads"),
    ("vaf", {"heads": [3, 0]}, f"heads holds 3; {PAIRS}"),
    ("vaf", {"heads": (3, 0)}, f"heads holds 3; {PAIRS}"),
    ("vaf", {"heads": [(3,)]}, PAIRS),
    ("vaf", {"heads": ["30"]}, f"heads is '30'; {PAIRS}"),
    ("vaf", {"heads": [(1, 0.5)]}, "heads: head is 0.5; expected a whole number"),
    ("vaf", {"heads": [(-1, 0)]}, "counted from 0"),
    ("vaf", {"heads": []}, r"heads is \[\], which names no head; leave heads out"),
    # queries and steps
    ("vaf", {"queries": "users"}, "queries holds 'users', which is unknown; did you mean 'user'"),
    ("vaf", {"queries": None}, "queries is None; expected one or more of all, text"),
    ("vaf", {"queries": []}, r"queries is \[\], which names none; expected one or more of all"),
    ("vaf", {"queries": [3]}, "queries holds 3, which is unknown; expected all, text"),
    ("vaf", {"steps": (3, 1)}, r"steps is \(3, 1\); expected \(first, end\) with 0 <= first < end"),
    ("vaf", {"steps": [0, "x"]}, r"steps\[1\] is 'x'; expected a whole number"),
    ("vaf", {"steps": 4}, r"steps is 4; expected \(first, end\)"),
    ("vaf", {"steps": [1, 2, 3]}, r"steps is \[1, 2, 3\]; expected \(first, end\)"),
    ("vaf", {"steps": "0-4"}, r"steps is '0-4'; expected \(first, end\)"),
    # keys and regions
    ("block", {"keys": ["picture"]}, "keys holds 'picture', which is unknown; expected system_sink"),
    ("block", {"keys": None}, "keys is None; expected one or more of system_sink"),
    ("block", {"keys": []}, "names none; expected one or more of system_sink"),
    ("avar", {"keys": "system"}, "keys and against both name system"),
    ("avar", {"keys": "user", "regions": BOX}, "regions are given, which are of visual tokens; give one"),
    ("sparc", {"keys": ["response"]}, "leave response out of keys"),
    ("block", {"regions": "answer"}, r"regions is 'answer'; expected Region.*words of a sweep"),
    ("block", {"regions": [BOX, 3]}, r"regions\[1\] is 3; expected Region"),
    ("block", {"regions": 3}, "regions is 3; expected Region"),
    ("block", {"regions": []}, "regions is empty; expected Region"),
    ("steer", {}, "steer needs regions"),
    # words and tensors
    ("vaf", {"form": "other"}, "form is 'other'; expected scaled, additive"),
    ("vaf", {"form": 3}, "form is 3; expected scaled, additive"),
    ("steer", {"regions": BOX, "mode": "x"}, "mode is 'x'; expected boost_suppress"),
    ("ablate", {"mode": "zeros"}, "mode is 'zeros'; did you mean 'zero'"),
    ("ablate", {"mode": "mean"}, "head_means"),
    ("ablate", {"mode": "mean", "means": 3}, "means is a int; expected what head_means returned"),
    ("sparc", {"heads": [(0, 0)]}, "cannot be set"),
    ("var", {"dims": 5}, r"dims is 5; expected a list of dimensions, as \[2533, 1415\]"),
    ("var", {"dims": [1.5]}, r"dims\[0\] is 1.5; expected a whole number"),
    ("var", {"dims": []}, r"dims is \[\], which names no dimension"),
    ("var", {"dims": [-1]}, "dims holds -1; dimensions are counted from 0"),
]


@pytest.mark.parametrize(("name", "settings", "message"), WRONG)
def test_what_cannot_be_is_named_with_its_fix(name, settings, message):
    with pytest.raises(UsageError, match=message) as caught:
        make_intervention(name, **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("box", "size", "more", "message"),
    [
        ("all", (9, 9), {}, "box of a region is 'all'; expected"),
        ((0, 0, 9), (9, 9), {}, r"box \(0, 0, 9\) and size"),
        ((0, 0, 9, "x"), (9, 9), {}, "box of a region is"),
        ((0, 0, 9, INF), (9, 9), {}, "box of a region is"),
        ((0, 0, 9, 9), 9, {}, "size of a region is 9; expected"),
        ((0, 0, 9, 9), (9.5, 9), {}, "size of a region is 9.5; expected a whole number"),
        ((0, 0, 9, 9), (0, 9), {}, "positive sizes"),
        ((9, 0, 0, 9), (9, 9), {}, "has no area"),
        ((20, 20, 30, 30), (9, 9), {}, "is outside the picture"),
        ((0, 0, 9, 9), (9, 9), {"picture": -1}, "pictures are counted from 0"),
        ((0, 0, 9, 9), (9, 9), {"overlap": 2}, "0 to 1"),
        ((0, 0, 9, 9), (9, 9), {"overlap": "half"}, "overlap of a region"),
    ],
)
def test_regions_that_cannot_be(box, size, more, message):
    with pytest.raises(UsageError, match=message):
        Region(box, size, **more)


def test_numbers_of_numpy_and_torch_are_numbers():
    made = make_intervention(
        "vaf",
        alpha=np.float32(0.5),
        beta=np.int64(0),
        layers=np.array([0, 2]),
        heads=torch.tensor([[0, 1], [2, 3]]),
        steps=np.array([0, 4]),
    )
    assert (made.layers, made.heads, made.steps) == ((0, 2), ((0, 1), (2, 3)), (0, 4))
    told = made.to_dict()
    assert (told["alpha"], told["beta"], type(told["beta"])) == (0.5, 0, int)
    assert told["heads"] == [[0, 1], [2, 3]]


def test_settings_belong_to_a_name():
    made = make_intervention("vaf")
    assert as_intervention(made, {}) is made
    with pytest.raises(UsageError, match="alpha: give settings with a name"):
        as_intervention(made, {"alpha": 1})


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("vaf", {"layers": [3]}, r"layers is \(3,\), and there is no layer 3; the model has layers 0 to 2"),
        ("vaf", {"layers": [-4]}, "there is no layer"),
        ("vaf", {"layers": "3-"}, "names no layer; the model has layers 0 to 2"),
        ("vaf", {"heads": [(2, 4)]}, r"no head \(2, 4\); the model has layers 0 to 2 and heads 0 to 3"),
        ("sparc", {"layer": 3}, "there is no layer 3"),
        ("var", {"dims": [10_000]}, "the hidden states have 64 dimensions"),
        (
            "ablate",
            {"mode": "mean", "means": torch.zeros(9, 4, 16)},
            r"means has shape \(9, 4, 16\), those of the model are \(3, 4, 16\)",
        ),
        (
            "ablate",
            {"mode": "mean", "means": torch.zeros(3, 4, 5)},
            r"means has shape \(3, 4, 5\), those of the model are \(3, 4, 16\)",
        ),
    ],
)
def test_what_a_model_has_not_is_told_before_it_runs(qwen, name, settings, message):
    ran = []
    with pytest.raises(UsageError, match=message), vaslab.intervene(qwen, name, **settings):
        ran.append("the block")
    with pytest.raises(UsageError, match=message):
        EditedModel(qwen.model, qwen.processor, name, **settings)
    assert not ran


@pytest.mark.tiny
def test_a_transformers_model_has_its_own_way(qwen):
    with (
        pytest.raises(UsageError, match=r"given a Qwen2_5_VL\w+; .*EditedModel\(model, processor"),
        vaslab.intervene(qwen.model, "vaf"),
    ):
        pass


@pytest.mark.tiny
def test_the_wrapper_needs_a_way_to_tell_roles(qwen):
    with pytest.raises(UsageError, match="give it, or read_roles"):
        EditedModel(qwen.model, None, "vaf")
