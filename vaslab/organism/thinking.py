"""How the organism is asked to reason before it answers, and the paper's output format in which it does."""

from __future__ import annotations

from collections.abc import Sequence

THINK = "think first."
"""What follows a question when the organism is to reason before it answers; without it, it answers at once."""


def thoughtful(question: str) -> str:
    """Return a question with the request to reason first."""
    return f"{question} {THINK}"


def reasoned(steps: Sequence[str], answer: str) -> str:
    """Return reasoning and answer: <think>...</think><answer>...</answer>."""
    return f"<think>{' '.join(steps)}</think><answer>{answer}</answer>"
