"""What the sensitivity figure says: does r depend on the definition of VAS, and does it depend on the floor?"""

from collections.abc import Sequence

import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from vaslab.metrics.specifications import HEAD_RATIOS
from vaslab.plots.text import coefficient, counted, dotted, unbroken

FLOOR = "floor"
QUESTIONS = ("form", "first token", "masses", FLOOR, "queries", "layers", "heads")
"""What a definition of VAS chooses; columns of a sensitivity table."""
STILL = 0.005
"""Change of r that two decimals do not show."""


def title_of(drawn: pd.DataFrame) -> str:
    """The finding: does the sign, and the clearness, of r depend on the definition?

    Args:
        drawn: definitions that have an r, each once (see `counted_once`).
    """
    n = len(drawn)
    up, down = (int((drawn["clear"] & (sign * drawn["r"] > 0)).sum()) for sign in (1, -1))
    positive = int((drawn["r"] > 0).sum())
    if n == 1:
        told = "clear" if drawn["clear"].iloc[0] else "not told from 0"
        return f"One definition of VAS: r = {coefficient(drawn['r'].iloc[0])}, {told}"
    if up == n or down == n:
        return f"r is clearly {'positive' if up else 'negative'} under all {n:,} definitions of VAS"
    if up and down:
        told = f"clearly positive under {up:,} of {n:,}, negative under {down:,}"
        return f"The sign of r depends on the definition: {told}"
    if up or down:
        word = "positive" if up else "negative"
        some = f"{up or down:,} of {n:,} definitions of VAS"
        return f"r is clearly {word} under {some}, under none clearly {_other(word)}"
    same = (
        "always positive"
        if positive == n
        else "always negative"
        if positive == 0
        else f"positive under {positive:,}"
    )
    return (
        f"No definition of VAS gives a clear r: {same}{f' of {n:,}' if same.startswith('positive') else ''}"
    )


def _other(word: str) -> str:
    return "negative" if word == "positive" else "positive"


def subtitle_of(table: pd.DataFrame, drawn: pd.DataFrame, data: str | None) -> str:
    """What r is of, data, how many definitions there are, and how many of them differ."""
    low, high = drawn["r"].min(), drawn["r"].max()
    every = f" of {len(table):,}" if len(drawn) < len(table) else ""
    return dotted(
        [
            f"Pearson r of log₂ VAS and accuracy over {counted(table.attrs['n_checkpoints'], 'checkpoint')}",
            data or "data not named",
            f"{len(drawn):,}{every} definition{'' if len(table) == 1 else 's'}, r from {coefficient(low)} to "
            f"{coefficient(high)}",
        ]
    )


def repeats_words(table: pd.DataFrame) -> str:
    """How many definitions only repeat others, which therefore count once; "" where none does."""
    n = int((table["repeats"] & table["r"].notna()).sum())
    if not n:
        return ""
    gives, counts = ("gives", "counts") if n == 1 else ("give", "count")
    return (
        f"{counted(n, 'definition')} of {len(table):,} {gives} the values of another, up to a factor (such as masses "
        f"per token where all items have as many tokens), and {counts} once with it."
    )


def basis_words(table: pd.DataFrame) -> list[str]:
    """Which layers, heads and items stand behind all definitions, where not all checkpoints have the same."""
    words = []
    if table.attrs.get("heads"):
        words.append(f"VAS of every checkpoint is over {table.attrs['heads']}; thirds are of these layers.")
    if table.attrs.get("unequal"):
        words.append(f"Checkpoints stand on {table.attrs['unequal']}.")
    return words


def choices_of(table: pd.DataFrame, question: str) -> list[str]:
    """What definitions chose, in the order of the table; floors by size."""
    found = list(dict.fromkeys(table[question]))
    return sorted(found, key=float) if question == FLOOR else found


def floors_differ(table: pd.DataFrame) -> bool:
    """Whether any two definitions that differ in the floor alone give other values."""
    return bool((_by_floor(table)["group"].nunique() > 1).any())


def floor_words(table: pd.DataFrame) -> list[str]:
    """What the floor of the denominator does to r: over all definitions, and in the paper's own, whose ratios are then
    those of heads, for a capture keeps no single queries."""
    every, floors = table, choices_of(table, FLOOR)
    if len(floors) < 2:
        return []
    table = table[_by_floor(table)["r"].transform("size") > 1]
    r = _by_floor(table)["r"]
    moved = float((r.max() - r.min()).max())
    between = f"Floors of {floors[0]} to {floors[-1]} under the system mass"
    if not moved > STILL:
        return [f"{between} change no r by more than {STILL}."]
    ways = table.assign(way=table["clear"] * (2 * (table["r"] > 0) - 1))
    ways = ways[table["r"].notna()]
    kinds = _by_floor(ways)["way"].nunique()
    words = [
        f"{between} move r by up to {moved:.2f}; whether it is clear, and which way, depends on them in "
        f"{int((kinds > 1).sum()):,} of the {counted(len(kinds), 'definition')} that can take another."
    ]
    return [*words, *_papers_floors(every, floors)]


def _papers_floors(table: pd.DataFrame, floors: Sequence[str]) -> list[str]:
    """r of the paper's definition with each floor, its ratios those of heads."""
    paper = table[table["paper"]]
    if paper.empty or paper["r"].isna().any():
        return []
    own, rest = paper.iloc[0], [q for q in QUESTIONS if q not in ("form", FLOOR)]
    same = table[(table[rest] == own[rest]).all(axis=1) & (table["form"] == HEAD_RATIOS)].set_index(FLOOR)
    r = same["r"].dropna()
    told = [f"{coefficient(r[floor])} with {floor}" for floor in floors if floor in r.index]
    if not told:
        return []
    return [
        f"The paper's definition has r = {coefficient(own['r'])}; with the ratio of each head in an item in place of "
        f"that of each query, whose masses no run keeps, {', '.join(told)}."
    ]


def _by_floor(table: pd.DataFrame) -> DataFrameGroupBy:
    """Definitions that differ in the floor alone, together."""
    return table.groupby([q for q in QUESTIONS if q != FLOOR], sort=False)


def foot_of(table: pd.DataFrame, run: str | None) -> str:
    """What a column is, intervals, what repeats, what the floor does, what has no r, run ids."""
    sentences = [
        "Each column is one definition of VAS; marks below tell what it chose.",
        "Bars: 95% intervals (Fisher z); filled: clear, the interval leaves out 0 and p by permutation is below .05. "
        "They are not independent: the same checkpoints and items stand behind all.",
    ]
    sentences += [told for told in (repeats_words(table), *floor_words(table), *basis_words(table)) if told]
    lost = int(table["r"].isna().sum())
    if lost:
        sentences.append(f"{counted(lost, 'definition')} without r (VAS undefined, or 0): not drawn.")
    sentences.append(unbroken(f"Runs {run or 'not named'}."))
    return " ".join(sentences)
