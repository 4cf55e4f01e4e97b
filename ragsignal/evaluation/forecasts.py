"""What one forecaster says of every query, whoever it is: a variant of the spec, a free baseline, the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ragsignal.errors import LookAheadError
from ragsignal.evaluation.days import Floats
from ragsignal.evaluation.metrics import Sample, direction_of
from ragsignal.evaluation.questions import Mask, Questions
from ragsignal.protocols import SignalSource
from ragsignal.types import Query, Signal
from ragsignal.utils import Steps, silent_steps

CHUNK = 512
"""Queries given to a pipeline at once: what a killed run loses is one batch of it, what is stored is not made again."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """One forecaster's answers.

    Parameters
    ----------
    name : str
    kind : str
        ``variant``, ``baseline`` or ``leak detector``.
    probability : (n,) float64
        P(rise); NaN where the forecaster abstained.
    score : (n,) float64
        What ranks queries; NaN like ``probability``.
    rise : (n,) float64
        Predicted direction: 1, 0, or 0.5 for neither.
    facts : dict
        What the record says of it besides its figures.
    """

    name: str
    kind: str
    probability: Floats
    score: Floats
    rise: Floats
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def answered(self) -> Mask:
        """Queries (n,) on which it did not abstain."""
        return np.isfinite(self.probability)

    def on(self, questions: Questions, mask: Mask, outcome: Floats | None = None) -> Sample:
        """Its sample on the queries of ``mask`` (n,); ``outcome`` stands for the questions' own."""
        outcomes = questions.outcome if outcome is None else outcome
        whole = Sample(questions.day, questions.n_days, outcomes, self.probability, self.score, self.rise)
        return whole.where(mask)


def of_probability(name: str, kind: str, probability: Floats, **facts: Any) -> Forecast:
    """A forecast whose probability is also its score and decides its direction."""
    return Forecast(name, kind, probability, probability, direction_of(probability), facts)


def probabilities(
    source: SignalSource, queries: Sequence[Query], progress: Steps = silent_steps
) -> tuple[Floats, dict[str, int]]:
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
    """A pipeline checks what it retrieves; this one checks what came back, from the store too."""
    for hit in signal.hits:
        if hit.candidate.available_at > signal.as_of:
            raise LookAheadError(
                f"{signal.symbol} as of {signal.as_of}: the signal rests on {hit.candidate.id}, whose outcome was only "
                f"known on {hit.candidate.available_at}; check its retriever, then delete its stored signals"
            )
