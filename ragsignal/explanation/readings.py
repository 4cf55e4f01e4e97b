"""Readers asked again: about the same signals of one day, with other letters, without factors, without hits.

prompts of a day ─► RankReading (letters, retrieved days) | PromptedRanks (letters, sequences) | WindowReading
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from ragsignal.data import RANK_LETTERS, DayHits, Letters
from ragsignal.explanation.explanation import Reads
from ragsignal.llm import Changed, ChangedDays, ChangedLetters, RankPrompt, RankScorer, UniverseReader, last_days
from ragsignal.signals import RagPipeline
from ragsignal.types import BoolArray, FloatArray, Hit, IntArray, Prompt, Score

MIDDLE = (RANK_LETTERS // 2 - 1, RANK_LETTERS // 2)
"""The letters on both sides of the middle: a factor is taken away by asking with each, and taking the mean of P."""


class Reading(Protocol):
    """A reader with the signals of one day that it has a view on."""

    reads: Reads
    names: tuple[str, ...]
    words: tuple[str, ...]
    formulas: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    letters: Letters
    """(n, n_factors): the factors of each signal."""

    @property
    def values(self) -> FloatArray:
        """The factors themselves, (n, n_factors) in the units of their formulas, NaN where unknown."""
        ...

    @property
    def stocks(self) -> int | None:
        """Stocks that are ranked on the day; None of readers that do not rank."""
        ...

    def changed(self, owner: IntArray, letters: Letters) -> FloatArray:
        """P (m,) of the signals ``owner`` with other letters (m, n_factors) of the day."""
        ...

    def without(self, owner: IntArray, absent: BoolArray) -> FloatArray:
        """P (m,) of the signals ``owner`` without the factors ``absent`` (m, n_factors), on all days that are read."""
        ...

    @property
    def most_hits(self) -> int:
        """Hits of the signal that has most."""
        ...

    def without_hits(self, places: IntArray, numbers: IntArray) -> list[FloatArray]:
        """P of each of the signals ``numbers`` without the hit at each of ``places``, as far as it has so many."""
        ...

    def replaced(self, owner: IntArray, absent: BoolArray, donor: IntArray) -> FloatArray:
        """P (m,) of the signals ``owner`` with the factors ``absent`` (m, n_factors) of the signals ``donor`` (m,)."""
        ...

    def with_hits(self, number: int, kept: BoolArray) -> float:
        """P of the signal ``number`` with the hits of ``kept`` alone."""
        ...

    def asked(self, owner: IntArray, letters: Letters) -> list[Score]:
        """What the scorer itself says of the signals ``owner`` (m,) with other letters (m, n_factors) of the day."""
        ...


class LettersReading(ABC):
    """What readers of rank letters share.

    Parameters
    ----------
    scorer : RankScorer or UniverseReader
    prompts : sequence of RankPrompt
        Of one day.
    """

    reads: Reads

    def __init__(self, scorer: RankScorer | UniverseReader, prompts: Sequence[RankPrompt]) -> None:
        self.scorer, self.prompts, universe = scorer, prompts, scorer.universe
        self.row, self.columns = prompts[0].row, np.array([prompt.column for prompt in prompts])
        self.days = last_days(universe.letters[:, self.columns], self.row, scorer.memory)
        self.letters = self.days[-1]
        self.stocks: int | None = int(universe.ranked[self.row].sum())
        self.names, self.words = universe.factors, universe.words
        self.formulas, self.groups = universe.formulas, universe.groups

    @property
    def most_hits(self) -> int:
        """As :attr:`Reading.most_hits`."""
        return max(len(prompt.hits) for prompt in self.prompts)

    @cached_property
    def values(self) -> FloatArray:
        """As :attr:`Reading.values`."""
        return np.asarray(self.scorer.universe.values_on(self.row)[self.columns])

    def changed(self, owner: IntArray, letters: Letters) -> FloatArray:
        """As :meth:`Reading.changed`: the earlier days stay as they are."""
        days = self.days[:, owner]
        days[-1] = letters
        return self._of_days(owner, days)

    def without(self, owner: IntArray, absent: BoolArray) -> FloatArray:
        """As :meth:`Reading.without`, by :data:`MIDDLE`."""
        days = self.days[:, owner]
        gone = absent & (days != RANK_LETTERS)
        answers = [self._of_days(owner, np.where(gone, np.uint8(letter), days)) for letter in MIDDLE]
        return np.asarray(np.mean(answers, axis=0))

    def replaced(self, owner: IntArray, absent: BoolArray, donor: IntArray) -> FloatArray:
        """As :meth:`Reading.replaced`, on all days that are read."""
        return self._of_days(owner, np.where(absent, self.days[:, donor], self.days[:, owner]))

    def asked(self, owner: IntArray, letters: Letters) -> list[Score]:
        """As :meth:`Reading.asked`."""
        days = self.days[:, owner]
        days[-1] = letters
        return self.scorer.score(self._other_days(owner, days))

    def _other_days(self, owner: IntArray, days: Letters) -> list[RankPrompt]:
        """Prompts of stocks of the universe with other letters (memory, m, n_factors)."""
        prompts = [self.prompts[number] for number in owner.tolist()]
        return [
            RankPrompt(prompt.query, prompt.hits, row=prompt.row, column=prompt.column, own=days[:, [case]])
            for case, prompt in enumerate(prompts)
        ]

    @abstractmethod
    def _of_days(self, owner: IntArray, days: Letters) -> FloatArray:
        """P (m,) of the signals ``owner`` with other days, (memory, m, n_factors)."""


class RankReading(LettersReading):
    """A reader of rank letters, with retrieved days, which are the same for all stocks, or with nothing."""

    def __init__(self, scorer: RankScorer | UniverseReader, prompts: Sequence[RankPrompt]) -> None:
        super().__init__(scorer, prompts)
        self.hits = prompts[0].hits
        self.reads = "ranks and days" if len(self.hits) else "ranks"

    def changed(self, owner: IntArray, letters: Letters) -> FloatArray:
        """As :meth:`Reading.changed`: the earlier days stay as they are, and are read once."""
        owners, numbers = np.unique(owner, return_inverse=True)
        return self._chances(ChangedLetters(self.row, self.days[:-1, owners], numbers.ravel(), letters), self.hits)

    def without_hits(self, places: IntArray, numbers: IntArray) -> list[FloatArray]:
        """As :meth:`Reading.without_hits`; without its only hit a signal abstains, so that nothing is left out."""
        if not isinstance(self.hits, DayHits) or not isinstance(self.scorer, UniverseReader) or len(self.hits) < 2:
            return [np.empty(0)] * len(numbers)
        raw = self.scorer.without_each(self.row, self.columns[numbers], self.hits, places)
        return list(self.scorer.chances(raw).T)

    def with_hits(self, number: int, kept: BoolArray) -> float:
        """As :meth:`Reading.with_hits`."""
        assert isinstance(self.hits, DayHits)
        days = self.days[:, [number]]
        case = ChangedLetters(self.row, days[:-1], np.zeros(1, dtype=np.int64), days[-1])
        return float(self._chances(case, self.hits.only(kept))[0])

    def _of_days(self, owner: IntArray, days: Letters) -> FloatArray:
        return self._chances(ChangedDays(self.row, owner, days), self.hits)

    def _chances(self, cases: Changed, hits: Sequence[Hit]) -> FloatArray:
        return self.scorer.chances(self.scorer.raw_of(cases, hits))


class PromptedRanks(LettersReading):
    """A reader of rank letters that was trained with sequences as hits: each stock has its own.

    Parameters
    ----------
    pipeline : RagPipeline
    scorer : RankScorer
        The pipeline's.
    prompts : sequence of RankPrompt
        Of one day.
    """

    def __init__(self, pipeline: RagPipeline, scorer: RankScorer, prompts: Sequence[RankPrompt]) -> None:
        super().__init__(scorer, prompts)
        self.reads = "ranks and sequences"
        self._pipeline = pipeline

    def without_hits(self, places: IntArray, numbers: IntArray) -> list[FloatArray]:
        """As :meth:`Reading.without_hits`."""
        return without_each(self._pipeline, [self.prompts[number] for number in numbers.tolist()], places)

    def with_hits(self, number: int, kept: BoolArray) -> float:
        """As :meth:`Reading.with_hits`."""
        return with_only(self._pipeline, self.prompts[number], kept)

    def _of_days(self, owner: IntArray, days: Letters) -> FloatArray:
        return np.array([score.probability for score in self.scorer.score(self._other_days(owner, days))])


def without_each(pipeline: RagPipeline, prompts: Sequence[Prompt], places: IntArray) -> list[FloatArray]:
    """P of each prompt without the hit at each of ``places``; none where a signal with fewer hits would abstain."""
    asked, counts = [], []
    for prompt in prompts:
        left_out = [place for place in places.tolist() if place < len(prompt.hits)]
        fewer = [[hit for number, hit in enumerate(prompt.hits) if number != place] for place in left_out]
        rendered = [pipeline.prompter.render(prompt.query, hits) for hits in fewer]
        seen = [it for it in rendered if pipeline.has_view(it)]
        asked += seen
        counts.append(len(seen))
    answers = np.array([score.probability for score in pipeline.scorer.score(asked)]) if asked else np.empty(0)
    return np.split(answers, np.cumsum(counts)[:-1])


def with_only(pipeline: RagPipeline, prompt: Prompt, kept: BoolArray) -> float:
    """P of a prompt with the hits of ``kept`` (k,); one half where it then abstains."""
    hits = [hit for hit, stays in zip(prompt.hits, kept.tolist(), strict=True) if stays]
    fewer = pipeline.prompter.render(prompt.query, hits)
    return pipeline.scorer.score([fewer])[0].probability if pipeline.has_view(fewer) else 0.5
