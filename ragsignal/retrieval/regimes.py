"""Days of months whose economy was like today's: a published rule on macro variables that the user brings.

    values, known some days after their date ─► state of each month end ─► fifths of past months ─► days after them

Mulliner, Harvey, Xia, Fang and van Hemert (2025), Regimes, SSRN 5164863: a variable's change over twelve months over
its standard deviation in ten years, held within 3; Euclidean distance of such states; the most similar fifth of the
months before the last three years, and the least similar fifth with a minus sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data import DayHits, MarketDays
from ragsignal.errors import DataError
from ragsignal.retrieval.days import NearestDays
from ragsignal.retrieval.state_metric import StateMetric
from ragsignal.types import FloatArray, IntArray, Recipe
from ragsignal.utils import json_digest

_YEAR, _DECADE = 12, 120  # months
_LEAST = 60  # changes that a standard deviation needs
_HELD = 3.0
_LEFT_OUT = 36  # months before the query's: they are like it because they are near it
_SHARES = 5
_STALE = 366  # days after which a value no longer says anything


@dataclass(frozen=True, eq=False)
class Macro:
    """Values of macro variables. Read them with :func:`read_macro`.

    Parameters
    ----------
    names : tuple of str
    dates : (n,) datetime64[D]
        Ascending.
    values : (n, len(names)) float64
        NaN where a variable has no value.
    lag : int
        Days from the date of a value to the first day on which it was known.
    """

    names: tuple[str, ...]
    dates: NDArray[np.datetime64]
    values: FloatArray
    lag: int

    @property
    def known_on(self) -> NDArray[np.datetime64]:
        """The first day at whose close each row was known, (n,)."""
        return np.asarray(self.dates + np.timedelta64(self.lag, "D"))

    @cached_property
    def first(self) -> int:
        """Number of the month of the first row of :attr:`states`, counted from January 1970."""
        return int(self.dates[0].astype("datetime64[M]").astype(np.int64))

    @cached_property
    def states(self) -> FloatArray:
        """State at the end of each month from :attr:`first` on, (n_months, len(names)); rows of NaN if unknown."""
        last = int((self.known_on[-1] + np.timedelta64(_STALE, "D")).astype("datetime64[M]").astype(np.int64))
        levels = self._levels(last_days(np.arange(self.first, last + 1)))
        changes = np.full(levels.shape, np.nan)
        changes[_YEAR:] = levels[_YEAR:] - levels[:-_YEAR]
        states = np.full(levels.shape, np.nan)
        for month in range(_LEAST + _YEAR - 1, len(changes)):
            decade = changes[max(0, month + 1 - _DECADE) : month + 1]
            if (np.isfinite(decade).sum(axis=0) >= _LEAST).all() and np.isfinite(changes[month]).all():
                spread = np.nanstd(decade, axis=0)
                if (spread > 0.0).all():
                    states[month] = np.clip(changes[month] / spread, -_HELD, _HELD)
        return states

    def state_of(self, months: IntArray) -> FloatArray:
        """States at the ends of months by their numbers, (n, len(names)); NaN if unknown."""
        rows = months - self.first
        there = (rows >= 0) & (rows < len(self.states))
        found = np.full((len(months), len(self.names)), np.nan)
        found[there] = self.states[rows[there]]
        return found

    def digest_as_of(self, day: date) -> str:
        """Digest of the values that were known at the last month end of a day."""
        seen = self.known_on <= last_days(last_months(np.array([day], dtype="datetime64[D]")))[0]
        rows = np.nan_to_num(self.values[seen], nan=-1e300).tolist()
        return json_digest([self.names, self.dates[seen].astype(str).tolist(), rows])

    def _levels(self, ends: NDArray[np.datetime64]) -> FloatArray:
        """The last value of each variable that was known on each day, (n_days, len(names)); NaN where it is too old."""
        levels = np.full((len(ends), len(self.names)), np.nan)
        for column, values in enumerate(self.values.T):
            there = np.isfinite(values)
            known_on, held = self.known_on[there], values[there]
            place = np.searchsorted(known_on, ends, side="right") - 1
            fresh = (place >= 0) & (ends - known_on[place] <= np.timedelta64(_STALE, "D"))
            levels[fresh, column] = held[place[fresh]]
        return levels


def last_months(days: NDArray[np.datetime64]) -> IntArray:
    """Number of the last month that was over at the close of each day, counted from January 1970."""
    following = days.astype("datetime64[D]") + np.timedelta64(1, "D")
    return np.asarray(following.astype("datetime64[M]").astype(np.int64) - 1)


def last_days(months: IntArray) -> NDArray[np.datetime64]:
    """The last day of months by their numbers."""
    return np.asarray((months + 1).astype("datetime64[M]").astype("datetime64[D]") - np.timedelta64(1, "D"))


def read_macro(path: Path, lag: int) -> Macro:
    """Read macro variables from a CSV file: a column of dates, then a column of numbers a variable.

    Parameters
    ----------
    path : Path
    lag : int
        Days after which a value is known.

    Raises
    ------
    DataError
        If the file cannot be read so, or its dates do not ascend.
    """
    try:
        table = pd.read_csv(path, index_col=0, parse_dates=True)
        dates = table.index.to_numpy().astype("datetime64[D]")
        values = table.to_numpy(dtype=np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"retrieval.macro: cannot read {path}: {error}. {FORM}") from error
    if not values.size or not np.isfinite(values).any(axis=0).all() or np.isinf(values).any():
        raise DataError(f"retrieval.macro: {path} has no column of numbers, or one without any. {FORM}")
    if not (np.diff(dates) > np.timedelta64(0, "D")).all():
        raise DataError(f"retrieval.macro: the dates of {path} do not ascend, one row a date. {FORM}")
    return Macro(tuple(map(str, table.columns)), dates, values, lag)


FORM = (
    "A CSV file was expected: a column of dates (2004-01-31), then one column of numbers a variable, with its name on "
    "top; an empty cell has no value"
)


class RegimeDays(NearestDays):
    """Days whose last month end was like the query's, and those whose was most unlike it, by macro variables.

    Parameters
    ----------
    days, metric, artifact, embargo, max_age
        As of :class:`~ragsignal.retrieval.days.DayRetriever`; how many days there are follows from the fifths.
    macro : Macro
    """

    def __init__(
        self,
        days: MarketDays,
        metric: StateMetric,
        macro: Macro,
        artifact: str = "",
        embargo: int = 0,
        max_age: int | None = None,
    ) -> None:
        super().__init__(days, metric, artifact, k=0, embargo=embargo, max_age=max_age)
        self.macro = macro

    def digest_as_of(self, day: date) -> str:
        """Digest of the days that can be seen as of a day, and of the values that were known."""
        return json_digest([super().digest_as_of(day), self.macro.digest_as_of(day)])

    def _identity(self) -> Recipe:
        return {"retriever": "regimes/1", "lag": self.macro.lag}

    def _search(self, day: date) -> DayHits:
        seen = self.days.visible(day, self.embargo)
        if self.max_age is not None:
            seen = seen[-self.max_age :]
        of_day, alike, unlike = last_months(self.days.days[seen]), *self._fifths(day)
        near = [(seen[of_day == month], score) for month, score in alike]
        far = [(seen[of_day == month][::-1], score) for month, score in unlike]
        rows = [rows for rows, _ in (*near, *far)]
        scores = [np.full(len(rows), score) for rows, score in (*near, *far)]
        if not rows:
            return DayHits(self.days, np.empty(0, dtype=np.int64), np.empty(0))
        return DayHits(self.days, np.concatenate(rows), np.concatenate(scores))

    def _fifths(self, day: date) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """Months of the most similar fifth with their scores, nearest first, and of the least similar, farthest first.

        A score is the similarity exp(-d^2 / 2n) of n variables; of unlike months less 1, and always below 0.
        """
        (now,) = last_months(np.array([day], dtype="datetime64[D]")).tolist()
        months = np.arange(self.macro.first, now - _LEFT_OUT + 1)
        here, states = self.macro.state_of(np.array([now]))[0], self.macro.state_of(months)
        known = np.isfinite(states[:, 0]) & np.isfinite(here[0])
        months, squared = months[known], ((states[known] - here) ** 2).sum(axis=1)
        order = self._order(day, squared)
        size = len(order) // _SHARES
        scores = np.exp(-squared / (2.0 * len(here)))
        near, far = order[:size], order[len(order) - size :][::-1]
        unlike = np.minimum(scores[far] - 1.0, -1e-9)
        return _pairs(months[near], scores[near]), _pairs(months[far], unlike)


def _pairs(months: IntArray, scores: FloatArray) -> list[tuple[int, float]]:
    return list(zip(months.tolist(), scores.tolist(), strict=True))
