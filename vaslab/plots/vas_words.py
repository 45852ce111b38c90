"""How sentences call VAS: in which of its forms, and how far it moved where a mass rests on its floor."""

from vaslab.plots.text import fold

FLOORED = 0.01
"""Share of system masses at the floor above which a VAS is a bound."""


def vas_named(form_words: str) -> str:
    """VAS and its form, as `vas` says it in its attributes: VAS (mean of ratios)."""
    return f"VAS ({form_words})"


def bound_word(ratio: float | int, floored: tuple[float, float] = (0.0, 0.0)) -> str:
    """What stands before the size of a change, where a system mass is taken as 1e-6: a VAS is then a lower bound.

    Args:
        ratio: second VAS over first. floored: share of system masses at the floor, in the first and the second.

    Returns:
        "at least ", "at most ", "nominally " (the floor holds both, so that the ratio bounds nothing), or "".
    """
    first, second = (share > FLOORED for share in floored)
    if first and second:
        return "nominally "
    if first or second:
        return "at least " if (ratio > 1) == second else "at most "
    return ""


def bounded_fold(ratio: float | int, floored: tuple[float, float] = (0.0, 0.0)) -> str:
    """The size of a change of VAS in a sentence: 2.1-fold, by 4%, at least 3,467-fold. Arguments as `bound_word`."""
    return bound_word(ratio, floored) + fold(max(ratio, 1 / ratio))
