"""The paper's output format: the answer stands in <answer>...</answer>, after the reasoning."""

from __future__ import annotations

OPEN, CLOSE = "<answer>", "</answer>"


def tagged_answer(response: str) -> str | None:
    """Return what the last complete <answer>...</answer> of a response holds; None where it has none."""
    before, close, _ = response.rpartition(CLOSE)
    if not close or OPEN not in before:
        return None
    return before.rpartition(OPEN)[2].strip()
