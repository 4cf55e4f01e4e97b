"""Every configuration that was ever run against some bars, and what their number says about the best of them.

The best of many trials looks good by chance, so a result means little without their number (Bailey and López de Prado
2014). Rows are added, never changed and never removed; they stand beside the user's other data, not in the cache: what
cannot be made again must not go with what can.

Counted is every variant but the benchmark, by all that decides its result: the same configuration on the same bars is
one trial however often it is run; another threshold, cost, seed or edit of the strategy's code is another.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Required, TypedDict

import numpy as np
import pandas as pd
from platformdirs import user_data_path

from ragsignal import statistics
from ragsignal.config import DataSpec, RunSpec, Variant
from ragsignal.errors import StoreError
from ragsignal.utils import Database, disk_is_full, full_disk, json_digest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bars (
    id TEXT PRIMARY KEY, market TEXT NOT NULL, symbols TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trials (
    bars TEXT NOT NULL REFERENCES bars (id), configuration TEXT NOT NULL, command TEXT NOT NULL, sharpe REAL,
    PRIMARY KEY (bars, configuration)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS trials_stay BEFORE DELETE ON trials
    BEGIN SELECT RAISE(ABORT, 'the ledger of trials only grows'); END;
CREATE TRIGGER IF NOT EXISTS trials_hold BEFORE UPDATE ON trials
    BEGIN SELECT RAISE(ABORT, 'the ledger of trials only grows'); END;
"""
_MADE_UP = ("planted", "planted-days", "planted-news", "noise")
_AT_ONCE = 500  # data sets in one statement; older SQLite takes 999 values


class LuckFigures(TypedDict):
    """What the number of trials says about the best of some results.

    ``best``: the name with the highest Sharpe ratio; ``sharpe0``: what the best of as many worthless ones would have, a
    year; ``deflated_sharpe``: by name, the probability that its true Sharpe ratio is above that; ``needed_years``: how
    long the best one must go on like this to be above it with 95 % confidence, None where it is below.
    """

    best: str
    sharpe0: float
    deflated_sharpe: dict[str, float]
    needed_years: float | None


class TrialCount(TypedDict, total=False):
    """``count`` of configurations ever tried on some bars, those of this run (``configurations``) included.

    The other keys are those of :class:`LuckFigures`, and are there only where ratios exist.
    """

    count: Required[int]
    configurations: Required[int]
    best: str
    sharpe0: float
    deflated_sharpe: dict[str, float]
    needed_years: float | None


@dataclass(frozen=True, slots=True)
class Bars:
    """What a configuration was tried on.

    Parameters
    ----------
    market : str
        Empty for real prices; source and seed of a made-up market, whose symbols are other ones under another seed. Of
        bars that are not daily their length follows.
    symbols : tuple of str
    first, last : date
        The traded window, both inclusive.
    """

    market: str
    symbols: tuple[str, ...]
    first: date
    last: date

    @property
    def digest(self) -> str:
        """Address in the ledger."""
        return json_digest([self.market, sorted(self.symbols), str(self.first), str(self.last)])


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration: digest of all that decides its result, the command that ran it, its Sharpe ratio per bar.

    ``sharpe`` is None where there is none: no broker, an account that never moved, or too few bars.
    """

    configuration: str
    command: str
    sharpe: float | None


def ledger_path() -> Path:
    """``trials.sqlite`` in ``$RAGSIGNAL_CACHE``, where that is set, else in the user's data folder."""
    chosen = os.environ.get("RAGSIGNAL_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_data_path("ragsignal")
    return folder / "trials.sqlite"


class TrialLedger:
    """A file of trials.

    Parameters
    ----------
    path : Path or ":memory:"
        Created on first use.

    Raises
    ------
    StoreError
        If the file cannot be opened as a ledger, or not be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._database = Database(path, _prepare)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def add(self, bars: Bars, trials: Iterable[Trial]) -> None:
        """Count ``trials`` on ``bars``; one that was counted before stays as it is."""
        place = (bars.digest, bars.market, "\n".join(sorted(bars.symbols)), str(bars.first), str(bars.last))
        rows = [(bars.digest, it.configuration, it.command, it.sharpe) for it in trials]
        try:
            self._database.write(
                ("INSERT INTO bars VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", [place]),
                ("INSERT INTO trials VALUES (?, ?, ?, ?) ON CONFLICT (bars, configuration) DO NOTHING", rows),
            )
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def against(self, bars: Bars) -> list[Trial]:
        """All trials on bars that share a symbol and a day with ``bars``: whoever looked there has seen these days."""
        try:
            found = self._database.read(
                "SELECT id, symbols FROM bars WHERE market = ? AND first <= ? AND last >= ? ORDER BY id",
                (bars.market, str(bars.last), str(bars.first)),
            )
            shared = [name for name, symbols in found if not set(bars.symbols).isdisjoint(symbols.split("\n"))]
            return [trial for start in range(0, len(shared), _AT_ONCE) for trial in self._on(shared[start:][:_AT_ONCE])]
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def _on(self, names: list[str]) -> list[Trial]:
        marks = ",".join("?" * len(names))
        statement = f"SELECT configuration, command, sharpe FROM trials WHERE bars IN ({marks}) ORDER BY bars"
        return [Trial(*row) for row in self._database.read(statement, names)]

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _complaint(self, error: Exception) -> str:
        if disk_is_full(error):
            return str(full_disk(f"the ledger of trials {self.path}", error))
        return (
            f"cannot use the ledger of trials {self.path}: {error}; it counts what was tried on which bars, and "
            "results are judged by that number. If it is damaged, move it away (the count then begins anew), or set "
            "RAGSIGNAL_CACHE to a folder that can be written"
        )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.executescript(_SCHEMA)
    # a file that can only be read says so now, not after the work; BEGIN IMMEDIATE would not notice
    connection.execute("INSERT OR IGNORE INTO bars VALUES ('', '', '', '', '')")
    connection.rollback()


def bars_of(spec: RunSpec) -> Bars:
    """The bars that a spec tries its variants on."""
    return bars_between(spec.data, spec.data.start, spec.data.end)


def bars_between(data: DataSpec, first: date, last: date) -> Bars:
    """The bars of a table ``[data]`` on some days; bars of another length are others, as ratios are of a bar."""
    market = f"{data.source}/{data.seed}/{data.strength}" if data.source in _MADE_UP else ""
    clock = " ".join(word for word in (data.bar, data.calendar) if word)
    return Bars(f"{market} {clock}".strip(), data.symbols, first, last)


def configuration_of(spec: RunSpec, variant: Variant, recipe: Mapping[str, Any] | None, code: str | None = None) -> str:
    """Digest of what decides a variant's result besides its bars; its name does not.

    Parameters
    ----------
    spec, variant : RunSpec, Variant
    recipe : mapping, optional
        What decided its signals; None where it has none.
    code : str, optional
        Digest of its strategy's code; None where signals alone were scored, without a strategy and without costs.
    """
    made = None if recipe is None else [spec.corpus.model_dump(mode="json"), recipe]
    traded = None if code is None else [variant.strategy.model_dump(mode="json", by_alias=True), code]
    costs = None if code is None else spec.costs.model_dump(mode="json")
    return json_digest({"signal": variant.signal, "made": made, "traded": traded, "costs": costs})


def sharpe_of(returns: pd.Series | np.ndarray[Any, Any]) -> float | None:
    """Sharpe ratio per bar; None where the account never moved or was ruined (-1.0), and for fewer than 100 bars.

    A look at two weeks may show any ratio: kept, it would raise what luck is taken for on these bars for ever.
    """
    earned = np.asarray(returns, dtype=np.float64)
    if len(earned) < statistics.LEAST_DAYS or np.min(earned) <= -1.0:
        return None
    ratio = statistics.sharpe(earned)
    return float(ratio) if np.isfinite(ratio) else None


def check_ledger() -> None:
    """Raise ``StoreError`` where trials cannot be counted: before the work, not after it."""
    TrialLedger(ledger_path()).close()


def count(spec: RunSpec, trials: Iterable[Trial]) -> list[Trial]:
    """Add ``trials`` to the user's ledger; return all that were ever counted on bars that share a day and a symbol."""
    ledger = TrialLedger(ledger_path())
    try:
        ledger.add(bars_of(spec), trials)
        return ledger.against(bars_of(spec))
    finally:
        ledger.close()


def count_run(
    spec: RunSpec,
    returns: Mapping[str, pd.Series],
    recipes: Mapping[str, Mapping[str, Any] | None],
    codes: Mapping[str, str],
) -> TrialCount:
    """Count a backtest.

    Parameters
    ----------
    spec : RunSpec
    returns : mapping of variant to Series of float
        Simple return of each bar.
    recipes : mapping of variant to dict or None
        What decided its signals.
    codes : mapping of variant to str
        Digests of the strategies' code.
    """
    counted = {name: earned for name, earned in returns.items() if name != spec.benchmark}
    trials = [
        Trial(
            configuration_of(spec, spec.find_variant(name), recipes[name], codes[name]), "backtest", sharpe_of(earned)
        )
        for name, earned in counted.items()
    ]
    ever = count(spec, trials)
    own: TrialCount = {"count": len(ever), "configurations": len(trials)}
    luck = deflated(counted, ever)
    return own if luck is None else {**own, **luck}


def deflated(returns: Mapping[str, pd.Series], trials: Sequence[Trial]) -> LuckFigures | None:
    """What ``trials`` say about the best of ``returns``; None below two ratios."""
    tried = [trial.sharpe for trial in trials if trial.sharpe is not None]
    ratios = {name: ratio for name, earned in returns.items() if (ratio := sharpe_of(earned)) is not None}
    if len(tried) < 2 or not ratios:
        return None
    variance = float(np.var(tried, ddof=1))
    a_year = statistics.bars_a_year(pd.DatetimeIndex(next(iter(returns.values())).index))
    luck = statistics.best_of_noise(variance, len(trials))
    best = max(ratios, key=lambda name: ratios[name])
    needed = statistics.minimum_track_record(returns[best].to_numpy(dtype=np.float64), luck)
    believed = {
        name: statistics.deflated_sharpe(returns[name].to_numpy(dtype=np.float64), len(trials), variance)
        for name in ratios
    }
    return {
        "best": best,
        "sharpe0": float(luck * a_year**0.5),
        "deflated_sharpe": {name: float(it) for name, it in believed.items() if np.isfinite(it)},
        "needed_years": float(needed / a_year) if np.isfinite(needed) else None,
    }
