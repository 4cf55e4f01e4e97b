"""What is learned from of days: labels by day, retrieved days, and how payoffs and states become letters.

rank examples ─► MarketDays of the same universe ─► Euclidean metric, scales (training days alone) ─► DayExamples
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ragsignal.data import MarketDays, build_market_days
from ragsignal.errors import ConfigError, DataError
from ragsignal.llm import DayFeatures, DayScales, day_features, factor_product
from ragsignal.retrieval import DayRetriever, NearestDays, RandomDays, StateMetric
from ragsignal.training.ranks.examples import RankExamples, rank_examples
from ragsignal.training.run import TrainingRun
from ragsignal.types import BoolArray, FloatArray, IntArray

LEAST_PAST = 250
"""Retrievable days that a training day needs before it: with fewer, all of them are like it."""


@dataclass(frozen=True, eq=False)
class DayExamples:
    """Labels, and the days that can be retrieved for them.

    Parameters
    ----------
    ranks : RankExamples
    days : MarketDays
        On the calendar of the letters.
    metric : StateMetric
        Euclidean, of the states of the training days.
    scales : DayScales
        Of the training days.
    """

    ranks: RankExamples
    days: MarketDays
    metric: StateMetric
    scales: DayScales

    @cached_property
    def train_rows(self) -> IntArray:
        """Training days with enough past to retrieve from."""
        return self._rows(self.ranks.train)

    @cached_property
    def valid_rows(self) -> IntArray:
        """Validation days."""
        return self._rows(self.ranks.valid)

    def nearest(self, k: int, opposite: int) -> DayRetriever:
        """The days nearest by the Euclidean metric."""
        return NearestDays(self.days, self.metric, k=k, opposite=opposite)

    def drawn(self, k: int, opposite: int, seed: int) -> DayRetriever:
        """Days drawn by chance."""
        return RandomDays(self.days, self.metric, k=k, opposite=opposite, seed=seed)

    def features(self, row: int, retriever: DayRetriever) -> DayFeatures:
        """What the reader sees of the hits of day number ``row``."""
        as_of = self.days.days[row].item()
        return day_features(retriever.of_day(as_of), as_of, self.scales)

    def products(self, retriever: DayRetriever) -> FloatArray:
        """Factors times pooled payoffs of what a retriever finds, on validation days: (n_days, n_symbols)."""
        table = np.full(self.ranks.targets.shape, np.nan)
        for row in self.valid_rows.tolist():
            hits = retriever.of_day(self.days.days[row].item())
            table[row] = factor_product(self.ranks.letters.letters[row], hits)
        return table

    def _rows(self, part: BoolArray) -> IntArray:
        known = np.isfinite(self.days.states[:, 0])
        enough = np.cumsum(self.days.retrievable) > LEAST_PAST
        rows = np.flatnonzero(part.any(axis=1) & known & enough)
        if not len(rows):
            raise DataError(
                f"no day of a part has {LEAST_PAST} days with state and payoffs before it; begin data.start earlier"
            )
        return rows


def day_examples(run: TrainingRun) -> DayExamples:
    """Lay out the examples of a training spec; raises as :func:`rank_examples` does, and ``ConfigError`` with news."""
    if run.spec.news is not None:
        raise ConfigError(
            f"{run.spec.name}: days tell what the 41 factors of bars paid, and no factor of news; delete [news] and "
            "train StockLLM without it, or do without `ragsignal train days`"
        )
    ranks = rank_examples(run)
    letters, corpus = ranks.letters, run.spec.corpus
    frames = run.materials.prices.between(letters.days[0].item(), None).frames
    days = build_market_days(letters, frames, corpus.target, corpus.horizon)
    past = ranks.train.any(axis=1)
    states, payoffs = days.states[past & np.isfinite(days.states[:, 0])], days.payoffs[past & days.retrievable]
    scales = DayScales(payoffs.std(axis=0), states.mean(axis=0), states.std(axis=0))
    return DayExamples(ranks, days, StateMetric.euclidean(states), scales)
