"""Hits to learn from: of each stock of a step, as of the last day of the step's window, as a query of that day has.

step ─► k, retriever ─► one query a stock ─► the retrievers of use ─► hit_features
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import RanksTraining
from ragsignal.data import QueryCutter, days_of
from ragsignal.llm import HitFeatures, hit_features, hit_width
from ragsignal.retrieval import CorpusRetriever, DenseRetriever, RandomRetriever, ShapeEncoder
from ragsignal.training.run import TrainingRun


class TrainingHits:
    """Retrieves what the steps of a training read beside the days.

    Parameters
    ----------
    run : TrainingRun
        Its corpus is searched; only what a day could see comes out of it.
    """

    def __init__(self, run: TrainingRun) -> None:
        self._run = run
        self._spec: RanksTraining = run.spec.ranks
        self._lookback = run.spec.corpus.lookback

    @property
    def width(self) -> int:
        """Numbers that a hit has."""
        return hit_width(self._lookback)

    def draw(self, symbols: Sequence[str], day: np.datetime64, rng: np.random.Generator) -> list[HitFeatures] | None:
        """Hits of each symbol as of a day on which all of them have a bar; None where the draw is that of no hits.

        Parameters
        ----------
        symbols : sequence of str
        day : datetime64[D]
        rng : numpy.random.Generator
            Draws how many hits there are, from ``ranks.k``, and by which of ``ranks.candidates`` they are found.

        Raises
        ------
        LookAheadError
            If a hit was not known as of the day.
        """
        k, source = int(rng.choice(self._spec.k)), str(rng.choice(self._spec.candidates))
        if k == 0:
            return None
        seed = int(rng.integers(2**32))  # of the random hits: others for the same stock and day in another step
        retriever = RandomRetriever(self._run.corpus, k, seed=seed) if source == "random" else self._nearest
        queries = [self._cutter.cut(symbol, int(np.searchsorted(self._bars[symbol], day))) for symbol in symbols]
        found = retriever.retrieve(queries)
        return [hit_features(query, hits[:k], self._lookback) for query, hits in zip(queries, found, strict=True)]

    @cached_property
    def _nearest(self) -> CorpusRetriever:
        return DenseRetriever(self._run.corpus, ShapeEncoder(), max(self._spec.k))

    @cached_property
    def _cutter(self) -> QueryCutter:
        return QueryCutter(self._run.prices.frames, self._lookback)

    @cached_property
    def _bars(self) -> dict[str, NDArray[np.datetime64]]:
        return {symbol: days_of(frame) for symbol, frame in self._run.prices.frames.items()}
