"""What the sweep's figures say: findings that are no more than the tests, subtitle and foot."""

import numpy as np
import pandas as pd

from vaslab.metrics.selection import QUERY_WORDS
from vaslab.plots.sweep_numbers import blank, settings, sides, stands, tested, without_dose
from vaslab.plots.text import counted, dotted, shortened, unbroken
from vaslab.plots.theme import TITLE_SIZE

FDR = "a false discovery rate of 5% (Benjamini and Hochberg, over the whole sweep)"

_COMPARED = (
    "Changes are against the plain model, item by item; bars: paired 95% intervals over pictures, of shares "
    "by score (Tango), of others by Student's t.",
    f"Filled: stands at {FDR}.",
)


def sweep_title(cells: pd.DataFrame) -> str:
    """Which settings change accuracy."""
    n = tested(cells)
    if n == 0:
        moved = int(stands(cells, "visual_change").sum())
        return f"Accuracy was not tested; visual attention changes under {moved} of {_settings(len(settings(cells)))}"
    change = cells["accuracy_change"].to_numpy(dtype=float)
    stand = stands(cells, "accuracy_change")
    up, down = stand & (change > 0), stand & (change < 0)
    if not stand.any():
        if n == 1:
            return f"{_label(cells)} is not shown to change accuracy"
        return f"None of {_settings(n)} is shown to change accuracy"
    if up.any() and down.any():
        return f"Of {_settings(n)}, {int(up.sum())} raise{_s(up)} accuracy and {int(down.sum())} lower{_s(down)} it"
    which, verb = (up, "raise") if up.any() else (down, "lower")
    if which.sum() == 1:
        alone = "" if n == 1 else f"Only one of {_settings(n)} {verb}s accuracy: "
        label = _label(cells[which])
        return f"{alone}{label}" if alone else f"{label} {verb}s accuracy"
    return f"{int(which.sum())} of {_settings(n)} {verb} accuracy, none is shown to {_other(verb)} it"


def dose_title(cells: pd.DataFrame) -> str:
    """Do accuracy and visual attention change together, where both are shown to change?"""
    n = tested(cells)
    if n == 0:
        return "Accuracy was not tested: no response to a dose"
    answer, look = stands(cells, "accuracy_change"), stands(cells, "visual_change")
    way = np.sign(cells["accuracy_change"].to_numpy(dtype=float)) * np.sign(
        cells["visual_change"].to_numpy(dtype=float)
    )
    both = answer & look
    moved = f"visual attention under {int(look.sum())}"
    if not answer.any():
        return f"Accuracy is shown to change under none of {_settings(n)}, {moved}"
    said = f"Accuracy changes under {int(answer.sum())} of {_settings(n)}, {moved}"
    if not both.any():
        return f"{said}, never under the same"
    same, opposite = int((way[both] > 0).sum()), int((way[both] < 0).sum())
    if not opposite:
        return f"{said}; where both do, in the same direction"
    if not same:
        return f"{said}; where both do, in opposite directions"
    return f"{said}; in the same direction under {same}, in opposite ones under {opposite}"


def sides_title(cells: pd.DataFrame) -> str:
    """How many settings have a side effect."""
    own = settings(cells)
    found = np.any([stands(own, name) for name in sides(cells)], axis=0)
    n = _settings(len(own))
    if not found.any():
        return f"None of {n} is shown to have a side effect" if len(own) > 1 else "No side effect is shown"
    return f"{int(found.sum())} of {n} {'has' if found.sum() == 1 else 'have'} side effects"


def subtitle_of(cells: pd.DataFrame, first: str, attention: bool = True) -> str:
    """What is drawn, model, data, n, query set where attention is shown, decoding."""
    row = cells.to_dict("records")[0]
    low, high = int(cells["n"].min()), int(cells["n"].max())
    n = counted(low, "item") if low == high else f"{low:,} to {high:,} items"
    system = [] if row["system"] == "default" else [f"system prompt {row['system']}"]
    return dotted(
        [
            first,
            f"{row['model']} on {row['data']}, same {n}",
            *system,
            *([f"attention of {QUERY_WORDS.get(row['queries'], row['queries'])}"] if attention else []),
            "answers: greedy",
        ]
    )


def sides_foot(first: str, run: str | None) -> str:
    """How to read the side effects."""
    return " ".join([*([first] if first else []), *_COMPARED, unbroken(f"Sweep {run or 'not named'}.")])


def foot_of(cells: pd.DataFrame, first: str, run: str | None, strip: bool = False) -> str:
    """How to read it: what is compared, intervals, tests, rows that were not measured, run.

    Args:
        cells: one table of `sweep_cells`. first: sentence. run: the sweep's name.
        strip: settings that leave the measured rows alone stand in a strip of their own.
    """
    form = str(cells["vas_form"].iloc[0])
    sentences = [
        first,
        f"VAS: {form}, edited ÷ plain{'; heavy-tailed' if form == 'mean of ratios' else ''}.",
        *_COMPARED,
    ]
    still = int(without_dose(cells).sum())
    if still:
        one = "s" if still == 1 else ""
        where = "in the strip, without a dose" if strip else "no change of attention"
        sentences.append(
            f"{_settings(still)} leave{one} the measured rows alone and edit{one} other rows, or nothing: {where}."
        )
    if blank(cells) is not None:
        sentences.append("Dashed: the plain model with blank pictures, and its interval.")
    if (cells["vas_ratio"] == 0).any():
        sentences.append("A ratio of 0 has no logarithm: it stands at the left edge.")
    sentences.append(unbroken(f"Sweep {run or 'not named'}."))
    return " ".join(sentences)


def _settings(n: int) -> str:
    return counted(n, "setting")


def _s(which: np.ndarray) -> str:
    return "s" if which.sum() == 1 else ""


def _other(verb: str) -> str:
    return "lower" if verb == "raise" else "raise"


def _label(cells: pd.DataFrame) -> str:
    return shortened(str(cells["name"].iloc[0]), 420, TITLE_SIZE, bold=True)
