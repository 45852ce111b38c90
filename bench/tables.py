"""The tables of docs/performance.md, written from bench/results: `python -m bench.tables`.

A table stands between `<!-- bench: NAME -->` and `<!-- end -->`, NAME being a file of bench/results without its suffix.
Where the file is not there, the table says that nothing was measured, and by which command it would be.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bench.intervals import other_level

Line = dict[str, Any]
RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_BLOCK = re.compile(r"(<!-- bench: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_COLUMNS = ("what", "a / b", "ratio", "a", "b", "promised")
_LENGTHS = {
    "length": "S = {:,}",
    "batch": "batch {}",
    "prompt_tokens": "prompt {:,}",
    "answer_tokens": "answer {:,}",
}
_AT_LEAST = ("output_attentions", "eager")
"""Comparisons of which the other way is the first side: a promise is a least one."""


def rewritten(page: str, results: Path = RESULTS) -> str:
    """Return the page with every table as its results say."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}{table_of(match[2], results)}{match[3]}"

    return _BLOCK.sub(table, page)


def table_of(name: str, results: Path) -> str:
    """One table in Markdown with where it was measured; or the command that would measure it."""
    path = results / f"{name}.jsonl"
    if not path.is_file():
        bench, _, device = name.rpartition("-")
        asked = f"python -m bench.{bench} --device {device} --out bench/results/{name}.jsonl"
        lack = "no GPU was at hand" if device == "cuda" else "not run yet"
        return f"Not measured: {lack}. `{asked}`\n"
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_cells, lines)]
    where = sorted({f"{line['machine']}, {line['threads']} threads, torch {line['torch']}" for line in lines})
    days = sorted({line["date"][:10] for line in lines})
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return f"{table}\n{'; '.join(where)}; {' to '.join(dict.fromkeys((days[0], days[-1])))}.\n"


def _cells(line: Line) -> tuple[str, ...]:
    sizes = [words.format(line[name]) for name, words in _LENGTHS.items() if name in line]
    what = ", ".join([f"{line['metric']}: {line['case']}", *sizes])
    sides = [_side(line, side) for side in ("ours", "other")]
    # bench.attention keeps what is ours apart from which side it is
    if line["comparison"].startswith("output_attentions"):
        sides.reverse()
    return (what, str(line["comparison"]), _ratio(line), *sides, _promise(line))


def _ratio(line: Line) -> str:
    if line["median"] is None:
        return "-"
    digits = 1 if line["median"] >= 10 else 2
    between = ""
    if "low" in line:
        between = f" [{line['low']:.{digits}f}, {line['high']:.{digits}f}]{other_level(line['n'])}"
    return f"{line['median']:.{digits}f}{between}, n = {line['n']}"


def _side(line: Line, side: str) -> str:
    if line.get(f"{side}_s") is not None:
        return f"{line[f'{side}_s']:.2f} s"
    held: Any = line.get(f"{side}_bytes")
    return "-" if held is None else f"{held / 2**20:,.0f} MiB"


def _promise(line: Line) -> str:
    if line["target"] is None:
        return str(line.get("why") or "")
    bound = "at least" if line["comparison"].startswith(_AT_LEAST) else "at most"
    return f"{bound} {line['target']:g}: {'met' if line['met'] else '**missed**'}"


def main() -> None:
    """Write the page's tables anew."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(rewritten(text), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
