"""The localisation figure: which heads point at the place that a question asks for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from vaslab.plots import theme as themes
from vaslab.plots.canvas import EDGE, Canvas
from vaslab.plots.head_map import HeadMap, draw_head_map, places_of
from vaslab.plots.head_marks import Cells
from vaslab.plots.levels import FALSE_FINDINGS
from vaslab.plots.strips import draw_share_bar
from vaslab.plots.text import counted, dotted, p_text, percent, unbroken
from vaslab.statistics.permutation import EXCHANGES

LEFT, BELOW, BARS = 84, 62, 44
MANY = 1000
"""Heads beyond which hover boxes tell hits alone."""


def localisation_figure(
    table: pd.DataFrame,
    theme: str = "light",
    model: str | None = None,
    data: str | None = None,
    run: str | None = None,
) -> go.Figure:
    """Map of hit rates: how often the patch a head looks at most lies in the region asked for.

    Heads that do not hit more often than its area gives, and than other pictures' regions at the head's usual place, at
    a false discovery rate of 5 % are small squares.

    Args:
        table: result of `localisation_table`, of all heads of some layers.
        theme: "light" or "dark". model, data, run: words for subtitle and foot.

    Returns:
        A figure of fixed size; the finding is its title.

    Raises:
        UsageError: an unknown theme.
    """
    look = themes.named(theme)
    ordered = table.sort_values(["layer", "head"], kind="stable")
    layers, heads = sorted(set(table["layer"])), sorted(set(table["head"]))
    grid = ordered.set_index(["layer", "head"]).reindex([(a, b) for a in layers for b in heads])
    shape = (len(layers), len(heads))
    rate = grid["hit_rate"].to_numpy(dtype=float).reshape(shape)
    hover = [
        _hover({**row, "layer": a, "head": b}, len(table) <= MANY)
        for (a, b), row in zip(grid.index, grid.to_dict("records"), strict=True)
    ]
    cells = Cells.fit(*shape, LEFT)
    width = max(LEFT + cells.width + EDGE + 12, 640)
    words = {"model": model, "data": data, "run": run}
    canvas = Canvas(look, width, title_of(table), _subtitle(table, words), _foot(table, words))
    cells.top = canvas.body_at + 4
    canvas.close(4 + cells.height + BELOW + BARS + 34)
    rows = best(table)
    highest = max(float(np.nanmax(rate)), 0.01)
    draw_head_map(
        canvas,
        1,
        cells,
        HeadMap(
            values=rate,
            low=0.0,
            high=highest,
            stops=themes.SHARE,
            found=grid["found"].fillna(False).to_numpy(dtype=bool).reshape(shape),
            squares=places_of(list(zip(rows["layer"], rows["head"], strict=True)), layers, heads),
            hover=np.array(hover, dtype=object).reshape(shape),
            layers=layers,
            heads=heads,
        ),
    )
    below = float(cells.top + cells.height + BELOW)
    draw_share_bar(canvas, 2, (float(LEFT), below, float(cells.width), float(BARS)), rate.ravel(), highest)
    canvas.figure.update_layout(bargap=0)
    return canvas.figure


def best(table: pd.DataFrame) -> pd.DataFrame:
    """Heads that were found, the highest hit rate first."""
    return table[table["found"]].sort_values("hit_rate", ascending=False, kind="stable")


def title_of(table: pd.DataFrame) -> str:
    """The finding: do heads hit the region more often than its area and their usual place give, and which most?"""
    chance = percent(float(table["chance"].mean()))
    if not table["p"].notna().any():
        return "Where heads look most: too few items to tell any from the region's area"
    given = f"its area gives ({chance})"
    if table["prior"].notna().any():
        given = f"its area ({chance}) and the head's usual place give"
    rows = best(table)
    if rows.empty:
        return f"No head looks most at the region asked for clearly more often than {given}"
    some = f"{len(rows)} of {counted(len(table), 'head')} {'looks' if len(rows) == 1 else 'look'}"
    most = pointing_words(rows.iloc[0].to_dict())
    return f"{some} most at the region asked for more often than {given}; most often {most}"


def pointing_words(row: Mapping[Any, Any]) -> str:
    """A head by its name, with its hit rate and interval."""
    return f"layer {row['layer']} head {row['head']}, in {hit_words(row)}"


def hit_words(row: Mapping[Any, Any]) -> str:
    """A hit rate with its interval, and what the head's usual place gives."""
    within = []
    if np.isfinite(row["hit_low"]):
        within.append(f"95% CI {percent(row['hit_low'])} to {percent(row['hit_high'])}")
    if np.isfinite(row["prior"]):
        within.append(f"usual place {percent(row['prior'])}")
    return f"{percent(row['hit_rate'])} of items" + (f" ({'; '.join(within)})" if within else "")


def _hover(row: Mapping[Any, Any], few: bool) -> str:
    name = f"<b>layer {row['layer']}, head {row['head']}</b>"
    if not np.isfinite(row["hit_rate"]):
        return f"{name}<br>not measured"
    text = f"{name}<br>hits {percent(row['hit_rate'])}"
    if not few:
        return text
    if np.isfinite(row["hit_low"]):
        text += f" (95% CI {percent(row['hit_low'])} – {percent(row['hit_high'])})"
    text += f", by area {percent(row['chance'])}"
    if np.isfinite(row["prior"]):
        text += f", at its usual place {percent(row['prior'])}"
    text += f"<br>{percent(row['inside'])} of its attention on the picture lies in the region"
    text += f"<br>{percent(row['attention'])} of its attention lies on the picture"
    if np.isfinite(row["p_adjusted"]):
        text += f"<br>false discovery rate {p_text(row['p_adjusted'])}"
    return text


def _subtitle(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    return dotted(
        [
            "Share of items in which the patch a head looks at most lies in the region asked for",
            words.get("model") or "model not named",
            f"{words.get('data') or 'data not named'}, {counted(int(table['n_items'].max()), 'item')} of known region",
        ]
    )


def _foot(table: pd.DataFrame, words: Mapping[str, Any]) -> str:
    over = "pictures" if table.attrs.get("clustered") else "items"
    sentences = [
        "Attention of the last measured query of each question, on the patches of its picture. By area: share of the "
        "picture's patches that lie in the region.",
        _tests_words(table, over),
    ]
    if len(table) > MANY:
        sentences.append(f"More than {MANY:,} heads: all but hits stands in the table, not on hover.")
    marked = int(table["localises"].sum())
    sentences.append(
        f"{counted(marked, 'head')} {'meets' if marked == 1 else 'meet'} the criteria of Kang et al. (arXiv "
        "2503.06287): much attention on the picture, low spatial entropy; here also a hit rate above both."
    )
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)


def _tests_words(table: pd.DataFrame, over: str) -> str:
    """What small squares are; how many heads hit more than the area gives, but no more than at their usual place."""
    if not table["prior"].notna().any():
        return (
            f"Small squares: not told from that (score test over {over} against each item's own area, FDR 5% over "
            "heads). A head that always looks at one place may exceed it too: there is no other picture to tell."
        )
    area = (table["p"] <= FALSE_FINDINGS) & (table["hit_rate"] > table["chance"])
    alone = int((area & ~table["found"]).sum())
    text = (
        "Usual place: share of other pictures' regions in which the patch lies that the head looks at most. "
        f"Small squares: not told from both (score test over {over} for the area; {EXCHANGES + 1:,} exchanges of "
        "the regions among pictures for the place; FDR 5% over heads)"
    )
    if alone:
        text += (
            f"; {counted(alone, 'head')} of these {'exceeds' if alone == 1 else 'exceed'} the area at p ≤ .05"
        )
    return f"{text}. A head that looks at any object, whatever is asked, may exceed both: hits do not prove a search."
