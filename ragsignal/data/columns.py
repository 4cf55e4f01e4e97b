"""What columns of price files are called, and how their numbers are written.

Vendors say ``1. open``, ``Adj. Close``, ``<CLOSE>``, ``Close/Last`` or ``timestamp``; a name that means one thing only
is understood, and every other one is left to :mod:`ragsignal.data.check`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ragsignal.types import FloatArray

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # adjClose
_NUMBERED = re.compile(r"^\d+[.)]\s+")  # Alpha Vantage: "1. open"
_SAME = {
    "ticker": "symbol",
    "adjclose": "adj close",
    "adjusted": "adj close",
    "adjusted close": "adj close",
    "close adjusted": "adj close",
    "close adj": "adj close",
    "adj price": "adj close",
    "adj close price": "adj close",
    "adjusted price": "adj close",
    "adjusted close price": "adj close",
    "timestamp": "date",
    "time stamp": "date",
    "datetime": "date",
    "date time": "date",
    "trade date": "date",
    "trading date": "date",
    "open price": "open",
    "opening price": "open",
    "price open": "open",
    "high price": "high",
    "price high": "high",
    "low price": "low",
    "price low": "low",
    "close price": "close",
    "closing price": "close",
    "price close": "close",
    "vol": "volume",
    "open int": "openint",
    "open interest": "openint",
    "volume traded": "volume",
    "shares traded": "volume",
}
# what a name means in a file that has no column of the right name
_ALONE = {"price": "close", "last": "close", "last price": "close", "close last": "close", "time": "date", "": "date"}
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9}
_EUROPEAN = r"-?(?:\d+,\d+|\d{1,3}(?:\.\d{3})+(?:,\d+)?)"
_THOUSANDS = r"-?\d{1,3}(?:,\d{3})+(?:\.\d*)?"
_EITHER = r"-?[1-9]\d{0,2},\d{3}"


def canonical(name: str) -> str:
    """The name that a column has here, whatever its case, and whether words are parted by spaces, underscores or none.

    ``adjClose``, ``Adj. Close`` and ``5. adjusted close`` are ``adj close``, ``<VOL>`` is ``volume``; a name that is
    not known comes back in small letters.
    """
    words = _CAMEL.sub(" ", _NUMBERED.sub("", name.strip().strip("<>*")))
    plain = " ".join(re.sub(r"[_./()\s]+", " ", words).lower().split())
    return _SAME.get(plain, plain)


def canonical_header(header: Sequence[str]) -> list[str]:
    """The names of all columns of a file; ``Price`` or ``Last`` is the close where no other column is."""
    names = [canonical(name) for name in header]
    for place, name in enumerate(names):
        if name in _ALONE and _ALONE[name] not in names:
            names[place] = _ALONE[name]
    return names


def to_numbers(column: pd.Series, decimal_comma: bool) -> FloatArray:
    """Numbers of a column, NaN where there is none: (n,) float64.

    Parameters
    ----------
    column : Series
        Numbers, or text as vendors write it: ``$12.50``, ``1,234.5`` or, with ``decimal_comma``, ``1.234,5``; ``1.5M``
        is a million and a half.
    decimal_comma : bool
    """
    if column.dtype.kind in "fiub":
        return column.to_numpy(dtype="float64")
    if decimal_comma:
        text = column.astype(str).str.strip()
        column = text.where(~text.str.fullmatch(_EUROPEAN), text.str.replace(".", "").str.replace(",", "."))
    plain = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64", na_value=np.nan, copy=True)
    written = np.isnan(plain) & column.notna().to_numpy()
    if written.any():
        text = column[written].astype(str).str.strip().str.lstrip("$€£").str.lower()
        units = text.str[-1:].map(_UNITS).fillna(1.0)
        text = text.str.rstrip("kmb")
        text = text.where(~text.str.fullmatch(_THOUSANDS), text.str.replace(",", ""))
        plain[written] = (pd.to_numeric(text, errors="coerce") * units).to_numpy(dtype="float64", na_value=np.nan)
    return plain


def has_decimal_comma(table: pd.DataFrame, names: Sequence[str]) -> bool | None:
    """Whether a file that parts its columns by another sign writes decimals after a comma; None if none can tell.

    ``12,345`` is twelve or twelve thousand: a file in which every comma stands so, and no point tells, is not guessed.
    """
    there = [table[name].astype(str).str.strip() for name in names if name in table]
    if not there:
        return False
    texts = pd.concat(there, ignore_index=True)
    commas = texts[texts.str.contains(",", regex=False)]
    if commas.empty or texts.str.fullmatch(r".*,\d{3}\.\d*").any():
        return False
    others = texts.drop(commas.index)
    if others.str.fullmatch(r"-?\d+\.\d+").any():  # decimals after a point
        return False
    return None if commas.str.fullmatch(_EITHER).all() else True
