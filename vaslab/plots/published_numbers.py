"""Numbers printed in arXiv 2603.03825 and its repository's README, as printed: published, not measured here."""

import numpy as np
import pandas as pd
import scipy.stats

PRINTED_R, PRINTED_P = 0.9616, 9.0e-6
SOURCE = "arXiv 2603.03825"

_STAGES = (("base", 7.5, 49.1), ("+VARD", 10.1, 51.0), ("+AGTO", 13.8, 52.6), ("+VARS", 18.9, 56.1))
"""Qwen2.5-VL-7B: stage, VAS, mean accuracy in percent."""

_MAIN = (
    ("Qwen2.5-VL-7B", (68.2, 25.2, 41.1, 58.1, 38.3, 62.1, 50.7), 49.1),
    ("InternVL2.5-8B", (64.4, 22.0, 39.5, 56.0, 38.2, 63.2, 51.1), 47.8),
    ("LLaVA-OneVision-7B", (58.6, 18.3, 19.3, 48.8, 35.5, 61.7, 47.5), 41.4),
    ("Llama-3.2-11B-Vision-Instruct", (48.6, 19.7, 18.4, 50.7, 33.0, 49.8, 40.3), 37.2),
    ("R1-OneVision", (64.1, 29.9, 40.0, 49.1, 32.2, 52.2, 46.0), 44.8),
    ("OpenVLThinker", (72.3, 25.9, 44.6, 53.0, 42.9, 59.5, 53.0), 50.2),
    ("ThinkLite-VL", (75.1, 32.9, 45.8, 55.5, 40.0, 65.0, 52.3), 53.1),
    ("MM-Eureka-7B", (73.0, 26.9, 48.1, 52.0, 42.4, 65.2, 50.7), 51.2),
    ("VLAA-Thinker-7B", (68.0, 26.4, 48.2, 55.7, 40.9, 64.2, 50.9), 50.6),
    ("Vision-SR1", (68.1, 26.7, 47.1, 61.3, 43.8, 64.1, 54.3), 52.2),
    ("AVAR-Thinker", (74.7, 37.4, 50.4, 63.8, 42.9, 64.1, 59.5), 56.1),
)
"""Model, accuracy on the seven benchmarks in percent, printed average; rows with all seven."""

_COLD_START = (
    ("none (Qwen2.5-VL-7B)", (68.2, 25.2, 41.1, 62.1, 58.1, 38.3, 50.7), 49.1),
    ("R1-OneVision", (63.3, 26.3, 39.7, 54.9, 49.9, 34.6, 43.8), 44.6),
    ("OpenVLThinker", (68.9, 25.3, 37.8, 58.7, 55.7, 36.0, 54.1), 48.1),
    ("Vision-SR1", (67.6, 27.9, 42.3, 46.9, 50.7, 36.3, 42.1), 44.8),
    ("VARD", (70.6, 32.9, 43.5, 61.1, 55.2, 38.7, 55.3), 51.0),
)
"""Cold-start data, accuracy after it on the seven benchmarks in percent, printed average."""

ROUNDING = 0.051
"""Points by which a printed average may differ from that of its printed row."""


def published_table() -> pd.DataFrame:
    """All published numbers that the figure draws, one row each.

    Returns:
        Columns part ("stages", "main", "cold start"), name, vas (NaN but for the stages), printed (percent),
        recomputed (mean of the row's seven benchmarks; NaN for the stages), agrees.
    """
    rows = [("stages", name, vas, accuracy, np.nan) for name, vas, accuracy in _STAGES]
    for part, table in (("main", _MAIN), ("cold start", _COLD_START)):
        rows += [(part, name, np.nan, printed, float(np.mean(values))) for name, values, printed in table]
    out = pd.DataFrame(rows, columns=["part", "name", "vas", "printed", "recomputed"])
    off = (out["printed"] - out["recomputed"]).abs()
    out["agrees"] = off.isna() | (off <= ROUNDING)
    return out


def models_that_fit(r: float = PRINTED_R, p: float = PRINTED_P) -> int:
    """Number of points whose Student's p of `r` is nearest to `p` (on the log scale)."""
    sizes = np.arange(4, 41)
    t = r * np.sqrt((sizes - 2) / (1 - r * r))
    found = 2 * scipy.stats.t.sf(t, sizes - 2)
    return int(sizes[np.abs(np.log(found / p)).argmin()])
