"""Sentiment by any text classifier whose labels say positive and negative, such as a FinBERT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ragsignal.artifacts import Weights, check_encoder, check_fit, reading
from ragsignal.errors import ModelError
from ragsignal.llm.device import checked_device, computing
from ragsignal.types import FloatArray, IntArray, Recipe
from ragsignal.utils import libraries_of, quiet_loading

_GOOD = ("positive", "pos", "bullish")
_BAD = ("negative", "neg", "bearish")
_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_REPAIR = "copy the folder again from where it came, or name another news.model"


class TextClassifier:
    """P(positive) - P(negative) of a sequence classifier, in float32.

    Parameters
    ----------
    weights : Weights
        A folder of safetensors, config and tokenizer, already verified.
    device : {"cpu", "cuda"}
    batch_size : int
        Texts in one forward pass; they are sorted by length, and how they are grouped moves a score by up to 1e-5.
    threads : int, optional
        At most; by default as many as there are free cores.

    Raises
    ------
    ModelError
        If its labels do not say which is positive and which negative, it answers several labels at once, or the
        device is missing.
    """

    def __init__(self, weights: Weights, device: str = "cpu", batch_size: int = 32, threads: int | None = None) -> None:
        self._batch_size = batch_size
        self._weights, self._device, self._threads = weights, checked_device(device, "news.device"), threads
        self._config = _config_of(weights)
        self._good, self._bad = _sides(weights.ref, self._config.id2label)
        self._model: Any = None

    @property
    def recipe(self) -> Recipe:
        """Identity: weights, with their labels and tokenizer, numeric type, device, batches, and the libraries."""
        return {
            "scorer": "text-classifier/1",
            "weights": self._weights.digest,
            "dtype": "float32",
            "device": self._device,
            "batch": f"sorted by length, {self._batch_size} at most",
            "libraries": libraries_of("torch", "transformers"),
        }

    def sentiment(self, texts: Sequence[str]) -> FloatArray:
        """(n,) P(positive) - P(negative) of each text, in [-1, 1]; of a longer one than the model reads, its beginning.

        Raises
        ------
        ModelError
            If the weights do not fit the config, or give what is no probability.
        """
        self._load()
        tokens = self._tokens(texts)
        order = np.argsort([len(row) for row in tokens], kind="stable").astype(np.int64)
        found = np.zeros(len(texts))
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            found[batch] = self._read(tokens, batch)
        if not np.isfinite(found).all():
            place = int(np.flatnonzero(~np.isfinite(found))[0])
            raise ModelError(f"{self._weights.ref} gave {found[place]} for {texts[place][:80]!r}; {_REPAIR}")
        return found

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        positions = getattr(self._config, "max_position_embeddings", None)
        # RoBERTa counts positions from behind its padding: 514 of them read 512 tokens
        offset = (self._config.pad_token_id or 0) + 1 if "roberta" in self._config.model_type else 0
        limit = min(self._tokenizer.model_max_length, positions - offset if positions else 512)
        tokens: list[list[int]] = self._tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
        return tokens

    def _read(self, tokens: Sequence[list[int]], batch: IntArray) -> FloatArray:
        import torch

        padded = self._tokenizer.pad({"input_ids": [tokens[row] for row in batch]}, return_tensors="pt")
        with torch.inference_mode(), computing(self._threads):
            logits = self._model(**{name: tensor.to(self._device) for name, tensor in padded.items()}).logits
            chances = logits.double().softmax(dim=-1)
        difference: FloatArray = (chances[:, self._good] - chances[:, self._bad]).cpu().numpy()
        return difference

    def _load(self) -> None:
        if self._model is not None:
            return
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        load: Any = AutoModelForSequenceClassification.from_pretrained
        options = {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
        where, folder = self._weights.ref, str(self._weights.folder)
        with quiet_loading(), reading(where, "a text classifier with its tokenizer", _REPAIR):
            model, loading = load(folder, **options, **_LOCAL)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **_LOCAL)
        check_encoder(where, loading)
        check_fit(
            where, "a text classifier", loading["missing_keys"], (), _UNTRAINED
        )  # a head would be drawn at random
        self._model = model.to(self._device).eval()


_UNTRAINED = "a classifier was expected that is trained: name one, such as a FinBERT, in news.model"


def _config_of(weights: Weights) -> Any:
    from transformers import AutoConfig

    with quiet_loading(), reading(weights.ref, "the config of a text classifier", _REPAIR):
        config = AutoConfig.from_pretrained(str(weights.folder), **_LOCAL)
    if config.problem_type == "multi_label_classification":
        raise ModelError(
            f"{weights.ref} answers several labels at once; a classifier of one label a text was expected, whose "
            "chances are one in sum"
        )
    return config


def _sides(where: str, labels: Mapping[int, str]) -> tuple[int, int]:
    """Which outputs say good and bad."""
    sides = [
        [number for number, label in labels.items() if str(label).strip().lower() in words] for words in (_GOOD, _BAD)
    ]
    if len(sides[0]) != 1 or len(sides[1]) != 1:
        raise ModelError(
            f"{where} has the labels {', '.join(map(str, labels.values()))}: which is positive, and which negative, "
            f'cannot be told; write "positive" and "negative" for two of them into id2label of its config.json'
        )
    return int(sides[0][0]), int(sides[1][0])
