"""News items that can be used: of the spec's symbols, once each, and with the moment at which each was available."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.data.session import SessionClose
from ragsignal.types import IntArray

Texts = NDArray[np.object_]


@dataclass(frozen=True, eq=False, repr=False)
class NewsItems:
    """Items of some symbols, ordered by symbol, moment, id and text, whatever the order in which they came.

    Parameters
    ----------
    symbols : tuple of str
        Those of the spec, whether or not there are items of them.
    close : SessionClose
        When their bars are known.
    places : (n,) int64
        Each item's place in ``symbols``, ascending.
    available_at : (n,) datetime64[us], UTC
        From when on an item was known, the lag included; of an item without a time of day, or without a zone, the
        midnight that ends its day on the market's clock, and the lag.
    after : (n,) datetime64[D]
        Such an item's day, which its bar must be later than; NaT for all others.
    ids, headlines, bodies : (n,) object
        Text; of no body an empty one.
    """

    symbols: tuple[str, ...]
    close: SessionClose
    places: IntArray
    available_at: NDArray[np.datetime64]
    after: NDArray[np.datetime64]
    ids: Texts
    headlines: Texts
    bodies: Texts

    def __repr__(self) -> str:
        return f"NewsItems({len(self)} items, {len(self.symbols)} symbols)"

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: NDArray[Any]) -> NewsItems:
        """The items of these rows: a mask, or places."""
        columns = (self.places, self.available_at, self.after, self.ids, self.headlines, self.bodies)
        return NewsItems(self.symbols, self.close, *(column[rows] for column in columns))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all items and their moments; neither the order of the rows nor that of the symbols matters."""
        lines = sorted(self.line(row) for row in range(len(self)))
        return hashlib.sha256("\x1e".join(lines).encode()).hexdigest()

    def line(self, row: int) -> str:
        """All that identifies an item, as one text."""
        parts: Sequence[str] = (
            self.symbols[self.places[row]],
            str(self.available_at[row]),
            str(self.after[row]),
            self.ids[row],
            self.headlines[row],
            self.bodies[row],
        )
        return "\x1f".join(parts) + "\x1f"
