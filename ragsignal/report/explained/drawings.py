"""Drawings of an explanation, as SVG that needs no script; colours are the page's, or without it the light ones."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ragsignal.explanation import HitEvidence
from ragsignal.report.words import percent
from ragsignal.types import FloatArray

WIDTH, HEIGHT, _MARGIN = 200, 92, 6  # px of a small drawing, and of its margin
_SIDES = {"rise": "var(--rise, #0072b2)", "fall": "var(--fall, #d55e00)"}
_GREY, _EDGE = "var(--grey, #8d959e)", "var(--edge, #c5ccd3)"
_MOST = 4.0  # standard deviations that are drawn: beyond it a market's state would flatten all others


def overlay(hit: HitEvidence) -> str:
    """A hit (coloured) over the query (in the colour of text), both on one scale."""
    query = np.clip(np.array(hit.overlay.query_shape), -_MOST, _MOST)
    other = np.clip(np.array(hit.overlay.hit_shape), -_MOST, _MOST)
    low, high = float(min(query.min(), other.min(), -1.0)), float(max(query.max(), other.max(), 1.0))
    words = f"the hit over the query: {', '.join(hit.overlay.labels)}"
    lines = [
        _zero(low, high),
        _line(other, low, high, f"stroke: {color(hit)}; stroke-width: 2.4"),
        _line(query, low, high, "stroke: currentColor; stroke-width: 1.4"),
    ]
    dots = _dots(other, low, high, color(hit), 2.6) + _dots(query, low, high, "currentColor", 1.8)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}" '
        f'style="width: 100%; max-width: {WIDTH * 2}px; fill: none">{"".join(lines)}{dots}</svg>'
    )


def color(hit: HitEvidence) -> str:
    """By what it says: the outcome of a sequence, what a day adds for this stock."""
    if hit.outcome is not None:
        return _SIDES.get(str(hit.movement), _GREY)
    return _SIDES["rise" if (hit.adds or 0.0) > 0 else "fall"]


def bar(value: float, largest: float) -> tuple[float, float]:
    """Left end and width of a bar from the middle of a track, in per cent; ``largest`` fills a half."""
    width = 50.0 * min(1.0, abs(value) / largest) if largest > 0 else 0.0
    return round(50.0 if value > 0 else 50.0 - width, 2), round(width, 2)


def places(values: Sequence[float], low: float, high: float) -> list[float]:
    """Where values stand on a track from ``low`` to ``high``, in per cent."""
    return [round(float(np.clip(100.0 * (value - low) / (high - low), 0.0, 100.0)), 2) for value in values]


def share_ends(low: float, high: float) -> tuple[float, float]:
    """Ends of a track that shows an interval of a share: 30 to 70 % if it lies within, else the whole."""
    return (0.3, 0.7) if low >= 0.3 and high <= 0.7 else (0.0, 1.0)


def share_marks(low: float, high: float) -> list[tuple[float, str]]:
    """Five marks of such a track, with their words."""
    return [(float(at), percent(float(at), 0)) for at in np.linspace(low, high, 5)]


def around_half(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a track with one half in its middle that holds some values of P, and a quarter more."""
    reach = 1.25 * max([0.001, *(abs(value - 0.5) for value in values)])
    return 0.5 - reach, 0.5 + reach


def _at(values: FloatArray, low: float, high: float) -> list[tuple[float, float]]:
    x = np.linspace(_MARGIN, WIDTH - _MARGIN, len(values)) if len(values) > 1 else np.array([WIDTH / 2])
    y = _MARGIN + (HEIGHT - 2 * _MARGIN) * (high - values) / (high - low)
    return list(zip(x.round(1).tolist(), y.round(1).tolist(), strict=True))


def _line(values: FloatArray, low: float, high: float, style: str) -> str:
    points = " ".join(f"{x},{y}" for x, y in _at(values, low, high))
    return f'<polyline points="{points}" style="{style}"/>'


def _dots(values: FloatArray, low: float, high: float, fill: str, radius: float) -> str:
    return "".join(f'<circle cx="{x}" cy="{y}" r="{radius}" style="fill: {fill}"/>' for x, y in _at(values, low, high))


def _zero(low: float, high: float) -> str:
    ((_, y),) = _at(np.zeros(1), low, high)
    return f'<line x1="0" x2="{WIDTH}" y1="{y}" y2="{y}" style="stroke: {_EDGE}"/>'
