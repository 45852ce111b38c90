"""Figures: one module a figure, one theme, one export. No torch."""

from vaslab.plots.changes import changes
from vaslab.plots.changes_numbers import changes_table
from vaslab.plots.compare import compare
from vaslab.plots.compare_numbers import compare_table
from vaslab.plots.correlation import correlation
from vaslab.plots.correlation_numbers import correlation_table
from vaslab.plots.export import CONFIG, browser, save, write_figure
from vaslab.plots.forgetting import forgetting_figure
from vaslab.plots.forgetting_numbers import Answers, forgetting_table
from vaslab.plots.head_numbers import heads_table
from vaslab.plots.heads import heads
from vaslab.plots.items import items
from vaslab.plots.items_numbers import ItemWords, items_table
from vaslab.plots.lazy import lazy
from vaslab.plots.lazy_numbers import lazy_table
from vaslab.plots.localisation import localisation_figure
from vaslab.plots.localisation_numbers import localisation_table
from vaslab.plots.published import published
from vaslab.plots.published_numbers import published_table
from vaslab.plots.report import Checkpoint, report
from vaslab.plots.scatter import scatter
from vaslab.plots.scatter_numbers import findings, scatter_table
from vaslab.plots.sensitivity import sensitivity
from vaslab.plots.sensitivity_numbers import sensitivity_table
from vaslab.plots.sweep import sweep, sweep_sides
from vaslab.plots.sweep_dose import dose_response
from vaslab.plots.sweep_numbers import sweep_cells
from vaslab.plots.system_prompts import system_prompts
from vaslab.plots.system_prompts_numbers import Prompted, system_prompts_table
from vaslab.plots.tokens import tokens
from vaslab.plots.tokens_numbers import tokens_table
from vaslab.plots.training import training
from vaslab.plots.training_log import training_log, training_log_table
from vaslab.plots.training_numbers import training_table

__all__ = [
    "CONFIG",
    "Answers",
    "Checkpoint",
    "ItemWords",
    "Prompted",
    "browser",
    "changes",
    "changes_table",
    "compare",
    "compare_table",
    "correlation",
    "correlation_table",
    "dose_response",
    "findings",
    "forgetting_figure",
    "forgetting_table",
    "heads",
    "heads_table",
    "items",
    "items_table",
    "lazy",
    "lazy_table",
    "localisation_figure",
    "localisation_table",
    "published",
    "published_table",
    "report",
    "save",
    "scatter",
    "scatter_table",
    "sensitivity",
    "sensitivity_table",
    "sweep",
    "sweep_cells",
    "sweep_sides",
    "system_prompts",
    "system_prompts_table",
    "tokens",
    "tokens_table",
    "training",
    "training_log",
    "training_log_table",
    "training_table",
    "write_figure",
]
