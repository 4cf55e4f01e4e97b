"""Train what a walk-forward lacks, step by step, by the code that trains a single model.

    plan -> tasks, oldest step first -> those that are not there -> a bench each -> train -> artifact at its address

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
from typing import Any

from ragsignal.artifacts import CARD, Artifact, load_artifact
from ragsignal.config import RunSpec, TrainSpec, Walked
from ragsignal.errors import StoreError
from ragsignal.study import ORDER, Materials, Plan, Step, Study, Trained, needs
from ragsignal.training.run import Bench
from ragsignal.utils import Progress, silent


@dataclass(kw_only=True)
class StepBench(Bench):
    """The bench of one step: its past is cut from the plan's prices, and its folders are addresses.

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
        return Materials(self.spec.data, self.spec.corpus, self.plan.history)

    def folder(self, kind: str) -> Path:
        """The address of what this step learns."""
        return self.plan.folder(self.step, _trained(kind))

    def scratch(self, kind: str) -> Path:
        """Unfinished work, by the same address."""
        return self.plan.root / ".work" / kind / self.folder(kind).name


@dataclass(frozen=True)
class Task:
    """One training run: what, for which step, where it will lie, and the training spec that it is."""

    step: Step
    kind: Trained
    folder: Path
    spec: TrainSpec

    @property
    def size(self) -> str:
        """What it costs, in words: an upper bound, known before anything is read."""
        return _size(self.spec, self.kind)


@dataclass
class Course:
    """All training runs of a walk-forward.

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
    _seconds: dict[Trained, list[float]] = field(default_factory=dict, repr=False)

    @cached_property
    def plan(self) -> Plan:
        """Steps and addresses."""
        return Study(self.spec).plan

    @cached_property
    def kinds(self) -> tuple[Walked, ...]:
        """What the variants read."""
        read = {kind for variant in self.spec.variants for kind in variant.retrained}
        return tuple(kind for kind in ORDER if kind != "feedback" and kind in read)

    def missing(self) -> list[Task]:
        """What is not there yet, in the order of time; what a finished artifact was made from is not needed again."""
        found = []
        for step in self.plan.steps:
            absent = tuple(kind for kind in self.kinds if not self._is_there(step, kind))
            wanted = [kind for kind in needs(absent) if not self._is_there(step, kind)]
            found += [Task(step, kind, self.plan.folder(step, kind), self.plan.training(step)) for kind in wanted]
        return found

    def train(self, told: Callable[[Task, float, float | None], None] | None = None) -> list[Artifact]:
        """Train what is missing.

        Parameters
        ----------
        told : callable, optional
            Told after each task what was done, the minutes it took, and about how many are left (None: not every kind
            of task was measured yet).

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
            self._seconds.setdefault(task.kind, []).append(time.perf_counter() - began)
            if told:
                told(task, self._seconds[task.kind][-1] / 60, self._minutes(tasks[number + 1 :]))
        return [load_artifact(self.plan.folder(step, kind), kind) for step in self.plan.steps for kind in self.kinds]

    def _do(self, task: Task) -> None:
        def progress(what: str, done: int, total: int) -> None:
            self.progress(f"{task.step.first}: {what}", done, total)

        bench = StepBench(task.spec, progress, self.command, plan=self.plan, step=task.step)
        _TRAIN[task.kind](bench)
        shutil.rmtree(bench.scratch(task.kind), ignore_errors=True)  # of many steps, checkpoints would fill a disk

    def _minutes(self, left: Sequence[Task]) -> float | None:
        """Of the tasks that are left: each as long as the last of its kind (an expanding window has more each time)."""
        if any(task.kind not in self._seconds for task in left):
            return None
        return sum(self._seconds[task.kind][-1] for task in left) / 60

    def _is_there(self, step: Step, kind: Trained) -> bool:
        folder = self.plan.folder(step, kind)
        if kind != "feedback":
            return (folder / CARD).is_file()
        return self._has_scores_of(folder, self.plan.folder(step, "stockllm"))

    def _has_scores_of(self, folder: Path, teacher: Path) -> bool:
        """Whether there are teacher scores, and of the teacher that is there: one trained again has other opinions."""
        from ragsignal.training.finseer.feedback import load_feedback

        if not (teacher / CARD).is_file():
            return False
        try:
            asked: str = load_feedback(folder).meta["recipe"]["stockllm"]
        except StoreError:
            return False
        return asked == load_artifact(teacher, "stockllm").digest


def _trained(kind: str) -> Trained:
    return next(it for it in ORDER if it == kind)


def _stockllm(bench: Bench) -> Any:
    from ragsignal.training.stockllm.train import train_stockllm

    return train_stockllm(bench)


def _feedback(bench: Bench) -> Any:
    from ragsignal.training.finseer.feedback import run_feedback

    return run_feedback(bench)


def _text(bench: Bench) -> Any:
    from ragsignal.training.finseer.train import train_finseer

    return train_finseer(bench, "text")


def _numeric(bench: Bench) -> Any:
    from ragsignal.training.finseer.train import train_finseer

    return train_finseer(bench, "numeric")


def _classifier(bench: Bench) -> Any:
    from ragsignal.training.classifier import train_classifier

    return train_classifier(bench)


# torch is imported by what is trained, and not before
_TRAIN: dict[Trained, Callable[[Bench], Any]] = {
    "stockllm": _stockllm,
    "feedback": _feedback,
    "finseer-text": _text,
    "finseer-numeric": _numeric,
    "classifier": _classifier,
}


def _size(spec: TrainSpec, kind: Trained) -> str:
    reader, asked, student, line = spec.stockllm, spec.feedback, spec.finseer, spec.classifier
    if kind == "stockllm":
        return (
            f"{reader.examples * reader.epochs:,.0f} prompts forward and back, {reader.valid_examples:,} to calibrate"
        )
    if kind == "feedback":
        return f"{asked.queries * (asked.candidates + 1):,} prompts"
    if kind == "finseer-text":
        return f"{2 * asked.queries * (student.negatives + 2) * student.epochs:,.0f} lines"
    if kind == "finseer-numeric":
        return f"{2 * student.numeric_epochs:,} passes over {asked.queries:,} queries"
    return "a regression" if line.kind == "logistic" else f"{line.examples * line.epochs:,.0f} lines"
