import pytest
import torch

from vaslab.capture.capture import answer
from vaslab.capture.sampling import Sampling
from vaslab.errors import UsageError
from vaslab.prompts.encode import encode

pytestmark = pytest.mark.tiny


def test_samples_are_those_of_plain_generation_with_the_seed(tiny, prompts):
    inputs = encode(tiny.processor, prompts).inputs
    visual = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    banned = [tiny.processor.tokenizer.convert_tokens_to_ids(token) for token in visual]
    torch.manual_seed(5)
    plain = tiny.model.generate(
        **inputs,
        max_new_tokens=9,
        do_sample=True,
        temperature=0.8,
        top_p=0.9,
        top_k=20,
        suppress_tokens=banned,
    )
    told, dataset = answer(tiny, prompts, max_new_tokens=9, sampling=Sampling(0.8, 0.9, 20, seed=5))
    for each, row in zip(told, plain[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
        assert each.ids == row[: len(each.ids)]
    assert dataset.attrs["decoding"] == "sampled at temperature 0.8, top-p 0.9, top-k 20"


def test_a_sample_depends_on_its_seed_alone(tiny, prompts):
    def ids(seed):
        torch.seed()
        return [each.ids for each in answer(tiny, prompts, max_new_tokens=8, sampling=Sampling(seed=seed))[0]]

    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_the_draws_outside_go_on_as_if_nothing_had_been_sampled(tiny, prompts):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    answer(tiny, prompts[:1], max_new_tokens=3, sampling=Sampling())
    assert torch.equal(torch.rand(4), expected)


def test_what_the_checkpoint_says_of_decoding_is_set_aside(tiny, prompts, monkeypatch):
    before, _ = answer(tiny, prompts[:1], max_new_tokens=6, sampling=Sampling(seed=1))
    config = tiny.model.generation_config
    for name, value in {"top_k": 1, "min_p": 0.9, "temperature": 0.01, "repetition_penalty": 5.0}.items():
        monkeypatch.setattr(config, name, value)
    after, _ = answer(tiny, prompts[:1], max_new_tokens=6, sampling=Sampling(seed=1))
    assert after[0].ids == before[0].ids
    greedy, dataset = answer(tiny, prompts[:1], max_new_tokens=6)
    assert greedy[0].ids != before[0].ids
    assert dataset.attrs["decoding"] == "greedy"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0.0}, "temperature is 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"top_p": 1.5}, "at most 1"),
        ({"top_k": -1}, "top_k is -1"),
    ],
)
def test_values_out_of_range_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        Sampling(**options)
