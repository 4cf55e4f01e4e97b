"""What one forecaster says of every query, and its figures: a variant of the spec, a free baseline, the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypedDict, Unpack

import numpy as np

from ragsignal.errors import LookAheadError
from ragsignal.evaluation.metrics import METRICS, MetricEstimate, Sample, direction_of
from ragsignal.evaluation.questions import Questions
from ragsignal.protocols import SignalSource
from ragsignal.statistics import day_weights
from ragsignal.types import BoolArray, FloatArray, Query, Recipe, Signal
from ragsignal.utils import Steps, silent_steps

ALL, NON_FREEZE = "all", "non-freeze"

CHUNK = 512
"""Queries given to a pipeline at once: what a killed run loses is one batch of it, what is stored is not made again."""

ForecasterKind = Literal["variant", "baseline", "leak detector"]


class Facts(TypedDict, total=False):
    """What the record says of a forecaster besides its figures: the first three of a variant, the others of a baseline.

    ``abstained`` counts by reason; ``training_labels`` is how many labels a baseline learned from.
    """

    signal: str
    abstained: dict[str, int]
    recipe: Recipe
    training_hit_rate: float
    training_labels: int


@dataclass(frozen=True, eq=False)
class Forecast:
    """One forecaster's answers.

    Parameters
    ----------
    name : str
    kind : {"variant", "baseline", "leak detector"}
    probability : (n,) float64
        P(rise); NaN where the forecaster abstained.
    score : (n,) float64
        What ranks queries; NaN like ``probability``.
    rise : (n,) float64
        Predicted direction: 1, 0, or 0.5 for neither.
    facts : Facts
    """

    name: str
    kind: ForecasterKind
    probability: FloatArray
    score: FloatArray
    rise: FloatArray
    facts: Facts

    @property
    def answered(self) -> BoolArray:
        """Queries (n,) on which the forecaster did not abstain."""
        return np.isfinite(self.probability)

    def on(self, questions: Questions, mask: BoolArray, outcome: FloatArray | None = None) -> Sample:
        """Return the sample of the queries of ``mask`` (n,); ``outcome`` stands for the questions' own."""
        outcomes = questions.outcome if outcome is None else outcome
        whole = Sample(questions.day, questions.n_days, outcomes, self.probability, self.score, self.rise)
        return whole.where(mask)


def of_probability(name: str, kind: ForecasterKind, probability: FloatArray, **facts: Unpack[Facts]) -> Forecast:
    """Make a forecast whose probability is also its score and decides its direction."""
    return Forecast(name, kind, probability, probability, direction_of(probability), facts)


@dataclass(frozen=True, slots=True)
class SetFigures:
    """Figures of a forecaster by measure, on ``n`` queries of one set, on ``days`` days, that it answered."""

    n: int
    days: int
    estimates: dict[str, MetricEstimate]


@dataclass(frozen=True, slots=True)
class ScoredForecast:
    """A forecast with its figures by set of queries."""

    forecast: Forecast
    figures: dict[str, SetFigures]


@dataclass(frozen=True, eq=False)
class Scoring:
    """Scores forecasts on the same sets of queries and the same resampled days, in ``measures`` by default."""

    questions: Questions
    measures: tuple[str, ...] = tuple(METRICS)

    @cached_property
    def sets(self) -> dict[str, BoolArray]:
        """Which queries (n,) count, by the name of the set."""
        return {ALL: np.ones(len(self.questions), dtype=bool), NON_FREEZE: self.questions.non_freeze}

    @cached_property
    def weights(self) -> FloatArray:
        """How often each day is drawn, see :func:`ragsignal.statistics.day_weights`."""
        return day_weights(self.questions.n_days)

    def score(self, forecast: Forecast, measures: Sequence[str] = ()) -> ScoredForecast:
        """Score a forecast on every set."""
        figures = {}
        for name, mask in self.sets.items():
            sample = forecast.on(self.questions, mask & forecast.answered)
            estimates = {it: METRICS[it].estimate(sample, self.weights) for it in measures or self.measures}
            figures[name] = SetFigures(len(sample), len(np.unique(sample.day)), estimates)
        return ScoredForecast(forecast, figures)


def probabilities(
    source: SignalSource, queries: Sequence[Query], progress: Steps = silent_steps
) -> tuple[FloatArray, dict[str, int]]:
    """Ask a source; P(rise) of every query (n,), NaN where it abstained, and how often it did, by reason.

    Raises
    ------
    LookAheadError
        If a signal rests on a candidate whose outcome was not known on the query's day.
    """
    answers, reasons = np.full(len(queries), np.nan), Counter[str]()
    for start in range(0, len(queries), CHUNK):
        for number, signal in enumerate(source.signals(queries[start : start + CHUNK]), start):
            _refuse_later_hits(signal)
            if signal.abstained is None:
                answers[number] = signal.probability
            else:
                reasons[signal.abstained] += 1
        progress(min(start + CHUNK, len(queries)), len(queries))
    return answers, dict(sorted(reasons.items()))


def _refuse_later_hits(signal: Signal) -> None:
    """Check what came back, from the store too; a pipeline only checks what it retrieves."""
    for hit in signal.hits:
        if hit.candidate.available_at > signal.as_of:
            raise LookAheadError(
                f"{signal.symbol} as of {signal.as_of}: the signal rests on {hit.candidate.id}, whose outcome was only "
                f"known on {hit.candidate.available_at}; check its retriever, then delete its stored signals"
            )
