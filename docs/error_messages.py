"""Every message that the code can end with, read off the calls that make the errors: a page for each error class.

Nothing is written by hand here: a message that is added to the code is on its page with the next build.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PACKAGES = ("vaslab", "trainers")
FOLDER = "errors/messages"
SOMETHING = "…"
_TEXT_METHODS = ("rstrip", "strip", "removesuffix", "replace", "join")


@dataclass(frozen=True)
class ErrorClass:
    """A class of errors: its name, first line of its docstring, the class it is a kind of, its exit code."""

    name: str
    words: str
    parent: str
    exit_code: int

    @property
    def page(self) -> str:
        """Where its messages stand: UsageError -> errors/messages/usage-error.md."""
        return f"{FOLDER}/{re.sub(r'(?<=[a-z])(?=[A-Z])', '-', self.name).lower()}.md"


@dataclass(frozen=True)
class Message:
    """A message that a user can meet: its error's class, its words with `…` for what differs, module and line."""

    error: str
    words: str
    module: str
    line: int

    @property
    def fix(self) -> str:
        """What to do: what the message says after its last semicolon; "" where it says what is wrong alone."""
        _, semicolon, last = self.words.rpartition("; ")
        return last if semicolon and last.strip(SOMETHING + " ") else ""


@cache
def sources() -> dict[str, ast.Module]:
    """Module name -> its parsed text, for every module of the packages."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def error_classes() -> dict[str, ErrorClass]:
    """Every class of errors, those that others are kinds of first."""
    found = {"VaslabError": ErrorClass("VaslabError", "", "", 1)}
    classes = [
        node for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    added = True
    while added:
        added = False
        for node in classes:
            parent = ast.unparse(node.bases[0]) if node.bases else ""
            words = (ast.get_docstring(node) or "").partition("\n\n")[0].partition(" Exit code")[0]
            if node.name == "VaslabError":
                found[node.name] = replace(found[node.name], words=" ".join(words.split()))
            elif parent in found and node.name not in found:
                code = _exit_code(node) or found[parent].exit_code
                found[node.name] = ErrorClass(node.name, " ".join(words.split()), parent, code)
                added = True
    return found


def _exit_code(node: ast.ClassDef) -> int | None:
    for each in node.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "exit_code":
            return int(ast.literal_eval(each.value))
    return None


@cache
def constants() -> dict[str, str]:
    """Texts that modules name in capitals."""
    return {
        ast.unparse(node.targets[0]): words_of(node.value)
        for tree in sources().values()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper()
    }


@cache
def messages() -> list[Message]:
    """Every message that the code makes an error of."""
    trees, kinds = sources(), error_classes()
    told = {
        node.name: node
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.returns is not None
        and ast.unparse(node.returns) == "str"
    }
    found = []
    for module, tree in trees.items():
        for call, within in _calls(tree):
            if not isinstance(call.func, ast.Name) or call.func.id not in kinds or not call.args:
                continue
            name = call.func.id
            every = {" ".join(words.split()) for words in _wordings(call.args[0], within, told)}
            found += [
                Message(name, words, module, call.lineno)
                for words in sorted(every)
                if words.strip(SOMETHING + " ")
            ]
    return found


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, ast.FunctionDef | None]]:
    """Every call, with the function it stands in; in the order of the lines."""
    found: list[tuple[ast.Call, ast.FunctionDef | None]] = []
    left: list[tuple[ast.AST, ast.FunctionDef | None]] = [(tree, None)]
    while left:
        node, within = left.pop()
        if isinstance(node, ast.Call):
            found.append((node, within))
        within = node if isinstance(node, ast.FunctionDef) else within
        left += [(child, within) for child in ast.iter_child_nodes(node)]
    return iter(sorted(found, key=lambda each: each[0].lineno))


def _wordings(
    node: ast.expr, within: ast.FunctionDef | None, told: dict[str, ast.FunctionDef]
) -> Iterator[str]:
    """The texts that an expression can be: itself, what a name was set to, what a function returns."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        rights = list(_wordings(node.right, within, told))
        yield from (left + right for left in _wordings(node.left, within, told) for right in rights)
    elif isinstance(node, ast.IfExp):
        yield from _wordings(node.body, within, told)
        yield from _wordings(node.orelse, within, told)
    elif isinstance(node, ast.Name) and node.id.isupper():
        yield constants().get(node.id, SOMETHING)
    elif isinstance(node, ast.Name) and within is not None:
        for each in ast.walk(within):
            if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == node.id:
                yield from _wordings(each.value, None, told)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in told:
        for each in ast.walk(told[node.func.id]):
            if isinstance(each, ast.Return) and each.value is not None:
                yield words_of(each.value)
    else:
        yield words_of(node)


def words_of(node: ast.expr) -> str:
    """A text with `…` for every part that is not written out."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(words_of(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return words_of(node.left) + words_of(node.right)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _TEXT_METHODS
    ):
        return SOMETHING if node.func.attr == "join" else words_of(node.func.value)
    return SOMETHING


def pages() -> dict[str, str]:
    """Path -> Markdown of the page of each class of errors."""
    every, kinds = messages(), error_classes()
    explained = {
        max(near, key=lambda words: _shared(words, said)): page
        for said, page in explained_pages().items()
        if (
            near := [
                each.words for each in every if _shared(each.words, said) > 2 and _same(each.words, said)
            ]
        )
    }
    return {
        kind.page: _page(kind, [each for each in every if each.error == kind.name], explained)
        for kind in kinds.values()
    }


def explained_pages() -> dict[str, str]:
    """The message that each page written by hand shows -> its file name."""
    found = {}
    for page in sorted((DOCS / "errors").glob("*.md")):
        shown = re.search(
            r"^<!-- says: \w+ -->\n```text\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M
        )
        if shown:
            found[" ".join(shown[1].split())] = page.name
    return found


def _page(kind: ErrorClass, own: list[Message], explained: dict[str, str]) -> str:
    parent = f", a kind of `{kind.parent}`" if kind.parent else ""
    lines = [
        f"# {kind.name}",
        "",
        f"{_plain(kind.words)} Exit code {kind.exit_code}{parent}." if kind.words else "",
        "",
        f"{len(own)} messages, as they stand in the code; `{SOMETHING}` is what differs from case to case.",
    ]
    floors: dict[str, list[Message]] = {}
    for message in own:
        floors.setdefault(".".join(message.module.split(".")[:2]), []).append(message)
    for floor, those in sorted(floors.items()):
        lines += ["", f"## {floor}"]
        for words in dict.fromkeys(message.words for message in those):
            same = [message for message in those if message.words == words]
            places = ", ".join(f"`{module}`" for module in dict.fromkeys(message.module for message in same))
            lines += ["", f"### {_plain(words)}", ""]
            if same[0].fix:
                lines += [f"What to do: {_plain(same[0].fix)}.", ""]
            more = f" [More, with an example](../{explained[words]})." if words in explained else ""
            lines.append(f"Raised in {places}.{more}")
    # hundreds of headings would hide the page
    return "\n".join(["---", "hide: [toc]", "search: {boost: 0.5}", "---", "", *lines, ""])


def _shared(words: str, said: str) -> int:
    """How many words two messages have in common."""
    return len(set(words.split()) & set(said.split()))


def _same(words: str, said: str) -> bool:
    """Whether a message is the one that a page shows; `…` stands for anything in both."""
    # which beginnings of `said` the message so far can be
    ends = {0}
    for letter in words:
        ends = _reached(ends, letter, said)
    return len(said) in ends


def _reached(ends: set[int], letter: str, said: str) -> set[int]:
    """Where in `said` one may stand after one more letter of a message; its own `…` takes any letters."""
    if letter == SOMETHING:
        return set(range(min(ends, default=len(said) + 1), len(said) + 1))
    # a place after `…` is also one before it: that takes nothing, or more
    before = {each for end in ends for each in _through(end, said)}
    taken = {end + 1 for end in before if end < len(said) and said[end] == letter}
    kept = {end for end in before if end < len(said) and said[end] == SOMETHING}
    return {each for end in taken | kept for each in _through(end, said)}


def _through(end: int, said: str) -> tuple[int, ...]:
    return (end, end + 1) if end < len(said) and said[end] == SOMETHING else (end,)


def overview() -> str:
    """A table of the classes, with how many messages each has."""
    every = messages()
    lines = ["| error | exit code | what it says | messages |", "|---|---|---|---|"]
    for kind in error_classes().values():
        count = sum(message.error == kind.name for message in every)
        path = kind.page.removeprefix("errors/")
        lines.append(f"| [`{kind.name}`]({path}) | {kind.exit_code} | {_plain(kind.words)} | {count} |")
    return "\n".join(lines)


def _plain(words: str) -> str:
    """Words that stay as they are in Markdown."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_`\[\]{}#|])", r"\\\1", escaped)
