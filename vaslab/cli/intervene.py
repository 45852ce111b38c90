"""`vaslab intervene`: a sweep of interventions from a YAML file to run folders and one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaslab.cli.console import console, note, quiet_libraries, table
from vaslab.cli.exits import INTERRUPTED, fail
from vaslab.cli.sweep_figure import draw

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "intervention",
    "n",
    "accuracy %",
    "change, points",
    "over blank, points",
    "VAS, ratio",
    "of means",
    "visual mass change, points",
    "system mass change, points",
)
SIDES = {
    "formatted": "format %",
    "obeys_capitals": "capitals %",
    "obeys_end": "end %",
}
CAPTION = (
    "Changes against none, mean over items with paired 95 % intervals over pictures, of accuracy by score (Tango), "
    "of others by Student's t. over blank: against the same questions with blank pictures. VAS: mean of ratios, "
    "edited over plain; of means: as a ratio of means. alike: the same for every item."
)
SIDE_CAPTION = (
    "Level; change against none with its paired 95 % interval. format: <think> and <answer>. capitals, end: obeys that "
    "system prompt. perplexity: of the plain model's answers, questions without pictures; its change is a ratio."
)


def intervene(
    file: Annotated[
        Path,
        typer.Argument(metavar="SWEEP.yaml", help="Models, data, and interventions with their strengths."),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Sweep folder. \\[default: runs/SWEEP]", show_default=False),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="Items of every benchmark, spread over pictures."),
    ] = None,
    offline: Annotated[
        bool | None,
        typer.Option("--offline/--online", help="May a hub id be downloaded?", show_default=False),
    ] = None,
) -> int:
    """Compare interventions with the plain model on the same items, side effects beside the gain.

    vaslab intervene sweeps/paper.yaml

    The file is a study's, with interventions: `vaslab ls interventions` names them. Killed or interrupted, the same
    command goes on where it stopped. In the sweep folder: sweep.yaml, runs/, sides/, table.parquet, table.csv,
    kinds.csv and figures/. With blank, the plain model is also asked with blank pictures, as the level that needs none.

    \b
    models: [organism:base]
    data: [{name: glyph, limit: 200}]
    interventions:
      - {name: avar, alpha: 0.15, vary: {beta: [0, 0.05, 0.4, 0.6]}}
      - {name: block, heads: {top: 16, score: image}}
      - {name: steer, regions: other, queries: emitting}
    side_items: 40
    blank: true
    """
    from vaslab.cli.progress import StudyBar
    from vaslab.studies.sweep import sweep
    from vaslab.studies.sweep_config import read_sweep

    config = read_sweep(file, out=out, limit=limit, offline=offline)
    quiet_libraries()

    try:
        with StudyBar(console()) as bar:
            outcome = sweep(config, watch=bar)
    except KeyboardInterrupt:
        return fail(
            f"interrupted; what is done stays in {config.study.out}, the same command goes on from there",
            INTERRUPTED,
        )
    _shown(outcome.table)
    if not outcome.table["intervention"].isin(["none", "blank picture"]).all():
        folder = Path(config.study.out)
        for path in draw(outcome.table, folder.name, folder / "figures", ["html", "png"]):
            note(f"wrote {path}")
    if outcome.failed:
        return fail(
            f"{len(outcome.failed)} runs failed ({', '.join(outcome.failed)}), for the reasons above; correct them "
            f"and give the same command again: what is done stays in {config.study.out}",
            1,
        )
    print(config.study.out)
    return 0


def _shown(found: pd.DataFrame) -> None:
    """Print one table for each model and benchmark, and the verdicts under it."""
    from vaslab.studies.sweep_table import records

    for (model, data, system, seed), part in found.groupby(["model", "data", "system", "seed"], sort=False):
        found_rows = records(part)
        name = f"{model} on {data}" + ("" if system == "default" else f", system prompt {system}")
        name += f", seed {seed}" if found["seed"].nunique() > 1 else ""
        blank = "over_blank" in part and bool(part["over_blank"].notna().any())
        left = () if blank else ("over blank, points",)
        rows = [_cells(row, blank) for row in found_rows]
        table(name, [column for column in COLUMNS if column not in left], rows, CAPTION)
        sides = {key: title for key, title in SIDES.items() if key in part}
        columns = ["intervention", *sides.values(), "tokens", "perplexity"]
        table(f"{name}: side effects", columns, [_side_cells(row, sides) for row in found_rows], SIDE_CAPTION)
        for row in found_rows:
            if row["verdict"]:
                console().print(f"{row['label']}: {row['verdict']}", markup=False, soft_wrap=True)


def _cells(row: dict[str, Any], blank: bool) -> list[str]:
    return [
        row["label"],
        str(row["n"]),
        f"{100 * row['accuracy']:.1f}",
        _change(row, "accuracy_change", 100),
        *([_change(row, "over_blank", 100)] if blank else []),
        _ratio(row, "vas_ratio"),
        _ratio(row, "vas_means_ratio"),
        _change(row, "visual_change", 100),
        _change(row, "system_change", 100),
    ]


def _side_cells(row: dict[str, Any], sides: dict[str, str]) -> list[str]:
    shares = [_both(f"{100 * row[name]:.1f}", _change(row, f"{name}_change", 100)) for name in sides]
    perplexity = float(row.get("perplexity", "nan"))
    return [
        row["label"],
        *shares,
        _both(f"{row['length']:.1f}", _change(row, "length_change", 1)),
        "-" if perplexity != perplexity else _both(f"{perplexity:.3g}", _ratio(row, "perplexity_ratio")),
    ]


def _both(level: str, change: str) -> str:
    return f"{level}; {change}" if change else level


def _change(row: dict[str, Any], name: str, scale: int) -> str:
    values = _three(row, name)
    if values is None:
        return ""
    estimate, low, high = (scale * value for value in values)
    return f"{estimate:+.1f}{_ends(low, high, '+.1f')}"


def _ratio(row: dict[str, Any], name: str) -> str:
    values = _three(row, name)
    if values is None:
        return ""
    estimate, low, high = values
    return f"{estimate:.2f}{_ends(low, high, '.2f')}"


def _ends(low: float, high: float, form: str) -> str:
    """An interval in brackets; none where all items share a picture."""
    if low == high:
        return " alike"
    return "" if low != low else f" [{low:{form}}, {high:{form}}]"


def _three(row: dict[str, Any], name: str) -> tuple[float, float, float] | None:
    """A number and its interval; None where the row has none."""
    estimate, low, high = (float(row.get(f"{name}{part}", "nan")) for part in ("", "_low", "_high"))
    return None if estimate != estimate else (estimate, low, high)
