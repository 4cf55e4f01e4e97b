"""What candidates are called: the market's state on their last day, their indicator, then the letters of their window.

    corpus ──► moves of the market, a row a day ──► states ─┐
    scale-free windows ──► letters ─────────────────────────┴──► tokens, a row a candidate

The state is taken from the candidates themselves: from windows of closes that were known no later than the candidate it
names. So a title is a function of the prefix of the corpus that holds its candidate, and later rows rename nothing.
No token says anything of a symbol, a date, a price or an outcome.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data import LETTERS, QUERY_SEQUENCE, Bins, log_returns
from ragsignal.errors import ConfigError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.types import FloatArray, IntArray, Query, Recipe

STATE_BARS = 20
"""Bars over which the market's moves are averaged, the candidate's last one included."""

TITLE_TOKENS = 2
"""Of a title: the state, then the indicator."""

VOCABULARY_FILE = "titles.json"
REPAIR = "train it again: ragsignal train recall SPEC"

_STATE_OF = (QUERY_SEQUENCE, "close")
_BLOCK = 1 << 20  # rows whose letters are found at once


def letters_recipe(bins: Bins) -> Recipe:
    """Identity of the tokens: a model that was trained on some is not to be fed others."""
    return {"recall": "titles/1", "bins": bins.recipe}


@dataclass(frozen=True)
class TitleVocabulary:
    """The tokens: letters, then states of the market, then indicators, then "any title" and "now name it".

    Parameters
    ----------
    sequences : tuple of str
        Indicators that have a token.
    lookback : int
        Letters of a query.
    letters : int
        Letters of a candidate that are named, its oldest ones.
    trends, movements : tuple of float
        Edges between the states: of the mean and of the root mean square of the median stock's daily log return.
    """

    sequences: tuple[str, ...]
    lookback: int
    letters: int
    trends: tuple[float, ...]
    movements: tuple[float, ...]

    @property
    def states(self) -> int:
        """How many states there are; the last one means that nothing is known of the market."""
        return (len(self.trends) + 1) * (len(self.movements) + 1) + 1

    @property
    def first_state(self) -> int:
        """Token of the first state."""
        return len(LETTERS)

    @property
    def first_sequence(self) -> int:
        """Token of the first indicator."""
        return self.first_state + self.states

    @property
    def any_title(self) -> int:
        """Token that stands for a title where prefixes are named without one."""
        return self.first_sequence + len(self.sequences)

    @property
    def now(self) -> int:
        """Token that ends a query."""
        return self.any_title + 1

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.now + 1

    def state_of(self, trend: FloatArray, movement: FloatArray) -> IntArray:
        """Token of the state that two figures of a day make."""
        row = np.searchsorted(self.trends, trend, side="right")
        column = np.searchsorted(self.movements, movement, side="right")
        return np.asarray(self.first_state + row * (len(self.movements) + 1) + column, dtype=np.int64)

    @property
    def unknown_state(self) -> int:
        """Token of the state of which nothing is known."""
        return self.first_sequence - 1


@dataclass(frozen=True, eq=False)
class MarketMoves:
    """How the median stock moved, by the last day of the windows that tell it.

    Parameters
    ----------
    days : (m,) datetime64, ascending
        Last days of windows of closes.
    known : (m,) datetime64
        The first day on which a candidate of the day was known; all that a row is made of was known by then.
    trend, movement : (m,) float64
        Means over the last 20 bars of the median stock's mean daily log return, and of its root mean square.
    """

    days: NDArray[np.datetime64]
    known: NDArray[np.datetime64]
    trend: FloatArray
    movement: FloatArray

    @classmethod
    def of(cls, corpus: Corpus) -> MarketMoves:
        """Of a corpus that holds windows of closes.

        Raises
        ------
        ConfigError
            If it holds none.
        """
        rows = _rows_of_closes(corpus)
        ends, known = np.asarray(corpus.dates[rows, -1]), np.asarray(corpus.available_at[rows])
        days, first, day_of = np.unique(ends, return_index=True, return_inverse=True)
        first_known = known[first]  # rows ascend by the day on which they were known
        # a stock that did not trade for a while makes its window known later: it has no say
        in_time = known == first_known[day_of]
        windows = np.asarray(corpus.scaled[rows[in_time]])
        table = pd.DataFrame({"mean": windows.mean(axis=1), "square": (windows**2).mean(axis=1)})
        median = table.groupby(day_of[in_time]).median()
        place = np.searchsorted(corpus.calendar, days)
        trend = _recent_mean(median["mean"].to_numpy(), place, first_known)
        movement = np.sqrt(_recent_mean(median["square"].to_numpy(), place, first_known))
        return cls(days, first_known, trend, movement)

    def rows_for(self, ends: NDArray[np.datetime64], known: NDArray[np.datetime64]) -> IntArray:
        """Of each window the newest row that is of its last day or older, and known by ``known``; -1 for none."""
        rows = np.searchsorted(self.days, ends, side="right") - 1
        while (early := (rows >= 0) & (self.known[rows] > known)).any():
            rows[early] -= 1
        return rows

    def newest(self, known: NDArray[np.datetime64]) -> IntArray:
        """The newest row that is known by each of ``known``; -1 for none."""
        order, newest = self._by_known
        seen = np.searchsorted(order, known, side="right")
        return np.where(seen > 0, newest[np.maximum(seen, 1) - 1], -1)

    @cached_property
    def _by_known(self) -> tuple[NDArray[np.datetime64], IntArray]:
        """Days on which rows became known, ascending, and the newest row that was known by each."""
        order = np.argsort(self.known, kind="stable")
        return self.known[order], np.maximum.accumulate(order)


def _rows_of_closes(corpus: Corpus) -> IntArray:
    name = next((name for name in _STATE_OF if name in corpus.sequences), None)
    if name is None:
        raise ConfigError(
            'retriever = "recall" takes the market\'s state from windows of closes, and corpus.indicators names '
            f"neither {' nor '.join(_STATE_OF)}; add {QUERY_SEQUENCE} to corpus.indicators"
        )
    return np.flatnonzero(np.asarray(corpus.sequence_id) == corpus.sequences.index(name))


def _recent_mean(values: FloatArray, place: IntArray, known: NDArray[np.datetime64]) -> FloatArray:
    """Mean over the rows of the last 20 bars that were known when the row itself was."""
    total, count = np.zeros(len(values)), np.zeros(len(values))
    for lag in range(min(STATE_BARS, len(values))):
        late, early = slice(lag, None), slice(None, len(values) - lag)
        there = (place[late] - place[early] < STATE_BARS) & (known[early] <= known[late])
        total[late] += np.where(there, values[early], 0.0)
        count[late] += there
    return total / count


def fit_vocabulary(corpus: Corpus, sequences: tuple[str, ...], letters: int, states: int, seen: int) -> TitleVocabulary:
    """Fit the edges of the states at equal shares of the days that the first ``seen`` candidates tell of.

    Parameters
    ----------
    corpus : Corpus
    sequences : tuple of str
        Indicators that get a token.
    letters : int
        Letters of a candidate that are named.
    states : int
        Parts into which trend, and movement, are cut.
    seen : int
        Length of the prefix of the corpus that may be learned from.
    """
    moves = MarketMoves.of(corpus)
    known = moves.known <= corpus.available_at[seen - 1]
    shares = np.arange(1, states) / states

    def edges(values: FloatArray) -> tuple[float, ...]:
        return tuple(float(f"{edge:.6g}") for edge in np.quantile(values[known], shares))

    return TitleVocabulary(sequences, corpus.scaled.shape[1], letters, edges(moves.trend), edges(moves.movement))


@dataclass(frozen=True, eq=False)
class CorpusTokens:
    """Tokens of the candidates of a corpus, and of queries that may see a part of it.

    Parameters
    ----------
    corpus : Corpus
    vocabulary : TitleVocabulary
    bins : Bins
    """

    corpus: Corpus
    vocabulary: TitleVocabulary
    bins: Bins

    @cached_property
    def moves(self) -> MarketMoves:
        """Moves of the market that the corpus tells of."""
        return MarketMoves.of(self.corpus)

    def of_rows(self, rows: IntArray | slice = slice(None)) -> IntArray:
        """(n, 2 + letters): state, indicator and oldest letters of candidates."""
        corpus, vocabulary = self.corpus, self.vocabulary
        state = self._states(self.moves.rows_for(corpus.dates[rows, -1], corpus.available_at[rows]))
        numbers = np.array([vocabulary.sequences.index(name) for name in corpus.sequences], dtype=np.int64)
        sequence = numbers[corpus.sequence_id[rows]] + vocabulary.first_sequence
        return np.column_stack([state, sequence, self._letters(rows)])

    def of_queries(self, queries: Sequence[Query], known: NDArray[np.datetime64]) -> IntArray:
        """(n, lookback + 2): the letters of queries, the market's last known state, and "now name it".

        Parameters
        ----------
        queries : sequence of Query
        known : (n,) datetime64
            The last day on which anything that a query may see became known.
        """
        letters = self.bins.codes(QUERY_SEQUENCE, np.array([log_returns(query) for query in queries]))
        state = self._states(self.moves.newest(known))
        return np.column_stack([letters, state, np.full(len(queries), self.vocabulary.now)])

    def _states(self, rows: IntArray) -> IntArray:
        vocabulary, moves = self.vocabulary, self.moves
        states = vocabulary.state_of(moves.trend, moves.movement)
        return np.where(rows >= 0, states[rows], vocabulary.unknown_state)

    def _letters(self, rows: IntArray | slice) -> IntArray:
        """(n, letters): the oldest letters of candidates."""
        corpus, count = self.corpus, self.vocabulary.letters
        sequence_id = np.asarray(corpus.sequence_id[rows])
        scaled = np.asarray(corpus.scaled[rows, :count])
        letters = np.empty(scaled.shape, dtype=np.int64)
        for number, name in enumerate(corpus.sequences):
            those = np.flatnonzero(sequence_id == number)
            for start, stop in itertools.pairwise([*range(0, len(those), _BLOCK), len(those)]):
                block = those[start:stop]
                letters[block] = self.bins.codes(name, scaled[block])
        return letters
