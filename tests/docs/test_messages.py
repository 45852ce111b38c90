"""The lists of messages: each error that the code makes is on the page of its class, and found by its words."""

import importlib.util
import re
import sys

import pytest

from tests.docs.examples import DOCS, ROOT

PASSED_ON = {
    ("vaslab.benchmarks.item", "BrokenItemError(self.broken)"): "what was said when the item was read",
    ("vaslab.explorer.widget", 'UsageError(looks["note"])'): "what the view said of the region",
    ("trainers.data.record", "RecordError(str(error))"): "what the picture said",
    ("trainers.vard.local", "PromptRefusedError(str(error))"): "what the prompt's encoding said",
}
"""Errors that carry the words of another one; those words are listed where they are made."""


def fresh():
    spec = importlib.util.spec_from_file_location("error_messages", DOCS / "error_messages.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def listed():
    return fresh()


def made(names):
    """(module, line, text) of each line that makes an error, by its letters alone."""
    wanted = re.compile(rf"(?<![\w.\"'`])(?:{'|'.join(names)})\(.*")
    for package in ("vaslab", "trainers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                found = wanted.search(line)
                if found and not line.lstrip().startswith(("class ", "#")):
                    yield module, number, found[0]


def test_every_error_that_the_code_makes_is_listed(listed):
    there = {(message.module, message.line) for message in listed.messages()}
    lost = [
        (module, line, text)
        for module, line, text in made(listed.error_classes())
        if (module, line) not in there
        and not any(module == where and text.startswith(call) for where, call in PASSED_ON)
    ]
    assert lost == []
    assert len(there) > 500


def test_every_message_has_its_heading_on_the_page_of_its_class(listed):
    pages = listed.pages()
    kinds = listed.error_classes()
    assert {"VaslabError", "UsageError", "MissingError", "ImageError"} <= set(kinds)
    for message in listed.messages():
        text = pages[kinds[message.error].page]
        assert f"\n### {listed._plain(message.words)}\n" in text
        assert f"`{message.module}`" in text


def test_every_page_written_by_hand_is_named_beside_its_message(listed):
    written = {page.name for page in (DOCS / "errors").glob("*.md")} - {"index.md"}
    named = {
        name for text in listed.pages().values() for name in re.findall(r"\]\(\.\./([\w-]+\.md)\)", text)
    }
    assert named == written


def test_words_are_read_off_calls_names_and_functions(tmp_path, monkeypatch):
    (tmp_path / "trainers").mkdir()
    (tmp_path / "vaslab").mkdir()
    (tmp_path / "vaslab" / "errors.py").write_text(
        'class VaslabError(Exception):\n    """Wrong. Exit code 1."""\n'
        'class UsageError(VaslabError):\n    """The call\n    is wrong.\n    """\n    exit_code = 2\n'
        "class PictureError(UsageError): pass\n"
    )
    (tmp_path / "vaslab" / "a.py").write_text(
        'raise UsageError(f"{name} is {value!r}; " + "expected <b>") from error\n'
        'raise ValueError("a bug")\n'
        'error = PictureError("no picture ".rstrip())\n'
        "def few(n) -> str:\n    return f'{n} are few; measure more'\n"
        "def f():\n    words = 'first; do this'\n    words = 'second'\n    raise VaslabError(words)\n"
        "raise VaslabError(few(3))\nraise VaslabError(str(error))\nCUT = 'cut off'\n"
        "raise VaslabError(CUT + '; ask again')\n"
    )
    module = fresh()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    found = {(each.error, each.words, each.line, each.fix) for each in module.messages()}
    assert found == {
        ("UsageError", "… is …; expected <b>", 1, "expected <b>"),
        ("PictureError", "no picture", 3, ""),
        ("VaslabError", "first; do this", 9, "do this"),
        ("VaslabError", "second", 9, ""),
        ("VaslabError", "… are few; measure more", 10, "measure more"),
        ("VaslabError", "cut off; ask again", 13, "ask again"),
    }
    kinds = module.error_classes()
    assert [(kind.exit_code, kind.parent) for kind in kinds.values()] == [
        (1, ""),
        (2, "VaslabError"),
        (2, "UsageError"),
    ]
    page = module.pages()["errors/messages/usage-error.md"]
    assert "The call is wrong. Exit code 2, a kind of `VaslabError`." in page
    assert (
        "### … is …; expected &lt;b&gt;\n\nWhat to do: expected &lt;b&gt;.\n\nRaised in `vaslab.a`." in page
    )
    assert "[`PictureError`](messages/picture-error.md) | 2 |" in module.overview()


@pytest.mark.parametrize(
    ("words", "said", "same"),
    [
        ("there is no run at …; measure", "there is no run at runs/x; measure", True),
        ("there is no run at runs/x; measure", "there is no run at …; measure", True),
        ("there is no run at …, or …; measure", "there is no run at …; measure", True),
        ("there is no run at …; measure", "there is no run at …; measure it", False),
        ("… (first) and … (second)", "anything at all (second)", False),
        ("… is refused: …. Known: ….", "mllama is refused: … Known: …", True),
    ],
)
def test_a_message_and_a_page_are_matched_with_gaps_in_both(listed, words, said, same):
    assert listed._same(words, said) is same
