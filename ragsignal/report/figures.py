"""What the page draws: curves and signals as compact data, layouts for plotly.js.

Numbers travel as base64 of little-endian float32 (seven digits, three times smaller than text), dates once for all
traces; the page's script puts both into the traces.
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

# Paul Tol's "muted" scheme, safe for colour-blind readers, less its sand (faint on white).
# https://sronpersonalpages.nl/~pault/data/colourschemes.pdf
PALETTE = ("#332288", "#CC6677", "#117733", "#88CCEE", "#AA4499", "#999933", "#882255", "#44AA99")
BENCHMARK_COLOR = "#444444"
DASHES = {"solid": "none", "dash": "5 3", "dot": "2 2", "dashdot": "6 2 2 2"}
"""plotly's dash names, and how SVG says the same in a legend."""

Plotly = dict[str, Any]
"""A trace or a layout as plotly.js takes it, or several by name."""

AXIS = {"gridcolor": "#e8eaed", "zeroline": False, "automargin": True, "fixedrange": False}
LAYOUT: Plotly = {
    "margin": {"l": 56, "r": 16, "t": 12, "b": 36},
    "paper_bgcolor": "white",
    "plot_bgcolor": "white",
    "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#3c4043"},
    "hovermode": "x unified",
    "hoverlabel": {"namelength": 28},
    "showlegend": False,
}


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
    """Give the benchmark dashed dark grey and each other variant a colour; after eight, the same colours dotted."""
    others = [variant.name for variant in result.variants if variant.name != result.benchmark]
    dashes = ("solid", "dot", "dashdot")
    chosen = {
        name: Style(PALETTE[number % len(PALETTE)], dashes[number // len(PALETTE) % len(dashes)])
        for number, name in enumerate(others)
    }
    return {result.benchmark: Style(BENCHMARK_COLOR, "dash"), **chosen}


def curves(result: RunResult) -> Plotly:
    """Account values (start = 100) above drawdowns (per cent), every variant in both."""
    equity = equity_table(result)
    wealth = 100 * equity / equity.iloc[0]
    drawdown = 100 * (equity / equity.cummax() - 1)
    style = styles(result)
    traces = [
        {
            "name": name,
            "type": "scatter",
            "mode": "lines",
            "yaxis": axis,
            "y": packed(table[name]),
            "line": {"color": style[name].color, "dash": style[name].dash, "width": width},
            "hovertemplate": hover,
        }
        for axis, table, width, hover in (("y", wealth, 2.2, "%{y:.1f}"), ("y2", drawdown, 1.4, "%{y:.1f} %"))
        for name in map(str, equity)
    ]
    layout = {
        **LAYOUT,
        "height": 560,
        "xaxis": {**AXIS, "type": "date", "anchor": "y2"},
        "yaxis": {**AXIS, "domain": [0.4, 1], "title": {"text": "account, start = 100"}},
        "yaxis2": {**AXIS, "domain": [0, 0.33], "title": {"text": "drawdown, %"}},
    }
    return {"dates": _iso(equity.index), "traces": traces, "layout": layout}


def packed(values: ArrayLike) -> str:
    """float32, little-endian, base64; NaN is a gap in a plotly line."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")


def _iso(days: pd.DatetimeIndex | pd.Index) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in days]
