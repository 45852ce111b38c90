"""Pictures on their way to a page and back: data URIs made here, and those of a visitor, checked."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, UnidentifiedImageError

from vaslab.errors import UsageError
from vaslab.organism.glyphs import CELL, COLORS, GRID, SHAPES, Glyph, Scene
from vaslab.prompts.images import open_image

LONGEST = 1024
"""Longest side of a picture on a page, in pixels: what is shown, not what the model sees."""
SMALLER = (768, 640, 512, 384, 256, 128)
"""Longest sides tried where a data URI is bounded, in pixels."""
PNG_BYTES = 150_000
"""A larger PNG becomes a JPEG."""
ACCEPTED = ("PNG", "JPEG", "WEBP")
MOST_BYTES = 20_000_000
_GLYPH = 22.0


def data_uri(picture: Image.Image, most: int | None = None) -> str:
    """A picture as a data URI, PNG or JPEG, at most `LONGEST` pixels long.

    Args:
        picture: any.
        most: characters that it may have: of smaller and smaller pictures the first with no more. None is no bound.
    """
    shown = picture.convert("RGB")
    for longest in (LONGEST, *(SMALLER if most else ())):
        shown.thumbnail((longest, longest))
        uri = _uri(shown, PNG_BYTES if most is None else most * 3 // 4)
        if most is None or len(uri) <= most:
            break
    return uri


def _uri(shown: Image.Image, png_bytes: int) -> str:
    data, kind = _encoded(shown, "PNG"), "png"
    if len(data) > png_bytes:
        data, kind = _encoded(shown, "JPEG", quality=85), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def from_data_uri(uri: str) -> Image.Image:
    """Read a picture that a page sent.

    Raises:
        UsageError: no base64 data URI of a PNG, JPEG or WebP picture, or one above 20 MB.
        ImageError: a picture that is damaged, or larger than Pillow's limit of pixels.
    """
    head, comma, body = uri.partition(",")
    kinds = [f"data:image/{kind.lower()};base64" for kind in ACCEPTED]
    if not comma or head.lower() not in kinds:
        raise UsageError(f"the picture is {head[:40]!r}; expected a PNG, JPEG or WebP file")
    if len(body) * 3 // 4 > MOST_BYTES:
        raise UsageError(f"the picture has more than {MOST_BYTES // 1_000_000} MB; scale it down first")
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError("the picture is not base64; drop the file again") from error
    try:
        # what the bytes are, not what the page says they are
        Image.open(io.BytesIO(data), formats=ACCEPTED).close()
    except UnidentifiedImageError as error:
        raise UsageError("the picture is no PNG, JPEG or WebP file; convert it first") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        # open_image says it in one line
        pass
    return open_image(data, "the picture")


def drawn(glyphs: Sequence[Any]) -> Image.Image:
    """Draw a glyph scene.

    Args:
        glyphs: mappings with shape, color and cell (0 to 8, raster order), at most one a cell.

    Raises:
        UsageError: something else.
    """
    placed = {}
    for each in glyphs:
        told = each if isinstance(each, dict) else {}
        shape, color, given = str(told.get("shape")), str(told.get("color")), told.get("cell")
        cell = given if isinstance(given, int) and not isinstance(given, bool) else -1
        if shape not in SHAPES or color not in COLORS or not 0 <= cell < GRID * GRID or cell in placed:
            raise UsageError(
                f"a glyph is {str(each)[:80]}; expected shape of {', '.join(SHAPES)}, color of {', '.join(COLORS)} "
                "and a cell 0 to 8 of its own"
            )
        left, top = ((cell % GRID + 0.5) * CELL - _GLYPH / 2, (cell // GRID + 0.5) * CELL - _GLYPH / 2)
        placed[cell] = Glyph(shape, color, cell, (left, top, left + _GLYPH, top + _GLYPH))
    if not placed:
        raise UsageError("the scene is empty; place at least one shape")
    return Scene(-1, tuple(placed[cell] for cell in sorted(placed)), (245, 245, 245)).picture()
