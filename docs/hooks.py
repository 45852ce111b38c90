"""What the site adds to its pages: pages not named, the gallery's pictures, every message, and a look at the build.

mkdocs calls the functions by their names (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
GALLERY = ROOT / "figures"
EVERY_MESSAGE = "<!-- every message -->"
SOMETHING = "…"

_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|audio|video)\b[^>]*\bsrc\s*=\s*[\"']?(https?:)?//[^\"'\s>]+"
    r"|<link\b[^>]*\bhref\s*=\s*[\"']?(https?:)?//[^\"'\s>]+"
    r"|url\(\s*[\"']?(https?:)?//[^)]+"
    r"|@import\s+[\"'](https?:)?//[^\"']+",
    re.I,
)
"""What a browser would fetch from another host; a link that a reader clicks is none of it."""


def on_config(config: Any) -> Any:
    """Put pages of the first folder that the navigation does not name under its last entry, the reference."""
    named = set(_paths(config.nav))
    *_, reference = config.nav
    pages = sorted(page.name for page in DOCS.glob("*.md"))
    next(iter(reference.values())).extend(page for page in pages if page not in named)
    return config


def _paths(entry: Any) -> list[str]:
    """Every page under an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [path for each in (entry.values() if isinstance(entry, dict) else entry) for path in _paths(each)]


def on_files(files: Any, config: Any) -> Any:
    """Let pages show the pictures of the gallery."""
    from mkdocs.structure.files import File

    for picture in sorted(GALLERY.glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point pictures of the gallery to the site's own copies, and list every message where the page asks for it."""
    depth = page.file.src_uri.count("/")
    markdown = markdown.replace("../" * (depth + 1) + "figures/", "../" * depth + "figures/")
    if EVERY_MESSAGE in markdown:
        markdown = markdown.replace(EVERY_MESSAGE, listed(messages()))
    return markdown


def on_post_build(config: Any) -> None:
    """Raise where a page would fetch anything from another host."""
    from mkdocs.exceptions import PluginError

    found = fetched(Path(config.site_dir))
    if found:
        raise PluginError(
            "the site would fetch " + "; ".join(f"{what} ({where})" for where, what in found[:5])
        )


def fetched(site: Path) -> list[tuple[str, str]]:
    """(file, reference) of everything on a built site that a browser would fetch from another host."""
    found = []
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        text = path.read_text(encoding="utf-8")
        found += [(str(path.relative_to(site)), match[0]) for match in _FETCHED.finditer(text)]
    return found


@dataclass(frozen=True)
class Message:
    """A message that a user can meet: its error's class, its words with `…` for what differs, and its module."""

    error: str
    words: str
    module: str


def messages() -> list[Message]:
    """Every message that the code raises, read off its `raise` statements."""
    kinds = _error_classes()
    found = []
    for package in ("vaslab", "trainers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found += [Message(error, words, module) for error, words in _raised(path, kinds)]
    return found


def _error_classes() -> dict[str, str]:
    """Name of each error's class -> the one of the three that it belongs to."""
    kinds = {name: name for name in ("VaslabError", "UsageError", "MissingError")}
    for package in ("vaslab", "trainers"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and node.bases and ast.unparse(node.bases[0]) in kinds:
                    kinds[node.name] = kinds[ast.unparse(node.bases[0])]
    return kinds


def _raised(path: Path, kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Class and words of each error that a module makes of words it knows."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds):
            continue
        words = _words(node.args[0]) if node.args else ""
        if words.strip(SOMETHING + " "):
            yield node.func.id, " ".join(words.split())


def _words(node: ast.expr) -> str:
    """A message with `…` for every part that is not written out."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    return SOMETHING


def listed(every: list[Message]) -> str:
    """Tables of messages, a floor a table."""
    floors: dict[str, list[Message]] = {}
    for message in every:
        floors.setdefault(".".join(message.module.split(".")[:2]), []).append(message)
    parts = []
    for floor, own in sorted(floors.items()):
        rows = dict.fromkeys((message.error, message.words.replace("|", "\\|")) for message in own)
        lines = [f"| `{error}` | {_plain(words)} |" for error, words in rows]
        parts.append("\n".join([f"### {floor}", "", "| error | message |", "|---|---|", *lines]))
    return "\n\n".join(parts)


def _plain(words: str) -> str:
    """Words that stay as they are in Markdown."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_`\[\]{}#])", r"\\\1", escaped)
