"""The explorer's page as one ES module: hosts load a widget as one, and nothing may be fetched beside it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "js"
PARTS = (
    "colours",
    "numbers",
    "elements",
    "data",
    "head_words",
    "head_map",
    "picture",
    "rows",
    "items",
    "live_form",
    "looks",
    "number_table",
    "export_png",
    "style",
    "panels",
    "page",
    "pointer",
    "view",
)
"""Files of the module, each importing from those before it alone."""

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:class|const|function|let) )", re.MULTILINE)


@cache
def module_text() -> str:
    """The parts one after the other, without what they import from each other; exports default `{render}`.

    A notebook saves it with every explorer: indentation and comments of whole lines are left out.
    """
    texts = [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in PARTS]
    lines = [line.strip() for text in texts for line in _EXPORT.sub("", _IMPORT.sub("", text)).splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/**")))
