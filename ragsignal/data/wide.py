"""17 factors of every symbol, ranked among all symbols of the same day: what the ``wide`` prompt and boosting read.

    frames ─► compute_wide (one symbol, its own past) ─► build_panel (rank across symbols, day by day) ─► Panel

The 34 sequences compare a symbol with itself; a :class:`Panel` compares it with the others of its day, so it depends on
which symbols there are. Every value needs bars up to its own day only: later bars of any symbol change no bit, and
:meth:`Panel.digest_as_of` is a running hash, like that of the corpus. Formulas are the usual ones of cross-sectional
studies (momentum skips its last month: Jegadeesh and Titman 1993, doi 10.1111/j.1540-6261.1993.tb04702.x; distance to
the year's high: George and Hwang 2004, doi 10.1111/j.1540-6261.2004.00695.x).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import ragsignal.data.rolling as rolling
from ragsignal.data.bins import LETTERS
from ragsignal.data.check import nearest_symbol
from ragsignal.data.prices import calendar_of, days_of
from ragsignal.data.rolling import delay, mean, ratio
from ragsignal.data.technicals import BarArrays
from ragsignal.errors import DataError
from ragsignal.types import FloatArray
from ragsignal.utils import json_digest, upper

FORMULAS = {
    "ret_1": "close / close[1] - 1",
    "ret_2": "close[1] / close[2] - 1",
    "ret_3": "close[2] / close[3] - 1",
    "ret_4": "close[3] / close[4] - 1",
    "ret_5": "close[4] / close[5] - 1",
    "mom_10": "close / close[10] - 1",
    "mom_20": "close / close[20] - 1",
    "mom_60": "close / close[60] - 1",
    "mom_120": "close / close[120] - 1",
    "mom_250": "close[20] / close[250] - 1: the last 20 bars, which tend to revert, are skipped",
    "vol_20": "standard deviation of the last 20 ret_1",
    "vol_60": "standard deviation of the last 60 ret_1",
    "volume_5_60": "mean volume of 5 bars / mean volume of 60 bars; NaN after 60 bars without trade",
    "range_5": "mean of (high - low) / close over 5 bars",
    "gap": "open / close[1] - 1",
    "place_20": "(close - low20) / (high20 - low20), lowest and highest price of 20 bars; 0.5 if they are equal",
    "below_250": "close / highest price of 250 bars - 1",
}
"""The factors in their order, each with its formula; ``x[n]`` is x of n bars ago."""

FACTORS: tuple[str, ...] = tuple(FORMULAS)

MISSING = "-"
"""What stands in :meth:`Panel.letters` for a rank that is not known; like a letter it is one token."""

_VERSION = "wide/1"
# A factor that is 0 comes out as 1e-16 or so once a dividend has rescaled the prices: it must tie with other zeros.
_DECIMALS = 9


def compute_wide(frame: pd.DataFrame) -> pd.DataFrame:
    """The 17 factors of one symbol, in the units of :data:`FORMULAS`.

    Parameters
    ----------
    frame : DataFrame
        Back-adjusted ``open``, ``high``, ``low``, ``close``, ``volume``, oldest first. All but ``close`` may be NaN.

    Returns
    -------
    DataFrame of shape (n_bars, 17), float64
        NaN until there is enough history (longest: ``mom_250``, 250 bars), and where a price it needs is NaN.

    Raises
    ------
    DataError
        If a column is missing.
    """
    bars = BarArrays.of(frame)
    columns = _trends(bars.close) | _volatilities(bars.close) | _shapes(bars)
    # + 0.0: rounding leaves -0.0, which is another number to a hash
    values = np.round(np.column_stack([columns[name] for name in FACTORS]), _DECIMALS) + 0.0
    return pd.DataFrame(values, index=frame.index, columns=list(FACTORS))


def _trends(close: FloatArray) -> dict[str, FloatArray]:
    last = _change(close, 1)
    singles = {"ret_1": last} | {f"ret_{n}": delay(last, n - 1) for n in range(2, 6)}
    momentum = {f"mom_{n}": _change(close, n) for n in (10, 20, 60, 120)}
    return singles | momentum | {"mom_250": delay(_change(close, 230), 20)}


def _change(close: FloatArray, bars: int) -> FloatArray:
    return close / delay(close, bars) - 1


def _volatilities(close: FloatArray) -> dict[str, FloatArray]:
    return {f"vol_{n}": rolling.std(_change(close, 1), n) for n in (20, 60)}


def _shapes(bars: BarArrays) -> dict[str, FloatArray]:
    low, high = rolling.lowest(bars.bottom, 20), rolling.highest(bars.top, 20)
    usual = mean(bars.volume, 60)
    return {
        "volume_5_60": ratio(mean(bars.volume, 5), usual, flat=usual <= 0, at_flat=np.nan),
        "range_5": mean((bars.high - bars.low) / bars.close, 5),
        "gap": bars.open / delay(bars.close, 1) - 1,
        "place_20": ratio(bars.close - low, high - low, flat=high - low <= rolling.TIE * bars.close, at_flat=0.5),
        "below_250": bars.close / rolling.highest(bars.top, 250) - 1,
    }


@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """Factors of all symbols on all days. Make one with :func:`build_panel`.

    Parameters
    ----------
    symbols : tuple of str, ascending
    days : (n_days,) datetime64[D], ascending
        Every day on which any symbol traded.
    values : (n_days, n_symbols, 17) float32
        :func:`compute_wide`; NaN where the symbol has no bar that day, or no history yet.
    ranks : (n_days, n_symbols, 17) float32, in (0, 1)
        ``(r - 0.5) / n``, r the rank among the n symbols that have a value that day (ties share the mean rank); NaN
        without a value, and where fewer than two symbols have one.
    """

    symbols: tuple[str, ...]
    days: NDArray[np.datetime64]
    values: NDArray[np.float32]
    ranks: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"Panel({len(self.symbols)} symbols, {len(self.days)} days)"

    def at(self, symbol: str, day: date) -> NDArray[np.float32]:
        """Ranks of one symbol on one day: (17,) in the order of :data:`FACTORS`, NaN where missing.

        Raises
        ------
        DataError
            If the panel has no such symbol, or no symbol a bar on that day.
        """
        ranks: NDArray[np.float32] = self.ranks[self._row(day), self._column(symbol)]
        return ranks

    def letters(self, symbol: str, day: date) -> str:
        """The ranks of :meth:`at` as 17 tokens, A (lowest sixteenth) to P (highest), ``-`` where missing.

        Raises
        ------
        DataError
            As :meth:`at`.
        """
        sixteenths = np.nan_to_num(self.at(symbol, day) * len(LETTERS), nan=-1.0)
        return " ".join([LETTERS[int(part)] if part >= 0 else MISSING for part in sixteenths])

    def digest_as_of(self, day: date) -> str:
        """Digest of all that was known on ``day``, whatever comes after it; empty before the first day."""
        seen = int(np.searchsorted(self.days, upper(day, self.days), side="right"))
        return self._running_digests[seen - 1] if seen else ""

    @cached_property
    def recipe(self) -> dict[str, str]:
        """Identity of everything but the prices: formulas, and the symbols that were ranked together."""
        return {"panel": _VERSION, "symbols": json_digest(list(self.symbols))}

    @cached_property
    def _running_digests(self) -> list[str]:
        """Digest of values and names of all days up to each day; a symbol without a value is not in its day's block.

        So a symbol that begins later leaves the digests before its first value as they are.
        """
        running, digests = hashlib.sha256(), []
        present = np.asarray(np.isfinite(self.values).any(axis=2))
        names = np.array([list(hashlib.sha256(symbol.encode()).digest()) for symbol in self.symbols], dtype=np.uint8)
        for day, here, block in zip(self.days.astype("<i8"), present, self.values, strict=True):
            for part in (day, names[here], block[here]):
                running.update(part.tobytes())
            digests.append(running.hexdigest())
        return digests

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {symbol: column for column, symbol in enumerate(self.symbols)}

    def _column(self, symbol: str) -> int:
        if symbol not in self._columns:
            raise DataError(
                f"the panel of {len(self.symbols)} symbols has no {symbol}. {nearest_symbol(symbol, self.symbols)} "
                "Add it to data.symbols, and build the panel again"
            )
        return self._columns[symbol]

    def _row(self, day: date) -> int:
        wanted = upper(day, self.days)
        row = int(np.searchsorted(self.days, wanted))
        if row == len(self.days) or self.days[row] != wanted:
            span = f"{self.days[0]} .. {self.days[-1]}" if len(self.days) else "no day"
            raise DataError(
                f"no symbol of the panel has a bar on {day}; it covers {span}. "
                "Build it from the same prices as the queries, or type `ragsignal data check` on them"
            )
        return row


def build_panel(frames: Mapping[str, pd.DataFrame]) -> Panel:
    """Compute and rank the factors of ``frames`` (per symbol, back-adjusted bars; symbols need not share days).

    Raises
    ------
    DataError
        If there is no symbol, or a frame lacks a column.
    """
    if not frames:
        raise DataError("a panel compares symbols and got none; name some in data.symbols")
    symbols = tuple(sorted(frames))
    days = calendar_of(frames.values())
    values = np.full((len(days), len(symbols), len(FACTORS)), np.nan, dtype=np.float32)
    for column, symbol in enumerate(symbols):
        values[np.searchsorted(days, days_of(frames[symbol])), column] = compute_wide(frames[symbol])
    return Panel(symbols=symbols, days=days, values=values, ranks=_ranks(values))


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean rank within each day and factor, brought to (0, 1)."""
    ranks = np.empty_like(values)
    for factor in range(values.shape[2]):
        table = pd.DataFrame(values[:, :, factor])
        counts = table.notna().sum(axis=1)
        ranks[:, :, factor] = (table.rank(axis=1) - 0.5).div(counts.where(counts >= 2), axis=0)
    return ranks
