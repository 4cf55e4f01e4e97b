"""What all readers of retrieved days share: one reading a day for the whole universe, then a query is looked up.

prompts ─► by day and hits ─► raw score of every ranked stock of the day ─► P(beats the day's median), place
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ragsignal.data import DayHits, Letters, RankLetters, daily_ranks
from ragsignal.errors import ModelError
from ragsignal.llm.calibration import place_among
from ragsignal.llm.changed_letters import Changed
from ragsignal.llm.ranks import RankPrompt, RankPrompter, read_together
from ragsignal.types import FloatArray, Hit, IntArray, Prompt, Recipe, Score


class UniverseReader(ABC):
    """Scores queries that share their day's hits.

    Parameters
    ----------
    universe : RankLetters
    memory : int
        Days of letters that a score depends on.
    """

    batch_size = 20_000

    def __init__(self, universe: RankLetters, memory: int) -> None:
        self.universe = universe
        self.memory = memory
        self._tables: dict[tuple[int, str], tuple[FloatArray, FloatArray]] = {}

    @property
    def prompter(self) -> RankPrompter:
        """What finds the letters that this reads."""
        return RankPrompter(self.universe, self.memory)

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """Identity."""

    @abstractmethod
    def of_universe(self, row: int, hits: DayHits) -> FloatArray:
        """Raw scores of every stock on day number ``row``, (n_symbols,); NaN where it is not ranked."""

    @abstractmethod
    def of_stocks(self, letters: Letters, row: int, hits: DayHits) -> FloatArray:
        """Raw scores (n,) of stocks that are not of the universe, by their letters (memory, n, n_factors)."""

    @abstractmethod
    def raw_of(self, changed: Changed, hits: Sequence[Hit]) -> FloatArray:
        """Raw scores (m,) of letters that are not the universe's, with the day's hits (:class:`DayHits`)."""

    @abstractmethod
    def without_each(self, row: int, columns: IntArray, hits: DayHits, places: IntArray) -> FloatArray:
        """Raw scores (k, n) of stocks of the universe, by their columns (n,), without the hit at each of k places.

        Of two hits or more: without its only one a signal abstains.
        """

    @abstractmethod
    def chances(self, raw: FloatArray) -> FloatArray:
        """P(beats the day's median) of raw scores."""

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """P(beats the day's median), and the rank among the universe's stocks of the day.

        Raises
        ------
        ModelError
            If the hits of a prompt are no days.
        """
        began = time.perf_counter()
        asked = [prompt for prompt in prompts if isinstance(prompt, RankPrompt)]
        answers = np.empty((len(asked), 2))
        for numbers in _by_day(asked):
            answers[numbers] = self._of_day([asked[number] for number in numbers])
        chances = self.chances(answers[:, 0]).tolist()
        share = (time.perf_counter() - began) / max(len(asked), 1)
        ranks = (2.0 * answers[:, 1] - 1.0).tolist()
        return [Score(chance, seconds=share, rank=rank) for chance, rank in zip(chances, ranks, strict=True)]

    def _of_day(self, prompts: Sequence[RankPrompt]) -> FloatArray:
        """Raw scores and places in (0, 1), (n, 2), of queries of one day with the same hits."""
        row, hits = prompts[0].row, prompts[0].hits
        if not isinstance(hits, DayHits):
            raise ModelError(
                f"{prompts[0].query.symbol} as of {prompts[0].query.as_of}: this reads retrieved days, and was given "
                'something else; write retrieval.candidates = "days"'
            )
        scores, places = self._table(row, hits)
        found = np.empty((len(prompts), 2))
        for number, prompt in enumerate(prompts):
            if prompt.own is None:
                found[number] = scores[prompt.column], places[prompt.column]
        with_own = {number: prompt.own for number, prompt in enumerate(prompts) if prompt.own is not None}
        for numbers in read_together(list(with_own), prompts):
            raw = self.of_stocks(np.concatenate([with_own[number] for number in numbers], axis=1), row, hits)
            for number, score in zip(numbers, raw.tolist(), strict=True):
                column = prompts[number].column
                others = scores if column < 0 else np.delete(scores, column)
                found[number] = score, place_among(score, others)
        return found

    def _table(self, row: int, hits: DayHits) -> tuple[FloatArray, FloatArray]:
        """Raw scores and places of the universe, (n_symbols,) each: kept, as its stocks may be asked one by one."""
        key = row, hits.digest
        if key not in self._tables:
            scores = self.of_universe(row, hits)
            self._tables[key] = scores, daily_ranks(scores[None])[0]
        return self._tables[key]


def as_days(hits: Sequence[Hit]) -> DayHits:
    """The hits as what they are; raises ``ModelError`` where they are no days."""
    if not isinstance(hits, DayHits):
        raise ModelError('this reads retrieved days, and was given something else; write retrieval.candidates = "days"')
    return hits


def _by_day(prompts: Sequence[RankPrompt]) -> list[list[int]]:
    """Places of prompts that share day and hits."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number, prompt in enumerate(prompts):
        groups.setdefault((prompt.row, id(prompt.hits)), []).append(number)
    return list(groups.values())
