"""What a source of bars gives, and what is said of bars that are not traded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

_SAME = 1e-6  # relative: a vendor's float32 differs by less from one download to the next
_CENT = 1e-3  # open and close may lie outside low..high by this part: vendors round each of the four on its own

Kind = Literal["late", "duplicate", "revision", "rescaled", "bad", "early", "gap", "silent", "source", "clock"]
"""What a :class:`Event` tells of."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of one symbol, back-adjusted; it is known at the close of ``day``."""

    symbol: str
    day: date
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def values(self) -> tuple[float, float, float, float, float]:
        """Open, high, low, close, volume."""
        return self.open, self.high, self.low, self.close, self.volume

    def same_as(self, values: Sequence[float], tolerance: float = _SAME) -> bool:
        """Whether ``values`` are this bar's, but for rounding."""
        pairs = zip(self.values, values, strict=True)
        return all(abs(own - other) <= tolerance * max(abs(own), abs(other)) for own, other in pairs)

    def times(self, factor: float) -> Bar:
        """The bar in another basis: prices times ``factor``, volume divided by it."""
        opened, high, low, close = (factor * price for price in self.values[:4])
        return Bar(self.symbol, self.day, opened, high, low, close, self.volume / factor)

    @property
    def fault(self) -> str | None:
        """The rule that the bar breaks, or None; not-a-number breaks one."""
        prices = self.values[:4]
        if not all(0.0 < price < float("inf") for price in prices):
            return "prices missing or not above zero"
        if not 0.0 <= self.volume < float("inf"):
            return "volume missing or negative"
        if self.high < self.low:
            return "high below low"
        outside = max(self.open, self.close) > self.high * (1 + _CENT) or min(self.open, self.close) < self.low * (
            1 - _CENT
        )
        return "open or close outside low..high" if outside else None


@dataclass(frozen=True, slots=True)
class Event:
    """Something about bars that a person may want to know: what happened, and what can be done.

    Parameters
    ----------
    kind : str
    symbol : str
        Empty where no single symbol is meant.
    day : date, optional
    words : str
    """

    kind: Kind
    symbol: str
    day: date | None
    words: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.symbol, str(self.day or "")) if part) + f": {self.words}"


@dataclass
class Polled:
    """What one look at a source brought: bars, oldest first within a symbol, and what could not be read."""

    bars: list[Bar] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class BarSource(Protocol):
    """Where bars come from."""

    symbols: tuple[str, ...]

    def poll(self) -> Polled:
        """All that is new or changed since the last call, at first everything; a bar may be given again."""
        ...
