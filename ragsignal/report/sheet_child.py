"""Program of the child processes that draw tear sheets: a job as JSON on stdin, what failed as JSON on stdout.

It is run as a file and imports nothing of the package, which would take as long as a sheet. What is known to go wrong
in quantstats, and is put right here, stands in ``tearsheet.py``.
"""

from __future__ import annotations

import contextlib
import html
import json
import logging
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

_WRONG_CHARTS = ("yearly_returns", "daily_returns", "distribution")

_BACK = '<p class="back"><a href="../index.html">← all variants of this run</a></p>'
_STYLE = (
    "<style>.back a{color:#09c}#right td+td{white-space:nowrap}"
    "@media(max-width:1020px){#left,#right{float:none;width:auto;margin:0}#left svg{height:auto}}</style>"
)
_REPAIRS = (
    ("https://qtpylib.io/favicon.ico", "data:,"),
    (' onload="save()"', ""),  # calls a function that exists nowhere
    ("CAGR﹪", "CAGR"),  # a sign left over from a column's inner name
    ("</head>", f"{_STYLE}</head>"),
    ('<div class="container">', f'<div class="container">{_BACK}'),
)


def draw_from_stdin() -> None:
    """Draw the sheets of a job and print ``{name: message}`` of those that failed."""
    import matplotlib
    from matplotlib.backend_bases import FigureCanvasBase

    job = json.load(sys.stdin)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # "Arial not found", once a label
    matplotlib.rcParams["svg.fonttype"] = "none"  # text, not outlines: half the size, a fifth of the time
    # pyplot draws a figure once more after it was saved, for a screen; here none looks at it
    setattr(FigureCanvasBase, "draw_idle", lambda *_, **__: None)  # noqa: B010
    returns = pd.read_parquet(Path(job["folder"]) / "equity.parquet").pct_change().iloc[1:]
    failures = {}
    for name, path in job["sheets"].items():
        try:
            _draw(returns, name, job, Path(path))
        except Exception as error:  # quantstats' own: the other sheets must not fall with it
            failures[name] = f"{type(error).__name__}: {error}"
    json.dump(failures, sys.stdout)


def _draw(returns: pd.DataFrame, name: str, job: Mapping[str, Any], path: Path) -> None:
    benchmark = job["benchmark"]
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the answer
        warnings.simplefilter("ignore")  # deprecations of matplotlib 3.11 and pandas 3
        sys.modules.setdefault("yfinance", ModuleType("yfinance"))  # a sheet downloads nothing: 0.4 s less
        import quantstats

        for chart in _WRONG_CHARTS:
            setattr(quantstats.plots, chart, lambda *_, **__: None)
        quantstats.reports.html(  # type: ignore[no-untyped-call]
            returns[name],
            benchmark=None if name == benchmark else returns[benchmark],
            match_dates=False,
            periods_per_year=job["bars_a_year"],
            title=html.escape(f"{job['run']}: {name}"),
            strategy_title=name,
            benchmark_title=benchmark,
            output=str(path),
        )
    page = path.read_text(encoding="utf-8")
    for fault, repair in _REPAIRS:
        page = page.replace(fault, repair)
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    draw_from_stdin()
