"""Items that an intervention leaves alone: without a picture, or without a region. Each is the plain model's, alone
and beside items that are edited, in the prompt, in decoding and in one pass over prompt and answer."""

import pytest
import torch

import vaslab
from vaslab.interventions import INTERVENTIONS, Region
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt
from vaslab.prompts.roles import Role

from .direct import generated

pytestmark = pytest.mark.tiny
BOX = Region((0, 0, 64, 64), (96, 96))
WIDE = Region((0, 0, 32, 32), (96, 64))
STRONG = {
    "avar": {"beta": 0.6},
    "vaf": {"beta": 0.6},
    "additive": {"beta": 0.6},
    "reweight": {"beta": 0.6},
    "suppress": {"beta": 0.9},
    "var": {"tau": 2.6, "least": 0.0, "rho": 1.0, "p": 0.0},
    "sparc": {"tau": 0.0, "alpha": 2.0, "layer": 1},
    "adaptvis": {"unsure": 0.2, "sure": 3.0},
    "pai": {"gamma": 1.5, "alpha": 0.5, "layers": "all"},
    "steer": {"regions": [BOX, None]},
    "ablate": {"heads": [(1, 2)]},
}
OF_PICTURES = [name for name in INTERVENTIONS if name != "ablate"]
NEED_NO_ANSWER = ("sparc", "adaptvis")
"""They refuse an answer that is given to an item which they edit."""


@pytest.fixture(scope="module")
def words():
    return Prompt(
        user="look at this: how many circles are there? think first, and then say what is on the left."
    )


def logits_of(vlm, prompts):
    """Of each step of a generation: (item, step, token)."""
    inputs = encode(vlm.processor, prompts).inputs
    return torch.stack(generated(vlm, inputs).logits, dim=1)


def told(vlm, prompts):
    """Of one pass over prompts and a given answer, at the rows that emit its tokens: (item, step, token)."""
    encoded = encode(vlm.processor, prompts, [[300, 301, 302]] * len(prompts))
    first = int((encoded.roles == Role.response).any(0).nonzero()[0]) - 1
    with torch.no_grad():
        return vlm.model(**encoded.inputs, use_cache=False).logits[:, first:]


def both(vlm, prompts, name, settings, forced=True):
    """Plain and edited logits of a generation, and of a pass over a given answer."""
    asked = [logits_of, told] if forced else [logits_of]
    plain = [ask(vlm, prompts) for ask in asked]
    with vaslab.intervene(vlm, name, **settings):
        return list(zip(plain, [ask(vlm, prompts) for ask in asked], strict=True))


def apart(ours, theirs):
    """Largest difference at each step, over the largest logit."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", [name for name in OF_PICTURES if name != "steer"])
def test_without_a_picture_no_bit_changes(qwen, words, name):
    for plain, found in both(qwen, [words], name, STRONG.get(name, {})):
        assert torch.equal(plain, found)


@pytest.mark.parametrize("name", OF_PICTURES)
def test_an_item_without_a_picture_is_left_alone_beside_one_that_has(qwen, prompts, words, name):
    given = both(qwen, [prompts[0], words], name, STRONG.get(name, {}), forced=name not in NEED_NO_ANSWER)
    for plain, found in given:
        assert apart(found[1], plain[1]) < 1e-5
        assert apart(found[0], plain[0]) > 1e-4


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, STRONG.get(name, {})) for name in OF_PICTURES),
        ("avar", {"beta": 0.6, "queries": "all"}),
        ("additive", {"beta": 0.6, "against": ("system", "response")}),
        ("pai", {"gamma": 1.0, "alpha": 2.0, "layers": "all"}),
        ("steer", {"queries": ("after_image", "response")}),
        ("steer", {"queries": "all", "bias": 2.0}),
        ("steer", {"queries": "after_image", "mode": "suppress_image"}),
    ],
)
def test_an_item_without_a_region_is_left_alone(qwen, prompts, name, settings):
    """And the other's is edited as it is where each has one."""
    forced = name not in NEED_NO_ANSWER
    one = both(qwen, prompts, name, {**settings, "regions": [BOX, None]}, forced)
    all_of_them = both(qwen, prompts, name, {**settings, "regions": [BOX, WIDE]}, forced)
    for (plain, found), (_, edited) in zip(one, all_of_them, strict=True):
        assert apart(found[1], plain[1]) < 1e-5
        assert apart(found[0], edited[0]) < 1e-5
        assert apart(found[0], plain[0]) > 1e-4


@pytest.mark.parametrize("steps", [None, (1, 3), (2, None)])
def test_rows_after_a_picture_and_others_are_told_apart_item_by_item(qwen, prompts, words, steps):
    """Beside `user` rows, those after a picture are of the item that has one, also where its steps are counted."""
    given = {"beta": 0.9, "steps": steps}
    asked = [prompts[0], words]
    together = both(qwen, asked, "suppress", {**given, "queries": ("user", "after_image")})
    user = both(qwen, asked, "suppress", {**given, "queries": "user"})
    after = both(qwen, asked, "suppress", {**given, "queries": "after_image"})
    for (_, found), (_, of_user), (plain, of_after) in zip(together, user, after, strict=True):
        assert apart(found[1], of_user[1]) < 1e-5
        assert apart(of_after[1], plain[1]) < 1e-5
        assert apart(found[0], plain[0]) > 1e-4
    if steps is None:
        assert apart(together[0][1][1], together[0][0][1]) > 1e-4


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, STRONG.get(name, {})) for name in INTERVENTIONS if name not in ("steer", "ablate")),
        ("ablate", {"heads": [(1, 2)]}),
        ("ablate", {"heads": [(1, 2)], "mode": "sink"}),
        ("suppress", {"beta": 0.9, "queries": "all"}),
        ("additive", {"beta": 0.6, "queries": "text", "against": ("system", "response")}),
        ("block", {"keys": "system", "queries": "response"}),
    ],
)
def test_decoding_and_one_pass_over_the_answer_agree_without_a_picture(qwen, prompts, words, name, settings):
    """Also where text is edited, and beside an item with a picture."""
    asked = [words] if name in NEED_NO_ANSWER else [prompts[0], words]
    batch = encode(qwen.processor, asked)
    n = batch.roles.shape[1]
    with vaslab.intervene(qwen, name, **settings):
        steps = generated(qwen, batch.inputs)
        given = encode(qwen.processor, asked, steps.sequences[:, n:].tolist())
        with torch.no_grad():
            forced = qwen.model(**given.inputs, use_cache=False).logits[:, n - 1 :]
    assert bool((given.roles[:, n:] == Role.response).all())
    for step, found in enumerate(steps.logits):
        assert apart(forced[-1, step], found[-1]) < 1e-5


def test_var_leaves_an_item_without_a_visual_sink_alone(qwen, prompts, monkeypatch):
    """Whatever sinks its text has: here, its first tokens in every layer, and one visual token in a second run."""

    def sinks(visual):
        def found(hidden, tau, dims):
            mask = torch.zeros(hidden.shape[:2], dtype=torch.bool)
            if hidden.shape[1] > 1:
                mask[:, :3] = True
                mask[:, places] |= visual
            return mask

        return found

    encoded = encode(qwen.processor, prompts[:1])
    places = (encoded.roles[0] == Role.image).nonzero()[:1, 0]
    for visual in (False, True):
        monkeypatch.setattr("vaslab.interventions.var.sink_tokens", sinks(visual))
        ((plain, found),) = both(qwen, prompts[:1], "var", {"least": 0.0, "rho": 1.0, "p": 0.0}, forced=False)
        assert (apart(found, plain) > 1e-4) == visual
        assert visual or torch.equal(found, plain)
