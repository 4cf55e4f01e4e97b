"""What one forecaster says of every query, and its figures: a variant of the spec, a free baseline, the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypedDict, Unpack

import numpy as np

from ragsignal.errors import LookAheadError
from ragsignal.evaluation.metrics import CROSS_SECTIONS, METRICS, MetricEstimate, Resampling, Sample, direction_of
from ragsignal.evaluation.questions import Questions
from ragsignal.protocols import SignalSource
from ragsignal.types import BoolArray, FloatArray, Query, Recipe, Signal, known_through
from ragsignal.utils import Steps, silent_steps

ALL, NON_FREEZE = "all", "non-freeze"

CHUNK = 512
"""Queries given to a pipeline at once: what a killed run loses is one batch of it, what is stored is not made again."""

YEARLY = ("ic", "ic_o2o")
_KEPT_COLUMNS = 16

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

    def on(self, questions: Questions, mask: BoolArray) -> Sample:
        """Return the sample of the queries of ``mask`` (n,)."""
        whole = Sample(
            day=questions.day,
            n_days=questions.n_days,
            outcome=questions.outcome,
            probability=self.probability,
            score=self.score,
            rise=self.rise,
            close_outcome=questions.close_outcome,
            open_outcome=questions.open_outcome,
            styles=questions.styles,
            least=questions.least,
        )
        return whole if mask.all() else whole.where(mask)


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
class YearFigures:
    """ICs of one calendar year, on all queries; ``days`` are those that ranked enough symbols."""

    year: int
    days: int
    ic: float
    ic_o2o: float


@dataclass(frozen=True, slots=True)
class ScoredForecast:
    """A forecast with its figures by set of queries, and its ICs by year."""

    forecast: Forecast
    figures: dict[str, SetFigures]
    years: list[YearFigures]


@dataclass(frozen=True, eq=False)
class Scoring:
    """Scores forecasts on the same sets of queries and the same resampled days, in ``measures`` by default.

    Outcomes of ``overlap`` days in a row share days.
    """

    questions: Questions
    measures: tuple[str, ...] = tuple(METRICS)
    overlap: int = 1
    _sums: dict[tuple[str, str, bytes], FloatArray] = field(default_factory=dict, repr=False)

    @cached_property
    def sets(self) -> dict[str, BoolArray]:
        """Which queries (n,) count, by the name of the set."""
        return {ALL: np.ones(len(self.questions), dtype=bool), NON_FREEZE: self.questions.non_freeze}

    @cached_property
    def resampling(self) -> Resampling:
        """How often each day is drawn."""
        return Resampling.of(self.questions.n_days, self.overlap)

    def daily(self, forecast: Forecast, measures: Sequence[str], mask: BoolArray) -> dict[str, FloatArray]:
        """Daily sums of a forecast by measure, on the queries of ``mask`` (n,).

        Kept for the comparisons, which mostly ask for the same queries again; but not the histograms.
        """
        keys = {measure: (forecast.name, measure, np.packbits(mask).tobytes()) for measure in measures}
        missing = [measure for measure, key in keys.items() if key not in self._sums]
        sample = forecast.on(self.questions, mask) if missing else None
        made = {measure: METRICS[measure].daily(sample) for measure in missing if sample is not None}
        self._sums.update({keys[measure]: sums for measure, sums in made.items() if sums.shape[1] <= _KEPT_COLUMNS})
        return {measure: made[measure] if measure in made else self._sums[key] for measure, key in keys.items()}

    def score(self, forecast: Forecast, measures: Sequence[str] = ()) -> ScoredForecast:
        """Score a forecast on every set, and by year."""
        figures = {}
        for name, mask in self.sets.items():
            asked, answered = measures_on(name, measures or self.measures), mask & forecast.answered
            daily = self.daily(forecast, asked, answered)
            estimates = {it: METRICS[it].estimate(sums, self.resampling) for it, sums in daily.items()}
            days = len(np.unique(self.questions.day[answered]))
            figures[name] = SetFigures(int(answered.sum()), days, estimates)
        return ScoredForecast(forecast, figures, [] if measures else self._by_year(forecast))

    def _by_year(self, forecast: Forecast) -> list[YearFigures]:
        daily, years = self.daily(forecast, YEARLY, forecast.answered), self.questions.years
        rows = []
        for year in np.unique(years).tolist():
            sums = {measure: table[years == year].sum(axis=0) for measure, table in daily.items()}
            values = {measure: float(METRICS[measure].pooled(total)) for measure, total in sums.items()}
            rows.append(YearFigures(year, int(sums["ic"][-1]), **values))
        return rows


def measures_on(query_set: str, measures: Sequence[str]) -> tuple[str, ...]:
    """Those of ``measures`` that a set of queries has: no cross-section is whole without its freeze days."""
    return tuple(it for it in measures if query_set == ALL or it not in CROSS_SECTIONS)


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
    last = known_through(signal.hits)
    if last is not None and last > signal.as_of:
        late = next(hit.candidate for hit in signal.hits if hit.candidate.available_at > signal.as_of)
        raise LookAheadError(
            f"{signal.symbol} as of {signal.as_of}: the signal rests on {late.id}, whose outcome was only known on "
            f"{late.available_at}; check its retriever, then delete its stored signals"
        )
