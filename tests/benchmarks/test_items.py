import pytest
from PIL import Image

from vaslab.benchmarks import find_benchmark
from vaslab.errors import MissingError, UsageError
from vaslab.organism import easy_vqa, glyphs


def test_an_easy_vqa_item_is_the_official_row():
    items = find_benchmark("easy-vqa").select().items
    for number in (0, 17, 9672):
        row = easy_vqa.official("test")[number]
        assert (items[number].question, items[number].answer) == (row.text, row.answer)
        assert items[number].pictures == (row.picture,)
    (image,) = items[0].prompt().images
    assert isinstance(image, Image.Image)
    assert image.size == (64, 64)


def test_glyph_items_are_of_held_out_scenes_and_say_where_the_answer_is_seen():
    items = find_benchmark("glyph").select().items
    assert len({item.id for item in items}) == len(items)
    for item in items[:40]:
        assert int(item.picture_id) in glyphs.TEST_SEEDS
        assert item.boxes
        assert all(
            0 <= x0 < x1 <= glyphs.SIDE and 0 <= y0 < y1 <= glyphs.SIDE for x0, y0, x1, y1 in item.boxes
        )
    (image,) = items[0].prompt().images
    assert image.size == (glyphs.SIDE, glyphs.SIDE)


def test_unknown_data_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'easy-vqa'"):
        find_benchmark("easy_vqa")


def test_a_file_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingError, match="no data file at"):
        find_benchmark(str(tmp_path / "mine.jsonl"))
