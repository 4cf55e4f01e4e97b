"""Questions to the evaluation itself: what a leak would look like, what luck looks like, what noise in moves it.

None of these is a forecast that competes: the oracle knows the outcome of the day it speaks of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from ragsignal.config import Variant
from ragsignal.evaluation.forecasts import Forecast, of_probability, probabilities
from ragsignal.evaluation.metrics import METRICS, Resampling, days_of_figure
from ragsignal.evaluation.questions import Questions
from ragsignal.statistics import LEAST_DAYS, widening
from ragsignal.study import Study, spread
from ragsignal.types import BoolArray, FloatArray, Query

SHUFFLED_MEASURES = ("mcc", "auc", "ic")
"""Figures whose value without skill does not depend on the share of rises."""

ORACLE_MEASURES = ("acc", "mcc", "auc")
"""Within a day the oracle ranks backwards (who rose has one riser fewer among the others): its ranks say nothing."""

JITTER = 1e-4
"""Relative noise on closes: one basis point, less than the spread of a liquid stock."""

_SEEDS = (1001, 1002)  # of two random draws of candidates, away from the small seeds that specs use


@dataclass(frozen=True, slots=True)
class ShuffledFigure:
    """A figure on shuffled labels; ``z`` is its distance from no skill in bootstrap standard errors."""

    forecaster: str
    measure: str
    value: float
    z: float


@dataclass(frozen=True, slots=True)
class ShuffledLabels:
    """Figures on shuffled labels, the greatest |z|, and ``limit``: what chance exceeds once in 20 in that many figures.

    ``passes`` is None where nothing can be said, for want of days or because all forecasts are constant.
    """

    rows: list[ShuffledFigure]
    max_z: float
    limit: float
    passes: bool | None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Mean absolute change of P(rise) of one variant when what should not matter changes.

    Parameters
    ----------
    variant : str
    queries : int
        Those that were answered every time.
    spread : float or None
        Mean absolute difference of P(rise) of two queries: a change of that size is as large as another query would
        make. None where no query was answered, as for the other figures.
    jitter : float or None
        Closes times 1 + 1e-4 times noise.
    random_candidates : float or None
        One random draw of candidates against another; None for a variant without retrieval.
    """

    variant: str
    queries: int
    spread: float | None
    jitter: float | None
    random_candidates: float | None


def same_date_oracle(questions: Questions) -> Forecast:
    """Share of rises among the *other* symbols of the same day, Laplace-smoothed: it knows the day's outcome.

    A forecast that comes near it reads the day it speaks of: a table of train stocks' labels by date scored 0.74 to
    0.83 on the paper's test stocks, because the split of arXiv 2502.05878 shares its dates.
    """
    rose = (questions.outcome > 0).astype(np.float64)
    rises = np.bincount(questions.day, weights=rose)[questions.day] - rose
    others = np.bincount(questions.day)[questions.day] - 1
    share = np.where(others > 0, (rises + 1.0) / (others + 2.0), np.nan)
    return of_probability("same-date-oracle", "leak detector", share)


def shuffled_labels(
    questions: Questions, forecasts: Sequence[Forecast], resampling: Resampling, seed: int = 0
) -> ShuffledLabels:
    """Give every day the outcomes of another day: no figure may then stand out."""
    other = _of_other_days(questions, seed)
    figures = [
        _shuffled_figure(measure, forecast, other, resampling)
        for forecast in forecasts
        for measure in SHUFFLED_MEASURES
    ]
    rows = [row for row in figures if row is not None]
    max_z = max((abs(row.z) for row in rows), default=0.0)
    limit = NormalDist().inv_cdf(1.0 - 0.05 / (2 * max(1, len(rows))))
    return ShuffledLabels(rows, max_z, limit, max_z <= limit if rows else None)


def _of_other_days(questions: Questions, seed: int) -> Questions:
    """The same questions, with the outcomes of the day that a permutation puts in each day's place; NaN if none."""
    days = np.flatnonzero(questions.is_query.any(axis=1))
    other = np.random.default_rng(seed).permutation(days)
    shuffled = {}
    for name in ("outcomes", "close_outcomes"):
        table = getattr(questions, name)
        shuffled[name] = table.copy()
        shuffled[name][days] = np.where(questions.is_query[other], table[other], np.nan)
    return replace(questions, **shuffled)


def _shuffled_figure(
    measure: str, forecast: Forecast, questions: Questions, resampling: Resampling
) -> ShuffledFigure | None:
    metric = METRICS[measure]
    mask = forecast.answered & np.isfinite(questions.outcome) & np.isfinite(questions.close_outcome)
    daily = metric.daily(forecast.on(questions, mask))
    n_days = days_of_figure(daily)
    if metric.null is None or n_days < LEAST_DAYS:
        return None
    value, draws = float(metric.pooled(daily.sum(axis=0))), metric.pooled(resampling.weights @ daily)
    error = float(np.nanstd(draws)) * widening(n_days, resampling.block)
    if not error > 0.0:  # a constant forecast has no luck either
        return None
    return ShuffledFigure(forecast.name, measure, value, (value - metric.null) / error)


def sensitivity(study: Study, variant: Variant, questions: Questions, n_queries: int) -> Sensitivity:
    """Measure how much ``variant`` changes its answers to ``n_queries`` queries of the test for no good reason."""
    runs = perturbations(variant, questions, n_queries)
    answers = []
    for done, (perturbed, queries) in enumerate(runs, 1):
        answers.append(probabilities(study.pipeline(perturbed), queries)[0])
        study.progress(f"sensitivity of {variant.name}", done, len(runs))
    usual, jittered, *draws = answers
    answered = np.all(np.isfinite(answers), axis=0)
    half = len(usual) // 2
    return Sensitivity(
        variant=variant.name,
        queries=int(answered.sum()),
        spread=_mean_change(usual, np.roll(usual, half), answered & np.roll(answered, half)),
        jitter=_mean_change(usual, jittered, answered),
        random_candidates=_mean_change(draws[0], draws[1], answered) if draws else None,
    )


def perturbations(variant: Variant, questions: Questions, n_queries: int) -> list[tuple[Variant, list[Query]]]:
    """List what :func:`sensitivity` asks: as it is, jittered, and with two draws of candidates if there are any."""
    queries = spread(questions.queries, n_queries)
    runs = [(variant, queries), (variant, _jittered(queries))]
    if not variant.reads_corpus:
        return runs
    return runs + [(_with_random_candidates(variant, seed), queries) for seed in _SEEDS]


def _with_random_candidates(variant: Variant, seed: int) -> Variant:
    return replace(variant, retrieval=variant.retrieval.model_copy(update={"retriever": "random", "seed": seed}))


def _jittered(queries: Sequence[Query], seed: int = 0) -> list[Query]:
    rng = np.random.default_rng(seed)

    def noisy(closes: tuple[float, ...]) -> tuple[float, ...]:
        return tuple((np.array(closes) * (1 + JITTER * rng.standard_normal(len(closes)))).tolist())

    return [replace(query, closes=noisy(query.closes)) for query in queries]


def _mean_change(left: FloatArray, right: FloatArray, mask: BoolArray) -> float | None:
    return float(np.mean(np.abs(left - right)[mask])) if mask.any() else None
