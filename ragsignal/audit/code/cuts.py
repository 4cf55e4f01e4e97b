"""Bars of a spec as a market that can be cut and poisoned, and the plan by which every bar is a cut point once.

A cut at ``t`` leaves the bars up to and including ``t``; a poisoned market keeps its length and its days, and all bars
after ``t`` are garbage. Cut points are taken in blocks: a run from the true beginning for each of them would cost the
square of the history, a run of the last ``window`` bars costs the window. Where that takes longer than there is time
for, as with a hundred feeds, short blocks are spread over the bars instead, each of bars in a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

WINDOW = 260
"""Bars before a block that its runs begin with: a year. What needs more history than this is not seen by a block."""
BLOCK = 64
"""Cut points a block: one baseline serves them all."""
WHOLE_CUTS = 4
"""Cuts of the full history, from its true beginning, each in a process of its own."""
POISONS = 24
"""Poisoned futures of a subject, at least one a block."""
SHORT_WINDOW = 60
"""Bars before a short block, where every bar would take too long."""
SHORT_BLOCK = 8
"""Cut points of a short block."""
_FEWEST_BLOCKS = 2
_SHORT_SHARE = 1 / 6  # where every bar costs too much, the runs of all bars, a dozen of them, cost much as well


@dataclass(frozen=True)
class Market:
    """Daily bars of one or more symbols.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Columns ``open``, ``high``, ``low``, ``close``, ``volume``; index of naive days, ascending.
    """

    frames: Mapping[str, pd.DataFrame]

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """Every day on which a symbol has a bar, ascending: bar ``t`` of the audit is ``days[t]``."""
        days = np.unique(np.concatenate([frame.index.to_numpy(dtype="M8[us]") for frame in self.frames.values()]))
        return pd.DatetimeIndex(days)

    @cached_property
    def before_listings(self) -> set[int]:
        """The bars before the first and the last of the feeds that begin late begin: at a cut there they have none."""
        firsts = {int(self.days.searchsorted(frame.index[0])) for frame in self.frames.values() if len(frame)} - {0}
        return {first - 1 for first in (min(firsts), max(firsts))} if firsts else set()

    def span(self, first: int, last: int) -> Market:
        """The bars of ``days[first]`` .. ``days[last]``, both inclusive; copies, so that no run can alter another's."""
        start, end = self.days[first], self.days[min(last, len(self.days) - 1)]
        return Market({symbol: frame.loc[start:end].copy() for symbol, frame in self.frames.items()})

    def poisoned(self, after: int) -> Market:
        """The same days, with garbage in the place of every bar after ``days[after]``: valid bars of another market."""
        poisoned = {}
        for number, (symbol, frame) in enumerate(self.frames.items()):
            kept = int(frame.index.searchsorted(self.days[after], side="right"))
            rng = np.random.default_rng([0, after, number])
            level = float(frame["close"].iloc[max(0, kept - 1)]) if len(frame) else 1.0
            garbage = _garbage(frame.index[kept:], level, rng)
            poisoned[symbol] = pd.concat([frame.iloc[:kept], garbage]) if len(garbage) else frame.copy()
        return Market(poisoned)


def _garbage(days: pd.Index, level: float, rng: np.random.Generator) -> pd.DataFrame:
    """Bars at some other price level, three times as wild as a stock."""
    steps = rng.normal(0.0, 0.05, (len(days), 4))
    close = level * rng.uniform(3.0, 9.0) * np.exp(np.cumsum(steps[:, 0]))
    opened = close * np.exp(steps[:, 1])
    high = np.maximum(opened, close) * np.exp(np.abs(steps[:, 2]))
    low = np.minimum(opened, close) * np.exp(-np.abs(steps[:, 3]))
    volume = rng.integers(1_000, 1_000_000, len(days)).astype(np.float64)
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    return pd.DataFrame(columns, index=days)


@dataclass(frozen=True)
class Block:
    """Cut points ``begin`` <= t < ``end``, in runs that begin at bar ``first``; the baseline ends with bar ``last``."""

    first: int
    begin: int
    end: int
    last: int

    @property
    def points(self) -> range:
        """The cut points."""
        return range(self.begin, self.end)

    def poisons(self, n_blocks: int) -> list[int]:
        """The cut points of this block after which all is poisoned: evenly spread, at least one."""
        wanted = min(len(self.points), max(1, -(-POISONS // n_blocks)))
        return [self.begin + (2 * number + 1) * len(self.points) // (2 * wanted) for number in range(wanted)]


def blocks_of(n_bars: int, minimum_period: int, affordable: float = math.inf) -> list[Block]:
    """Blocks that take every bar but the last as a cut point exactly once; or fewer, where that costs too much.

    Parameters
    ----------
    n_bars : int
        Bars of the market; the last one has no future that could be cut off.
    minimum_period : int
        Of the subject: its runs begin at least twice as many bars before the block.
    affordable : float
        Bars that all runs of the blocks together may have. Where they would have more, short blocks that have a sixth
        of it, at least two of them, are spread evenly over the bars.
    """
    every = _blocks(n_bars, BLOCK, max(WINDOW, 2 * minimum_period))
    if sum(_cost(block, len(every)) for block in every) <= affordable:
        return every
    short = _blocks(n_bars, SHORT_BLOCK, max(SHORT_WINDOW, 2 * minimum_period))
    count = max(_FEWEST_BLOCKS, int(affordable * _SHORT_SHARE / max(_cost(block, POISONS) for block in short)))
    places = np.linspace(0, len(short) - 1, min(count, len(short))).round().astype(int)
    return [short[place] for place in places]


def _blocks(n_bars: int, size: int, window: int) -> list[Block]:
    blocks = []
    for begin in range(0, n_bars - 1, size):
        end = min(begin + size, n_bars - 1)
        # The baseline goes on as far as it reaches back, so that a look far ahead finds something to look at.
        blocks.append(Block(max(0, begin - window), begin, end, min(n_bars - 1, end + window)))
    return blocks


def _cost(block: Block, n_blocks: int) -> int:
    """Bars of all runs of a block: a baseline of each test, the cuts, and the poisoned futures."""
    baseline = block.last - block.first + 1
    return sum(point - block.first + 1 for point in block.points) + baseline * (2 + len(block.poisons(n_blocks)))


def whole_cuts(n_bars: int) -> list[int]:
    """Cut points of the full history: spread over it, the last one leaves a single bar away."""
    points = {(number + 1) * n_bars // (WHOLE_CUTS + 1) for number in range(WHOLE_CUTS - 1)} | {n_bars - 2}
    return sorted(point for point in points if 0 <= point < n_bars - 1)
