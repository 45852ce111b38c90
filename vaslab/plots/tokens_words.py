"""What the tokens figure says: does attention on the image fall or rise along one answer; subtitle and foot."""

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from vaslab.plots.text import counted, dotted, percent, shortened, unbroken, vas_words

Floats = NDArray[np.float64]

WINDOW = 500
"""Tokens drawn at once; a longer answer has an overview strip, and its other windows are drawn by `window`."""

FEWEST = 20
"""Tokens below which nothing is said of a change along the answer."""

STEADY = 0.1
"""Difference between fifths of an answer, over the largest, below which attention "stays"."""


def title_of(image: Floats) -> str:
    """The finding: does attention on the image fall or rise along this answer?

    Fifths of the answer are compared. What is said to differ is more than a tenth apart, and more than tokens that
    vary by themselves would leave among five means (`_noise`).

    Args:
        image: share of attention on the image, (token, layer); NaN where not measured.
    """
    mean = np.nanmean(image[np.isfinite(image).any(1)], axis=1)
    whole = percent(float(mean.mean()))
    if len(mean) < FEWEST:
        return f"{whole} of attention lies on the image in this answer"
    fifth = len(mean) // 5
    parts = [mean[:fifth], *np.array_split(mean[fifth:-fifth], 3), mean[-fifth:]]
    fifths = np.array([part.mean() for part in parts])
    first, last = float(fifths[0]), float(fifths[-1])
    least, most = float(fifths.min()), float(fifths.max())
    slack = STEADY * most
    if most - least < slack:
        return f"Attention on the image stays near {whole} along this answer"
    slack = max(slack, _noise(parts))
    if most - least < slack:
        return f"Attention on the image does not clearly change along this answer: {whole} of attention lies there"
    # how far a fifth between leaves what lies between the ends
    above, below = most - max(first, last), min(first, last) - least
    turns = [
        f"{way} {percent(reached)}"
        for way, reached, off in (("a rise to", most, above), ("a fall to", least, below))
        if off >= slack
    ]
    ends = f"{percent(first)} in its first fifth, {percent(last)} in its last"
    if abs(last - first) < slack:
        # with no turn of this size, only a fifth between and one end differ clearly
        told = (
            f"ends where it began along this answer, after {' and '.join(turns)}"
            if turns
            else "varies along this answer"
        )
        return f"Attention on the image {told}: {ends}"
    way = "falls" if last < first else "rises"
    if turns:
        between = " and ".join(turns)
        return f"Attention on the image {way} along this answer, but not steadily: {ends}, after {between}"
    return f"Attention on the image {way} along this answer: {ends}"


def _noise(parts: list[Floats]) -> float:
    """Difference between the means of parts that is clear: Student's t at 5 %, Bonferroni over all pairs of parts.

    Neighbouring tokens are alike, so the variance within parts counts (1 + r) / (1 - r) times, as a mean of an AR(1)
    series has it; r is their correlation of lag 1, corrected for having been measured about the means of short parts.
    """
    off = [part - part.mean() for part in parts]
    n, size = sum(map(len, off)), min(map(len, off))
    squares = sum(float((each**2).sum()) for each in off)
    if squares == 0:
        return 0.0
    lagged = sum(float((each[1:] * each[:-1]).sum()) for each in off) / sum(len(each) - 1 for each in off)
    r = lagged / (squares / n)
    r = min(max(r + (1 + 4 * r) * len(parts) / n, 0.0), 0.9)
    variance = squares / (n - len(parts)) * (1 + r) / (1 - r)
    pairs = len(parts) * (len(parts) - 1) / 2
    quantile = scipy.stats.t.isf(0.025 / pairs, n - len(parts))
    return float(quantile * np.sqrt(2 * variance / size))


def subtitle_of(words: dict[str, str | None], item: str, n: int, value: str) -> str:
    """Metric and its form, model, item, length, decoding."""
    what = (
        f"{vas_words('ratio_of_means')} per answer token and layer, each mass a mean over heads"
        if value == "vas"
        else "share of attention on the image, per answer token"
    )
    return dotted(
        [
            what,
            words.get("model") or "model not named",
            f"{words.get('data') or 'data not named'}, item {shortened(item, 240, 13)}",
            counted(n, "answer token"),
            words.get("decoding") or "decoding not stated",
        ]
    )


def foot_of(table: pd.DataFrame, words: dict[str, str | None], value: str, n: int, window: int) -> str:
    """Definition, which rows, which part is drawn, run id."""
    sentences = [
        "VAS = attention on image tokens ÷ attention on system tokens, each averaged over heads (log₂ scale)."
        if value == "vas"
        else "Share = attention on image tokens, of all keys, averaged over heads.",
        "Line: share of attention on the image, mean over heads and layers.",
    ]
    if table.attrs["rows"] == "emitting":
        sentences.append(
            "Rows are those that produced the token; that of the first token is not measured (grey)."
        )
    else:
        sentences.append("Rows are the tokens' own positions.")
    if n > WINDOW:
        sentences.append(
            f"Tokens {window * WINDOW:,} to {min(n, (window + 1) * WINDOW) - 1:,} of {n:,}; the strip on top shows all."
        )
    sentences.append("One answer: no interval over items.")
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)
