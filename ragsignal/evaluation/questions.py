"""The questions of an evaluation and their outcomes: the same queries for every forecaster, cut from the past only.

Days and symbols are those of the :class:`~ragsignal.data.Panel`; a table (n_days, n_symbols) has a row a calendar day
and a column a symbol. Labels of days before the test teach the free baselines, by the day on which they became known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import RunSpec, Target
from ragsignal.data import FACTORS, Panel, build_panel, clock_of, days_of, label_tables, movement_of
from ragsignal.errors import ConfigError, DataError
from ragsignal.evaluation.days import places
from ragsignal.evaluation.queries import cut_when_asked
from ragsignal.types import BoolArray, FloatArray, IntArray, Query
from ragsignal.utils import lower, upper

STYLES = ("size", "vol_60", "mom_250", "ret_1")
"""What a residual IC is free of: dollar volume of 60 days, volatility, momentum without its last month, last return."""

LEAST_SYMBOLS = 5
"""A day with fewer symbols ranks nothing: Spearman's correlation of 4 has a standard error of 0.58."""
ENOUGH_SYMBOLS = 30

_SIZE_DAYS = 60
# a median that is taken from all outcomes of a day moves no rank among them
_IC_TARGETS: tuple[Target, ...] = ("movement", "open_to_open")
_LEAST_ROWS = 100  # a hit rate of fewer labels is off by more than 0.1


@dataclass(frozen=True, slots=True)
class QuestionCounts:
    """The queries in numbers: first and last day, share of rises, and how many moved by more than a freeze."""

    n: int
    days: int
    symbols: int
    first: str
    last: str
    rises: float
    non_freeze: int


@dataclass(frozen=True, slots=True)
class TrainingCounts:
    """The labels that free baselines learn from in numbers; ``known_through`` is when the last one became known."""

    labels: int
    days: int
    first: str
    last: str
    known_through: str
    rises: float


@dataclass(frozen=True, eq=False)
class Questions:
    """Queries of the test, and the labels of all days.

    Parameters
    ----------
    panel : Panel
        Factors of all symbols on all days.
    outcomes : (n_days, n_symbols) float64
        Forward returns of the target, fractions; NaN where there is no bar, or the outcome is not known yet.
    available_at : (n_days, n_symbols) datetime64[D]
        The day at whose close each outcome was known; NaT where it is not.
    close_outcomes, open_outcomes : (n_days, n_symbols) float64
        Forward returns over the same horizon, close to close and next open to the open after it, whatever the target.
    dollar_volume : (n_days, n_symbols) float32
        Mean of close times volume over the last 60 bars.
    is_query : (n_days, n_symbols) bool
        Which cells are asked.
    queries : sequence of Query
        In the order of ``np.nonzero(is_query)``: by day, then by symbol; each is cut when it is asked for.
    scale : float
        How much farther a price moves in a bar than in a day, by which the paper's thresholds are multiplied.
    """

    panel: Panel
    outcomes: FloatArray
    available_at: NDArray[np.datetime64]
    close_outcomes: FloatArray
    open_outcomes: FloatArray
    dollar_volume: NDArray[np.float32]
    is_query: BoolArray
    queries: Sequence[Query]
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.queries)

    @cached_property
    def outcome(self) -> FloatArray:
        """Outcome of each query, (n,)."""
        return self.outcomes[self.is_query]

    @cached_property
    def close_outcome(self) -> FloatArray:
        """Close-to-close outcome of each query, (n,); NaN where it is not known."""
        return self.close_outcomes[self.is_query]

    @cached_property
    def open_outcome(self) -> FloatArray:
        """Open-to-open outcome of each query, (n,); NaN where it is not known."""
        return self.open_outcomes[self.is_query]

    @cached_property
    def styles(self) -> FloatArray:
        """Ranks (n, 4) of each query in :data:`STYLES` among those of its day, from -0.5 to 0.5; 0 where missing."""
        columns = [self.dollar_volume, *(self.panel.values[:, :, FACTORS.index(name)] for name in STYLES[1:])]
        ranks = np.zeros((int(self.is_query.sum()), len(columns)))
        for number, column in enumerate(columns):
            values = column[self.is_query].astype(np.float64)
            known = np.isfinite(values)
            stands = places(values[known], self.day[known])
            ranks[known, number] = stands.centred / stands.count
        return ranks

    @cached_property
    def least(self) -> int:
        """Symbols that a day must have to be ranked: half of all, but at least 5, and 30 are enough."""
        return int(np.clip(self.is_query.any(axis=0).sum() // 2, LEAST_SYMBOLS, ENOUGH_SYMBOLS))

    @cached_property
    def years(self) -> IntArray:
        """Calendar year of each day that has a query, (n_days,)."""
        days = self.panel.days[self.is_query.any(axis=1)]
        return np.asarray(days.astype("datetime64[Y]").astype(np.int64) + 1970)

    @cached_property
    def day(self) -> IntArray:
        """Number of the day of each query among the days that have one, (n,)."""
        return np.unique(np.nonzero(self.is_query)[0], return_inverse=True)[1].ravel().astype(np.int64)

    @property
    def n_days(self) -> int:
        """Days with a query."""
        return int(self.is_query.any(axis=1).sum())

    @cached_property
    def non_freeze(self) -> BoolArray:
        """Queries (n,) whose outcome is a rise or a fall of the paper's size: known in hindsight only."""
        return np.asarray(movement_of(self.outcome, self.scale) != 0)

    def known_through(self, day: np.datetime64) -> BoolArray:
        """Labels (n_days, n_symbols) known at the close of ``day``; a comparison with NaT is False."""
        return np.asarray(self.available_at <= day)

    def counts(self) -> QuestionCounts:
        """Count the queries."""
        days = self.panel.days[self.is_query.any(axis=1)]
        return QuestionCounts(
            n=len(self),
            days=self.n_days,
            symbols=int(self.is_query.any(axis=0).sum()),
            first=str(days[0]),
            last=str(days[-1]),
            rises=float(np.mean(self.outcome > 0)),
            non_freeze=int(self.non_freeze.sum()),
        )

    def training_counts(self, learn: BoolArray) -> TrainingCounts:
        """Count the labels of ``learn`` (n_days, n_symbols)."""
        days = self.panel.days[learn.any(axis=1)]
        return TrainingCounts(
            labels=int(learn.sum()),
            days=len(days),
            first=str(days[0]),
            last=str(days[-1]),
            known_through=str(self.available_at[learn].max()),
            rises=float(np.mean(self.outcomes[learn] > 0)),
        )


def build_questions(frames: Mapping[str, pd.DataFrame], spec: RunSpec) -> Questions:
    """Ask for every symbol on every ``evaluation.every``-th trading day of the test, as far as the outcome is known.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Adjusted bars of ``spec.data.symbols``, the whole history through ``data.end``.

    Raises
    ------
    DataError
        If there is no query.
    """
    panel = build_panel(frames)
    target, horizon = spec.evaluation.target, spec.evaluation.horizon
    labels = {kind: label_tables(frames, panel.days, panel.symbols, kind, horizon) for kind in {target, *_IC_TARGETS}}
    outcomes, available_at = labels[target]
    is_query = np.isfinite(outcomes)
    is_query[np.setdiff1d(np.arange(len(panel.days)), _test_rows(panel, spec))] = False
    if not is_query.any():
        raise DataError(
            f"no query from {spec.data.start} to {spec.data.end} has a known outcome in the prices of "
            f"{len(frames)} symbols; check data.start, data.end and the prices (`ragsignal data check`)"
        )
    return Questions(
        panel=panel,
        outcomes=outcomes,
        available_at=available_at,
        close_outcomes=labels["movement"][0],
        open_outcomes=labels["open_to_open"][0],
        dollar_volume=_dollar_volume(frames, panel),
        is_query=is_query,
        queries=cut_when_asked(frames, panel, is_query, spec.corpus.lookback),
        scale=clock_of(next(iter(frames.values()))).scale,
    )


def training_rows(questions: Questions, spec: RunSpec) -> BoolArray:
    """Labels (n_days, n_symbols) that free baselines may learn from: known ``embargo`` bars before the test begins.

    Raises
    ------
    ConfigError
        If ``evaluation.train_end`` is later than that, or too few labels are left.
    """
    days, options = questions.panel.days, spec.evaluation
    first_test = int(np.searchsorted(days, lower(spec.data.start, days)))
    last = first_test - 1 - options.embargo
    allowed = days[last] if last >= 0 else days[0] - np.timedelta64(1, "D")
    if options.train_end is not None and upper(options.train_end, days) > allowed:
        raise ConfigError(
            f"evaluation.train_end is {options.train_end}, but the test starts on {days[first_test]}: with an embargo "
            f"of {options.embargo} bars labels are usable through {allowed}; set train_end to that day, or drop it"
        )
    through = allowed if options.train_end is None else upper(options.train_end, days)
    rows = questions.known_through(through)
    if options.train_start is not None:
        rows &= (days >= lower(options.train_start, days))[:, None]
    if rows.sum() < _LEAST_ROWS:
        raise ConfigError(
            f"the free baselines have {rows.sum()} labels known through {through} to learn from, and need "
            f"{_LEAST_ROWS}; start the test later (data.start), give longer prices, or move evaluation.train_start back"
        )
    return rows


def _dollar_volume(frames: Mapping[str, pd.DataFrame], panel: Panel) -> NDArray[np.float32]:
    table = np.full((len(panel.days), len(panel.symbols)), np.nan, dtype=np.float32)
    for column, symbol in enumerate(panel.symbols):
        bars = frames[symbol]
        traded = (bars["close"] * bars["volume"]).rolling(_SIZE_DAYS, min_periods=1).mean()
        table[np.searchsorted(panel.days, days_of(bars)), column] = traded
    return table


def _test_rows(panel: Panel, spec: RunSpec) -> IntArray:
    start, end = lower(spec.data.start, panel.days), upper(spec.data.end, panel.days)
    rows = np.flatnonzero((panel.days >= start) & (panel.days <= end))
    return rows[:: spec.evaluation.every]
