import json
import re

import pytest

pytestmark = pytest.mark.tiny


def test_show_prints_a_table_or_one_json_line(vaslab, a_run):
    code, told, err = vaslab("show", a_run)
    assert (code, told) == (0, "")
    assert "VAS (mean of ratios)" in err
    code, told, err = vaslab("show", a_run, "--json")
    assert (code, err) == (0, "")
    assert told.count("\n") == 1
    assert json.loads(told)["n"] == 6


def test_show_and_the_summary_say_the_same_numbers(vaslab, a_run):
    summary = json.loads((a_run / "summary.json").read_text())
    table = vaslab("show", a_run)[2]
    user = summary["queries"]["user"]
    shown = re.findall(r"([\d.]+) \[([\d.]+)–([\d.]+)\]", table)
    forms = [(1, user["vas"]), (1, user["vas_ratio_of_means"])]
    found = [*forms, *((100, user["masses"][role]) for role in ("image", "system", "user"))]
    # the first is the accuracy
    for numbers, (scale, expected) in zip(shown[1:], found, strict=True):
        for number, name in zip(numbers, ("estimate", "low", "high"), strict=True):
            half_a_digit = 0.501 * 10.0 ** -len(number.partition(".")[2])
            assert float(number) == pytest.approx(scale * expected[name], abs=half_a_digit)
        assert float(numbers[1]) < float(numbers[2])


def test_the_lazy_figure_takes_runs_of_the_same_items(vaslab, a_run, tmp_path):
    code, told, _ = vaslab("figure", "lazy", a_run, "--out", tmp_path, "--stem", "mine", "--format", "html")
    assert (code, told) == (0, f"{tmp_path}/mine.html\n")
    assert (tmp_path / "mine.csv").is_file()
    assert vaslab("figure", "lazy", a_run, a_run)[0] == 2


def test_without_a_browser_one_line_says_so_and_the_html_is_there(vaslab, a_run, tmp_path, monkeypatch):
    from vaslab.plots import export

    monkeypatch.setattr(export, "browser", lambda: None)
    monkeypatch.setattr(export, "_server_path", None)
    code, told, err = vaslab("figure", "heads", a_run, "--out", tmp_path)
    assert code == 0
    assert told == f"{tmp_path}/heads.html\n"
    notes = [line for line in err.splitlines() if "Chrom" in line]
    assert len(notes) == 1
    assert notes[0].startswith("note: ")
    assert not (tmp_path / "heads.png").exists()


def test_doctor_prints_the_proof_and_the_machine(vaslab, tiny):
    code, told, err = vaslab("doctor", tiny)
    assert (code, told) == (0, "")
    assert "mass equals softmax of q and k" in err
    assert "FAIL" not in err
    assert "browser for PNG" in err
    code, told, _ = vaslab("doctor", tiny, "--json")
    assert code == 0
    assert json.loads(told)["proof"]["passed"] is True


@pytest.mark.parametrize("kind", ["models", "data", "runs", "interventions"])
def test_ls_lists(vaslab, a_run, kind):
    code, told, _ = vaslab("ls", kind, a_run.parent)
    assert (code, told) == (0, "")
    code, told, _ = vaslab("ls", kind, a_run.parent, "--json")
    names = {"models": "Qwen2.5-VL", "data": "easy-vqa", "runs": a_run.name, "interventions": "adaptvis"}
    assert any(names[kind] in str(row) for row in json.loads(told))


def test_an_empty_folder_of_runs_is_said_to_be_empty(vaslab, tmp_path):
    code, _, err = vaslab("ls", "runs", tmp_path)
    assert code == 0
    assert f"no runs in {tmp_path}" in err


def test_help_and_version_are_quick(vaslab):
    assert vaslab("--version")[:2] == (0, "0.1.0\n")
    for words in ((), ("measure",), ("figure", "heads"), ("show",), ("doctor",), ("ls",)):
        code, told, _ = vaslab(*words, "--help")
        assert code == 0
        assert "Usage:" in told
