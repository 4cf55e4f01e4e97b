"""Moments as tables write them: with a zone they are moments, without one they are days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ragsignal.types import BoolArray

_CLOCK = r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_DAY = rf"^\d{{4}}-\d{{2}}-\d{{2}}(?:{_CLOCK})?$"
_MOMENT = rf"^\d{{4}}-\d{{2}}-\d{{2}}{_CLOCK} ?(?:Z|UTC|GMT|[+-]\d{{2}}:?\d{{2}})$"
_EPOCH = r"^\d{10}(?:\d{3})?$"  # seconds or milliseconds since 1970, in UTC
_TEN_DIGITS = 10
_FIRST, _LAST = np.datetime64("1678-01-01"), np.datetime64("2262-01-01")  # 9999-12-31 says that nobody knows


@dataclass(frozen=True, eq=False)
class Stamps:
    """A column of stamps, understood.

    Parameters
    ----------
    moments : (n,) datetime64[us], UTC
        NaT where a stamp has no zone, or is none.
    days : (n,) datetime64[D]
        Of those without a zone or a time of day; NaT for all others.
    missing : (n,) bool
        Where nothing is written.
    """

    moments: NDArray[np.datetime64]
    days: NDArray[np.datetime64]
    missing: BoolArray

    @property
    def unreadable(self) -> BoolArray:
        """Where something is written that is neither a moment nor a day."""
        return np.isnat(self.moments) & np.isnat(self.days) & ~self.missing


def read_stamps(column: pa.ChunkedArray) -> Stamps:
    """Understand a column: times and days of Parquet, or ISO texts and seconds since 1970.

    Parameters
    ----------
    column : (n,) timestamp, date, integer or text
        Of a timestamp with a zone the moment counts; one without is a day, as nobody says whose clock it was.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        values = column.cast(pa.timestamp("us", "UTC" if zoned else None), safe=False)
        moments = values.to_numpy(zero_copy_only=False).astype("datetime64[us]")
        missing = np.isnat(moments)
        moments = _within(moments)
        nothing = np.full(len(moments), "NaT", "datetime64[us]")
        return Stamps(moments if zoned else nothing, (nothing if zoned else moments).astype("datetime64[D]"), missing)
    text = pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), ""))
    return _read_texts(text)


def _read_texts(text: pa.ChunkedArray) -> Stamps:
    moments = np.full(len(text), "NaT", "datetime64[us]")
    days = np.full(len(text), "NaT", "datetime64[D]")
    zoned, dated, counted = (
        pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False).astype(bool)
        for pattern in (_MOMENT, _DAY, _EPOCH)
    )
    plain = pc.replace_substring_regex(text, r" ?(?:UTC|GMT)$", "Z")
    moments[zoned] = _moments(plain.filter(pa.array(zoned)).to_pandas())
    days[dated] = _moments(pc.utf8_slice_codeunits(text, 0, 10).filter(pa.array(dated)).to_pandas())
    moments[counted] = _since_1970(text.filter(pa.array(counted)))
    return Stamps(moments, days, pc.equal(text, "").to_numpy(zero_copy_only=False).astype(bool))


def _moments(texts: pd.Series) -> NDArray[np.datetime64]:
    """Moments in UTC of ISO texts; NaT for a day such as the 31st of February, and outside 1678 to 2261."""
    found = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    return _within(found.dt.tz_localize(None).to_numpy().astype("datetime64[us]"))


def _within(moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The moments from 1678 to 2261, NaT for others."""
    return np.where((moments >= _FIRST) & (moments < _LAST), moments, np.datetime64("NaT", "us"))


def _since_1970(texts: pa.ChunkedArray) -> NDArray[np.datetime64]:
    numbers = texts.cast(pa.int64()).to_numpy()
    short = pc.utf8_length(texts).to_numpy() == _TEN_DIGITS
    moments: NDArray[np.datetime64] = (numbers * np.where(short, 1_000_000, 1_000)).astype("datetime64[us]")
    return moments
