"""Readers of rank letters: StockLLM and boosting see a stock among all stocks of its universe on the day.

    query ─► RankPrompter: letters of the stock's last days ─► RankScorer: P(beats the day's median), rank of the day

The whole universe is scored once, 64 days at a time, since the rank needs it; a single query is then looked up. A feed
that is not one of the universe's is placed among them by its own bars. A query with hits is read by itself; its rank is
its place among the scores of the day's other stocks without hits, as theirs are not at hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact
from ragsignal.data import (
    Letters,
    RankLetters,
    daily_ranks,
)
from ragsignal.errors import ModelError
from ragsignal.llm.boosting import Boosting
from ragsignal.llm.calibration import calibrated, place_among, probability_of
from ragsignal.llm.changed_letters import Changed
from ragsignal.llm.letters import last_days, spelled
from ragsignal.llm.rank_ensemble import RankEnsemble, seed_folders
from ragsignal.llm.rank_hits import HITS_RECIPE, hit_features, hits_by_count, reads_hits
from ragsignal.llm.rank_recipe import RANKS_RECIPE, STATES_RECIPE, beside_bars, reads_states
from ragsignal.types import FeedBars, FloatArray, Hit, Prompt, Query, Recipe, Score
from ragsignal.utils import json_digest

NO_UNIVERSE = "no universe bars that day"
TOO_LITTLE_HISTORY = "too few bars"
NO_HITS = (
    'was trained without hits and can read none; write retriever = "none", or train one with hits (ranks.k = [0, 5], '
    "then `ragsignal train stockllm SPEC`)"
)
"""Said of a reader of ranks that is given a retriever."""

_BLOCK = 64  # days that are scored together
_SAME = 1e-4  # of a close, relative: two vendors' adjusted prices of one stock differ by less, in a window of days


class DayScorer(Protocol):
    """What scores a universe day by day: greater where a stock is the more likely to beat the day's median."""

    @property
    def memory(self) -> int:
        """Days that a score depends on, its own included."""
        ...

    @property
    def computed_with(self) -> Recipe:
        """Device and libraries."""
        ...

    def scores(self, letters: Letters, states: FloatArray | None = None) -> FloatArray:
        """(n_days, n_symbols) scores of (n_days, n_symbols, n_factors) letters and, where read, (n_days, 8) states."""
        ...

    def last_scores(self, changed: Changed, state: FloatArray | None = None) -> FloatArray:
        """Scores (m,) of letters that are not the universe's and, where read, the state (8,) of the market."""
        ...


@dataclass(frozen=True, slots=True)
class RankPrompt(Prompt):
    """A query with its place in the universe: day number ``row``, and ``column``, or letters of its own.

    ``own`` is (memory, 1, n_factors) uint8 where the stock is not one of the universe; with a column too, it is one of
    the universe with other letters.
    """

    row: int = -1
    column: int = -1
    own: Letters | None = None


@dataclass
class RankPrompter:
    """Finds the letters of a query.

    Parameters
    ----------
    universe : RankLetters
    memory : int
        Days that a score depends on.
    states : bool
        Whether it depends on the market's state on these days too.
    """

    universe: RankLetters
    memory: int
    states: bool = False
    _contexts: dict[int, str] = field(default_factory=dict, repr=False)  # a universe asks each day for all its stocks
    _placed: dict[int, tuple[FeedBars, Letters, NDArray[np.bool_]]] = field(default_factory=dict, repr=False)

    def context_digest(self, query: Query) -> str:
        """Digest of all letters and states that the signal and its rank depend on; of an unknown day, of nothing."""
        row = self._row(query.as_of)
        if row is None:
            return NO_UNIVERSE
        if row not in self._contexts:
            self._contexts[row] = self.universe.window_digest(row, self.memory, self.states).hex()
        if self._column(query, row) is not None:
            return self._contexts[row]
        return json_digest([self._contexts[row], self._own(query, row)[0].tobytes().hex()])

    def render(self, query: Query, hits: Sequence[Hit]) -> RankPrompt:
        """Return the query's place, with the day's letters as text for people: A lowest to P highest, - unknown."""
        row = self._row(query.as_of)
        if row is None or not self.universe.ranked[row].any():
            return RankPrompt(query, hits, abstained=NO_UNIVERSE)
        column = self._column(query, row)
        if column is not None:
            text = spelled(self.universe.letters[row, column])
            reason = None if self.universe.ranked[row, column] else TOO_LITTLE_HISTORY
            return RankPrompt(query, hits, text, abstained=reason, row=row, column=column)
        own, ranked = self._own(query, row)
        reason = None if ranked else TOO_LITTLE_HISTORY
        return RankPrompt(query, hits, spelled(own[-1, 0]), abstained=reason, row=row, own=own)

    def length(self, prompt: Prompt) -> int:  # noqa: ARG002
        """Return 0: prompts are alike, and stay in the order of the queries."""
        return 0

    def _row(self, day: date) -> int | None:
        return self._rows.get(day)

    @cached_property
    def _rows(self) -> dict[date, int]:
        return {day: row for row, day in enumerate(self.universe.days.tolist())}

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {symbol: column for column, symbol in enumerate(self.universe.symbols)}

    def _column(self, query: Query, row: int) -> int | None:
        """The universe's column of the query's stock; None for another stock, or other prices under its name."""
        column = self._columns.get(query.symbol)
        if column is None or query.bars is None:
            return column
        last, rows = self.universe.bars.close[row, column], self._rows
        for day, close in zip(query.dates[:-1], query.closes, strict=False):
            known = self.universe.bars.close[rows[day], column] if day in rows else np.nan
            if not abs(close / query.closes[-1] * last / known - 1.0) < _SAME:  # also true of NaN
                return None
        return column

    def _own(self, query: Query, row: int) -> tuple[Letters, bool]:
        """Letters (memory, 1, n_factors) of a stock that is not the universe's, and whether it can be ranked."""
        if query.bars is None:
            raise ModelError(
                f"{query.symbol} is not one of the {len(self.universe.symbols)} stocks of the universe, and the query "
                "has no bars to rank it by; ask through RagMomentum, or add it to data.symbols"
            )
        letters, ranked = self._placing(query.bars)
        return last_days(letters, row, self.memory)[:, None], bool(ranked[row])

    def _placing(self, bars: FeedBars) -> tuple[Letters, NDArray[np.bool_]]:
        """Letters of all days of a feed, from the longest past that it was asked with; factors look back only."""
        known = self._placed.get(id(bars.columns))
        if known is None or known[0].count < bars.count:
            frame = pd.DataFrame(
                {name: column[: bars.count] for name, column in zip(_COLUMNS, bars.columns, strict=True)},
                index=pd.DatetimeIndex(list(bars.dates[: bars.count])),
            )
            known = bars, *self.universe.placed(frame)
            self._placed[id(bars.columns)] = known
        return known[1], known[2]


_COLUMNS = ("open", "high", "low", "close", "volume")


def day_scorer(artifact: Artifact, device: str = "cpu", threads: int | None = None) -> DayScorer:
    """The model of an artifact that reads rank letters: language models, or boosting."""
    if artifact.card.kind == "classifier":
        return Boosting.load(artifact.folder, reads_states(artifact))
    return RankEnsemble(seed_folders(artifact.folder), device, threads)


class RankScorer:
    """Scores queries by a model that reads rank letters.

    Parameters
    ----------
    artifact : Artifact
        Of kind ``stockllm`` or ``classifier``, trained on ranks.
    model : DayScorer
    universe : RankLetters
    """

    is_model = True
    batch_size = 20_000

    def __init__(self, artifact: Artifact, model: DayScorer, universe: RankLetters) -> None:
        self._reads_states = reads_states(artifact)
        hits, states = HITS_RECIPE if reads_hits(artifact) else {}, STATES_RECIPE if self._reads_states else {}
        self._reads = RANKS_RECIPE | hits | states | beside_bars(universe)
        artifact.check_template(self._reads)
        self._artifact = artifact
        self._model = model
        self._universe = universe
        shape = universe.ranked.shape
        self._scores, self._places = np.full(shape, np.nan), np.full(shape, np.nan)
        self._done = np.zeros(shape[0], dtype=bool)
        self._by_day = False

    def over(self, universe: RankLetters) -> RankScorer:
        """The same model over a universe that begins with the same days: what was scored is kept.

        Days that were not are scored one at a time: a block of a universe that grows would be scored with every day.
        """
        other = copy(self)
        other._universe, other._by_day, known = universe, True, len(self._done)
        shape = universe.ranked.shape
        other._scores, other._places = np.full(shape, np.nan), np.full(shape, np.nan)
        other._done = np.zeros(shape[0], dtype=bool)
        for name in ("_scores", "_places", "_done"):
            getattr(other, name)[:known] = getattr(self, name)
        return other

    @property
    def prompter(self) -> RankPrompter:
        """What finds the letters that this reads."""
        return RankPrompter(self._universe, self._model.memory, self._reads_states)

    @property
    def recipe(self) -> Recipe:
        """Identity: the artifact (its calibration is in its card), what it reads, and what computes."""
        return {
            "scorer": "ranks/1",
            "artifact": self._artifact.digest,
            "batch": f"{_BLOCK} days",
            **self._reads,
            **self._model.computed_with,
        }

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """Calibrated P(beats the day's median), and the rank among the universe's stocks of the day.

        Raises
        ------
        ModelError
            If a prompt has hits, and the artifact was not trained with any.
        """
        began = time.perf_counter()
        asked = [prompt for prompt in prompts if isinstance(prompt, RankPrompt)]
        self._read(np.unique([prompt.row for prompt in asked]))
        answers = np.empty((len(asked), 2))
        with_hits = [number for number, prompt in enumerate(asked) if prompt.hits]
        for number, prompt in enumerate(asked):
            if not prompt.hits and prompt.own is None:
                answers[number] = self._scores[prompt.row, prompt.column], self._places[prompt.row, prompt.column]
        for numbers in read_together(
            [number for number, it in enumerate(asked) if it.own is not None and not it.hits], asked
        ):
            answers[numbers] = self._with_own([asked[number] for number in numbers])
        if with_hits:
            answers[with_hits] = self._with_hits([asked[number] for number in with_hits])
        raw, places = answers.T
        chances = self.chances(raw).tolist()
        share = (time.perf_counter() - began) / max(len(asked), 1)
        return [
            Score(chance, seconds=share, rank=2.0 * place - 1.0)
            for chance, place in zip(chances, places.tolist(), strict=True)
        ]

    @property
    def universe(self) -> RankLetters:
        """The stocks that are ranked."""
        return self._universe

    @property
    def memory(self) -> int:
        """Days of letters that a score depends on."""
        return self._model.memory

    def chances(self, raw: FloatArray) -> FloatArray:
        """P(beats the day's median) of raw scores, calibrated as the artifact's card says."""
        return probability_of(calibrated(raw, self._artifact.card.calibration))

    def raw_of(self, changed: Changed, hits: Sequence[Hit]) -> FloatArray:  # noqa: ARG002 - it reads none
        """Raw scores (m,) of letters that are not the universe's, without hits."""
        state = self._universe.states[changed.row] if self._reads_states else None
        return self._model.last_scores(changed, state)

    def _with_own(self, prompts: Sequence[RankPrompt]) -> FloatArray:
        """Raw scores and places in (0, 1), (n, 2), of queries of one day with letters of their own, without hits."""
        own, row = np.concatenate([prompt.own for prompt in prompts if prompt.own is not None], axis=1), prompts[0].row
        raw = self._model.scores(own, self._states(row + 1 - self._model.memory, row + 1))[-1]
        return np.array([[score, self._place(prompt, score)] for prompt, score in zip(prompts, raw, strict=True)])

    def _with_hits(self, prompts: Sequence[RankPrompt]) -> FloatArray:
        """Raw scores and places, (n, 2), of queries with hits: those with equally many are read together."""
        if not isinstance(self._model, RankEnsemble) or not reads_hits(self._artifact):
            raise ModelError(f"{self._artifact.ref} {NO_HITS}")
        letters = np.stack([self._days_of(prompt) for prompt in prompts])
        features = [hit_features(prompt.query, prompt.hits, len(prompt.query.closes) - 1) for prompt in prompts]
        raw = np.empty(len(prompts))
        for places, hits in hits_by_count(features):
            raw[places] = self._model.scores_with_hits(letters[places], hits)
        return np.array([[score, self._place(prompt, score)] for prompt, score in zip(prompts, raw, strict=True)])

    def _days_of(self, prompt: RankPrompt) -> Letters:
        """Letters of a query's days, (memory, n_factors)."""
        if prompt.own is not None:
            return prompt.own[:, 0]
        return last_days(self._universe.letters[:, prompt.column], prompt.row, self._model.memory)

    def _place(self, prompt: RankPrompt, score: float) -> float:
        """Place in (0, 1) among the day's other stocks."""
        others = self._scores[prompt.row]
        return place_among(score, others if prompt.column < 0 else np.delete(others, prompt.column))

    def count_blocks(self, days: Iterable[date]) -> int:
        """How many blocks of days, each scored for the whole universe, hold ``days``."""
        calendar = self._universe.days
        return len({int(np.searchsorted(calendar, np.datetime64(day))) // _BLOCK for day in set(days)})

    def time_block(self, day: date) -> float:
        """Seconds that the block of a day takes; nothing is kept."""
        began = time.perf_counter()
        first = int(np.searchsorted(self._universe.days, np.datetime64(day))) // _BLOCK * _BLOCK
        self._read_days(max(0, first - self._model.memory + 1), first + _BLOCK)
        return time.perf_counter() - began

    def _read_days(self, first: int, last: int) -> FloatArray:
        """Raw scores of the whole universe on the days from ``first`` on, before ``last``."""
        return self._model.scores(self._universe.letters[first:last], self._states(first, last))

    def _states(self, first: int, last: int) -> FloatArray | None:
        """States of these days, where the model reads them."""
        return self._universe.states[first:last] if self._reads_states else None

    def _read(self, rows: NDArray[np.int64]) -> None:
        """Score the blocks that hold ``rows``: they stand on a fixed grid, so that a day has one neighbourhood."""
        size = 1 if self._by_day else _BLOCK
        for block in np.unique(rows // size):
            first, last = block * size, min((block + 1) * size, len(self._done))
            if self._done[first:last].all():
                continue
            before = max(0, first - self._model.memory + 1)
            scores = self._read_days(before, last)[first - before :]
            self._scores[first:last] = np.where(self._universe.ranked[first:last], scores, np.nan)
            self._places[first:last] = daily_ranks(self._scores[first:last])
            self._done[first:last] = True


def read_together(numbers: Sequence[int], prompts: Sequence[RankPrompt]) -> list[list[int]]:
    """Numbers of prompts with letters of their own, those in one list to be read at once.

    A feed's signal is read by itself, so that it does not depend, in its last digits, on what is asked along with it.
    Stocks of the universe with other letters are read together: nobody keeps what is said of them.
    """
    groups: dict[tuple[int, int, int], list[int]] = {}
    for number in numbers:
        prompt = prompts[number]
        groups.setdefault((prompt.row, id(prompt.hits), -1 if prompt.column >= 0 else number), []).append(number)
    return list(groups.values())
