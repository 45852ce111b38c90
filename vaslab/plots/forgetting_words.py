"""What the forgetting figure says: does attention on the image fall along the answer, and where."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from vaslab.plots.text import counted, dotted, shortened, spelled, unbroken

MANY = 12
"""Checkpoints beyond which lines are not told apart: a median and bands stand for them, and two lines for those of the
lowest and the highest slope."""


def title_of(table: pd.DataFrame) -> str:
    """The finding: in how many checkpoints attention clearly falls or rises along the answer; of one, how far."""
    changes = table.attrs["changes"]
    what = f"Attention on the {table.attrs['role']}"
    untold = int(changes["change_p"].isna().sum())
    if untold == len(changes):
        return f"{what} along the answer: too few answers to tell any change"
    told = changes[changes["change_changed"]]
    falls, rises = (int((sign * told["change"] > 0).sum()) for sign in (-1, 1))
    if len(changes) == 1:
        row = changes.iloc[0]
        name = shortened(row["checkpoint"], 260, 13)
        if told.empty:
            return f"{what} does not clearly change along the answers of {name}"
        way = "falls" if row["change"] < 0 else "rises"
        return f"{what} {way} by {abs(100 * row['change']):.1f} points along the answers of {name}"
    n = len(changes) - untold
    few = f"; {spelled(untold)} {'has' if untold == 1 else 'have'} too few answers to tell" if untold else ""
    if told.empty and n == 1:
        return (
            f"{what} does not clearly change along the answer in the one checkpoint with enough answers{few}"
        )
    if told.empty:
        return f"{what} does not clearly change along the answer in any of {spelled(n)} checkpoints{few}"
    parts = [
        f"{way} along the answer in {_of(some, n)}"
        for way, some in (("falls", falls), ("rises", rises))
        if some
    ]
    text = parts[0] + (" checkpoints" if n > 1 else " checkpoint with enough answers")
    if len(parts) > 1:
        text += f", rises in {spelled(rises)}"
    return f"{what} {text}{few}"


def _of(some: int, n: int) -> str:
    if some < n:
        return f"{spelled(some)} of {spelled(n)}"
    return "the one" if n == 1 else "both" if n == 2 else f"all {spelled(n)}"


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric, checkpoints, data, n, decoding."""
    n = table.attrs["changes"]["n_items"]
    low, high = int(n.min()), int(n.max())
    answers = counted(low, "answer") if low == high else f"{low:,} to {high:,} answers"
    return dotted(
        [
            f"Share of attention on the {table.attrs['role']} along the answer, mean over layers and heads",
            f"{words.get('data') or 'data not named'}, n = {answers}",
            words.get("decoding") or "decoding not stated",
        ]
    )


def foot_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """How places are made, bands, tests, run ids."""
    changes = table.attrs["changes"]
    over = "pictures" if table.attrs["clustered"] else "answers"
    sentences = [
        "Each part is cut into equal parts of its own length; rows are the tokens' own positions, in one "
        "teacher-forced pass over each stored answer.",
        f"Bands: 95% intervals, t over {over}. Title: slope through all tokens of an answer, from the first to the "
        f"last, t over {over}, FDR 5% over checkpoints.",
        "An answer's own tokens take attention too: the share falls with length alone where attention spreads evenly.",
    ]
    reached = table[table["n"] > 0].groupby("checkpoint")["n"]
    thin = reached.min()[reached.min() < reached.max() / 2]
    if len(thin):
        sentences.append(
            f"Places that only longer answers hold rest on as few as {counted(int(thin.min()), 'answer')}: a line can "
            "turn where its answers change, the title's slopes cannot."
        )
    if not changes["n_turns"].any():
        sentences.append("No answer holds </think>: all of each is taken as the answer.")
    if len(changes) > MANY:
        sentences.append(
            f"More than {MANY} checkpoints: thin line their median, grey bands the middle half and all of them; lines "
            "of their own for those of the lowest and the highest slope; all in the table."
        )
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)
