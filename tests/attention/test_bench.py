"""The bench's own arithmetic and its refusals; its numbers are no test."""

import json
from math import comb
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


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
