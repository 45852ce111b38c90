"""Fixtures of more than one floor: a tiny random Qwen2.5-VL with the organism's processor, in memory and in a
folder."""

import gc
import os
import signal

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest

# a shell that starts the tests in the background has it ignored, and so would every process that a test starts
signal.signal(signal.SIGINT, signal.default_int_handler)
# imports make objects by the million, none of which goes again: each collection would look at them all
gc.disable()


def pytest_collection_finish() -> None:
    """Torch is loaded no sooner than here: a process that hands tests to workers collects none and needs none."""
    import torch

    torch.set_num_threads(1)
    gc.freeze()
    gc.enable()


def pytest_runtest_teardown(item, nextitem) -> None:
    """Between two files: what the one left is collected, and the libraries it loaded are looked at no more."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def processor():
    from vaslab.organism.build import build_processor

    return build_processor()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, processor):
    """A random model of 2 layers, 4 heads and 2 key-value heads, saved as anyone would save theirs."""
    from vaslab.organism.build import build_model

    folder = tmp_path_factory.mktemp("tiny")
    build_model(processor, layers=2, heads=4, kv_heads=2, hidden=64).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def tiny(tiny_folder):
    from vaslab.models import load_model

    return load_model(tiny_folder)


@pytest.fixture
def cached(tiny_folder, tmp_path, monkeypatch):
    """A hub id that was downloaded once, in a cache of its own; every look at the network is kept in the list."""
    import shutil
    import socket

    commit = "0123456789abcdef0123456789abcdef01234567"
    kept = tmp_path / "hub" / "models--some--tiny"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(commit)
    shutil.copytree(tiny_folder, kept / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    asked = []

    def none(*where, **_):
        asked.append(where)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", none)
    monkeypatch.setattr(socket.socket, "connect", none)
    return asked
