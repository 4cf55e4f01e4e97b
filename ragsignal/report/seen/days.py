"""Files of retrieved days: which they were, in which market, and what paid on them.

Each set of days travels once, a file a year, whichever variants retrieved it and for however many stocks; the days
themselves once, as a table to which the sets refer.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ragsignal.data import FACTOR_WORDS, MarketDays
from ragsignal.report.figures import Plotly, packed
from ragsignal.report.words import count, number, percent
from ragsignal.study import DayEvidence, market_in_words
from ragsignal.trading import RetrievedDays, RunResult, retrieved_of
from ragsignal.types import IntArray

_HOW = {  # what a retriever's days are, and its opposites
    "random": ("drawn by chance", "other days drawn by chance"),
    "recent": ("known last", "oldest days"),
    "regimes": (
        "of months whose macro variables were most like the latest",
        "days of the months that were most unlike it",
    ),
}
_ALIKE = ("most like it", "days most unlike it")


@dataclass(frozen=True)
class Shelf:
    """The days that a run's variants retrieved: each set of them once, whoever retrieved it.

    Parameters
    ----------
    markets : list of MarketDays
        The tables that days are retrieved out of.
    groups : list of tuple
        The place of a table, what is retrieved (:data:`_HOW`), and the evidence by day, of variants that retrieve the
        same.
    of_variant : dict of str to int
        The place among ``groups``.
    """

    markets: list[MarketDays]
    groups: list[tuple[int, tuple[str, str], tuple[DayEvidence, ...]]]
    of_variant: dict[str, int]

    def since(self, first: date) -> Shelf:
        """The same without the days before ``first``."""
        groups = [(place, how, tuple(it for it in found if it.as_of >= first)) for place, how, found in self.groups]
        return Shelf(self.markets, groups, self.of_variant)


def shelf_of(result: RunResult) -> Shelf:
    """Sort what a run's variants retrieved."""
    shelf, places = Shelf([], [], {}), dict[tuple[str, ...], int]()
    for variant in result.spec.variants:
        evidence = result.evidence.get(variant.name)
        if not evidence:
            continue
        how = _HOW.get(variant.retrieval.retriever, _ALIKE)
        key = (*how, *(it.as_of.isoformat() + it.hits.digest for it in evidence))
        if key not in places:
            places[key] = len(shelf.groups)
            shelf.groups.append((_place_of(evidence[-1].hits.table, shelf.markets), how, evidence))
        shelf.of_variant[variant.name] = places[key]
    return shelf


def years_of(evidence: Sequence[DayEvidence]) -> list[int]:
    """The years that have a file."""
    return sorted({it.as_of.year for it in evidence})


def day_files(shelf: Shelf) -> Iterator[tuple[str, Plotly]]:
    """Name and data of each file: of every table, and of every group a year."""
    for place, table in enumerate(shelf.markets):
        yield f"market-{place}", _market(table)
    for place, (_, how, evidence) in enumerate(shelf.groups):
        for year in years_of(evidence):
            days = [it for it in evidence if it.as_of.year == year]
            summed = retrieved_of({"": days})[""]
            pairs = zip(days, summed, strict=True)
            yield f"days-{place}-{year}", {it.as_of.isoformat(): _day(it, words_of(sums, how)) for it, sums in pairs}


def words_of(days: RetrievedDays, how: tuple[str, str] = _ALIKE) -> str:
    """Say what was retrieved on a day: in which market, out of which years, and what paid."""
    most = list(days.years.items())[:3]
    years = _joined([f"{year} ({percent(share, 0)})" for year, share in most])
    if len(days.years) > len(most) and sum(share for _, share in most) < 0.5:
        years = f"are spread over {len(days.years)} years, most of them in {years}"
    else:
        years = f"lie mostly in {years}"
    together = f", and with a minus sign on the {count(days.unlike)} {how[1]}," if days.unlike else ""
    return (
        f"On {days.as_of} {market_in_words(days.state)}. The {count(days.alike)} days {how[0]}, of "
        f"{count(days.visible)} whose outcomes were known, {years}. On them{together} {_most(days)}."
    )


def _most(days: RetrievedDays) -> str:
    name, payoff = next(iter(days.pooled.items()))
    side = "a high rank paid" if payoff > 0 else "a low rank paid"
    return f"{FACTOR_WORDS[name]} mattered most: {side} ({number(payoff, 3, signed=True)})"


def _joined(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _day(found: DayEvidence, sentence: str) -> Plotly:
    """Rows of the table that were retrieved, with their similarity less 1 where they are unlike; state and payoffs."""
    return {
        "rows": _packed_rows(found.hits.rows),
        "scores": packed(found.hits.scores),
        "sentence": sentence,
        "state": [[it.text, round(it.z, 3), it.standing] for it in found.state],
        "pooled": packed(list(found.pooled.values())),
    }


def _market(table: MarketDays) -> Plotly:
    """A table, row by row: days, and those on which their payoffs were known, as numbers since 1970 (NaN: not yet).

    ``level`` is what a holder of each day's median stock would have, ``payoffs`` 41 numbers a row.
    """
    known = np.where(np.isnat(table.available_at), np.nan, table.available_at.astype(np.int64))
    return {
        "days": packed(table.days.astype(np.int64)),
        "level": packed(100.0 * np.exp(np.cumsum(np.nan_to_num(table.market)))),
        "known": packed(known),
        "payoffs": packed(table.payoffs.ravel()),
    }


def _packed_rows(rows: IntArray) -> str:
    """uint16, little-endian, base64: no table has 65,536 days."""
    return base64.b64encode(rows.astype("<u2").tobytes()).decode("ascii")


def _place_of(table: MarketDays, tables: list[MarketDays]) -> int:
    """The place of an equal table among those that are there; else it is added."""
    for place, other in enumerate(tables):
        same = len(other.days) == len(table.days) and bool((other.row_digests == table.row_digests).all())
        if other is table or same:
            return place
    tables.append(table)
    return len(tables) - 1
