"""Formulas drawn from a causal language model, token by token, of those that the grammar allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ragsignal.alpha.ideas.grammar import State
from ragsignal.alpha.ideas.tokens import Masks
from ragsignal.errors import ConfigError
from ragsignal.types import FloatArray, IntArray

_MOST_TOKENS = 200  # some 1,000 characters; the parser reads 4,000
_HUGE = 1e30  # more than any logit that means something


class NextToken(Protocol):
    """A causal language model that reads on: what :func:`draw` asks."""

    def begin(self, prompt: str, rows: int, tokens: int) -> FloatArray:
        """Read a prompt, after which at most ``tokens`` follow; return (rows, n_tokens) equal rows of logits."""
        ...

    def go_on(self, rows: IntArray, tokens: IntArray) -> FloatArray:
        """Go on with some of the rows, each by one token; return (len(rows), n_tokens) logits."""
        ...


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Parameters
    ----------
    temperature : float
        Divides the logits; 0.01 to 100.
    tokens : int
        Of one formula at most.
    rows : int
        Formulas that are drawn side by side.
    """

    temperature: float = 1.0
    tokens: int = 48
    rows: int = 8

    def __post_init__(self) -> None:
        if not 0.01 <= self.temperature <= 100:
            raise ConfigError(f"temperature = {self.temperature:g}: a number of 0.01 to 100 was expected, such as 1.0")
        if not 1 <= self.tokens <= _MOST_TOKENS:
            raise ConfigError(f"tokens = {self.tokens}: 1 to {_MOST_TOKENS} tokens a formula were expected, such as 48")
        if self.rows < 1:
            raise ConfigError(f"rows = {self.rows}: at least one formula is drawn at a time")


def draw(model: NextToken, masks: Masks, prompt: str, seeds: Sequence[Sequence[int]], sampling: Sampling) -> list[str]:
    """Draw as many formulas as there are seeds, side by side.

    Parameters
    ----------
    model : NextToken
    masks : Masks
    prompt : str
    seeds : sequence of sequence of int
        One a formula: equal seeds and logits give equal texts.
    sampling : Sampling

    Returns
    -------
    list of str
        Each read by :func:`ragsignal.data.parse` with the grammar's fields, whatever the logits.

    Raises
    ------
    ConfigError
        If no formula is as short as ``sampling.tokens``.
    """
    shortest = masks.grammar.closing(masks.grammar.start)
    if sampling.tokens < shortest:
        raise ConfigError(
            f"tokens = {sampling.tokens}: the shortest formula may take {shortest:g} tokens; write at least that many"
        )
    writers = [_Writer(masks, sampling, seed) for seed in seeds]
    logits = model.begin(prompt, len(writers), sampling.tokens)
    going = writers
    while True:
        said = [writer.say(row) for writer, row in zip(going, logits, strict=True)]
        kept = np.array([row for row, token in enumerate(said) if token is not None], dtype=np.int64)
        if not len(kept):
            return [writer.text.strip() for writer in writers]
        going = [going[row] for row in kept]
        logits = model.go_on(kept, np.array([said[row] for row in kept], dtype=np.int64))


class _Writer:
    """One formula that is being written."""

    def __init__(self, masks: Masks, sampling: Sampling, seed: Sequence[int]) -> None:
        self.text = ""
        self._masks, self._temperature, self._left = masks, sampling.temperature, sampling.tokens
        self._rng = np.random.default_rng(seed)
        self._state: State = masks.grammar.start

    def say(self, logits: FloatArray) -> int | None:
        """Draw the next token; None where the formula is whole and its model has nothing left to say."""
        allowed = self._masks.allowed(self._state, self._left)
        if not len(allowed):  # nothing but the end may come
            return None
        token = int(allowed[_drawn(logits[allowed], self._temperature, self._rng)])
        after = self._masks.after(self._state, token)
        if token not in self._masks.vocabulary.ends:
            self.text += self._masks.vocabulary.texts[token]
        if after is None:
            return None
        self._state, self._left = after, self._left - 1
        return token if len(self._masks.allowed(after, self._left)) else None


def _drawn(logits: FloatArray, temperature: float, rng: np.random.Generator) -> int:
    """A place, with the chances of a softmax; what is no number has none unless all are so."""
    finite = np.clip(np.nan_to_num(np.asarray(logits, dtype=np.float64), nan=-_HUGE), -_HUGE, _HUGE) / temperature
    chances = np.cumsum(np.exp(finite - finite.max()))
    return int(min(np.searchsorted(chances, rng.random() * chances[-1], side="right"), len(logits) - 1))
