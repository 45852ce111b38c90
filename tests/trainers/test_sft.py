"""`avar sft`: what moves, what is refused, what a kill costs, what the folder holds."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from trl import SFTConfig

from tests.trainers.chats import RECORDS, adapted
from tests.trainers.killed import cut_at, same_weights
from trainers.checkpoints import accumulation, last_state
from trainers.data.collate import to_dataset
from trainers.losses import AgtoConfig
from trainers.runs import SftRun
from trainers.sft import AvarSFTTrainer
from vaslab.attention import text_decoder
from vaslab.errors import UsageError
from vaslab.models import load_model
from vaslab.organism.build import build_model

pytestmark = pytest.mark.tiny


def arguments(folder, **given):
    options = {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 3,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "use_cpu": True,
        "bf16": False,
        "max_length": None,
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
    }
    return SFTConfig(**options | given)


@pytest.fixture
def make(processor, tmp_path):
    def make(agto=None, model=None, peft_config=None, records=RECORDS, **given):
        model = model or build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64)
        return AvarSFTTrainer(
            model,
            arguments(tmp_path, **given),
            agto,
            train_dataset=to_dataset(records),
            processing_class=processor,
            peft_config=peft_config,
        )

    return make


def moved(trainer):
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    return {name for name, p in trainer.model.named_parameters() if not torch.equal(p, before[name])}, set(
        before
    )


def test_every_parameter_moves_and_the_log_holds_masses_and_vas(make):
    trainer = make(AgtoConfig())
    changed, every = moved(trainer)
    assert changed == every
    log = trainer.state.log_history[0]
    assert {
        f"agto/{name}" for name in ("enhance", "suppress", "visual_mass", "system_mass", "vas")
    } <= log.keys()
    assert 0 < log["agto/visual_mass"] < 1
    assert trainer.model.config.get_text_config()._attn_implementation == "sdpa"


def test_checkpointing_of_either_kind_changes_no_step(make):
    plain, *recomputed = (
        make(
            AgtoConfig(alpha=5.0),
            gradient_checkpointing=on,
            gradient_checkpointing_kwargs={"use_reentrant": reentrant},
        )
        for on, reentrant in ((False, False), (True, False), (True, True))
    )
    for trainer in (plain, *recomputed):
        trainer.train()
    for trainer in recomputed:
        for (name, a), b in zip(plain.model.named_parameters(), trainer.model.parameters(), strict=True):
            assert torch.allclose(a, b, atol=2e-6), name


def test_guidance_raises_the_visual_mass_and_plain_training_only_watches(make):
    """The mass is what is pulled at: in six steps it rises under AGTO, by more than under words alone."""
    risen = []
    for agto in (AgtoConfig(alpha=2.0, beta=0.0), None):
        trainer = make(agto, max_steps=6)
        trainer.train()
        logs = [log["agto/visual_mass"] for log in trainer.state.log_history if "agto/visual_mass" in log]
        risen.append(logs[-1] - logs[0])
    assert risen[0] > 0.05
    assert risen[0] > 2 * abs(risen[1])


def test_rows_without_a_picture_weaken_no_guidance_however_rows_fall_into_forwards(make, processor):
    """A step guides by the mean over its rows with a picture: three rows at once, or each alone."""
    model = build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64)

    def step(weight, per_device):
        trainer = make(
            AgtoConfig(alpha=weight, beta=weight),
            deepcopy(model),
            max_steps=1,
            per_device_train_batch_size=per_device,
            gradient_accumulation_steps=3 // per_device,
            optim="sgd",
            learning_rate=1.0,
            max_grad_norm=0.0,
        )
        trainer.train()
        pairs = zip(trainer.model.parameters(), model.parameters(), strict=True)
        return torch.cat([(after - before).detach().flatten() for after, before in pairs])

    together, alone = (step(5.0, each) - step(0.0, each) for each in (3, 1))
    assert together.norm() > 0.1
    assert (together - alone).norm() < 1e-4 * together.norm()


def test_a_smoothed_loss_makes_a_second_forward_and_keeps_the_guidance(make):
    """TRL then runs the model again without gradients; a naive recorder keeps that pass, and the pull is gone."""
    trainer = make(AgtoConfig(alpha=2.0, beta=0.0), max_steps=6, label_smoothing_factor=0.1)
    trainer.train()
    logs = [log["agto/visual_mass"] for log in trainer.state.log_history if "agto/visual_mass" in log]
    assert logs[-1] > logs[0] + 0.05


def test_a_step_is_one_forward(make):
    trainer, forwards = make(AgtoConfig(), gradient_checkpointing=False), []
    text_decoder(trainer.network)[1].register_forward_pre_hook(lambda *_: forwards.append(1))
    trainer.train()
    assert len(forwards) == trainer.state.global_step == 2


def test_the_frozen_tower_stays(tiny_folder, sft):
    run = sft(freeze_vision=True)
    before, after = (load_file(each / "model.safetensors") for each in (tiny_folder, run))
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {name for name in before if ".visual." in name or name.startswith("visual.")}
    assert still


def test_lora_moves_its_adapters_alone_and_leaves_a_merged_folder(tiny_folder, sft):
    run = sft(lora_rank=2, lr=1e-2)
    before, after = (load_file(each / "model.safetensors") for each in (tiny_folder, run))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == adapted(before)
    assert (run.parent / "adapter" / "adapter_config.json").is_file()


def test_a_base_of_few_bits_is_merged_in_the_type_of_the_training(
    tiny_folder, sft, tmp_path, monkeypatch, capsys
):
    """Stored in bfloat16 it would round away most of what a small learning rate changes."""
    vlm = load_model(tiny_folder, dtype="bfloat16")
    vlm.model.save_pretrained(tmp_path / "base")
    vlm.processor.save_pretrained(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    given = {"model": "base", "lora_rank": 2, "lr": 1e-5, "save_steps": 1}
    runs = [sft(dtype, dtype=dtype, **given) for dtype in ("float32", "auto")]
    merged, rounded = (load_file(run / "model.safetensors") for run in runs)
    assert {each.dtype for each in merged.values()} == {torch.float32}
    lost = [json.loads((run / "card.json").read_text())["merge_lost"] for run in runs]
    assert lost[0] < 1e-3
    base = load_file(tmp_path / "base" / "model.safetensors")
    adapter = load_file(tmp_path / "auto" / "adapter" / "adapter_model.safetensors")
    off, whole = [], []
    for name in sorted(adapted(base)):
        own = f"layers.{name.split('layers.')[1].removesuffix('.weight')}.lora_"
        down, up = (next(each for key, each in adapter.items() if f"{own}{side}." in key) for side in "AB")
        whole.append((2 * up.float() @ down.float()).flatten())  # lora_alpha is twice the rank
        off.append((rounded[name].float() - base[name].float()).flatten() - whole[-1])
    assert lost[1] == pytest.approx(float(torch.cat(off).norm() / torch.cat(whole).norm()), rel=1e-3)
    assert lost[1] > 0.05
    assert f"rounding lost {lost[1]:.0%}" in capsys.readouterr().err
    # each state holds the base's name from any folder
    state = tmp_path / "float32" / "state" / "checkpoint-1" / "adapter_config.json"
    assert json.loads(state.read_text())["base_model_name_or_path"] == str(tmp_path / "base")


def test_the_checkpoint_is_an_ordinary_folder_with_a_card(tiny_folder, sft):
    run = sft()
    vlm = load_model(run)
    assert vlm.model.config._attn_implementation == "sdpa"
    card = json.loads((run / "card.json").read_text())
    assert card["parent"] == {"name": str(tiny_folder), "revision": load_model(tiny_folder).revision}
    assert card["data"]["records"] == 6
    assert card["steps"] == 2
    assert card["config"]["alpha"] == 0.15
    assert card["metrics"]["agto/vas"] > 0
    assert not (run / "training_args.bin").exists()


@pytest.mark.parametrize("given", [{}, {"lora_rank": 2}], ids=str)
def test_a_killed_run_goes_on_to_the_same_bits(sft, tmp_path, monkeypatch, given):
    given |= {"max_steps": 4, "save_steps": 2}
    whole = sft("whole", **given)
    # two forwards a step: in the third
    forwards = cut_at(monkeypatch, AvarSFTTrainer, "compute_loss", 6)
    with pytest.raises(KeyboardInterrupt):
        sft("cut", **given)
    assert last_state(tmp_path / "cut").endswith("checkpoint-2")
    (tmp_path / "cut" / "state" / "checkpoint-3").mkdir()  # half written
    cut = sft("cut", **given)
    assert len(forwards) == 6 + 4
    assert same_weights(whole, cut)


@pytest.mark.parametrize(("keep", "kept"), [("all", [1, 2, 3]), (None, [2, 3])])
def test_states_that_are_kept_are_models(sft, tiny_folder, keep, kept):
    run = sft(max_steps=3, save_steps=1, keep=keep)
    states = sorted(run.parent.glob("state/checkpoint-*"))
    assert [int(state.name.removeprefix("checkpoint-")) for state in states] == kept
    revisions = [load_model(each).revision for each in (tiny_folder, *states, run)]
    assert len(set(revisions)) == len(states) + 1
    assert revisions[-1] == revisions[-2]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"packing": True}, "set packing=False"),
        ({"padding_free": True}, "set padding_free=False"),
        ({"max_length": 1024}, "set max_length=None"),
        ({"assistant_only_loss": True}, "set it to False"),
        ({"torch_compile": True}, "compiled layers are not supported; set it to False"),
        ({"use_liger_kernel": True}, "replaces the forward that is measured; set it to False"),
    ],
)
def test_what_would_train_something_else_is_refused(make, given, told):
    with pytest.raises(UsageError, match=told):
        make(AgtoConfig(), **given)


def test_what_has_no_processor_or_model_is_refused(processor, tmp_path):
    with pytest.raises(UsageError, match="pass a loaded model"):
        AvarSFTTrainer("organism:base", arguments(tmp_path), processing_class=processor)
    with pytest.raises(UsageError, match="leave it out"):
        AvarSFTTrainer(object(), arguments(tmp_path), processing_class=processor, data_collator=list)
    with pytest.raises(UsageError, match="would go unguided; leave it out"):
        AvarSFTTrainer(object(), arguments(tmp_path), processing_class=processor, compute_loss_func=len)
    with pytest.raises(UsageError, match="pass the model's processor"):
        AvarSFTTrainer(object(), arguments(tmp_path))


def test_a_batch_is_split_evenly_or_refused():
    assert accumulation(512, 4, 16) == 8
    with pytest.raises(UsageError, match=r"^batch is 512, no multiple of per_device 4 times 3"):
        accumulation(512, 4, 3)


def test_the_run_configs_defaults_are_the_papers():
    run = SftRun("m", "d", "o")
    assert (run.alpha, run.beta, run.lr, run.batch, run.epochs, run.queries) == (
        0.15,
        0.15,
        5e-6,
        512,
        20,
        "user",
    )
    assert replace(run, variant="as_released").variant == "as_released"
