"""Letters of a universe: each factor's rank among the stocks of the same day, in sixteenths, and a letter for unknown.

    frames ─► rank_factors ─► rank among the universe's stocks, day by day ─► RankLetters (days, stocks, factors)

This is all that StockLLM and boosting read. A letter at day t depends on bars up to t, of all stocks of the universe;
a stock that is not of the universe is placed among those of its day by its own bars (:meth:`RankLetters.placed`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.formulas.kept import ALPHA, AlphaDays
from ragsignal.data.market_state import dispersion_of, market_states
from ragsignal.data.news.days import NewsDays
from ragsignal.data.news.factors import NEWS_FACTORS, NEWS_FORMULAS, NEWS_WORDS, news_factors
from ragsignal.data.rank_factors import (
    FACTOR_GROUPS,
    FACTOR_WORDS,
    FORMULAS,
    RANK_FACTORS,
    BarTable,
    bar_table,
    is_ranked,
    market_return,
    rank_factors,
)
from ragsignal.data.ranks import daily_ranks
from ragsignal.errors import DataError
from ragsignal.types import BoolArray, FloatArray, Recipe

RANK_LETTERS = 16
"""Letters of a factor, 0 for the lowest sixteenth of the day's stocks; this number itself says that it is unknown."""

LEAST_STOCKS = 20
"""Stocks that a day needs: a sixteenth of fewer is no place."""

Letters = NDArray[np.uint8]

_REACH = 320  # days that a factor looks back, and some more: 272 is the most


@dataclass(frozen=True, eq=False, repr=False)
class RankLetters:
    """Letters of every stock of a universe on every day. Make them with :func:`build_rank_letters`.

    Parameters
    ----------
    bars : BarTable
        The universe's bars; its days and symbols are those of the letters.
    market : (n_days,) float64
        Median log return of the universe.
    ranked : (n_days, n_symbols) bool
        Which stocks are ranked on which days; all others have unknown letters only.
    letters : (n_days, n_symbols, n_factors) uint8
        In the order of :attr:`factors`.
    first_digests : sequence of bytes
        :attr:`day_digests` of the first days, where they are there already.
    alphas : mapping of str to str, optional
        Names and texts of the kept formulas that are ranked behind the factors of bars; None: none is.
    news : dict, optional
        What scored the news that the last three factors tell of; None: all are of bars alone.
    further : (n_days, n_symbols, n_further) float64, optional
        The values themselves of the factors behind those of bars, NaN where unknown.
    """

    bars: BarTable
    market: FloatArray
    ranked: BoolArray
    letters: Letters
    first_digests: Sequence[bytes] = ()
    alphas: Mapping[str, str] | None = None
    news: Recipe | None = None
    further: FloatArray | None = None

    def __repr__(self) -> str:
        return f"RankLetters({len(self.bars.symbols)} symbols, {len(self.bars.days)} days)"

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Every day of the universe's calendar, ascending: (n_days,) datetime64[D]."""
        return self.bars.days

    @property
    def symbols(self) -> tuple[str, ...]:
        """The universe, in the order of the columns."""
        return self.bars.symbols

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors: those of bars, of kept formulas, and of news, where there are some."""
        return (*RANK_FACTORS, *(self.alphas or ()), *(() if self.news is None else NEWS_FACTORS))

    @property
    def words(self) -> tuple[str, ...]:
        """The factors as people call them."""
        words = FACTOR_WORDS | NEWS_WORDS
        return tuple(words.get(name, f"formula {name.removeprefix(ALPHA)}") for name in self.factors)

    @property
    def formulas(self) -> tuple[str, ...]:
        """The factors' formulas."""
        formulas = FORMULAS | NEWS_FORMULAS | dict(self.alphas or {})
        return tuple(formulas[name] for name in self.factors)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """What an explanation takes away at once: every factor is in one group."""
        beside = {"kept formulas": tuple(self.alphas or ()), "news": () if self.news is None else NEWS_FACTORS}
        return FACTOR_GROUPS | {name: factors for name, factors in beside.items() if factors}

    @cached_property
    def dispersion(self) -> FloatArray:
        """Standard deviation across the ranked stocks of each day's returns, (n_days,); NaN where none is ranked."""
        return dispersion_of(self.bars.close, self.ranked, self.market)

    @cached_property
    def states(self) -> FloatArray:
        """State of the market on each day, (n_days, 8): :data:`~ragsignal.data.market_state.STATE_FORMULAS`."""
        return market_states(self.market, self.dispersion)

    @cached_property
    def day_digests(self) -> list[bytes]:
        """Digest of each day's letters and the names that they belong to.

        A stock that is not ranked on a day is not in its digest: a symbol that begins later leaves it as it is.
        """
        names = np.array([list(hashlib.sha256(name.encode()).digest()) for name in self.symbols], dtype=np.uint8)
        order = np.argsort(np.array(self.symbols))  # whatever the order in which symbols were given
        digests = list(self.first_digests)
        for ranked, block in zip(self.ranked[len(digests) :], self.letters[len(digests) :], strict=True):
            here = order[ranked[order]]
            digests.append(hashlib.sha256(names[here].tobytes() + block[here].tobytes()).digest())
        return digests

    def values_on(self, row: int) -> FloatArray:
        """The factors themselves on day number ``row``, (n_symbols, n_factors) in the units of their formulas."""
        days = slice(max(0, row + 1 - _REACH), row + 1)
        tables = {name: getattr(self.bars, name)[days] for name in ("open", "high", "low", "close", "volume")}
        bars = BarTable(self.symbols, self.days[days], **tables)
        values = {name: table[-1] for name, table in rank_factors(bars, self.market[days])}
        of_bars = np.stack([values[name] for name in RANK_FACTORS], axis=1)
        return of_bars if self.further is None else np.hstack([of_bars, self.further[row]])

    def window_digest(self, row: int, memory: int, states: bool = False) -> bytes:
        """Digest of the letters of all stocks on the ``memory`` days that end with day number ``row``.

        With ``states``, of the market's states on these days too.
        """
        first = max(0, row + 1 - memory)
        parts = self.day_digests[first : row + 1]
        if states:
            parts = [*parts, self.states[first : row + 1].tobytes()]
        return hashlib.sha256(b"".join(parts)).digest()

    def placed(self, frame: pd.DataFrame) -> tuple[Letters, BoolArray]:
        """Letters of a stock that is not of the universe, by its own factors among the universe's of the day.

        Parameters
        ----------
        frame : DataFrame
            Its back-adjusted bars; days that the universe does not have are left out. Its news are unknown.

        Returns
        -------
        letters : (n_days, n_factors) uint8
        ranked : (n_days,) bool
            Where it has a bar and a history of its own, and the universe has stocks.
        """
        own = bar_table({"": frame}, self.days)
        there = is_ranked(own, self.market)[:, 0] & (self.ranked.sum(axis=1) >= LEAST_STOCKS)
        letters = np.full((len(self.days), len(self.factors)), RANK_LETTERS, dtype=np.uint8)
        for name, values in rank_factors(own, self.market):
            letters[:, RANK_FACTORS.index(name)] = letters_of(_places(values[:, 0], self._sorted[name]))
        letters[~there] = RANK_LETTERS
        return letters, there

    @cached_property
    def _sorted(self) -> dict[str, FloatArray]:
        """Each factor's values of the ranked stocks, ascending within a day, NaN last: (n_days, n_symbols)."""
        return {
            name: np.sort(np.where(self.ranked, values, np.nan), axis=1)
            for name, values in rank_factors(self.bars, self.market)
        }


def build_rank_letters(frames: Mapping[str, pd.DataFrame]) -> RankLetters:
    """Compute, rank and spell the factors of a universe.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Back-adjusted bars; symbols need not share days.

    Raises
    ------
    DataError
        If there are fewer than 20 symbols, or never 20 on one day that can be ranked.
    """
    if len(frames) < LEAST_STOCKS:
        raise DataError(
            f"ranks need at least {LEAST_STOCKS} stocks, and data.symbols names {len(frames)}; take more of them "
            '(symbols = "all"), or a model that reads one stock alone, and sequences in the place of days '
            "(backtests/paper.toml)"
        )
    bars = bar_table(frames)
    market = market_return(bars)
    ranked = is_ranked(bars, market)
    ranked[ranked.sum(axis=1) < LEAST_STOCKS] = False
    letters = np.full((*ranked.shape, len(RANK_FACTORS)), RANK_LETTERS, dtype=np.uint8)
    for name, values in rank_factors(bars, market):
        letters[:, :, RANK_FACTORS.index(name)] = letters_of(daily_ranks(np.where(ranked, values, np.nan)))
    return RankLetters(bars, market, ranked, letters)


def with_news(letters: RankLetters, news: NewsDays, recipe: Recipe) -> RankLetters:
    """Put the ranks of the day's news behind the factors of bars.

    A stock without news on a day has unknown letters of news, and is not one of those that the others are ranked among.

    Parameters
    ----------
    letters : RankLetters
        Of bars alone.
    news : NewsDays
        Of the same symbols, or of more, on every day of theirs.
    recipe : dict
        What scored the news.
    """
    return _with_further(
        letters, np.stack(list(news_factors(news, letters.symbols, letters.days)), axis=2), news=recipe
    )


def with_alphas(letters: RankLetters, alphas: AlphaDays) -> RankLetters:
    """Put the ranks of kept formulas behind the factors of bars, and before those of news.

    Parameters
    ----------
    letters : RankLetters
        Of bars alone.
    alphas : AlphaDays
        Of the same stocks, on every day of theirs.
    """
    values = np.moveaxis(alphas.on(letters.symbols, letters.days), 0, 2)
    return _with_further(letters, values, alphas=dict(alphas.formulas))


def _with_further(letters: RankLetters, values: FloatArray, **what: Any) -> RankLetters:
    """Letters with those of further factors (n_days, n_symbols, n_more) behind them."""
    tables = np.moveaxis(values, 2, 0)
    columns = [letters_of(daily_ranks(np.where(letters.ranked, table, np.nan))) for table in tables]
    whole = np.concatenate([letters.letters, np.stack(columns, axis=2)], axis=2)
    further = values if letters.further is None else np.concatenate([letters.further, values], axis=2)
    return replace(letters, letters=whole, further=further, first_digests=(), **what)


def letters_of(ranks: FloatArray) -> Letters:
    """Letters of ranks in (0, 1), NaN for unknown."""
    letters: Letters = np.where(np.isnan(ranks), RANK_LETTERS, np.nan_to_num(ranks) * RANK_LETTERS).astype(np.uint8)
    return letters


def _places(values: FloatArray, ascending: FloatArray) -> FloatArray:
    """Rank in (0, 1) that each day's value would have as one more among the day's ``ascending`` ones."""
    places = np.full(len(values), np.nan)
    for row in np.flatnonzero(np.isfinite(values)):
        others = ascending[row, : np.isfinite(ascending[row]).sum()]
        below, upto = np.searchsorted(others, values[row], side="left"), np.searchsorted(others, values[row], "right")
        if len(others):
            places[row] = (below + (upto - below + 1) / 2) / (len(others) + 1)
    return places
