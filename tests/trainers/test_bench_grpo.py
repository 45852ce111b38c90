"""The bench of the visual reward: its eager side is the same reward, and its lines are what the tables read."""

import json

import pytest
import torch

from bench.grpo import EagerTrainer, arguments, build, main
from bench.tables import table_of
from bench.workload import SMALL
from tests.trainers.test_data import png
from tests.trainers.test_grpo import arguments as trl_arguments
from trainers.data.collate import to_prompts
from trainers.data.record import PLACE, Record
from trainers.grpo import AvarGRPOTrainer
from trainers.rewards import VarsConfig

pytestmark = pytest.mark.tiny


@pytest.fixture(autouse=True)
def _of_two_layers(monkeypatch):
    monkeypatch.setitem(SMALL, "num_hidden_layers", 2)


def test_both_ways_are_one_reward(tmp_path):
    model, processor, picture = build("cpu", 80)
    record = Record("r", (("user", f"{PLACE}what?"),), (png(picture),), "rl", "red")
    options = {"train_dataset": to_prompts([record]), "processing_class": processor}
    trainer = EagerTrainer(model, trl_arguments(tmp_path), VarsConfig(gated=False), **options)
    row = to_prompts([record])[0]
    content = [{"type": "image", "image": row["images"][0]}, {"type": "text", "text": "what?"}]
    asked = [[{"role": "user", "content": content}]] * 2
    answers = [[5, 9, 11], [7]]
    by_maps = trainer._look(asked, answers)["reward"]
    ours = AvarGRPOTrainer._look(trainer, asked, answers)["reward"]
    assert torch.allclose(by_maps, ours, rtol=1e-4)
    assert by_maps[0] != by_maps[1]


def test_a_prompt_has_about_the_length_that_is_asked_for():
    _, processor, picture = build("cpu", 300)
    seen = processor(text=["<|vision_start|><|image_pad|><|vision_end|>"], images=[picture])["input_ids"]
    assert 230 <= len(seen[0]) <= 300


def test_the_lines_carry_interval_sizes_and_machine(capsys, tmp_path):
    out = tmp_path / "grpo-cpu.jsonl"
    words = ["--length", "64", "--rollouts", "2", "--answer", "3", "--pairs", "1", "--threads", "1"]
    assert main([*words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(out.read_text())
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert [line["comparison"] for line in lines] == ["vars / grpo", "eager / vars"]
    assert all(line["low"] <= line["median"] <= line["high"] and line["n"] == 1 for line in lines)
    assert {"machine", "threads", "torch", "date"} <= lines[0].keys()
    assert "| time: vars, S = 64, answer 3 | vars / grpo | " in table_of("grpo-cpu", tmp_path)


def test_defaults_of_the_gpu_are_the_issues(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    asked = arguments(["--device", "cuda"])
    assert (asked.length, asked.rollouts) == (8192, 8)
