"""PuzzleVQA: abstract patterns with a part to fill in, by the authors and rule of AlgoPuzzleVQA.

Chia et al. 2024, arXiv 2403.13315.
"""

from __future__ import annotations

from vaslab.benchmarks.algopuzzlevqa import AlgoPuzzleVqa


class PuzzleVqa(AlgoPuzzleVqa):
    """Rows have the form of AlgoPuzzleVQA's; prompt and extraction are the same in the official evaluation."""

    name = "puzzlevqa"
    title = "PuzzleVQA, 20 patterns, 100 questions each"
    source = "declare-lab/PuzzleVQA on the Hugging Face hub; github.com/declare-lab/LLM-PuzzleTest"
    licence = "MIT"
    get = "hub:declare-lab/PuzzleVQA, or the folder PuzzleVQA of github.com/declare-lab/LLM-PuzzleTest"
