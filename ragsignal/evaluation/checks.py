"""Questions to the evaluation itself: what a leak would look like, what luck looks like, what noise in moves it.

None of these is a forecast that competes: the oracle knows the outcome of the day it speaks of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from ragsignal.config import Variant
from ragsignal.evaluation.days import Floats
from ragsignal.evaluation.forecasts import Forecast, of_probability, probabilities
from ragsignal.evaluation.metrics import METRICS, Metric, days_and_block
from ragsignal.evaluation.questions import Mask, Questions
from ragsignal.statistics import LEAST_DAYS, widening
from ragsignal.study import Study, spread
from ragsignal.types import Query

SHUFFLED_MEASURES = ("mcc", "auc", "rank_correlation")
"""Figures whose value without skill does not depend on the share of rises."""

ORACLE_MEASURES = ("acc", "mcc", "auc")
"""Within a day the oracle ranks backwards (who rose has one riser fewer among the others): its ranks say nothing."""

JITTER = 1e-4
"""Relative noise on closes: one basis point, less than the spread of a liquid stock."""

_SEEDS = (1001, 1002)  # of two random draws of candidates, away from the small seeds that specs use


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
    questions: Questions, forecasts: Sequence[Forecast], weights: Floats, seed: int = 0
) -> dict[str, Any]:
    """Give every day the outcomes of another day: no figure may then stand out.

    Returns
    -------
    dict
        ``rows`` (forecaster, measure, value, z: its distance from no skill in bootstrap standard errors), ``max_z``
        over all, ``limit`` (the |z| that chance exceeds once in 20 in that many figures) and ``passes``: None
        where nothing can be said, for want of days or because all forecasts are constant.
    """
    outcome = _outcomes_of_other_days(questions, seed)
    rows: list[dict[str, Any]] = [
        {"forecaster": it.name, "measure": measure, **found}
        for it in forecasts
        for measure in SHUFFLED_MEASURES
        if (found := _distance(METRICS[measure], it, questions, outcome, weights)) is not None
    ]
    max_z = max((abs(row["z"]) for row in rows), default=0.0)
    limit = NormalDist().inv_cdf(1.0 - 0.05 / (2 * max(1, len(rows))))
    return {"rows": rows, "max_z": max_z, "limit": limit, "passes": max_z <= limit if rows else None}


def _outcomes_of_other_days(questions: Questions, seed: int) -> Floats:
    """Outcome (n,) of the same symbol on the day that a permutation puts in its day's place; NaN if none."""
    rows, columns = np.nonzero(questions.asked)
    used = np.unique(rows)
    other = np.random.default_rng(seed).permutation(used)
    table = np.where(questions.asked, questions.outcomes, np.nan)
    return np.asarray(table[other[np.searchsorted(used, rows)], columns])


def _distance(
    metric: Metric, forecast: Forecast, questions: Questions, outcome: Floats, weights: Floats
) -> dict[str, float] | None:
    mask = forecast.answered & np.isfinite(outcome)
    daily = metric.daily(forecast.on(questions, mask, outcome))
    n_days, block = days_and_block(daily, weights)
    if metric.null is None or n_days < LEAST_DAYS:
        return None
    value, draws = float(metric.pooled(daily.sum(axis=0))), metric.pooled(weights @ daily)
    error = float(np.nanstd(draws)) * widening(n_days, block)
    if not error > 0.0:  # a constant forecast has no luck either
        return None
    return {"value": value, "z": (value - metric.null) / error}


def sensitivity(study: Study, variant: Variant, questions: Questions, wanted: int) -> dict[str, Any]:
    """Mean absolute change of P(rise) when what should not matter changes, on ``wanted`` queries of the test.

    ``jitter``: closes times 1 + 1e-4 times noise. ``random_candidates``: one random draw of candidates against another
    (None for a variant without retrieval). ``queries`` counts those answered every time. Beside them stands
    ``spread``, the mean absolute difference of P(rise) of two queries: a change of that size is as large as another
    query would make.
    """
    answers = []
    asked = perturbations(variant, questions, wanted)
    for done, (asked_of, queries) in enumerate(asked, 1):
        answers.append(probabilities(study.pipeline(asked_of), queries)[0])
        study.progress(f"sensitivity of {variant.name}", done, len(asked))
    plain, jittered, drawn, other = answers if len(answers) == 4 else (*answers, answers[0], answers[0])
    answered = np.all(np.isfinite([plain, jittered, drawn, other]), axis=0)
    return {
        "variant": variant.name,
        "queries": int(answered.sum()),
        "spread": _mean_change(plain, np.roll(plain, len(plain) // 2), answered & np.roll(answered, len(plain) // 2)),
        "jitter": _mean_change(plain, jittered, answered),
        "random_candidates": None if drawn is plain else _mean_change(drawn, other, answered),
    }


def perturbations(variant: Variant, questions: Questions, wanted: int) -> list[tuple[Variant, list[Query]]]:
    """What :func:`sensitivity` asks of whom: as it is, jittered, and with two draws of candidates if it has any."""
    queries = spread(questions.queries, wanted)
    asked = [(variant, queries), (variant, _jittered(queries))]
    if not variant.reads_corpus:
        return asked
    return asked + [(_with_random_candidates(variant, seed), queries) for seed in _SEEDS]


def _with_random_candidates(variant: Variant, seed: int) -> Variant:
    drawn = variant.retrieval.model_copy(update={"retriever": "random", "seed": seed})
    return replace(variant, retrieval=drawn)


def _jittered(queries: Sequence[Query], seed: int = 0) -> list[Query]:
    rng = np.random.default_rng(seed)
    return [
        replace(it, closes=tuple((np.array(it.closes) * (1 + JITTER * rng.standard_normal(len(it.closes)))).tolist()))
        for it in queries
    ]


def _mean_change(left: Floats, right: Floats, mask: Mask) -> float | None:
    return float(np.mean(np.abs(left - right)[mask])) if mask.any() else None
