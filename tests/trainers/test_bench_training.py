"""What the training bench compares is the same step: equal losses and gradients, by our way and by whole maps."""

import json
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.tiny
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _of_two_layers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.workload import SMALL

    monkeypatch.setitem(SMALL, "num_hidden_layers", 2)


@pytest.mark.parametrize("checkpointed", [False, True])
def test_both_guided_steps_are_one_step_and_the_plain_one_is_another(checkpointed):
    from bench.training_step import Training

    training = Training(32, checkpointed=checkpointed)
    found = {}
    for subject in ("sft", "agto", "eager"):
        # the learning rate is 1e-6, and the weights are put back
        kept = {name: value.clone() for name, value in training.model.state_dict().items()}
        with training.on(subject) as step:
            loss = step()
        gradient = torch.cat([p.grad.flatten() for p in training.model.parameters() if p.grad is not None])
        found[subject] = (loss, gradient)
        training.model.load_state_dict(kept)
    # at random weights the two losses of the guidance nearly cancel; their gradients do not
    plain, guided = found["sft"][1], found["agto"][1]
    assert (guided - plain).norm() > 1e-2 * plain.norm()
    assert torch.allclose(found["agto"][0], found["eager"][0], rtol=1e-5)
    assert torch.allclose(found["agto"][1], found["eager"][1], rtol=1e-3, atol=1e-6)


def test_the_lines_carry_interval_target_and_machine(capsys, tmp_path):
    from bench.training import main

    out = tmp_path / "lines.jsonl"
    options = ["--length", "48", "--pairs", "1", "--metrics", "time", "--threads", "1", "--out", str(out)]
    assert main(options) == 0
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert capsys.readouterr().out == out.read_text()
    assert [line["comparison"] for line in lines] == [
        "agto / sft",
        "eager / agto",
        "agto-checkpointed / sft-checkpointed",
    ]
    assert all(line["low"] <= line["median"] <= line["high"] for line in lines)
    assert all(line["target"] is None for line in lines)  # promised at 2,048 tokens
    assert {"machine", "load", "threads", "torch", "date"} <= lines[0].keys()


def test_a_side_that_does_not_fit_is_a_line_and_no_end(monkeypatch, capsys):
    from bench import training

    def too_much(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(training, "time_line", too_much)
    assert training.main(["--length", "48", "--pairs", "1", "--metrics", "time", "--threads", "1"]) == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert {(line["median"], line["why"]) for line in lines} == {
        (None, "does not fit in the memory of the device")
    }
