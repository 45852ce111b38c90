"""Configs: from YAML and flags, with the field named where something is wrong."""

import json
import re
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

from trainers.cli import app
from trainers.config import build, read_yaml
from trainers.runs import GrpoRun, SftRun, StagesRun
from vaslab.cli.exits import run
from vaslab.errors import MissingError, UsageError

CONFIGS = Path(__file__).parents[2] / "trainers" / "configs"
GIVEN = {"model": "m", "data": "d", "out": "o"}


def test_lists_become_tuples_and_numbers_fit():
    config = build(
        SftRun, {**GIVEN, "layers": [0, 2], "heads": ["L1H1"], "lr": "5e-6", "epochs": 3}, "x.yaml"
    )
    assert (config.layers, config.heads, config.lr, config.epochs) == ((0, 2), ("L1H1",), 5e-6, 3.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"alhpa": 0.1}, "x.yaml: unknown field 'alhpa'; did you mean 'alpha'"),
        ({"alpha": "much"}, "x.yaml: alpha is 'much'; expected float"),
        ({"batch": 1.5}, "x.yaml: batch is 1.5; expected int"),
        ({"batch": True}, "x.yaml: batch is True; expected int"),
        ({"freeze_vision": 1}, "x.yaml: freeze_vision is 1; expected bool"),
        ({"layers": 3}, "x.yaml: layers is 3; expected a list of int"),
        ({"keep": 3}, "x.yaml: keep is 3; expected str or nothing"),
        ({"layers": ["a"]}, "x.yaml: layers is 'a'; expected int"),
    ],
)
def test_what_does_not_fit_is_named(given, told):
    with pytest.raises(UsageError, match=told):
        build(SftRun, {**GIVEN, **given}, "x.yaml")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"stages": ["sft"]}, "x.yaml: stages is 'sft'; expected a mapping"),
        ({"stages": {"name": "a"}}, "x.yaml: stages is {'name': 'a'}; expected a list of mappings"),
        ({"study": "glyph"}, "x.yaml: study is 'glyph'; expected a mapping or nothing"),
    ],
)
def test_what_is_no_mapping_is_named(given, told):
    with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
        build(StagesRun, {"out": "o", **given}, "x.yaml")


def test_a_missing_field_is_named():
    with pytest.raises(UsageError, match=r"^x\.yaml: 'out' is missing; give it$"):
        build(SftRun, {"model": "m", "data": "d"}, "x.yaml")


def test_files_that_hold_no_fields(tmp_path):
    with pytest.raises(MissingError, match="check --config"):
        read_yaml(tmp_path / "gone.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(UsageError, match="holds no fields"):
        read_yaml(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(UsageError, match="is not YAML"):
        read_yaml(tmp_path / "broken.yaml")


def test_flags_win_over_the_file(tmp_path, capfd):
    (tmp_path / "run.yaml").write_text("model: organism:base\ndata: d\nalpha: 0.3\nlayers: [1]\n")
    words = ["sft", "--config", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "out"), "--alpha", "0.4"]
    assert run(app, [*words, "--layers", "2", "--layers", "0"], "avar") == 3
    assert "no records at d" in capfd.readouterr().err
    asked = json.loads((tmp_path / "out" / "asked.json").read_text())
    assert (asked["model"], asked["alpha"], asked["layers"]) == ("organism:base", 0.4, [2, 0])


def test_a_required_flag_is_asked_for(capfd):
    assert run(app, ["grpo", "--model", "m"], "avar") == 2
    assert "--data is missing" in capfd.readouterr().err


def test_the_shipped_configs_are_the_papers():
    files = {"qwen2.5-vl-7b-sft": SftRun, "qwen2.5-vl-7b-grpo": GrpoRun}
    for name, kind in files.items():
        given = read_yaml(CONFIGS / f"{name}.yaml")
        shipped = build(kind, {**GIVEN, **given}, name)
        assert shipped == kind(**{**GIVEN, "model": given.get("model", "m")})  # the defaults are
    assert build(StagesRun, {"out": "o", **read_yaml(CONFIGS / "organism.yaml")}, "organism").stages


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_its_configs(path):
    config = load_config_from_file(str(path))
    assert config.num_processes == {"one-gpu": 1, "two-nodes": 16}.get(path.stem, 8)


def test_the_launcher_takes_them_as_they_are():
    """Read, completed and checked by accelerate's own launch command."""
    found = {}
    for path in (CONFIGS / "accelerate").glob("*.yaml"):
        asked = launch_command_parser().parse_args(["--config_file", str(path), "-m", "trainers"])
        args = _validate_launch_command(asked)[0]
        found[path.stem] = (args.num_machines, args.num_processes, args.use_fsdp, args.use_deepspeed)
        assert args.mixed_precision == "bf16"
        if args.use_fsdp:
            assert args.fsdp_version == 2
        if args.use_deepspeed:
            assert args.zero_stage == 2
    assert found == {
        "one-gpu": (1, 1, False, False),
        "fsdp2": (1, 8, True, False),
        "zero2": (1, 8, False, True),
        "two-nodes": (2, 16, True, False),
    }
