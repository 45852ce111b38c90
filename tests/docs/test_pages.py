"""The site: every page is in the navigation, every command on a page exists, nothing is fetched from elsewhere."""

import importlib.util
import re
import sys
from functools import cache
from types import SimpleNamespace

import pytest
import yaml
from typer.main import get_command

from tests.docs.examples import APPS, DOCS, PAGES, ROOT, command_lines


def hooks():
    # as mkdocs does it: a hook may import what stands beside it
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
    spec = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_navigation_once():
    site = hooks()
    config = SimpleNamespace(nav=yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    listed = site._paths(site.on_config(config).nav)
    made = set(site.error_messages.pages())
    assert made == {path for path in listed if path.startswith("errors/messages/")}
    listed = [path for path in listed if path not in made]
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


def test_a_page_that_the_navigation_does_not_name_is_put_under_the_reference(tmp_path, monkeypatch):
    site = hooks()
    for name in ("index.md", "stages.md"):
        (tmp_path / name).touch()
    monkeypatch.setattr(site, "DOCS", tmp_path)
    config = SimpleNamespace(nav=[{"Start": ["index.md"]}, {"Reference": [{"API": ["api/index.md"]}]}])
    assert site.on_config(config).nav[1] == {"Reference": [{"API": ["api/index.md"]}, "stages.md"]}


def shown_commands():
    """Every command line of `vaslab` and `avar` in fenced shell blocks of the pages and of the notebooks."""
    texts = {page.relative_to(ROOT): page.read_text() for page in PAGES}
    for notebook in sorted((ROOT / "notebooks").glob("*.py")):
        texts[notebook.relative_to(ROOT)] = re.sub(r"^# ?", "", notebook.read_text(), flags=re.M)
    return [
        pytest.param(words, id=f"{name}: {' '.join(words)}")
        for name, text in texts.items()
        for block in re.findall(r"^```bash\n(.*?)^```", text, re.S | re.M)
        for words in command_lines(block)
        if words[0] in APPS
    ]


@cache
def command_of(name):
    return get_command(APPS[name])


@pytest.mark.parametrize("words", shown_commands())
def test_a_shown_command_and_its_options_exist(words):
    command = command_of(words[0])
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    assert not hasattr(command, "commands"), f"{words} stops at a group"
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    assert {word for word in rest if word.startswith("-")} <= options


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.html", '<link href="https://fonts.googleapis.com/css?family=Roboto" rel="stylesheet">', 1),
        ("a.html", "<script async src='//cdn.example.org/a.js'></script>", 1),
        ("a.html", "<img alt=x src=http://example.org/a.png>", 1),
        (
            "a.html",
            '<a href="https://arxiv.org/abs/2603.03825">the paper</a><img src="figures/heads.png">',
            0,
        ),
        ("a.css", "@font-face { src: url(https://fonts.gstatic.com/a.woff2) }", 1),
        (
            "a.css",
            "@import 'https://example.org/a.css'; b { background: url(data:image/svg+xml;base64,AA) }",
            1,
        ),
    ],
)
def test_what_a_page_would_fetch_is_found(tmp_path, name, text, found):
    (tmp_path / name).write_text(text)
    assert len(hooks().fetched(tmp_path)) == found


def test_pictures_of_the_gallery_are_found_from_pages_at_every_depth():
    site = hooks()

    class Page:
        class file:  # noqa: N801
            src_uri = "guides/figures.md"

    assert site.on_page_markdown("![x](../../figures/a.png)", Page) == "![x](../figures/a.png)"
    Page.file.src_uri = "tour.md"
    assert site.on_page_markdown("![x](../figures/a.png)", Page) == "![x](figures/a.png)"
    for page in PAGES:
        for name in re.findall(r"\]\((?:\.\./)+figures/([^)]+)\)", page.read_text()):
            assert (ROOT / "figures" / name).is_file(), f"{page}: there is no picture {name}"
