"""One point of a ladder: a teacher of its share of the data, a student of its width, and what came of it day by day.

    latest training days ─► boosting ─► targets ─► Student, as `ragsignal train stockllm` trains it ─► sums of each day

A loss is a function of these sums, so that whatever days are drawn anew, it is known without the model.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from ragsignal.config import RanksTraining, TrainSpec
from ragsignal.llm import computing
from ragsignal.training.advise.plan import Point, latest, rows_of
from ragsignal.training.ranks.boosting import fit_boosting
from ragsignal.training.ranks.examples import RankExamples
from ragsignal.training.ranks.student import Student, distillation_targets
from ragsignal.training.ranks.train import boosting_scores, valid_scores
from ragsignal.types import BoolArray, FloatArray
from ragsignal.utils import Record, plain, silent, silent_steps, write_file, write_json

if sys.platform != "win32":
    import resource

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Ladder:
    """What every process that trains points holds: the examples, the spec, and the folder of the results."""

    examples: RankExamples
    spec: TrainSpec
    folder: Path

    def teacher_file(self, fraction: float) -> Path:
        """Where the cost of a share's teacher stands; its targets lie in the working folder."""
        return self.folder / "teachers" / f"{fraction:g}.json"

    def targets_file(self, fraction: float) -> Path:
        """What students of a share regress on."""
        return self.work / f"targets-{fraction:g}.npy"

    def point_file(self, point: Point) -> Path:
        """The result of a point."""
        return self.folder / "points" / f"{point.name}.json"

    @property
    def work(self) -> Path:
        """Targets and checkpoints, which nobody needs once all points are there."""
        return self.folder / "work"


def teach(ladder: Ladder, fraction: float) -> None:
    """Fit the teacher of a share of the data, and keep what its students are to learn."""
    began = time.process_time()
    examples = latest(ladder.examples, fraction)
    rows, ranks = examples.letters.letters[examples.train], examples.targets[examples.train]
    with one_thread():
        model = fit_boosting(rows, ranks, ladder.spec.boosting, silent)
        targets = distillation_targets(examples, boosting_scores(model, examples, silent), ladder.spec.ranks)
    _keep(ladder.teacher_file(fraction), {"times": _times(began)})
    path = ladder.targets_file(fraction)  # last: where it is, the teacher is not fitted again
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, partial(_write_targets, targets))


def train_point(ladder: Ladder, point: Point) -> None:
    """Train one point, or go on from its checkpoint, and keep its sums."""
    began = time.process_time()
    examples = latest(ladder.examples, point.fraction)
    targets = np.load(ladder.targets_file(point.fraction), allow_pickle=False)
    spec = ranks_of(ladder.spec, point.hidden)
    student = Student(examples, targets, spec, point.seed, partial(valid_scores, examples))
    scratch = ladder.work / point.name
    with one_thread():  # the same weights, however many processes share the cores
        model, history = student.train(scratch, silent_steps)
        scores = valid_scores(examples, model)
    record = {"parameters": model.num_parameters(), "labels": int(examples.train.sum()), "evaluations": history}
    _keep(ladder.point_file(point), {**record, "days": day_sums(examples, scores), "times": _times(began)})
    shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: on a busy machine two threads of LightGBM took seven times as long as one."""
    import lightgbm  # noqa: F401 - limits hold for libraries that are loaded already

    with threadpool_limits(1), computing(1):
        yield


def ranks_of(spec: TrainSpec, hidden: int) -> RanksTraining:
    """The table ``[ranks]`` of a point."""
    steps = spec.advise.steps
    changes = {"hidden": hidden, "steps": steps, "eval_steps": min(spec.ranks.eval_steps, steps), "seeds": 1}
    return spec.ranks.model_copy(update=changes)


def day_sums(examples: RankExamples, scores: FloatArray) -> dict[str, list[float]]:
    """Sums over each validation day's stocks of scores s and ranks y of what followed, both less the day's mean.

    Parameters
    ----------
    examples : RankExamples
    scores : (n_days, n_symbols) float64

    Returns
    -------
    dict
        Lists with a value a validation day: ``n``, ``ss``, ``sy``, ``yy``, and ``ic``, Spearman's correlation.
    """
    rows = rows_of(examples.valid)
    known = examples.valid[rows] & np.isfinite(scores[rows])
    count = known.sum(axis=1)
    score, rank = (
        np.where(known, table[rows] - _means(table[rows], known), 0.0) for table in (scores, examples.targets)
    )
    return {
        "n": count.tolist(),
        "ss": (score**2).sum(axis=1).tolist(),
        "sy": (score * rank).sum(axis=1).tolist(),
        "yy": (rank**2).sum(axis=1).tolist(),
        "ic": examples.information_coefficients(scores).tolist(),
    }


def _means(table: FloatArray, known: BoolArray) -> FloatArray:
    means: FloatArray = np.where(known, table, 0.0).sum(axis=1, keepdims=True) / known.sum(axis=1, keepdims=True)
    return means


def _write_targets(targets: FloatArray, draft: Path) -> None:
    with draft.open("wb") as file:  # a name without .npy would get one
        np.save(file, targets)


def _keep(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, plain(record))


def _times(began: float) -> Record:
    """Seconds of a core since ``began``, and the most memory that this process has had."""
    times: Record = {"seconds": round(time.process_time() - began, 3)}
    if sys.platform != "win32":
        unit = 1 if sys.platform == "darwin" else 1024
        times["megabytes"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MEGABYTE)
    return times
