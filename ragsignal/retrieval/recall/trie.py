"""All titles and prefixes of a corpus as one static trie: its nodes hold the first day on which one was known.

A node may be named as of a day if that first day is no later: so what is named lies in the past by construction, and
the trie is never built again for a query. A second day, the first of any other symbol than the one that was first, says
the same where a query's own symbol is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ragsignal.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class Level:
    """The nodes of one depth, sorted by parent and token.

    Parameters
    ----------
    token, parent : (m,) int64
        ``parent`` counts in the level above.
    known : (m,) datetime64
        Least ``available_at`` of the candidates below.
    symbol : (m,) int64
        Whose candidate that was.
    others_known : (m,) datetime64
        Least ``available_at`` of the candidates of other symbols; NaT where there are none.
    """

    token: IntArray
    parent: IntArray
    known: NDArray[np.datetime64]
    symbol: IntArray
    others_known: NDArray[np.datetime64]

    def __len__(self) -> int:
        return len(self.token)

    def allowed(self, nodes: IntArray, seen: NDArray[np.datetime64], own: IntArray) -> BoolArray:
        """Whether nodes hold a candidate that was known by ``seen``, and is not of symbol ``own`` (-1: of any)."""
        first = np.where(self.symbol[nodes] == own, self.others_known[nodes], self.known[nodes])
        return np.asarray(first <= seen)  # NaT is no later than no day


@dataclass(frozen=True, eq=False)
class Trie:
    """Paths of tokens, and the candidates at their ends.

    Parameters
    ----------
    levels : tuple of Level
    rows : (n,) int64
        Candidates by leaf, of each leaf ascending.
    starts : (n_leaves + 1,) int64
        Where the candidates of a leaf begin in ``rows``.
    """

    levels: tuple[Level, ...]
    rows: IntArray
    starts: IntArray

    def children(self, depth: int, nodes: IntArray) -> tuple[IntArray, IntArray]:
        """Nodes of level ``depth`` below ``nodes`` of the one above; positions in ``nodes``, and the children."""
        starts = self._child_starts[depth]
        counts = starts[nodes + 1] - starts[nodes]
        place = np.repeat(np.arange(len(nodes)), counts)
        within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
        return place, starts[nodes][place] + within

    def below(self, leaf: int) -> IntArray:
        """Candidates of a leaf, ascending."""
        return self.rows[self.starts[leaf] : self.starts[leaf + 1]]

    def most_leaves(self, depth: int) -> int:
        """The most leaves below one node of level ``depth``."""
        counts = np.ones(len(self.levels[-1]), dtype=np.int64)
        for number in range(len(self.levels) - 1, depth, -1):
            counts = np.bincount(self.levels[number].parent, counts, len(self.levels[number - 1])).astype(np.int64)
        return int(counts.max(initial=0))

    @cached_property
    def _child_starts(self) -> list[IntArray]:
        above = [1, *map(len, self.levels)]
        return [
            np.searchsorted(level.parent, np.arange(count + 1))
            for level, count in zip(self.levels, above[:-1], strict=True)
        ]


def build_trie(tokens: IntArray, available_at: NDArray[np.datetime64], symbols: NDArray[np.int32]) -> Trie:
    """Build the trie of a corpus.

    Parameters
    ----------
    tokens : (n, depth) int64
        The path of each candidate, at least one token long.
    available_at : (n,) datetime64, ascending
    symbols : (n,) int32
    """
    node = np.zeros(len(tokens), dtype=np.int64)
    size = int(tokens.max(initial=0)) + 1
    levels = []
    for column in tokens.T:
        paths, first, node = np.unique(node * size + column, return_index=True, return_inverse=True)
        others = np.full(len(paths), np.datetime64("NaT"), dtype=available_at.dtype)
        of_others = np.flatnonzero(symbols != symbols[first][node])
        there, earliest = np.unique(node[of_others], return_index=True)
        others[there] = available_at[of_others[earliest]]
        level = Level(paths % size, paths // size, available_at[first], symbols[first].astype(np.int64), others)
        levels.append(level)
    rows = np.argsort(node, kind="stable")
    return Trie(tuple(levels), rows, np.searchsorted(node[rows], np.arange(len(levels[-1]) + 1)))
