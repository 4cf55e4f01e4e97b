"""The text student: LoRA over a sentence-transformers model, on the same lines that the encoder reads in use.

Training and checkpoints are those of sentence-transformers' trainer; its progress bars and its model card are not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from peft import LoraConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch import Tensor
from torch.utils.data import SequentialSampler

import ragsignal.training.loop as loop
from ragsignal.artifacts import Artifact, Base, Weights, adapter_config
from ragsignal.config import FinseerTraining
from ragsignal.data import Bins
from ragsignal.errors import ModelError
from ragsignal.retrieval import Corpus, line_recipe, load_sentence_model, query_line
from ragsignal.training.finseer.contrast import contrast_loss
from ragsignal.training.finseer.distill import Distillation
from ragsignal.training.finseer.ranking import RankedQuery, ScoredQuery
from ragsignal.training.finseer.windows import ClassBatches, LabelledWindows
from ragsignal.types import IntArray, Query, Recipe
from ragsignal.utils import Steps, quiet_loading

_BATCH = 256


class TextStudent:
    """A sentence encoder that learns.

    Parameters
    ----------
    weights : Weights
        The base, verified.
    bins : Bins
    corpus : Corpus
    settings : FinseerTraining
    start : Artifact, optional
        An adapter to begin from; by default a new one, which changes nothing yet.

    Raises
    ------
    ModelError
        If ``start`` adapts other layers, or has another rank.
    """

    def __init__(
        self, weights: Weights, bins: Bins, corpus: Corpus, settings: FinseerTraining, start: Artifact | None = None
    ) -> None:
        self._ref = weights.ref
        self._bins = bins
        self._corpus = corpus
        self._settings = settings
        self.base: Base | None = {"ref": weights.ref, "revision": settings.revision, "sha256": weights.digest}
        with quiet_loading(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)  # of the adapter's first half; the other begins at zero
            self._model = load_sentence_model(weights.folder)
            self._model.add_adapter(LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear"))
        if start is not None:
            _begin_from(self._model.transformers_model, start)

    @property
    def template(self) -> Recipe:
        """The line that is read."""
        return line_recipe(self._bins)

    def fit(self, queries: Sequence[RankedQuery], scratch: Path, progress: Steps) -> None:
        """Learn, from the last checkpoint in ``scratch`` if there is one; ``progress`` is told steps done, and all."""
        with torch.random.fork_rng(devices=[]):
            trainer = _TextTrainer(
                model=self._model,
                args=loop.arguments(self._settings, scratch, "cpu", kind=SentenceTransformerTrainingArguments),
                train_dataset=self._dataset(queries),
                loss=Distillation(self._model, self._settings),
                callbacks=loop.callbacks(progress),
            )
            loop.run(trainer, scratch)
        self._model.eval()

    def contrast(self, windows: LabelledWindows, scratch: Path, progress: Steps) -> None:
        """Learn which windows are of one class; otherwise as :meth:`fit`."""
        batches = ClassBatches(windows, self._settings)
        drawn = np.concatenate([batches.draw(step) for step in range(batches.steps(self._settings.epochs))])
        # an epoch of the trainer is all steps in their order: a batch is what ClassBatches drew
        options = {
            "num_train_epochs": 1,
            "per_device_train_batch_size": batches.size,
            "batch_sampler": _in_order,
            "kind": SentenceTransformerTrainingArguments,
        }
        with torch.random.fork_rng(devices=[]):
            trainer = _TextTrainer(
                model=self._model,
                args=loop.arguments(self._settings, scratch, "cpu", **options),
                train_dataset=Dataset.from_dict(
                    {"line": self._window_lines(windows, drawn), "label": windows.label[drawn].tolist()}
                ),
                loss=_Contrast(self._model, contrast_loss(windows.buckets, self._settings)),
                callbacks=loop.callbacks(progress),
            )
            loop.run(trainer, scratch)
        self._model.eval()

    def query_vectors(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return the (n_queries, dim) unit vectors of queries."""
        lines = [query_line(query, self._bins) for query in queries]
        distinct = sorted(set(lines))
        place = {line: number for number, line in enumerate(distinct)}
        return self._encode(distinct)[[place[line] for line in lines]]

    def similarities(self, queries: Sequence[ScoredQuery]) -> list[NDArray[np.float64]]:
        """Return the (n_candidates,) cosines of each query with its candidates."""
        lines = [[query_line(it.example.query, self._bins), *self._lines(it.rows)] for it in queries]
        distinct = sorted({line for group in lines for line in group})
        encoded = self._encode(distinct).astype(np.float64)
        place = {line: number for number, line in enumerate(distinct)}
        vectors = [encoded[[place[line] for line in group]] for group in lines]
        return [rows[1:] @ rows[0] for rows in vectors]

    def write(self, folder: Path) -> None:
        """Save the adapter, which says what it was trained on and not where that lay on this machine."""
        with quiet_loading():
            self._model.transformers_model.save_pretrained(folder)
        config = json.dumps(adapter_config(folder, self._ref), indent=1, sort_keys=True)
        (folder / "adapter_config.json").write_text(config + "\n", encoding="utf-8")

    def _encode(self, lines: Sequence[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._model.encode(
            list(lines), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors

    def _window_lines(self, windows: LabelledWindows, drawn: IntArray) -> list[str]:
        """The lines of some windows, of which those below the number of queries are queries."""
        n_queries = len(windows.queries)
        lines = {
            place: query_line(windows.queries[place], self._bins) for place in {*drawn[drawn < n_queries].tolist()}
        }
        places = np.unique(drawn[drawn >= n_queries])
        lines |= dict(zip(places.tolist(), self._lines(windows.rows[places - n_queries]), strict=True))
        return [lines[place] for place in drawn.tolist()]

    def _lines(self, rows: NDArray[np.int64]) -> list[str]:
        corpus = self._corpus
        names = [corpus.sequences[number] for number in corpus.sequence_id[rows]]
        return [self._bins.line(name, scaled) for name, scaled in zip(names, corpus.scaled[rows], strict=True)]

    def _dataset(self, queries: Sequence[RankedQuery]) -> Dataset:
        candidates = [self._lines(query.rows) for query in queries]
        columns = {"query": [query_line(it.example.query, self._bins) for it in queries]}
        for number, lines in enumerate(zip(*candidates, strict=True)):
            columns["positive" if number == 0 else f"negative_{number}"] = list(lines)
        return Dataset.from_dict({**columns, "label": [query.scores.tolist() for query in queries]})


def _begin_from(model: Any, start: Artifact) -> None:
    """Lay the adapter of an artifact into a fresh one of the same shape, to be trained on."""
    tensors = load_file(start.folder / "adapter_model.safetensors")
    own = {f"base_model.model.{name}": tensor.shape for name, tensor in model.get_adapter_state_dict().items()}
    if own != {name: tensor.shape for name, tensor in tensors.items()}:
        raise ModelError(
            f"finseer.start = {start.ref!r} cannot be begun from: its adapter has other layers or another rank than "
            "[finseer] asks for; write the rank that it was trained with, or leave start out"
        )
    set_peft_model_state_dict(model, {name.removeprefix("base_model.model."): it for name, it in tensors.items()})


class _Contrast(torch.nn.Module):
    """The contrast of a batch, as sentence-transformers' trainer calls a loss."""

    def __init__(self, model: Any, loss: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, sentence_features: Sequence[dict[str, Tensor]], labels: Tensor) -> Tensor:
        (lines,) = sentence_features
        value: Tensor = self._loss(self.model(lines)["sentence_embedding"], labels)
        return value


def _in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> DefaultBatchSampler:
    """Batches as the dataset has them; what chooses them has chosen already."""
    return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)


class _TextTrainer(SentenceTransformerTrainer):
    """Without the model card of sentence-transformers, which shows a bar of its own; ours is written elsewhere."""

    def add_model_card_callback(self, default_args_dict: Any) -> None:
        """Add none."""
