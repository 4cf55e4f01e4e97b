"""A signal, its hits and a market's day as rows of the signal store, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any, overload

from ragsignal.types import Candidate, DatedHits, Hit, MarketDay, Movement, Prompt, Signal
from ragsignal.utils import read_stamp, stamp_text

SIGNAL_COLUMNS = "key, symbol, as_of, value, probability, abstained, hits, tokens, seconds, rank"
HITS_PLACE = 6  # the place of hits among them
SHARED = "set:"  # begins the hits of a row that shares them with others


class StoredHits(Sequence[Hit]):
    """Hits as they stand in a row, decoded on first look: a backtest that is replayed reads thousands and needs few.

    Equal to a tuple of the same hits.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def ids(self) -> list[str]:
        """Names of the candidates, read without making them: a table of a long run names millions."""
        # as they are written: score, name, ...
        return [record[1] for record in json.loads(self._text)]

    @cached_property
    def _hits(self) -> tuple[Hit, ...]:
        return tuple(_hit_of(record, rank) for rank, record in enumerate(json.loads(self._text)))

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Hit]: ...
    def __getitem__(self, at: int | slice) -> Hit | Sequence[Hit]:
        return self._hits[at]

    def __len__(self) -> int:
        return len(self._hits)

    def __eq__(self, other: object) -> bool:
        return self._hits == (other._hits if isinstance(other, StoredHits) else other)

    def __hash__(self) -> int:
        return hash(self._hits)

    def __repr__(self) -> str:
        return repr(self._hits)

    def __reduce__(self) -> Any:
        return StoredHits, (self._text,)


def signal_of(row: tuple[Any, ...], shared: DatedHits | None) -> Signal:
    """The signal of a row of ``SIGNAL_COLUMNS``; ``shared`` are its hits where the row only names them."""
    key, symbol, as_of, value, probability, abstained, hits, tokens, seconds, rank = row
    return Signal(
        symbol=symbol,
        as_of=read_stamp(as_of),
        value=value,
        probability=probability,
        abstained=abstained,
        hits=shared if shared is not None else (StoredHits(hits) if hits != "[]" else ()),
        key=key,
        tokens=tokens,
        seconds=seconds,
        rank=rank,
    )


def _hit_record(hit: Hit) -> list[Any]:
    candidate = hit.sequence
    return [
        hit.score,
        candidate.id,
        candidate.symbol,
        candidate.sequence,
        [stamp_text(day) for day in candidate.dates],
        list(candidate.values),
        list(candidate.scaled),
        int(candidate.movement),
        candidate.outcome,
        stamp_text(candidate.available_at),
    ]


def _hit_of(record: list[Any], rank: int) -> Hit:
    score, name, symbol, sequence, days, values, scaled, movement, outcome, available_at = record
    candidate = Candidate(
        id=name,
        symbol=symbol,
        sequence=sequence,
        dates=tuple(read_stamp(day) for day in days),
        values=tuple(values),
        scaled=tuple(scaled),
        movement=Movement(movement),
        outcome=outcome,
        available_at=read_stamp(available_at),
    )
    return Hit(candidate=candidate, score=score, rank=rank)


def day_record(day: MarketDay) -> str:
    """All that is known of a day, as JSON."""
    return json.dumps([day.day.isoformat(), day.state, day.payoffs, day.stocks, day.available_at.isoformat()])


def day_of(text: str) -> MarketDay:
    """The day of a ``day_record``."""
    day, state, payoffs, stocks, available_at = json.loads(text)
    return MarketDay(date.fromisoformat(day), tuple(state), tuple(payoffs), stocks, date.fromisoformat(available_at))


def row_of(recipe: str, signal: Signal, prompt: Prompt) -> tuple[Any, ...]:
    """A row of the table ``signals``; ``recipe`` is the digest of what made the signal."""
    text = f"{prompt.system}\n\n{prompt.text}" if prompt.system else prompt.text
    return (
        signal.key,
        recipe,
        signal.symbol,
        stamp_text(signal.as_of),
        signal.value,
        signal.probability,
        signal.abstained,
        _hits_text(signal.hits),
        text,
        signal.tokens,
        signal.seconds,
        signal.rank,
    )


def _hits_text(hits: Sequence[Hit]) -> str:
    if isinstance(hits, DatedHits):
        return SHARED + hits.digest if hits.known_through else "[]"
    return json.dumps([_hit_record(hit) for hit in hits])
