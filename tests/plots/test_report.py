"""The report: one page that asks nothing of a network, whose findings follow the data."""

import re

import numpy as np
import pytest
import synthetic_capture as made
import xarray as xr

from vaslab.errors import UsageError, VaslabError
from vaslab.plots import page as pages
from vaslab.plots.page import Section, page
from vaslab.plots.report import Checkpoint, report


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
    bare = re.sub(r"<script.*?</script>", " ", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).split())


def test_four_questions_are_answered_with_numbers() -> None:
    html = report(checkpoints(5), data="glyph", decoding="greedy")
    text = words(html)
    assert text.startswith("Checkpoints with a higher VAS answer better (glyph)")
    assert re.search(r"r = 0\.9\d+ \(95% CI 0\.\d+ to 0\.\d+, Fisher z\), n = 5 checkpoints", text)
    assert re.search(r"\d+ of 6 heads and (no layer|layers? [\d, ]+) correlate with accuracy", text)
    assert re.search(r"run-\d raises VAS \d\.\d-fold", text)
    assert "With response length held still, r = " in text
    assert "of 64 definitions" in text or "all 64 definitions" in text
    assert "r4" in text  # provenance
    assert html.count('id="figure-') >= 5


def test_the_page_is_self_contained_and_below_its_limit() -> None:
    html = report(checkpoints(4), data="glyph")
    assert len(html.encode()) < 8_000_000
    own = re.sub(r"<script>.*?</script>", "", html, count=1, flags=re.S)  # plotly.js itself
    assert not re.search(r'(?:src|href)\s*=\s*["\']?(?:https?:)?//', own)
    assert own.count("plotly.min.js") == 0


def test_the_same_runs_give_the_same_bytes() -> None:
    assert report(checkpoints(2)) == report(checkpoints(2))


def test_findings_follow_the_data() -> None:
    assert words(report(checkpoints(5, slope=-0.05))).startswith("Checkpoints with a higher VAS answer worse")
    two = words(report(checkpoints(2)))
    assert "2 checkpoints: too few for a correlation" in two
    assert "To tell a true r of 0.9 from 0 with a power of 80 %" in two
    same = words(report(checkpoints(4, slope=0.0)))
    assert "These checkpoints do not differ" in same


def test_one_checkpoint_and_no_grades_still_make_a_page() -> None:
    (one,) = checkpoints(1)
    ungraded = Checkpoint("only", one.capture, one.right * np.nan)
    text = words(report([ungraded], data="mine"))
    assert text.startswith("1 checkpoint, mine")
    assert "Does VAS track accuracy" not in text


def test_runs_of_other_items_are_said_not_to_compare() -> None:
    runs = checkpoints(2)
    other = Checkpoint("other", runs[1].capture.isel(item=slice(5, None)), runs[1].right[5:])
    assert "other is not compared with run-0: the captures differ in items" in words(report([runs[0], other]))


def test_names_are_escaped_and_wrong_calls_refused() -> None:
    html = report(checkpoints(2, names=["base", "<script>alert(1)</script>"]))
    assert "<script>alert" not in html
    with pytest.raises(UsageError, match="two checkpoints have one name"):
        report(checkpoints(2, names=["a", "a"]))


def test_a_page_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LARGEST", 1_000_000)
    with pytest.raises(VaslabError, match=r"would be 4\.\d MB, more than 1; report on fewer runs"):
        page("a", [Section("b")])
