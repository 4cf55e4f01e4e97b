"""Beam search over a trie: titles first, then prefixes within the titles that were kept; many queries at once.

Log-probabilities are those of all tokens, not only of the ones that may follow, so that a title's score does not depend
on which others are known. Of titles all are scored: the beam of the first stage is as wide as the trie, and so exact.
The second stage keeps ``beam`` prefixes a title; one that holds no fewer than a title has leaves is exact as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragsignal.retrieval.recall.trie import Trie
from ragsignal.types import FloatArray, IntArray

DECIMALS = 6
"""Of scores: the shape of a batch moves a log-probability by less."""


class TokenScorer(Protocol):
    """A causal language model that remembers what it has read."""

    def begin(self, contexts: IntArray) -> FloatArray:
        """Read (n, length) tokens: (n, size) log-probabilities of the next one."""
        ...

    def extend(self, parents: IntArray, tokens: IntArray) -> FloatArray:
        """Read a token more after each of ``parents``, places in what was read last: (m, size) log-probabilities."""
        ...


@dataclass(frozen=True, eq=False)
class Asked:
    """Queries as the search knows them.

    Parameters
    ----------
    contexts : (n, length) int64
        Tokens that are read first.
    seen : (n,) datetime64
        The last day on which anything that a query may see became known.
    own : (n,) int64
        The symbol whose candidates are left out; -1 for none.
    """

    contexts: IntArray
    seen: NDArray[np.datetime64]
    own: IntArray

    def part(self, places: IntArray) -> Asked:
        """Some of them."""
        return Asked(self.contexts[places], self.seen[places], self.own[places])


@dataclass(frozen=True, eq=False)
class Width:
    """How much is kept: ``titles`` a query, and ``beam`` prefixes a title."""

    titles: int
    beam: int

    def wider(self) -> Width:
        """Four times as much of both."""
        return Width(4 * self.titles, 4 * self.beam)


@dataclass(frozen=True, eq=False)
class Named:
    """Leaves that were named: whose, which, and the mean log-probability of a token of its title and of its prefix."""

    owner: IntArray
    leaf: IntArray
    title: FloatArray
    prefix: FloatArray


@dataclass(frozen=True, eq=False)
class _Beams:
    """Paths that are still followed: of which query, under which title, at which node, with which sums."""

    owner: IntArray
    group: IntArray
    node: IntArray
    title: FloatArray
    prefix: FloatArray
    parent: IntArray

    def take(self, places: IntArray) -> _Beams:
        return _Beams(*(getattr(self, name)[places] for name in self.__dataclass_fields__))


def search(trie: Trie, scorer: TokenScorer, asked: Asked, width: Width, title_depth: int) -> Named:
    """Name leaves for every query.

    Parameters
    ----------
    trie : Trie
    scorer : TokenScorer
    asked : Asked
    width : Width
    title_depth : int
        Tokens of a title; those that follow are its prefix.

    Returns
    -------
    Named
        Only leaves with a candidate that the query may see.
    """
    n = len(asked.contexts)
    zeros, places = np.zeros(n), np.arange(n)
    beams = _Beams(places, places, np.zeros(n, dtype=np.int64), zeros, zeros, places)
    scores = scorer.begin(asked.contexts)
    depth = len(trie.levels)
    for level in range(depth):
        if level and len(beams.owner):
            scores = scorer.extend(beams.parent, trie.levels[level - 1].token[beams.node])
        beams = _expanded(trie, level, beams, scores, asked, is_title=level < title_depth)
        if level == title_depth - 1:
            beams = _best(beams, beams.owner, beams.title, width.titles)
            beams = replace(beams, group=np.arange(len(beams.owner)))
        elif level >= title_depth:
            beams = _best(beams, beams.group, beams.prefix, width.beam)
    return Named(beams.owner, beams.node, beams.title / title_depth, beams.prefix / max(1, depth - title_depth))


def _expanded(trie: Trie, level: int, beams: _Beams, scores: FloatArray, asked: Asked, is_title: bool) -> _Beams:
    """Follow every path to all of its children that may be named as of its query's day."""
    place, child = trie.children(level, beams.node)
    owner = beams.owner[place]
    allowed = trie.levels[level].allowed(child, asked.seen[owner], asked.own[owner])
    place, child = place[allowed], child[allowed]
    step = scores[place, trie.levels[level].token[child]]
    taken = beams.take(place)
    title, prefix = (taken.title + step, taken.prefix) if is_title else (taken.title, taken.prefix + step)
    return _Beams(taken.owner, taken.group, child, title, prefix, place)


def _best(beams: _Beams, group: IntArray, score: FloatArray, width: int) -> _Beams:
    """The best ``width`` paths of each group, in the order of groups; equal ones in that of the trie."""
    order = np.lexsort((beams.node, -np.round(score, DECIMALS), group))
    grouped = group[order]
    rank = np.arange(len(order)) - np.searchsorted(grouped, grouped)
    return beams.take(order[rank < width])
