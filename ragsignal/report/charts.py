"""Small charts of the findings: reliability, dead band, and hit rates among those of shifted signals.

Finished traces for plotly: a handful of points each, so they travel as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragsignal.report.figures import AXIS, GREY, LAYOUT, Plotly, Style, styles
from ragsignal.trading import ReliabilityBin, RunResult, ShiftedSignals, StrongSignals

_HEIGHT = 320

RELIABILITY_LAYOUT = {
    **LAYOUT,
    "height": _HEIGHT,
    "hovermode": "closest",
    "xaxis": {**AXIS, "title": {"text": "P(rise) said, %"}},
    "yaxis": {**AXIS, "title": {"text": "rises seen, %"}},
}
BAND_LAYOUT = {
    **LAYOUT,
    "height": _HEIGHT,
    "xaxis": {**AXIS, "title": {"text": "surest signals kept, %"}, "range": [103, 0]},
    "yaxis": {**AXIS, "title": {"text": "hit rate, %"}},
    "yaxis2": {
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "nticks": 5,
        "tickformat": ".1f",
        "title": {"text": "earned a bar, bp (dotted)"},
    },
}


def finding_panels(result: RunResult) -> Plotly:
    """``calibration`` (by variant: ``reliability`` and ``band`` traces, with their layouts) and ``shifted``."""
    style = styles(result)
    return {
        "calibration": {
            name: {"reliability": _reliability(it.reliability, style[name]), "band": _band(it.dead_band, style[name])}
            for name, it in result.findings.calibration.items()
        },
        "layouts": {"reliability": RELIABILITY_LAYOUT, "band": BAND_LAYOUT},
        "shifted": _shifted(result.findings.null.shifted, style),
    }


def _reliability(rows: Sequence[ReliabilityBin], style: Style) -> list[Plotly]:
    said, seen = [_points(row.said) for row in rows], [_points(row.seen) for row in rows]
    margin = max(0.1, 0.1 * (max(said) - min(said)))
    ends = [min(said) - margin, max(said) + margin]
    diagonal = {"color": GREY, "width": 1, "dash": "dash"}
    return [
        _trace("as said", ends, ends, mode="lines", hoverinfo="skip", line=diagonal),
        _trace(
            "seen",
            said,
            seen,
            error_y=_error_bars([(row.seen, row.low, row.high) for row in rows]),
            marker={"color": style.color, "size": 7},
            line={"color": style.color, "width": 1},
            customdata=[row.signals for row in rows],
            hovertemplate="said %{x:.1f} %, seen %{y:.1f} %, %{customdata} signals<extra></extra>",
        ),
    ]


def _band(rows: Sequence[StrongSignals], style: Style) -> list[Plotly]:
    shares = [_points(row.share) for row in rows]
    return [
        _trace(
            "hit rate",
            shares,
            [_points(row.hit_rate) for row in rows],
            error_y=_error_bars([(row.hit_rate, row.low, row.high) for row in rows]),
            marker={"color": style.color, "size": 7},
            line={"color": style.color, "width": 1},
            hovertemplate="%{y:.1f} % right<extra></extra>",
        ),
        _trace(
            "earned",
            shares,
            [None if row.earned is None else 1e4 * row.earned for row in rows],
            yaxis="y2",
            marker={"color": GREY, "size": 5},
            line={"color": GREY, "width": 1, "dash": "dot"},
            hovertemplate="%{y:.1f} bp a bar<extra></extra>",
        ),
    ]


def _trace(name: str, x: Sequence[float], y: Sequence[float | str | None], **options: Any) -> Plotly:
    return {"type": "scatter", "mode": "markers+lines", "name": name, "x": x, "y": y, **options}


def _error_bars(rows: Sequence[tuple[float, float | None, float | None]], **options: Any) -> Plotly:
    """Bars from each point to both ends of its interval; none where it is unknown."""
    above = [0 if high is None else _points(high - value) for value, _, high in rows]
    below = [0 if low is None else _points(value - low) for value, low, _ in rows]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1, "width": 0}
    return bars | options


def _shifted(shifted: Mapping[str, ShiftedSignals | None], style: Mapping[str, Style]) -> Plotly:
    """A grey bar a variant, where 95 % of its shifted signals lie, and its own hit rate as a dot."""
    rows = {name: row for name, row in reversed(list(shifted.items())) if row}
    names = list(rows)
    middles = [(row.middle, row.low, row.high) for row in rows.values()]
    traces = [
        _trace(
            "on other days",
            [_points(middle) for middle, _, _ in middles],
            names,
            mode="markers",
            error_x=_error_bars(middles, thickness=9, color="var(--band)"),
            marker={"color": GREY, "symbol": "line-ns-open", "size": 9},
            hovertemplate="%{x:.1f} % on other days<extra></extra>",
        ),
        _trace(
            "its own days",
            [_points(row.hit_rate) for row in rows.values()],
            names,
            mode="markers",
            marker={"color": [style[name].color for name in names], "size": 10},
            hovertemplate="%{x:.1f} %<extra></extra>",
        ),
    ]
    layout = {
        **LAYOUT,
        "height": 80 + 30 * len(names),
        "hovermode": "closest",
        "dragmode": False,
        "xaxis": {**AXIS, "title": {"text": "hit rate, %"}},
        "yaxis": {**AXIS, "type": "category", "range": [-0.6, len(names) - 0.4]},
    }
    return {"traces": traces, "layout": layout}


def _points(fraction: float) -> float:
    """Percentage points, of three decimals."""
    return round(100 * fraction, 3)
