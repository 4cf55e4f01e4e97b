"""From a table of news to items that can be used, or to a list of what is wrong with it.

    file ─► table.py (rows of the symbols) ─► stamps.py (moments) ─► available_at ─► duplicates, revisions ─► NewsItems

Nothing is guessed: a stamp without a zone, or without a time of day, is good for the session after its day at the
earliest. Bad rows raise one ``DataError`` that lists every rule that is broken, with rows and repair.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ragsignal.data.check import Problem
from ragsignal.data.news.items import NewsItems, Texts
from ragsignal.data.news.stamps import Stamps, read_stamps
from ragsignal.data.news.table import NewsRows, clean, read_rows
from ragsignal.data.session import SessionClose
from ragsignal.errors import DataError
from ragsignal.types import BoolArray, IntArray

_MIDNIGHT = timedelta(hours=24)
_STAMPS: tuple[str, ...] = ("published_at", "received_at")
_TEXTS: tuple[str, ...] = ("id", "headline", "body")
_NOTHING = ("", "nan", "NaN", "None", "null", "<NA>")  # as programs write a cell that is empty
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[Ee]\+\d+$")  # 1.23E+12, 1,23E+12
_WHOLE = 2.0**53  # from here on not every whole number has a double of its own
_ZONE = (
    "Write ISO times with a zone, such as 2014-01-15T21:00:00Z; one without, or a day alone, counts for the session "
    "after its day."
)


@dataclass(frozen=True)
class NewsRules:
    """How a table is read.

    Parameters
    ----------
    close : SessionClose
        When a bar is known; its zone is also that of days without a time.
    lag : timedelta, optional
        From publication, or receipt where that is later, to the moment at which an item is in hand; None only where
        the table says when items were received.
    body : bool
        Whether bodies are read.
    through : date, optional
        The last bar that is looked at: what came after its close is left out, so that a table that grows gives the
        same items.
    """

    close: SessionClose
    lag: timedelta | None = None
    body: bool = False
    through: date | None = None


@dataclass(frozen=True)
class NewsCounts:
    """What a table holds.

    Parameters
    ----------
    rows : int
        Of the whole file.
    outside, other_symbols, unnamed : int
        Rows that name symbols other than the wanted ones; those symbols; rows that name none.
    late : int
        Rows that came after the last bar that is looked at.
    duplicates : int
        Rows that say again what the item's last version said.
    revisions : int
        Items that say something else under an id that was there before.
    day_only : int
        Items without a zone or a time of day, which count for the session after their day.
    without : tuple of str
        Wanted symbols of which there is no item.
    sources : dict of str to int
        Rows of each source, the largest first; empty without such a column.
    """

    rows: int
    outside: int
    other_symbols: int
    unnamed: int
    late: int
    duplicates: int
    revisions: int
    day_only: int
    without: tuple[str, ...]
    sources: dict[str, int]


@dataclass(frozen=True)
class NewsTable:
    """Items of a file, and what the file holds beside them."""

    items: NewsItems
    counts: NewsCounts


def read_news(path: Path, symbols: Sequence[str], rules: NewsRules) -> NewsTable:
    """Read the items of ``symbols`` from a long table.

    Columns are ``published_at``, ``symbol``, ``headline``, ``id``, and if need be ``received_at``, ``body`` and
    ``source``; case does not matter, nor whether a space stands for the underscore. A row is an item of one symbol.
    ``available_at`` is the later of publication and receipt, plus the lag. The same id with equal words is one item,
    from when it was first available; with other words it is a revision, which has its own moment.

    Raises
    ------
    DataError
        Listing everything that is wrong with the rows of ``symbols``, or saying why the file cannot be read.
    """
    table, problems = inspect_news(path, symbols, rules)
    if table is None:
        lines = [f"{path}: {len(problems)} problem(s) with news", *(f"  {it}" for it in problems)]
        raise DataError("\n".join(lines) if len(problems) > 1 else str(problems[0]))
    return table


def inspect_news(path: Path, symbols: Sequence[str], rules: NewsRules) -> tuple[NewsTable | None, list[Problem]]:
    """As :func:`read_news`, but with what is wrong as a list, and no table where there is something."""
    rows = read_rows(path, symbols, rules.body)
    stamps = {name: read_stamps(rows.columns[name]) for name in _STAMPS if name in rows.columns}
    texts = {name: clean(rows.columns[name]) for name in _TEXTS if name in rows.columns}
    texts.setdefault("body", np.full(len(rows.rows), "", object))
    problems = _problems(rows, stamps, texts, rules)
    if problems:
        return None, problems
    available, after = _availability(stamps, rules)
    every = NewsItems(
        symbols=tuple(symbols),
        close=rules.close,
        places=rows.places,
        available_at=available,
        after=after,
        ids=texts["id"],
        headlines=texts["headline"],
        bodies=texts["body"],
    )
    early = np.flatnonzero(_is_early(path, every, rules))
    versions = _versions(every.take(early))
    if versions.tied.size:
        rule = "one id with two texts at the same moment"
        repair = "Keep one of them, or write into received_at when the later one came."
        return None, [Problem(str(path), "", rule, rows.named(early[versions.tied]), repair)]
    items = every.take(early[versions.kept])
    return NewsTable(items, _counts(rows, items, len(early), versions.revisions)), []


def _is_early(path: Path, items: NewsItems, rules: NewsRules) -> BoolArray:
    """Which items came by the close of the last bar that is looked at; raises ``DataError`` where none did."""
    if rules.through is None:
        return np.ones(len(items), bool)
    (last,) = rules.close.instants(np.array([rules.through], "datetime64[D]"))
    early: BoolArray = items.available_at <= last
    if not early.any():
        first = items.available_at.min().astype("datetime64[s]")
        raise DataError(
            f"{path}: no news of the spec's symbols before the close of {rules.through} (data.end): the first of "
            f"{len(items):,} items is available from {first} UTC on; choose a later window, or another news.path"
        )
    return early


def _problems(rows: NewsRows, stamps: dict[str, Stamps], texts: dict[str, Texts], rules: NewsRules) -> list[Problem]:
    """Every rule that rows break by themselves."""
    found: list[tuple[str, BoolArray, str]] = [
        (f"{name} that is no time", stamp.unreadable, _ZONE) for name, stamp in stamps.items()
    ]
    found.append(("no published_at", stamps["published_at"].missing, f"Write it into these rows. {_ZONE}"))
    if rules.lag is None and "received_at" not in stamps:
        raise DataError(
            f"{rows.file} has no column received_at, so the spec has to say how long after published_at an item is in "
            'hand: news.lag = "5 min", or what your vendor takes; news.lag = 0 for at once'
        )
    if rules.lag is None:
        repair = 'Write it into these rows, or say in the spec how long an item takes: news.lag = "5 min".'
        found.append(("no received_at", stamps["received_at"].missing, repair))
    empty = {name: np.isin(texts[name].astype(str), _NOTHING) for name in ("id", "headline")}
    who = "column of floats" if pa.types.is_floating(rows.columns["id"].type) else "spreadsheet"
    rounded = _rounded(rows.columns["id"], texts["id"])
    found.append((f"id that a {who} has rounded", rounded, "Write it in full: others may have become the same."))
    found.append(("no id", empty["id"], "Give every item an id of its own; its address on the web will do."))
    found.append(("no headline", empty["headline"], "Write one, or delete these rows."))
    return [
        Problem(str(rows.file), "", rule, rows.named(np.flatnonzero(broken)), repair)
        for rule, broken, repair in found
        if broken.any()
    ]


def _rounded(column: pa.ChunkedArray, texts: Texts) -> BoolArray:
    """Which ids (n,) may be those of several items: 1.23E+12 as text, or a whole number that no double can hold."""
    if pa.types.is_floating(column.type):
        numbers = column.to_numpy(zero_copy_only=False).astype(np.float64)  # NaN where there is none
        return np.asarray(np.abs(numbers) >= _WHOLE)
    return np.array([_ROUNDED.match(text) is not None for text in texts.tolist()], bool)


def _availability(stamps: dict[str, Stamps], rules: NewsRules) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """From when on each item was in hand, and the day that its bar must be later than, where it has no moment."""
    midnight = SessionClose(_MIDNIGHT, rules.close.zone)
    length = len(stamps["published_at"].moments)
    available, after = np.full(length, "NaT", "datetime64[us]"), np.full(length, "NaT", "datetime64[D]")
    for stamp in stamps.values():
        ends = stamp.moments.copy()
        dated = ~np.isnat(stamp.days)
        ends[dated] = midnight.instants(stamp.days[dated])
        available, after = np.fmax(available, ends), np.fmax(after, stamp.days)
    available += np.timedelta64(rules.lag or timedelta(0))
    return available, after


@dataclass(frozen=True, eq=False)
class _Versions:
    """Rows that are items in their order, how many of them are revisions, and rows that cannot be told apart."""

    kept: IntArray
    revisions: int
    tied: IntArray


def _versions(items: NewsItems) -> _Versions:
    """Drop a row that says again what its item's last version said; order the others, whatever the rows' order."""
    words, places = items.headlines + "\x1f" + items.bodies, items.places
    ids, said = pd.factorize(items.ids)[0], pd.factorize(words)[0]
    moments, days = items.available_at.astype(np.int64), items.after.astype(np.int64)
    id_hash, word_hash = (pd.util.hash_array(text, categorize=False) for text in (items.ids, words))
    order = np.lexsort((word_hash, days, moments, ids, places))
    same = (places[order][1:] == places[order][:-1]) & (ids[order][1:] == ids[order][:-1])
    again = np.r_[False, same & (said[order][1:] == said[order][:-1])]
    revised = np.r_[False, same] & ~again
    at_once = np.r_[False, (moments[order][1:] == moments[order][:-1]) & (days[order][1:] == days[order][:-1])]
    clash = np.flatnonzero(revised & at_once)
    kept = order[~again]
    kept = kept[np.lexsort((word_hash[kept], id_hash[kept], days[kept], moments[kept], places[kept]))]
    return _Versions(kept, int(revised.sum()), order[np.union1d(clash, clash - 1)])


def _counts(rows: NewsRows, items: NewsItems, early: int, revisions: int) -> NewsCounts:
    there = np.zeros(len(items.symbols), bool)
    there[items.places] = True
    sources: dict[str, int] = {}
    if "source" in rows.columns:
        named = pc.value_counts(pc.fill_null(rows.columns["source"].cast(pa.string()), "")).to_pylist()
        sources = {it["values"]: it["counts"] for it in sorted(named, key=lambda it: (-it["counts"], it["values"]))}
    return NewsCounts(
        rows=rows.total,
        outside=rows.outside,
        other_symbols=rows.other_symbols,
        unnamed=rows.unnamed,
        late=len(rows.rows) - early,
        duplicates=early - len(items),
        revisions=revisions,
        day_only=int((~np.isnat(items.after)).sum()),
        without=tuple(np.array(items.symbols, object)[~there]),
        sources=sources,
    )
