"""The page of a ladder of sizes: its words, a curve for each amount of data, and all points; it loads nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from ragsignal.report.templating import TEMPLATES, joined
from ragsignal.utils import Record, write_file

_WIDTH, _HEIGHT, _MARGIN = 240, 130, 12  # px of a curve, and of its margin
_UNIT = 1e6  # losses differ in their sixth digit


def write_ladder(record: Record, path: Path) -> None:
    """Write the record of ``ragsignal train advise`` as a page.

    Parameters
    ----------
    record : dict
        As :meth:`ragsignal.training.SizeAdvice.build` gives it.
    path : Path
        Of the HTML file; it takes the place of an older one.
    """
    amounts = [list(rows) for _, rows in groupby(record["points"], key=lambda row: row["labels"])]
    highest = max((row["above_best"]["high"] for row in record["points"]), default=0.0)
    lowest = min((row["above_best"]["low"] for row in record["points"]), default=0.0)
    page = TEMPLATES.get_template("ladder.html.j2").render(
        record=record,
        amounts=[(rows, _curve(rows, lowest, highest)) for rows in amounts],
        unit=_UNIT,
        style=joined("style.css"),
    )
    write_file(path, lambda draft: draft.write_text(page, encoding="utf-8", newline="\n"))


def _curve(rows: Sequence[Record], lowest: float, highest: float) -> str:
    """Loss above the best size by the logarithm of the parameters, with intervals; worse sizes are coloured."""
    logs = [math.log(row["parameters"]) for row in rows]
    x = [_place(value, logs[0], logs[-1], _MARGIN, _WIDTH - _MARGIN) for value in logs]
    marks, points = [], []
    for row, left in zip(rows, x, strict=True):
        above = row["above_best"]
        top, middle, bottom = (
            _place(above[end], lowest, highest, _HEIGHT - _MARGIN, _MARGIN) for end in ("high", "loss", "low")
        )
        color = "var(--bad)" if row["told_apart"] else "var(--accent)"
        marks.append(f'<line x1="{left}" x2="{left}" y1="{top}" y2="{bottom}" stroke="{color}" stroke-width="2"/>')
        marks.append(f'<circle cx="{left}" cy="{middle}" r="4" fill="{color}"/>')
        points.append(f"{left},{middle}")
    zero = _place(0.0, lowest, highest, _HEIGHT - _MARGIN, _MARGIN)
    words = escape(f"loss above the best size, on {rows[0]['labels']:,} labels")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{words}" style="width: 100%; max-width: 320px">'
        f'<line x1="0" x2="{_WIDTH}" y1="{zero}" y2="{zero}" stroke="var(--edge)"/>'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="var(--grey)"/>{"".join(marks)}</svg>'
    )


def _place(value: float, low: float, high: float, first: float, last: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(first + share * (last - first), 1)
