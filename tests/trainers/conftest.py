"""A tiny model in a folder, and runs of both commands on it that end within seconds."""

import pytest

from tests.trainers.chats import ASKED, RECORDS
from trainers.data.record import write_records
from trainers.runs import GrpoRun, SftRun
from vaslab.errors import VaslabError

SHORT_SFT = {
    "batch": 2,
    "per_device": 1,
    "max_steps": 2,
    "lr": 1e-3,
    "log_steps": 1,
    "warmup": 0.0,
    "checkpointing": False,
}
SHORT_GRPO = {
    "prompts": 2,
    "rollouts": 2,
    "per_device": 4,
    "max_new_tokens": 5,
    "max_steps": 4,
    "save_steps": 2,
    "lr": 1e-3,
    "gated": False,
    "checkpointing": False,
    "grader": "exact",
}


@pytest.fixture
def unread(monkeypatch):
    """No weight is read: a run may open its model for the config alone, and ends where it asks for more."""
    from trainers import training

    load_model = training.load_model

    def opened(name, **given):
        if given.get("device_map") != "meta":
            raise VaslabError("the weights are asked for")
        return load_model(name, **given)

    monkeypatch.setattr(training, "load_model", opened)


@pytest.fixture
def sft(tiny_folder, tmp_path):
    """Run `avar sft` for two steps into a folder of this name; returns the checkpoint."""

    from trainers.sft_run import run_sft  # TRL takes seconds to load, which most tests here need not

    def run(name="run", **given):
        data = tmp_path / "chats"
        if not data.exists():
            write_records([*RECORDS] * 2, data)
        paths = {"model": str(tiny_folder), "data": str(data), "out": str(tmp_path / name)}
        return run_sft(SftRun(**paths | SHORT_SFT | given))

    return run


@pytest.fixture
def grpo(tiny_folder, tmp_path):
    """Run `avar grpo` for four steps into a folder of this name; returns the checkpoint."""

    from trainers.grpo_run import run_grpo

    def run(name="run", **given):
        data = tmp_path / "prompts"
        if not data.exists():
            write_records(ASKED * 4, data)
        return run_grpo(GrpoRun(str(tiny_folder), str(data), str(tmp_path / name), **SHORT_GRPO | given))

    return run
