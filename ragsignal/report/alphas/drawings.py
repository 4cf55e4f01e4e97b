"""Drawings of formulas, as SVG that needs no script: bars, a line, and the windows of a search on a line of days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from ragsignal.report.words import number

WIDTH, HEIGHT = 260, 120  # of a drawing's own units; it is as wide as its place on the page
_TOP, _BOTTOM = 16, 18  # for figures above, and labels below
_RISE, _FALL, _EDGE = "var(--rise, #0072b2)", "var(--fall, #d55e00)", "var(--edge, #c5ccd3)"
_TEXT = 'style="fill: currentColor; font-size: 10px"'


def bars(values: Sequence[float | None], labels: Sequence[str], words: str, digits: int = 3) -> str:
    """A bar a value, with its figure; None is a gap.

    Parameters
    ----------
    values : sequence of float or None
    labels : sequence of str
        Below the bars.
    words : str
        For who cannot see it.
    digits : int
        Of the figures.
    """
    known = [it for it in values if it is not None and math.isfinite(it)]
    low, high = min([0.0, *known]), max([0.0, *known])
    step = WIDTH / max(1, len(values))
    drawn = [_line(0, _y(0.0, low, high), WIDTH, _y(0.0, low, high))]
    for place, (value, label) in enumerate(zip(values, labels, strict=True)):
        middle = (place + 0.5) * step
        drawn.append(f'<text x="{middle:.1f}" y="{HEIGHT - 4}" text-anchor="middle" {_TEXT}>{escape(label)}</text>')
        if value is not None and math.isfinite(value):
            drawn.append(_bar(middle, 0.62 * step, value, (low, high)))
            above = _y(max(value, 0.0), low, high) - 4
            told = number(value, digits, signed=True)
            drawn.append(f'<text x="{middle:.1f}" y="{above:.1f}" text-anchor="middle" {_TEXT}>{told}</text>')
    return _svg(drawn, words)


def decay(values: Sequence[float | None], words: str) -> str:
    """A line of values at 1, 2, ... bars."""
    known = [it for it in values if it is not None and math.isfinite(it)]
    low, high = min([0.0, *known]), max([0.0, *known])
    step = WIDTH / max(1, len(values))
    at = [
        (round((place + 0.5) * step, 1), round(_y(it, low, high), 1))
        for place, it in enumerate(values)
        if it is not None and math.isfinite(it)
    ]
    points = " ".join(f"{x},{y}" for x, y in at)
    drawn = [
        _line(0, _y(0.0, low, high), WIDTH, _y(0.0, low, high)),
        f'<polyline points="{points}" style="fill: none; stroke: {_RISE}; stroke-width: 2"/>',
        *(f'<circle cx="{x}" cy="{y}" r="2.6" style="fill: {_RISE}"/>' for x, y in at),
    ]
    for place in range(len(values)):
        middle = (place + 0.5) * step
        drawn.append(f'<text x="{middle:.1f}" y="{HEIGHT - 4}" text-anchor="middle" {_TEXT}>{place + 1}</text>')
    if at:
        drawn.append(
            f'<text x="{at[0][0] - 4:.1f}" y="{at[0][1] - 7:.1f}" {_TEXT}>{number(known[0], 3, signed=True)}</text>'
        )
    return _svg(drawn, words)


@dataclass(frozen=True)
class DrawnWindow:
    """A window on the line of days: where it begins and how wide it is, in per cent."""

    name: str
    first: date
    last: date
    left: float
    width: float


def stretches(windows: Sequence[tuple[str, date, date]]) -> list[DrawnWindow]:
    """The windows of a search on one line of days."""
    begin, end = min(first for _, first, _ in windows), max(last for _, _, last in windows)
    whole = max(1, (end - begin).days)
    return [
        DrawnWindow(
            name, first, last, round(100 * (first - begin).days / whole, 2), round(100 * (last - first).days / whole, 2)
        )
        for name, first, last in windows
    ]


def _bar(middle: float, width: float, value: float, ends: tuple[float, float]) -> str:
    top, foot = _y(max(value, 0.0), *ends), _y(min(value, 0.0), *ends)
    color = _RISE if value >= 0 else _FALL
    return (
        f'<rect x="{middle - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(foot - top, 0.5):.1f}" '
        f'style="fill: {color}"/>'
    )


def _y(value: float, low: float, high: float) -> float:
    room = HEIGHT - _TOP - _BOTTOM
    return _TOP + room * (high - value) / (high - low) if high > low else _TOP + room / 2


def _line(left: float, top: float, right: float, foot: float) -> str:
    return f'<line x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{foot:.1f}" style="stroke: {_EDGE}"/>'


def _svg(drawn: Sequence[str], words: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}" '
        f'style="width: 100%; max-width: 420px">{"".join(drawn)}</svg>'
    )
