"""What the pages tell people to type works, and the errors they show are those that come."""

import re

import pytest

from tests.docs.examples import DOCS, PAGES, call, command_lines, examples, pattern
from vaslab.errors import VaslabError
from vaslab.explorer.server import ExplorerServer
from vaslab.plots import export


def marked(page):
    """Pages that load the shipped model are left to `make examples`."""
    loads = any(
        "organism:" in each.text for each in examples(page) if each.what in ("run", "serves", "fails")
    )
    marks = [pytest.mark.organism, pytest.mark.slow] if loads else []
    return pytest.param(page, id=str(page.relative_to(DOCS).with_suffix("")), marks=marks)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """An empty folder to work in, on a machine without a browser: figures are HTML and take no seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    monkeypatch.setattr(export, "_server_path", None)
    return tmp_path


@pytest.mark.parametrize("page", [marked(page) for page in PAGES if examples(page)])
def test_the_examples_of_a_page_run(page, bare, capsys, monkeypatch):
    said, names = None, {"__name__": "example"}
    for example in examples(page):
        if example.what == "says":
            said = example
        elif example.what == "write":
            (bare / example.argument).write_text(example.text)
        elif example.what == "run":
            succeed(example, names, capsys)
        elif example.what == "serves":
            serve(example, capsys, monkeypatch)
        else:
            code, message = failure(example, names, capsys)
            assert re.fullmatch(pattern(said.text), message), f"{said.place} says otherwise than: {message}"
            assert f"`{said.argument}`, exit code {code}:" in page.read_text()


def succeed(example, names, capsys):
    if example.language == "python":
        exec(compile(example.text, example.place, "exec"), names)
        return
    for words in command_lines(example.text):
        assert call(words) == 0, f"{example.place}: {' '.join(words)}: {capsys.readouterr().err}"


def serve(example, capsys, monkeypatch):
    """Each command opens an address with a token and would serve it; Ctrl-C comes at once."""
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    monkeypatch.setattr(ExplorerServer, "serve_forever", ctrl_c)
    for words in command_lines(example.text):
        assert call(words) == 0, f"{example.place}: {' '.join(words)}: {capsys.readouterr().err}"
        assert opened, f"{example.place}: {' '.join(words)} opened nothing"
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=\S+", opened.pop())


def ctrl_c(*_):
    raise KeyboardInterrupt


def failure(example, names, capsys):
    """Exit code and message of an example that fails, by its last command where it has several."""
    if example.language == "python":
        with pytest.raises(VaslabError) as caught:
            exec(compile(example.text, example.place, "exec"), names)
        return caught.value.exit_code, " ".join(str(caught.value).split())
    *before, last = command_lines(example.text)
    for words in before:
        assert call(words) == 0, f"{example.place}: {' '.join(words)}: {capsys.readouterr().err}"
    capsys.readouterr()
    code = call(last)
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return code, error.removeprefix("error: ")


def test_a_page_about_an_error_shows_the_message_the_wrong_call_and_the_right_one():
    for page in sorted((DOCS / "errors").glob("*.md")):
        if page.stem == "index":
            continue
        marks = [each.what for each in examples(page)]
        assert marks.count("says") == marks.count("fails") == 1, page
        text = page.read_text()
        assert text.index("## Wrong\n") < text.index("## Right\n"), page
