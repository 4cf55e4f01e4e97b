"""Readers asked again: about the same signals of one day, with other letters, without factors, without hits.

prompts of a day ─► RankReading (letters, retrieved days) | PromptedRanks (letters, sequences) | WindowReading
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from ragsignal.data import FACTOR_GROUPS, FACTOR_WORDS, FORMULAS, RANK_FACTORS, RANK_LETTERS, DayHits, Letters
from ragsignal.explain.explanation import Reads
from ragsignal.llm import ChangedLetters, RankPrompt, RankScorer, UniverseReader, last_days
from ragsignal.signals import RagPipeline
from ragsignal.types import BoolArray, FloatArray, IntArray, Prompt, Score

MIDDLE = (RANK_LETTERS // 2 - 1, RANK_LETTERS // 2)
"""The letters on both sides of the middle: a factor is taken away by asking with each, and taking the mean of P."""

_WINDOWS = 4096  # stocks whose days are read at once


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

    def without_hits(self, places: IntArray) -> list[FloatArray]:
        """P of each signal without the hit at each of ``places``, as far as it has so many."""
        ...

    def asked(self, number: int, letters: Letters) -> Score:
        """What the scorer itself says of the signal ``number`` with other letters (n_factors,)."""
        ...


class RankReading:
    """A reader of rank letters, with retrieved days or with nothing.

    Parameters
    ----------
    scorer : RankScorer or UniverseReader
    prompts : sequence of RankPrompt
        Of one day; the hits of all are the same.
    """

    names = RANK_FACTORS
    words = tuple(FACTOR_WORDS[name] for name in RANK_FACTORS)
    formulas = tuple(FORMULAS[name] for name in RANK_FACTORS)
    groups = FACTOR_GROUPS

    def __init__(self, scorer: RankScorer | UniverseReader, prompts: Sequence[RankPrompt]) -> None:
        self.scorer, self.prompts = scorer, prompts
        self.hits = prompts[0].hits
        self.reads: Reads = "ranks and days" if len(self.hits) else "ranks"
        self._row, universe = prompts[0].row, scorer.universe
        self._columns = np.array([prompt.column for prompt in prompts])
        self.days = last_days(universe.letters[:, self._columns], self._row, scorer.memory)
        self.letters = self.days[-1]
        self.stocks: int | None = int(universe.ranked[self._row].sum())

    @cached_property
    def values(self) -> FloatArray:
        """As :attr:`Reading.values`."""
        return np.asarray(self.scorer.universe.values_on(self._row)[self._columns])

    def changed(self, owner: IntArray, letters: Letters) -> FloatArray:
        """As :meth:`Reading.changed`: the earlier days stay as they are."""
        owners, numbers = np.unique(owner, return_inverse=True)
        return self._chances(ChangedLetters(self._row, self.days[:-1, owners], numbers.ravel(), letters))

    def without(self, owner: IntArray, absent: BoolArray) -> FloatArray:
        """As :meth:`Reading.without`, by :data:`MIDDLE`."""
        total = np.zeros(len(owner))
        for start in range(0, len(owner), _WINDOWS):
            part = slice(start, start + _WINDOWS)
            for days in without_factors(self.days[:, owner[part]], absent[part]):
                numbers = np.arange(days.shape[1])
                total[part] += self._chances(ChangedLetters(self._row, days[:-1], numbers, days[-1]))
        return total / len(MIDDLE)

    def without_hits(self, places: IntArray) -> list[FloatArray]:
        """As :meth:`Reading.without_hits`; without its only hit a signal abstains, so that nothing is left out."""
        if not isinstance(self.hits, DayHits) or not isinstance(self.scorer, UniverseReader) or len(self.hits) < 2:
            return [np.empty(0)] * len(self.prompts)
        raw = self.scorer.without_each(self._row, self._columns, self.hits, places)
        return list(self.scorer.chances(raw).T)

    def asked(self, number: int, letters: Letters) -> Score:
        """As :meth:`Reading.asked`."""
        days = self.days[:, [number]].copy()
        days[-1, 0] = letters
        (score,) = self.scorer.score([changed_prompt(self.prompts[number], days)])
        return score

    def _chances(self, cases: ChangedLetters) -> FloatArray:
        return self.scorer.chances(self.scorer.raw_of(cases, self.hits))


class PromptedRanks:
    """A reader of rank letters that was trained with sequences as hits: each stock has its own.

    Parameters
    ----------
    pipeline : RagPipeline
    scorer : RankScorer
    prompts : sequence of RankPrompt
    """

    reads: Reads = "ranks and sequences"
    names, words, formulas, groups = RankReading.names, RankReading.words, RankReading.formulas, RankReading.groups

    def __init__(self, pipeline: RagPipeline, scorer: RankScorer, prompts: Sequence[RankPrompt]) -> None:
        self._pipeline, self._scorer, self._prompts = pipeline, scorer, prompts
        self._row, universe = prompts[0].row, scorer.universe
        self._columns = np.array([prompt.column for prompt in prompts])
        self._days = last_days(universe.letters[:, self._columns], self._row, scorer.memory)
        self.letters = self._days[-1]
        self.stocks: int | None = int(universe.ranked[self._row].sum())

    @cached_property
    def values(self) -> FloatArray:
        """As :attr:`Reading.values`."""
        return np.asarray(self._scorer.universe.values_on(self._row)[self._columns])

    def changed(self, owner: IntArray, letters: Letters) -> FloatArray:
        """As :meth:`Reading.changed`: the earlier days stay as they are."""
        days = self._days[:, owner]
        days[-1] = letters
        return self._of_days(owner, days)

    def without(self, owner: IntArray, absent: BoolArray) -> FloatArray:
        """As :meth:`Reading.without`, by :data:`MIDDLE`."""
        asked = without_factors(self._days[:, owner], absent)
        return np.asarray(np.mean([self._of_days(owner, days) for days in asked], axis=0))

    def without_hits(self, places: IntArray) -> list[FloatArray]:
        """As :meth:`Reading.without_hits`."""
        return without_each(self._pipeline, self._prompts, places)

    def asked(self, number: int, letters: Letters) -> Score:
        """As :meth:`Reading.asked`."""
        days = self._days[:, [number]].copy()
        days[-1, 0] = letters
        (score,) = self._scorer.score([changed_prompt(self._prompts[number], days)])
        return score

    def _of_days(self, owner: IntArray, days: Letters) -> FloatArray:
        prompts = [changed_prompt(self._prompts[number], days[:, [case]]) for case, number in enumerate(owner.tolist())]
        return np.array([score.probability for score in self._scorer.score(prompts)])


def without_factors(days: Letters, absent: BoolArray) -> list[Letters]:
    """Days (memory, m, n_factors) in which the known letters of ``absent`` (m, n_factors) stand at each of MIDDLE."""
    gone = absent & (days != RANK_LETTERS)
    return [np.where(gone, np.uint8(letter), days) for letter in MIDDLE]


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


def changed_prompt(prompt: RankPrompt, days: Letters) -> RankPrompt:
    """The prompt of a stock of the universe with other letters (memory, 1, n_factors)."""
    return RankPrompt(prompt.query, prompt.hits, row=prompt.row, column=prompt.column, own=days)
