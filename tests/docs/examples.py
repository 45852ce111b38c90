"""The examples of the pages, and a place to run them in.

A comment before a fenced block says what it is: `<!-- run -->` is executed and must succeed, `<!-- serves -->` must
serve a page until Ctrl-C, `<!-- fails -->` must end with the error that the page's `<!-- says: KIND -->` block shows
(`…` stands for anything), `<!-- write: NAME -->` is put into a file. Blocks of a page share one folder and one Python
namespace. Of a shell block every line is a `vaslab` or `avar` command, called in this process.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from trainers.cli import app as avar
from vaslab.cli.app import app as vaslab
from vaslab.cli.exits import run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
APPS = {"vaslab": vaslab, "avar": avar}

_BLOCK = re.compile(r"^<!-- (run|serves|fails|says|write)(?:: (\S+))? -->\n```(\w+)\n(.*?)^```$", re.S | re.M)


@dataclass(frozen=True)
class Example:
    """A marked block: what is done with it, its argument, language, text, and the line it stands in."""

    what: str
    argument: str
    language: str
    text: str
    place: str


def examples(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT)
    found = [
        Example(
            match[1],
            match[2] or "",
            match[3],
            match[4],
            f"{name}:{text[: match.start(4)].count(chr(10)) + 1}",
        )
        for match in _BLOCK.finditer(text)
    ]
    assert len(found) == len(re.findall(r"^<!-- (?:run|serves|fails|says|write)\b", text, re.M)), (
        f"{name}: a mark without its block"
    )
    return found


def command_lines(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def call(words: list[str]) -> int:
    """Run a command in this process."""
    assert words[0] in APPS, f"{words[0]} is no command of this project"
    return run(APPS[words[0]], words[1:], words[0])


def pattern(text: str) -> str:
    """A message with `…` for anything, as a regular expression."""
    return ".*".join(re.escape(part) for part in " ".join(text.split()).split("…"))
