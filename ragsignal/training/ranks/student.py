"""One seed of StockLLM on ranks: dense supervision by labels and teacher, averaged weights, stopped on validation IC.

    window of days x some hundred stocks ─► RankLM ─► squared error at every position ─► AdamW, half a cosine

The batch of a step follows from the seed and the step's number alone, so that a killed run that goes on from its last
checkpoint ends in the same weights.
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

from ragsignal.config import RanksTraining
from ragsignal.data import Letters
from ragsignal.llm.rank_model import RankLM, rank_config
from ragsignal.training.ranks.examples import RankExamples
from ragsignal.types import FloatArray
from ragsignal.utils import Steps, write_file

_WARMUP = 100  # steps
_THERE = 0.5  # share of a window on which a stock must have labels; below, the window is short of training days
_FLOOR = 0.02  # of the learning rate, at the end of the cosine
_LARGEST_GRADIENT = 1.0
_CHECKPOINT = "student.pt"  # torch's own file, read with weights_only; an artifact holds none

Weights = dict[str, Tensor]


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
        Scores the validation days with weights: (n_days, n_symbols) of a model.
    """

    examples: RankExamples
    targets: FloatArray
    spec: RanksTraining
    seed: int
    score: Callable[[Any], FloatArray]
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
            Validation IC of each evaluation.
        """
        torch.manual_seed(self.seed)
        model: Any = RankLM(rank_config(self.spec.hidden, self.spec.layers, self.spec.heads, self.spec.window))
        average = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=self.spec.learning_rate, weight_decay=self.spec.weight_decay, betas=(0.9, 0.95)
        )
        self._resume(folder, model, average, optimizer)
        while self._step < self.spec.steps and not self._has_stopped():
            self._learn(model, optimizer)
            self._average(model, average)
            if self._step % self.spec.eval_steps == 0 or self._step == self.spec.steps:
                self._evaluate(average)
                self._save(folder, model, average, optimizer)
            progress(self._step, self.spec.steps)
        return _with_weights(self.spec, self._best), self._history

    def _learn(self, model: Any, optimizer: torch.optim.Optimizer) -> None:
        """One step: the batch, its error, and a smaller one."""
        letters, targets = self._batch(self._step)
        known = torch.isfinite(targets)
        errors = (model(letters) - torch.nan_to_num(targets)) ** 2
        loss = errors[known].sum() / known.sum().clamp(min=1)  # a window may hold no label: then nothing is learned
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        for group in optimizer.param_groups:
            group["lr"] = self.spec.learning_rate * _schedule(self._step, self.spec.steps)
        optimizer.step()
        self._step += 1

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Letters (n, n_days, n_factors) and targets (n, n_days) of a window of training days."""
        rng = np.random.default_rng([self.seed, step])
        rows = np.flatnonzero(self.examples.train.any(axis=1))
        there = np.array([], dtype=np.int64)
        while not len(there):  # a vendor may lack some weeks of nearly all stocks
            first = int(rng.integers(rows[0], max(rows[0], rows[-1] - self.spec.days + 1) + 1))
            days = slice(first, first + self.spec.days)
            there = np.flatnonzero(self.examples.train[days].mean(axis=0) > _THERE)
        chosen = rng.choice(there, min(self.spec.stocks, len(there)), replace=False)
        letters: Letters = self.examples.letters.letters[days][:, chosen].transpose(1, 0, 2)
        targets = self.targets[days][:, chosen].T
        return torch.from_numpy(np.ascontiguousarray(letters)), torch.from_numpy(targets.astype(np.float32))

    def _average(self, model: Any, average: Weights) -> None:
        """Exponential moving average of the weights, which begins as a plain mean."""
        keep = min(self.spec.average, self._step / (self._step + 19))
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                average[name].mul_(keep).add_(tensor, alpha=1 - keep)

    def _evaluate(self, average: Weights) -> None:
        scores = self.score(_with_weights(self.spec, average))
        value = float(np.nanmean(self.examples.information_coefficients(scores)))
        if not self._history or value > max(self._history):
            self._best = {name: tensor.clone() for name, tensor in average.items()}
        self._history.append(value)

    def _has_stopped(self) -> bool:
        """Whether the last ``patience`` evaluations brought nothing better."""
        since_best = len(self._history) - 1 - int(np.argmax(self._history)) if self._history else 0
        return since_best >= self.spec.patience

    def _save(self, folder: Path, model: Any, average: Weights, optimizer: torch.optim.Optimizer) -> None:
        state = {
            "step": self._step,
            "history": self._history,
            "best": self._best,
            "model": model.state_dict(),
            "average": average,
            "optimizer": optimizer.state_dict(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / _CHECKPOINT, lambda path: torch.save(state, path))

    def _resume(self, folder: Path, model: Any, average: Weights, optimizer: torch.optim.Optimizer) -> None:
        if not (folder / _CHECKPOINT).is_file():
            return
        state = torch.load(folder / _CHECKPOINT, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        average.update(state["average"])
        self._step, self._history, self._best = state["step"], state["history"], state["best"]


def distillation_targets(examples: RankExamples, teacher: FloatArray, spec: RanksTraining) -> FloatArray:
    """Mix labels and teacher: ``label_weight x rank + teacher_weight x standardised score`` on training labels.

    Parameters
    ----------
    examples : RankExamples
    teacher : (n_days, n_symbols) float64
        Its scores; divided here by their deviation on training labels.
    spec : RanksTraining

    Returns
    -------
    (n_days, n_symbols) float64, NaN but on training labels
    """
    standard = teacher / np.std(teacher[examples.train])
    mixed = spec.label_weight * examples.targets + spec.teacher_weight * standard
    return np.where(examples.train, mixed, np.nan)


def _schedule(step: int, steps: int) -> float:
    return min(1.0, step / _WARMUP) * (0.5 * (1.0 + math.cos(math.pi * step / steps)) + _FLOOR)


def _with_weights(spec: RanksTraining, weights: Weights) -> Any:
    model: Any = RankLM(rank_config(spec.hidden, spec.layers, spec.heads, spec.window))
    model.load_state_dict(weights)
    return model.eval()
