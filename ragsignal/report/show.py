"""A run as a terminal and a notebook show it: a table, and one chart that needs neither a script nor a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ragsignal.report.words import BRIEF, columns_of
from ragsignal.types import FloatArray

if TYPE_CHECKING:
    from ragsignal.report.run import Run

# Paul Tol's "bright" scheme, which colour-blind readers tell apart, less its grey: on white and on black.
# https://sronpersonalpages.nl/~pault/data/colourschemes.pdf
# A seventh variant has the first colour again, dotted.
_COLORS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377")
_GREY = "#888888"
_DASHES = {"solid": "none", "dash": "5 3", "dot": "2 2"}  # by plotly's names, as SVG says them
_COLUMNS = columns_of(BRIEF)
_WIDTH, _HEIGHT, _LEFT, _TOP, _BELOW = 720, 240, 52, 8, 22  # px of the chart, and of its margins
_LEFT_CELL = "text-align:left;white-space:nowrap"
_RIGHT = "text-align:right;padding:2px 8px;white-space:nowrap"  # not every notebook aligns figures by itself
_POINTS = 400  # of a line: more would not be seen


def text_of(run: Run) -> str:
    """The table of a run as text."""
    rows = [["", *(column.label for column in _COLUMNS)], *_rows(run)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in _placed(row, widths)
        )
        for row in rows
    ]
    return "\n".join([_head(run), *lines, *(f"note: {note}" for note in run.record["notes"]), f"report: {run.report}"])


def html_of(run: Run) -> str:
    """The table and a chart of a run, as HTML that loads nothing; what comes from the spec is escaped."""
    head = "".join(f'<th style="{_RIGHT}">{escape(column.label)}</th>' for column in _COLUMNS)
    body = "".join(
        f'<tr><td style="{_LEFT_CELL}">{_swatch(run, row[0])} {escape(row[0])}</td>'
        + "".join(f'<td style="{_RIGHT}">{escape(cell)}</td>' for cell in row[1:])
        + "</tr>"
        for row in _rows(run)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in run.record["notes"])
    folded = f"<details><summary>{len(run.record['notes'])} notes</summary><ul>{notes}</ul></details>" if notes else ""
    return (
        f'<div><p>{escape(_head(run))}</p><div style="overflow-x:auto"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_svg(run)}{folded}"
        f"<p>report: <code>{escape(str(run.report))}</code></p></div>"
    )


def figure_of(run: Run) -> Any:
    """A plotly figure of all accounts (start = 100) above their drawdowns in per cent."""
    from plotly.subplots import make_subplots

    wealth = _wealth(run)
    figure = make_subplots(rows=2, shared_xaxes=True, row_heights=[0.65, 0.35], vertical_spacing=0.04)
    for name in map(str, wealth):
        color, dash = _pen(run, name)
        line = {"color": color, "dash": dash}
        drawdown = 100.0 * (wealth[name] / wealth[name].cummax() - 1.0)
        for row, values, named in ((1, wealth[name], True), (2, drawdown, False)):
            trace = {"x": wealth.index, "y": values, "name": name, "line": line, "mode": "lines", "legendgroup": name}
            figure.add_scatter(**trace, showlegend=named, row=row, col=1)
    figure.update_yaxes(title_text="account, start = 100", row=1, col=1)
    figure.update_yaxes(title_text="drawdown, %", row=2, col=1)
    return figure.update_layout(title=_head(run), hovermode="x unified", height=560)


def _head(run: Run) -> str:
    days = run.equity.index
    window = f"{days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}, {len(days):,} bars"
    return f"{run.name}: {window}, after costs; benchmark: {run.record['benchmark']}"


def _rows(run: Run) -> Iterator[list[str]]:
    for row in run.record["variants"]:
        yield [row["name"], *(column.form(row[column.key]) for column in _COLUMNS)]


def _placed(row: Sequence[str], widths: Sequence[int]) -> Iterator[tuple[int, tuple[str, int]]]:
    return enumerate(zip(row, widths, strict=True))


def _wealth(run: Run) -> pd.DataFrame:
    return 100.0 * run.equity / run.equity.iloc[0]


def _pen(run: Run, name: str) -> tuple[str, str]:
    """Colour and dash of a variant's line; the benchmark is grey and dashed."""
    others = [column for column in run.equity if column != run.record["benchmark"]]
    if name not in others:
        return _GREY, "dash"
    turn, place = divmod(others.index(name), len(_COLORS))
    return _COLORS[place], "dot" if turn % 2 else "solid"


def _stroke(run: Run, name: str) -> str:
    color, dash = _pen(run, name)
    return f'stroke="{color}" stroke-dasharray="{_DASHES[dash]}"'


def _swatch(run: Run, name: str) -> str:
    return (
        f'<svg width="22" height="8"><line x1="0" y1="4" x2="22" y2="4" stroke-width="3" {_stroke(run, name)}/></svg>'
    )


def _svg(run: Run) -> str:
    """Lines of all accounts on one scale, with its ends; the benchmark dashed."""
    wealth = _wealth(run)
    chosen = np.unique(np.linspace(0, len(wealth) - 1, min(len(wealth), _POINTS)).round().astype(int))
    low, high = float(wealth.min().min()), float(wealth.max().max())
    x = _LEFT + (_WIDTH - _LEFT - 4) * chosen / max(1, len(wealth) - 1)
    lines = []
    for name in map(str, wealth):
        share = (wealth[name].to_numpy(dtype=np.float64)[chosen] - low) / ((high - low) or 1.0)
        points = _points(x, _TOP + (_HEIGHT - _TOP - _BELOW) * (1.0 - share))
        stroke = f'fill="none" stroke-width="1.5" {_stroke(run, name)}'
        lines.append(f'<polyline {stroke} points="{points}"><title>{escape(name)}</title></polyline>')
    days = wealth.index
    labels = [(_LEFT - 6, _TOP + 8, "end", f"{high:.0f}"), (_LEFT - 6, _HEIGHT - _BELOW, "end", f"{low:.0f}")]
    labels += [
        (_LEFT, _HEIGHT - 6, "start", f"{days[0]:%Y-%m-%d}"),
        (_WIDTH - 4, _HEIGHT - 6, "end", f"{days[-1]:%Y-%m-%d}"),
    ]
    texts = "".join(f'<text x="{x}" y="{y}" text-anchor="{at}">{text}</text>' for x, y, at, text in labels)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" style="max-width:{_WIDTH}px" role="img" '
        f'aria-label="accounts, start = 100" font-size="11" fill="currentColor">{texts}{"".join(lines)}</svg>'
    )


def _points(x: FloatArray, y: FloatArray) -> str:
    return " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(x, y, strict=True) if np.isfinite(top))
