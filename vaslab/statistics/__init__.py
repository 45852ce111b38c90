"""Intervals: bootstrap over items, paired differences, Wilson for accuracy."""

from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import difference_interval, mean_interval, ratio_interval
from vaslab.statistics.proportion import accuracy_interval

__all__ = ["accuracy_interval", "aligned", "difference_interval", "mean_interval", "ratio_interval"]
