"""Small charts of the findings: reliability, dead band, and hit rates among those of shifted signals.

Finished traces for plotly: a handful of points each, so they travel as they are.
"""

from __future__ import annotations

from typing import Any

from ragsignal.backtest import RunResult
from ragsignal.report.figures import AXIS, LAYOUT, Style, styles

_HEIGHT = 320
_GREY = "#9aa0a6"


def finding_panels(result: RunResult) -> dict[str, Any]:
    """``calibration`` (by variant: ``reliability`` and ``band`` traces, with their layouts) and ``shifted``."""
    style = styles(result)
    found = result.findings["calibration"]
    return {
        "calibration": {
            name: {"reliability": _reliability(it["reliability"], style[name]), "band": _band(it, style[name])}
            for name, it in found.items()
        },
        "layouts": {"reliability": _reliability_layout(), "band": _band_layout()},
        "shifted": _shifted(result.findings["null"]["shifted"], style),
    }


def _reliability(rows: list[dict[str, Any]], style: Style) -> list[dict[str, Any]]:
    said, seen = [_points(row["said"]) for row in rows], [_points(row["seen"]) for row in rows]
    margin = max(0.1, 0.1 * (max(said) - min(said)))
    low, high = min(said) - margin, max(said) + margin
    return [
        {
            **{"type": "scatter", "mode": "lines", "x": [low, high], "y": [low, high], "hoverinfo": "skip"},
            **{"name": "as said", "line": {"color": _GREY, "width": 1, "dash": "dash"}},
        },
        {
            **{"type": "scatter", "mode": "markers+lines", "name": "seen", "x": said, "y": seen},
            "error_y": _errors(rows, "seen"),
            **{"marker": {"color": style.color, "size": 7}, "line": {"color": style.color, "width": 1}},
            "customdata": [row["signals"] for row in rows],
            "hovertemplate": "said %{x:.1f} %, seen %{y:.1f} %, %{customdata} signals<extra></extra>",
        },
    ]


def _band(found: dict[str, Any], style: Style) -> list[dict[str, Any]]:
    rows = found["dead_band"]
    shares = [_points(row["share"]) for row in rows]
    return [
        {
            **{"type": "scatter", "mode": "markers+lines", "name": "hit rate", "x": shares},
            **{"y": [_points(row["hit_rate"]) for row in rows], "error_y": _errors(rows, "hit_rate")},
            **{"marker": {"color": style.color, "size": 7}, "line": {"color": style.color, "width": 1}},
            "hovertemplate": "%{y:.1f} % right<extra></extra>",
        },
        {
            **{"type": "scatter", "mode": "markers+lines", "name": "earned", "x": shares, "yaxis": "y2"},
            "y": [None if row["earned"] is None else 1e4 * row["earned"] for row in rows],
            **{"marker": {"color": _GREY, "size": 5}, "line": {"color": _GREY, "width": 1, "dash": "dot"}},
            "hovertemplate": "%{y:.1f} bp a bar<extra></extra>",
        },
    ]


def _errors(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """Bars from the point to both ends of its interval; none where it is unknown."""
    known = [None not in (row["low"], row["high"], row[key]) for row in rows]
    return {
        "type": "data",
        "symmetric": False,
        "array": [_points(row["high"] - row[key]) if ok else 0 for row, ok in zip(rows, known, strict=True)],
        "arrayminus": [_points(row[key] - row["low"]) if ok else 0 for row, ok in zip(rows, known, strict=True)],
        "thickness": 1,
        "width": 0,
    }


def _shifted(found: dict[str, Any], style: dict[str, Style]) -> dict[str, Any]:
    """A grey bar a variant, where 95 % of its shifted signals lie, and its own hit rate as a dot."""
    names = [name for name, it in found.items() if it][::-1]
    rows = [found[name] for name in names]
    traces = [
        {
            **{"type": "scatter", "mode": "markers", "name": "on other days", "y": names},
            "x": [_points(row["middle"]) for row in rows],
            "error_x": {
                **{"type": "data", "symmetric": False, "thickness": 9, "width": 0, "color": "#dadce0"},
                "array": [_points(row["high"] - row["middle"]) for row in rows],
                "arrayminus": [_points(row["middle"] - row["low"]) for row in rows],
            },
            "marker": {"color": _GREY, "symbol": "line-ns-open", "size": 9},
            "hovertemplate": "%{x:.1f} % on other days<extra></extra>",
        },
        {
            **{"type": "scatter", "mode": "markers", "name": "its own days", "y": names},
            "x": [_points(row["hit_rate"]) for row in rows],
            "marker": {"color": [style[name].color for name in names], "size": 10},
            "hovertemplate": "%{x:.1f} %<extra></extra>",
        },
    ]
    layout = {
        **LAYOUT,
        **{"height": 80 + 30 * len(names), "hovermode": "closest", "dragmode": False},
        "xaxis": {**AXIS, "title": {"text": "hit rate, %"}},
        "yaxis": {**AXIS, "type": "category", "range": [-0.6, len(names) - 0.4]},
    }
    return {"traces": traces, "layout": layout}


def _reliability_layout() -> dict[str, Any]:
    return {
        **LAYOUT,
        **{"height": _HEIGHT, "hovermode": "closest"},
        "xaxis": {**AXIS, "title": {"text": "P(rise) said, %"}},
        "yaxis": {**AXIS, "title": {"text": "rises seen, %"}},
    }


def _band_layout() -> dict[str, Any]:
    return {
        **LAYOUT,
        "height": _HEIGHT,
        "xaxis": {**AXIS, "title": {"text": "surest signals kept, %"}, "range": [103, 0]},
        "yaxis": {**AXIS, "title": {"text": "hit rate, %"}},
        "yaxis2": {
            **{"overlaying": "y", "side": "right", "showgrid": False, "zeroline": False, "automargin": True},
            **{"nticks": 5, "tickformat": ".1f"},
            "title": {"text": "earned a bar after costs, bp (dotted)"},
        },
    }


def _points(fraction: Any) -> Any:
    return None if fraction is None else round(100 * fraction, 3)
