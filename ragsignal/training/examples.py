"""Queries with their answers: what a reader, a teacher or a classifier learns from, in the order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.config import CorpusSpec, WalkForwardSpec
from ragsignal.data import SplitPart, cut_query, days_of, forward_returns
from ragsignal.errors import DataError
from ragsignal.types import FloatArray, IntArray, Query
from ragsignal.utils import as_stamps, day_of


@dataclass(frozen=True, slots=True)
class Example:
    """A query, its forward return (a fraction, in the unit of the target), and the day that made it known."""

    query: Query
    outcome: float
    available_at: date

    @property
    def rise(self) -> bool:
        """Whether the outcome is above zero."""
        return self.outcome > 0.0


def examples_of(frames: Mapping[str, pd.DataFrame], corpus: CorpusSpec, part: SplitPart) -> list[Example]:
    """Every query of a part whose answer is known by ``part.known_by``, by day, then symbol.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Per symbol, adjusted bars; all of them shape a relative target, those of the part are asked.
    corpus : CorpusSpec
        Its target and horizon are what is learned, its lookback is how many returns a query has.
    part : SplitPart

    Raises
    ------
    LookAheadError
        If an answer was not known by then: nothing of the kind may come out of here.
    """
    labelled = forward_returns(frames, corpus.target, corpus.horizon)
    examples: list[Example] = []
    for symbol in part.symbols:
        examples += _of_symbol(symbol, frames[symbol], labelled[symbol], corpus.lookback, part)
    check_labels(part, examples)
    return sorted(examples, key=lambda it: (it.query.as_of, it.query.symbol))


def check_labels(part: SplitPart, examples: Sequence[Example]) -> None:
    """Raise ``LookAheadError`` if an answer became known after the end of ``part``."""
    part.check(as_stamps([example.available_at for example in examples]))


def draw(examples: Sequence[Example], n: int, seed: int) -> list[Example]:
    """At most ``n`` examples drawn at random, in their order."""
    if len(examples) <= n:
        return list(examples)
    chosen = np.random.default_rng(seed).choice(len(examples), size=n, replace=False)
    return [examples[number] for number in sorted(chosen.tolist())]


def draw_by_age(examples: Sequence[Example], n: int, walk: WalkForwardSpec, last: date, seed: int) -> list[Example]:
    """At most ``n`` examples of a warm step, in their order: newer days more often than older ones, or new ones alone.

    Parameters
    ----------
    examples : sequence of Example
    n : int
    walk : WalkForwardSpec
        ``replay`` and ``half_life``.
    last : date
        Last day that the step before trained on.
    seed : int

    Raises
    ------
    DataError
        If new ones alone are wanted, and there is none.
    """
    days = np.array([day_of(example.query.as_of) for example in examples], dtype="datetime64[D]")
    if not walk.replay:
        new = np.flatnonzero(days > np.datetime64(last))
        if not len(new):
            raise DataError(
                f"walk_forward.replay = false trains on days after {last} alone, and no example is of one; write "
                "replay = true, or a longer walk_forward.every"
            )
        return draw([examples[number] for number in new.tolist()], n, seed)
    if len(examples) <= n:
        return list(examples)
    calendar, places = np.unique(days, return_inverse=True)
    chances = age_chances(len(calendar) - 1 - places, walk.half_life)
    chosen = np.random.default_rng(seed).choice(len(examples), size=n, replace=False, p=chances)
    return [examples[number] for number in sorted(chosen.tolist())]


def age_chances(ages: IntArray, half_life: int) -> FloatArray:
    """Chance (n,) of each of n candidates to be drawn: half as great for one that is ``half_life`` bars older.

    Parameters
    ----------
    ages : (n,) int
        Bars from a candidate's day to the newest day.
    half_life : int
        Bars.
    """
    weights = np.exp2(-(np.asarray(ages, dtype=np.float64) - np.min(ages)) / half_life)
    chances: FloatArray = weights / weights.sum()
    return chances


def _of_symbol(symbol: str, frame: pd.DataFrame, label: pd.DataFrame, lookback: int, part: SplitPart) -> list[Example]:
    bars = days_of(frame)
    days: list[date] = bars.tolist()
    closes = frame["close"].tolist()
    outcomes = label["outcome"].to_numpy()
    known_at: list[Any] = label["available_at"].to_numpy().astype(bars.dtype).tolist()  # NaT is None
    examples = []
    for bar in range(lookback, len(days)):
        day = known_at[bar]
        if day is None or not np.isfinite(outcomes[bar]) or not part.holds(symbol, days[bar], day):
            continue
        window = slice(bar - lookback, bar + 1)
        examples.append(Example(cut_query(symbol, days[window], closes[window], lookback), float(outcomes[bar]), day))
    return examples
