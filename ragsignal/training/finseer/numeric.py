"""The numeric student: a small network over windows as numbers, trained in memory by a plain loop.

The batches of an epoch are drawn from the seed and the epoch's number, so that a checkpoint needs no random state: it
holds weights and optimizer, and a rerun gives the same bits as a run that was never stopped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from ragsignal.artifacts import Artifact, Base
from ragsignal.config import FinseerTraining
from ragsignal.data import SEQUENCES
from ragsignal.errors import ModelError
from ragsignal.retrieval import EXTRA, READS, Corpus, features, query_features
from ragsignal.retrieval.tower import Tower, TowerConfig, load_tower, new_tower, save_tower
from ragsignal.training.finseer.contrast import contrast_loss
from ragsignal.training.finseer.distill import Distillation
from ragsignal.training.finseer.ranking import RankedQuery, ScoredQuery
from ragsignal.training.finseer.windows import ClassBatches, LabelledWindows
from ragsignal.types import IntArray, Query, Recipe
from ragsignal.utils import Steps, write_file


class NumericStudent:
    """A tower that learns.

    Parameters
    ----------
    corpus : Corpus
    settings : FinseerTraining
    start : Artifact, optional
        A tower to begin from; by default a new one.

    Raises
    ------
    ModelError
        If ``start`` is of another shape, or reads other sequences.
    """

    base: Base | None = None
    template: Recipe = READS

    def __init__(self, corpus: Corpus, settings: FinseerTraining, start: Artifact | None = None) -> None:
        self._corpus = corpus
        self._settings = settings
        known = (*SEQUENCES, *(name for name in corpus.sequences if name not in SEQUENCES))  # those of news
        self._names = np.array([known.index(name) for name in corpus.sequences], dtype=np.int64)
        lookback = corpus.scaled.shape[1]
        config = TowerConfig(lookback + EXTRA, known, settings.hidden, settings.dim)
        self._tower = new_tower(config, settings.seed) if start is None else _tower_of(start, config)

    def fit(self, queries: Sequence[RankedQuery], scratch: Path, progress: Steps) -> None:
        """Learn, from the checkpoint in ``scratch`` if there is one; ``progress`` is told the steps done, and all."""
        settings = self._settings
        inputs = self._inputs([it.example.query for it in queries], np.array([it.rows for it in queries]))
        scores = torch.from_numpy(np.array([it.scores for it in queries], dtype=np.float32))
        loss = Distillation(None, settings)
        epoch_steps = math.ceil(len(queries) / settings.numeric_batch_size)

        def loss_at(step: int) -> Tensor:
            batch = torch.from_numpy(self._batch(len(queries), *divmod(step, epoch_steps)))
            return loss.compute_loss_from_embeddings(self._embed(inputs, batch), scores[batch])

        self._descend(loss_at, epoch_steps * settings.numeric_epochs, scratch, progress)

    def contrast(self, windows: LabelledWindows, scratch: Path, progress: Steps) -> None:
        """Learn which windows are of one class; otherwise as :meth:`fit`."""
        batches, label = ClassBatches(windows, self._settings), torch.from_numpy(windows.label)
        asked = query_features(windows.queries)
        loss = contrast_loss(windows.buckets, self._settings)

        def loss_at(step: int) -> Tensor:
            batch = batches.draw(step)
            value: Tensor = loss(self._embed_windows(asked, windows.rows, batch), label[batch])
            return value

        self._descend(loss_at, batches.steps(self._settings.numeric_epochs), scratch, progress)

    def query_vectors(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return the (n_queries, dim) unit vectors of queries."""
        names = torch.full((len(queries),), self._tower.config.query_name)
        with torch.inference_mode():
            vectors: NDArray[np.float32] = self._tower(torch.from_numpy(query_features(queries)), names).numpy()
        return vectors

    def _descend(self, loss_at: Callable[[int], Tensor], steps: int, scratch: Path, progress: Steps) -> None:
        """Take the steps that are not done yet, each down the loss that ``loss_at`` gives of its number."""
        settings = self._settings
        optimizer = torch.optim.AdamW(self._tower.parameters(), lr=settings.numeric_learning_rate)
        checkpoint = scratch / "checkpoint.safetensors"
        for step in range(self._resume(checkpoint, optimizer), steps):
            optimizer.param_groups[0]["lr"] = settings.numeric_learning_rate * _cosine(step / steps)
            optimizer.zero_grad()
            value: Any = loss_at(step)
            value.backward()  # torch does not type it
            optimizer.step()
            done = step + 1
            if done % settings.save_steps == 0 or done == steps:
                self._save(checkpoint, optimizer, done)
            progress(done, steps)

    def _embed_windows(self, asked: NDArray[np.float32], rows: IntArray, batch: IntArray) -> Tensor:
        """Vectors of a batch of labelled windows: those below ``len(asked)`` are queries."""
        is_query = batch < len(asked)
        rows = rows[batch[~is_query] - len(asked)]
        numbers = np.empty((len(batch), asked.shape[1]), dtype=np.float32)
        numbers[is_query] = asked[batch[is_query]]
        numbers[~is_query] = features(np.asarray(self._corpus.scaled[rows]))
        names = np.full(len(batch), self._tower.config.query_name)
        names[~is_query] = self._names[self._corpus.sequence_id[rows]]
        vectors: Tensor = self._tower(torch.from_numpy(numbers), torch.from_numpy(names))
        return vectors

    def similarities(self, queries: Sequence[ScoredQuery]) -> list[NDArray[np.float64]]:
        """Return the (n_candidates,) cosines of each query with its candidates."""
        cosines = []
        with torch.inference_mode():
            for query in queries:
                inputs = self._inputs([query.example.query], query.rows[None])
                own, *candidates = self._embed(inputs, torch.zeros(1, dtype=torch.int64))
                cosines.append((torch.cat(candidates) @ own[0]).numpy().astype(np.float64))
        return cosines

    def write(self, folder: Path) -> None:
        """Save what :class:`ragsignal.retrieval.numeric.NumericEncoder` loads."""
        save_tower(self._tower, folder)

    def _inputs(self, queries: Sequence[Query], rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Queries and (n, n_candidates) rows as (n, 1 + n_candidates, n_features) numbers and (n, 1 + ...) names."""
        shape = rows.shape
        candidates = features(np.asarray(self._corpus.scaled[rows.ravel()])).reshape(*shape, -1)
        numbers = np.concatenate([query_features(queries)[:, None], candidates], axis=1)
        query_names = np.full((shape[0], 1), self._tower.config.query_name)
        names = np.concatenate([query_names, self._names[self._corpus.sequence_id[rows]]], axis=1)
        return torch.from_numpy(numbers), torch.from_numpy(names)

    def _embed(self, inputs: tuple[Tensor, Tensor], batch: Tensor) -> list[Tensor]:
        """Unit vectors of a batch: queries first, then one tensor for each place among the candidates."""
        numbers, names = inputs
        return list(self._tower(numbers[batch], names[batch]).unbind(dim=1))

    def _batch(self, n: int, epoch: int, place: int) -> NDArray[np.int64]:
        size = self._settings.numeric_batch_size
        order = np.random.default_rng([self._settings.seed, epoch]).permutation(n)
        return order[place * size : (place + 1) * size]

    def _save(self, path: Path, optimizer: torch.optim.Optimizer, step: int) -> None:
        state = {f"tower.{name}": value for name, value in self._tower.state_dict().items()}
        for number, moments in optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, partial(save_file, state | {"step": torch.tensor(step)}))

    def _resume(self, path: Path, optimizer: torch.optim.Optimizer) -> int:
        """Steps that are already done; 0 where nothing was saved."""
        if not path.exists():
            return 0
        saved = load_file(path)
        self._tower.load_state_dict(_below("tower.", saved))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _below("optimizer.", saved).items():
            number, name = key.split(".")
            moments.setdefault(int(number), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        return int(saved["step"])


def _tower_of(start: Artifact, config: TowerConfig) -> Tower:
    """The tower of an artifact, to be trained on."""
    tower = load_tower(start.folder)
    if tower.config != config:
        theirs, ours = dataclasses.asdict(tower.config), dataclasses.asdict(config)
        differing = ", ".join(
            f"{key} {theirs[key]!r} and not {ours[key]!r}" for key in ours if theirs[key] != ours[key]
        )
        raise ModelError(
            f"finseer.start = {start.ref!r} cannot be begun from: it has {differing}; write the same [finseer] and "
            "[corpus] that it was trained with, or leave start out"
        )
    return tower.train()


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _cosine(done: float) -> float:
    """From 1 to 0 along half a cosine, as in the text student's schedule."""
    return 0.5 * (1 + math.cos(math.pi * done))
