"""A causal language model of transformers, from verified weights, that goes on with several texts at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ragsignal.alpha.ideas.tokens import TokenVocabulary, vocabulary_of
from ragsignal.artifacts import Weights
from ragsignal.errors import ModelError
from ragsignal.llm import computing, load_causal, load_tokenizer
from ragsignal.types import FloatArray, IntArray


class CausalModel:
    """The model, in float32 on the CPU: a text does not depend on the processor's narrower numbers.

    Parameters
    ----------
    weights : Weights
        Verified, of a causal language model with a tokenizer.
    threads : int, optional
        At most; by default as many as there are free cores.
    """

    def __init__(self, weights: Weights, threads: int | None = None) -> None:
        self.ref = weights.ref
        self._threads = threads
        self._tokenizer: Any = load_tokenizer(weights)
        self._model: Any = load_causal(weights, "float32").eval()
        self._cache: Any = None

    @property
    def vocabulary(self) -> TokenVocabulary:
        """What its tokens add to a text."""
        return vocabulary_of(self._tokenizer, self._model.config.get_text_config().vocab_size)

    def begin(self, prompt: str, rows: int, tokens: int) -> FloatArray:
        """Read a prompt once for all rows.

        Raises
        ------
        ModelError
            If prompt and answer are longer than the model's context.
        """
        import torch
        from transformers import DynamicCache

        config = self._model.config.get_text_config()
        ids = self._tokenizer(prompt)["input_ids"]
        if len(ids) + tokens > config.max_position_embeddings:
            raise ModelError(
                f"the prompt has {len(ids)} tokens, and a formula up to {tokens}, but {self.ref} reads "
                f"{config.max_position_embeddings}; give fewer fields or fewer formulas as context"
            )
        self._cache = DynamicCache(config=config)
        with torch.inference_mode(), computing(self._threads):
            logits = self._read(torch.tensor([ids]))
            self._cache.batch_repeat_interleave(rows)
        return np.repeat(logits, rows, axis=0)

    def go_on(self, rows: IntArray, tokens: IntArray) -> FloatArray:
        """Go on with the rows that are left, by a token each."""
        import torch

        with torch.inference_mode(), computing(self._threads):
            self._cache.batch_select_indices(torch.from_numpy(rows))
            return self._read(torch.from_numpy(tokens)[:, None])

    def write(self, prompt: str, tokens: int) -> str:
        """Go on with a prompt by its likeliest words, to the end of the line."""
        text, row = "", np.array([0])
        logits, vocabulary = self.begin(prompt, 1, tokens), self.vocabulary
        for _ in range(tokens):
            token = int(np.argmax(logits[0]))
            text += vocabulary.texts[token]
            if token in vocabulary.ends or "\n" in text:
                break
            logits = self.go_on(row, np.array([token]))
        return text.split("\n")[0].strip()

    def _read(self, ids: Any) -> FloatArray:
        out = self._model(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        logits: FloatArray = out.logits[:, -1].double().numpy()
        return logits
