"""Does the retrieval of days see the past only? Every signal's hits, a table that ends at the query's day, and plants.

    every signal     the last of its days was known as of its own; all of them are read on some
    truncated table  days of prices that end at as_of, built anew: the same days, with the same payoffs
    planted          a day of the query's very state whose payoffs were known a day too late: must not be returned
    leaky retriever  one that returns the planted day: the pipeline must refuse with LookAheadError

The truncated table is what catches payoffs that look further ahead than they say: on the last days of the prices they
cannot have been made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import TypedDict

import numpy as np
import pandas as pd

from ragsignal.audit.signals.planted import LeakyRetriever, is_refused
from ragsignal.audit.signals.variants import AuditedVariant, late_hits, spread_from_last
from ragsignal.audit.signals.visibility import DayView
from ragsignal.audit.verdict import Finding
from ragsignal.config import Variant
from ragsignal.data import DayHits, MarketDays, market_states
from ragsignal.errors import LookAheadError
from ragsignal.retrieval import DayRetriever, RandomDays
from ragsignal.signals import queries_of
from ragsignal.study import Materials, Study
from ragsignal.types import FloatArray, Hit, MarketDay, Query, Signal, known_through

DAYS = 6
"""Days on which hits are compared with those of a table that ends there, and for which a day is planted."""
_SAME = 1e-9  # of a similarity: sums over tables of different length are taken in another order


class DaysTested(TypedDict, total=False):
    """What was tested of a variant: signals with days, truncated tables, planted days."""

    signals: int
    with_days: int
    days_read: int
    known_too_late: int
    truncated_days: int
    truncated_moved: list[str]
    baits: int
    baits_taken: int
    baits_found_when_known: int | None
    lies_refused: int


@dataclass(frozen=True, eq=False, repr=False)
class BaitedDays(MarketDays):
    """Days of which one, in row ``bait``, has the state of the one in row ``like``."""

    bait: int
    like: int

    @cached_property
    def states(self) -> FloatArray:
        """As the market was, but for the bait."""
        states = market_states(self.market, self.dispersion)
        states[self.bait] = states[self.like]
        return states


def baited(days: MarketDays, as_of: date, embargo: int, known: bool) -> BaitedDays | None:
    """Plant a day for the queries of a day: in the place of the last that they see, or of the first that they do not.

    It has their state, and every factor paid 1 on it; where it is not ``known``, it will be a day later. None where
    the queries see no day.
    """
    like, seen = days.row(as_of), days.visible(as_of, embargo)
    if like is None or not len(seen) or not np.isfinite(days.states[like, 0]):
        return None
    bait = int(seen[-1]) + (not known)
    payoffs, available_at = days.payoffs.copy(), days.available_at.copy()
    payoffs[bait] = 1.0
    if not known:
        available_at[bait] = np.datetime64(as_of + timedelta(days=1))
        available_at[bait + 1 :] = np.maximum(available_at[bait + 1 :], available_at[bait])  # NaT stays NaT
    columns = {name: getattr(days, name) for name in ("days", "market", "dispersion", "stocks", "horizon")}
    return BaitedDays(**columns, payoffs=payoffs, available_at=available_at, bait=bait, like=like)


def late_days(signals: Iterable[Signal]) -> tuple[int, list[str]]:
    """How many signals have days, and for which of them one was not known yet."""
    pairs = [(signal, last) for signal in signals if (last := known_through(signal.hits)) is not None]
    late = [f"{it.symbol} as of {it.as_of}: a day known on {last}" for it, last in pairs if last > it.as_of]
    return len(pairs), late


@dataclass
class DayRetrievalTest:
    """The test of all variants of one spec that retrieve days; they share truncated tables.

    Parameters
    ----------
    study : Study
    frames : mapping of symbol to DataFrame
        The traded bars.
    """

    study: Study
    frames: Mapping[str, pd.DataFrame]
    _truncated: dict[date, MarketDays] = field(default_factory=dict)

    def finding(self, audited: AuditedVariant) -> Finding:
        """``retrieval`` of one variant."""
        queries = queries_of(self.frames, audited.source.lookback)
        first = {query.as_of: query for query in audited.whole_queries(self.frames)}
        chosen = [first[day] for day in spread_from_last(sorted(first), DAYS)]
        try:
            count, late = late_days(audited.source.signals(queries))
            read, read_late = late_hits(audited.source.signals(chosen))
        except LookAheadError as error:
            return Finding("retrieval", audited.name, "failed", f"Its retriever looked ahead: {error}")
        late += read_late
        evidence: DaysTested = {"signals": len(queries), "with_days": count, "days_read": read}
        evidence |= {"known_too_late": len(late), "truncated_days": 0, "truncated_moved": []}
        evidence |= {"baits": 0, "baits_taken": 0, "baits_found_when_known": 0, "lies_refused": 0}
        for pipeline, part in audited.source.parts(chosen):
            for query in part:
                assert isinstance(pipeline.retriever, DayRetriever)
                self._truncate(evidence, audited.variant, pipeline.retriever, query.as_of)
                _plant(evidence, pipeline.retriever, query)
        return _judged(audited.name, evidence, late)

    def _truncate(self, evidence: DaysTested, variant: Variant, retriever: DayRetriever, day: date) -> None:
        """Compare what is retrieved as of a day with what is from days of prices that end there."""
        if day not in self._truncated:
            spec = self.study.spec
            data = spec.data.model_copy(update={"end": day})
            self._truncated[day] = Materials(data, spec.corpus, self.study.prices).own_days
        own, steps = self._truncated[day], self.study.steps(variant)
        ((parts, step),) = [it for it in steps if it[0].spec.data.start <= day <= it[0].spec.data.end]
        view = DayView(step.retrieval.embargo, parts.brought_days(step.retrieval))
        evidence["truncated_days"] += 1
        if not _same(retriever.of_day(day), retriever.over(view.joined(own)).of_day(day)):
            evidence["truncated_moved"].append(str(day))


def _same(whole: DayHits, cut: DayHits) -> bool:
    """The same days with the same payoffs, as near."""
    days = whole.table.days[whole.rows], cut.table.days[cut.rows]
    return (
        np.array_equal(*days)
        and np.array_equal(whole.payoffs, cut.payoffs)
        and np.allclose(whole.scores, cut.scores, rtol=0.0, atol=_SAME)
    )


def _plant(evidence: DaysTested, retriever: DayRetriever, query: Query) -> None:
    """Plant a day that is known too late, the same in time, and a retriever that returns the first."""
    late, known = (baited(retriever.days, query.as_of, retriever.embargo, known) for known in (False, True))
    if late is None or known is None:
        return
    lie = LeakyRetriever(retriever, DayHits(late, np.array([late.bait]), np.array([1.0])))
    evidence["baits"] += 1
    evidence["baits_taken"] += late.bait in retriever.over(late).of_day(query.as_of).rows
    evidence["lies_refused"] += is_refused(lie, query)
    if isinstance(retriever, RandomDays):  # chance finds no planted day, however near
        evidence["baits_found_when_known"] = None
    elif evidence["baits_found_when_known"] is not None:
        evidence["baits_found_when_known"] += known.bait in retriever.over(known).of_day(query.as_of).rows


def _judged(name: str, evidence: DaysTested, late: list[str]) -> Finding:
    """The verdict of one variant; its control is the planted late day that has to be counted."""
    moved, accepted = evidence["truncated_moved"], evidence["baits"] - evidence["lies_refused"]
    faults = [
        f"{len(late)} days were not known yet: {late[0]}" if late else "",
        f"other days are retrieved when prices end with the query's: {moved[0]}" if moved else "",
        f"{evidence['baits_taken']} planted days that were known too late were returned"
        * bool(evidence["baits_taken"]),
        f"the pipeline accepted {accepted} days that were not known yet" if accepted else "",
    ]
    if any(faults):
        words = f"It looks ahead: {'; '.join(filter(None, faults))}. Repair the retriever, then delete its signals."
        return Finding("retrieval", name, "failed", words, evidence)
    if not _counts_a_late_day():
        words = "A planted day that was known too late was not counted: this test is blind."
        return Finding("retrieval", name, "broken", words, evidence)
    if not evidence["with_days"]:
        return Finding("retrieval", name, "unknown", "No signal has a day: there is nothing to test.", evidence)
    words = f"The days of all {evidence['with_days']} signals were known as of their own{_extent(evidence)}."
    return Finding("retrieval", name, "passed", words, evidence)


def _extent(evidence: DaysTested) -> str:
    """What else was tested."""
    parts = [f"on {evidence['truncated_days']} days the same are retrieved when prices end there"]
    if evidence["baits"]:
        in_time = evidence["baits_found_when_known"]
        known = "" if in_time is None else f", but {in_time} when it was known in time"
        parts.append(f"none of {evidence['baits']} planted days that were known too late was returned{known}")
        parts.append("the pipeline refused a retriever that lies")
    return "".join(f"; {part}" for part in parts)


def _counts_a_late_day() -> bool:
    """The control: a signal of one day with a day that was known on the next."""
    day = date(2020, 1, 2)
    late = MarketDay(day, (), (), 0, available_at=day + timedelta(days=1))
    count, found = late_days([Signal("A", day, 0.0, 0.5, None, (Hit(late, 1.0, 0),), key="")])
    return count == len(found) == 1
