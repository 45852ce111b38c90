"""What the site adds to its pages: pages not named, the gallery's pictures, every message, and a look at the build.

mkdocs calls the functions by their names (`hooks` in mkdocs.yml).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import error_messages

DOCS = Path(__file__).parent
ROOT = DOCS.parent
GALLERY = ROOT / "figures"
EVERY_MESSAGE = "<!-- every message -->"

_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|audio|video)\b[^>]*\bsrc\s*=\s*[\"']?(https?:)?//[^\"'\s>]+"
    r"|<link\b[^>]*\bhref\s*=\s*[\"']?(https?:)?//[^\"'\s>]+"
    r"|url\(\s*[\"']?(https?:)?//[^)]+"
    r"|@import\s+[\"'](https?:)?//[^\"']+",
    re.I,
)
"""What a browser would fetch from another host; a link that a reader clicks is none of it."""


def on_config(config: Any) -> Any:
    """Put pages that the navigation does not name into it: of the first folder under its last entry, the reference,
    and the lists of messages under the errors.
    """
    named = set(_paths(config.nav))
    *_, reference = config.nav
    pages = sorted(page.name for page in DOCS.glob("*.md"))
    next(iter(reference.values())).extend(page for page in pages if page not in named)
    kinds = [{kind.name: kind.page} for kind in error_messages.error_classes().values()]
    for section in config.nav:
        if "Errors" in section:
            section["Errors"].append({"Every message": kinds})
    return config


def _paths(entry: Any) -> list[str]:
    """Every page under an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [path for each in (entry.values() if isinstance(entry, dict) else entry) for path in _paths(each)]


def on_files(files: Any, config: Any) -> Any:
    """Let pages show the pictures of the gallery, and add the pages of messages."""
    from mkdocs.structure.files import File

    for picture in sorted(GALLERY.glob("*.png")):
        files.append(File.generated(config, f"figures/{picture.name}", abs_src_path=str(picture)))
    for path, text in error_messages.pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point pictures of the gallery to the site's own copies, and list the messages where the page asks for it."""
    depth = page.file.src_uri.count("/")
    markdown = markdown.replace("../" * (depth + 1) + "figures/", "../" * depth + "figures/")
    if EVERY_MESSAGE in markdown:
        markdown = markdown.replace(EVERY_MESSAGE, error_messages.overview())
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
