"""Benchmarks: items with their pictures and questions; one module each, with a grading rule of its own."""

from vaslab.benchmarks.item import Benchmark, Grade, Item, Selection
from vaslab.benchmarks.registry import BENCHMARKS, find_benchmark

__all__ = ["BENCHMARKS", "Benchmark", "Grade", "Item", "Selection", "find_benchmark"]
