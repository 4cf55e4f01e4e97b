"""The queries of an evaluation, each cut when it is asked for: a million of them would fill half a gigabyte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pandas as pd

from ragsignal.data import Panel, QueryCutter, days_of
from ragsignal.types import BoolArray, IntArray, Query


@dataclass(frozen=True, eq=False)
class CutQueries(Sequence[Query]):
    """Queries by day, then by symbol. Make one with :func:`cut_when_asked`.

    ``column`` and ``bar`` (n,) say of which of ``symbols``, and as of which of its bars, a query is.
    """

    cutter: QueryCutter
    symbols: tuple[str, ...]
    column: IntArray
    bar: IntArray

    def __len__(self) -> int:
        return len(self.bar)

    @overload
    def __getitem__(self, place: int) -> Query: ...

    @overload
    def __getitem__(self, place: slice) -> list[Query]: ...

    def __getitem__(self, place: int | slice) -> Query | list[Query]:
        if isinstance(place, slice):
            return list(CutQueries(self.cutter, self.symbols, self.column[place], self.bar[place]))
        return self.cutter.cut(self.symbols[int(self.column[place])], int(self.bar[place]))

    def __iter__(self) -> Iterator[Query]:
        for column, bar in zip(self.column.tolist(), self.bar.tolist(), strict=True):
            yield self.cutter.cut(self.symbols[column], bar)


def cut_when_asked(frames: Mapping[str, pd.DataFrame], panel: Panel, is_query: BoolArray, lookback: int) -> CutQueries:
    """Prepare the queries of the cells ``is_query`` (n_days, n_symbols) of a panel, in the order of ``np.nonzero``.

    Raises
    ------
    DataError
        If no query can be cut from the bars of a symbol, see :class:`ragsignal.data.QueryCutter`.
    """
    rows, column = np.nonzero(is_query)
    bar = np.empty(len(rows), dtype=np.int64)
    for number, symbol in enumerate(panel.symbols):
        mine = column == number
        bar[mine] = np.searchsorted(days_of(frames[symbol]), panel.days[rows[mine]])
    return CutQueries(QueryCutter(frames, lookback), panel.symbols, column, bar)
