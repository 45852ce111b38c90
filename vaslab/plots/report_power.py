"""The report's answer to: how many checkpoints, and how many items, would tell r from 0?"""

import numpy as np
import pandas as pd

from vaslab.plots.page import Section
from vaslab.plots.scatter_numbers import Findings
from vaslab.plots.text import coefficient, counted
from vaslab.statistics import checkpoints_needed, items_needed, power_of_r
from vaslab.statistics.correlation import FEWEST

POWER = 0.8
TRUE = (0.9, 0.7, 0.5)


def power_section(found: Findings) -> Section:
    """Checkpoints and items needed for a power of 80 %, for three true r and for the one found with its interval."""
    n = len(found.used)
    rows = [_row(r, coefficient(r), found) for r in TRUE]
    words = [
        "Power: the probability that as many checkpoints tell a true r from 0, two-sided at 5 % (Fisher z). Needed: "
        f"for {POWER:.0%}."
    ]
    if n >= FEWEST:
        words[0] += (
            " Items: what each checkpoint must be measured on so that the noise of its accuracy leaves that power, "
            "where there are checkpoints enough."
        )
    r = found.pearson
    if r is not None:
        parts = (("found", r.estimate), ("low end of its interval", r.low), ("high end", r.high))
        rows += [
            _row(value, f"{coefficient(value)} ({word})", found)
            for word, value in parts
            if 0 < abs(value) < 1
        ]
        if r.low * r.high <= 0:
            words.append(
                "The interval of r holds 0: were the true r there, no number of checkpoints would tell it."
            )
    between, _ = spreads(found.used)
    if n >= 2 and between == 0:
        words.append(
            "The accuracies differ by no more than the noise of their items: how many items are needed cannot be told."
        )
    return Section("How many checkpoints and items would tell?", "", words, [pd.DataFrame(rows)])


def spreads(used: pd.DataFrame) -> tuple[float, float]:
    """Standard deviation of the true accuracies over checkpoints (the observed one less the noise of the items), and
    over items within a checkpoint. 0 where the noise explains all of it, or nothing is known."""
    if len(used) < 2 or "n_graded" not in used:
        return 0.0, 0.0
    p, n = used["accuracy"].to_numpy(dtype=float), used["n_graded"].to_numpy(dtype=float)
    within = float((p * (1 - p)).mean())
    return float(np.sqrt(max(p.var(ddof=1) - (p * (1 - p) / n).mean(), 0.0))), float(np.sqrt(within))


def _row(r: float, name: str, found: Findings) -> dict[str, str]:
    n = len(found.used)
    between, within = spreads(found.used)
    items = items_needed(r, n, between, within, POWER) if between > 0 and n >= FEWEST else None
    needed = f"{checkpoints_needed(r, POWER):,}"
    if n < FEWEST:
        return {"true r": name, "checkpoints needed": needed}
    return {
        "true r": name,
        f"power of {counted(n, 'checkpoint')}": f"{power_of_r(r, n):.0%}",
        "checkpoints needed": needed,
        f"items needed with {counted(n, 'checkpoint')}": "–" if items is None else f"{items:,}",
    }
