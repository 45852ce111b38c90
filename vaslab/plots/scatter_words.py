"""What the scatter figure says: its finding, r with its uncertainty, subtitle and foot."""

from collections.abc import Mapping
from typing import Any

from vaslab.metrics import PAPER, Definition
from vaslab.plots.scatter_numbers import Findings
from vaslab.plots.text import FLOORED, coefficient, counted, dotted, minus, p_text, percent, points, unbroken
from vaslab.statistics import Correlation
from vaslab.statistics.correlation import FEWEST, too_few


def title_of(found: Findings) -> str:
    """The finding: do checkpoints with a higher VAS answer better, and does one of them carry it?"""
    r = found.pearson
    if r is None:
        n = len(found.used)
        few = f"{counted(n, 'checkpoint')}: too few for a correlation of {found.vas} and accuracy"
        return (
            few
            if n < FEWEST
            else f"These checkpoints do not differ: {found.vas} and accuracy cannot be correlated"
        )
    other = f"; by {found.other_vas} {_verdict(found.other)}" if found.forms_differ else ""
    if not found.clear:
        return f"No clear relation of {found.vas} and accuracy over {r.n} checkpoints{other}"
    better = "better" if r.estimate > 0 else "worse"
    text = f"Checkpoints with a higher {found.vas} answer {better}"
    if found.carrier:
        return f"{text}, but {found.carrier} alone carries it{other}"
    return f"{text}{other}"


def _verdict(r: Correlation | None) -> str:
    if r is None or not r.clear:
        return "there is no clear relation"
    return f"they answer {'better' if r.estimate > 0 else 'worse'}"


def r_words(r: Correlation) -> str:
    """r with its interval, its source, n and p."""
    return (
        f"r = {coefficient(r.estimate)} (95% CI {coefficient(r.low)} to {coefficient(r.high)}, {r.method}), "
        f"n = {counted(r.n, 'checkpoint')}, p {p_text(r.p)} (permutation)"
    )


def statistics_of(found: Findings) -> list[str]:
    """Lines of text: r with interval and p; Spearman and leave-one-out; slope. Two decimals, three near 1."""
    r, rho, line = found.pearson, found.spearman, found.line
    if r is None or rho is None or line is None:
        n = len(found.used)
        if n < FEWEST:
            return [minus(too_few(n))]
        side = found.vas if found.used["vas"].nunique() == 1 else "accuracy"
        return [f"No r: all {n} checkpoints have the same {side}."]
    rest = [
        f"Spearman ρ = {coefficient(rho.estimate)} (95% CI {coefficient(rho.low)} to {coefficient(rho.high)}, "
        "Bonett and Wright)"
    ]
    if found.without is not None:
        rest.append(
            f"leave-one-out r {coefficient(found.without.low)} to {coefficient(found.without.high)}"
            f" (lowest without {found.without.low_without})"
        )
    rest.append(f"BCa {coefficient(r.bca_low)} to {coefficient(r.bca_high)}")
    slope = (
        f"{points(line.slope)} points of accuracy per doubling of {found.vas} "
        f"(95% CI {points(line.low)} to {points(line.high)})"
    )
    lines = [r_words(r), " · ".join(rest), slope]
    if found.other is not None:
        lines.append(f"By {found.other_vas}: {r_words(found.other)}")
    if found.floored:
        lines.insert(1, floored_words(found))
    if found.used.attrs.get("heads"):
        lines.insert(1, f"VAS over {found.used.attrs['heads']}")
    unequal = found.used.attrs.get("unequal")
    if unequal:
        common = found.used.attrs.get("r_common")
        told = f"; over those {coefficient(common)}" if common is not None else ""
        lines.insert(1, f"r over {unequal}{told}")
    return lines


def floored_words(found: Findings) -> str:
    """On how many floored checkpoints r rests, and what it is without them."""
    some, n = len(found.floored), len(found.used)
    rests = f"{some} of {n} checkpoints {'rests' if some == 1 else 'rest'} on the floor of VAS"
    if found.unfloored is not None:
        return f"{rests}: without, {r_words(found.unfloored)}"
    left = "those left do not differ" if n - some >= FEWEST else f"the {n - some} left are too few for an r"
    return f"{rests}: {left}"


def clamped_words(found: Findings) -> str:
    """Which checkpoints' VAS rests on the floor of the denominator; "" where none does to a hundredth."""
    if "clamped_share" not in found.used:
        return ""
    floored = found.used[found.used["clamped_share"] > FLOORED]
    if floored.empty:
        return ""
    told = [f"{row['checkpoint']} {percent(row['clamped_share'])}" for row in floored.to_dict("records")]
    if _definition(found.used.attrs).form == "ratio_of_means":
        names = ", ".join(str(name) for name in floored["checkpoint"])
        return f"Mean system mass below 1e-6 and taken as 1e-6, so that VAS is a bound: {names}."
    return (
        f"Rows whose system mass is below 1e-6 and taken as 1e-6, so that VAS is a bound: {', '.join(told)}."
    )


def _definition(attrs: Mapping[Any, Any]) -> Definition:
    """The definition of VAS in a table; the paper's where it names none."""
    return Definition.of(attrs["vas"]) if attrs.get("vas") else PAPER


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
    how = f"over {'pictures' if attrs.get('clustered') else 'items'} (bootstrap; accuracy Wilson)"
    sentences = [
        f"{_definition(attrs).formula} (log₂ axis; 1 = equal).",
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
    if attrs.get("heads"):
        sentences.append(f"VAS of every checkpoint is over {attrs['heads']}.")
    if attrs.get("unequal"):
        sentences.append(
            f"Checkpoints stand on {attrs['unequal']}; measure all with the same --data, --limit and --seed."
        )
    if found.left_out:
        sentences.append(f"Left out, without VAS or accuracy: {', '.join(found.left_out)}.")
    sentences.append(unbroken(f"Run {words.get('run') or 'not named'}."))
    return " ".join(sentences)
