"""A spec to an evaluation: ask every forecaster the same questions, score all of them, write down how.

The order is by cost: questions, free baselines, and every pipeline's parts come before the first model call, so that a
mistake is found before it is paid for. Signals go through the store, so a killed run goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.errors import ConfigError
from ragsignal.evaluation.baselines import RULES, best_baselines, free_baselines
from ragsignal.evaluation.checks import ORACLE_MEASURES, perturbations, same_date_oracle, sensitivity, shuffled_labels
from ragsignal.evaluation.comparisons import compare, compared_measures
from ragsignal.evaluation.days import Floats
from ragsignal.evaluation.forecasts import Forecast, of_probability, probabilities
from ragsignal.evaluation.metrics import METRICS, estimate
from ragsignal.evaluation.protocol import LEAK_WORDS, NO_LEAK_WORDS, notes_of
from ragsignal.evaluation.questions import Mask, Questions, ask, training_rows
from ragsignal.signals import Pipeline
from ragsignal.statistics import day_weights
from ragsignal.study import (
    Before,
    Study,
    Trial,
    Work,
    check_ledger,
    configuration_of,
    count,
    notes_on_training,
)
from ragsignal.utils import Progress, silent, silent_steps, versions_of

ALL, NON_FREEZE = "all", "non-freeze"

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "scikit-learn", "numpy", "pandas")
_TAKEN = {*RULES, "majority", "logistic", "boosting", "same-date-oracle", "date", "symbol", "outcome"}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found.

    Parameters
    ----------
    record : dict
        JSON-able but for its floats, which may be NaN or infinite; the same for the same spec, prices and models,
        except under ``times``.
    predictions : DataFrame
        One row a query: ``date``, ``symbol``, ``outcome``, and P(rise) of each forecaster (NaN: it abstained).
    """

    record: dict[str, Any]
    predictions: pd.DataFrame


def evaluate_spec(spec: RunSpec, progress: Progress = silent, before: Before | None = None) -> Evaluation:
    """Score every variant that has a signal as a forecaster, beside the free baselines.

    Parameters
    ----------
    spec : RunSpec
        ``[evaluation]`` says which target and how many days; ``data.start`` to ``data.end`` is the test.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.
    before : callable, optional
        Told which signals the evaluation will ask for, before the first one.

    Raises
    ------
    ConfigError
        If no variant has a signal, one has a baseline's name, or the training period is unusable.
    DataError
        If the prices have nothing to ask.
    LookAheadError
        If a variant was fitted on the test, or a signal rests on what was not known.
    """
    began, started = time.perf_counter(), datetime.now(UTC)
    check_ledger()
    study, questions, learn = prepare(spec, progress)
    chosen = _variants(spec)
    pipelines = {variant.name: study.pipeline(variant) for variant in chosen}
    if before:
        before(study, work_of(spec, questions))
    baselines = free_baselines(questions, learn, questions.asked)
    best = best_baselines(questions, learn, spec.evaluation.embargo, compared_measures(spec))
    variants = [_forecast(it, pipelines[it.name], questions, study) for it in chosen]
    weights = day_weights(questions.n_days)
    forecasts = [*variants, *baselines]
    oracles = [] if spec.evaluation.target == "relative" else [same_date_oracle(questions)]
    sets = {ALL: np.ones(len(questions), dtype=bool), NON_FREEZE: questions.non_freeze}
    figures = _Figures(spec, questions, sets, weights)
    record = {
        "name": spec.name,
        "description": spec.description,
        "spec": spec.model_dump(mode="json", by_alias=True),
        "fingerprints": _fingerprints(study, chosen),
        "versions": versions_of(_LIBRARIES),
        "target": spec.evaluation.target,
        "headline": NON_FREEZE if spec.evaluation.mode == "paper" else ALL,
        "questions": _about_questions(questions),
        "training": _about_training(questions, learn),
        "forecasters": [figures.row(it) for it in forecasts],
        "best_baseline": best,
        "comparisons": compare(spec, questions, {it.name: it for it in forecasts}, best, sets, weights),
        "leak_detector": {
            "words": LEAK_WORDS if oracles else NO_LEAK_WORDS,
            "rows": [figures.row(it, ORACLE_MEASURES) for it in oracles],
        },
        "shuffled_labels": shuffled_labels(questions, variants, weights),
        "sensitivity": _sensitivities(study, chosen, questions),
        "reference": spec.evaluation.reference,
        "protocol": [*notes_on_training(study), *notes_of(spec, questions)],
        "times": {
            "started": started.isoformat(timespec="seconds"),
            "variants": {name: pipeline.cost.record() for name, pipeline in pipelines.items()},
            "seconds": round(time.perf_counter() - began, 1),
            "trials": _count(spec, pipelines),
        },
    }
    return Evaluation(record, _predictions(questions, [*forecasts, *oracles]))


def _count(spec: RunSpec, pipelines: Mapping[str, Pipeline]) -> dict[str, int]:
    """Count in the ledger of trials what was scored: whoever chooses by these figures has looked at these days."""
    trials = [
        Trial(configuration_of(spec, spec.find_variant(name), it.recipe), "evaluate", None)
        for name, it in pipelines.items()
    ]
    return {"count": len(count(spec, trials)), "configurations": len(trials)}


def prepare(spec: RunSpec, progress: Progress = silent) -> tuple[Study, Questions, Mask]:
    """What comes before the first signal: a study, the questions, and the labels that baselines may learn from.

    Raises as :func:`evaluate_spec`.
    """
    _variants(spec)
    study = Study(spec, progress)
    questions = ask(study.prices.select(spec.data.symbols).frames, spec)
    return study, questions, training_rows(questions, spec)


def work_of(spec: RunSpec, questions: Questions) -> list[Work]:
    """The signals of an evaluation, those that only measure sensitivity last."""
    chosen = _variants(spec)
    work = [Work(variant.name, variant, questions.queries) for variant in chosen]
    for variant in _readers(spec, chosen):
        asked = perturbations(variant, questions, spec.evaluation.perturbed)
        work += [Work(f"{variant.name} (sensitivity)", it, queries) for it, queries in asked]
    return work


def _readers(spec: RunSpec, chosen: Sequence[Variant]) -> list[Variant]:
    """Variants whose sensitivity is measured."""
    return [variant for variant in chosen if variant.is_llm and spec.evaluation.perturbed]


def _variants(spec: RunSpec) -> list[Variant]:
    spec.find_variant(None)  # raises where none has a signal
    chosen = [variant for variant in spec.variants if variant.has_signal]
    taken = [variant.name for variant in chosen if variant.name in _TAKEN]
    if taken:
        raise ConfigError(
            f"spec {spec.name!r}: a column of the evaluation is already called {taken[0]!r} (a free baseline, or one "
            "of date, symbol, outcome); rename the variant"
        )
    return chosen


def _forecast(variant: Variant, pipeline: Pipeline, questions: Questions, study: Study) -> Forecast:
    pipeline.progress = silent_steps  # it would count from 0 in every chunk
    progress = partial(study.progress, f"forecasts of {variant.name}")
    answers, reasons = probabilities(pipeline, questions.queries, progress)
    return of_probability(
        variant.name, "variant", answers, signal=variant.signal, abstained=reasons, recipe=pipeline.recipe
    )


@dataclass(frozen=True, eq=False)
class _Figures:
    """Scores forecasts on the same sets of queries and the same resampled days."""

    spec: RunSpec
    questions: Questions
    sets: Mapping[str, Mask]
    weights: Floats

    def row(self, forecast: Forecast, measures: Sequence[str] = tuple(METRICS)) -> dict[str, Any]:
        """Everything the record says of one forecaster."""
        figures = {name: self._of(forecast, mask, measures) for name, mask in self.sets.items()}
        return {"name": forecast.name, "kind": forecast.kind, **forecast.facts, "figures": figures}

    def _of(self, forecast: Forecast, mask: Mask, measures: Sequence[str]) -> dict[str, Any]:
        sample = forecast.on(self.questions, mask & forecast.answered)
        found: dict[str, Any] = {"n": len(sample), "days": len(np.unique(sample.day))}
        for name in measures:
            if name == "acc_ranked" and self.spec.evaluation.target != "relative":
                continue  # half of a day's names need not rise
            it = estimate(METRICS[name], sample, self.weights)
            found[name] = {"value": it.value, "low": it.low, "high": it.high}
        return found


def _sensitivities(study: Study, chosen: Sequence[Variant], questions: Questions) -> list[dict[str, Any]]:
    spec = study.spec
    return [sensitivity(study, it, questions, spec.evaluation.perturbed) for it in _readers(spec, chosen)]


def _about_questions(questions: Questions) -> dict[str, Any]:
    days = questions.panel.days[questions.asked.any(axis=1)]
    return {
        **{"n": len(questions), "days": questions.n_days, "symbols": int(questions.asked.any(axis=0).sum())},
        **{"first": str(days[0]), "last": str(days[-1])},
        "rises": float(np.mean(questions.outcome > 0)),
        "non_freeze": int(questions.non_freeze.sum()),
    }


def _about_training(questions: Questions, learn: Mask) -> dict[str, Any]:
    days = questions.panel.days[learn.any(axis=1)]
    return {
        **{"labels": int(learn.sum()), "days": len(days), "first": str(days[0]), "last": str(days[-1])},
        "known_through": str(questions.known[learn].max()),
        "rises": float(np.mean(questions.outcomes[learn] > 0)),
    }


def _fingerprints(study: Study, chosen: Sequence[Variant]) -> dict[str, str]:
    corpus = {"corpus": study.corpus.digest} if any(variant.reads_corpus for variant in chosen) else {}
    return {"prices": study.prices.digest, **corpus}


def _predictions(questions: Questions, forecasts: Sequence[Forecast]) -> pd.DataFrame:
    rows, columns = np.nonzero(questions.asked)
    told = {
        "date": questions.panel.days[rows].astype("datetime64[us]"),
        "symbol": np.array(questions.panel.symbols)[columns],
        "outcome": questions.outcome,
    }
    return pd.DataFrame(told | {it.name: it.probability for it in forecasts})
