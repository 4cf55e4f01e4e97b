"""Ways to make one text reader forecast, on the same queries: prompts alone, and what each method of training made.

    [methods] ─► trained adapters ─┐
    zero-shot, few-shot prompts ───┼► forecasts ─► figures, paired differences, what each cost ─► record, table
    free models, same examples ────┘

Training calibrates an adapter on validation days. What is prompted alone has no such days, and would lose by its
wording: so it stands there twice, as it is, and calibrated on the same validation examples by the same code.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from ragsignal.artifacts import Calibration
from ragsignal.config import MethodName, RunSpec, Variant
from ragsignal.errors import ConfigError
from ragsignal.evaluation.baselines import free_baselines
from ragsignal.evaluation.forecasts import Forecast, of_probability, probabilities
from ragsignal.evaluation.metrics import BALANCED_ACCURACY, METRICS, Metric, MetricEstimate, Resampling
from ragsignal.evaluation.protocol import overlap_of
from ragsignal.evaluation.questions import QuestionCounts, Questions, build_questions
from ragsignal.evaluation.run import counted, forecast_of, predictions_of, prepare
from ragsignal.evaluation.slope import CALIBRATION_SLOPE, log_odds
from ragsignal.llm import calibrated, probability_of
from ragsignal.signals import Pipeline, ReadOnce
from ragsignal.statistics import LEVEL, Interval, holm
from ragsignal.study import RunFrame, Study, data_digests, notes_on_training
from ragsignal.training import Example, TrainedMethod, fit_calibration, method_examples, methods_of, train_methods
from ragsignal.types import BoolArray, Query
from ragsignal.utils import Progress, Record, silent, versions_of

FIGURES: dict[str, Metric] = {
    "acc": METRICS["acc"],
    "balanced_acc": BALANCED_ACCURACY,
    "mcc": METRICS["mcc"],
    "auc": METRICS["auc"],
    "log_loss": METRICS["log_loss"],
    "brier": METRICS["brier"],
    "slope": CALIBRATION_SLOPE,
    "ic": METRICS["ic"],
}
COMPARED = ("acc", "balanced_acc", "mcc", "auc", "log_loss", "brier", "ic")
"""Figures of which more, or less, is better; a calibration slope is best at 1."""

BASELINES = {
    "always-rise": "base rate",
    "reversal-1d": "one-day reversal",
    "logistic": "logistic",
    "boosting-17": "boosting",
}
CALIBRATED = ", calibrated"
_LIBRARIES = ("torch", "transformers", "peft", "scikit-learn", "numpy", "pandas")
_TIMED = 32  # prompts

WayKind = Literal["prompted", "trained", "baseline"]


@dataclass(frozen=True, eq=False)
class Way:
    """One way to forecast, with its figures on the ``n`` queries that it answered.

    ``method`` is what a trained one was taught by; ``calibration`` what was fitted here on validation examples.
    """

    kind: WayKind
    forecast: Forecast
    n: int
    figures: dict[str, MetricEstimate]
    method: MethodName | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True, slots=True)
class WayDifference:
    """A figure of ``left`` less that of ``right`` on the ``n`` queries that both answered; ``p_family``: corrected."""

    left: str
    right: str
    measure: str
    n: int
    interval: Interval
    p_family: float

    @property
    def verdict(self) -> str:
        """Better, worse or not distinguishable: of the left one."""
        if not self.p_family < 1.0 - LEVEL:
            return "not distinguishable"
        return "better" if FIGURES[self.measure].sign * self.interval.difference > 0 else "worse"


@dataclass(frozen=True, eq=False)
class MethodsComparison:
    """What ``ragsignal train methods`` comes to; the same for the same spec, prices and models, but for ``times``."""

    spec: RunSpec
    digests: dict[str, str]
    versions: dict[str, str]
    questions: QuestionCounts
    trained: list[TrainedMethod]
    ways: list[Way]
    differences: list[WayDifference]
    protocol: list[str]
    times: Record
    predictions: pd.DataFrame


def compare_methods(spec: RunSpec, progress: Progress = silent, command: str = "") -> MethodsComparison:
    """Train what ``[methods]`` lacks, and score every variant that reads text, beside free models of the same examples.

    Parameters
    ----------
    spec : RunSpec
        With a table ``[methods]``.
    progress : callable, optional
        Told how far long work is: ``progress(what, done, total)``.
    command : str
        What was typed; it goes into the cards of what is trained.

    Raises
    ------
    ConfigError
        If there is no such table, or the training and the run do not fit each other.
    DataError, LookAheadError, ModelError
        As training and evaluation raise them.
    """
    frame = RunFrame()
    methods_of(spec)
    study, questions, _ = prepare(spec, progress)
    learned, valid = method_examples(spec)
    wide = _of_all_prices(study, questions)
    learn = _cells(wide, learned)
    trained = train_methods(spec, progress, command)
    run = _AskedWays(study, questions, valid)
    ways = [way for variant in study.spec.variants if variant.reads_text for way in run.ways(variant)]
    baselines = free_baselines(wide, learn, wide.is_query)
    named = [replace(it, name=BASELINES[it.name]) for it in baselines if it.name in BASELINES]
    resampling = Resampling.of(questions.n_days, overlap_of(spec.evaluation))
    ways = [*ways, *(Way("baseline", it, 0, {}) for it in named)]
    scored = [_scored(way, questions, resampling) for way in ways]
    return MethodsComparison(
        spec=study.spec,
        digests=data_digests(study, list(study.spec.variants)),
        versions=versions_of(_LIBRARIES),
        questions=questions.counts(),
        trained=trained,
        ways=scored,
        differences=list(_corrected(_differences(scored, study.spec, questions, resampling))),
        protocol=[*notes_on_training(study), *_notes(len(learned), len(valid))],
        times=frame.times(variants=run.times, trials=counted(study.spec, run.pipelines)),
        predictions=predictions_of(questions, [way.forecast for way in scored]),
    )


class _AskedWays:
    """Asks the variants of a study, and keeps what each answer took."""

    def __init__(self, study: Study, questions: Questions, valid: Sequence[Example]) -> None:
        self._study, self._questions, self._valid = study, questions, valid
        self.pipelines: dict[str, Pipeline] = {}
        self.times: dict[str, Record] = {}

    def ways(self, variant: Variant) -> Iterator[Way]:
        """A variant as it is, and, where it has no adapter and so no calibration, once more with one."""
        pipeline = self.pipelines[variant.name] = self._study.pipeline(variant)
        forecast = forecast_of(variant, pipeline, self._questions, self._study)
        self.times[variant.name] = {**pipeline.cost.record(), **_reading_cost(pipeline, self._questions.queries)}
        method = _method_of(self._study.spec, variant)
        yield Way("prompted" if variant.llm.adapter is None else "trained", forecast, 0, {}, method)
        if variant.llm.adapter is None:
            yield self._calibrated(variant, forecast, pipeline)

    def _calibrated(self, variant: Variant, forecast: Forecast, pipeline: Pipeline) -> Way:
        said, _ = probabilities(pipeline, [it.query for it in self._valid])
        rise = np.array([it.rise for it in self._valid])
        answered = np.isfinite(said)
        method = methods_of(self._study.spec).train.stockllm.calibration
        fitted = fit_calibration(log_odds(said[answered]), rise[answered], method)
        moved = np.full(len(forecast.probability), np.nan)
        moved[forecast.answered] = probability_of(calibrated(log_odds(forecast.probability[forecast.answered]), fitted))
        made = of_probability(variant.name + CALIBRATED, "variant", moved, signal=variant.signal)
        return Way("prompted", made, 0, {}, calibration=fitted)


def _reading_cost(pipeline: Pipeline, queries: Sequence[Query]) -> Record:
    """Tokens and the processor's milliseconds of a prompt: some are read again, as what is kept costs nothing.

    All threads count; retrieval does not.
    """
    asked = list(queries[:: max(1, len(queries) // _TIMED)])[:_TIMED]
    ((part, own),) = pipeline.parts(asked)
    prompts = [part.prompter.render(query, hits) for query, hits in zip(own, part.retriever.retrieve(own), strict=True)]
    reader = part.scorer.inner if isinstance(part.scorer, ReadOnce) else part.scorer
    reader.score(prompts[:1])  # which reads the weights
    began = time.process_time()
    scores = reader.score(prompts)
    spent = 1000 * (time.process_time() - began) / len(prompts)
    return {
        "cpu_ms_a_prompt": round(spent, 3),
        "tokens_a_prompt": round(sum(it.tokens for it in scores) / len(scores), 1),
    }


def _method_of(spec: RunSpec, variant: Variant) -> MethodName | None:
    methods = methods_of(spec)
    for method in methods.rates:
        if variant.llm.adapter and (methods.folder(method) / "stockllm").samefile(variant.llm.adapter):
            return method
    return None


def _of_all_prices(study: Study, questions: Questions) -> Questions:
    """The same queries in the same order, beside labels of all symbols that the run reads, those of its corpus too."""
    wide = build_questions(study.prices.frames, study.spec)
    days, symbols = np.nonzero(questions.is_query)
    rows = np.searchsorted(wide.panel.days, questions.panel.days[days])
    columns = np.searchsorted(wide.panel.symbols, questions.panel.symbols)  # a panel's symbols are sorted
    is_query = np.zeros_like(wide.is_query)
    is_query[rows, columns[symbols]] = True
    return replace(wide, is_query=is_query, queries=questions.queries)


def _cells(questions: Questions, learned: Sequence[Example]) -> BoolArray:
    """Where the examples stand among all labels (n_days, n_symbols); raises where the run does not have them."""
    cells = np.zeros(questions.outcomes.shape, dtype=bool)
    columns = {symbol: number for number, symbol in enumerate(questions.panel.symbols)}
    missing = sorted({it.query.symbol for it in learned} - set(columns))
    if missing:
        raise ConfigError(
            f"methods.train learns from {', '.join(missing[:5])}, and the run reads no prices of "
            f"{'it' if len(missing) == 1 else 'them'}: free models could not learn from the same examples; name all "
            "symbols of the training spec in the run's data.symbols or corpus.symbols"
        )
    days = np.array([it.query.as_of for it in learned], dtype=questions.panel.days.dtype)
    rows = np.minimum(np.searchsorted(questions.panel.days, days), len(questions.panel.days) - 1)
    cells[rows, [columns[it.query.symbol] for it in learned]] = questions.panel.days[rows] == days
    came = np.array([it.outcome for it in learned])
    same = np.isclose(questions.outcomes[rows, [columns[it.query.symbol] for it in learned]], came, atol=1e-9)
    if not same.all():
        raise ConfigError(
            f"{int((~same).sum())} of {len(same)} examples of methods.train have another outcome in the run's prices; "
            "name the same prices and the same target in both specs"
        )
    return cells


def _scored(way: Way, questions: Questions, resampling: Resampling) -> Way:
    sample = way.forecast.on(questions, way.forecast.answered)
    figures = {name: metric.estimate(metric.daily(sample), resampling) for name, metric in FIGURES.items()}
    return replace(way, n=len(sample), figures=figures)


def _differences(
    ways: Sequence[Way], spec: RunSpec, questions: Questions, resampling: Resampling
) -> Iterator[WayDifference]:
    """Each calibrated way less zero-shot, and less each free model; uncorrected."""
    zero = next(it.name for it in spec.variants if it.is_zero_shot) + CALIBRATED
    named = {way.forecast.name: way for way in ways}
    free = [name for name, way in named.items() if way.kind == "baseline"]
    for name, way in named.items():
        if way.kind == "trained" or way.calibration is not None:
            for other in [zero, *free]:
                if other != name:
                    yield from _pair(way.forecast, named[other].forecast, questions, resampling)


def _pair(left: Forecast, right: Forecast, questions: Questions, resampling: Resampling) -> Iterator[WayDifference]:
    both = left.answered & right.answered
    ours, theirs = left.on(questions, both), right.on(questions, both)
    for measure in COMPARED:
        metric = FIGURES[measure]
        interval = metric.difference(metric.daily(ours), [metric.daily(theirs)], resampling)
        yield WayDifference(left.name, right.name, measure, int(both.sum()), interval, interval.p)


def _corrected(differences: Iterator[WayDifference]) -> Iterator[WayDifference]:
    """Correct for the number of differences: those of ICs are one family, all others another."""
    rows = list(differences)
    for of_ic in (False, True):
        family = [row for row in rows if (row.measure == "ic") == of_ic]
        adjusted = holm([row.interval.p for row in family]).tolist()
        yield from (replace(row, p_family=p) for row, p in zip(family, adjusted, strict=True))


def _notes(learned: int, valid: int) -> list[str]:
    return [
        f"Every method learned from the same {learned:,} examples and was calibrated on the same {valid:,} validation "
        "examples, which chose its learning rate too; the free models learned from the same examples.",
        f"A prompt alone is shown as it is and, {CALIBRATED.removeprefix(', ')}, with a slope and an intercept of the "
        "same validation examples; paired differences are of that one.",
        "Intervals are 95 %, whole days resampled. A difference is distinguishable if its p stays below 0.05 after "
        "Holm's correction: ICs are one family, all other figures another.",
        "Seconds are the processor's, of all threads: of the training steps of the chosen rate, without validation, "
        f"and of reading a prompt, the mean of {_TIMED}.",
    ]


def trained_of(comparison: MethodsComparison) -> Mapping[MethodName, TrainedMethod]:
    """The chosen training of each method."""
    return {row.method: row for row in comparison.trained if row.chosen}
