"""`avar grpo --credit`: the advantages that train are those of eager maps and of pictures really blackened."""

import pytest
import torch
from PIL import Image

from tests.trainers.chats import ASKED, RECORDS
from tests.trainers.eager import eager_maps
from tests.trainers.test_grpo import arguments
from trainers.atrl import AtrlConfig, atrl_weights
from trainers.data.collate import to_prompts
from trainers.data.record import Record, write_records
from trainers.grpo import AvarGRPOTrainer, _prompt
from trainers.grpo_run import run_grpo
from trainers.methods import credit_of
from trainers.rewards import VarsConfig
from trainers.runs import GrpoRun
from trainers.vppo import VppoConfig, exact_kl, mean_perception, sampled_kl, vppo_weights
from vaslab.errors import UsageError
from vaslab.organism.build import build_model
from vaslab.prompts.encode import encode
from vaslab.prompts.roles import SYSTEM_ROLES, Role

pytestmark = pytest.mark.tiny

TEXT_ONLY = Record("t", RECORDS[2].messages[:-1], (), "rl", "yes")


@pytest.fixture
def make(processor, tmp_path):
    def make(credit, asked=ASKED, **given):
        return AvarGRPOTrainer(
            build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64),
            arguments(tmp_path, **given),
            VarsConfig(gated=False),
            credit=credit,
            train_dataset=to_prompts(asked),
            processing_class=processor,
        )

    return make


def scored(trainer, monkeypatch):
    """Train one step; what was generated and scored, by the weights of that moment."""
    seen = {}
    rewards, generate = trainer._calculate_rewards, trainer._generate_and_score_completions

    def spied(inputs, prompts, completions, ids):
        seen["weights"] = {name: value.clone() for name, value in trainer.network.state_dict().items()}
        seen.update(prompts=prompts, ids=ids)
        return rewards(inputs, prompts, completions, ids)

    def generated(inputs):
        seen["out"] = generate(inputs)
        return seen["out"]

    monkeypatch.setattr(trainer, "_calculate_rewards", spied)
    monkeypatch.setattr(trainer, "_generate_and_score_completions", generated)
    trainer.train()
    seen["plain"] = torch.tensor(list(trainer._logs["advantages"]))
    return seen


def alone(processor, messages, ids):
    """Inputs and roles of one completion without any padding."""
    encoded = encode(processor, [_prompt(messages)])
    whole = torch.cat([encoded.inputs["input_ids"], torch.tensor([ids])], 1)
    image = torch.zeros_like(whole)
    image[:, : encoded.roles.shape[1]] = (encoded.roles == Role.image).int()
    inputs = {**encoded.inputs, "input_ids": whole, "mm_token_type_ids": image.int()}
    return {**inputs, "attention_mask": torch.ones_like(whole)}, encoded.roles[0].tolist()


def twin(processor, seen):
    model = build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64).eval()
    model.load_state_dict(seen["weights"])
    return model


def blinded(messages):
    return [
        {
            **message,
            "content": [
                {"type": "image", "image": Image.new("RGB", part["image"].size)}
                if part["type"] == "image"
                else part
                for part in message["content"]
            ],
        }
        for message in messages
    ]


@pytest.mark.parametrize(("kl", "iterations"), [("exact", 1), ("sampled", 1), ("sampled", 2)])
def test_vppo_is_what_a_black_picture_says(make, processor, monkeypatch, kl, iterations):
    """Prompts and answers of several lengths; the whole picture black, so that nothing is drawn."""
    config = VppoConfig(kl=kl, masked=1.0)
    trainer = make(config, num_iterations=iterations, temperature=0.7)
    seen = scored(trainer, monkeypatch)
    model, out = twin(processor, seen), seen["out"]
    perception = torch.zeros(out["completion_ids"].shape)
    for item, (messages, ids) in enumerate(zip(seen["prompts"], seen["ids"], strict=True)):
        logits = []
        for shown in (messages, blinded(messages)):
            inputs, _ = alone(processor, shown, ids)
            with torch.no_grad():
                logits.append(model(**inputs, use_cache=False).logits[:, -len(ids) - 1 : -1] / 0.7)
        told = torch.tensor(ids)[None, :, None]
        log_probs = [each.log_softmax(-1).gather(-1, told)[..., 0] for each in logits]
        kls = exact_kl(*logits) if kl == "exact" else sampled_kl(*log_probs)
        perception[item, : len(ids)] = kls[0]
    rows = out["completion_mask"].bool()
    means = mean_perception(perception, rows)
    assert means.min() > 0
    wanted = vppo_weights(perception, rows, means, config)
    assert torch.allclose(out["advantages"], seen["plain"][:, None] * wanted, rtol=1e-3, atol=1e-6)
    log = trainer.state.log_history[0]
    assert log["vppo/perception"] == pytest.approx(means.mean().item(), rel=1e-3)


def test_half_the_patches_are_black_by_default(make, monkeypatch):
    trainer = make(VppoConfig())
    drawn = []
    original = trainer._get_per_token_logps_and_entropies

    def spied(*args, **kwargs):
        drawn.append(kwargs.get("pixel_values"))
        return original(*args, **kwargs)

    monkeypatch.setattr(trainer, "_get_per_token_logps_and_entropies", spied)
    trainer.train()
    plain, dark = drawn[:2]
    black = dark.min(0).values
    gone = (dark == black).all(-1)
    assert torch.equal(dark[~gone], plain[~gone])
    assert 0.2 < gone.float().mean() < 0.8


@pytest.mark.parametrize("iterations", [1, 2], ids=["own forward", "TRL's pass"])
def test_atrl_is_what_eager_maps_say(make, processor, monkeypatch, iterations):
    config = AtrlConfig(clusters=2, sharpness=2.0)
    trainer = make(config, num_iterations=iterations, max_completion_length=9)
    seen = scored(trainer, monkeypatch)
    model = twin(processor, seen)
    wanted = torch.zeros_like(seen["out"]["advantages"])
    for item, (messages, ids) in enumerate(zip(seen["prompts"], seen["ids"], strict=True)):
        inputs, roles = alone(processor, messages, ids)
        with torch.no_grad():
            maps = torch.stack(eager_maps(model, inputs))[:, 0]
        told = maps[:, :, len(roles) :]
        on_visual = told[..., [i for i, role in enumerate(roles) if role == Role.image]].sum(-1)
        on_system = told[..., [i for i, role in enumerate(roles) if role in SYSTEM_ROLES]].sum(-1)
        wanted[item, : len(ids)] = seen["plain"][item] * atrl_weights(on_visual, on_system, config)
    assert torch.allclose(seen["out"]["advantages"], wanted, rtol=1e-3, atol=1e-6)
    weights = seen["out"]["advantages"][0] / seen["plain"][0]
    assert weights.unique().numel() > 1
    assert trainer.state.log_history[0]["atrl/highest"] > 1


@pytest.mark.parametrize("credit", [VppoConfig(), VppoConfig(kl="exact"), AtrlConfig()])
def test_every_parameter_moves(make, credit):
    trainer = make(credit, max_steps=2)
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    trainer.train()
    assert [name for name, p in trainer.network.named_parameters() if torch.equal(p, before[name])] == []
    assert trainer.network.config.get_text_config()._attn_implementation == "sdpa"


def test_prompts_without_pictures_are_trained_as_ever(make, monkeypatch):
    trainer = make(VppoConfig(), [TEXT_ONLY] * 2)
    seen = scored(trainer, monkeypatch)
    rows = seen["out"]["completion_mask"]
    assert torch.equal(seen["out"]["advantages"], seen["plain"][:, None] * rows)


def test_no_token_without_credit_trains_anything(make):
    trainer = make(VppoConfig(low=0.0, high=0.0), max_steps=2)
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    trainer.train()
    assert all(torch.equal(p, before[name]) for name, p in trainer.network.named_parameters())


@pytest.mark.parametrize("credit", [VppoConfig(tokens=1.0, low=1.0), AtrlConfig(sharpness=0.0)])
def test_equal_credit_is_plain_grpo_to_the_bit(make, credit):
    weights = []
    for given in (None, credit):
        trainer = make(given)  # draws from here on
        trainer.train()
        weights.append(trainer.network.state_dict())
    assert [name for name, value in weights[0].items() if not torch.equal(value, weights[1][name])] == []


@pytest.mark.parametrize("credit", [VppoConfig(), AtrlConfig()])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"loss_type": "cispo"}, "set it to one of grpo, bnpo, dr_grpo, dapo"),
        ({"importance_sampling_level": "sequence"}, "set it to 'token'"),
        ({"off_policy_mask_threshold": 0.5}, "set it to None"),
        ({"top_entropy_quantile": 0.2}, r"set it to 1\.0"),
    ],
)
def test_what_would_mean_something_else_is_refused(make, credit, given, told):
    with pytest.raises(UsageError, match=f"does not go with (vppo|atrl): .*{told}"):
        make(credit, **given)


def test_an_answer_left_out_would_shift_all_others_weights(make):
    with pytest.raises(UsageError, match="perceives nothing; set it to False"):
        make(VppoConfig(), mask_truncated_completions=True)
    make(AtrlConfig(), mask_truncated_completions=True).train()


def run(credit=None, **given):
    return GrpoRun("m", "d", "o", credit=credit, **given)


def test_a_runs_credit_has_the_papers_settings_where_none_are_given():
    assert credit_of(run()) is None
    assert credit_of(run("vppo")) == VppoConfig()
    assert credit_of(run("vppo", vppo_tokens=0.2, vppo_high=1.1)) == VppoConfig(tokens=0.2, high=1.1)
    assert credit_of(run("atrl", atrl_clusters=4)) == AtrlConfig(clusters=4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"credit": "papo"}, "expected one of vppo, atrl, or none"),
        ({"vppo_tokens": 0.2}, "vppo_tokens is given and credit is None; set credit to vppo"),
        ({"credit": "atrl", "vppo_kl": "exact"}, "vppo_kl is given and credit is atrl"),
        ({"credit": "vppo", "vppo_tokens": 2.0}, "above 0, up to 1"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(given, told):
    with pytest.raises(UsageError, match=told):
        credit_of(run(**given))


def test_pictures_in_some_prompts_alone_are_refused_before_trl_trips(processor, tmp_path):
    build_model(processor, layers=1, heads=2, kv_heads=2, hidden=32).save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    write_records([ASKED[0], TEXT_ONLY], tmp_path / "data")
    with pytest.raises(UsageError, match="prompts with pictures and without"):
        run_grpo(
            GrpoRun(*(str(tmp_path / each) for each in ("model", "data", "out")), prompts=2, grader="exact")
        )
