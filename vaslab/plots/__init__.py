"""Figures: one module a figure, one theme, one export. No torch."""

from vaslab.plots.export import CONFIG, browser, save, write_figure
from vaslab.plots.head_numbers import heads_table
from vaslab.plots.heads import heads
from vaslab.plots.lazy import lazy
from vaslab.plots.lazy_numbers import lazy_table

__all__ = ["CONFIG", "browser", "heads", "heads_table", "lazy", "lazy_table", "save", "write_figure"]
