"""What models of a walk-forward still know of older days, and know of later ones: each step's model on each period.

    artifacts of all steps x letters of all days ─► daily rank ICs ─► matrix of steps and periods ─► its means

Period 0 are the days that the first step trained on, period j those that step j is used on. The model of step i has
learned periods 0 to i - 1 (their cells are in sample) and none from i on (out of sample). So a period is first known to
the model of the step after it. After Lopez-Paz and Ranzato 2017 (arXiv 1706.08840) with R(i, j) the IC of model i on
period j, and n steps:

    backward  mean over j < n - 1 of R(n, j) - R(j + 1, j)     what later steps did to what had been learned
    forward   mean over j >= 1    of R(j, j)                   what was known of a period before it was learned, less 0,
                                                               which is what a model that knows nothing has

Average forgetting (Chaudhry et al. 2018, arXiv 1801.10112) is the mean over j < n - 1 of the best R(i, j), j < i < n,
less R(n, j): the best of several is above their mean by chance alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from ragsignal.artifacts import Artifact, load_artifact
from ragsignal.data import RankLetters, label_tables
from ragsignal.evaluation.days import rank_correlations
from ragsignal.llm import DayScorer, day_scorer
from ragsignal.statistics import LEAST_DAYS, Interval, block_length, day_weights, interval_of_draws
from ragsignal.study import Materials, NewsSource, Study, open_store
from ragsignal.types import BoolArray, FloatArray
from ragsignal.utils import Progress, Record, plain

_DAYS = 64  # that are scored together
_LEAST_STOCKS = 10  # of a day: the ranks of fewer say little


@dataclass(frozen=True)
class Period:
    """Days of a column of the matrix, both inclusive; ``number`` 0 are those that the first step trained on."""

    number: int
    first: date
    last: date


@dataclass(frozen=True)
class Cell:
    """Mean rank IC of the model of a step (from 1) on the days of a period, with its 95 % interval.

    The bounds are infinite where fewer than 100 days speak.
    """

    step: int
    period: int
    in_sample: bool
    days: int
    ic: float
    low: float
    high: float


@dataclass(frozen=True)
class StepCost:
    """What the training of StockLLM for a step took: optimizer steps of all seeds, and seconds where they are known."""

    step: int
    first: date
    warm: bool
    steps: int
    seconds: float | None


@dataclass(frozen=True)
class Forgetting:
    """The matrix of a walk-forward; the three means are None where there are too few steps for one.

    ``forgetting`` above 0 and ``backward`` below 0 say that later steps worsened what had been learned.
    """

    periods: tuple[Period, ...]
    cells: tuple[Cell, ...]
    forgetting: Interval | None
    backward: Interval | None
    forward: Interval | None
    costs: tuple[StepCost, ...]


def forgetting_of(study: Study) -> Forgetting | None:
    """Score every step's StockLLM on every period.

    Parameters
    ----------
    study : Study
        Of a walk-forward whose artifacts are there.

    Returns
    -------
    Forgetting or None
        None of a reader of text, which would have to read a prompt a stock and day and step.

    Raises
    ------
    ModelError
        If an artifact is missing or altered.
    """
    if study.plan.walk.train.stockllm.reader == "text":
        return None
    return StepScores(study).forgetting()


def forgetting_record(forgetting: Forgetting) -> Record:
    """As a record has it: the same for the same artifacts, so without seconds."""
    record: Record = plain(forgetting)
    for cost in record["costs"]:
        del cost["seconds"]
    for name in ("forgetting", "backward", "forward"):
        interval: Interval | None = getattr(forgetting, name)
        if interval is not None:
            record[name]["distinguishable"] = interval.distinguishable
    return record


def training_seconds(forgetting: Forgetting) -> list[float | None]:
    """Seconds that StockLLM's training took at each step, of the run that ended it; None where nobody wrote them."""
    return [cost.seconds for cost in forgetting.costs]


@dataclass
class StepScores:
    """How well each step's StockLLM on ranks ranked the stocks of each day.

    Parameters
    ----------
    study : Study
        Of a walk-forward whose artifacts are there.
    """

    study: Study

    def forgetting(self) -> Forgetting:
        """Put cells, their means and costs together."""
        last = len(self.artifacts)
        learned = range(last - 1)  # periods that a model before the last one has learned
        after = {period: self.ics(last, period) for period in learned}
        best = {period: max(range(period + 1, last), key=lambda step: self._value(step, period)) for period in learned}
        cells = [self._cell(step, period) for step in range(1, last + 1) for period in range(last + 1)]
        return Forgetting(
            periods=tuple(self.periods),
            cells=tuple(cells),
            forgetting=self._mean_of([self.ics(best[period], period) - after[period] for period in learned]),
            backward=self._mean_of([after[period] - self.ics(period + 1, period) for period in learned]),
            forward=self._mean_of([self.ics(step, step) for step in range(1, last + 1)]),
            costs=tuple(step_costs(self.study, self.artifacts)),
        )

    @cached_property
    def artifacts(self) -> list[Artifact]:
        """StockLLM of every step; raises ``ModelError`` where one is missing."""
        plan = self.study.plan
        return [load_artifact(plan.folder(step, "stockllm"), "stockllm") for step in plan.steps]

    @cached_property
    def periods(self) -> list[Period]:
        """The columns of the matrix."""
        learned = self.artifacts[0].card.train
        used = [(step.first, step.last) for step in self.study.plan.steps]
        return [Period(number, *days) for number, days in enumerate([(learned.first, learned.last), *used])]

    @cached_property
    def letters(self) -> RankLetters:
        """Of the training spec's symbols, from its first day to the run's last one."""
        materials = self._materials
        return materials.letters(bool(materials.candidates.alphas), materials.news is not None)

    @cached_property
    def daily(self) -> list[FloatArray]:
        """Rank IC of each step's model on each day (n_days,), NaN where nothing can be said."""
        corpus, letters = self.study.plan.walk.train.corpus, self.letters
        frames = self._materials.prices.between(letters.days[0].item(), None).frames
        outcomes, _ = label_tables(frames, letters.days, letters.symbols, corpus.target, corpus.horizon)
        known = letters.ranked & np.isfinite(outcomes)
        known &= (letters.days >= np.datetime64(self.periods[0].first))[:, None]
        known &= (known.sum(axis=1) >= _LEAST_STOCKS)[:, None]
        daily = []
        for number, artifact in enumerate(self.artifacts):
            self._progress("forgetting matrix", number, len(self.artifacts))
            scores = scores_of(day_scorer(artifact, self.study.spec.llm.device), letters, known)
            daily.append(rank_correlations(scores[known], outcomes[known], np.nonzero(known)[0], len(known)))
        self._progress("forgetting matrix", len(self.artifacts), len(self.artifacts))
        return daily

    @property
    def _progress(self) -> Progress:
        return self.study.progress

    @cached_property
    def _materials(self) -> Materials:
        plan = self.study.plan
        train = plan.walk.train
        days = {"start": plan.training(plan.steps[0]).data.start, "end": self.study.spec.data.end}
        news = None if train.news is None else NewsSource(train.news, open_store)
        return Materials(train.data.model_copy(update=days), train.corpus, plan.history, news)

    def ics(self, step: int, period: int) -> FloatArray:
        """Daily rank ICs of the model of a step (from 1) on the days of a period that have one."""
        span, days = self.periods[period], self.letters.days
        values = self.daily[step - 1][(days >= np.datetime64(span.first)) & (days <= np.datetime64(span.last))]
        return values[np.isfinite(values)]

    def _value(self, step: int, period: int) -> float:
        values = self.ics(step, period)
        return float(values.mean()) if len(values) else float("nan")

    def _cell(self, step: int, period: int) -> Cell:
        values = self.ics(step, period)
        interval = self._mean_of([values]) or Interval(float("nan"), float("nan"), float("nan"))
        in_sample = self.periods[period].first <= self.artifacts[step - 1].card.trained_through
        return Cell(step, period, in_sample, len(values), interval.difference, interval.low, interval.high)

    def _mean_of(self, periods: Sequence[FloatArray]) -> Interval | None:
        """Mean of the means of some periods' daily values; each period weighs the same, whole days are resampled."""
        periods = [values for values in periods if len(values)]
        if not periods:
            return None
        return mean_of_periods(periods, self.study.plan.walk.train.corpus.horizon)


def mean_of_periods(periods: Sequence[FloatArray], horizon: int = 1) -> Interval:
    """Mean of the means of some periods, with an interval that resamples blocks of days.

    Parameters
    ----------
    periods : sequence of (n_days,) float64
        Daily values of each, at least one.
    horizon : int
        Days that share a part of their outcome.
    """
    values = np.concatenate(periods)
    shares = np.concatenate([np.full(len(it), 1.0 / len(it)) for it in periods])
    estimate = float(np.sum(shares * values) / len(periods))
    if len(values) < LEAST_DAYS:
        return Interval(estimate, -np.inf, np.inf)
    weights = day_weights(len(values), overlap=horizon)
    draws = (weights @ (shares * values)) / (weights @ shares)
    return interval_of_draws(estimate, draws, len(values), block_length(len(values), horizon))


def scores_of(model: DayScorer, letters: RankLetters, known: BoolArray) -> FloatArray:
    """Scores (n_days, n_symbols) of a model on the days that have labels, 64 at a time; NaN on the others."""
    scores, rows = np.full(known.shape, np.nan), np.flatnonzero(known.any(axis=1))
    for first in range(rows[0], rows[-1] + 1, _DAYS):
        last, start = min(first + _DAYS, rows[-1] + 1), max(0, first - model.memory + 1)
        scores[first:last] = model.scores(letters.letters[start:last])[first - start :]
    return scores


def step_costs(study: Study, artifacts: Sequence[Artifact]) -> list[StepCost]:
    """What the training of StockLLM took at each step, by its card and by what the training command wrote down."""
    plan, costs = study.plan, []
    for number, (step, artifact) in enumerate(zip(plan.steps, artifacts, strict=True), start=1):
        path, warm = plan.times(step, "stockllm"), "warm" in artifact.card.recipe
        seconds = json.loads(path.read_text(encoding="utf-8"))["seconds"] if path.is_file() else None
        costs.append(StepCost(number, step.first, warm, _steps_taken(artifact), seconds))
    return costs


def _steps_taken(artifact: Artifact) -> int:
    """Optimizer steps of all seeds: a training ends with an evaluation, and a warm one begins with one."""
    recipe = artifact.card.recipe
    evaluations = [len(history) - ("warm" in recipe) for history in artifact.card.metrics["evaluations"].values()]
    return sum(min(count * recipe["eval_steps"], recipe["steps"]) for count in evaluations)
