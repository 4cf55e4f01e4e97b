"""StockLLM on ranks: a teacher, some students of it, one artifact.

rank examples ─► boosting (trained first where it is not there) ─► targets ─► a student a seed ─► calibration
"""

from __future__ import annotations

import shutil
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ragsignal.artifacts import CARD, Artifact, load_artifact, refuse_foreign, save_artifact
from ragsignal.config import RanksTraining
from ragsignal.errors import ModelError
from ragsignal.llm import (
    HITS_RECIPE,
    RANKS_RECIPE,
    Boosting,
    RankEnsemble,
    beside_bars,
    memory_of,
    reads_states,
    seed_folders,
)
from ragsignal.training.calibration import fit_calibration, validation_metrics
from ragsignal.training.ranks.boosting import boosting_recipe, train_boosting
from ragsignal.training.ranks.examples import RankExamples, rank_examples
from ragsignal.training.ranks.hits import TrainingHits
from ragsignal.training.ranks.student import Student, distillation_targets
from ragsignal.training.ranks.warm import OldDays, WarmStart
from ragsignal.training.run import TrainingResult, TrainingRun
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import Progress, quiet_loading, versions_of

COMPUTING = ("torch", "transformers", "lightgbm")
_DAYS = 64  # that are scored together on validation


def train_on_ranks(run: TrainingRun) -> Artifact:
    """Train, calibrate and save StockLLM on rank letters.

    A run that was killed goes on: the teacher is not trained again, nor is a finished seed, and the seed that it was at
    goes on from its last evaluation.

    Returns
    -------
    Artifact
        Of kind ``stockllm``, in ``run.folder("stockllm")``; its teacher lies in ``run.folder("classifier")``.

    Raises
    ------
    DataError, LookAheadError
        As :func:`~ragsignal.training.ranks.examples.rank_examples`.
    ModelError
        If there is a classifier already, and it is no teacher for this spec.
    """
    refuse_foreign(run.folder("stockllm"))
    examples = rank_examples(run)
    teacher = _teacher(run, examples)
    targets = distillation_targets(examples, teacher_scores(teacher, examples, run.progress), run.spec.ranks)
    folder = run.work_folder("stockllm", [_recipe(run, teacher), run.prices.digest, versions_of(COMPUTING)])
    hits = TrainingHits(run) if run.spec.ranks.reads_hits else None
    models, histories = [], []
    for number in range(run.spec.ranks.seeds):
        seed = run.spec.ranks.seed + number
        score = partial(valid_scores, examples)
        student = Student(examples, targets, _settings(run), seed, score, hits, warm_start(run, examples, number))
        words = f"StockLLM, seed {number + 1} of {run.spec.ranks.seeds}"
        model, history = student.train(folder / f"seed-{seed}", partial(run.progress, words))
        models.append(model)
        histories.append(history)
    artifact = _save(run, examples, teacher, models, histories)
    shutil.rmtree(run.scratch("stockllm"), ignore_errors=True)  # its checkpoints have served
    return artifact


def _settings(run: TrainingRun) -> RanksTraining:
    """The table ``[ranks]``, with the steps and the learning rate of a warm step in the place of its own."""
    ranks = run.spec.ranks
    if run.before is None:
        return ranks
    walk = run.before.walk
    return ranks.model_copy(update={"steps": walk.warm_steps, "learning_rate": walk.warm_rate * ranks.learning_rate})


def warm_start(run: TrainingRun, examples: RankExamples, number: int) -> WarmStart | None:
    """Where the seed at a place goes on from; None of a run that begins from nothing.

    Parameters
    ----------
    run : TrainingRun
    examples : RankExamples
    number : int
        Of the seed among ``ranks.seeds``.
    """
    if run.before is None:
        return None
    ranks, artifact = run.spec.ranks, run.before.artifact
    last = int(np.searchsorted(examples.letters.days, np.datetime64(artifact.card.train.last), side="right")) - 1
    known = examples.train & (np.arange(len(examples.train)) <= last)[:, None]
    with quiet_loading():
        trunk = RankEnsemble(seed_folders(artifact.folder)[number : number + 1]).models[0]
    old = OldDays(examples.letters.letters, known, ranks.days, ranks.stocks)
    return WarmStart(trunk, run.before.walk, last, old, ranks.seed + number)


def _teacher(run: TrainingRun, examples: RankExamples) -> Artifact:
    """The boosting of this spec: the one that is there, if it is that, or a new one."""
    folder = run.folder("classifier")
    if not (folder / CARD).is_file():
        return train_boosting(run, examples)
    teacher = load_artifact(str(folder), "classifier")
    card = teacher.card
    # the split above all: a teacher that knows the student's validation days would choose its weights by them
    theirs = card.recipe, card.target, card.train, card.data["fingerprint"]
    ours = run.card_recipe(boosting_recipe(run)), run.spec.corpus.target, examples.learned(examples.train).span
    if theirs != (*ours, run.prices.digest):
        raise ModelError(
            f"{folder} holds a classifier of another spec or of other prices, which cannot teach this one; delete it, "
            "or name another `out`"
        )
    return teacher


def teacher_scores(teacher: Artifact, examples: RankExamples, progress: Progress) -> FloatArray:
    """Scores on training labels of the boosting in an artifact."""
    return boosting_scores(Boosting.load(teacher.folder, reads_states(teacher)), examples, progress)


def boosting_scores(model: Boosting, examples: RankExamples, progress: Progress) -> FloatArray:
    """Scores on training labels, day by day: minutes for a million of them."""
    scores = np.full(examples.targets.shape, np.nan)
    days = np.flatnonzero(examples.train.any(axis=1))
    for block in np.array_split(days, max(1, len(days) // _DAYS)):
        mask = examples.train[block]
        part = scores[block]
        states = examples.letters.states[block[np.nonzero(mask)[0]]]
        part[mask] = model.row_scores(examples.letters.letters[block][mask], states)
        scores[block] = part
        progress("teacher's scores", int(np.searchsorted(days, block[-1])) + 1, len(days))
    return scores


def valid_scores(examples: RankExamples, model: Any) -> FloatArray:
    """Scores of the validation days, by passes over 64 days that begin with what the first one remembers."""
    letters = examples.letters.letters
    scores, before = (
        np.full(letters.shape[:2], np.nan),
        memory_of(model.config.num_hidden_layers, model.config.window) - 1,
    )
    days = np.flatnonzero(examples.valid.any(axis=1))
    with torch.inference_mode():
        for first in range(days[0], days[-1] + 1, _DAYS):
            last, start = min(first + _DAYS, days[-1] + 1), max(0, first - before)
            there = np.flatnonzero(examples.valid[first:last].any(axis=0))
            block = np.ascontiguousarray(letters[start:last][:, there].transpose(1, 0, 2))
            scores[first:last, there] = model(torch.from_numpy(block))[:, first - start :].T.numpy()
    return np.where(examples.valid, scores, np.nan)


def _save(
    run: TrainingRun, examples: RankExamples, teacher: Artifact, models: list[Any], histories: list[list[float]]
) -> Artifact:
    table = np.mean([valid_scores(examples, model) for model in models], axis=0)
    scores = table[examples.valid]
    calibration = fit_calibration(scores, examples.rises, "platt")
    result = TrainingResult(
        recipe=_recipe(run, teacher),
        metrics={
            "ic": float(np.nanmean(examples.information_coefficients(table))),
            "parameters": int(models[0].num_parameters()),
            "evaluations": {f"seed-{number}": history for number, history in enumerate(histories)},
            **validation_metrics(scores, examples.rises, calibration),
        },
        base=None,
        template=RANKS_RECIPE | (HITS_RECIPE if run.spec.ranks.reads_hits else {}) | beside_bars(examples.letters),
        train=examples.learned(examples.train),
        valid=examples.learned(examples.valid),
        seen_through=date.min if run.before is None else run.before.artifact.card.trained_through,
        reads_bins=False,
        calibration=calibration,
    )

    def write(folder: Path) -> None:
        with quiet_loading():
            for number, model in enumerate(models):
                model.save_pretrained(str(folder / f"seed-{number}"))

    return save_artifact(run.folder("stockllm"), run.card("stockllm", result), write)


def _recipe(run: TrainingRun, teacher: Artifact) -> Recipe:
    """All that decides the weights, besides prices and split."""
    recipe: Recipe = {"reader": "ranks", **_settings(run).model_dump(mode="json"), "teacher": teacher.digest}
    recipe |= run.further_recipe
    if run.before is not None:
        recipe["warm"] = run.before.recipe
    if run.spec.ranks.reads_hits:
        recipe |= {"lookback": run.spec.corpus.lookback, "corpus": run.corpus.digest}
    return recipe
