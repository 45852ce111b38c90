"""A full disk and a folder that cannot be written: one line that names it, and a run that goes on afterwards."""

import errno
import os
import shutil
import subprocess

import pytest

from vaslab.studies import rows

pytestmark = pytest.mark.tiny

SHORT = ["-d", "glyph", "-n", 12, "--batch-size", 1, "--max-new-tokens", 2]


@pytest.fixture
def disk(tmp_path):
    """A file system of its own of 64 kB; `disk.remount("ro")` and the like change it."""
    where = tmp_path / "disk"
    where.mkdir()

    class Disk:
        path = where

        def remount(self, options):
            subprocess.run(["mount", "-o", f"remount,{options}", str(where)], check=True, capture_output=True)

    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(where)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    yield Disk()
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def failed(told, said, path):
    """Check that a call failed by one line, which names the place."""
    code, out, err = told
    errors = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert (code, out, len(errors)) == (1, "", 1), err
    assert errors[0].startswith("error: ")
    assert said in errors[0]
    assert str(path) in errors[0]
    assert "give the same command again" in errors[0]


def test_a_disk_that_is_full_and_then_not(vaslab, tiny, tmp_path, monkeypatch):
    out = tmp_path / "run"
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(rows.os, "fsync", full)
        failed(vaslab("measure", "-m", tiny, *SHORT, "-o", out), "No space left on device", out)
    assert not (out / "summary.json").exists()
    code, told, err = vaslab("measure", "-m", tiny, *SHORT, "-o", out)
    assert (code, told) == (0, f"{out}\n"), err
    assert "2 of 12 items were done before" in err
    whole = tmp_path / "whole"
    assert vaslab("measure", "-m", tiny, *SHORT, "-o", whole)[0] == 0
    for name in ("items.jsonl", "summary.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_a_real_disk_that_is_full_or_read_only(vaslab, tiny, disk):
    out = disk.path / "run"
    words = ["measure", "-m", tiny, *SHORT, "-o", out]
    disk.remount("ro")
    failed(vaslab(*words), "Read-only file system", disk.path)
    disk.remount("rw")
    failed(vaslab(*words), "No space left on device", out)
    assert (out / "items.jsonl").stat().st_size > 0
    disk.remount("ro")
    failed(vaslab(*words), "Read-only file system", out)
    disk.remount("rw,size=20m")
    code, told, err = vaslab(*words)
    assert (code, told) == (0, f"{out}\n"), err
    assert "items were done before" in err
