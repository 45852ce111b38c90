"""What the items figure says: its finding, subtitle and foot, and the words of a row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from vaslab.metrics import Definition
from vaslab.plots.text import (
    counted,
    dotted,
    escape,
    number,
    p_text,
    percent,
    shortened,
    unbroken,
    wrapped,
)

TEXT, LINES, TEXT_SIZE = 400, 2, 12.5
CLEAR = 0.05
CUT = ("◂", "▸")
"""Behind the ratio of a bar that is cut at the left or right edge."""


def title_of(table: pd.DataFrame, names: tuple[str, str]) -> str:
    """The finding: does the second checkpoint fix more items than it breaks? Without grades: which has more VAS?"""
    first, second = (shortened(name, 240, 13) for name in names)
    found = table.attrs["paired"]
    if found is not None:
        if found.fixed + found.broken == 0:
            return f"{second} is right where {first} is: none of {counted(found.n, 'item')} fixed or broken"
        text = f"{second} fixes {found.fixed:,} and breaks {found.broken:,} of {counted(found.n, 'item')}"
        if not found.p_score < CLEAR:
            return f"{text}: no clear difference"
        return f"{text}: clearly {'better' if found.fixed > found.broken else 'worse'} than {first}"
    said = table.attrs["vas"]
    vas = Definition.of(said).name
    up, down, n = table.attrs["sides"]
    items = int(table["ratio"].notna().sum())
    if not _sign_p(table) < CLEAR:
        return (
            f"{second} against {first}: no clear change of {vas} over {counted(items, 'item')}, none graded"
        )
    way, some = ("raises", up) if up > down else ("lowers", down)
    of = counted(n, "item" if n == items else "picture")
    return f"{second} {way} {vas} in {percent(some / n)} of {of}, none graded"


def _sign_p(table: pd.DataFrame) -> float:
    """p of "VAS rises as often as it falls": the sign test, over pictures where items share them."""
    up, down, _ = table.attrs["sides"]
    return float(scipy.stats.binomtest(up, up + down).pvalue) if up + down else 1.0


def subtitle_of(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    """Metric, data, n, query set, decoding."""
    said = table.attrs["vas"]
    return dotted(
        [
            f"VAS of single items, {said['form_words']}",
            f"{words.get('data') or 'data not named'}, n = {len(table):,}",
            f"queries: {said['query_words']}",
            f"answers: {words.get('decoding') or 'decoding not stated'}",
        ]
    )


def foot_of(
    table: pd.DataFrame,
    words: Mapping[str, Any],
    rows: int,
    limit: int,
    pictures: tuple[int, int],
) -> str:
    """Definition, test, medians, what is not shown, run id. `pictures`: at hand, of how many items that are shown."""
    sentences = [
        f"{Definition.of(table.attrs['vas']).formula}, mean over layers and heads; ratio: second ÷ "
        "first (log₂ bar).",
    ]
    found = table.attrs["paired"]
    if found is not None:
        test = "score test" if found.n_clusters == found.n else "score test over pictures"
        p = f"p of fixed against broken {p_text(found.p_score)} ({test})."
        sentences.append(
            p if np.isfinite(found.p_score) else "One picture: fixed against broken is not tested."
        )
        medians = [
            f"{name} ×{number(float(part.median()))}"
            for name in ("fixed", "broken")
            if len(part := table.loc[table["outcome"] == name, "ratio"].dropna())
        ]
        rest = table.loc[table["outcome"].isin(["right in both", "wrong in both"]), "ratio"].dropna()
        if medians and len(rest):
            sentences.append(f"Median ratio: {', '.join(medians)}, others ×{number(float(rest.median()))}.")
    else:
        over = "items" if table.attrs["sides"][2] == table["ratio"].notna().sum() else "pictures"
        sentences.append(f"p of rises against falls {p_text(_sign_p(table))} (sign test over {over}).")
    sentences.append("One value an item: no interval.")
    clamped = float(table.attrs["vas"].get("clamped_share", 0.0))
    if clamped > 0.01:
        sentences.append(
            f"Second: {percent(clamped)} of rows have a system mass below 1e-6, taken as 1e-6: a bound."
        )
    unknown = int(table["ratio"].isna().sum())
    if unknown:
        sentences.append(f"{counted(unknown, 'item')} without a ratio: no bar.")
    if table.attrs["lost"]:
        sentences.append(table.attrs["lost"])
    if len(table) > rows:
        sentences.append(f"At most {rows} of {len(table):,} items are shown; the CSV has all.")
    beyond = int((np.abs(np.log2(table["ratio"].dropna().to_numpy(dtype=float))) > limit).sum())
    if beyond:
        sentences.append(
            f"{counted(beyond, 'bar')} beyond ×{2**limit:,} or ÷{2**limit:,} cut at the edge ({CUT[0]} {CUT[1]})."
        )
    there, of = pictures
    if not there:
        sentences.append("Pictures are not at hand.")
    elif there < of:
        sentences.append(
            f"No picture is at hand of {of - there:,} of the {of:,} items that the buttons show."
        )
    sentences.append(unbroken(f"Runs {words.get('run') or 'not named'}."))
    return " ".join(sentences)


def mark_words(right: float) -> str:
    """Right or wrong as a mark and a word, so that no colour is needed."""
    if np.isnan(right):
        return "– not graded"
    return "✓ right" if right else "<b>✗ wrong</b>"


def question_words(row: Mapping[str, Any]) -> str:
    """The question in the lines that a row has, cut in its middle where it is longer."""
    lines = wrapped(" ".join(str(row["question"] or row["item"]).split()), TEXT, TEXT_SIZE)
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], shortened(lines[LINES - 1] + " …", TEXT, TEXT_SIZE)]
    return "<br>".join(map(escape, lines))


def hover_words(row: Mapping[str, Any], names: tuple[str, str]) -> str:
    """Everything about an item, for its hover box."""

    def told(text: str, most: int = 6) -> str:
        lines = wrapped(" ".join(str(text).split()), 560, 13)
        return "<br>".join(map(escape, [*lines[:most], *(["…"] * (len(lines) > most))]))

    text = f"<b>{escape(row['item'])}</b>: {row['outcome']}<br>{told(row['question'])}"
    if row["answer"]:
        text += f"<br>reference: {told(row['answer'], 2)}"
    for side, name in zip(("first", "second"), names, strict=True):
        if row[f"{side}_said"]:
            text += f"<br><b>{escape(name)}</b>: {told(row[f'{side}_said'])}"
    return text
