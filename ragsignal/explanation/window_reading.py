"""Readers of windows asked again: text models, classifiers of a window, and votes of what a window retrieves.

A factor is a return of the window, its letter that of the spec's bins. A letter that is changed stands for the middle
of its bin; the others keep their returns to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ragsignal.data import QUERY_SEQUENCE, Bins, Letters, log_returns
from ragsignal.explanation.explanation import Reads
from ragsignal.explanation.readings import MIDDLE, with_only, without_each
from ragsignal.signals import RagPipeline
from ragsignal.types import BoolArray, FloatArray, IntArray, Prompt, Query, Score

_WORDS = ("return of the day", "return of the day before")


class WindowReading:
    """A reader of windows.

    Parameters
    ----------
    pipeline : RagPipeline
    prompts : sequence of Prompt
        Of windows of one length.
    bins : Bins
    is_vote : bool
        Whether hits are all that is read: a changed window then retrieves anew. A model keeps the hits that it read.
    """

    stocks: int | None = None

    def __init__(self, pipeline: RagPipeline, prompts: Sequence[Prompt], bins: Bins, is_vote: bool) -> None:
        self._pipeline, self._prompts, self._retrieves = pipeline, prompts, is_vote
        with_hits: Reads = "votes of sequences" if is_vote else "window and sequences"
        self.reads: Reads = with_hits if pipeline.retriever.requires_hits else "window"
        self.values = np.array([log_returns(prompt.query) for prompt in prompts])
        self.letters: Letters = bins.codes(QUERY_SEQUENCE, self.values).astype(np.uint8)
        self._middles = _middles(np.array(bins.edges[QUERY_SEQUENCE]))
        ages = range(self.values.shape[1] - 1, -1, -1)
        self.names = tuple(f"return_{age + 1}" for age in ages)
        self.words = tuple(_WORDS[age] if age < len(_WORDS) else f"return {age} days ago" for age in ages)
        self.formulas = tuple(
            f"log(close[{age}] / close[{age + 1}])" if age else "log(close / close[1])" for age in ages
        )
        self.groups = {"last return": self.names[-1:], "earlier returns": self.names[:-1]}

    def changed(self, owner: IntArray, letters: Letters) -> FloatArray:
        """P of windows with other letters; one half where nothing is retrieved for them."""
        return self._of_returns(owner, self._returns(owner, letters))

    def without(self, owner: IntArray, absent: BoolArray) -> FloatArray:
        """P without returns: the mean of P with the letters of both sides of the middle."""
        asked = [np.where(absent, np.uint8(letter), self.letters[owner]) for letter in MIDDLE]
        return np.asarray(np.mean([self.changed(owner, letters) for letters in asked], axis=0))

    def replaced(self, owner: IntArray, absent: BoolArray, donor: IntArray) -> FloatArray:
        """P with returns of other windows."""
        return self._of_returns(owner, np.where(absent, self.values[donor], self.values[owner]))

    @property
    def most_hits(self) -> int:
        """Hits of the signal that has most."""
        return max(len(prompt.hits) for prompt in self._prompts)

    def without_hits(self, places: IntArray, numbers: IntArray) -> list[FloatArray]:
        """P of some of the signals without the hit at each of ``places``."""
        return without_each(self._pipeline, [self._prompts[number] for number in numbers.tolist()], places)

    def with_hits(self, number: int, kept: BoolArray) -> float:
        """P of a signal with the hits of ``kept`` alone."""
        return with_only(self._pipeline, self._prompts[number], kept)

    def asked(self, owner: IntArray, letters: Letters) -> list[Score]:
        """What the scorer says of windows with other letters."""
        return self._scores(owner, self._returns(owner, letters))

    def _returns(self, owner: IntArray, letters: Letters) -> FloatArray:
        """Returns (m, lookback) with these letters: the signal's own where its letter stays."""
        return np.where(letters == self.letters[owner], self.values[owner], self._middles[letters])

    def _of_returns(self, owner: IntArray, returns: FloatArray) -> FloatArray:
        return np.array([score.probability for score in self._scores(owner, returns)])

    def _scores(self, owner: IntArray, returns: FloatArray) -> list[Score]:
        queries = [self._query(number, window) for number, window in zip(owner.tolist(), returns, strict=True)]
        if self._retrieves:
            retriever = self._pipeline.retriever
            found = retriever.retrieve(queries)
            hits = [() if retriever.abstains(query) else it for query, it in zip(queries, found, strict=True)]
        else:
            hits = [self._prompts[number].hits for number in owner.tolist()]
        prompts = list(map(self._pipeline.prompter.render, queries, hits))
        seen = [prompt for prompt in prompts if self._pipeline.has_view(prompt)]
        answers = iter(self._pipeline.scorer.score(seen) if seen else ())
        return [next(answers) if self._pipeline.has_view(prompt) else Score(0.5) for prompt in prompts]

    def _query(self, number: int, returns: FloatArray) -> Query:
        query = self._prompts[number].query
        if np.array_equal(returns, self.values[number]):  # not even a rounding apart
            return query
        closes = query.closes[0] * np.exp(np.append(0.0, np.cumsum(returns)))
        return replace(query, closes=tuple(closes.tolist()), bars=None)


def _middles(edges: FloatArray) -> FloatArray:
    """A value within each bin: its middle, and beyond the last edges as far out as the bin beside is wide."""
    outer = np.concatenate([[2 * edges[0] - edges[1]], edges, [2 * edges[-1] - edges[-2]]])
    return np.asarray((outer[:-1] + outer[1:]) / 2.0)
