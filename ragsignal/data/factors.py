"""The registry of the paper's 34 sequences (arXiv 2502.05878, App. C), and their values for one symbol.

    frame (one symbol) -> compute -> values, each in its own unit -> scale_free -> what encoders and prompts may read

Names and order are those of the released data. Values are causal and per symbol: dropping the future, or any other
symbol, changes no bit. The formulas stand in :mod:`~ragsignal.data.technicals` and :mod:`~ragsignal.data.alphas`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

import ragsignal.data.alphas as alphas
import ragsignal.data.rolling as rolling
import ragsignal.data.technicals as technicals
from ragsignal.data.technicals import BarArrays
from ragsignal.errors import DataError
from ragsignal.types import FloatArray, IntArray

_BATCH_NUMBERS = 1 << 16  # an array of 512 KiB: less is more Python a bar, more leaves the cache
Kind = Literal["level", "spread", "value", "category"]


@dataclass(frozen=True)
class Sequence:
    """One of the 34.

    Parameters
    ----------
    name : str
        The key in the paper's released data.
    kind : {"level", "spread", "value", "category"}
        What the numbers are: a positive level of which only ratios mean something; a difference in price units; a
        pure number; a code in {-1.0, 0.0, 1.0}. It decides :func:`scale_free`.
    formula : callable
        Values of the shape of the bars, NaN until there is enough history.
    """

    name: str
    kind: Kind
    formula: Callable[[BarArrays], FloatArray]

    @property
    def text(self) -> str:
        """The formula in words and where it departs from its source; its first line is the formula alone."""
        return inspect.getdoc(self.formula) or ""


_ALL = (
    Sequence("open", "level", technicals.open_),
    Sequence("high", "level", technicals.high),
    Sequence("low", "level", technicals.low),
    Sequence("close", "level", technicals.close),
    Sequence("adj_close", "level", technicals.adj_close),
    Sequence("volume", "level", technicals.volume),
    Sequence("movement", "category", technicals.movement),
    Sequence("Returns", "value", technicals.returns),
    Sequence("VWAP", "level", technicals.vwap),
    Sequence("MACD_Histogram", "spread", technicals.macd_histogram),
    Sequence("macd_crossover", "category", technicals.macd_crossover),
    Sequence("bollinger_bands", "category", technicals.bollinger_bands),
    Sequence("exceeding_upper", "spread", technicals.exceeding_upper),
    Sequence("exceeding_lower", "spread", technicals.exceeding_lower),
    Sequence("overbought_and_oversold_conditions", "category", technicals.overbought_and_oversold_conditions),
    Sequence("kdj_crossover", "category", technicals.kdj_crossover),
    Sequence("alpha_smr", "value", alphas.alpha_smr),
    Sequence("alpha_mom", "value", alphas.alpha_mom),
    Sequence("alpha002", "value", alphas.alpha002),
    Sequence("alpha006", "value", alphas.alpha006),
    Sequence("alpha009", "spread", alphas.alpha009),
    Sequence("alpha012", "spread", alphas.alpha012),
    Sequence("alpha021", "category", alphas.alpha021),
    Sequence("alpha023", "spread", alphas.alpha023),
    Sequence("alpha024", "spread", alphas.alpha024),
    Sequence("alpha028", "value", alphas.alpha028),
    Sequence("alpha032", "value", alphas.alpha032),
    Sequence("alpha041", "spread", alphas.alpha041),
    Sequence("alpha046", "value", alphas.alpha046),
    Sequence("alpha049", "value", alphas.alpha049),
    Sequence("alpha051", "value", alphas.alpha051),
    Sequence("alpha053", "value", alphas.alpha053),
    Sequence("alpha054", "value", alphas.alpha054),
    Sequence("alpha101", "value", alphas.alpha101),
)

SEQUENCES: dict[str, Sequence] = {sequence.name: sequence for sequence in _ALL}
"""The 34 by name, in the paper's order: 6 price, 10 technical, 18 alpha."""


def compute(frame: pd.DataFrame) -> pd.DataFrame:
    """Values of all sequences for one symbol.

    Parameters
    ----------
    frame : DataFrame
        Back-adjusted bars of one symbol: ``open``, ``high``, ``low``, ``close`` (positive), ``volume`` (0 or more),
        oldest first.

    Returns
    -------
    DataFrame of shape (n_bars, 34), float64
        Each column NaN while its history is too short (longest: ``alpha032``, 293 bars), and finite from then on.

    Raises
    ------
    DataError
        If a column is missing.
    """
    bars = BarArrays.of(frame)
    columns = [sequence.formula(bars) for sequence in SEQUENCES.values()]
    return pd.DataFrame(np.column_stack(columns), index=frame.index, columns=list(SEQUENCES))


def scale_free(frame: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Take the price level out of values: multiplying all prices by a constant then changes nothing.

    Parameters
    ----------
    frame : DataFrame
        The bars that ``values`` were computed from.
    values : DataFrame of shape (n_bars, n_sequences)
        From :func:`compute`, or some of its columns.

    Returns
    -------
    DataFrame of the shape of ``values``, float64
        A level as log return per bar, ``ln(x / x[1])``, so NaN on the first bar; volume as
        ``ln((1 + v) / (1 + v[1]))``, which a day without trade leaves finite. A spread as a fraction of the close.
        Values and categories as they are.

    Raises
    ------
    DataError
        If the two do not stand on the same dates.
    """
    if not values.index.equals(frame.index):
        raise DataError(f"values on {len(values)} bars do not belong to a frame of {len(frame)}: compute(frame) first")
    close = frame["close"].to_numpy(dtype=np.float64)
    columns = [_without_level(SEQUENCES[name], values[name].to_numpy(), close) for name in values.columns]
    return pd.DataFrame(np.column_stack(columns), index=values.index, columns=values.columns)


def compute_stacked(frames: Collection[pd.DataFrame], names: Collection[str]) -> tuple[FloatArray, FloatArray]:
    """Values and scale-free values of many symbols, with the bits of :func:`compute` and :func:`scale_free`.

    Parameters
    ----------
    frames : collection of DataFrame
        As for :func:`compute`; lengths and days may differ.
    names : collection of str
        Which of :data:`SEQUENCES`; only these are computed.

    Returns
    -------
    values, scaled : (n_names, n_bars of all frames) float64
        The frames end to end, in their order.

    Raises
    ------
    DataError
        If a frame lacks a column.
    """
    lengths = np.array([len(frame) for frame in frames], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    values, scaled = (np.empty((len(names), int(lengths.sum()))) for _ in range(2))
    tables = list(frames)
    for batch in _batches(lengths):
        bars = BarArrays.together([tables[number] for number in batch])
        for row, name in enumerate(names):
            column = SEQUENCES[name].formula(bars)
            free = _without_level(SEQUENCES[name], column, bars.close)
            for place, number in enumerate(batch):
                span = slice(starts[number], starts[number] + lengths[number])
                values[row, span] = column[: lengths[number], place]
                scaled[row, span] = free[: lengths[number], place]
    return values, scaled


def _batches(lengths: IntArray) -> Iterator[list[int]]:
    """Numbers of frames that are computed side by side, of like length, so that little is padded."""
    batch: list[int] = []
    for number in np.argsort(-lengths, kind="stable").tolist():
        if batch and (len(batch) + 1) * lengths[batch[0]] > _BATCH_NUMBERS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _without_level(sequence: Sequence, values: FloatArray, close: FloatArray) -> FloatArray:
    if sequence.kind == "level":
        logs = np.log1p(values) if sequence.name == "volume" else np.log(values)
        return rolling.delta(logs, 1)
    return values / close if sequence.kind == "spread" else values
