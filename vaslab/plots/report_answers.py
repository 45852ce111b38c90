"""The report's answer to: does attention on the image decay along the answer?"""

from collections.abc import Sequence

import pandas as pd

from vaslab.plots.forgetting import forgetting_figure
from vaslab.plots.forgetting_numbers import forgetting_table
from vaslab.plots.forgetting_words import title_of
from vaslab.plots.page import Section
from vaslab.plots.report_checkpoint import Checkpoint, Told, listed
from vaslab.plots.text import p_cell, points


def answers_section(ordered: Sequence[Checkpoint], told: Told) -> Section | None:
    """Change along the answers of each checkpoint, and at the turn from thinking to answering; None where no answer was
    measured token by token.
    """
    held = {each.name: each.answers for each in ordered if each.answers is not None}
    if not held:
        return None
    table = forgetting_table(held, cluster=told.cluster)
    rows = listed(table.attrs["changes"])
    shown = pd.DataFrame(
        [
            {
                "checkpoint": row["checkpoint"],
                "points along the answer": _points(row, "change"),
                "p": p_cell(row["change_p"]),
                "points at the turn to answering": _points(row, "turn"),
                "p at the turn": p_cell(row["turn_p"]),
                "answers": row["n_items"],
            }
            for row in rows
        ]
    )
    figure = forgetting_figure(table, data=told.data, decoding=told.decoding, run=told.run)
    return Section(
        "Does attention on the image decay along the answer?",
        f"{title_of(table)}.",
        [
            "Change: slope through all tokens of an answer, from the first to the last, in points of attention; at the "
            f"turn: mean while answering less mean while thinking. 95% intervals and p: t over {told.over}. An "
            "answer's own tokens take attention too, so that the share falls with length alone where attention spreads "
            "evenly."
        ],
        [shown],
        [figure],
    )


def _points(row: dict, name: str) -> str:
    if row[name] != row[name]:
        return "–"
    if row[f"{name}_low"] != row[f"{name}_low"]:
        return points(row[name])
    return f"{points(row[name])} [{points(row[f'{name}_low'])}, {points(row[f'{name}_high'])}]"
