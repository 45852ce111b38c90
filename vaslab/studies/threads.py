"""How many threads a model is worth."""

from __future__ import annotations

import os

import torch

from vaslab.models import Vlm

SMALL = 100_000_000
"""Parameters below which the threads of a CPU wait for each other longer than they compute."""


def fit_threads(vlm: Vlm) -> None:
    """Use one thread from here on for a small model on the CPU, unless OMP_NUM_THREADS says otherwise.

    With other work on the cores, two threads on a model of a few million parameters take more than ten times as
    long as one. The number of threads is the process's, and stays.
    """
    if "OMP_NUM_THREADS" in os.environ or vlm.device.type != "cpu":
        return
    if sum(parameter.numel() for parameter in vlm.model.parameters()) < SMALL:
        torch.set_num_threads(1)
