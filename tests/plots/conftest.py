"""Figures are tested on the synthetic captures of the metrics."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "metrics"))
