"""A backtest from Python: make one, or open one that was made; it shows itself in a notebook and in a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ragsignal.config import RunSpec, load_spec, with_settings
from ragsignal.errors import ConfigError
from ragsignal.parallel import open_pool
from ragsignal.report.csv_files import stacked_trades
from ragsignal.report.record import RECORD
from ragsignal.trading import run_spec
from ragsignal.utils import NewRun, Progress, Record, find_run, silent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class Run:
    """The report of one backtest, read from its folder.

    In a notebook its last line shows a table and a chart; ``print`` shows the table as text.

    Parameters
    ----------
    folder : str or Path
        ``runs/NAME/2026-11-26T1012-ab12``, ``runs/NAME/latest``, or ``runs/NAME``, which is the last one.

    Raises
    ------
    ConfigError
        If no backtest was written there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = find_run(Path(folder)).resolve()  # `latest` will lead to another run tomorrow
        try:
            self.record: Record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{folder} is no run of a backtest: it has no {RECORD}; type: ragsignal backtest SPEC"
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{folder} holds no record of a backtest: {error}; type: ragsignal backtest SPEC"
            ) from None
        if "variants" not in self.record:
            raise ConfigError(
                f"{self.folder / RECORD} is not that of a backtest: `ragsignal backtest` writes one into runs/NAME/"
            )

    @property
    def name(self) -> str:
        """The spec's name."""
        return str(self.record["spec"]["name"])

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "index.html"

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Account values at each close: a row a bar, a column a variant."""
        return pd.read_parquet(self.folder / "equity.parquet")

    @cached_property
    def returns(self) -> pd.DataFrame:
        """Simple returns of each bar from the second on, as fractions; NaN once an account has lost everything."""
        return self.equity.pct_change().where(self.equity.cummin().shift(1) > 0.0).iloc[1:]

    @cached_property
    def orders(self) -> pd.DataFrame:
        """Filled orders: ``variant``, ``date``, ``symbol``, ``size``, ``price``, ``value`` and costs in money."""
        return pd.read_parquet(self.folder / "orders.parquet")

    @cached_property
    def signals(self) -> pd.DataFrame:
        """A row a variant, bar and symbol: the signal's ``value``, ``probability``, why it ``abstained``, its hits."""
        return pd.read_parquet(self.folder / "signals.parquet")

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Round trips: ``variant``, and the columns of :func:`~ragsignal.trading.round_trips.round_trips`."""
        return stacked_trades(self.orders, pd.DatetimeIndex(self.equity.index))

    @cached_property
    def figures(self) -> pd.DataFrame:
        """Figures after costs: a row a variant, a column a figure; fractions, NaN where one does not exist."""
        rows = {row["name"]: row for row in self.record["variants"]}
        numbers = {name: {key: value for key, value in row.items() if _is_figure(value)} for name, row in rows.items()}
        return pd.DataFrame.from_dict(numbers, orient="index").astype(float)

    def plot(self) -> Figure:
        """A plotly figure of all accounts (start = 100) above their drawdowns."""
        from ragsignal.report.show import figure_of

        return figure_of(self)

    def __repr__(self) -> str:
        from ragsignal.report.show import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        from ragsignal.report.show import html_of

        return html_of(self)


def backtest(
    spec: str | Path | RunSpec,
    *,
    out: str | Path = "runs",
    settings: Sequence[str] = (),
    jobs: int = 1,
    progress: Progress = silent,
) -> Run:
    """Run every variant of a spec on identical bars and costs, and write the report, as ``ragsignal backtest`` does.

    Parameters
    ----------
    spec : str, Path or RunSpec
        A TOML file, or what :func:`~ragsignal.config.load.load_spec` made of one.
    out : str or Path
        Folder that receives a folder for each run, under the spec's name.
    settings : sequence of str
        Other values for keys of the spec, as with ``--set``: ``["data.start=2015-01-02"]``.
    jobs : int
        Local processes that trade. More than 1 start Python anew: a script then needs ``if __name__ == "__main__":``.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.

    Raises
    ------
    ConfigError, DataError, LookAheadError, ModelError, StoreError
        As the command would.
    """
    words = [settings] if isinstance(settings, str) else list(settings)
    loaded = with_settings(spec, words) if isinstance(spec, RunSpec) else load_spec(spec, words)
    new = NewRun(Path(out) / loaded.name)
    with open_pool(jobs) as pool:
        result = run_spec(loaded, progress, None, pool)
    from ragsignal.report import write_report

    folder, _ = new.write(partial(write_report, replace(result, command=_call(spec, words))))
    return Run(folder)


def _call(spec: str | Path | RunSpec, words: Sequence[str]) -> str:
    """What to type to repeat the run."""
    named = "spec" if isinstance(spec, RunSpec) else repr(str(spec))
    return f"ragsignal.backtest({named}{f', settings={list(words)!r}' if words else ''})"


def _is_figure(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
