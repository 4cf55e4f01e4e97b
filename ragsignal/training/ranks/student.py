"""One seed of StockLLM on ranks: dense supervision by labels and teacher, averaged weights, stopped on validation IC.

    window of days x some hundred stocks ─► RankLM ─► squared error at every position ─► AdamW, half a cosine
    hits of each stock as of the window's last day, in the steps that draw some ─┘

The batch of a step follows from the seed and the step's number alone, so that a killed run that goes on from its last
checkpoint ends in the same weights. A warm student begins with weights that are there (:mod:`.warm`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ragsignal.config import DaysTraining, RanksTraining
from ragsignal.data import Letters
from ragsignal.errors import DataError
from ragsignal.llm import HitFeatures, hits_by_count
from ragsignal.llm.rank_model import RankLM, rank_config
from ragsignal.training.ranks.checkpoint import Checkpoint, Weights, add_to_average, load_checkpoint
from ragsignal.training.ranks.examples import RankExamples
from ragsignal.training.ranks.hits import TrainingHits
from ragsignal.training.ranks.warm import WarmStart, plain_weights
from ragsignal.types import FloatArray, IntArray
from ragsignal.utils import Steps

_WARMUP = 100  # steps
_THERE = 0.5  # share of a window on which a stock must have labels; below, the window is short of training days
_DRAWS = 1000  # a vendor may lack some weeks of nearly all stocks
_FLOOR = 0.02  # of the learning rate, at the end of the cosine
_LARGEST_GRADIENT = 1.0
_CHECKPOINT = "student.safetensors"


@dataclass(frozen=True)
class _Batch:
    """Letters (n, n_days, n_factors), targets (n, n_days), and the hits of each stock where the step has some."""

    letters: Tensor
    targets: Tensor
    hits: list[HitFeatures] | None


@dataclass
class Student:
    """The training of one seed.

    Parameters
    ----------
    examples : RankExamples
    targets : (n_days, n_symbols) float64
        What is regressed on, NaN where nothing is to be learned: see :func:`distillation_targets`.
    spec : RanksTraining
    seed : int
    score : callable
        Scores the validation days with weights, without hits: (n_days, n_symbols) of a model.
    hits : TrainingHits, optional
        Where the model learns to read hits.
    warm : WarmStart, optional
        Where it goes on from weights that are there; ``spec.steps`` are then those of the warm step.
    """

    examples: RankExamples
    targets: FloatArray
    spec: RanksTraining
    seed: int
    score: Callable[[Any], FloatArray]
    hits: TrainingHits | None = None
    warm: WarmStart | None = None
    _step: int = 0
    _best: Weights = field(default_factory=dict)
    _history: list[float] = field(default_factory=list)

    def train(self, folder: Path, progress: Steps) -> tuple[RankLM, list[float]]:
        """Train, or go on from the checkpoint in ``folder``.

        Returns
        -------
        model : RankLM
            With the averaged weights of the best evaluation.
        history : list of float
            Validation IC of each evaluation; the first of a warm student is that of the weights it began with.
        """
        torch.manual_seed(self.seed)
        model = self.warm.begin() if self.warm else self._new_model()
        average = {name: tensor.clone() for name, tensor in plain_weights(model).items()}
        learned = [it for it in model.parameters() if it.requires_grad]
        optimizer = torch.optim.AdamW(
            learned, lr=self.spec.learning_rate, weight_decay=self.spec.weight_decay, betas=(0.9, 0.95)
        )
        self._resume(folder, model, average, optimizer)
        if self.warm and not self._history:
            self._evaluate(average)
        while self._step < self.spec.steps and not self._has_stopped():
            self._learn(model, optimizer)
            add_to_average(average, plain_weights(model), self.spec.average, self._step)
            if self._step % self.spec.eval_steps == 0 or self._step == self.spec.steps:
                self._evaluate(average)
                self._save(folder, model, average, optimizer)
            progress(self._step, self.spec.steps)
        return self._with_weights(self._best), self._history

    def _new_model(self) -> Any:
        width = self.hits.width if self.hits else 0
        return RankLM(rank_config(self.spec, width, self.examples.letters.factors))

    def _with_weights(self, weights: Weights) -> Any:
        model = self._new_model()
        model.load_state_dict(weights)
        return model.eval()

    def _learn(self, model: Any, optimizer: torch.optim.Optimizer) -> None:
        """One step: the batch, its error, and a smaller one."""
        batch = self._batch(self._step)
        known = torch.isfinite(batch.targets)
        errors = (_read(model, batch) - torch.nan_to_num(batch.targets)) ** 2
        loss = _mean(errors, known)
        if batch.hits is not None:
            # One day of ``days`` has hits, and weighs as much as all together: without this the analogues of a
            # planted market added .055 of IC after 300 steps, with it .17.
            loss = (loss + _mean(errors[:, -1], known[:, -1])) / 2
        if self.warm:
            loss = loss + self.warm.penalty(model)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        for group in optimizer.param_groups:
            group["lr"] = self.spec.learning_rate * schedule(self._step, self.spec.steps, self._warmup)
        optimizer.step()
        self._step += 1

    @property
    def _warmup(self) -> float:
        # of a warm step a tenth: 100 steps are all that it has
        return max(1.0, self.spec.steps / 10) if self.warm else _WARMUP

    def _batch(self, step: int) -> _Batch:
        """Some stocks in a window of training days."""
        rng = np.random.default_rng([self.seed, step])
        days, there = self._window(rng)
        chosen = rng.choice(there, min(self.spec.stocks, len(there)), replace=False)
        letters: Letters = self.examples.letters.letters[days][:, chosen].transpose(1, 0, 2)
        targets = self.targets[days][:, chosen].T
        return _Batch(
            torch.from_numpy(np.ascontiguousarray(letters)),
            torch.from_numpy(targets.astype(np.float32)),
            self._hits_of(chosen, days, rng) if self.hits else None,
        )

    def _window(self, rng: np.random.Generator) -> tuple[slice, IntArray]:
        """Draw days of training, and find the stocks that have labels on most of them."""
        rows = np.flatnonzero(self.examples.train.any(axis=1))
        latest = max(rows[0], rows[-1] - self.spec.days + 1)
        for _ in range(_DRAWS):
            if self.warm:
                first = self.warm.draw(rng, int(rows[0]), int(latest), int(rows[-1]))
            else:
                first = int(rng.integers(rows[0], latest + 1))
            days = slice(first, first + self.spec.days)
            there = np.flatnonzero(self.examples.train[days].mean(axis=0) > _THERE)
            if len(there):
                return days, there
        raise DataError(
            f"no stock has labels on half of any {self.spec.days} days of training, of which there are {len(rows)}; "
            "lower ranks.days, or begin data.start earlier"
        )

    def _hits_of(self, chosen: IntArray, days: slice, rng: np.random.Generator) -> list[HitFeatures] | None:
        """Hits of the stocks that have something to learn on the last of the days; none of the others."""
        assert self.hits is not None
        universe = self.examples.letters
        last: np.datetime64 = universe.days[days][-1]
        known = np.isfinite(self.targets[days][-1, chosen])
        drawn = self.hits.draw([universe.symbols[column] for column in chosen[known]], last, rng)
        if drawn is None:
            return None
        tables = iter(drawn)
        return [next(tables) if learns else np.empty((0, self.hits.width), dtype=np.float32) for learns in known]

    def _evaluate(self, average: Weights) -> None:
        scores = self.score(self._with_weights(average))
        value = float(np.nanmean(self.examples.information_coefficients(scores)))
        if not self._history or value > max(self._history):
            self._best = {name: tensor.clone() for name, tensor in average.items()}
        self._history.append(value)

    def _has_stopped(self) -> bool:
        """Whether the last ``patience`` evaluations brought nothing better."""
        since_best = len(self._history) - 1 - int(np.argmax(self._history)) if self._history else 0
        return since_best >= self.spec.patience

    def _save(self, folder: Path, model: Any, average: Weights, optimizer: torch.optim.Optimizer) -> None:
        checkpoint = Checkpoint(model.state_dict(), average, self._best, self._step, self._history)
        checkpoint.save(folder / _CHECKPOINT, optimizer)

    def _resume(self, folder: Path, model: Any, average: Weights, optimizer: torch.optim.Optimizer) -> None:
        found = load_checkpoint(folder / _CHECKPOINT, optimizer)
        if found is None:
            return
        model.load_state_dict(found.model)
        average.update(found.average)
        self._best, self._step, self._history = found.best, found.step, found.history


def distillation_targets(examples: RankExamples, teacher: FloatArray, spec: RanksTraining | DaysTraining) -> FloatArray:
    """Mix labels and teacher: ``label_weight x rank + teacher_weight x standardised score`` on training labels.

    Parameters
    ----------
    examples : RankExamples
    teacher : (n_days, n_symbols) float64
        Its scores; divided here by their deviation on training labels.
    spec : RanksTraining or DaysTraining

    Returns
    -------
    (n_days, n_symbols) float64, NaN but on training labels
    """
    standard = teacher / np.std(teacher[examples.train])
    mixed = spec.label_weight * examples.targets + spec.teacher_weight * standard
    return np.where(examples.train, mixed, np.nan)


def _read(model: Any, batch: _Batch) -> Any:
    """Scores (n, n_days); stocks with equally many hits are read together."""
    if batch.hits is None:
        return model(batch.letters)
    scores = torch.empty_like(batch.targets)
    for places, hits in hits_by_count(batch.hits):
        scores[places] = model(batch.letters[places], model.hit_embedding(torch.from_numpy(hits)))
    return scores


def _mean(errors: Tensor, known: Tensor) -> Any:
    """Mean error where there is a label; 0 where a window holds none, so that nothing is learned."""
    return errors[known].sum() / known.sum().clamp(min=1)


def schedule(step: int, steps: int, warmup: float = _WARMUP) -> float:
    """Share of the learning rate at a step: a warm-up, then half a cosine."""
    return min(1.0, step / warmup) * (0.5 * (1.0 + math.cos(math.pi * step / steps)) + _FLOOR)
