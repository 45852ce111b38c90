"""`vaslab figure NAME RUN...`: the group of commands, gathered from the modules that register them."""

from vaslab.cli import figure_answers, figure_checkpoints, figure_runs
from vaslab.cli.figure_command import DarkOption, FormatOption, OutOption, figures, formats_of

__all__ = [
    "DarkOption",
    "FormatOption",
    "OutOption",
    "figure_answers",
    "figure_checkpoints",
    "figure_runs",
    "figures",
    "formats_of",
]
