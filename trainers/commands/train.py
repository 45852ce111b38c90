"""The runs of `avar`: each in its folder, words for people on stderr, one path on stdout."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any

from trainers.config import held, keep_to, occupied
from trainers.runs import GrpoRun, SftRun
from vaslab.cli.console import quiet_libraries
from vaslab.cli.exits import INTERRUPTED, fail
from vaslab.models.located import locate


def sft(config: SftRun) -> int:
    """Run `avar sft`."""
    refuse(config)
    return in_folder(config, _run_sft)


def _run_sft(config: SftRun) -> Path:
    from trainers.sft_run import run_sft

    return run_sft(config)


def grpo(config: GrpoRun) -> int:
    """Run `avar grpo`."""
    refuse(config)
    return in_folder(config, _run_grpo)


def _run_grpo(config: GrpoRun) -> Path:
    from trainers.grpo_run import run_grpo

    return run_grpo(config)


def refuse(config: SftRun | GrpoRun) -> None:
    """Refuse what can be told from the config alone, before the seconds that loading TRL takes and any folder.

    Raises:
        MissingError: a package or model that is not there.
        UsageError: a setting or model that cannot be trained with, or one process of several without a launcher.
    """
    if not config.online:
        # read once, as huggingface_hub is imported: transformers, TRL and PEFT look there for more than the model
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from trainers.refusals import check_launch, check_settings, refuse_model, require_packages

    check_launch(os.environ)
    require_packages(config)
    refuse_model(config.model)
    if not Path(config.model).expanduser().is_dir():
        locate(config.model)
    check_settings(config)


def in_folder(config: SftRun | GrpoRun, train: Callable[[Any], Path]) -> int:
    """Run a training in the folder `config.out`, which keeps to its config; print the checkpoint's path.

    Raises UsageError where the folder holds another run, or another process trains in it; and what `train` raises.
    """
    quiet_libraries()
    warnings.simplefilter("ignore", FutureWarning)
    # PEFT's, of every adapter that is saved offline
    warnings.filterwarnings("ignore", message="Could not find a config file in")
    main = int(os.environ.get("RANK", "0")) == 0
    try:
        # the log is for people; stdout carries the path alone
        with ExitStack() as stack:
            stack.enter_context(redirect_stdout(sys.stderr))
            if main:
                keep_to(Path(config.out), held(config))
                stack.enter_context(occupied(Path(config.out)))
            checkpoint = train(config)
    except KeyboardInterrupt:
        return fail(f"interrupted; the same command goes on from the last state in {config.out}", INTERRUPTED)
    if main:
        print(checkpoint)
    return 0
