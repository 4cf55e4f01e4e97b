"""A model reads a text once: later prompts with the same words get the answer that was kept.

Another retriever, an embargo, a corpus that grew: many recipes end in the same prompt for some query. Each such signal
has an address of its own and is made anew; only the model is spared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ragsignal.errors import ModelError
from ragsignal.protocols import Scorer, TextScorer
from ragsignal.signals.store import SignalStore
from ragsignal.types import FloatArray, Prompt, Recipe, Score
from ragsignal.utils import Steps, json_digest, silent_steps

_KEPT_AT_ONCE = 4096  # texts: some seconds of a lexicon, some minutes of a BERT


@dataclass
class ReadOnce:
    """A scorer that remembers: what ``inner`` said of a text is kept in ``store`` under the text and its recipe."""

    inner: Scorer
    store: SignalStore
    is_model = True

    @property
    def recipe(self) -> Recipe:
        """The recipe of the inner scorer: remembering decides nothing."""
        return self.inner.recipe

    @property
    def batch_size(self) -> int:
        """The batch size of the inner scorer."""
        return self.inner.batch_size

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """P(rise) of every prompt, in order; each distinct text that was never read is read once.

        Raises
        ------
        ModelError
            If the inner scorer gives what is no probability: that is not kept.
        """
        if not all(prompt.text for prompt in prompts):  # numbers are read, not words
            return self.inner.score(prompts)
        recipe = json_digest(self.recipe)
        keys = [json_digest([recipe, prompt.system, prompt.text]) for prompt in prompts]
        scores = self.store.scores(keys)
        unread = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in scores}
        fresh: dict[str, Score] = {}
        if unread:
            texts = list(unread.values())
            fresh = dict(zip(unread, checked(texts, self.inner.score(texts)), strict=True))
            self.store.put_scores(fresh)
        scores |= {key: replace(score, seconds=0.0, reused=True) for key, score in fresh.items()}
        return [fresh.pop(key, scores[key]) for key in keys]  # the first prompt of a text pays for its reading


@dataclass
class SentimentOnce:
    """A scorer of texts that remembers: what ``inner`` said is kept in ``store`` under the text and its recipe.

    A sentiment s is kept as (1 + s) / 2, beside what models said of prompts; what is given is what was kept, so that
    a text has the same sentiment on its first reading as on all later ones.
    """

    inner: TextScorer
    store: SignalStore
    progress: Steps = field(default=silent_steps)

    def sentiment(self, texts: Sequence[str]) -> FloatArray:
        """(n,) in [-1, 1], of every text in order; each distinct text that was never read is read once.

        What was read is kept some thousand texts at a time: a killed run loses no more.

        Raises
        ------
        ModelError
            If the inner scorer gives what is no sentiment: that is not kept.
        """
        recipe = json_digest(self.inner.recipe)
        keys = {text: json_digest([recipe, "", text]) for text in dict.fromkeys(texts)}
        scores = self.store.scores(keys.values())
        unread = [text for text, key in keys.items() if key not in scores]
        for start in range(0, len(unread), _KEPT_AT_ONCE):
            self.progress(start, len(unread))
            part = unread[start : start + _KEPT_AT_ONCE]
            found = _sound(part, self.inner.sentiment(part)).tolist()
            fresh = {keys[text]: Score((1.0 + value) / 2.0) for text, value in zip(part, found, strict=True)}
            self.store.put_scores(fresh)
            scores |= fresh
        if unread:
            self.progress(len(unread), len(unread))
        return np.array([2.0 * scores[keys[text]].probability - 1.0 for text in texts], dtype=np.float64)


def _sound(texts: Sequence[str], found: FloatArray) -> FloatArray:
    """``found``, one of each text and in [-1, 1]."""
    wrong = np.flatnonzero(~(np.abs(found) <= 1.0))  # also NaN
    if found.shape != (len(texts),) or len(wrong):
        what = (
            f"{found[wrong[0]]} of {texts[wrong[0]][:80]!r}" if len(wrong) else f"{found.shape} for {len(texts)} texts"
        )
        raise ModelError(
            f"the scorer of news returned a sentiment of {what}; one a text in [-1, 1] was expected. Check news.model"
        )
    return found


def checked(prompts: Sequence[Prompt], scores: list[Score]) -> list[Score]:
    """The scores as they are.

    Raises
    ------
    ModelError
        If there is not one for each prompt, or one is no probability.
    """
    if len(scores) != len(prompts):
        raise ModelError(f"the scorer returned {len(scores)} scores for {len(prompts)} prompts; one each was expected")
    for prompt, score in zip(prompts, scores, strict=True):
        if not 0.0 <= score.probability <= 1.0:  # also false for NaN
            query = prompt.query
            raise ModelError(
                f"{query.symbol} as of {query.as_of}: the scorer returned P(rise) = {score.probability}; a number "
                "in [0, 1] was expected. Check the weights and the adapter (`ragsignal weights verify`)"
            )
    return scores
