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

import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.report.page import write_plain_sheet
from ragsignal.report.record import equity_table
from ragsignal.trading import RunResult

FOLDER = "tearsheets"
PROCESSES = 2

_CHILD = Path(__file__).with_name("sheet_child.py")


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
        "sheets": {name: str(sheet_path(folder, name)) for name in names},
        "benchmark": result.benchmark,
        "bars_a_year": result.bars_a_year,
        "run": result.title,
    }
    search_path = os.pathsep.join(filter(None, sys.path))
    child = subprocess.run(
        [sys.executable, "-P", str(_CHILD)],  # -P: modules beside the program are not found in place of libraries
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
