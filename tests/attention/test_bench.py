"""The bench's own arithmetic and its refusals; its numbers are no test."""

import importlib
import json
from math import comb
from pathlib import Path

import pytest
import torch

from vaslab.errors import UsageError

ROOT = Path(__file__).parents[2]
HEADS = {
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
}
"""For a model that is narrower than the one that is timed."""


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_the_interval_of_a_median_lies_between_order_statistics():
    from bench.intervals import median_ratio, order_ranks

    # Conover, Practical Nonparametric Statistics: for n = 15 the 4th and 12th values hold the median with 96.5 %.
    assert order_ranks(15) == (3, 11)
    assert 1 - 2 * sum(comb(15, i) for i in range(4)) / 2**15 == pytest.approx(0.9648, abs=1e-4)
    assert order_ranks(3) == (0, 2)
    found = median_ratio([float(i) for i in range(1, 16)], [2.0] * 15)
    assert (found.low, found.median, found.high, found.n) == (2.0, 4.0, 6.0, 15)


def test_an_interval_of_few_pairs_is_said_at_the_level_that_its_extremes_hold(tmp_path):
    from bench.intervals import other_level
    from bench.lines import told
    from bench.tables import rewritten

    # all of n values lie on one side of the median with 2 / 2**n
    assert [other_level(n) for n in (3, 5, 6, 15)] == [" (75 %)", " (93.75 %)", "", ""]
    line = {"median": 1.2, "low": 1.1, "high": 1.3, "n": 5, "target": None}
    assert "[1.100, 1.300] (93.75 %)" in told(line)
    assert "(" not in told({**line, "n": 6})
    line |= {"case": "a", "metric": "time", "comparison": "a / b", "ours_s": 1.2, "other_s": 1.0, "met": None}
    line |= {"machine": "m", "threads": 1, "torch": "2", "date": "2026-01-01"}
    for n, words in ((5, "1.20 [1.10, 1.30] (93.75 %), n = 5"), (6, "1.20 [1.10, 1.30], n = 6")):
        (tmp_path / "few.jsonl").write_text(json.dumps({**line, "n": n}) + "\n")
        assert words in rewritten("<!-- bench: few -->\n<!-- end -->", tmp_path)


def test_sides_alternate_after_a_pair_that_is_not_counted():
    from bench.lines import compared

    order = []

    def side(name, seconds):
        def run():
            order.append(name)
            return seconds[order.count(name) - 1]

        return run

    found = compared(side("a", [99.0, 2.0, 3.0, 4.0]), side("b", [1.0, 1.0, 1.0, 2.0]), pairs=3)
    assert order == ["b", "a", "a", "b", "b", "a", "a", "b"]
    # ratios 2/1, 3/1, 4/2: the extremes are the interval of three
    assert found == {"median": 2.0, "low": 2.0, "high": 3.0, "n": 3, "ours_s": 3.0, "other_s": 1.0}


def test_a_target_is_judged_by_the_lower_end_or_by_the_median_without_one():
    from bench.lines import judged

    measured = {"median": 1.2, "low": 1.1, "high": 1.4}
    assert judged(measured, 1.15) == {**measured, "target": 1.15, "met": True}
    assert not judged(measured, at_least=1.15)["met"]
    assert judged(measured)["met"] is None
    assert not judged({"median": 1.2}, 1.15)["met"]
    assert judged({"median": 1.2}, at_least=1.15)["met"]
    assert judged({"median": None})["met"] is None


def test_lines_are_stamped_and_kept_as_they_come(tmp_path, capsys):
    from bench.lines import judged, parsed, parser, run

    out = tmp_path / "new" / "lines.jsonl"
    head = {"metric": "time", "case": "x", "length": 8, "comparison": "a / b"}

    def measure(options):
        yield judged({**head, "median": 1.5, "low": 1.4, "high": 1.6, "n": options.pairs}, 1.15)
        (kept,) = out.read_text().splitlines()
        assert json.loads(kept)["median"] == 1.5
        yield {**judged({**head, "median": 2.0}), "why": "it is so"}
        raise UsageError("broken off")

    def arguments(argv):
        return parsed(parser("x", "What x costs.\n\nMore."), argv)

    assert run(arguments, measure, ["--pairs", "7", "--threads", "1", "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "time  x  length 8  a / b  1.500  [1.400, 1.600]  target 1.15 MISSED",
        "time  x  length 8  a / b  2.000  (it is so)",
        "error: broken off",
    ]
    lines = [json.loads(text) for text in out.read_text().splitlines()]
    assert [line["median"] for line in lines] == [1.5, 2.0]
    assert lines[0]["n"] == 7
    assert all({"machine", "threads", "torch", "transformers", "date"} <= line.keys() for line in lines)


@pytest.mark.parametrize("bench", ["attention", "generation", "intervention"])
@pytest.mark.parametrize("option", ["--pairs", "--threads"])
def test_counts_below_one_are_refused(bench, option, capsys):
    main = importlib.import_module(f"bench.{bench}").main
    assert main([option, "0"]) == 2
    assert capsys.readouterr().err == f"error: {option} 0; expected at least 1\n"


@pytest.mark.tiny
def test_an_intervention_with_a_stream_of_its_own_is_judged_by_its_streams(capsys, monkeypatch):
    from bench import intervention

    for name, size in {"num_hidden_layers": 3, "hidden_size": 128, "vocab_size": 256, **HEADS}.items():
        monkeypatch.setitem(intervention.SMALL, name, size)
    options = ["--new-tokens", "2", "--pairs", "1", "--threads", "1", "--length", "64"]
    assert intervention.main([*options, "--cases", "pai, prior taken off", "block"]) == 0
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [line["comparison"] for line in lines] == [
        "edited generation / sdpa",
        "edited generation / sdpa with and without the picture",
        "edited generation / sdpa",
    ]
    assert "second stream" in lines[0]["why"]
    assert [line["why"] for line in lines[1:]] == [None, None]
    assert all(line["target"] is None for line in lines)  # promised at 2,048 tokens


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal is of machines without a GPU")
def test_the_gpu_variant_names_what_is_missing(capsys):
    from bench.attention import main

    assert main(["--device", "cuda"]) == 3
    assert capsys.readouterr().err.strip().splitlines() == [
        "error: --device cuda found no GPU; run it on a machine with one, or leave --device cpu"
    ]


@pytest.mark.tiny
def test_a_chosen_comparison_is_one_line_with_its_provenance(capsys, tmp_path):
    from bench.attention import main

    out = tmp_path / "lines.jsonl"
    options = ["--lengths", "48", "--cases", "rows16", "--pairs", "1", "--metrics", "time", "--quick"]
    assert main([*options, "--threads", "1", "--out", str(out)]) == 0
    (line,) = (json.loads(text) for text in out.read_text().splitlines())
    assert capsys.readouterr().out == out.read_text()
    assert (line["case"], line["length"], line["comparison"], line["n"]) == ("rows16", 48, "ours / sdpa", 1)
    assert line["logits_bit_equal"]
    assert line["row_sum_error"] < 1e-5
    assert {"machine", "threads", "torch", "transformers", "date"} <= line.keys()


@pytest.mark.tiny
def test_the_eager_baseline_must_return_its_maps():
    from bench.workload import SMALL, Workload, build

    workload = Workload(build({**SMALL, "num_hidden_layers": 2}, "cpu", torch.float32), 16)
    with pytest.raises(AssertionError):
        workload.maps()  # on SDPA there are none
    workload.model.set_attn_implementation({"text_config": "eager"})
    assert len(workload.maps()) == 2


def test_whole_runs_alone_write_the_result_file():
    from bench.attention import RESULTS, arguments

    assert arguments([]).out == RESULTS / "attention-cpu.jsonl"
    assert arguments(["--quick"]).out is None
    assert arguments(["--lengths", "512"]).out is None
