"""What the scatter figure says: its finding, r with its uncertainty, subtitle and foot."""

from collections.abc import Mapping
from typing import Any

from vaslab.plots.scatter_numbers import Findings
from vaslab.plots.text import coefficient, counted, dotted, p_text, percent, points, unbroken

CLAMPED = 0.01
"""Share of rows at the floor from which it is said."""


def title_of(found: Findings) -> str:
    """The finding: do checkpoints with a higher VAS answer better, and does one of them carry it?"""
    r = found.pearson
    if r is None:
        n = len(found.used)
        few = f"{counted(n, 'checkpoint')}: too few for a correlation of VAS and accuracy"
        return few if n < 4 else "These checkpoints do not differ: VAS and accuracy cannot be correlated"
    if not found.clear:
        return f"No clear relation of VAS and accuracy over {r.n} checkpoints"
    better = "better" if r.estimate > 0 else "worse"
    text = f"Checkpoints with a higher VAS answer {better}"
    if found.without is not None and found.without.low <= 0 <= found.without.high:
        carrier = found.without.low_without if r.estimate > 0 else found.without.high_without
        return f"{text}, but {carrier} alone carries it"
    return text


def statistics_of(found: Findings) -> list[str]:
    """Lines of text: r with interval and p; Spearman and leave-one-out; slope. Two decimals, three near 1."""
    r, rho, line = found.pearson, found.spearman, found.line
    if r is None or rho is None or line is None:
        n = len(found.used)
        if n < 4:
            return [
                f"No r for {counted(n, 'checkpoint')}: of fewer than 4, its interval would reach nearly from −1 to 1."
            ]
        side = "VAS" if found.used["vas"].nunique() == 1 else "accuracy"
        return [f"No r: all {n} checkpoints have the same {side}."]
    first = (
        f"r = {coefficient(r.estimate)} (95% CI {coefficient(r.low)} to {coefficient(r.high)}, {r.method}), "
        f"n = {counted(r.n, 'checkpoint')}, p {p_text(r.p)} (permutation)"
    )
    rest = [f"Spearman ρ = {coefficient(rho.estimate)}"]
    if found.without is not None:
        rest.append(
            f"leave-one-out r {coefficient(found.without.low)} to {coefficient(found.without.high)}"
            f" (lowest without {found.without.low_without})"
        )
    rest.append(f"BCa {coefficient(r.bca_low)} to {coefficient(r.bca_high)}")
    slope = (
        f"{points(line.slope)} points of accuracy per doubling of VAS "
        f"(95% CI {points(line.low)} to {points(line.high)})"
    )
    return [first, " · ".join(rest), slope]


def clamped_words(found: Findings) -> str:
    """Which checkpoints' VAS rests on the floor of the denominator; "" where none does to a hundredth."""
    if "clamped_share" not in found.used:
        return ""
    floored = found.used[found.used["clamped_share"] > CLAMPED]
    if floored.empty:
        return ""
    told = [f"{row['checkpoint']} {percent(row['clamped_share'])}" for row in floored.to_dict("records")]
    return (
        f"Rows whose system mass is below 1e-6 and taken as 1e-6, so that VAS is a bound: {', '.join(told)}."
    )


def subtitle_of(said: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    """Metric and its form, data, n, query set, decoding."""
    return dotted(
        [
            "One point a checkpoint",
            f"VAS, {said.get('form_words', 'form not stated')}",
            f"{words.get('data') or 'data not named'}, n = {words.get('n') or 'not stated'}",
            f"queries: {said.get('query_words', 'not stated')}",
            f"answers: {words.get('decoding') or 'decoding not stated'}",
        ]
    )


def foot_of(found: Findings, attrs: Mapping[Any, Any], words: Mapping[str, Any]) -> str:
    """Definition, bars and band, both-sided uncertainty, what was left out, run id."""
    how = "bootstrap over pictures" if attrs.get("clustered") else "over items (bootstrap; accuracy Wilson)"
    sentences = [
        "VAS = attention on image tokens ÷ attention on system tokens (log₂ axis; 1 = equal).",
        f"Bars: 95% intervals {how}.",
    ]
    if found.line is not None:
        sentences.append("Line: least squares on log₂ VAS; band: 95% interval of the mean.")
    both = attrs.get("two_level")
    if both is not None and found.pearson is not None:
        sentences.append(
            f"Resampled over {counted(both.n_clusters, 'picture' if attrs.get('clustered') else 'item')}, r is "
            f"{coefficient(both.items_low)} to {coefficient(both.items_high)}; over items and checkpoints "
            f"{coefficient(both.both_low)} to {coefficient(both.both_high)}."
        )
    if found.pearson is not None:
        sentences.append("A correlation across checkpoints; not a causal estimate.")
    clamped = clamped_words(found)
    if clamped:
        sentences.append(clamped)
    if found.left_out:
        sentences.append(f"Left out, without VAS or accuracy: {', '.join(found.left_out)}.")
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)
