"""`avar stages`: what is asked is checked before anything runs; done stages are not done again."""

import json

import pytest

from trainers import stages
from trainers.config import build, read_yaml
from trainers.data.glyph import glyph_records
from trainers.data.readers import read_records
from trainers.data.record import digest
from trainers.runs import StagesRun
from trainers.stages import read_stages, run_stages
from vaslab.errors import UsageError, VaslabError

from .test_config import CONFIGS

COLD = {"name": "cold", "method": "sft", "kind": "vard"}


def config(out, *given, **fields):
    return build(
        StagesRun, {"out": str(out), "stages": list(given), "records": 3, "prompts": 2, **fields}, "x"
    )


def test_the_shipped_stages_are_the_papers():
    found = read_stages(build(StagesRun, {"out": "o", **read_yaml(CONFIGS / "organism.yaml")}, "x"))
    chain = {stage.name: (stage.parent, stage.kind) for stage in found}
    assert chain == {
        "text": ("base", "text-cold-start"),
        "multimodal": ("base", "multimodal-cold-start"),
        "vard": ("base", "vard"),
        "agto": ("base", "vard"),
        "vars": ("agto", "rl"),
    }
    by_name = {stage.name: stage.fields for stage in found}
    assert {
        name: (by_name[name].get("alpha"), by_name[name].get("beta")) for name in ("text", "vard", "agto")
    } == {
        "text": (0.0, 0.0),
        "vard": (0.0, 0.0),
        "agto": (0.15, 0.15),
    }
    guided = {**by_name["agto"], "alpha": 0.0, "beta": 0.0}
    assert guided == by_name["vard"]  # the two differ in the objective alone


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "there are no stages"),
        ([{**COLD, "method": "dpo"}], "expected sft or grpo"),
        ([{**COLD, "kind": "rl"}], "sft does not train on records of kind 'rl'"),
        ([{**COLD, "parent": "later"}], "no stage 'later' before it"),
        ([COLD, COLD], "a name of its own"),
        ([{**COLD, "name": "a/b"}], "a plain word"),
        ([{**COLD, "alhpa": 1}], "did you mean 'alpha'"),
        ([{**COLD, "seed": 3}], "set by avar stages"),
        ([{"name": "cold", "method": "sft"}], "'kind'"),
    ],
)
def test_wrong_stages_are_named_before_anything_runs(tmp_path, given, told):
    with pytest.raises(UsageError, match=told):
        run_stages(config(tmp_path / "out", *given))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def calls(monkeypatch):
    """Commands that would run; each leaves what the real one does."""
    seen = []

    def called(module, *words):
        seen.append(words)
        if words[0] == "measure":
            out = words[words.index("--out") + 1]
            number = {"estimate": 0.5, "low": 0.4, "high": 0.6}
            masses = {
                "masses": {"image": number, "system": number},
                "vas": number,
                "vas_ratio_of_means": number,
            }
            write(out, "summary.json", {"n": 4, "accuracy": number, "queries": {"user": masses}})
        else:
            run = read_yaml(stages.Path(words[words.index("--config") + 1]))
            write(f"{run['out']}/checkpoint", "card.json", {})

    def write(folder, name, value):
        stages.Path(folder).mkdir(parents=True)
        (stages.Path(folder) / name).write_text(json.dumps(value))

    monkeypatch.setattr(stages, "_call", called)
    return seen


def test_stages_run_in_order_from_their_parents_and_once(tmp_path, calls):
    asked = config(
        tmp_path / "out",
        {**COLD, "alpha": 0.5},
        {"name": "rl", "method": "grpo", "kind": "rl", "parent": "cold"},
        seeds=[0, 4],
        limit=4,
    )
    results = run_stages(asked)
    assert [words[0] for words in calls] == ["sft", "grpo", "sft", "grpo", *["measure"] * 5]
    second = read_yaml(tmp_path / "out" / "seed-4" / "rl.yaml")
    assert second["model"] == str(tmp_path / "out" / "seed-4" / "cold" / "checkpoint")
    assert second["seed"] == 4
    assert read_yaml(tmp_path / "out" / "seed-4" / "cold.yaml")["alpha"] == 0.5
    data = read_records(tmp_path / "out" / "seed-4" / "data" / "vard").records
    assert digest(data) == digest(glyph_records("vard", 3, 4))
    rows = json.loads(results.read_text())["rows"]
    assert [(row["stage"], row["seed"]) for row in rows] == [
        ("base", None),
        ("cold", 0),
        ("rl", 0),
        ("cold", 4),
        ("rl", 4),
    ]
    done = len(calls)
    run_stages(asked)
    assert len(calls) == done


def test_a_stage_that_fails_ends_the_run_with_its_name():
    with pytest.raises(VaslabError, match=r"sft --config gone\.yaml ended with exit code 3"):
        stages._call("trainers.cli", "sft", "--config", "gone.yaml")
