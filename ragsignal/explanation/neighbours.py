"""What came of earlier signals like this one: the record that a reader of the explanation may hold against it.

earlier days ─► signals of the same variant ─► outcomes known on the day ─► the nearest in P ─► how many came true
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import Variant
from ragsignal.data import QueryCutter, calendar_of, days_of, label_tables
from ragsignal.explanation.explanation import DECIMALS, Neighbours
from ragsignal.signals import Pipeline
from ragsignal.statistics import clustered_share
from ragsignal.study import Study
from ragsignal.types import FloatArray, IntArray, Query
from ragsignal.utils import is_intraday, lower

NEAREST = 400
"""Earlier signals at most: a share of as many is known to 5 points, if they are as good as independent."""

DAYS = 250
"""Days before the signal's from which they are taken: a year."""


@dataclass(frozen=True, eq=False)
class Past:
    """Earlier signals of a variant whose outcome was known as of a day, latest first.

    ``day`` (n,) datetime64[D] or [m], ``probability`` and ``outcome`` (n,) float64; ``cluster`` (n,) numbers the
    stretch of days that share a part of their outcome; ``unstored`` signals were left out, as they would have to be
    made.
    """

    day: NDArray[np.datetime64]
    probability: FloatArray
    outcome: FloatArray
    cluster: IntArray
    unstored: int

    def like(self, probability: float) -> Neighbours:
        """The record of those nearest in P."""
        own = round(probability, DECIMALS)
        distance, order = np.abs(self.probability - own), self._nearest(own)
        side = self.probability[order] - 0.5
        spoken = order[(side != 0.0) & (self.outcome[order] != 0.0)]
        true = (self.probability[spoken] > 0.5) == (self.outcome[spoken] > 0.0)
        share = clustered_share(true, self.cluster[spoken])
        days = np.unique(self.day[spoken])
        return Neighbours(
            signals=len(spoken),
            days=len(days),
            true=int(true.sum()),
            share=share.value,
            low=share.low,
            high=share.high,
            nearest=float(distance[spoken[0]]) if len(spoken) else None,
            farthest=float(distance[spoken[-1]]) if len(spoken) else None,
            first=days[0].item() if len(days) else None,
            last=days[-1].item() if len(days) else None,
            earlier=len(self.day),
            unstored=self.unstored,
            words=self._words(self.probability[spoken], int(true.sum()), len(days)),
        )

    def _nearest(self, probability: float) -> IntArray:
        """Places of the nearest in P, nearest first; of equal ones the latest."""
        values = self.probability[self._by_probability]
        middle = int(np.searchsorted(values, probability))
        first = (
            int(np.searchsorted(values, values[max(0, middle - NEAREST)])) if len(values) else 0
        )  # all that are equal
        around = np.sort(self._by_probability[first : middle + NEAREST])
        return np.asarray(around[np.argsort(np.abs(self.probability[around] - probability), kind="stable")][:NEAREST])

    @cached_property
    def _by_probability(self) -> IntArray:
        return np.argsort(self.probability, kind="stable")

    def _words(self, values: FloatArray, true: int, days: int) -> str:
        left = f"; {self.unstored:,} more are not in the store, and would cost model calls" if self.unstored else ""
        if not len(values):
            return f"no earlier signal had an outcome by then{left}"
        sides = " on both sides of one half" if values.min() < 0.5 < values.max() else ""
        bars = "bars" if is_intraday(self.day) else "days"
        return (
            f"of the {len(values):,} earlier signals with the nearest P ({values.min():.4f} to {values.max():.4f}"
            f"{sides}), on {days:,} {bars}, {true:,} came true{left}"
        )


def past_of(study: Study, variant: Variant, source: Pipeline, as_of: date) -> Past:
    """Collect the earlier signals of all symbols of a spec, of the year before ``as_of``.

    Signals of a text model that are not in the store are left out: they would cost minutes or hours. All others are
    made.
    """
    known = _known(study, as_of)
    absent = set(source.missing(known.queries).values()) if variant.reads_text else set()
    asked = [place for place in range(len(known.queries)) if place not in absent]
    signals = source.signals([known.queries[place] for place in asked])
    spoken = [(place, signal) for place, signal in zip(asked, signals, strict=True) if signal.abstained is None]
    places = [place for place, _ in spoken]
    return Past(
        day=known.day[places],
        probability=np.array([round(signal.probability, DECIMALS) for _, signal in spoken]),
        outcome=known.outcome[places],
        cluster=known.row[places] // study.spec.corpus.horizon,
        unstored=len(absent),
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """Queries whose outcome was known, latest first, with day, number of the day, and outcome of each."""

    queries: list[Query]
    day: NDArray[np.datetime64]
    row: IntArray
    outcome: FloatArray


def _known(study: Study, as_of: date) -> _Known:
    spec = study.spec
    frames = study.prices.select(spec.data.symbols).between(None, as_of).frames
    days = calendar_of(frames.values())
    outcomes, known_on = label_tables(frames, days, tuple(frames), spec.corpus.target, spec.corpus.horizon)
    first = max(int(np.searchsorted(days, lower(spec.data.start, days))), len(days) - 1 - DAYS)
    known = np.isfinite(outcomes) & (known_on <= np.datetime64(as_of))
    known[:first] = False
    rows, columns = (places[::-1] for places in np.nonzero(known))
    cutter, symbols = QueryCutter(frames, spec.corpus.lookback), tuple(frames)
    bars = [np.searchsorted(days_of(frame), days).tolist() for frame in frames.values()]
    cells = zip(rows.tolist(), columns.tolist(), strict=True)
    queries = [cutter.cut(symbols[column], bars[column][row]) for row, column in cells]
    return _Known(queries, days[rows], rows, outcomes[rows, columns])
