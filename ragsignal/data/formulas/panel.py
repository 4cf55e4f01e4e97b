"""Fields of many stocks over many days: what formulas are evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.formulas.formula import Kind
from ragsignal.errors import DataError
from ragsignal.types import FloatArray


@dataclass(frozen=True, eq=False)
class FieldPanel:
    """Named fields of the same days and symbols.

    Parameters
    ----------
    days : array of shape (n_days,), datetime64
        Increasing; bars of hours are named by the moment of their end.
    symbols : tuple of str
    fields : mapping of str to array of shape (n_days, n_symbols), float64
        NaN where a symbol has no bar. What a field says on a day has to be known at that day's close.
    kinds : mapping of str to Kind, optional
        Of fields that are no series.

    Raises
    ------
    DataError
        If a field has another shape, or an infinity, or groups are not named by whole numbers.
    """

    days: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    fields: Mapping[str, FloatArray]
    kinds: Mapping[str, Kind]

    def __post_init__(self) -> None:
        for name, kind in self.kinds.items():
            if kind is Kind.GROUP and name in self.fields:
                _check_groups(name, self.fields[name])
        for name, values in self.fields.items():
            if values.shape != self.shape:
                raise DataError(
                    f"the field {name} has the shape {values.shape}, and the panel {self.shape}, days by symbols: "
                    "give each field a row a day and a column a symbol"
                )
            if np.isinf(values).any():
                day, symbol = np.argwhere(np.isinf(values))[0]
                raise DataError(
                    f"the field {name} of {self.symbols[symbol]} is infinite on {self.days[day]}: give NaN where there "
                    "is no value"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of days, number of symbols."""
        return len(self.days), len(self.symbols)

    @property
    def known(self) -> dict[str, Kind]:
        """The fields that there are, and what each is: what :func:`~.parse.parse` asks for."""
        return {name: self.kinds.get(name, Kind.SERIES) for name in self.fields}

    def head(self, days: int) -> FieldPanel:
        """The first ``days`` days."""
        return FieldPanel(
            self.days[:days], self.symbols, {name: it[:days] for name, it in self.fields.items()}, self.kinds
        )


def _check_groups(name: str, values: FloatArray) -> None:
    known = values[~np.isnan(values)]
    odd = known[known != np.floor(known)]
    if len(odd):
        raise DataError(f"the groups {name} are named by whole numbers, and {odd[0]:g} is none: number the groups")


def field_panel(frames: Mapping[str, pd.DataFrame], further: Mapping[str, FloatArray] | None = None) -> FieldPanel:
    """The bars of all symbols on all days on which one of them has a bar.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        As in :class:`~ragsignal.data.prices.Prices`.
    further : mapping of str to array of shape (n_days, n_symbols), optional
        More fields, on the same days and symbols.

    Returns
    -------
    FieldPanel
        ``open``, ``high``, ``low``, ``close``, ``volume``, ``vwap`` (the typical price) and ``returns`` (since the
        symbol's bar before, a fraction).
    """
    days = _days_of(list(frames.values()))
    fields = {name: _column(frames, days, name) for name in ("open", "high", "low", "close", "volume")}
    fields["vwap"] = (fields["high"] + fields["low"] + fields["close"]) / 3
    changes = {symbol: frame[["close"]].pct_change(fill_method=None) for symbol, frame in frames.items()}
    fields["returns"] = _column(changes, days, "close")
    return FieldPanel(days, tuple(frames), {**fields, **(further or {})}, {})


def _days_of(frames: Sequence[pd.DataFrame]) -> NDArray[np.datetime64]:
    return np.unique(np.concatenate([frame.index.to_numpy() for frame in frames]))


def _column(frames: Mapping[str, pd.DataFrame], days: NDArray[np.datetime64], name: str) -> FloatArray:
    out = np.full((len(days), len(frames)), np.nan)
    for number, frame in enumerate(frames.values()):
        out[np.searchsorted(days, frame.index.to_numpy()), number] = frame[name].to_numpy()
    return out
