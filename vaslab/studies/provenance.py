"""What a run was made by: versions, machine, command line, seeds, threads."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import vaslab
from vaslab.models import Vlm

PACKAGES = (
    "torch",
    "transformers",
    "nnsight",
    "tokenizers",
    "numpy",
    "pillow",
    "xarray",
    "zarr",
    "scipy",
    "easy-vqa",
)


def versions() -> dict[str, str]:
    """Versions of vaslab, Python and the packages that a number can depend on."""
    found = {"vaslab": vaslab.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout that vaslab runs from, with `+changes` where files differ from it."""
    root = Path(vaslab.__file__).parent.parent
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        dirty = git("status", "--porcelain", "--untracked-files=no", "--", "vaslab")
        return git("rev-parse", "HEAD") + ("+changes" if dirty else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def fixed_environment(vlm: Vlm) -> dict[str, Any]:
    """What must stay as it is while a run goes on, because bits of its numbers depend on it."""
    gpu = {"gpu": torch.cuda.get_device_name(vlm.device)} if vlm.device.type == "cuda" else {}
    return {
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "device": vlm.device.type,
        "dtype": str(vlm.dtype).removeprefix("torch."),
        "machine": platform.machine(),
        **gpu,
    }


def session() -> dict[str, Any]:
    """What may differ from one call to the next of the same run."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": git_commit(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }
