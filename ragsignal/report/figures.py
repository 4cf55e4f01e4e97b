"""What the page draws: curves and signals as compact data, layouts for plotly.js.

Numbers travel as base64 of little-endian float32 (seven digits, three times smaller than text), dates once for all
traces; the page's script puts both into the traces. Colours are names of the style sheet, ``var(--ink)``: the script
puts in what they are in the light and in the dark.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ragsignal.report.record import equity_table
from ragsignal.trading import RunResult
from ragsignal.utils import stamp_texts

# Paul Tol's "muted" scheme less its sand (faint on white): https://sronpersonalpages.nl/~pault/data/colourschemes.pdf
COLORS = 8
"""Series that have a colour of their own, ``--series-1`` and so on in style.css; the benchmark is ``--benchmark``."""
DASHES = {"solid": "none", "dash": "5 3", "dot": "2 2", "dashdot": "6 2 2 2"}
"""plotly's dash names, and how SVG says the same in a legend."""

GREY = "var(--grey)"

Plotly = dict[str, Any]
"""A trace or a layout as plotly.js takes it, or several by name."""

AXIS = {"gridcolor": "var(--line)", "zeroline": False, "automargin": True, "fixedrange": False}
LAYOUT: Plotly = {
    "margin": {"l": 56, "r": 16, "t": 12, "b": 28},
    "paper_bgcolor": "var(--page)",
    "plot_bgcolor": "var(--page)",
    "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--soft)"},
    "hovermode": "x unified",
    "hoverlabel": {"namelength": 28, "bgcolor": "var(--wash)", "bordercolor": GREY, "font": {"color": "var(--ink)"}},
    "showlegend": False,
}

_VALUES = 100_000
"""Numbers in the curves of all variants together, half a megabyte: beyond, several bars share a point."""
_LEAST_POINTS = 500


@dataclass(frozen=True)
class Style:
    """How a variant is drawn, in every chart and in the table."""

    color: str
    dash: str

    @property
    def stroke(self) -> str:
        """``stroke-dasharray`` of an SVG line."""
        return DASHES[self.dash]


def styles(result: RunResult) -> dict[str, Style]:
    """Give the benchmark dashed grey and each other variant a colour; after eight, the same colours dotted."""
    others = [variant.name for variant in result.variants if variant.name != result.benchmark]
    dashes = ("solid", "dot", "dashdot")
    chosen = {
        name: Style(f"var(--series-{number % COLORS + 1})", dashes[number // COLORS % len(dashes)])
        for number, name in enumerate(others)
    }
    return {result.benchmark: Style("var(--benchmark)", "dash"), **chosen}


def curves(result: RunResult) -> Plotly:
    """Account values (start = 100) above drawdowns (per cent), every variant in both."""
    equity = equity_table(result)
    wealth, drawdown = _thinned(100 * equity / equity.iloc[0], 100 * (equity / equity.cummax() - 1))
    style, when = styles(result), "%Y-%m-%d %H:%M" if result.intraday else "%Y-%m-%d"
    traces = [
        {
            "name": name,
            "type": "scatter",
            "mode": "lines",
            "yaxis": axis,
            "y": packed(table[name]),
            "line": {"color": style[name].color, "dash": style[name].dash, "width": width},
            "hovertemplate": f"<b>%{{fullData.name}}</b> {hover}<br>%{{x|{when}}}<extra></extra>",
        }
        for axis, table, width, hover in (("y", wealth, 1.8, "%{y:.1f}"), ("y2", drawdown, 1.2, "%{y:.1f} %"))
        for name in map(str, equity)
    ]
    layout = {
        **LAYOUT,
        "height": 480,
        "hovermode": "closest",
        "hoverdistance": 40,
        "xaxis": {**AXIS, "type": "date", "anchor": "y2"},
        "yaxis": {**AXIS, "domain": [0.37, 1], "title": {"text": "account, start = 100"}},
        "yaxis2": {**AXIS, "domain": [0, 0.31], "title": {"text": "drawdown, %"}},
    }
    return {"dates": _iso(wealth.index), "traces": traces, "layout": layout}


def _thinned(wealth: pd.DataFrame, drawdown: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Let several bars share a point where there are too many: the last value, and the deepest drawdown, of each."""
    bars, points = len(wealth), max(_LEAST_POINTS, _VALUES // (2 * len(wealth.columns)))
    if bars <= points:
        return wealth, drawdown
    place = np.arange(bars) * points // bars
    place[0] = -1  # the first bar keeps a point of its own: every curve starts at 100
    last = wealth.groupby(place).tail(1)
    return last, drawdown.groupby(place).min().set_axis(last.index)


def packed(values: ArrayLike) -> str:
    """float32, little-endian, base64; NaN is a gap in a plotly line."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")


def _iso(days: pd.DatetimeIndex | pd.Index) -> list[str]:
    return stamp_texts(pd.DatetimeIndex(days))
