"""Pictures as models want them: 8-bit RGB, upright, whole; everything else is refused with its fix."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vaslab.errors import MissingError, VaslabError, one_line

MAX_ASPECT = 200
"""Longest side over shortest side above which Qwen's resizing refuses a picture."""

_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow's decoders raise on broken files."""


class ImageError(VaslabError):
    """A picture cannot be read, or cannot be shown to a model as it is. Exit code 1."""


def open_image(source: Image.Image | Path | str | bytes, name: str = "") -> Image.Image:
    """Read a picture as upright 8-bit RGB, from a file, the bytes of one, or a PIL picture.

    `name` is what messages call it; without it a file is called by its path.

    EXIF orientation is applied, so width and height are those a viewer shows. Transparency is laid on white.
    16-bit grey is scaled to 8 bits (Pillow alone would clip it to white). CMYK, palette, grey and 1-bit
    pictures are converted.

    Raises MissingError when there is no such file; ImageError for a file that is no picture, is truncated or
    damaged, holds more than one frame, has floating-point pixels, is larger than Pillow's limit of pixels, or
    is more than 200 times as long as wide.
    """
    if isinstance(source, Image.Image):
        return _convert(
            source, name or getattr(source, "filename", "") or f"a PIL image of mode {source.mode}"
        )
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), name or "a picture in memory")
    path = Path(source)
    if not path.is_file():
        raise MissingError(f"No picture at {path}; {_missing_fix(path)}.")
    return _decode(path, name or str(path))


def _decode(source: Path | io.BytesIO, name: str) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(source)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageError(
                f"{name} has more pixels than the limit of {Image.MAX_IMAGE_PIXELS}; scale it down first."
            ) from error
        except UnidentifiedImageError as error:
            raise ImageError(
                f"{name} is no picture that Pillow can read; convert it to PNG or JPEG."
            ) from error
        except _DECODING_ERRORS as error:
            raise ImageError(
                f"{name} cannot be opened ({one_line(error)}); check its permissions and its contents."
            ) from error
    with picture:
        return _convert(picture, name)


def _missing_fix(path: Path) -> str:
    if str(path).startswith(("http:/", "https:/")):
        return "pictures are not downloaded: save it and give the file's path"
    return "it is a folder: name a file in it" if path.is_dir() else "check the path"


def _convert(picture: Image.Image, name: str) -> Image.Image:
    _check_size(picture, name)
    try:
        frames = getattr(picture, "n_frames", 1)
        # An MPO file is a photograph with a preview or a second eye beside it: its first frame is the picture.
        if frames > 1 and picture.format != "MPO":
            raise ImageError(
                f"{name} holds {frames} frames; save the one to look at as a picture of its own."
            )
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        return _rgb(upright, name)
    except _DECODING_ERRORS as error:
        raise ImageError(
            f"{name} is truncated or damaged ({one_line(error)}); fetch or export it again."
        ) from error


def _check_size(picture: Image.Image, name: str) -> None:
    width, height = picture.size
    if min(width, height) == 0:
        raise ImageError(f"{name} is empty ({width} x {height} pixels); give a picture with pixels.")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(
            f"{name} has {width} x {height} pixels, more than the limit of {Image.MAX_IMAGE_PIXELS}; scale "
            "it down first."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"{name} is {width} x {height} pixels, an aspect ratio above {MAX_ASPECT}; crop it or pad its "
            "short side."
        )


def _rgb(picture: Image.Image, name: str) -> Image.Image:
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _eight_bit(picture, name).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def _eight_bit(picture: Image.Image, name: str) -> Image.Image:
    pixels = np.asarray(picture)
    if picture.mode == "F" or pixels.min() < 0 or pixels.max() > 65535:
        raise ImageError(
            f"{name} has pixels of unknown range (mode {picture.mode}); convert it to 8 bits a channel first."
        )
    # Mode I has room for 32 bits: small numbers in it are a grey picture of 8 bits.
    if picture.mode != "I" or pixels.max() > 255:
        pixels = (pixels.astype(np.int64) + 128) // 257
    return Image.fromarray(pixels.astype(np.uint8))
