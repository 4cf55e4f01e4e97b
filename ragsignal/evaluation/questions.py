"""What is asked, and what came: the same queries for every forecaster, cut from the past only.

Days and symbols are those of the :class:`~ragsignal.data.wide.Panel`; a table (n_days, n_symbols) has a row a calendar
day and a column a symbol. Labels of days before the test teach the free baselines, by when they were *known*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import RunSpec
from ragsignal.data import Panel, build_panel, cut_query, forward_returns, movement_of
from ragsignal.errors import ConfigError, DataError
from ragsignal.evaluation.days import Floats, Ints
from ragsignal.types import Query

Mask = NDArray[np.bool_]

_LEAST_ROWS = 100  # a hit rate of fewer labels is off by more than 0.1


@dataclass(frozen=True, eq=False)
class Questions:
    """Queries of the test, and the labels of all days.

    Parameters
    ----------
    panel : Panel
        Factors of all symbols on all days.
    outcomes : (n_days, n_symbols) float64
        Forward returns of the target, fractions; NaN where there is no bar, or the outcome is not known yet.
    known : (n_days, n_symbols) datetime64[D]
        The day at whose close each outcome was known; NaT where it is not.
    asked : (n_days, n_symbols) bool
        The queries.
    queries : tuple of Query
        In the order of ``np.nonzero(asked)``: by day, then by symbol.
    """

    panel: Panel
    outcomes: Floats
    known: NDArray[np.datetime64]
    asked: Mask
    queries: tuple[Query, ...]

    def __len__(self) -> int:
        return len(self.queries)

    @cached_property
    def outcome(self) -> Floats:
        """Outcome of each query, (n,)."""
        return self.outcomes[self.asked]

    @cached_property
    def day(self) -> Ints:
        """Number of the day of each query among the days that have one, (n,)."""
        return np.unique(np.nonzero(self.asked)[0], return_inverse=True)[1].ravel().astype(np.int64)

    @property
    def n_days(self) -> int:
        """Days with a query."""
        return int(self.asked.any(axis=1).sum())

    @cached_property
    def non_freeze(self) -> Mask:
        """Queries (n,) whose outcome is a rise or a fall of the paper's size: known in hindsight only."""
        return np.asarray(movement_of(self.outcome) != 0)


def ask(frames: Mapping[str, pd.DataFrame], spec: RunSpec) -> Questions:
    """Every symbol on every ``evaluation.every``-th trading day of the test, as far as the outcome is known.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Adjusted bars of ``spec.data.symbols``, the whole history through ``data.end``.

    Raises
    ------
    DataError
        If nothing can be asked.
    """
    panel = build_panel(frames)
    outcomes, known = _label_tables(frames, panel, spec)
    asked = np.isfinite(outcomes)
    asked[np.setdiff1d(np.arange(len(panel.days)), _test_rows(panel, spec))] = False
    if not asked.any():
        raise DataError(
            f"no query from {spec.data.start} to {spec.data.end} has a known outcome in the prices of "
            f"{len(frames)} symbols; check data.start, data.end and the prices (`ragsignal data check`)"
        )
    return Questions(panel, outcomes, known, asked, _cut(frames, panel, asked, spec.corpus.lookback))


def training_rows(questions: Questions, spec: RunSpec) -> Mask:
    """Labels (n_days, n_symbols) that free baselines may learn from: known ``embargo`` bars before the test begins.

    Raises
    ------
    ConfigError
        If ``evaluation.train_end`` is later than that, or too few labels are left.
    """
    days, wanted = questions.panel.days, spec.evaluation
    first_test = int(np.searchsorted(days, np.datetime64(spec.data.start)))
    last = first_test - 1 - wanted.embargo
    allowed = days[last] if last >= 0 else days[0] - np.timedelta64(1, "D")
    if wanted.train_end is not None and np.datetime64(wanted.train_end) > allowed:
        raise ConfigError(
            f"evaluation.train_end is {wanted.train_end}, but the test starts on {days[first_test]}: with an embargo "
            f"of {wanted.embargo} bars labels are usable through {allowed}; set train_end to that day, or drop it"
        )
    through = allowed if wanted.train_end is None else np.datetime64(wanted.train_end)
    rows = known_through(questions, through)
    if wanted.train_start is not None:
        rows &= (days >= np.datetime64(wanted.train_start))[:, None]
    if rows.sum() < _LEAST_ROWS:
        raise ConfigError(
            f"the free baselines have {rows.sum()} labels known through {through} to learn from, and need "
            f"{_LEAST_ROWS}; start the test later (data.start), give longer prices, or move evaluation.train_start back"
        )
    return rows


def known_through(questions: Questions, day: np.datetime64 | date) -> Mask:
    """Labels (n_days, n_symbols) known at the close of ``day``; a comparison with NaT is False."""
    return np.asarray(questions.known <= np.datetime64(day))


def _label_tables(
    frames: Mapping[str, pd.DataFrame], panel: Panel, spec: RunSpec
) -> tuple[Floats, NDArray[np.datetime64]]:
    shape = (len(panel.days), len(panel.symbols))
    outcomes, known = np.full(shape, np.nan), np.full(shape, np.datetime64("NaT", "D"))
    for symbol, labels in forward_returns(frames, spec.evaluation.target).items():
        rows = np.searchsorted(panel.days, labels.index.to_numpy().astype("datetime64[D]"))
        column = panel.symbols.index(symbol)
        outcomes[rows, column] = labels["outcome"]
        known[rows, column] = labels["available_at"].to_numpy().astype("datetime64[D]")
    return outcomes, known


def _test_rows(panel: Panel, spec: RunSpec) -> Ints:
    start, end = np.datetime64(spec.data.start), np.datetime64(spec.data.end)
    rows = np.flatnonzero((panel.days >= start) & (panel.days <= end))
    return rows[:: spec.evaluation.every]


def _cut(frames: Mapping[str, pd.DataFrame], panel: Panel, asked: Mask, lookback: int) -> tuple[Query, ...]:
    """Queries in the order of ``np.nonzero(asked)``."""
    by_place: dict[tuple[int, int], Query] = {}
    for column, symbol in enumerate(panel.symbols):
        frame = frames[symbol]
        bars = frame.index.to_numpy().astype("datetime64[D]")
        days, closes = bars.tolist(), frame["close"].tolist()
        for row in np.flatnonzero(asked[:, column]):
            end = int(np.searchsorted(bars, panel.days[row])) + 1
            past = slice(max(0, end - lookback - 1), end)
            by_place[int(row), column] = cut_query(symbol, days[past], closes[past], lookback)
    return tuple(by_place[place] for place in sorted(by_place))
