"""Tokenizers made up for tests, of the two common kinds, and a language model that says anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ragsignal.types import FloatArray, IntArray

ALPHABET = [chr(code) for code in range(32, 127)]


def byte_pairs(merged: Sequence[str]) -> Any:
    """Byte pairs with a blank as ``Ġ``: all bytes, and some longer tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, "Ċ", *(word.replace(" ", "Ġ").replace("\n", "Ċ") for word in merged), "<end>"]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    raw = Tokenizer(models.BPE(vocab=numbers, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>")


def sentence_pieces(merged: Sequence[str], without: str = "") -> Any:
    """Pieces with a blank as ``▁``, which is not written at the beginning, and bytes as ``<0x0A>``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    signs = ["<unk>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256) if chr(byte) not in without)]
    letters = ["▁", *(it for it in ALPHABET if it != " " and it not in without)]
    words = dict.fromkeys([*signs, *letters, *(word.replace(" ", "▁") for word in merged)])
    raw = Tokenizer(models.Unigram([(word, -1.0) for word in words], unk_id=0, byte_fallback=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>", eos_token="</s>")


class SaysAnything:
    """Logits drawn at random, of any size, some of them no numbers."""

    def __init__(self, width: int, seed: int, scale: float = 1.0, broken: bool = False) -> None:
        self._rng = np.random.default_rng(seed)
        self._width, self._scale, self._broken = width, scale, broken

    def begin(self, prompt: str, rows: int, tokens: int) -> FloatArray:  # noqa: ARG002 - the protocol's signature
        return self._row(rows)

    def go_on(self, rows: IntArray, tokens: IntArray) -> FloatArray:  # noqa: ARG002
        return self._row(len(rows))

    def _row(self, rows: int) -> FloatArray:
        logits = self._rng.normal(0.0, self._scale, (rows, self._width))
        if self._broken:
            logits = np.where(self._rng.random(logits.shape) < 0.3, self._rng.choice([np.nan, np.inf, -np.inf]), logits)
        return logits
