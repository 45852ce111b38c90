"""Correlations, intervals and tests: bootstrap over items and pictures, checkpoints, pairs, many heads at once."""

from vaslab.statistics.align import aligned
from vaslab.statistics.bootstrap import difference_interval, mean_interval, ratio_interval
from vaslab.statistics.checkpoints import TwoLevel, two_level
from vaslab.statistics.correlation import Correlation, LeaveOneOut, correlate, is_clear, leave_one_out
from vaslab.statistics.coverage import Covered, covered
from vaslab.statistics.fdr import correlation_map, fdr
from vaslab.statistics.item_noise import r_over_items
from vaslab.statistics.line import Line, fit_line
from vaslab.statistics.paired import PairedAccuracy, mcnemar_p, mean_p, mean_t, paired_accuracy
from vaslab.statistics.paired_shares import ShareChange, share_against, share_change, share_interval
from vaslab.statistics.partial import Partial, partial_correlation
from vaslab.statistics.permutation import exchange_p
from vaslab.statistics.power import checkpoints_needed, items_needed, power_of_r, reliability
from vaslab.statistics.products import product_t, share_t
from vaslab.statistics.proportion import accuracy_interval

__all__ = [
    "Correlation",
    "Covered",
    "LeaveOneOut",
    "Line",
    "PairedAccuracy",
    "Partial",
    "ShareChange",
    "TwoLevel",
    "accuracy_interval",
    "aligned",
    "checkpoints_needed",
    "correlate",
    "correlation_map",
    "covered",
    "difference_interval",
    "exchange_p",
    "fdr",
    "fit_line",
    "is_clear",
    "items_needed",
    "leave_one_out",
    "mcnemar_p",
    "mean_interval",
    "mean_p",
    "mean_t",
    "paired_accuracy",
    "partial_correlation",
    "power_of_r",
    "product_t",
    "r_over_items",
    "ratio_interval",
    "reliability",
    "share_against",
    "share_change",
    "share_interval",
    "share_t",
    "two_level",
]
