"""Days of a universe as candidates: the market's state at the close, what each factor paid, and when that was known.

    rank letters, forward returns ─► slopes of each day's cross-sectional regression (payoffs) ─► MarketDays ◄─ shipped

A stock's label is one part in a thousand signal; a day sums up a thousand of them. The slopes are those of Fama and
MacBeth (1973, J. Political Economy 81), with a ridge: what a factor paid while the others are held still.
Days are sorted, and so are the days on which their payoffs were known, so that what may be seen as of a day is a
prefix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import Target
from ragsignal.data.labels import bars_until_known, label_tables
from ragsignal.data.market_state import market_states
from ragsignal.data.rank_factors import RANK_FACTORS
from ragsignal.data.rank_letters import LEAST_STOCKS, RANK_LETTERS, Letters, RankLetters
from ragsignal.data.ranks import daily_ranks
from ragsignal.errors import LookAheadError
from ragsignal.types import BoolArray, DatedHits, FloatArray, IntArray, MarketDay

_RIDGE = 20.0  # over the number of stocks: .02 at a thousand; noise of a slope falls with the number of stocks
_DECIMALS = 6


@dataclass(frozen=True, eq=False, repr=False)
class MarketDays:
    """Days in ascending order. Make them with :func:`build_market_days`.

    Parameters
    ----------
    days : (n,) datetime64[D]
    market, dispersion : (n,) float64
        Median log return of the universe, and the standard deviation of its stocks' returns around it.
    stocks : (n,) int32
        Stocks with a label; 0 where there are no payoffs.
    payoffs : (n, n_factors) float64
        NaN where too few stocks have a label, or none is known yet.
    available_at : (n,) datetime64[D]
        When the payoffs were known, ascending; NaT at the end of the data.
    horizon : int
        Bars that the payoffs look ahead.
    """

    days: NDArray[np.datetime64]
    market: FloatArray
    dispersion: FloatArray
    stocks: NDArray[np.int32]
    payoffs: FloatArray
    available_at: NDArray[np.datetime64]
    horizon: int

    def __repr__(self) -> str:
        return f"MarketDays({len(self.days)} days, {int(self.retrievable.sum())} with state and payoffs)"

    @cached_property
    def states(self) -> FloatArray:
        """State of each day, (n, 8); rows of NaN where it is unknown."""
        return market_states(self.market, self.dispersion)

    @cached_property
    def retrievable(self) -> BoolArray:
        """Which days have a state and payoffs, (n,)."""
        known: BoolArray = np.isfinite(self.states[:, 0]) & np.isfinite(self.payoffs[:, 0])
        return known

    def row(self, day: date) -> int | None:
        """The place of a day; None where the universe has no such day."""
        row = int(np.searchsorted(self.days, np.datetime64(day)))
        return row if row < len(self.days) and self.days[row] == np.datetime64(day) else None

    def visible(self, as_of: date, embargo: int = 0) -> IntArray:
        """Rows that can be retrieved as of a day's close, ``embargo`` days of the calendar held back; ascending."""
        return np.flatnonzero(self.retrievable[: self._known(as_of, embargo)])

    def digest_as_of(self, as_of: date, embargo: int = 0) -> str:
        """Digest of all that is known as of a day: every state up to it, and the payoffs that had matured."""
        seen = int(np.searchsorted(self.days, np.datetime64(as_of), side="right"))
        known = self._known(as_of, embargo)
        parts = [self._state_digests[seen - 1] if seen else b"", self._payoff_digests[known - 1] if known else b""]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def record(self, row: int) -> MarketDay:
        """The day in row ``row`` as a record, one and the same each time."""
        if row not in self._records:
            self._records[row] = MarketDay(
                day=self.days[row].item(),
                state=tuple(self.states[row].tolist()),
                payoffs=tuple(self.payoffs[row].tolist()),
                stocks=int(self.stocks[row]),
                available_at=self.available_at[row].item(),
            )
        return self._records[row]

    def followed_by(self, own: MarketDays) -> MarketDays:
        """These days, and the days of another universe that come after them.

        A day is available when those before it are too: calendars may differ, and what can be seen stays a prefix.

        Raises
        ------
        ValueError
            If the payoffs look ahead by different numbers of bars.
        """
        if own.horizon != self.horizon:
            raise ValueError(f"payoffs over {self.horizon} and {own.horizon} bars are not the same thing")
        past = self.days[~np.isnat(self.available_at)]  # its last days have no payoffs: they would never get any
        later = slice(int(np.searchsorted(own.days, past[-1], side="right")) if len(past) else 0, None)
        joined = {
            name: np.concatenate([getattr(self, name)[: len(past)], getattr(own, name)[later]])
            for name in ("days", "market", "dispersion", "stocks", "payoffs", "available_at")
        }
        joined["available_at"] = np.maximum.accumulate(joined["available_at"])  # NaT, at the end alone, stays NaT
        return MarketDays(**joined, horizon=self.horizon)

    def _known(self, as_of: date, embargo: int) -> int:
        """Number of rows whose payoffs were known by then."""
        last = int(np.searchsorted(self.days, np.datetime64(as_of), side="right")) - 1 - embargo
        return int(np.searchsorted(self._known_on, self.days[last], side="right")) if last >= 0 else 0

    @cached_property
    def _known_on(self) -> NDArray[np.datetime64]:
        """``available_at``, with a day that never comes for NaT."""
        never = np.datetime64("9999-12-31")
        known: NDArray[np.datetime64] = np.where(np.isnat(self.available_at), never, self.available_at)
        return known

    @cached_property
    def _records(self) -> dict[int, MarketDay]:
        return {}

    @cached_property
    def row_digests(self) -> NDArray[np.void]:
        """A digest of 16 bytes of all that is known of each day, (n,)."""
        columns = (self.days, self.stocks, self._known_on, self.payoffs, self.states)
        rows = zip(*(np.ascontiguousarray(column) for column in columns), strict=True)
        digests = [hashlib.sha256(b"".join(part.tobytes() for part in row)).digest()[:16] for row in rows]
        return np.frombuffer(b"".join(digests), dtype="V16")

    @cached_property
    def _state_digests(self) -> list[bytes]:
        return _running([self.days.astype(np.int64), np.nan_to_num(self.states, nan=-99.0)])

    @cached_property
    def _payoff_digests(self) -> list[bytes]:
        known_on = self._known_on.astype(np.int64)
        return _running([self.days.astype(np.int64), known_on, np.nan_to_num(self.payoffs, nan=-99.0)])


class DayHits(DatedHits):
    """Retrieved days, best first: one object for all queries of a day, its records made when they are looked at.

    Parameters
    ----------
    table : MarketDays
    rows : (k,) int64
        Of ``table``.
    scores : (k,) float64
        Similarity in (0, 1]; below 0, the similarity less 1, of days that were retrieved as the most unlike ones.
    """

    def __init__(self, table: MarketDays, rows: IntArray, scores: FloatArray) -> None:
        self.table, self.rows, self._scores = table, rows, scores

    @property
    def days(self) -> tuple[MarketDay, ...]:
        """As records."""
        return tuple(map(self.table.record, self.rows.tolist()))

    @property
    def scores(self) -> FloatArray:
        """Similarities, (k,)."""
        return self._scores

    # not kept: 600 days are a quarter of a megabyte, and a run has a thousand sets of them
    @property
    def payoffs(self) -> FloatArray:
        """(k, n_factors)."""
        return self.table.payoffs[self.rows]

    @property
    def states(self) -> FloatArray:
        """(k, 8)."""
        return self.table.states[self.rows]

    @cached_property
    def known_through(self) -> date | None:
        """The day on which the last of them was known; None for no hits."""
        return self.table.available_at[self.rows].max().item() if len(self.rows) else None

    def ages(self, as_of: date) -> FloatArray:
        """Calendar days since each was known, (k,).

        Raises
        ------
        LookAheadError
            If one was not known as of the day.
        """
        ages = (np.datetime64(as_of) - self.table.available_at[self.rows]).astype(np.float64)
        if (ages < 0).any():
            late = self.table.record(int(self.rows[int(np.argmin(ages))]))
            raise LookAheadError(f"as of {as_of}: what {late.id} paid was only known on {late.available_at}")
        return np.asarray(ages)

    @cached_property
    def digest(self) -> str:
        """Of which days there are, all that is known of them, and how near they are."""
        return hashlib.sha256(self.table.row_digests[self.rows].tobytes() + self.scores.tobytes()).hexdigest()

    def only(self, kept: BoolArray) -> DayHits:
        """The hits of ``kept`` (k,)."""
        return DayHits(self.table, self.rows[kept], self.scores[kept])

    def __repr__(self) -> str:
        return f"DayHits({len(self)} days)"


def build_market_days(
    letters: RankLetters, frames: Mapping[str, pd.DataFrame], target: Target, horizon: int = 1
) -> MarketDays:
    """Compute the state of every day of a universe, and what each factor paid after it.

    Parameters
    ----------
    letters : RankLetters
    frames : mapping of symbol to DataFrame
        The bars that ``letters`` are made of.
    target, horizon
        Of the labels, as for :func:`~ragsignal.data.labels.forward_returns`; their ranks are regressed on.

    Returns
    -------
    MarketDays
        Payoffs of a day rest on the stocks whose label was known when ``horizon`` days of the calendar had passed (one
        more for ``open_to_open``), and are available then: a stock that did not trade holds up no day.
    """
    days, wait = letters.days, bars_until_known(target, horizon)
    outcomes, known_on = label_tables(frames, days, letters.symbols, target, horizon)
    available_at = np.full(len(days), np.datetime64("NaT"), dtype="datetime64[D]")
    available_at[: max(len(days) - wait, 0)] = days[wait:]
    labelled = letters.ranked & np.isfinite(outcomes) & (known_on <= available_at[:, None])
    ranks = 2.0 * daily_ranks(np.where(labelled, outcomes, np.nan)) - 1.0
    stocks = labelled.sum(axis=1).astype(np.int32)
    stocks[stocks < LEAST_STOCKS] = 0
    payoffs = np.full((len(days), len(RANK_FACTORS)), np.nan)
    for row in np.flatnonzero(stocks):
        there = labelled[row]
        payoffs[row] = np.round(_slopes(letters.letters[row, there], ranks[row, there]), _DECIMALS) + 0.0
    return MarketDays(days, letters.market, letters.dispersion, stocks, payoffs, available_at, horizon)


def factor_values(letters: Letters) -> FloatArray:
    """Letters as numbers from -1 to 1: the middle of each sixteenth, and 0 where unknown."""
    return np.where(letters == RANK_LETTERS, 0.0, (letters + 0.5) * (2.0 / RANK_LETTERS) - 1.0)


def _slopes(letters: Letters, ranks: FloatArray) -> FloatArray:
    """Ridge regression of a day's ranks (n,) on its letters (n, n_factors): (n_factors,)."""
    factors, count = factor_values(letters), len(ranks)
    gram = factors.T @ factors / count + _RIDGE / count * np.eye(factors.shape[1])
    return np.asarray(np.linalg.solve(gram, factors.T @ ranks / count), dtype=np.float64)


def _running(columns: Sequence[NDArray[np.generic]]) -> list[bytes]:
    """A digest a row, of the rows up to it."""
    running, digests = hashlib.sha256(), []
    for row in range(len(columns[0])):
        running.update(b"".join(np.ascontiguousarray(column[row]).tobytes() for column in columns))
        digests.append(running.digest())
    return digests
