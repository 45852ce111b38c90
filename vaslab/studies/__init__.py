"""Models x benchmarks -> run folders: resumable, with provenance."""

from vaslab.studies.config import MeasureConfig
from vaslab.studies.run import RunFolder, read_summary

__all__ = ["MeasureConfig", "RunFolder", "read_summary"]
