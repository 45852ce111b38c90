"""Captures against full eager maps and hand-found positions."""

import inspect

import numpy as np
import pytest
import torch

import vaslab
from vaslab.capture.capture import _names, answer
from vaslab.errors import UsageError, VaslabError
from vaslab.prompts.prompt import Prompt, Turn

pytestmark = pytest.mark.tiny


def eager_maps(vlm, text, pictures):
    """Maps (layer, head, query, key) of one prompt through the processor and eager attention; token ids
    beside them."""
    inputs = vlm.processor(text=[text], images=pictures, return_tensors="pt")
    vlm.model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = vlm.model(**inputs, use_cache=False, output_attentions=True).attentions
    return torch.cat(maps).numpy(), inputs["input_ids"][0].tolist()


def by_hand(vlm, ids):
    """System, image and user positions of a ChatML prompt with one picture before its text, found from
    special token ids alone."""
    token = vlm.processor.tokenizer.convert_tokens_to_ids
    starts = [i for i, t in enumerate(ids) if t == token("<|im_start|>")]
    vision_end = ids.index(token("<|vision_end|>"))
    user_end = ids.index(token("<|im_end|>"), vision_end)
    system = list(range(starts[0], starts[1]))
    image = [i for i, t in enumerate(ids) if t == token("<|image_pad|>")]
    return system, image, list(range(vision_end + 1, user_end))


TEXT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|>"
    "<|vision_end|>where is the red circle?<|im_end|>\n<|im_start|>assistant\n"
)


def test_masses_and_vas_equal_eager_maps(tiny, prompts):
    got = vaslab.capture(tiny, prompts[:1])
    maps, ids = eager_maps(tiny, TEXT, [prompts[0].images[0]])
    system, image, user = by_hand(tiny, ids)
    rows = maps[:, :, user]
    visual, suppressed = rows[..., image].sum(-1), rows[..., system].sum(-1)
    one = got.sel(item="0", query_role="user")
    np.testing.assert_allclose(one.mass.sel(key_role="image"), visual.mean(-1), atol=1e-5)
    mass_s = one.mass.sel(key_role=["system_sink", "system"]).sum("key_role")
    np.testing.assert_allclose(mass_s, suppressed.mean(-1), atol=1e-5)
    np.testing.assert_allclose(one.vas, (visual / suppressed).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(one.vas_no_sink, (visual / rows[..., system[1:]].sum(-1)).mean(-1), rtol=1e-4)
    assert one.n_queries == len(user)
    assert one.n_keys.sel(key_role="image") == len(image) == 36
    assert one.n_keys.sel(key_role=["system_sink", "system"]).sum() == len(system)


def test_a_padded_batch_equals_singles(tiny, prompts):
    together = vaslab.capture(tiny, prompts, ("user", "user_after_image"), batch_size=3, rows=True)
    for number, prompt in enumerate(prompts):
        alone = vaslab.capture(tiny, [prompt], ("user", "user_after_image"), rows=True)
        for name in ("mass", "vas", "vas_no_sink", "clamped", "n_queries", "n_keys", "before_image"):
            np.testing.assert_allclose(together[name][number], alone[name][0], atol=2e-5, rtol=1e-4)
        own = together.row_item == number
        np.testing.assert_array_equal(together.row_position[own], alone.row_position)
        np.testing.assert_allclose(together.row_mass[own], alone.row_mass, atol=1e-3)


def test_batch_size_changes_no_item_order(tiny, prompts):
    whole, parts = (vaslab.capture(tiny, prompts, batch_size=size) for size in (3, 1))
    assert list(whole.item.values) == list(parts.item.values) == ["0", "1", "2"]
    np.testing.assert_allclose(whole.vas, parts.vas, rtol=1e-4)


def test_the_columns_route_measures_the_same(tiny, prompts):
    rows, columns = (vaslab.capture(tiny, prompts, route=route) for route in ("rows", "columns"))
    np.testing.assert_allclose(rows.mass, columns.mass, atol=1e-5)
    assert (rows.attrs["route"], columns.attrs["route"]) == ("rows", "columns")


def test_patch_maps_are_the_eager_map_cell_by_cell(tiny, prompts):
    got = vaslab.capture(tiny, prompts[:1], patches=[(1, 3), (0, 2)])
    maps, ids = eager_maps(tiny, TEXT, [prompts[0].images[0]])
    _, image, user = by_hand(tiny, ids)
    assert list(zip(got.map_layer.values.tolist(), got.map_head.values.tolist(), strict=True)) == [
        (0, 2),
        (1, 3),
    ]
    for place, (layer, head) in enumerate([(0, 2), (1, 3)]):
        expected = maps[layer, head][np.ix_(user, image)]
        np.testing.assert_allclose(got.patch_map[place].values.reshape(len(user), 36), expected, atol=1e-6)
    assert got.cell_row.values.reshape(len(user), 36)[:, 0].tolist() == user
    assert got.cell_patch.values[:36].tolist() == list(range(36))


def test_patch_maps_of_two_pictures_keep_their_grids_apart(tiny, prompts):
    got = vaslab.capture(tiny, prompts, patches=[(0, 0)])
    third = got.sel(cell=got.cell_item == 2)
    sizes = {image: len(set(third.cell_patch.values[third.cell_image == image])) for image in (0, 1)}
    assert sizes == {0: 24, 1: 36}
    summed = third.patch_map[0].values.sum() / len(set(third.cell_row.values))
    image_mass = got.mass.sel(item="2", layer=0, head=0, query_role="user", key_role="image")
    assert summed == pytest.approx(float(image_mass), abs=1e-5)


def test_patch_maps_come_as_pictures(tiny, prompts):
    got = vaslab.capture(tiny, prompts, patches=[(0, 0), (1, 2)], item_ids=["a", "b", "c"])
    wide, square = (vaslab.patch_maps(got, "c", image) for image in (0, 1))
    assert dict(wide.sizes) == {"map": 2, "query": int(got.n_queries[2, 0]), "y": 4, "x": 6}
    assert (square.sizes["y"], square.sizes["x"]) == (6, 6)
    mass = got.mass.sel(item="c", query_role="user", key_role="image")
    total = wide.sum(("y", "x")).mean("query") + square.sum(("y", "x")).mean("query")
    assert float(total[1]) == pytest.approx(float(mass.sel(layer=1, head=2)), abs=1e-5)
    cell = got.sel(cell=(got.cell_item == 2) & (got.cell_image == 0)).isel(cell=8)
    assert float(wide[0, 0, 1, 2]) == float(cell.patch_map[0])
    for arguments, message in ((("z",), "no item"), (("c", 2), "no picture 2")):
        with pytest.raises(UsageError, match=message):
            vaslab.patch_maps(got, *arguments)
    with pytest.raises(UsageError, match="kept no patch maps"):
        vaslab.patch_maps(vaslab.capture(tiny, prompts), "0")


def test_answers_are_those_of_plain_generation(tiny, prompts):
    inputs = vaslab.prompts.encode.encode(tiny.processor, prompts).inputs
    visual = [tiny.processor.tokenizer.convert_tokens_to_ids(t) for t in ("<|image_pad|>", "<|video_pad|>")]
    plain = tiny.model.generate(**inputs, max_new_tokens=7, do_sample=False, suppress_tokens=visual)
    answers, dataset = answer(tiny, prompts, max_new_tokens=7)
    for told, row in zip(answers, plain[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
        assert told.ids == row[: len(told.ids)]
    measured = vaslab.capture(tiny, prompts, batch_size=3)
    np.testing.assert_allclose(dataset.mass, measured.mass, atol=1e-6)


def test_an_answer_cut_by_its_end_token_keeps_its_measurements(tiny, prompts, monkeypatch):
    """The trap: nnsight never runs what follows a step that an early end leaves out."""
    first, _ = answer(tiny, prompts[:1], max_new_tokens=4)
    monkeypatch.setattr(tiny.model.generation_config, "eos_token_id", [first[0].ids[0]])
    answers, dataset = answer(tiny, prompts[:1], max_new_tokens=50)
    assert answers[0].finished
    assert answers[0].ids == first[0].ids[:1]
    assert np.isfinite(dataset.vas).all()


def test_visual_placeholders_are_never_generated(tiny, prompts, monkeypatch):
    """The trap: a generated image-pad id breaks the pass that measures the answer."""
    image_pad = tiny.model.config.image_token_id

    def prefer_it(_, __, output):
        output.logits[..., image_pad] = 1e4
        return output

    handle = tiny.model.register_forward_hook(prefer_it)
    answers, dataset = answer(tiny, prompts, ("user", "response"), max_new_tokens=3)
    handle.remove()
    assert all(image_pad not in told.ids for told in answers)
    assert dataset.n_queries.sel(query_role="response").min() >= 1


def test_response_rows_are_teacher_forced_own_rows(tiny, prompts):
    answers, dataset = answer(tiny, prompts[:1], ("user", "response"), max_new_tokens=5)
    text = TEXT + tiny.processor.tokenizer.decode(answers[0].ids)
    inputs = tiny.processor(text=[TEXT], images=[prompts[0].images[0]], return_tensors="pt")
    length = inputs["input_ids"].shape[1]
    ids = torch.cat([inputs["input_ids"], torch.tensor([answers[0].ids])], dim=1)
    tiny.model.set_attn_implementation("eager")
    inputs |= {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == tiny.model.config.image_token_id).int(),
    }
    with torch.no_grad():
        maps = torch.cat(tiny.model(**inputs, use_cache=False, output_attentions=True).attentions)
    image = (ids[0] == tiny.model.config.image_token_id).nonzero()[:, 0]
    expected = maps[:, :, length:][..., image].sum(-1).mean(-1)
    got = dataset.mass.sel(item="0", query_role="response", key_role="image")
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert dataset.n_queries.sel(query_role="response")[0] == len(answers[0].ids)
    assert text.startswith(TEXT)


def test_an_answered_chat_is_measured_without_generation(tiny, prompts):
    chat = Prompt.chat([*prompts[0].turns, Turn("assistant", "top left")])
    dataset = vaslab.capture(tiny, [chat], ("user", "response"))
    tokens = tiny.processor.tokenizer("top left")["input_ids"]
    assert dataset.n_queries.sel(query_role="response")[0] == len(tokens) + 1


def test_token_types_reach_the_model(tiny, prompts, monkeypatch):
    """The trap: without mm_token_type_ids Qwen2.5-VL falls back to one-dimensional positions in silence."""
    seen = []
    handle = tiny.model.register_forward_pre_hook(lambda _, __, kw: seen.append(kw), with_kwargs=True)
    vaslab.capture(tiny, prompts)
    handle.remove()
    types, ids = seen[0]["mm_token_type_ids"], seen[0]["input_ids"]
    assert torch.equal(types == 1, ids == tiny.model.config.image_token_id)


def test_text_before_a_picture_is_counted(tiny, prompts):
    chat = Prompt.chat([Turn("user", ["what is in", prompts[0].images[0], "this picture?"])])
    dataset = vaslab.capture(tiny, [chat], ("user", "user_after_image"))
    encode = tiny.processor.tokenizer
    before, after = len(encode("what is in")["input_ids"]), len(encode("this picture?")["input_ids"])
    counts = dataset.n_queries[0].values.tolist()
    assert counts == [before + after, after]
    assert dataset.before_image[0, 0] == pytest.approx(before / (before + after))


def test_a_prompt_without_a_picture_has_masses_and_no_vas(tiny):
    dataset = vaslab.capture(tiny, [Prompt(user="what is two?")])
    assert np.isnan(dataset.vas).all()
    assert float(dataset.mass.sel(key_role="image").max()) == 0.0
    np.testing.assert_allclose(dataset.mass.sum("key_role"), 1.0, atol=1e-5)
    with pytest.raises(VaslabError, match="image"):
        vaslab.vas(dataset)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"queries": ("users",)}, "the query roles are user"),
        ({"patches": [(9, 0)]}, "layers 0 to 1"),
        ({"route": "eager"}, "one of rows, columns"),
        ({"item_ids": ["a"]}, "one id a prompt"),
        ({"item_ids": ["a", "a", "a"]}, "its own id"),
        ({"queries": ("response",)}, "responses"),
        ({"batch_size": 0}, "at least 1"),
        ({"queries": ("user", "user")}, "name each once"),
        ({"queries": ("response",), "responses": [[1]], "batch_size": 1}, "one response a prompt"),
        ({"queries": ("response",), "responses": [[1], [10**6], [1]]}, "outside the vocabulary"),
    ],
)
def test_wrong_calls_name_the_fix(tiny, prompts, arguments, message):
    with pytest.raises(UsageError, match=message):
        vaslab.capture(tiny, prompts, **arguments)


def test_one_prompt_alone_is_refused_with_the_fix(prompts):
    with pytest.raises(UsageError, match=r"\[prompt\]"):
        # without the type checker of the tests, as a user calls it
        inspect.unwrap(_names)(prompts[0], None)
