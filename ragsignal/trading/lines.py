"""Lines that say nothing before the first bar of their feed, where Backtrader's say what they do on its last."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import backtrader as bt

_MOST_CLOCKS = 20  # between a line and its feed


class SignalLine(bt.linebuffer.LineBuffer):
    """A line of one value a bar of a feed; before its first bar it is ``neutral``, in every mode.

    Backtrader's own line is read at its last place then, where bars are preloaded: what the last day will bring. The
    same holds for an indicator inside another, which batch mode leaves at its end.
    """

    neutral: float
    feed: Any
    inside: bool

    @classmethod
    def guard(cls, line: Any, neutral: float, feed: Any, *, inside: bool) -> None:
        """Make a line of Backtrader one of these; ``inside``: its indicator stands inside another."""
        line.__class__ = cls
        line.neutral, line.feed, line.inside = neutral, feed, inside

    def __getitem__(self, ago: int) -> float:
        bars = len(self.feed) if self.inside and not self.lencount else min(self.lencount, len(self.feed))
        if bars + ago <= 0:
            return self.neutral
        # under exactbars the array holds the last bars alone, and Backtrader's own place in it is right
        return float(super().__getitem__(ago) if bars == self.lencount else self.array[bars - 1 + ago])

    def get(self, ago: int = 0, size: int = 1) -> list[float]:
        """The last ``size`` values up to ``ago``; none where that is before the first bar."""
        bars = len(self.feed) if self.inside and not self.lencount else min(self.lencount, len(self.feed))
        if bars + ago <= 0:
            return []
        if bars == self.lencount:
            return list(super().get(ago, size))
        return [self[ago - back] for back in range(size - 1, -1, -1)]


class LineGuard(bt.Analyzer):
    """Lets all indicators of a strategy be NaN before the first bar of their feed, as they are in their warm-up.

    Backtrader's batch mode gives their last value there, which is the future; of an indicator inside another it gives
    it at every bar: here that is the value of the present one.
    """

    def start(self) -> None:
        """Guard the lines; those that are guarded already stay as they are."""
        for _, feed, line in lines_of(self.strategy):
            if not isinstance(line, SignalLine | _BegunLine):
                kind: Any = type(line)
                line.__class__ = _begun(kind)
                line._feed = feed


class _BegunLine:
    """What is laid over the class of a line."""

    _feed: Any
    _idx: int
    array: Any
    lencount: int

    def __getitem__(self, ago: int) -> float:
        place = (self._idx if self.lencount else len(self._feed) - 1) + ago
        return float(self.array[place]) if place >= 0 else float("nan")

    def get(self, ago: int = 0, size: int = 1) -> list[float]:
        """The last ``size`` values up to ``ago``; none where that is before the first bar."""
        if not self.lencount:
            return [self[ago - back] for back in range(size - 1, -1, -1)] if len(self._feed) + ago > 0 else []
        values: list[float] = super().get(ago, size) if self._idx + ago >= 0 else []  # type: ignore[misc]
        return values


@functools.cache
def _begun(kind: Any) -> Any:
    return type(kind)(f"Begun{kind.__name__}", (_BegunLine, kind), {})


def lines_of(strategy: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (label, feed whose bars it counts, line) of every indicator of a strategy and of every one inside it."""
    feeds: dict[int, Any] = {}
    for data in strategy.datas:
        feeds |= {id(data): data, id(data.lines): data} | {id(line): data for line in data.lines}

    def walk(owner: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
        for child in getattr(owner, "_lineiterators", {}).get(bt.LineIterator.IndType, []):
            feed = _feed_of(child, feeds)
            if feed is None:
                continue  # it counts bars of its own making: at which of them it stands cannot be told
            label = f"{path}{type(child).__name__}({feed._name})"
            for line, name in named_lines(child):
                yield f"{label}.{name}" if name else label, feed, line
            yield from walk(child, f"{label} > ")

    yield from walk(strategy, "")


def named_lines(owner: Any) -> Iterator[tuple[Any, str]]:
    """Yield (line, name) of an indicator or a strategy, with an empty name for a line that has none."""
    aliases = owner.lines.getlinealiases() if hasattr(owner.lines, "getlinealiases") else ()
    for place, line in enumerate(owner.lines):
        yield line, aliases[place] if place < len(aliases) else ""


def _feed_of(child: Any, feeds: dict[int, Any]) -> Any:
    """Go up the clocks until a feed, or a line of one, is met."""
    clock = child
    for _ in range(_MOST_CLOCKS):
        if clock is None:
            return None
        if id(clock) in feeds:
            return feeds[id(clock)]
        if isinstance(clock, bt.lineseries.LineSeriesStub) and id(clock.lines[0]) in feeds:
            return feeds[id(clock.lines[0])]
        above = getattr(clock, "_clock", None)
        clock = above if above is not None else getattr(getattr(clock, "_owner", None), "_clock", None)
    return None
