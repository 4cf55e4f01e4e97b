"""How new an item is: how little it repeats what was said of its symbol in the days before it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ragsignal.data.news.items import NewsItems
from ragsignal.types import FloatArray, IntArray

NOVELTY_RECIPE = "1 - largest Jaccard index of pairs of words/1"
_NO_WORD = r"[^\p{L}\p{M}\p{N}_]+"
_AT_ONCE = 20_000  # items: what they share with earlier ones takes some hundred megabytes where a stock is in all news


def novelty_of(items: NewsItems, days: int) -> FloatArray:
    """1 less the largest similarity with the symbol's items that were available earlier, at most ``days`` days: (n,).

    Similarity is the Jaccard index of the sets of pairs of adjacent words (shingles; Broder 1997, On the resemblance
    and containment of documents), in small letters. An item without an earlier one is wholly new: 1. Items that became
    available at the same moment are not compared, as none of them is the earlier one.
    """
    rows, shingles = _shingles(items)
    sizes = np.bincount(rows, minlength=len(items))
    found = np.ones(len(items))
    for later, earlier, shared in _overlaps(items, (rows, shingles), np.timedelta64(days, "D")):
        similar = shared / (sizes[later] + sizes[earlier] - shared)
        np.minimum.at(found, later, 1.0 - similar)
    return found


def _shingles(items: NewsItems) -> tuple[IntArray, IntArray]:
    """Each item's distinct pairs of words, as the item's row, ascending, and a number for the pair.

    An item of one word has that word as its only pair, with none after it.
    """
    texts = [pa.array(column, pa.large_string()) for column in (items.headlines, items.bodies)]
    text = pc.utf8_lower(pc.binary_join_element_wise(*texts, pa.scalar(" ", pa.large_string())))
    split = pc.split_pattern_regex(text, _NO_WORD)
    rows, words = pc.list_parent_indices(split).to_numpy(), pc.list_flatten(split)
    real = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
    codes = words.dictionary_encode().indices.to_numpy().astype(np.int64) + 1
    rows, codes = rows[real].astype(np.int64), codes[real]
    adjacent = rows[1:] == rows[:-1]
    few = np.flatnonzero(np.bincount(rows, minlength=len(items)) < 2)
    alone = np.zeros(len(items), np.int64)
    alone[rows] = codes
    first, second = np.r_[codes[:-1][adjacent], alone[few]], np.r_[codes[1:][adjacent], 0 * few]
    numbers, known = pd.factorize((first << 32) | second)
    width = max(1, len(known))
    told = np.sort(np.r_[rows[1:][adjacent], few] * width + numbers)
    distinct = told[np.diff(told, prepend=-1) > 0]  # np.unique takes ten times as long
    return distinct // width, distinct % width


def _overlaps(
    items: NewsItems, pairs: tuple[IntArray, IntArray], reach: np.timedelta64
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield items, earlier ones of the same symbol that share a pair of words with them, and how many they share."""
    rows, shingles = pairs
    order = np.argsort(shingles, kind="stable")  # within a shingle the rows stay in the order of symbol and time
    holders = rows[order]
    change = (np.diff(shingles[order]) != 0) | (np.diff(items.places[holders]) != 0)
    shelf = np.cumsum(np.r_[False, change])
    spot = np.empty_like(order)
    spot[order] = np.arange(len(order))
    for start in range(0, len(items), _AT_ONCE):
        first, last = np.searchsorted(rows, [start, start + _AT_ONCE])
        here, found, step = spot[first:last], [np.zeros(0, np.int64)], 1
        while len(here):
            here = here[here >= step]
            later, earlier = holders[here], holders[here - step]
            passed = items.available_at[later] - items.available_at[earlier]
            near = (shelf[here] == shelf[here - step]) & (passed <= reach)
            counted = near & (passed > np.timedelta64(0, "us"))
            found.append((later[counted] << 32) | earlier[counted])
            here, step = here[near], step + 1
        both, shared = np.unique(np.concatenate(found), return_counts=True)
        yield both >> 32, both & 0xFFFFFFFF, shared
