"""docs/performance.md: its tables are those of bench/results, never typed."""

import json

from bench.tables import PAGE, rewritten, table_of


def test_the_page_shows_what_was_measured():
    """docs/performance.md is what `python -m bench.tables` makes of bench/results."""
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page) == page
    assert "<!-- bench: attention-cpu -->" in page


def test_a_table_by_hand(tmp_path):
    where = {"machine": "cpu", "threads": 2, "torch": "2", "date": "2026-01-02T03:04:05+00:00"}
    lines = [
        {
            "metric": "time",
            "case": "all",
            "length": 2048,
            "comparison": "ours / sdpa",
            "median": 1.0834,
            "low": 1.0,
            "high": 1.1,
            "n": 15,
            "ours_s": 1.5,
            "other_s": 1.4,
            "target": 1.1,
            "met": True,
        },
        {
            "metric": "memory",
            "case": "all",
            "length": 2048,
            "comparison": "output_attentions / ours",
            "median": 52.6,
            "n": 5,
            "ours_bytes": 2**20,
            "other_bytes": 2**30,
            "target": 25.0,
            "met": False,
        },
        {
            "metric": "time",
            "case": "x",
            "length": 8,
            "comparison": "x / y",
            "median": None,
            "n": 0,
            "target": None,
            "met": None,
        },
    ]
    (tmp_path / "x-cpu.jsonl").write_text("".join(json.dumps({**line, **where}) + "\n" for line in lines))
    assert table_of("x-cpu", tmp_path).splitlines()[2:] == [
        "| time: all, S = 2,048 | ours / sdpa | 1.08 [1.00, 1.10], n = 15 | 1.50 s | 1.40 s | at most 1.1: met |",
        "| memory: all, S = 2,048 | output_attentions / ours | 52.6, n = 5 | 1,024 MiB | 1 MiB | "
        "at least 25: **missed** |",
        "| time: x, S = 8 | x / y | - | - | - |  |",
        "",
        "cpu, 2 threads, torch 2; 2026-01-02.",
    ]
    told = table_of("x-cuda", tmp_path)
    assert told.startswith("Not measured: no GPU was at hand. `python -m bench.x --device cuda --out ")
    page = "a\n<!-- bench: x-cuda -->\nold\n<!-- end -->\nb\n"
    assert rewritten(page, tmp_path) == f"a\n<!-- bench: x-cuda -->\n{told}<!-- end -->\nb\n"
