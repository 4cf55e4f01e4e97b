"""Predicted bars of Kronos, as a CSV file or a Parquet table.

``KronosPredictor.predict`` (as of 2026-08) returns a table of ``open high low close volume amount`` by the *predicted*
bars' stamps, and says neither of what nor when; and it takes the mean of its ``sample_count`` paths, after which no
probability is left. A file for this reader has a row a predicted bar, with

- ``symbol``, or one file a symbol, named after it;
- ``as_of``: stamp of the last bar that the model was given;
- ``timestamps`` (or ``timestamp``, ``date``): stamp of the predicted bar, later than ``as_of``;
- ``close``: predicted; other columns of a bar are not read;
- ``last_close``: close of the bar ``as_of``;
- ``sample``, optional: number of the path, of several that were sampled one by one.

Days are written without a time. Stamps with a time need a zone; they are taken for the *openings* of bars, as exchanges
of crypto write them, so that the bar ``as_of`` is known at the first predicted stamp; ``--stamps close`` says that
they are ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ragsignal.data.columns import to_numbers
from ragsignal.data.converters.found import Converted, Time, Value, must_exist, settle
from ragsignal.data.readers import UNREADABLE, read_sheet
from ragsignal.errors import ConfigError, DataError

Stamps = Literal["open", "close"]

_WHAT = "a CSV file or Parquet table with as_of, timestamps, close and last_close, or a folder of them"
_NEEDED = ("as of", "timestamps", "close", "last close")
_DAY = r"\d{4}-\d{2}-\d{2}(?:[T ]00:00(?::00(?:\.0+)?)?)?"
_ZONED = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:Z|[+-]\d{2}:?\d{2})"
_KEY = ["symbol", "as_of"]


@dataclass(frozen=True)
class KronosReading:
    """How predicted bars become a decision.

    Parameters
    ----------
    horizon : int
        Which predicted bar's close is compared with the last one: 1 is the next bar.
    full_return : float
        Of one path, the predicted return that is a score of 1.
    stamps : {"open", "close"}
        Whether a stamp with a time is a bar's beginning or its end.
    """

    horizon: int = 1
    full_return: float = 0.02
    stamps: Stamps = "open"

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ConfigError(f"--horizon {self.horizon}: expected 1, the next bar, or more")
        if not 0.0 < self.full_return < np.inf:
            raise ConfigError(f"--full-return {self.full_return:g}: expected a return above 0, such as 0.02 for 2 %")


def read_kronos(path: Path, reading: KronosReading | None = None) -> Converted:
    """Read predictions of one file, or of all CSV and Parquet files of a folder.

    Parameters
    ----------
    path : Path
    reading : KronosReading, optional

    Returns
    -------
    Converted
        By ``date`` where stamps are days, else by ``decided_at``. Of several paths ``probability``: the share of them
        whose close is above the last one, an equal one counting half. Of one path ``score``: the predicted return over
        ``full_return``, cut at -1 and 1.

    Raises
    ------
    DataError
        If columns are missing, stamps have no zone or mixed ones, a predicted bar is not later than ``as_of`` or is
        there twice, or decisions have other numbers of paths or bars than they should.
    """
    reading = reading or KronosReading()
    must_exist(path, _WHAT)
    files = [path] if path.is_file() else sorted([*path.glob("*.csv"), *path.glob("*.parquet")])
    if not files:
        raise DataError(f"{path}: no *.csv and no *.parquet in it; expected {_WHAT}; give the folder that holds them")
    parts = [_read_file(file) for file in files]
    timed = {part["timed"].iloc[0]: file for file, part in zip(files, parts, strict=True)}
    if len(timed) > 1:
        raise DataError(f"{timed[False]} has days, {timed[True]} has times; expected one of them; convert them apart")
    bars = pd.concat(parts, ignore_index=True)
    _refuse_bars(bars)
    time: Time = "decided_at" if True in timed else "date"
    value, rows = _decide(bars, reading, time)
    return settle(rows, time, value)


def _read_file(file: Path) -> pd.DataFrame:
    """Bars of a file: symbol, as_of, stamp (UTC), close, last_close, sample, place, timed."""
    try:
        sheet = read_sheet(file)
    except UNREADABLE as error:
        raise DataError(f"{file}: cannot be read ({error}); expected {_WHAT}") from None
    table = sheet.table.rename(columns={"date": "timestamps"})
    missing = [name for name in _NEEDED if list(table.columns).count(name) != 1]
    if missing or table.empty or sheet.ragged:
        what = (
            f"no column {missing[0].replace(' ', '_')!r}, or several"
            if missing
            else "no rows, or lines with too few fields"
        )
        raise DataError(f"{file}: {what}; expected {_WHAT}; write down for each prediction what it was made on")
    places = [f"{file}, {table.index.name} {number}" for number in table.index]
    as_of, timed = _stamps(table["as of"], places, "as_of")
    stamp, stamp_timed = _stamps(table["timestamps"], places, "timestamps")
    if timed != stamp_timed:
        raise DataError(
            f"{places[0]}: as_of and timestamps are written unlike; expected both as days, or both with a zone"
        )
    return pd.DataFrame(
        {
            "symbol": _symbols(table["symbol"], places) if "symbol" in table else file.stem,
            "as_of": as_of,
            "stamp": stamp,
            "close": to_numbers(table["close"], bool(sheet.decimal_comma)),
            "last_close": to_numbers(table["last close"], bool(sheet.decimal_comma)),
            "sample": table["sample"].astype(str).to_numpy() if "sample" in table else "",
            "place": places,
            "timed": timed,
        }
    )


def _symbols(column: pd.Series, places: list[str]) -> np.ndarray:
    names = column.where(column.notna(), "").astype(str).str.strip()
    if (names == "").any():
        raise DataError(f"{places[int((names == '').to_numpy().argmax())]}: no symbol; write it, or delete the row")
    return np.asarray(names.to_numpy())


def _stamps(column: pd.Series, places: list[str], name: str) -> tuple[np.ndarray, bool]:
    """Moments in UTC, and whether they have a time; days are midnights."""
    text = column.astype(str).str.strip()
    days, zoned = text.str.fullmatch(_DAY).to_numpy(), text.str.fullmatch(_ZONED).to_numpy()
    wrong = np.flatnonzero(~days & ~zoned)
    if len(wrong):
        raise DataError(
            f"{places[wrong[0]]}: {name} is {text.iloc[wrong[0]]!r}; expected a day, 2024-05-10, or a time with its "
            "zone, 2024-05-10T13:00:00Z; add the zone"
        )
    if days.any() and zoned.any():
        raise DataError(
            f"{places[int(zoned.argmax())]}: {name} has a zone, other rows have none; write all of them alike"
        )
    if (
        zoned.any()
        and text.str.extract(r"(Z|[+-]\d{2}:?\d{2})$")[0].replace({"+00:00": "Z", "+0000": "Z"}).nunique() > 1
    ):
        raise DataError(f"{places[0]}: {name} is written in several time zones; write all of them in UTC, with a Z")
    moments = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
    if moments.isna().any():
        raise DataError(f"{places[int(moments.isna().to_numpy().argmax())]}: {name} is no moment; repair it")
    return moments.dt.tz_localize(None).to_numpy().astype("datetime64[s]"), bool(zoned.any())


def _refuse_bars(bars: pd.DataFrame) -> None:
    checks = (
        (~(bars["stamp"] > bars["as_of"]), "the predicted bar is not later than as_of; a prediction is of the future"),
        (~(np.isfinite(bars["close"]) & (bars["close"] > 0)), "close is no price above 0"),
        (~(np.isfinite(bars["last_close"]) & (bars["last_close"] > 0)), "last_close is no price above 0"),
        (bars.duplicated([*_KEY, "sample", "stamp"]), "the predicted bar is there twice; number the paths in 'sample'"),
        (bars.groupby(_KEY)["last_close"].transform("nunique") > 1, "last_close differs within one as_of"),
    )
    for broken, words in checks:
        if broken.any():
            row = bars[broken].iloc[0]
            raise DataError(f"{row['place']}: {words} ({row['symbol']}, as of {row['as_of']}); repair the file")


def _decide(bars: pd.DataFrame, reading: KronosReading, time: Time) -> tuple[Value, pd.DataFrame]:
    ordered = bars.sort_values([*_KEY, "sample", "stamp"])
    number = ordered.groupby([*_KEY, "sample"]).cumcount()
    reached = ordered[number == reading.horizon - 1]
    paths = ordered.groupby(_KEY)["sample"].nunique()
    ends = reached.groupby(_KEY)["sample"].nunique().reindex(paths.index, fill_value=0)
    _refuse_counts(
        ordered, paths, paths != ends, f"fewer than {reading.horizon} predicted bars; choose another --horizon"
    )
    _refuse_counts(
        ordered, paths, paths != paths.max(), f"fewer paths than the {paths.max()} of others; predict it again"
    )
    reached = reached.assign(part=_part(reached, reading, paths.max() > 1))
    rows = reached.groupby(_KEY, as_index=False).agg(value=("part", "mean"), place=("place", "first"))
    known = rows["as_of"]
    if time == "decided_at" and reading.stamps == "open":
        known = rows.merge(bars.groupby(_KEY, as_index=False)["stamp"].min(), on=_KEY)["stamp"]
    rows["when"] = known.dt.strftime("%Y-%m-%d" if time == "date" else "%Y-%m-%dT%H:%M:%SZ")
    return ("probability" if paths.max() > 1 else "score"), rows


def _part(reached: pd.DataFrame, reading: KronosReading, several: bool) -> pd.Series:
    """What each path adds: whether it rises, or, of one path, its return as a score."""
    if several:
        rises = (reached["close"] - reached["last_close"]).to_numpy()
        return pd.Series((np.sign(rises) + 1.0) / 2.0, reached.index)
    return ((reached["close"] / reached["last_close"] - 1.0) / reading.full_return).clip(-1.0, 1.0)


def _refuse_counts(bars: pd.DataFrame, paths: pd.Series, broken: pd.Series, words: str) -> None:
    if broken.any():
        symbol, as_of = paths.index[int(broken.to_numpy().argmax())]
        place = bars["place"][(bars["symbol"] == symbol) & (bars["as_of"] == as_of)].iloc[0]
        raise DataError(f"{place}: {symbol} as of {as_of} has {words}")
