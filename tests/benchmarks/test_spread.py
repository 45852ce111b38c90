import pytest

from vaslab.benchmarks import find_benchmark
from vaslab.benchmarks.registry import SHIPPED
from vaslab.errors import UsageError


@pytest.mark.parametrize("name", SHIPPED)
def test_limited_items_are_spread_over_pictures_in_published_order(name):
    whole = [item.id for item in find_benchmark(name).select().items]
    some = find_benchmark(name).select(limit=200, seed=3)
    assert len({item.picture_id for item in some.items}) == 200
    places = [whole.index(item.id) for item in some.items]
    assert places == sorted(places)
    assert some.total == len(whole)
    assert "200 of" in some.words
    assert "seed 3" in some.words


@pytest.mark.parametrize("name", SHIPPED)
def test_a_selection_is_a_function_of_its_seed_and_nests(name):
    bench = find_benchmark(name)
    assert bench.select(50, 1).digest == bench.select(50, 1).digest
    assert bench.select(50, 1).digest != bench.select(50, 2).digest
    smaller = {item.id for item in bench.select(50, 1).items}
    assert smaller < {item.id for item in bench.select(1200, 1).items}


def test_sizes_are_the_published_ones():
    assert len(find_benchmark("easy-vqa").select().items) == 9673
    assert len({item.picture_id for item in find_benchmark("easy-vqa").select().items}) == 1000
    assert len(find_benchmark("glyph").select().items) == 2000


def test_a_limit_below_one_is_refused():
    with pytest.raises(UsageError, match="at least 1 item"):
        find_benchmark("glyph").select(limit=0)
