"""The reading of retrieved days without a model: a stock's factors times what these factors paid on them.

    payoffs of the days like today's (mean) - 0.25 x payoffs of the days unlike it (mean) ─► w,  score = factors . w

The mean of daily cross-sectional slopes is the estimator of Fama and MacBeth (1973), here over retrieved days instead
of all; the minus sign on unlike days is the "anti-regime" of Mulliner et al. (2025, SSRN 5164863). StockLLM's reading
of the same days has to beat it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ragsignal.data import DayHits, Letters, RankLetters, factor_values
from ragsignal.llm.changed_letters import Changed
from ragsignal.llm.day_scores import UniverseReader, as_days
from ragsignal.types import FloatArray, Hit, IntArray, Recipe

_UNLIKE = 0.25  # weight of unlike days: docs/decisions/0018
_SURE = 0.49


class DayVote(UniverseReader):
    """Scores by pooled payoffs.

    Parameters
    ----------
    universe : RankLetters
    """

    is_model = False

    def __init__(self, universe: RankLetters) -> None:
        super().__init__(universe, memory=1)

    @property
    def recipe(self) -> Recipe:
        """Identity: the weight of unlike days is all there is to choose."""
        return {"scorer": "day-vote/1", "unlike": _UNLIKE}

    def of_universe(self, row: int, hits: DayHits) -> FloatArray:
        """Expected rank of every stock's return, (n_symbols,)."""
        scores = factor_product(self.universe.letters[row], hits)
        return np.where(self.universe.ranked[row], scores, np.nan)

    def of_stocks(self, letters: Letters, row: int, hits: DayHits) -> FloatArray:  # noqa: ARG002
        """Expected ranks of stocks' returns."""
        return factor_product(letters[-1], hits)

    def raw_of(self, changed: Changed, hits: Sequence[Hit]) -> FloatArray:
        """Expected ranks of letters that are not the universe's."""
        return factor_product(changed.last, as_days(hits))

    def without_each(self, row: int, columns: IntArray, hits: DayHits, places: IntArray) -> FloatArray:
        """Expected ranks without each hit."""
        return products_without_each(self.universe.letters[row, columns], hits, places)

    def chances(self, raw: FloatArray) -> FloatArray:
        """P(above the median) of an expected rank m in [-1, 1]: 1/2 + m / sqrt(2).

        Of a normal return whose mean is d standard deviations, the rank's mean is 2 Phi(d / sqrt(2)) - 1, about
        d / sqrt(pi), and P(above 0) is Phi(d), about 1/2 + d / sqrt(2 pi).
        """
        return 0.5 + np.clip(raw / math.sqrt(2.0), -_SURE, _SURE)


def factor_product(letters: Letters, hits: DayHits) -> FloatArray:
    """Factors (..., n_factors) times pooled payoffs: what a stock is expected to do by the retrieved days, (...)."""
    return np.asarray(factor_values(letters) @ pooled_payoffs(hits))


def products_without_each(letters: Letters, hits: DayHits, places: IntArray) -> FloatArray:
    """:func:`factor_product` of stocks (n, n_factors) without the hit at each of k places: (k, n)."""
    everywhere = np.arange(len(hits))
    return np.stack([factor_product(letters, hits.only(everywhere != place)) for place in places])


def pooling_weights(hits: DayHits) -> FloatArray:
    """By what each day's payoffs are multiplied in :func:`pooled_payoffs`, (k,)."""
    unlike = hits.scores < 0.0
    return np.where(unlike, -_UNLIKE / max(int(unlike.sum()), 1), 1.0 / max(int((~unlike).sum()), 1))


def pooled_payoffs(hits: DayHits) -> FloatArray:
    """What each factor paid on days like the query's, less a quarter of what it paid on unlike ones: (n_factors,)."""
    unlike = hits.scores < 0.0
    pooled: FloatArray = hits.payoffs[~unlike].mean(axis=0)
    if unlike.any():
        pooled = pooled - _UNLIKE * hits.payoffs[unlike].mean(axis=0)
    return pooled
