"""The runs of `avar`: each in its folder, words for people on stderr, one path on stdout."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainers.config import held, keep_to
from trainers.runs import GrpoRun, SftRun
from vaslab.cli.console import quiet_libraries
from vaslab.cli.exits import INTERRUPTED, fail
from vaslab.errors import MissingError
from vaslab.models.located import locate


def sft(config: SftRun) -> int:
    """Run `avar sft`."""
    require_packages("trl", "peft")
    require_model(config.model)
    return in_folder(config, _run_sft)


def _run_sft(config: SftRun) -> Path:
    from trainers.sft_run import run_sft

    return run_sft(config)


def grpo(config: GrpoRun) -> int:
    """Run `avar grpo`."""
    require_packages("trl", "peft", *(["vllm"] if config.vllm else []))
    require_model(config.model)
    return in_folder(config, _run_grpo)


def _run_grpo(config: GrpoRun) -> Path:
    from trainers.grpo_run import run_grpo

    return run_grpo(config)


def require_packages(*names: str) -> None:
    """Raise MissingError for the first package that is not installed, before a folder is made or a model read."""
    for name in names:
        if find_spec(name) is None:
            what = (
                "give --no-vllm, or install a vLLM that TRL supports"
                if name == "vllm"
                else "install vaslab[train]"
            )
            raise MissingError(f"the package {name} is not installed; {what}")


def require_model(name: str) -> None:
    """Raise MissingError or UsageError for a model that is not there, before the seconds that loading TRL takes."""
    if not Path(name).expanduser().is_dir():
        locate(name)


def in_folder(config: Any, train: Callable[[Any], Path]) -> int:
    """Run a training in the folder `config.out`, which keeps to its config; print the checkpoint's path."""
    quiet_libraries()
    warnings.simplefilter("ignore", FutureWarning)
    try:
        # the log is for people; stdout carries the path alone
        with redirect_stdout(sys.stderr):
            if int(os.environ.get("RANK", "0")) == 0:
                keep_to(Path(config.out), held(config))
            checkpoint = train(config)
    except KeyboardInterrupt:
        return fail(f"interrupted; the same command goes on from the last state in {config.out}", INTERRUPTED)
    if int(os.environ.get("RANK", "0")) == 0:
        print(checkpoint)
    return 0
