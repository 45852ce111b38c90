"""The page: a title of any number of lines stands between the top and the subtitle."""

import numpy as np
import pytest
from PIL import Image

from vaslab.plots import browser
from vaslab.plots import theme as themes
from vaslab.plots.canvas import Canvas
from vaslab.plots.export import save


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium-family browser on this machine")
def test_titles_of_one_to_four_lines_begin_at_one_height_and_end_above_the_subtitle(tmp_path):
    tops = []
    for lines in (1, 2, 3, 4):
        canvas = Canvas(themes.named("light"), 900, " ".join(["word"] * (12 * lines - 4)), "Subtitle", "foot")
        canvas.close(100)
        save(canvas.figure, tmp_path / str(lines), ("png",), strict=True)
        picture = np.asarray(Image.open(tmp_path / f"{lines}.png").convert("L"))
        # the title's ink is dark, the subtitle's grey; a picture has two pixels for one
        inked = np.flatnonzero((picture < 60).any(1)) / 2
        title = inked[inked < canvas.subtitle_at - 2]
        tops.append(title[0])
        assert str(canvas.figure.layout.title.text).count("<br>") == lines - 1
        assert canvas.subtitle_at - title[-1] > 4
    assert max(tops) - min(tops) <= 1
