"""Pictures of every kind become upright RGB; broken ones are refused by name, with the fix."""

import io

import numpy as np
import pytest
from PIL import Image

from vaslab.errors import MissingError
from vaslab.prompts.encode import encode
from vaslab.prompts.images import ImageError, open_image
from vaslab.prompts.prompt import Prompt


def saved(folder, picture, name, **options):
    path = folder / name
    picture.save(path, **options)
    return path


def corner(picture):
    return picture.getpixel((0, 0))


def test_plain_modes_become_rgb(tmp_path):
    red = Image.new("RGB", (4, 3), (255, 0, 0))
    assert corner(open_image(saved(tmp_path, red.convert("P"), "p.png"))) == (255, 0, 0)
    assert corner(open_image(saved(tmp_path, Image.new("L", (4, 3), 77), "l.png"))) == (77, 77, 77)
    assert corner(open_image(saved(tmp_path, Image.new("1", (4, 3), 1), "one.png"))) == (255, 255, 255)
    cmyk = open_image(saved(tmp_path, Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "c.tif"))
    assert cmyk.mode == "RGB"
    assert corner(cmyk) == (255, 0, 0)
    assert open_image(red).mode == "RGB"


def test_transparency_is_laid_on_white(tmp_path):
    clear = Image.new("RGBA", (4, 3), (0, 0, 0, 0))
    assert corner(open_image(saved(tmp_path, clear, "a.png"))) == (255, 255, 255)
    half = Image.new("LA", (4, 3), (0, 128))
    assert corner(open_image(half)) == (127, 127, 127)
    palette = Image.new("P", (4, 3), 0)
    palette.putpalette([10, 20, 30])
    assert corner(open_image(saved(tmp_path, palette, "t.png", transparency=0))) == (255, 255, 255)
    assert corner(open_image(saved(tmp_path, palette, "o.png"))) == (10, 20, 30)


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    pixels = np.array([[0, 257 * 10, 65535]], dtype=np.uint16)
    picture = open_image(saved(tmp_path, Image.fromarray(pixels), "g.png"))
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (10, 10, 10), (255, 255, 255)]
    wide = Image.fromarray(np.array([[0, 65535]], dtype=np.int32))
    assert open_image(wide).getpixel((1, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_one_scale_however_dark(tmp_path):
    pixels = np.array([[0, 200]], dtype=np.uint16)
    assert open_image(saved(tmp_path, Image.fromarray(pixels), "g.png")).getpixel((1, 0)) == (1, 1, 1)


def test_exif_orientation_is_applied(tmp_path, organism):
    picture = Image.new("RGB", (6, 4), "black")
    picture.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    path = saved(tmp_path, picture, "e.png", exif=exif)
    upright = open_image(path)
    assert upright.size == (4, 6)
    assert upright.getpixel((3, 0)) == (255, 255, 255)
    grid = encode(organism, [Prompt(user="?", images=[path])]).grids[0][0]
    assert (grid.width, grid.height) == (4, 6)


def test_an_uppercase_or_wrong_suffix_does_not_matter(tmp_path):
    path = tmp_path / "picture.txt"
    Image.new("RGB", (4, 3)).save(path, format="PNG")
    assert open_image(str(path)).size == (4, 3)


def test_the_given_picture_is_not_changed():
    picture = Image.new("RGBA", (4, 3), (0, 0, 0, 0))
    open_image(picture)
    assert picture.mode == "RGBA"


def test_a_missing_file(tmp_path):
    with pytest.raises(MissingError, match=r"No picture at .*none\.png; check the path"):
        open_image(tmp_path / "none.png")
    with pytest.raises(MissingError, match="it is a folder: name a file in it"):
        open_image(tmp_path)
    with pytest.raises(MissingError, match="pictures are not downloaded"):
        open_image("https://example.org/a.png")


def test_a_file_that_is_no_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("not a picture")
    with pytest.raises(ImageError, match=r"a\.png is no picture that Pillow can read; convert it"):
        open_image(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match="is no picture"):
        open_image(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_truncated_picture(tmp_path, kind):
    buffer = io.BytesIO()
    Image.effect_noise((90, 90), 90).convert("RGB").save(buffer, format=kind)
    path = tmp_path / "cut"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(
        ImageError, match=r"cut (is truncated or damaged|is no picture|cannot be opened)"
    ) as caught:
        open_image(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_picture_opened_by_the_caller(tmp_path):
    path = saved(tmp_path, Image.effect_noise((90, 90), 90), "lazy.png")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"lazy\.png is truncated or damaged"):
        open_image(Image.open(path))


def test_a_damaged_picture(tmp_path):
    path = saved(tmp_path, Image.effect_noise((90, 90), 90), "bad.png")
    data = bytearray(path.read_bytes())
    data[60:400] = bytes(340)
    path.write_bytes(bytes(data))
    with pytest.raises(ImageError, match=r"bad\.png is truncated or damaged .*; fetch or export it again"):
        open_image(path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_a_picture_of_several_frames(tmp_path, kind):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    path = saved(tmp_path, frames[0], "moving", format=kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="moving holds 3 frames; save the one to look at"):
        open_image(path)


def test_a_moving_picture_that_is_cut_short(tmp_path):
    frames = [Image.effect_noise((60, 60), 90) for _ in range(3)]
    path = saved(tmp_path, frames[0], "moving.gif", save_all=True, append_images=frames[1:])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ImageError, match=r"moving\.gif (holds \d frames|is truncated or damaged)"):
        open_image(path)


def test_a_photograph_with_a_preview_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    path = saved(tmp_path, frames[0], "photo.mpo", format="MPO", save_all=True, append_images=frames[1:])
    red, _, blue = corner(open_image(path))
    assert red > 200
    assert blue < 50


def test_a_decompression_bomb(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("1", (200, 100)), "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15_000)
    with pytest.raises(ImageError, match=r"bomb\.png has more pixels than the limit of 15000; scale it down"):
        open_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    with pytest.raises(ImageError, match="limit of 5000"):
        open_image(path)
    with pytest.raises(ImageError, match=r"200 x 100 pixels, more than the limit of 5000"):
        open_image(Image.new("1", (200, 100)))


def test_extreme_shapes(tmp_path, organism):
    with pytest.raises(
        ImageError, match=r"thin\.png is 402 x 2 pixels, an aspect ratio above 200; crop it or pad"
    ):
        open_image(saved(tmp_path, Image.new("RGB", (402, 2)), "thin.png"))
    with pytest.raises(ImageError, match="mode RGB is empty"):
        open_image(Image.new("RGB", (0, 5)))
    assert len(encode(organism, [Prompt(user="?", images=[Image.new("RGB", (1, 150))])]).grids[0][0]) > 0


def test_floating_point_pixels(tmp_path):
    path = saved(tmp_path, Image.new("F", (4, 3), 0.5), "f.tif")
    with pytest.raises(
        ImageError, match=r"f\.tif has pixels of unknown range \(mode F\); convert it to 8 bits"
    ):
        open_image(path)
