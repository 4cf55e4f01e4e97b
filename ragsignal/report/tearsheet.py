"""One quantstats tear sheet a variant, against the benchmark variant.

quantstats is drawn in child processes, which read ``equity.parquet`` from the draft folder. There it may choose
matplotlib's Agg backend, switch seaborn's global style on and warn as it likes; the caller's own backend, style and
warning filters are never touched, and two children draw at once.

What is known to go wrong in quantstats 0.0.86, and what is done about it:

- ``match_dates`` (its default) cuts the window at the first non-zero return, for the benchmark too: always off.
- A series that never moves ends in a ``ValueError``: such a variant gets a plain page of ours, as does every other
  series on which quantstats fails or would say something wrong.
- A series without a loss and with one return above 100 % is silently taken for prices: a plain page.
- A benchmark given as ticker is downloaded, or all zeros without a network: it is always given as returns.
- Three charts are wrong and left out: that of years labels each bar with the next year (pandas 3.1), the sum of daily
  returns drops to zero at each weekend, and the quantiles lose every period that does not end on a trading day.
- The title is not escaped, and the page asks its author's server for an icon: both are put right.
"""

from __future__ import annotations

import contextlib
import html
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.report.page import write_plain_sheet
from ragsignal.report.record import equity_table
from ragsignal.trading import RunResult

FOLDER = "tearsheets"
PROCESSES = 2

# The child's whole program: `-m` would import the module twice, once as the package's and once as __main__.
_CHILD = "from ragsignal.report.tearsheet import draw_from_stdin; draw_from_stdin()"

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


def write_tearsheets(result: RunResult, folder: Path) -> None:
    """Write ``tearsheets/<variant>.html`` for every variant; reads ``folder/equity.parquet``.

    A sheet that quantstats could not draw becomes a plain page that says why, with a ``RuntimeWarning`` unless
    the reason lies in the series.
    """
    (folder / FOLDER).mkdir()
    returns = equity_table(result).pct_change().iloc[1:]
    reasons = {v.name: obstacle(returns[v.name], returns[result.benchmark]) for v in result.variants}
    drawable = [name for name, reason in reasons.items() if reason is None]
    failures = _draw_in_children(drawable, result, folder)
    for name, message in failures.items():
        warnings.warn(f"quantstats could not draw the tear sheet of {name}: {message}", RuntimeWarning, stacklevel=2)
        reasons[name] = f"quantstats stopped with an error of its own: {message}"
    for variant in result.variants:
        reason = reasons[variant.name]
        if reason is not None:
            write_plain_sheet(result, variant, reason, sheet_path(folder, variant.name))


def sheet_path(folder: Path, variant: str) -> Path:
    """Where the tear sheet of ``variant`` stands."""
    return folder / FOLDER / f"{variant}.html"


def obstacle(returns: pd.Series, benchmark: pd.Series) -> str | None:
    """Why quantstats cannot say anything correct about ``returns`` (per bar, fractions), or None."""
    if len(returns) < 2:
        return f"The run has {len(returns) + 1} bar(s): too few for any statistic of returns."
    for series, whose in ((returns, "This variant's account"), (benchmark, "The benchmark's account")):
        lost = (~np.isfinite(series) | (series <= -1.0)).to_numpy()
        if lost.any():
            day = pd.Timestamp(series.index[lost.argmax()])
            return f"{whose} lost everything on {day:%Y-%m-%d} (ruined), so later returns do not exist."
    if (returns == 0).all():
        return "This variant never traded: its account never moved."
    if returns.nunique() == 1:
        return "Every return is the same, so no risk figure exists."
    if any(series.min() >= 0 and series.max() > 1 for series in (returns, benchmark)):
        return "An account without a losing bar more than doubled on one bar; quantstats would take this for prices."
    return None


def _draw_in_children(names: list[str], result: RunResult, folder: Path) -> dict[str, str]:
    """Draw the sheets of ``names`` in at most two processes; returns what failed and why."""
    if not names:
        return {}
    shares = [names[start::PROCESSES] for start in range(min(PROCESSES, len(names)))]
    with ThreadPoolExecutor(PROCESSES) as pool:
        failures = pool.map(lambda share: _run_child(share, result, folder), shares)
        return {name: message for failed in failures for name, message in failed.items()}


def _run_child(names: list[str], result: RunResult, folder: Path) -> dict[str, str]:
    job = {
        "folder": str(folder),
        "names": names,
        "benchmark": result.benchmark,
        "bars_a_year": result.bars_a_year,
        "run": result.title,
    }
    search_path = os.pathsep.join(filter(None, sys.path))
    child = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(job),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": search_path, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    if child.returncode:
        message = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        return dict.fromkeys(names, message)
    failures: dict[str, str] = json.loads(child.stdout)
    return failures


def draw_from_stdin() -> None:
    """Run the child: a job as JSON from stdin, ``{name: message}`` of what failed as JSON to stdout."""
    import matplotlib

    job = json.load(sys.stdin)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # "Arial not found", once a label
    matplotlib.rcParams["svg.fonttype"] = "none"  # text, not outlines: half the size, a fifth of the time
    folder = Path(job["folder"])
    returns = pd.read_parquet(folder / "equity.parquet").pct_change().iloc[1:]
    failures = {}
    for name in job["names"]:
        try:
            _draw(returns, name, job, sheet_path(folder, name))
        except Exception as error:  # quantstats' own: the other sheets must not fall with it
            failures[name] = f"{type(error).__name__}: {error}"
    json.dump(failures, sys.stdout)


def _draw(returns: pd.DataFrame, name: str, job: Mapping[str, Any], path: Path) -> None:
    benchmark = job["benchmark"]
    with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # stdout belongs to the answer
        warnings.simplefilter("ignore")  # deprecations of matplotlib 3.11 and pandas 3
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
