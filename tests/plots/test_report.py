"""The report: one page that asks nothing of a network, whose findings follow the data."""

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import synthetic_capture as made
import xarray as xr
from laid_out import answers, curves, pointed

from vaslab.errors import UsageError, VaslabError
from vaslab.metrics import visual_against
from vaslab.plots import page as pages
from vaslab.plots.page import Section, page
from vaslab.plots.report import Checkpoint, report
from vaslab.plots.report_checkpoint import Told
from vaslab.plots.report_methods import methods_section
from vaslab.plots.system_prompts_numbers import Prompted
from vaslab.statistics import paired_accuracy

PLAIN = Told("user", None, None, None, "", 0)


def checkpoints(n: int, slope: float = 0.1, names: list[str] | None = None) -> list[Checkpoint]:
    """Captures whose image mass rises; accuracy rises with them by `slope` a step."""
    out = []
    for i in range(n):
        capture = made.realistic(20, 3, 2, 1, lift=0.3 * i)
        right = (np.arange(20) < 20 * (0.3 + slope * i)).astype(float)
        grades = xr.DataArray(right, dims="item", coords={"item": capture["item"].values})
        name = names[i] if names else f"run-{i}"
        out.append(
            Checkpoint(
                name, capture, grades, {"revision": f"r{i}"}, {"response length": 20.0 + (-1) ** i * i}
            )
        )
    return out


def words(html: str) -> str:
    """What a reader sees outside figures."""
    bare = re.sub(r"<(script|style).*?</\1>", " ", html.split("<body>")[1], flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


@cache
def plain(n: int) -> str:
    """The report on checkpoints as they are, written once."""
    return report(checkpoints(n))


@pytest.fixture(scope="module")
def five() -> str:
    """The report on five checkpoints."""
    return report(checkpoints(5), data="glyph", decoding="greedy")


def test_four_questions_are_answered_with_numbers(five: str) -> None:
    html, text = five, words(five)
    assert text.startswith("Checkpoints with a higher VAS (mean of ratios) answer better (glyph)")
    assert re.search(r"r = 0\.9\d+ \(95% CI 0\.\d+ to 0\.\d+, Fisher z\), n = 5 checkpoints", text)
    assert "By VAS (ratio of means): r = " in text
    assert re.search(r"layer 1 head 1: r = 0\.97 \(95% CI 0\.\d+ to 0\.\d+; by items ", text)
    assert re.search(
        r"layer 1: r = 0\.98 \(95% CI [\d.]+ to [\d.]+; by items [\d.]+ to [\d.]+\), false", text
    )
    assert re.search(r"run-\d raises VAS \(ratio of means\) \d\.\d-fold", text)
    assert "Of 4 checkpoints against run-0: visual attention rises in three" in text
    assert re.search(r"run-4 ×1\.82 \[×1\.\d+, ×2\.\d+\] &lt;0.0001 ×2\.34 \[", text)
    assert "spread of the ratios" in text
    assert "With response length held still, r of VAS (mean of ratios) = " in text
    assert re.search(r"of \d+ definitions|all \d+ definitions", text)
    assert re.search(r"\d+ definitions of 288 give the values of another", text)
    assert "Floors of 1e-8 to 1e-2 under the system mass" in text
    assert "r4" in text  # provenance
    assert html.count('id="figure-') >= 6


def test_the_page_is_self_contained_and_below_its_limit(five: str) -> None:
    html = five
    assert len(html.encode()) < 8_000_000
    own = re.sub(r"<script>.*?</script>", "", html, count=1, flags=re.S)  # plotly.js itself
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', own)
    assert own.count("plotly.min.js") == 0


def test_the_same_runs_give_the_same_bytes() -> None:
    assert report(checkpoints(2)) == plain(2)


def test_findings_follow_the_data() -> None:
    assert words(report(checkpoints(5, slope=-0.05))).startswith(
        "Checkpoints with a higher VAS (mean of ratios) answer worse"
    )
    two = words(plain(2))
    assert "2 checkpoints: no r is given for fewer than 4" in two
    assert "checkpoints needed" in two
    same = words(report(checkpoints(4, slope=0.0)))
    assert "These checkpoints do not differ" in same


def test_few_checkpoints_are_told_by_what_they_show() -> None:
    """No question that they cannot answer, no method that was not used."""
    runs = checkpoints(3)
    one = words(report(runs[:1], data="mine"))
    assert re.match(r"run-0: VAS \(mean of ratios\) is [\d.]+ \[[\d.]+, [\d.]+\], accuracy 30 \[", one)
    for absent in ("track accuracy", "Tango", "permutation", "Fisher's z, which", "power of", "Benjamini"):
        assert absent not in one
    assert "One point a checkpoint" not in report(runs[:1], data="mine")
    assert one.count("1 checkpoint: no r is given for fewer than 4") == 1
    assert "In brackets: 95% intervals of each level, bootstrap over items; of accuracy Wilson." in one
    three = words(report(runs, data="mine"))
    assert three.startswith("Of 2 checkpoints against run-0: visual attention ")
    assert "Tango" in three


def test_confounders_that_do_not_differ_are_named_together() -> None:
    runs = [
        replace(each, confounders={**each.confounders, "image tokens": 64.0, "system tokens": 11.0})
        for each in checkpoints(5)
    ]
    told = "The same for all checkpoints, so that r cannot come of it: image tokens, system tokens."
    assert told in words(report(runs))


def test_data_without_regions_is_said_to_have_none() -> None:
    (one,) = checkpoints(1)
    text = words(report([replace(one, answers=answers(curves(0.6, 0.2)))]))
    assert "Not in this report: where heads point; the data names no region for its questions." in text


def test_one_checkpoint_and_no_grades_still_make_a_page() -> None:
    (one,) = checkpoints(1)
    ungraded = Checkpoint("only", one.capture, one.right * np.nan)
    text = words(report([ungraded], data="mine"))
    assert text.startswith("1 checkpoint, mine")
    assert "Does VAS track accuracy" not in text


def test_runs_of_other_items_are_said_not_to_compare() -> None:
    runs = checkpoints(2)
    other = Checkpoint("other", runs[1].capture.isel(item=slice(5, None)), runs[1].right[5:])
    assert "other is not compared with run-0: the runs do not align: 5 items are only in" in words(
        report([runs[0], other])
    )


def test_names_are_escaped_and_wrong_calls_refused() -> None:
    html = report(checkpoints(2, names=["base", "<script>alert(1)</script>"]))
    assert "<script>alert" not in html
    with pytest.raises(UsageError, match="two checkpoints have one name"):
        report(checkpoints(2, names=["a", "a"]))
    one, two = checkpoints(2)
    for each in (one, two):
        each.capture.attrs["revision"] = "sha256:same"
    with pytest.raises(UsageError, match="run-0 and run-1 are the same checkpoint"):
        report([one, two])


def test_a_page_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LARGEST", 1_000_000)
    with pytest.raises(VaslabError, match=r"would be 4\.\d MB, more than 1; report on fewer runs"):
        page("a", [Section("b")])


def test_both_forms_are_told_where_they_part() -> None:
    """The masses rise together; the mean of ratios is made to fall."""
    one, two = checkpoints(2)
    two.capture["vas"][:] = one.capture["vas"].values * 0.57
    one.capture["mass"][:] = two.capture["mass"].values
    two.capture["mass"][..., 3] *= 1.1
    text = words(report([one, two]))
    expected = (
        r"directions in run-1: VAS \(ratio of means\) is ×1\.10 \[.*?\], but VAS \(mean of ratios\) is ÷1\.75"
    )
    assert re.search(expected, text)
    assert "opposite directions" not in words(plain(2))


def test_a_change_to_a_floored_vas_is_a_bound() -> None:
    one, two = checkpoints(2)
    two.capture["clamped"][:] = 0.9
    two.capture["vas"][:] = one.capture["vas"].values * 3467
    text = words(report([one, two]))
    assert "raises VAS (mean of ratios) at least 3,467-fold" in text
    assert "at least ×3,467 [" in text


def test_methods_say_what_the_interval_is_worth(five: str) -> None:
    text = words(five)
    # of bench/results/correlation-coverage.csv, whose nearest size below is 4
    assert (
        "it holds the true r in 96.1–96.3 % of samples of normal spread, and in 93.6–94.5 % where tails are heavy"
        in text
    )
    assert "88% at 6, 74% at 40" in text
    # wider than it says, and said so
    assert "Spearman's interval holds the truth in 99.6–100.0 % of samples of normal spread" in text
    assert "it is wider than 95 % asks for" in text
    ten = " ".join(methods_section([], pd.DataFrame({"vas": [1.0] * 10}), PLAIN).words)
    assert "95.2–96.8 % of samples of normal spread, and in 92.7–95.3 % where tails are heavy." in ten
    assert "wider than" not in ten


def test_power_is_for_these_checkpoints_and_for_the_r_found(five: str) -> None:
    text = words(five)
    assert "power of 5 checkpoints" in text
    # Fisher's z, n = 29 and 13: as in the tables of Bonett and Wright (2000)
    assert re.search(r"0\.70 \d+% 13 ", text)
    assert re.search(r"0\.50 \d+% 29 ", text)
    assert re.search(r"0\.97 \(found\) \d+% ", text)


def test_the_question_is_a_denominator_of_its_own(five: str) -> None:
    for each in checkpoints(5):
        value = float(visual_against(each.capture))
        assert f"{each.name} {value:.3g} [" in words(five).split("against the question's own tokens?")[1]


def test_answers_and_places_are_sections_where_they_were_measured() -> None:
    assert "Not in this report: decay along the answer" in words(plain(2))
    measured = [
        replace(each, answers=answers(curves(0.6, 0.2 + 0.1 * at)), pointed=pointed([0.9, 0.1, 0.1, 0.1]))
        for at, each in enumerate(checkpoints(2))
    ]
    text = words(report(measured))
    assert "Attention on the image falls along the answer in both checkpoints." in text
    assert re.search(r"run-0 −40\.0 \[−40\.0, −40\.0\] &lt;0\.0001", text)
    assert "run-0: 1 of 4 heads looks most at the region asked for" in text
    assert "Not in this report" not in text
    assert "a score test against the area and one by exchanging the regions among pictures" in text


def test_runs_on_unequal_items_say_so() -> None:
    runs = checkpoints(4)
    runs[3] = replace(runs[3], capture=runs[3].capture.isel(item=slice(0, 12)), right=runs[3].right[:12])
    text = words(report(runs))
    assert "r over unequal items: 12 answered by all, 12 to 20 by each" in text


def test_a_layer_that_some_lack_is_left_out_and_said(five: str) -> None:
    """Layer 2 carries most of VAS, and the two best checkpoints lack it: over all layers, r would turn."""
    gaps = checkpoints(6)
    for each in gaps:
        each.capture["vas"][:, 2] *= 50
    for each in gaps[4:]:
        each.capture["vas"][:, 2] = np.nan
        each.capture["mass"][:, 2] = np.nan
    text = words(report(gaps))
    assert text.startswith("Checkpoints with a higher VAS (mean of ratios) answer better")
    assert "VAS over layers 0–1, which all checkpoints have (not all: run-4, run-5)." in text
    assert "thirds are of these layers" in text
    assert "r of fewer than 6 checkpoints, others lack a value: 2 heads over 4, 1 layer over 4." in text
    assert "which all checkpoints have" not in words(five)


def test_paired_accuracy_has_one_interval_in_every_section() -> None:
    first, second = checkpoints(2)
    found = paired_accuracy(first.right, second.right)
    runs = [
        Prompted("m", prompt, each.capture, each.right)
        for prompt, each in (("own", first), ("other", second))
    ]
    text = words(report([first, second], prompted=runs))
    low, high = 100 * found.low, 100 * found.high
    against, prompts = text.split("What do other system prompts change?")
    for part in (against, prompts):
        assert f"+10.0 [{low:+.1f}, {high:+.1f}]".replace("-", "−") in part


def test_a_floored_vas_is_a_bound_in_the_table_of_prompts() -> None:
    first, second = checkpoints(2)
    second.capture["clamped"][:] = 0.9
    runs = [
        Prompted("m", prompt, each.capture, each.right)
        for prompt, each in (("own", first), ("other", second))
    ]
    text = words(report([first, second], prompted=runs)).split("What do other system prompts change?")[1]
    assert re.search(r"other m 21 ≥ [\d.]+ at least ×[\d.]+ \[[^]]+\] at least ×", text)
    second.capture["vas"][:] *= 0.01
    assert re.search(r"other m 21 ≥ [\d.]+ at most ÷", words(report([first, second], prompted=runs)))
    first.capture["clamped"][:] = 0.9
    assert re.search(r"other m 21 ≥ [\d.]+ nominally ÷", words(report([first, second], prompted=runs)))


def test_r_is_told_without_floored_checkpoints() -> None:
    runs = checkpoints(6)
    for each in runs[4:]:
        each.capture["clamped"][:] = 0.9
    text = words(report(runs))
    kept = words(plain(4))
    r = re.search(r"r = [\d.]+ \(95% CI [^)]+\), n = 4 checkpoints, p = [\d.]+ \(permutation\)", kept)
    assert r is not None
    assert f"2 of 6 checkpoints rest on the floor of VAS: without, {r[0]}." in text
    runs[3].capture["clamped"][:] = 0.9
    assert "3 of 6 checkpoints rest on the floor of VAS: the 3 left are too few for an r." in words(
        report(runs)
    )
    assert "the floor of VAS" not in kept


def test_both_forms_of_vas_have_an_interval(five: str) -> None:
    assert re.search(r"run-4 [\d.]+ \[[\d.]+, [\d.]+\] [\d.]+ \[[\d.]+, [\d.]+\] 70 \[", five and words(five))


def test_provenance_names_every_run_behind_a_number() -> None:
    first, second = checkpoints(2)
    runs = [
        Prompted("m", prompt, each.capture, each.right, {"run": f"m-{prompt}"})
        for prompt, each in (("own", first), ("other", second))
    ]
    html = report([first], prompted=runs)
    provenance = words(html).split("Provenance")[1]
    assert "m-other" in provenance
    assert "other" in provenance.split("m-other")[0]
    # its figure names them too
    assert "m-own, m-other" in html.replace("\\u00a0", " ")
