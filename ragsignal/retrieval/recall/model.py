"""The language model of a recall: a small Llama over letters and titles, and what remembers what it has read.

Kept apart from :mod:`ragsignal.retrieval.recall.reader` because it needs torch, which is imported on first use only.
It reads in float64: a batch's shape then moves a log-probability by some 1e-7, below the digits that are kept.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from ragsignal.artifacts import check_fit, reading
from ragsignal.config import RecallTraining
from ragsignal.retrieval.recall.titles import REPAIR, VOCABULARY_FILE, TitleVocabulary
from ragsignal.types import FloatArray, IntArray
from ragsignal.utils import quiet_loading


def new_model(vocabulary: TitleVocabulary, settings: RecallTraining) -> Any:
    """An untrained model whose weights the seed alone decides; the process's random numbers stay as they were."""
    make: Any = LlamaConfig
    config = make(
        vocab_size=vocabulary.size,
        hidden_size=settings.hidden,
        intermediate_size=settings.hidden * 5 // 2,  # three matrices: as many weights as two of 4 x hidden, nearly
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return LlamaForCausalLM(config)


def token_log_probabilities(model: Any, tokens: Tensor, count: int) -> Tensor:
    """(n, count): the log-probability of each of the last ``count`` of (n, length) tokens, given those before it."""
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, -count:]
    chosen = torch.log_softmax(logits, dim=-1).gather(2, tokens[:, -count:, None])
    return chosen.squeeze(2)


class CachedScorer:
    """A model with the keys and values of all that it has read: what :func:`~.search.search` asks.

    Parameters
    ----------
    model : LlamaForCausalLM
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache: Any = None

    def begin(self, contexts: IntArray) -> FloatArray:
        """Read contexts, in the place of what was read before."""
        self._cache = DynamicCache(config=self._model.config)
        return self._read(contexts)

    def extend(self, parents: IntArray, tokens: IntArray) -> FloatArray:
        """Read one token more after each of ``parents``."""
        self._cache.batch_select_indices(torch.from_numpy(parents))
        return self._read(tokens[:, None])

    def _read(self, tokens: IntArray) -> FloatArray:
        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(np.ascontiguousarray(tokens)),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
            scores: FloatArray = torch.log_softmax(output.logits[:, -1], dim=-1).numpy()
        return scores


def save_model(model: Any, vocabulary: TitleVocabulary, folder: Path) -> None:
    """Write ``config.json``, ``model.safetensors`` and ``titles.json``."""
    with quiet_loading():
        model.save_pretrained(str(folder))
    (folder / VOCABULARY_FILE).write_text(json.dumps(dataclasses.asdict(vocabulary), indent=1) + "\n", encoding="utf-8")


def load_model(folder: Path) -> Any:
    """Read the weights that :func:`save_model` wrote.

    Raises
    ------
    ModelError
        If they are not those of one model.
    """
    with quiet_loading(), reading(folder, "a language model of titles and letters", REPAIR):
        load: Any = LlamaForCausalLM.from_pretrained
        options = {"use_safetensors": True, "local_files_only": True, "dtype": torch.float64}
        model, loaded = load(str(folder), output_loading_info=True, **options)
    check_fit(folder, "the model of its config.json", loaded["missing_keys"], loaded["unexpected_keys"], REPAIR)
    return model.eval()
