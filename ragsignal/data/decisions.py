"""A file of decisions that somebody else made, read and judged row by row: CSV or Parquet.

    file ─► read_decisions ─► DecisionRows ─► place_decisions (decision_bars.py) ─► Decisions

One row is one decision. Its columns, in any order and in any case; others are not read:

``symbol`` (or ``ticker``)
    As the prices call it.
``date``, or ``decided_at``
    A day: decided with what was known at its close, so that it must be a bar of the symbol. Or a moment with its time
    zone (``2024-03-01T14:30:00-05:00``): it belongs to the first bar whose close is not earlier, which needs
    ``data.close`` in the spec. A bar of hours is named in ``date`` by its end as the prices name it
    (``2024-03-01 15:30``), and has its decisions by ``decided_at`` where the prices' stamps have a zone.
``probability``, ``score``, ``action`` or ``weight``, exactly one
    What was decided. Each becomes a signal's ``value``, in [-1, 1], which strategies trade, and its ``probability``:

    ============= ======================================= ==================== =================
    column        holds                                   value                probability
    ============= ======================================= ==================== =================
    probability   P(rise), from 0 to 1                    2 p - 1              p
    score         a signal, from -1 to 1                  the score            (1 + value) / 2
    action        buy, sell, hold (see ``ACTIONS``)       1, -1, 0.5, -0.5, 0  (1 + value) / 2
    weight        of the account, from -1 to 1            the weight           (1 + value) / 2
    ============= ======================================= ==================== =================

    Only of ``probability`` is P(rise) more than an order: a buyer who says nothing else is not certain.
``available_at``, optional
    A day, or a moment with its time zone, at which the decision was there. Later than its bar's close: it is refused.
``value``, ``rank``, optional
    Beside ``probability``, the rest of a signal that a run wrote (`ragsignal export`), each from -1 to 1.

Nothing is filled, sorted or guessed: what cannot be understood is one ``DataError`` that names rows and repair.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd

from ragsignal.config import did_you_mean
from ragsignal.data.check import Problem, explain
from ragsignal.data.columns import canonical
from ragsignal.data.readers import UNREADABLE, Sheet, parse_dates, read_sheet
from ragsignal.errors import DataError
from ragsignal.types import BoolArray, FloatArray
from ragsignal.utils import and_more, file_digest, first_names

Decided = Literal["probability", "score", "action", "weight"]
DECIDED: tuple[Decided, ...] = ("probability", "score", "action", "weight")
"""Columns of which a file has exactly one: what was decided."""
HOLD = ("hold", "neutral", "wait")
"""Actions that change nothing, or say nothing: ``external.hold`` decides which."""
ACTIONS = {
    "buy": 1.0,
    "strong buy": 1.0,
    "long": 1.0,
    "overweight": 0.5,
    "flat": 0.0,
    "close": 0.0,
    "exit": 0.0,
    "cover": 0.0,
    "underweight": -0.5,
    "sell": -1.0,
    "strong sell": -1.0,
    "short": -1.0,
}
"""Values of the other actions; the five ratings of TradingAgents are buy, overweight, hold, underweight and sell."""
_DAY, _MOMENT, _AVAILABLE = "date", "decided at", "available at"  # names as ragsignal.data.columns writes them
_EXAMPLE = "symbol, date, and one of probability, score, action, weight"
_NAMED = 5
_NEAR = 0.8  # available_at and availble_at
_REST = ("value", "rank")


@dataclass(frozen=True, eq=False)
class DecisionRows:
    """The rows of a file, each understood by itself; which bar they are of is not known yet.

    Parameters
    ----------
    file : Path
    digest : str
        SHA-256 of the file's bytes, as ``sha256sum`` gives it.
    decided : str
        The column that says what was decided.
    table : DataFrame
        A row a decision, in the order of the file, with its place there as the index (``line`` or ``row``): ``symbol``;
        ``said``, what was decided, as text; ``day`` datetime64[us], which of bars of hours is their end, or NaT and
        ``moment`` datetime64[us] in UTC;
        ``known_day`` and ``known_moment``, of ``available_at``, NaT where it is not said; ``holds``, whether the action
        is a hold; ``value``, ``probability`` and ``rank``, float64.
    """

    file: Path
    digest: str
    decided: Decided
    table: pd.DataFrame

    @property
    def moments(self) -> bool:
        """Whether decisions carry a moment, and not a day."""
        return bool(self.table["moment"].notna().any())

    def places(self, rows: BoolArray, words: Sequence[str] = ()) -> tuple[str, ...]:
        """The first of ``rows`` (n_rows,) for a message, with symbol and date or ``words``; and how many more."""
        chosen = self.table[rows].head(_NAMED)
        texts = words or [_short(it) for it in chosen["day"].where(chosen["day"].notna(), chosen["moment"])]
        named = [
            f"{chosen.index.name} {place} ({symbol} {text})"
            for place, symbol, text in zip(chosen.index, chosen["symbol"], texts, strict=False)
        ]
        return and_more(named, int(rows.sum()))


def read_decisions(path: Path, intraday: bool = False) -> DecisionRows:
    """Read a file of decisions, ``*.csv``, ``*.csv.gz``, ``*.txt`` or ``*.parquet``; ``intraday`` of bars of hours.

    Raises
    ------
    DataError
        With every problem: of the file, its columns, or its rows.
    """
    sheet = _sheet(path)
    refuse(path, _problems_of_columns(sheet))
    return _understood(path, sheet.table, intraday)


def refuse(path: Path, problems: Iterable[Problem]) -> None:
    """Raise ``DataError`` if there is any problem: one is a line, more are a list."""
    found = list(problems)
    if len(found) == 1:
        raise DataError(str(found[0]))
    if found:
        raise DataError(explain(path, found))


def _sheet(path: Path) -> Sheet:
    if not path.is_file():
        raise DataError(f"{path}: no such file of decisions. Correct the path; in a spec it is external.path.")
    try:
        sheet = read_sheet(path)
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({error}). Expected a CSV file in UTF-8 or a Parquet table.") from None
    names = list(map(canonical, sheet.header))
    # beside decided_at a column of row numbers, which has no name, is no date, nor is one of clock times
    return replace(sheet, table=sheet.table.set_axis(names, axis=1)) if _MOMENT in names else sheet


# ---- columns


def _problems_of_columns(sheet: Sheet) -> Iterator[Problem]:
    names = list(sheet.table.columns)
    if sheet.table.empty and not sheet.ragged:
        yield _problem(sheet, "no decision in this file", f"A row each was expected, with {_EXAMPLE}.")
        return
    if sheet.ragged:
        lines = and_more([f"line {line}" for line in sheet.ragged[:_NAMED]], len(sheet.ragged))
        yield _problem(sheet, "lines with too few or too many fields", "Give each what the header has.", lines)
    understood = ("symbol", _DAY, _MOMENT, *DECIDED, _AVAILABLE, *_REST)
    for name in dict.fromkeys(name for name in names if names.count(name) > 1 and name in understood):
        yield _problem(sheet, f"column more than once: {_written(name)}", "Keep one of them.")
    if "symbol" not in names:
        yield _problem(sheet, "missing column symbol", f"Add it, or rename the one that holds it: {_header(sheet)}.")
    yield from _choices(sheet, (_DAY, _MOMENT), "when it was decided")
    yield from _choices(sheet, DECIDED, "what was decided")
    if "time" in names and _DAY in names:
        repair = "Write both as one moment with its zone into decided_at, 2024-03-01T14:30:00-05:00; or delete it."
        yield _problem(sheet, "a column time beside date", repair)
    if _AVAILABLE not in names:
        for name in difflib.get_close_matches(_AVAILABLE, names, n=1, cutoff=_NEAR):
            written = sheet.header[names.index(name)]
            hint = f"Did you mean {_written(_AVAILABLE)!r}? Rename it, or delete it."
            yield _problem(sheet, f"unknown column {written!r}", hint)
    if "value" in names and "probability" not in names:
        yield _problem(sheet, "a column value without probability", "Call it score, if it is the signal; else drop it.")


def _choices(sheet: Sheet, names: Sequence[str], what: str) -> Iterator[Problem]:
    """A problem unless exactly one of some columns is there."""
    there = [_written(name) for name in dict.fromkeys(sheet.table.columns) if name in names]
    wanted = " or ".join(map(_written, names))
    if not there:
        near = [difflib.get_close_matches(name, names, n=1) for name in sheet.table.columns]
        hint = next((f" Did you mean {_written(it[0])!r}?" for it in near if it), "")
        yield _problem(sheet, f"no column says {what}", f"Add one: {wanted}; {_header(sheet)}.{hint}")
    if len(there) > 1:
        yield _problem(sheet, f"{len(there)} columns say {what}: {', '.join(there)}", "Keep the one that is meant.")


def _written(name: str) -> str:
    return name.replace(" ", "_")


def _header(sheet: Sheet) -> str:
    return f"the file has {', '.join(map(repr, sheet.header))}"


def _problem(sheet: Sheet, rule: str, repair: str, rows: tuple[str, ...] = ()) -> Problem:
    return Problem(str(sheet.file), "", rule, rows, repair)


# ---- rows


@dataclass(frozen=True, eq=False)
class _Stamps:
    """A column of days or moments: ``day`` or ``moment`` (UTC) of each row, NaT where it is not one, and the rest."""

    written: pd.Series
    day: pd.Series
    moment: pd.Series
    named: pd.Series  # a time of day without a zone, as bars of hours are named
    unreadable: BoolArray
    timed: BoolArray  # a time of day without a zone
    whole: BoolArray  # no time of day is written

    @classmethod
    def of(cls, column: pd.Series) -> _Stamps:
        """Understand a column; an empty cell is neither a day nor a moment, and readable."""
        parsed = parse_dates(column)
        zoned, midnight = parsed["offset"].notna(), parsed["clock"] == 0.0
        seconds = pd.to_timedelta((parsed["clock"] * 1e6).round(), unit="us")
        moment = parsed["day"] + seconds - pd.to_timedelta(parsed["offset"], unit="min")
        empty = column.isna() | (column.astype(str).str.strip() == "")
        return cls(
            written=parsed["date"],
            day=parsed["day"].where(~zoned & midnight).astype("datetime64[us]"),
            moment=moment.astype("datetime64[us]"),
            named=(parsed["day"] + seconds).where(~zoned).astype("datetime64[us]"),
            unreadable=_mask(parsed["day"].isna() & ~empty),
            timed=_mask(parsed["day"].notna() & ~zoned & ~midnight),
            # a column of midnights alone is one of days that a program wrote with a time
            whole=_mask(~zoned & midnight & (~parsed["date"].astype(str).str.contains(":") | bool(midnight.all()))),
        )

    def shown(self, rows: BoolArray) -> list[str]:
        """The first of some rows as they are written."""
        return [_short(text) for text in self.written[rows].head(_NAMED)]

    @classmethod
    def none(cls, index: pd.Index) -> _Stamps:
        """Of a file without the column."""
        return cls.of(pd.Series("", index=index, dtype=object))


def _understood(path: Path, source: pd.DataFrame, intraday: bool) -> DecisionRows:
    """Type all rows; raises ``DataError`` where one cannot be understood."""
    decided = next(name for name in DECIDED if name in source)
    when = _Stamps.of(source[_DAY if _DAY in source else _MOMENT])
    known = _Stamps.of(source[_AVAILABLE]) if _AVAILABLE in source else _Stamps.none(source.index)
    symbols = source["symbol"].astype(object)  # a category takes no other value
    table = pd.DataFrame(
        {
            "symbol": symbols.where(symbols.notna(), "").astype(str).str.strip().astype(object),
            "day": when.named if intraday else when.day,
            "moment": when.moment,
            "known_day": known.day,
            "known_moment": known.moment,
            **_values(source, decided),
        },
        index=source.index,
    )
    rows = DecisionRows(path, file_digest(path), decided, table)
    rules_of_dates = _rules_of_hours if intraday else _rules_of_dates
    rules: list[_Rule] = [
        ("no symbol", _mask(table["symbol"] == ""), "Write the symbol into these rows."),
        *rules_of_dates(when, known, _DAY in source),
        *_rules_of_values(rows, source),
    ]
    refuse(
        path,
        (
            Problem(str(path), "", rule, rows.places(broken, when.shown(broken)), repair)
            for rule, broken, repair in rules
            if broken.any()
        ),
    )
    return rows


def _values(source: pd.DataFrame, decided: Decided) -> dict[str, object]:
    """Columns ``said``, ``holds``, ``value``, ``probability`` and ``rank``; NaN where there is no number."""
    column = source[decided]
    holds = np.zeros(len(column), dtype=bool)
    if decided == "action":
        words = column.astype(str).str.strip().str.lower().str.replace(r"[\s_-]+", " ", regex=True)
        holds, numbers = _mask(words.isin(HOLD)), words.map(ACTIONS).to_numpy(dtype=np.float64, copy=True)
        numbers[holds] = 0.0
    else:
        numbers = _numbers(column)
    value = 2.0 * numbers - 1.0 if decided == "probability" else numbers
    return {
        "said": column.astype(str),
        "holds": holds,
        "value": _numbers(source["value"]) if "value" in source else value,
        "probability": numbers if decided == "probability" else (1.0 + numbers) / 2.0,
        "rank": _numbers(source["rank"]) if "rank" in source else 0.0,
    }


def _numbers(column: pd.Series) -> FloatArray:
    """Numbers of a column to the last bit, NaN where there is none: (n,) float64."""
    if column.dtype.kind == "b":  # yes is not 1
        return np.full(len(column), np.nan)
    return cast(FloatArray, pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


_Rule = tuple[str, BoolArray, str]
"""What is wrong, in which rows (n_rows,), and the repair."""


def _rules_of_dates(when: _Stamps, known: _Stamps, by_day: bool) -> Iterator[_Rule]:
    day, moment = _mask(when.day.notna()), _mask(when.moment.notna())
    unreadable = ~(day | moment | when.timed)
    yield "unreadable dates", unreadable, "Write days as 2024-03-01, and moments as 2024-03-01T14:30:00-05:00."
    if by_day:
        repair = "Write the day alone; or call the column decided_at, with a time zone: 2024-03-01T14:30:00-05:00."
        yield "a time of day, or a zone, in the column date", ~day & ~unreadable, repair
    else:
        repair = "Add it, as in 2024-03-01T14:30:00-05:00; a whole day belongs into a column date."
        yield "decided_at without a time zone", ~moment & ~unreadable, repair
    yield "unreadable available_at", known.unreadable, "Write a day, or a moment with its zone; or leave it empty."
    yield "available_at without a time zone", known.timed, "Add it, as in 2024-03-01T14:30:00-05:00."


def _rules_of_hours(when: _Stamps, known: _Stamps, by_day: bool) -> Iterator[_Rule]:
    """As :func:`_rules_of_dates`, where bars are of hours: a day is before, within and after some of its own bars."""
    named, moment = _mask(when.named.notna()), _mask(when.moment.notna())
    unreadable = ~(named | moment)
    yield "unreadable dates", unreadable, "Write moments as 2024-03-01T14:30:00-05:00."
    if by_day:
        repair = (
            "The bars are of hours: name the one whose end it was decided at, as the prices do (2024-03-01 15:30); or "
            "write when it was decided into a column decided_at, with its time zone: 2024-03-01T15:30:00-05:00."
        )
        yield "a whole day in the column date", when.whole, repair
        repair = "Name the bar as the prices do, without a zone; or call the column decided_at."
        yield "a time zone in the column date", ~named & ~unreadable, repair
    else:
        repair = "Add it, as in 2024-03-01T14:30:00-05:00."
        yield "decided_at without a time zone", ~moment & ~unreadable, repair
    yield "unreadable available_at", known.unreadable, "Write a moment with its zone; or leave it empty."
    repair = "Bars of hours need a moment, as in 2024-03-01T14:30:00-05:00; or leave it empty."
    yield "available_at without a time and its zone", _mask(known.named.notna()), repair


def _rules_of_values(rows: DecisionRows, source: pd.DataFrame) -> Iterator[_Rule]:
    table, decided = rows.table, rows.decided
    if decided == "action":
        unknown = _mask(table["value"].isna())
        words = source["action"][unknown].astype(str).unique()
        known = [*ACTIONS, *HOLD]
        hint = did_you_mean(str(words[0]).strip().lower(), known) if len(words) else ""
        yield f"unknown action {first_names([repr(word) for word in words])}", unknown, f"Write a known one.{hint}"
        return
    low, high = (0.0, 1.0) if decided == "probability" else (-1.0, 1.0)
    for name, least, most in ((decided, low, high), *((it, -1.0, 1.0) for it in _REST if it in source)):
        numbers = _numbers(source[name])
        missing = np.isnan(numbers)
        yield f"no number in the column {name}", missing, "Write one, with a decimal point; delete rows without one."
        repair = f"Write {_MEANING[name]}."
        yield f"{name} outside {least:g} to {most:g}", ~missing & ~((numbers >= least) & (numbers <= most)), repair


_MEANING = {
    "probability": "P(rise) as a fraction: 0.55, not 55",
    "score": "it from -1 (sell) to 1 (buy); divide by the largest that there can be",
    "weight": "a fraction of the account: 0.35, not 35; an account of more than its money is not traded here",
    "value": "the signal from -1 to 1, as a run has it",
    "rank": "the rank from -1 to 1, as a run has it",
}


def _mask(column: pd.Series) -> BoolArray:
    return np.asarray(column.to_numpy(dtype=bool))


def _short(when: object) -> str:
    return str(when).removesuffix(" 00:00:00")
