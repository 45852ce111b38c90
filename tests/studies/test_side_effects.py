"""What is measured beside a benchmark: the losses of texts, told token by token."""

import pytest
import torch

from vaslab.benchmarks.glyph import Glyph
from vaslab.models import load_model
from vaslab.prompts.encode import encode
from vaslab.prompts.prompt import Prompt
from vaslab.studies.side_effects import side_effects
from vaslab.studies.treatment import PLAIN

pytestmark = pytest.mark.tiny
TEXTS = [[300, 301, 302, 303], [304], [305, 306]]


@pytest.mark.usefixtures("short_sides")
def test_texts_are_told_in_decoding_and_cost_what_one_pass_says(tiny_model):
    """The answer's tokens go through the model one at a time, with a cache, as they do where it answers."""
    vlm = load_model(str(tiny_model))
    items = list(Glyph().select(3).items)
    given = []

    def see(_, args, kwargs):
        given.append((kwargs["input_ids"].clone(), kwargs.get("past_key_values") is not None))

    handle = vlm.model.register_forward_pre_hook(see, with_kwargs=True)
    try:
        found = side_effects(vlm, items, TEXTS, 2, PLAIN)
    finally:
        handle.remove()
    assert found.tokens == [4, 1, 2]
    *_, first, second, third, fourth, last, after = given
    assert first[0].shape[1] > 1 < last[0].shape[1]
    assert [ids[0].tolist() for ids, _ in (second, third, fourth)] == [[300], [301], [302]]
    assert second[0][1].tolist() == [304]
    assert after[0].tolist() == [[305]]
    assert all(cached for _, cached in (second, third, fourth, after))
    for item, text, loss in zip(items, TEXTS, found.loss, strict=True):
        told = encode(vlm.processor, [Prompt(system=item.system, user=item.question)], [text])
        with torch.no_grad():
            logits = vlm.model(**told.inputs, use_cache=False).logits[0, -len(text) - 1 : -1]
        want = -sum(float(row.log_softmax(-1)[token]) for row, token in zip(logits, text, strict=True))
        assert loss == pytest.approx(want, rel=1e-4)
