"""What the heads figure says in words: its finding, its subtitle and its foot."""

from typing import Any

import pandas as pd

from vaslab.metrics import Definition
from vaslab.plots.head_grid import Grid
from vaslab.plots.text import counted, dotted, number, percent, spelled, unbroken

MANY = 1000
"""Heads beyond which hover boxes leave out the shares of attention."""


def title_of(table: pd.DataFrame, said: dict[str, Any]) -> str:
    """The finding: how many heads lie above 1.

    A mean of ratios can be above 1 in a head that, on the whole, attends less to the image; where the two
    forms part, the title says both.
    """
    there = table["vas"].notna()
    n, above = int(there.sum()), int((table["vas"][there] > 1).sum())
    more = "more to the image than to the system prompt"
    if said["per_token"]:
        more = "more to an image token than to a system token"
    truly = above
    if said["form"] == "mean_of_ratios":
        truly = int((table["ratio_of_means"][there] > 1).sum())
    vas = Definition.of(said).name
    if _share(truly, n) != _share(above, n):
        but = "but only" if truly < above else "while"
        end = (
            f"but none attends {more}"
            if truly == 0
            else f"{but} {_count(truly, n)} {_attend(truly, n)} {more}"
        )
        return f"{vas} is above 1 in {_share(above, n)}, {end}"
    if above == 0:
        return f"No head attends {more}: the highest {vas} is {number(float(table['vas'].max()))}"
    if above == n:
        return f"Every head attends {more}"
    return f"{_share(above, n)} {_attend(above, n)} {more}"


def _share(some: int, n: int) -> str:
    """Heads as a share of all, or as a count where a percentage would pretend precision."""
    return f"{_count(some, n)} of heads" if n >= 100 else f"{some} of {n} heads"


def _attend(some: int, n: int) -> str:
    return "attends" if some == 1 and n < 100 else "attend"


def _count(some: int, n: int) -> str:
    return percent(some / n) if n >= 100 else str(some)


def subtitle_of(said: dict[str, Any], words: dict[str, Any]) -> str:
    """Metric and its form, model, data, n, decoding, query set."""
    decoding = words.get("decoding")
    if said["queries"] != "response":
        decoding = "no decoding"
    parts = [
        f"Visual Attention Score per head, {said['form_words']}",
        words.get("model") or "model not named",
        f"{words.get('data') or 'data not named'}, n = {said['n_items']:,}",
        f"queries: {said['query_words']}",
        decoding or "decoding not stated",
    ]
    return dotted([str(part) for part in parts])


def foot_of(table: pd.DataFrame, grid: Grid, said: dict[str, Any], words: dict[str, Any]) -> str:
    """Definition, what squares and band mean, what was left out, run id."""
    there = table["vas"].notna()
    if said["form"] == "mean_of_ratios":
        how = "the ratio at each query, averaged over queries, then over items"
        other, name = "ratio_of_means", "as a ratio of means"
    else:
        how = "each averaged over queries and items, then divided once"
        other, name = "mean_of_ratios", "as a mean of ratios"
    above = percent(float((table["vas"][there] > 1).mean()))
    also = percent(float((table[other][there] > 1).mean()))
    sure = ""
    if said["n_items"] > 1:
        whole = percent(float((table["ci_low"][there] > 1).mean()))
        sure = f", {whole} with the whole of their interval"
    sentences = [
        f"{Definition.of(said).formula}: {how} (log₂ colour scale; 1 = equal).",
        f"{above} of heads are above 1{sure} ({also} {name}).",
        f"Squares: {spelled(len(grid.top))} highest heads."
        if len(grid.top) > 1
        else "Square: the highest head.",
        "Line: median over the heads of a layer; band: interquartile range over heads.",
        "Head numbers are not comparable across layers.",
    ]
    if len(table) > MANY:
        sentences.append(f"More than {MANY:,} heads: shares of attention stand in the table, not on hover.")
    if said["clamped_share"] > 0:
        sentences.append(
            f"{percent(said['clamped_share'])} of rows have a system mass below 1e-6, taken as 1e-6."
        )
    if said["before_image_share"] > 0:
        sentences.append(
            f"{percent(said['before_image_share'])} of query tokens stand before the last image."
        )
    if not there.all():
        missing = int((~there).sum())
        sentences.append(f"{counted(missing, 'head')} without a value: hatched, not counted.")
    if table.attrs["lost"]:
        sentences.append(f"{table.attrs['lost']} These heads stand on other questions than the rest.")
    if said["items_without"]:
        sentences.append(f"Items left out: {said['items_without']}.")
    if said["n_items"] < 2:
        sentences.append("One item: no intervals.")
    else:
        sentences.append(f"95% intervals (hover, table): bootstrap over {said['n_items']:,} items.")
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)
