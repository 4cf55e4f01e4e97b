"""Train what a walk-forward lacks, step by step, by the code that trains a single model.

    plan -> tasks, oldest step first -> those that are not there -> a training run each -> artifact at its address

An artifact lies at the address of all that decides it (:mod:`ragsignal.study.walk_forward.address`): what is there is
never trained again, whichever spec asked for it, and a run that was killed goes on, the task that it was at from its
last checkpoint.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ragsignal.artifacts import CARD, Artifact, Kind, load_artifact
from ragsignal.config import RunSpec, TrainSpec
from ragsignal.errors import LookAheadError, StoreError
from ragsignal.study import Materials, Plan, Step, Study, TrainedKind, training_order
from ragsignal.training.finseer.feedback import load_feedback, run_feedback
from ragsignal.training.run import StepBefore, TrainingRun
from ragsignal.training.trainers import TRAINERS
from ragsignal.utils import Progress, silent, write_json


@dataclass(kw_only=True)
class StepTrainingRun(TrainingRun):
    """The training run of one step: its past is cut from the plan's prices, and its folders are addresses.

    Parameters
    ----------
    plan : Plan
    step : Step
    """

    plan: Plan
    step: Step

    @cached_property
    def materials(self) -> Materials:
        """Of the step's past alone."""
        return Materials(self.spec.data, self.spec.corpus, self.plan.history, self.news)

    @cached_property
    def before(self) -> StepBefore | None:
        """StockLLM of the step before, of a warm step.

        Raises
        ------
        LookAheadError
            If it knows more than this step may.
        ModelError
            If it is not there.
        """
        last = self.plan.before(self.step)
        if last is None:
            return None
        artifact = load_artifact(self.plan.folder(last, "stockllm"), "stockllm")
        if artifact.card.trained_through > self.step.train_end:
            raise LookAheadError(
                f"{artifact.folder}, which the step from {self.step.first} goes on from, was trained through "
                f"{artifact.card.trained_through}, and this step may know nothing after {self.step.train_end}; delete "
                "that folder, and type: ragsignal train walk-forward SPEC"
            )
        return StepBefore(artifact, self.plan.walk)

    def folder(self, kind: TrainedKind) -> Path:
        """The address of what this step learns."""
        return self.plan.folder(self.step, kind)

    @property
    def work(self) -> Path:
        """Beside the artifacts of all steps."""
        return self.plan.root / ".work"

    def scratch(self, kind: TrainedKind) -> Path:
        """Unfinished work, by the same address."""
        return self.work / kind / self.folder(kind).name


@dataclass(frozen=True)
class Task:
    """One training: of what, for which step, where its result will lie, and the training spec that it is.

    ``warm_steps`` are those of one that goes on from the step before.
    """

    step: Step
    kind: TrainedKind
    folder: Path
    spec: TrainSpec
    warm_steps: int | None = None

    @property
    def size(self) -> str:
        """What it costs, in words: an upper bound, known before anything is read."""
        return _size(self.spec, self.kind, self.warm_steps)


@dataclass
class WalkForwardTraining:
    """All trainings of a walk-forward.

    Parameters
    ----------
    spec : RunSpec
        With a table ``[walk_forward]``.
    progress : callable, optional
        Told how far long work is: ``progress(what, done, total)``.
    command : str
        What was typed; it goes into every card.
    """

    spec: RunSpec
    progress: Progress = silent
    command: str = ""
    _seconds: dict[TrainedKind, float] = field(default_factory=dict, repr=False)  # of the last task of each kind

    @cached_property
    def plan(self) -> Plan:
        """Steps and addresses."""
        return Study(self.spec).plan

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """What the variants read."""
        read = {kind for variant in self.spec.variants for kind in variant.retrained}
        return tuple(kind for kind in TRAINERS if kind in read)

    def missing(self) -> list[Task]:
        """What is not there yet, in the order of time; what a finished artifact was made from is not needed again."""
        tasks = []
        for step in self.plan.steps:
            absent = tuple(kind for kind in self.kinds if not self._is_there(step, kind))
            kinds = [kind for kind in training_order(self.plan.walk.train, absent) if not self._is_there(step, kind)]
            tasks += [self._task(step, kind) for kind in kinds]
        return tasks

    def _task(self, step: Step, kind: TrainedKind) -> Task:
        warm = kind == "stockllm" and self.plan.before(step) is not None
        steps = self.plan.walk.warm_steps if warm else None
        return Task(step, kind, self.plan.folder(step, kind), self.plan.training(step), steps)

    def train(self, on_finish: Callable[[Task, float, float | None], None] | None = None) -> list[Artifact]:
        """Train what is missing.

        Parameters
        ----------
        on_finish : callable, optional
            Called after each task with it, the minutes it took, and about how many minutes are left (None: not every
            kind of task was measured yet).

        Returns
        -------
        list of Artifact
            Everything that the variants read, of all steps in the order of time.

        Raises
        ------
        ConfigError, DataError, LookAheadError, ModelError
            As the training of one model raises them.
        """
        tasks = self.missing()
        for number, task in enumerate(tasks):
            began = time.perf_counter()
            self._do(task)
            self._seconds[task.kind] = time.perf_counter() - began
            write_json(self.plan.times(task.step, task.kind), {"seconds": round(self._seconds[task.kind], 3)})
            if on_finish:
                on_finish(task, self._seconds[task.kind] / 60, self._minutes(tasks[number + 1 :]))
        return [load_artifact(self.plan.folder(step, kind), kind) for step in self.plan.steps for kind in self.kinds]

    def _do(self, task: Task) -> None:
        def progress(what: str, done: int, total: int) -> None:
            self.progress(f"{task.step.first}: {what}", done, total)

        run = StepTrainingRun(task.spec, progress, self.command, plan=self.plan, step=task.step)
        with run.alone():
            if self._is_there(task.step, task.kind):  # another process was first
                return
            if task.kind == "feedback":
                run_feedback(run)
            else:
                TRAINERS[task.kind](run)
            shutil.rmtree(run.scratch(task.kind), ignore_errors=True)  # of many steps, checkpoints would fill a disk

    def _minutes(self, left: Sequence[Task]) -> float | None:
        """Of the tasks that are left: each as long as the last of its kind (an expanding window has more each time)."""
        if any(task.kind not in self._seconds for task in left):
            return None
        return sum(self._seconds[task.kind] for task in left) / 60

    def _is_there(self, step: Step, kind: TrainedKind) -> bool:
        folder = self.plan.folder(step, kind)
        if kind != "feedback":
            return (folder / CARD).is_file()
        return _holds_scores_of(folder, self.plan.folder(step, "stockllm"))


def _holds_scores_of(folder: Path, teacher: Path) -> bool:
    """Whether there are teacher scores, and of the teacher that is there: one trained again has other opinions."""
    if not (teacher / CARD).is_file():
        return False
    try:
        digest: str = load_feedback(folder).meta["recipe"]["stockllm"]
    except StoreError:
        return False
    return digest == load_artifact(teacher, "stockllm").digest


def _size(spec: TrainSpec, kind: TrainedKind, warm_steps: int | None) -> str:
    stockllm, feedback, finseer, classifier = spec.stockllm, spec.feedback, spec.finseer, spec.classifier
    if warm_steps is not None and stockllm.reader == "text":
        read = warm_steps * stockllm.batch_size * stockllm.accumulate
        return f"{read:,} prompts forward and back, {stockllm.valid_examples:,} to calibrate"
    if kind == "stockllm" and stockllm.reader == "ranks":
        labels = (warm_steps or spec.ranks.steps) * spec.ranks.days * spec.ranks.stocks
        return f"{spec.ranks.seeds} models, {labels:,} labels each at most"
    if kind == "classifier" and classifier.kind == "boosting":
        return f"{spec.boosting.members * spec.boosting.trees:,} trees"
    if kind == "stockllm":
        prompts = stockllm.examples * stockllm.epochs
        return f"{prompts:,.0f} prompts forward and back, {stockllm.valid_examples:,} to calibrate"
    if kind == "feedback":
        return f"{feedback.queries * (feedback.candidates + 1):,} prompts"
    if kind.startswith("finseer") and finseer.loss == "supcon":
        epochs = finseer.epochs if kind == "finseer-text" else finseer.numeric_epochs
        return f"{2 * finseer.windows * epochs:,.0f} windows"
    if kind == "finseer-text":
        return f"{2 * feedback.queries * (finseer.negatives + 2) * finseer.epochs:,.0f} lines"
    if kind == "finseer-numeric":
        return f"{2 * finseer.numeric_epochs:,} passes over {feedback.queries:,} queries"
    if kind == "recall":
        return f"{2 * spec.recall.steps:,} steps over {feedback.queries:,} queries at most"
    return "a regression" if classifier.kind == "logistic" else f"{classifier.examples * classifier.epochs:,.0f} lines"
