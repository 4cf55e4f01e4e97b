"""A spec to an evaluation: ask every forecaster the same questions, score all of them, write down how.

The order is by cost: questions, free baselines, and every pipeline's parts come before the first model call, so that a
mistake is found before it is paid for. Signals go through the store, so a killed run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.errors import ConfigError
from ragsignal.evaluation.baselines import RULES, best_baselines, free_baselines
from ragsignal.evaluation.checks import (
    ORACLE_MEASURES,
    Sensitivity,
    ShuffledLabels,
    perturbations,
    same_date_oracle,
    sensitivity,
    shuffled_labels,
)
from ragsignal.evaluation.comparisons import Comparison, compare, compared_measures
from ragsignal.evaluation.faithfulness import Faithfulness, faithfulness
from ragsignal.evaluation.forecasts import (
    ALL,
    NON_FREEZE,
    Forecast,
    ScoredForecast,
    Scoring,
    of_probability,
    probabilities,
)
from ragsignal.evaluation.forgetting import Forgetting, forgetting_of
from ragsignal.evaluation.metrics import METRICS
from ragsignal.evaluation.protocol import LEAK_WORDS, NO_LEAK_WORDS, notes_of, overlap_of
from ragsignal.evaluation.questions import QuestionCounts, Questions, TrainingCounts, build_questions, training_rows
from ragsignal.explanation import is_explained
from ragsignal.signals import Pipeline
from ragsignal.study import (
    Before,
    RunFrame,
    Study,
    Trial,
    TrialCount,
    Work,
    configuration_of,
    count,
    data_digests,
    notes_on_news,
    notes_on_prices,
    notes_on_training,
)
from ragsignal.types import BoolArray
from ragsignal.utils import Progress, Record, silent, silent_steps, versions_of

_LIBRARIES = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "scikit-learn", "numpy", "pandas")
_TAKEN = {*RULES, "majority", "logistic", "boosting-17", "same-date-oracle", "date", "symbol", "outcome"}


@dataclass(frozen=True, slots=True)
class LeakDetector:
    """Forecasts that know the day they speak of, and what they are for in words."""

    words: str
    rows: list[ScoredForecast]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation comes to.

    The same for the same spec, prices and models, but for ``times``. ``dropped_bars`` counts bars that were left
    out, by symbol and rule. ``forecasters`` are variants and free baselines;
    ``best_baseline`` is the one to beat by measure (None where nothing has that figure); ``protocol`` says in sentences
    how all was done; ``predictions`` has one row a query: ``date``, ``symbol``, ``outcome``, and P(rise) of each
    forecaster (NaN: it abstained); ``forgetting`` is of a walk-forward that goes on from its own weights.
    """

    spec: RunSpec
    dropped_bars: dict[str, dict[str, int]]
    digests: dict[str, str]
    versions: dict[str, str]
    questions: QuestionCounts
    training: TrainingCounts
    forecasters: list[ScoredForecast]
    best_baseline: dict[str, str | None]
    comparisons: list[Comparison]
    leak_detector: LeakDetector
    shuffled_labels: ShuffledLabels
    sensitivity: list[Sensitivity]
    faithfulness: list[Faithfulness]
    forgetting: Forgetting | None
    protocol: list[str]
    times: Record
    predictions: pd.DataFrame

    @property
    def headline(self) -> str:
        """The set of queries whose figures come first."""
        return NON_FREEZE if self.spec.evaluation.mode == "paper" else ALL


def evaluate_spec(spec: RunSpec, progress: Progress = silent, before: Before | None = None) -> Evaluation:
    """Score every variant that has a signal as a forecaster, beside the free baselines.

    Parameters
    ----------
    spec : RunSpec
        ``[evaluation]`` says which target and how many days; ``data.start`` to ``data.end`` is the test.
    progress : callable, optional
        Called with how far the work is: ``progress(what, done, total)``.
    before : callable, optional
        Called with the signals that the evaluation will ask for, before the first one.

    Raises
    ------
    ConfigError
        If no variant has a signal, one has a baseline's name, or the training period is unusable.
    DataError
        If the prices have nothing to ask.
    LookAheadError
        If a variant was fitted on the test, or a signal rests on what was not known.
    """
    frame = RunFrame()
    study, questions, learn = prepare(spec, progress)
    spec = study.spec  # with its symbols by name
    variants = _variants(spec)
    pipelines = {variant.name: study.pipeline(variant) for variant in variants}
    if before:
        before(study, work_of(spec, questions))
    baselines = free_baselines(questions, learn, questions.is_query)
    best = best_baselines(questions, learn, spec.evaluation.embargo, compared_measures(spec))
    own = [forecast_of(variant, pipelines[variant.name], questions, study) for variant in variants]
    scoring = Scoring(questions, _measures(spec), overlap_of(spec.evaluation))
    forecasts, leak_detector = [*own, *baselines], _leak_detector(spec, scoring)
    return Evaluation(
        spec=spec,
        dropped_bars=study.prices.drop_counts,
        digests=data_digests(study, variants),
        versions=versions_of(_LIBRARIES),
        questions=questions.counts(),
        training=questions.training_counts(learn),
        forecasters=[scoring.score(forecast) for forecast in forecasts],
        best_baseline=best,
        comparisons=compare(spec, scoring, {forecast.name: forecast for forecast in forecasts}, best),
        leak_detector=leak_detector,
        shuffled_labels=shuffled_labels(questions, own, scoring.resampling),
        sensitivity=_sensitivities(study, questions),
        faithfulness=_faithfulness(study, variants, questions),
        forgetting=forgetting_of(study) if spec.walk_forward and spec.walk_forward.warm else None,
        protocol=[
            *notes_on_prices(study),
            *notes_on_news(study),
            *notes_on_training(study),
            *notes_of(spec, questions),
        ],
        times=frame.times(
            variants={name: pipeline.cost.record() for name, pipeline in pipelines.items()},
            trials=counted(spec, pipelines),
        ),
        predictions=predictions_of(questions, [*forecasts, *(row.forecast for row in leak_detector.rows)]),
    )


def counted(spec: RunSpec, pipelines: Mapping[str, Pipeline]) -> TrialCount:
    """Count in the ledger of trials what was scored: whoever chooses by these figures has looked at these days."""
    trials = [
        Trial(configuration_of(spec, spec.find_variant(name), pipeline.recipe), "evaluate", None)
        for name, pipeline in pipelines.items()
    ]
    return {"count": len(count(spec, trials)), "configurations": len(trials)}


def prepare(spec: RunSpec, progress: Progress = silent) -> tuple[Study, Questions, BoolArray]:
    """Make what comes before the first signal: a study, the questions, and the labels that baselines may learn from.

    Raises as :func:`evaluate_spec`.
    """
    _variants(spec)
    study = Study(spec, progress)
    spec = study.spec
    questions = build_questions(study.prices.select(spec.data.symbols).frames, spec)
    return study, questions, training_rows(questions, spec)


def work_of(spec: RunSpec, questions: Questions) -> list[Work]:
    """List the signals of an evaluation, those that only measure sensitivity last."""
    work = [Work(variant.name, variant, questions.queries) for variant in _variants(spec)]
    for variant in _perturbed(spec):
        runs = perturbations(variant, questions, spec.evaluation.perturbed)
        work += [Work(f"{variant.name} (sensitivity)", perturbed, queries) for perturbed, queries in runs]
    return work


def _perturbed(spec: RunSpec) -> list[Variant]:
    """Variants whose sensitivity is measured."""
    return [variant for variant in _variants(spec) if variant.reads_text and spec.evaluation.perturbed]


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


def forecast_of(variant: Variant, pipeline: Pipeline, questions: Questions, study: Study) -> Forecast:
    """Ask a variant's pipeline all questions."""
    pipeline.progress = silent_steps  # it would count from 0 in every chunk
    progress = partial(study.progress, f"forecasts of {variant.name}")
    answers, reasons = probabilities(pipeline, questions.queries, progress)
    return of_probability(
        variant.name, "variant", answers, signal=variant.signal, abstained=reasons, recipe=pipeline.recipe
    )


def _measures(spec: RunSpec) -> tuple[str, ...]:
    """Figures of a forecaster; only where outcomes are relative need half of a day's names rise."""
    return tuple(name for name in METRICS if name != "acc_ranked" or spec.evaluation.target == "relative")


def _leak_detector(spec: RunSpec, scoring: Scoring) -> LeakDetector:
    if spec.evaluation.target == "relative":
        return LeakDetector(NO_LEAK_WORDS, [])
    return LeakDetector(LEAK_WORDS, [scoring.score(same_date_oracle(scoring.questions), ORACLE_MEASURES)])


def _sensitivities(study: Study, questions: Questions) -> list[Sensitivity]:
    spec = study.spec
    return [sensitivity(study, variant, questions, spec.evaluation.perturbed) for variant in _perturbed(spec)]


def _faithfulness(study: Study, variants: Sequence[Variant], questions: Questions) -> list[Faithfulness]:
    n_queries = study.spec.evaluation.faithfulness
    if not n_queries:
        return []
    explained = [variant for variant in variants if is_explained(variant)]
    return [row for variant in explained for row in faithfulness(study, variant, questions, n_queries)]


def predictions_of(questions: Questions, forecasts: Sequence[Forecast]) -> pd.DataFrame:
    """Lay P(rise) of each forecast beside the outcome, a row a query."""
    rows, columns = np.nonzero(questions.is_query)
    labels = {
        "date": questions.panel.days[rows].astype("datetime64[us]"),
        "symbol": np.array(questions.panel.symbols)[columns],
        "outcome": questions.outcome,
    }
    return pd.DataFrame(labels | {forecast.name: forecast.probability for forecast in forecasts})
