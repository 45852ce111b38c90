"""Correlations, intervals and tests: bootstrap over items and pictures, checkpoints, pairs, many heads at once."""

from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import difference_interval, mean_interval, ratio_interval
from vaslab.statistics.checkpoints import TwoLevel, two_level
from vaslab.statistics.correlation import Correlation, LeaveOneOut, correlate, leave_one_out
from vaslab.statistics.fdr import correlation_map, fdr
from vaslab.statistics.line import Line, fit_line
from vaslab.statistics.paired import PairedAccuracy, mcnemar_p, mean_p, paired_accuracy
from vaslab.statistics.partial import Partial, partial_correlation
from vaslab.statistics.power import checkpoints_needed, items_needed, power_of_r, reliability
from vaslab.statistics.products import product_interval, product_p, ratio_p
from vaslab.statistics.proportion import accuracy_interval

__all__ = [
    "Correlation",
    "LeaveOneOut",
    "Line",
    "PairedAccuracy",
    "Partial",
    "TwoLevel",
    "accuracy_interval",
    "aligned",
    "checkpoints_needed",
    "correlate",
    "correlation_map",
    "difference_interval",
    "fdr",
    "fit_line",
    "items_needed",
    "leave_one_out",
    "mcnemar_p",
    "mean_interval",
    "mean_p",
    "paired_accuracy",
    "partial_correlation",
    "power_of_r",
    "product_interval",
    "product_p",
    "ratio_interval",
    "ratio_p",
    "reliability",
    "two_level",
]
