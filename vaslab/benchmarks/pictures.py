"""Pictures as tables hold them: a path beside the file, bytes in a cell, base64 text, or a decoded picture."""

from __future__ import annotations

import ast
import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from vaslab.benchmarks.item import BrokenItemError, Source
from vaslab.benchmarks.rows import Row
from vaslab.prompts.images import open_image

_LONGEST_PATH = 400
_LONGEST_NAME = 64


@dataclass(frozen=True)
class InlinePicture:
    """An encoded picture that stands in the table itself; calling it decodes it."""

    data: bytes
    name: str

    def __call__(self) -> Image.Image:
        """Decode. Raises what `open_image` raises."""
        return open_image(self.data, self.name)


def picture(value: object, folder: Path, where: str) -> Source:
    """Return where a cell's picture comes from; it is read when the item is asked.

    Args:
        value: a path relative to `folder`, base64 text, bytes, a mapping with `bytes` or `path` (as `datasets`
            stores pictures), or a PIL picture.
        folder: pictures named by a path lie in it.
        where: the row, for messages.

    Raises BrokenItemError for a path that leaves the folder, text that is neither, and any other value.
    """
    if isinstance(value, Mapping):
        inline = value.get("bytes")
        return picture(inline if inline is not None else value.get("path"), folder, where)
    if isinstance(value, bytes | bytearray):
        return InlinePicture(bytes(value), f"the picture of {where}")
    if isinstance(value, Image.Image):
        return value.copy
    if not isinstance(value, str) or not value.strip():
        raise BrokenItemError(f"no picture: its cell holds {_said(value)}")
    if len(value) > _LONGEST_PATH:
        return InlinePicture(_decoded(value), f"the picture of {where}")
    return inside(value, folder)


def shared_pictures(rows: Sequence[Row]) -> list[Row]:
    """Resolve the short forms of VLMEvalKit's tables: a row may name another row's `index` in place of a picture
    that they share, and a cell may list several pictures."""
    cells = {str(row.values["index"]): row.values.get("image") for row in rows if "index" in row.values}
    if not cells:
        return list(rows)
    return [
        replace(row, values={**row.values, "image": _cell(row.values.get("image"), cells)}) for row in rows
    ]


def _cell(value: object, cells: Mapping[str, object]) -> object:
    if isinstance(value, str) and len(value) <= _LONGEST_NAME and value in cells:
        value = cells[value]
    if isinstance(value, str) and value.startswith("["):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return value


def inside(name: str, folder: Path) -> Path:
    """Return the path of a file in a folder. Raises BrokenItemError where it leads out of it."""
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        # a name may be too long for the file system, which only asking tells
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise BrokenItemError(f"picture path cannot be followed ({error})") from error
    if not path.is_relative_to(root):
        linked = (
            ""
            if ".." in Path(name).parts or Path(name).is_absolute()
            else " by a link; copy the file into it"
        )
        raise BrokenItemError(f"picture path leaves the folder of the data{linked}: {name}")
    return path


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BrokenItemError(f"picture is no base64 text ({error})") from error


def _said(value: object) -> str:
    return "nothing" if value is None or value == "" else f"a {type(value).__name__}"
