"""One seed of the adapter that reads days: LoRA and hit embeddings upon a frozen seed of StockLLM.

    some days x some hundred stocks ─► trunk's score (fixed) + adapter's change ─► squared error to the target ─► AdamW

The target is a teacher's as for the trunk: mostly boosting, here one that sees the market's state, which the adapter
has to tell from the days that were retrieved. In a share of the steps the days are drawn by chance, so that the adapter
learns what they do not say.
The batch of a step follows from the seed and the step's number alone, so that a killed run ends in the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ragsignal.config import DaysTraining
from ragsignal.llm import DayFeatures
from ragsignal.llm.day_model import DayAdapter, with_lora
from ragsignal.llm.rank_model import RankLM
from ragsignal.training.days.examples import DayExamples
from ragsignal.training.ranks.checkpoint import Checkpoint, Weights, add_to_average, load_checkpoint
from ragsignal.training.ranks.student import schedule
from ragsignal.types import FloatArray, IntArray
from ragsignal.utils import Steps

_LARGEST_GRADIENT = 1.0
_CHECKPOINT = "adapter.safetensors"


@dataclass(frozen=True, eq=False)
class TrunkPass:
    """A seed of StockLLM, its scores (n_days, n_symbols) and its states (n_days, n_symbols, hidden_size), float16."""

    model: RankLM
    scores: FloatArray
    states: Tensor


@dataclass
class AdapterTraining:
    """The training of one seed.

    Parameters
    ----------
    examples : DayExamples
    trunk : TrunkPass
    targets : (n_days, n_symbols) float64
        What trunk and adapter together are regressed on; NaN where nothing is to be learned.
    spec : DaysTraining
    seed : int
    score : callable
        Validation IC of the changes (n_days, n_symbols) that an adapter makes.
    """

    examples: DayExamples
    trunk: TrunkPass
    targets: FloatArray
    spec: DaysTraining
    seed: int
    score: Callable[[FloatArray], float]
    _step: int = 0
    _best: Weights = field(default_factory=dict)
    _history: list[float] = field(default_factory=list)

    def train(self, folder: Path, progress: Steps) -> tuple[DayAdapter, list[float]]:
        """Train, or go on from the checkpoint in ``folder``: the adapter of the best evaluation, and all of them."""
        torch.manual_seed(self.seed)
        adapter = self._new()
        learned = [it for it in adapter.parameters() if it.requires_grad]
        optimizer = torch.optim.AdamW(learned, lr=self.spec.learning_rate, weight_decay=self.spec.weight_decay)
        average = _trained(adapter)
        self._resume(folder, adapter, average, optimizer)
        while self._step < self.spec.steps:
            self._learn(adapter, learned, optimizer)
            add_to_average(average, _trained(adapter), self.spec.average, self._step)
            if self._step % self.spec.eval_steps == 0 or self._step == self.spec.steps:
                self._evaluate(average)
                self._save(folder, adapter, average, optimizer)
            progress(self._step, self.spec.steps)
        return self._with(self._best), self._history

    def changes(self, adapter: DayAdapter, rows: IntArray) -> FloatArray:
        """What the adapter adds on some days with the days nearest to them, (n_days, n_symbols)."""
        table = np.full(self.targets.shape, np.nan)
        retriever = self.examples.nearest(self.spec.k, self.spec.opposite)
        with torch.inference_mode():
            for row in rows.tolist():
                there = np.flatnonzero(self.examples.ranks.letters.ranked[row])
                read = self._inputs([row], there[None], [self.examples.features(row, retriever)])
                table[row, there] = adapter(*read)[0].numpy()
        return table

    def _new(self) -> DayAdapter:
        return with_lora(deepcopy(self.trunk.model), self.spec.rank, self.spec.alpha)

    def _with(self, weights: Weights) -> DayAdapter:
        adapter = self._new()
        adapter.load_state_dict(weights, strict=False)
        return adapter.eval()

    def _learn(self, adapter: DayAdapter, learned: list[Any], optimizer: torch.optim.Optimizer) -> None:
        rows, chosen, features = self._batch(self._step)
        wanted = self.targets[rows[:, None], chosen] - self.trunk.scores[rows[:, None], chosen]
        errors = (adapter(*self._inputs(rows.tolist(), chosen, features)) - torch.from_numpy(wanted).float()) ** 2
        optimizer.zero_grad()
        errors.mean().backward()
        nn.utils.clip_grad_norm_(learned, _LARGEST_GRADIENT)
        for group in optimizer.param_groups:
            group["lr"] = self.spec.learning_rate * schedule(self._step, self.spec.steps)
        optimizer.step()
        self._step += 1

    def _batch(self, step: int) -> tuple[IntArray, IntArray, list[DayFeatures]]:
        """Days (d,), stocks of each (d, n), and the hits of each: equally many of them, and of stocks."""
        rng = np.random.default_rng([self.seed, step])
        rows = rng.choice(self.examples.train_rows, self.spec.days, replace=False)
        labelled = [np.flatnonzero(np.isfinite(self.targets[row])) for row in rows]
        stocks = min(self.spec.stocks, *(len(there) for there in labelled))
        chosen = np.stack([rng.choice(there, stocks, replace=False) for there in labelled])
        k, opposite = self._hits(rng, rows)
        if rng.random() < self.spec.random_share:
            retriever = self.examples.drawn(k, opposite, int(rng.integers(2**32)))
        else:
            retriever = self.examples.nearest(k, opposite)
        return rows, chosen, [self.examples.features(row, retriever) for row in rows.tolist()]

    def _hits(self, rng: np.random.Generator, rows: IntArray) -> tuple[int, int]:
        """How many days are read: as in use, or one alone, as FinSeer asks; no more than all can see."""
        if rng.random() < self.spec.single_share:
            return 1, 0
        seen = int(np.cumsum(self.examples.days.retrievable)[rows - 1 - self.examples.days.horizon].min())
        k = min(self.spec.k, seen)
        return k, min(self.spec.opposite, seen - k)

    def _inputs(self, rows: list[int], chosen: IntArray, features: list[DayFeatures]) -> list[Tensor]:
        letters = self.examples.ranks.letters.letters
        stocks = np.stack([letters[row, there] for row, there in zip(rows, chosen, strict=True)])
        states = torch.stack([self.trunk.states[row][there] for row, there in zip(rows, chosen, strict=True)])
        hits = [np.stack([getattr(it, name) for it in features]) for name in ("payoffs", "facts")]
        return [torch.from_numpy(stocks), states.float(), *map(torch.from_numpy, hits)]

    def _evaluate(self, average: Weights) -> None:
        value = self.score(self.changes(self._with(average), self.examples.valid_rows))
        if not self._history or value > max(self._history):
            self._best = {name: tensor.clone() for name, tensor in average.items()}
        self._history.append(value)

    def _save(self, folder: Path, adapter: DayAdapter, average: Weights, optimizer: torch.optim.Optimizer) -> None:
        checkpoint = Checkpoint(_trained(adapter), average, self._best, self._step, self._history)
        checkpoint.save(folder / _CHECKPOINT, optimizer)

    def _resume(self, folder: Path, adapter: DayAdapter, average: Weights, optimizer: torch.optim.Optimizer) -> None:
        found = load_checkpoint(folder / _CHECKPOINT, optimizer)
        if found is None:
            return
        adapter.load_state_dict(found.model, strict=False)
        average.update(found.average)
        self._best, self._step, self._history = found.best, found.step, found.history


def _trained(adapter: DayAdapter) -> Weights:
    """A copy of the weights that are trained."""
    return {name: it.detach().clone() for name, it in adapter.named_parameters() if it.requires_grad}
