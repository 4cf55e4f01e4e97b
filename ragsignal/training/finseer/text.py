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
from peft import LoraConfig
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

import ragsignal.training.loop as loop
from ragsignal.artifacts import Base, Weights
from ragsignal.config import FinseerTraining
from ragsignal.data import Bins
from ragsignal.retrieval import Corpus, line_recipe, load_sentence_model, query_line
from ragsignal.training.finseer.distill import Distillation
from ragsignal.training.finseer.ranking import RankedQuery, ScoredQuery
from ragsignal.types import Recipe
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
    """

    def __init__(self, weights: Weights, bins: Bins, corpus: Corpus, settings: FinseerTraining) -> None:
        self._ref = weights.ref
        self._bins = bins
        self._corpus = corpus
        self._settings = settings
        self.base: Base | None = {"ref": weights.ref, "revision": settings.revision, "sha256": weights.digest}
        with quiet_loading(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)  # of the adapter's first half; the other begins at zero
            self._model = load_sentence_model(weights.folder)
            self._model.add_adapter(LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear"))

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

    def similarities(self, queries: Sequence[ScoredQuery]) -> list[NDArray[np.float64]]:
        """Return the (n_candidates,) cosines of each query with its candidates."""
        lines = [[query_line(it.example.query, self._bins), *self._lines(it.rows)] for it in queries]
        distinct = sorted({line for group in lines for line in group})
        encoded = self._model.encode(
            distinct, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
        ).astype(np.float64)
        place = {line: number for number, line in enumerate(distinct)}
        vectors = [encoded[[place[line] for line in group]] for group in lines]
        return [rows[1:] @ rows[0] for rows in vectors]

    def write(self, folder: Path) -> None:
        """Save the adapter, which says what it was trained on and not where that lay on this machine."""
        with quiet_loading():
            self._model.transformers_model.save_pretrained(folder)
        path = folder / "adapter_config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = self._ref
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")

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


class _TextTrainer(SentenceTransformerTrainer):
    """Without the model card of sentence-transformers, which shows a bar of its own; ours is written elsewhere."""

    def add_model_card_callback(self, default_args_dict: Any) -> None:
        """Add none."""
