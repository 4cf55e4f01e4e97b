"""What a ladder will cost, measured on this machine before it is paid: some steps of each size, some trees.

All figures are seconds of one core, whatever else the machine is doing. On quiet cores a ladder takes these seconds
divided by the number of processes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.llm import Boosting
from ragsignal.llm.rank_model import RankLM, rank_config
from ragsignal.training.advise.plan import LadderCost, Point, latest
from ragsignal.training.advise.points import Ladder, one_thread, ranks_of
from ragsignal.training.ranks.boosting import fit_boosting
from ragsignal.training.ranks.student import Student
from ragsignal.training.ranks.train import valid_scores
from ragsignal.types import FloatArray
from ragsignal.utils import silent, silent_steps

_STEPS = 4  # of a trial
_TREES = (2, 12)  # of two trials, whose difference is free of what trees have in common
_ROWS = 20_000  # that a trial's trees score


def estimate(ladder: Ladder, points: Sequence[Point], fractions: Sequence[float]) -> LadderCost:
    """Measure what the points, and the teachers of the shares, that are missing will cost."""
    sizes = sorted({point.hidden for point in points})
    with one_thread():
        if sizes:
            _point_seconds(ladder, sizes[0])  # a first one pays for loading the library
        each = {size: _point_seconds(ladder, size) for size in sizes}
        teachers = _teacher_seconds(ladder, fractions) if fractions else 0.0
    of_size = {size: each[size] * sum(point.hidden == size for point in points) for size in sizes}
    parameters = {size: parameters_of(ladder, size) for size in ladder.spec.advise.sizes}
    return LadderCost(len(points), of_size, teachers, parameters)


def parameters_of(ladder: Ladder, hidden: int) -> int:
    """How many parameters a model of this width has, embeddings included."""
    model: Any = RankLM(rank_config(ranks_of(ladder.spec, hidden), factors=ladder.examples.letters.factors))
    return int(model.num_parameters())


def _point_seconds(ladder: Ladder, hidden: int) -> float:
    """Of all steps of a point, of its looks at validation, and of the last one, after training."""
    spec, scoring = ranks_of(ladder.spec, hidden), 0.0
    trial = spec.model_copy(update={"steps": _STEPS, "eval_steps": _STEPS})

    def score(model: Any) -> FloatArray:
        nonlocal scoring
        began = time.process_time()
        scores = valid_scores(ladder.examples, model)
        scoring = time.process_time() - began
        return scores

    targets = np.where(ladder.examples.train, ladder.examples.targets, np.nan)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        Student(ladder.examples, targets, trial, 0, score).train(Path(folder), silent_steps)
    step = (time.process_time() - began - scoring) / _STEPS
    looks = -(-spec.steps // spec.eval_steps) + 1
    return step * spec.steps + scoring * looks


def _teacher_seconds(ladder: Ladder, fractions: Sequence[float]) -> float:
    """Of fitting trees on each share, and of scoring its labels by them."""
    examples, spec = ladder.examples, ladder.spec.boosting
    rows, ranks = examples.letters.letters[examples.train], examples.targets[examples.train]
    few, more = (spec.model_copy(update={"members": 1, "trees": trees}) for trees in _TREES)
    took = []
    for trial in (few, few, more):  # the first one loads the library
        began = time.process_time()
        model = fit_boosting(rows, ranks, trial, silent)
        took.append(time.process_time() - began)
    a_tree = max(0.0, took[2] - took[1]) / (_TREES[1] - _TREES[0])
    shares = sum(latest(examples, share).train.sum() / len(rows) for share in fractions)
    trees = spec.members * spec.trees
    return float(shares * trees * (a_tree + len(rows) * _row_seconds(model, rows)))


def _row_seconds(model: Boosting, rows: Any) -> float:
    """Of a row by one tree."""
    began = time.process_time()
    model.row_scores(rows[:_ROWS])
    return (time.process_time() - began) / min(len(rows), _ROWS) / _TREES[1]
