"""`avar grpo`: the reward is that of eager maps, whichever pass measured it; what is refused; what a kill costs."""

import json
import re

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from trl import GRPOConfig

from tests.trainers.chats import ASKED
from tests.trainers.eager import eager_maps, vars_by_loops
from tests.trainers.killed import cut_at, same_weights
from trainers.data.collate import to_prompts
from trainers.grpo import AvarGRPOTrainer, _prompt
from trainers.rewards import VarsConfig
from trainers.runs import GrpoRun
from vaslab.errors import UsageError, VaslabError
from vaslab.models import load_model
from vaslab.organism.build import build_model, build_processor
from vaslab.prompts.encode import encode
from vaslab.prompts.roles import SYSTEM_ROLES, Role

pytestmark = pytest.mark.tiny


def arguments(folder, **given):
    options = {
        "output_dir": str(folder),
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 6,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "gradient_checkpointing": False,
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
    }
    return GRPOConfig(**options | given)


@pytest.fixture
def make(processor, tmp_path):
    def make(shaping=None, processing_class=None, model=None, options=None, **given):
        model = model or build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64)
        return AvarGRPOTrainer(
            model,
            arguments(tmp_path, **given),
            shaping,
            **{
                "train_dataset": to_prompts(ASKED),
                "processing_class": processing_class or processor,
                **(options or {}),
            },
        )

    return make


def looked(trainer, monkeypatch):
    """Train; return what was measured, the prompts, the completions, and a copy of the model that answered."""
    seen = {}
    rewards = trainer._calculate_rewards

    def spied(inputs, prompts, completions, ids):
        seen["weights"] = {name: value.clone() for name, value in trainer.network.state_dict().items()}
        found = rewards(inputs, prompts, completions, ids)
        seen.update(prompts=prompts, ids=ids, looks=trainer._looks, rewards=found)
        return found

    monkeypatch.setattr(trainer, "_calculate_rewards", spied)
    trainer.train()
    return seen


def eager_rewards(processor, seen, form):
    """The reward of each completion from its own maps, one row at a time and so without padding."""
    model = build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64).eval()
    model.load_state_dict(seen["weights"])
    found = []
    for messages, ids in zip(seen["prompts"], seen["ids"], strict=True):
        encoded = encode(processor, [_prompt(messages)])
        roles = encoded.roles[0].tolist()
        system = [i for i, role in enumerate(roles) if role in SYSTEM_ROLES]
        visual = [i for i, role in enumerate(roles) if role == Role.image]
        whole = torch.cat([encoded.inputs["input_ids"], torch.tensor([ids])], 1)
        image = torch.tensor([[i in visual for i in range(whole.shape[1])]])
        inputs = {**encoded.inputs, "input_ids": whole, "mm_token_type_ids": image.int()}
        inputs["attention_mask"] = torch.ones_like(whole)
        with torch.no_grad():
            maps = eager_maps(model, inputs)
        if form == "as_released":
            on_visual = sum(layer[0, :, :, visual].sum().item() for layer in maps)
            found.append(on_visual / sum(layer[0, :, :, 0].sum().item() for layer in maps))
        else:
            found += vars_by_loops(maps, [system], [visual], [range(len(roles), whole.shape[1])], form, 2.0)
    return found


@pytest.mark.parametrize("form", ["ratio", "share", "as_released"])
@pytest.mark.parametrize("free", [False, True], ids=["own forward", "TRL's pass"])
def test_the_reward_is_that_of_eager_maps(make, processor, monkeypatch, form, free):
    """Prompts of two lengths, answers of several: roles, rows and positions are right in both layouts."""
    trainer = make(VarsConfig(form=form, cap=2.0, gated=False), num_iterations=2 if free else 1)
    own = []
    look = trainer._look
    monkeypatch.setattr(trainer, "_look", lambda *given: own.append(1) or look(*given))
    seen = looked(trainer, monkeypatch)
    assert len(own) == (0 if free else 1)
    assert len({len(encode(processor, [_prompt(each)]).roles[0]) for each in seen["prompts"]}) == 2
    wanted = eager_rewards(processor, seen, form)
    assert seen["looks"]["reward"].tolist() == pytest.approx(wanted, rel=1e-5)
    assert seen["rewards"][:, 1].tolist() == pytest.approx(wanted, rel=1e-5)
    log = trainer.state.log_history[0]
    raw = wanted if form == "as_released" else eager_rewards(processor, seen, "ratio")
    assert log["vars/raw"] == pytest.approx(sum(raw) / len(raw), rel=1e-5)


def test_a_wrong_answer_has_no_visual_reward_and_a_right_one_has(make, processor):
    trainer = make(VarsConfig())
    right = processor.tokenizer("<think>a</think><answer>red</answer><|im_end|>")["input_ids"]
    wrong = processor.tokenizer("<answer>blue</answer><|im_end|>")["input_ids"]
    logged = {}
    names = ("reward", "raw", "visual_mass", "system_mass")
    trainer._looks = {name: torch.tensor([3.0, 4.0]) for name in names}
    given = {"completion_ids": [right, wrong], "answer": ["red", "red"]}
    assert trainer.accuracy(**given) == [1, 0]
    assert trainer.visual(**given, log_metric=logged.__setitem__) == [3, 0]
    assert trainer.format(**given) == [1, 0]
    assert logged["vars/raw"] == 3.5
    assert trainer.args.reward_weights == [1.0, 0.3, 0.1]
    trainer._looks = None
    with pytest.raises(VaslabError, match="no pass has measured"):
        trainer.visual(**given, log_metric=logged.__setitem__)


def test_every_parameter_moves(make):
    trainer = make(VarsConfig(gated=False), max_steps=2)
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    trainer.train()
    assert [name for name, p in trainer.network.named_parameters() if torch.equal(p, before[name])] == []
    assert trainer.network.config.get_text_config()._attn_implementation == "sdpa"


def test_a_processor_that_pads_right_is_refused_for_it_would_move_positions(make):
    right = build_processor()
    right.tokenizer.padding_side = "right"
    with pytest.raises(UsageError, match="padding_side = 'left'"):
        make(processing_class=right)


@pytest.mark.parametrize(
    ("shaping", "given", "options", "told"),
    [
        (None, {"reward_weights": [1.0]}, {}, "set lambda_v and lambda_f"),
        (None, {}, {"reward_funcs": [len]}, "set lambda_v and lambda_f"),
        (None, {}, {"processing_class": None}, "pass the model's processor"),
        (None, {"beta": 0.1}, {}, "made in memory, .* set kl to 0"),
        (None, {"save_strategy": "epoch"}, {}, "'epoch' may cut through a generation"),
        (VarsConfig(layers=(2,)), {}, {}, "layers 0 to 1"),
        (None, {"save_strategy": "steps", "save_steps": 3, "num_iterations": 2}, {}, "a multiple of 2"),
        (
            None,
            {
                "save_strategy": "steps",
                "save_steps": 1,
                "num_iterations": 3,
                "gradient_accumulation_steps": 2,
            },
            {},
            "a multiple of 3",
        ),
    ],
)
def test_what_would_train_something_else_is_refused(make, shaping, given, options, told):
    with pytest.raises(UsageError, match=told):
        make(shaping, options=options, **given)


def test_a_name_or_dropout_of_attention_is_refused(make, processor):
    with pytest.raises(UsageError, match="pass a loaded model"):
        make(model="organism:base")
    model = build_model(processor, layers=1, heads=2, kv_heads=1, hidden=32)
    model.config.get_text_config().attention_dropout = 0.1
    with pytest.raises(UsageError, match="attention_dropout=0"):
        make(model=model)


def test_prompts_that_trl_encodes_otherwise_are_an_error(make, monkeypatch):
    trainer = make(num_iterations=2)
    monkeypatch.setattr(
        "trainers.grpo._prompt", lambda messages: _prompt([{"role": "user", "content": "other"}])
    )
    with pytest.raises(VaslabError, match="roles are not known"):
        trainer.train()


@pytest.mark.parametrize("credit", [None, "vppo"])
def test_a_killed_run_goes_on_to_the_same_bits(grpo, monkeypatch, credit):
    """Its rollouts are drawn again as they were; for VPPO its black patches too."""
    whole = grpo("whole", credit=credit)
    card = json.loads((whole / "card.json").read_text())
    assert (card["method"], card["config"]["credit"]) == ("grpo", credit)
    assert card["metrics"]["vars/raw"] > 0
    assert ("vppo/kept" in card["metrics"]) == (credit == "vppo")
    assert load_model(whole).model.config._attn_implementation == "sdpa"
    generations = cut_at(monkeypatch, AvarGRPOTrainer, "_generate", 4)
    with pytest.raises(KeyboardInterrupt):
        grpo("cut", credit=credit)
    cut = grpo("cut", credit=credit)
    assert len(generations) == 4 + 2
    assert same_weights(whole, cut)


@pytest.mark.parametrize("gated", [True, False], ids=["all wrong", "told apart"])
def test_a_run_that_learned_nothing_says_so(tiny_folder, grpo, capfd, gated):
    """A random model answers nothing right: behind the gate all rewards are 0, and no weight moves."""
    run = grpo(gated=gated, max_steps=1, save_steps=1)
    assert ("note: no step that was logged had a gradient" in capfd.readouterr().err) == gated
    before, after = (load_file(each / "model.safetensors") for each in (tiny_folder, run))
    assert all(torch.equal(value, after[name]) for name, value in before.items()) == gated


def test_the_frozen_tower_stays(tiny_folder, grpo):
    run = grpo(freeze_vision=True, max_steps=2)
    before, after = (load_file(each / "model.safetensors") for each in (tiny_folder, run))
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {name for name in before if ".visual." in name or name.startswith("visual.")}
    assert still


def test_a_kl_term_has_a_reference_and_its_memory_is_told(grpo, capfd):
    plain = grpo("plain", max_steps=2)
    free = weights_told(capfd.readouterr().err)
    held = grpo("held", max_steps=2, kl=100.0)
    assert weights_told(capfd.readouterr().err) == pytest.approx(2 * free, rel=0.02)
    assert json.loads((held / "card.json").read_text())["metrics"]["kl"] > 0
    assert not same_weights(plain, held)


def weights_told(said):
    return float(re.search(r"([\d.e-]+) of weights", said)[1])


class Rollouts:
    """What stands in TRL for a vLLM engine: answers of its own, with the log-probabilities that it had for them."""

    def __init__(self, processing_class, **_):
        words = ("<answer>red</answer><|im_end|>", "<think>a</think><answer>blue</answer><|im_end|>")
        self.answers = [processing_class.tokenizer(each)["input_ids"] for each in words]

    def sync_weights(self):
        pass

    def generate(self, prompts, **_):
        told = [self.answers[number % 2] for number in range(len(prompts))]
        return None, told, [[[-1.0]] * len(each) for each in told], None


def test_answers_of_vllm_are_measured_in_trls_own_pass(make, processor, monkeypatch):
    """Without a GPU: everything but the engine is real."""
    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", Rollouts)
    trainer = make(VarsConfig(gated=False), use_vllm=True, vllm_mode="colocate", max_completion_length=32)
    monkeypatch.setattr(trainer, "_look", lambda *_: pytest.fail("a forward of its own"))
    seen = looked(trainer, monkeypatch)
    wanted = eager_rewards(processor, seen, "ratio")
    assert seen["looks"]["reward"].tolist() == pytest.approx(wanted, rel=1e-4)
    assert seen["rewards"][:, 0].tolist() == [1, 0, 1, 0]


def test_the_run_configs_defaults_are_the_papers():
    run = GrpoRun("m", "d", "o")
    assert (run.lambda_v, run.lambda_f, run.rollouts, run.kl, run.lr, run.epochs) == (
        0.3,
        0.1,
        8,
        0.0,
        1e-6,
        4,
    )
    assert (run.prompts, run.form, run.gated) == (256, "ratio", True)


def test_a_picture_is_shown_as_it_is(make):
    """TRL gets the prompt's blocks with the pictures of the record in their places."""
    row = to_prompts(ASKED)[0]
    assert row["prompt"][0]["content"][0]["type"] == "image"
    assert isinstance(row["images"][0], Image.Image)
    assert row["answer"] == "red"
