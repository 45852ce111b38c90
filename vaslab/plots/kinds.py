"""How checkpoints are trained, and how each kind is drawn: one colour and one marker a kind."""

import re
from dataclasses import dataclass

from vaslab.plots import theme as themes

PATTERNS = (
    (r"vars", "+VARS"),
    (r"agto", "+AGTO"),
    (r"vard", "+VARD"),
    (r"text[ _-]*only|\btext\b", "text-only cold start"),
    (r"multi[ _-]*modal", "multimodal cold start"),
    (r"\bbase\b", "base"),
)
OTHER = "other"
_INK = {
    "+VARS": ("#6b4400", "star"),
    "+AGTO": ("#8a5a00", "diamond"),
    "+VARD": ("#b07d00", "triangle-up"),
    "text-only cold start": ("#c2255c", "square"),
    "multimodal cold start": ("#0b7a75", "circle"),
    "base": ("#66717f", "circle-open"),
    OTHER: ("#3f51b5", "triangle-down"),
}
_MORE = (("#3f51b5", "triangle-down"), ("#7a3e9d", "pentagon"), ("#17202e", "x"), ("#0b7a75", "hexagon"))


@dataclass(frozen=True)
class KindStyle:
    """Marker, its colour, and that colour as text."""

    line: str
    text: str
    symbol: str


def kind_of(name: str) -> str:
    """The training kind that a checkpoint's name says, or "other"."""
    return next((kind for pattern, kind in PATTERNS if re.search(pattern, name.lower())), OTHER)


def kind_styles(kinds: list[str], look: themes.Theme) -> dict[str, KindStyle]:
    """A style for each kind; kinds that have no style of their own share the rest in turn."""
    known = list(_INK)
    unknown = [kind for kind in kinds if kind not in known]
    out = {}
    for kind in dict.fromkeys(kinds):
        ink, symbol = _INK.get(kind, _MORE[unknown.index(kind) % len(_MORE)] if kind in unknown else _MORE[0])
        line = themes.on_page(ink, look)
        out[kind] = KindStyle(line, themes.readable(line, look.background), symbol)
    return out
