"""One page of HTML that opens from disk: headings, words, tables and figures, with plotly.js inside it once."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go
import plotly.io as pio
from plotly.offline import get_plotlyjs

from vaslab.errors import VaslabError
from vaslab.plots.export import CONFIG
from vaslab.plots.text import escape

LARGEST = 8_000_000
"""Bytes of a page; plotly.js takes 4.8 million of them."""

STYLE = """
body { margin: 0 auto; max-width: 1240px; padding: 32px 24px 64px; color: #17202e; background: #ffffff;
  font: 16px/1.55 "Open Sans", Helvetica, Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 30px; line-height: 1.25; } h2 { font-size: 22px; margin: 44px 0 8px; }
p, li { max-width: 78ch; } p.finding { font-weight: 600; }
table { border-collapse: collapse; font-size: 14px; margin: 12px 0; }
th, td { padding: 4px 12px 4px 0; text-align: right; border-bottom: 1px solid #e9ecef; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: #5d6877; font-weight: 600; }
div.wide { overflow-x: auto; } footer { color: #5d6877; margin-top: 48px; font-size: 14px; }
"""


@dataclass
class Section:
    """One question: its heading, what was found, numbers and figures."""

    heading: str
    finding: str = ""
    words: list[str] = field(default_factory=list)
    tables: list[pd.DataFrame] = field(default_factory=list)
    figures: list[go.Figure] = field(default_factory=list)


def page(title: str, sections: Sequence[Section], foot: str = "") -> str:
    """Lay a page out; every word is escaped.

    Returns:
        The HTML, which asks nothing of a network.

    Raises:
        VaslabError: the page would be larger than 8 MB.
    """
    parts = [f"<h1>{escape(title)}</h1>"]
    count = 0
    for section in sections:
        parts.append(f"<h2>{escape(section.heading)}</h2>")
        if section.finding:
            parts.append(f'<p class="finding">{escape(section.finding)}</p>')
        parts += [f"<p>{escape(words)}</p>" for words in section.words]
        parts += [f'<div class="wide">{_table(table)}</div>' for table in section.tables]
        for figure in section.figures:
            count += 1
            drawn = pio.to_html(
                figure, config=CONFIG, include_plotlyjs=False, full_html=False, div_id=f"figure-{count}"
            )
            parts.append(f'<div class="wide">{drawn}</div>')
    body = "\n".join(parts)
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f"<body>\n{body}\n<footer>{escape(foot)}</footer>\n</body>\n</html>\n"
    )
    size = len(html.encode())
    if size > LARGEST:
        raise VaslabError(
            f"the report would be {size / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}; report on fewer runs at once"
        )
    return html


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    rows = [
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    ]
    return f"<table>\n<tr>{head}</tr>\n" + "\n".join(rows) + "\n</table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.3g}"
    return str(value)
