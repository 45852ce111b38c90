"""The report's methods and provenance: what was divided, which intervals, how far they hold."""

from collections.abc import Sequence

import pandas as pd

from vaslab.plots.page import Section
from vaslab.plots.report_checkpoint import Checkpoint, Told
from vaslab.plots.system_prompts_numbers import Prompted
from vaslab.plots.text import FLOORED, coefficient, counted, percent
from vaslab.statistics import Covered, covered
from vaslab.statistics.correlation import FEWEST

CAREFUL = 0.97
"""Coverage above which a 95 % interval is called wide."""


def methods_section(
    ordered: Sequence[Checkpoint], table: pd.DataFrame | None, told: Told, prompts: bool = False
) -> Section:
    """Definitions, intervals and tests of what the report holds, in words.

    Args:
        ordered: the checkpoints. table: the scatter figure's, None where nothing was graded. prompts: whether there
            were several system prompts.
    """
    words = [
        "VAS (arXiv 2603.03825) is attention on image tokens over attention on system tokens. Mean of ratios, the "
        "paper's: the ratio at each query, averaged over queries, then layers and heads, then items; heavy-tailed. "
        f"Ratio of means: both masses averaged first, then divided once. Where more than {FLOORED:.0%} of rows rest on "
        "the floor of the denominator (1e-6), a VAS is a lower bound (≥) and a change from or to it a bound (at "
        "least, at most); where both sides rest there, the change is nominal: the floor's as much as the model's. "
        "Accuracy is by the benchmark's own rule.",
        _interval_words(ordered, told, prompts),
    ]
    n = 0 if table is None else len(table)
    if n >= FEWEST:
        words += [
            _r_words(n),
            "r is called clear where its interval leaves out 0 and p by permutation is below .05; of 4 checkpoints "
            "that p is 1 / 24 at best. Spearman's interval is Fisher's with the variance of Bonett and Wright (2000).",
            "A correlation across checkpoints is no causal estimate.",
        ]
    words.append("Attention is not explanation: these numbers say where weight goes, not what is used.")
    both = None if table is None else table.attrs.get("two_level")
    if both is not None:
        words.append(
            f"Items are noise too: resampled over {told.over}, r lies in {coefficient(both.items_low)} to "
            f"{coefficient(both.items_high)}; over {told.over} and checkpoints, in {coefficient(both.both_low)} to "
            f"{coefficient(both.both_high)} (mean shift by resampled items {both.bias:+.3f})."
        )
    if all(each.answers is None for each in ordered):
        words.append(
            "Not in this report: decay along the answer, and where heads point; `vaslab report --answers N` loads the "
            "models and measures N items again."
        )
    elif all(each.pointed is None for each in ordered):
        words.append("Not in this report: where heads point; the data names no region for its questions.")
    return Section("Methods", words=words)


def _interval_words(ordered: Sequence[Checkpoint], told: Told, prompts: bool) -> str:
    """Which interval and which test stand where."""
    pictures = told.cluster is not None
    parts = [
        f"of levels: bootstrap over {told.over}{', whole' if pictures else ''}; of accuracy Wilson"
        f"{', items of one picture counted as fewer' if pictures else ''}",
        f"of attention on the image over that on the question's text: Student's t, jackknife over {told.over}",
    ]
    changes = len(ordered) > 1 or prompts
    if changes:
        parts += [
            "of changes of VAS and of masses, between checkpoints or system prompts, and of single heads: Student's t, "
            f"with the error of the jackknife over {told.over}",
            f"of changes of accuracy: Tango's score (1998), paired, over {told.over}, whose test gives p",
        ]
    if any(each.answers is not None for each in ordered):
        parts.append(f"of changes along answers: Student's t, paired, over {told.over}")
    pointed = any(each.pointed is not None for each in ordered)
    if pointed:
        parts.append(
            f"of hits on what was asked for: Wilson's, over {told.over}, with a score test against the area and one by "
            "exchanging the regions among pictures, both of which a head must pass"
        )
    text = f"Intervals are 95 %; {'; '.join(parts)}."
    if changes:
        text += " “% of it” is a part of the logarithm of a change."
    return f"{text} Many tests at once: Benjamini and Hochberg at 5 %." if changes or pointed else text


def _r_words(n: int) -> str:
    """What the printed interval of r is worth, for as many checkpoints."""
    normal, heavy = (covered(n, spread) for spread in ("normal", "heavy-tailed"))
    few, many = (covered(edge, "heavy-tailed").low for edge in (6, 40))
    return (
        "The printed interval of r is Fisher's z, which supposes that VAS and accuracy spread normally over "
        f"checkpoints. Simulated for {counted(normal.n, 'checkpoint')}, the nearest size not above these "
        f"(bench/results/correlation-coverage.csv; true r of 0, .5 and .9), it holds the true r in {_span(normal)} of "
        f"samples of normal spread, and in {_span(heavy)} where tails are heavy (t with 3 degrees of freedom). More "
        f"checkpoints do not mend that: {percent(few)} at 6, {percent(many)} at 40. Where single checkpoints lie far "
        f"out, read it as too narrow, and look at leave-one-out and at Spearman's. {_spearman_words(n)}"
    )


def _spearman_words(n: int) -> str:
    """What the interval of Spearman's coefficient is worth, and whether it is wider than it says."""
    normal, heavy = (covered(n, spread, "spearman") for spread in ("normal", "heavy-tailed"))
    text = (
        f"Spearman's interval holds the truth in {_span(normal)} of samples of normal spread, and in {_span(heavy)} "
        "where tails are heavy"
    )
    return f"{text}: it is wider than 95 % asks for." if normal.high > CAREFUL else f"{text}."


def _span(found: Covered) -> str:
    """Lowest and highest coverage: 95.0–95.5 %."""
    low, high = (f"{100 * share:.1f}" for share in (found.low, found.high))
    return f"{low} %" if low == high else f"{low}–{high} %"


def provenance_section(ordered: Sequence[Checkpoint], prompted: Sequence[Prompted] = ()) -> Section:
    """Where every number comes from: the checkpoints, and `prompted`, all runs where there are several prompts."""
    rows = [{"checkpoint": each.name, **each.facts} for each in ordered]
    rows += [
        {"checkpoint": run.checkpoint, "system prompt": run.prompt, **run.facts}
        for run in prompted
        # under the first prompt they are the checkpoints
        if run.prompt != prompted[0].prompt
    ]
    return Section("Provenance", tables=[pd.DataFrame(rows).fillna("–")])
