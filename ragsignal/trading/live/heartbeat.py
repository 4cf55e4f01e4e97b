"""A sign of life: a line at most each interval, as JSON into a file and as words to people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.data import SessionClose
from ragsignal.errors import StoreError
from ragsignal.trading.live.bars import Event
from ragsignal.trading.live.market import LiveMarket

_NAMED = 5  # symbols in a line


class Heartbeat:
    """Listens to a market, and writes where it stands.

    Parameters
    ----------
    market : LiveMarket
    path : Path
        A line of JSON a beat is added to it, and one for each event.
    every : float
        Seconds between two beats at least; a traded day is told of at once.
    say : callable
        Told the same in words.

    Raises
    ------
    StoreError
        From here and from every method, if the file cannot be written.
    """

    def __init__(self, market: LiveMarket, path: Path, every: float, say: Callable[[str], None]) -> None:
        self._market, self._every, self._say = market, every, say
        self._path = path
        with self._writable():
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
            self._file = path.open("a", encoding="utf-8")
            if torn:  # by a kill within a line
                self._file.write("\n")
        self._last = -float("inf")
        self._told: object = None
        market.listen(self.hear)

    def hear(self, events: Sequence[Event]) -> None:
        """Tell of events, and, where it is time or a day was traded, of the account."""
        for event in events:
            self._write({"event": event.kind, "symbol": event.symbol, "day": event.day, "words": event.words})
            self._say(str(event))
        now, status = time.monotonic(), self._market.status
        if (
            status.live
            and status.stopping is None
            and (now - self._last >= self._every or status.day is not self._told)
        ):
            self.beat()

    def beat(self) -> None:
        """Write a line."""
        self._last, self._told = time.monotonic(), self._market.status.day
        line = self._line()
        self._write(line)
        self._say(_words(line))

    def close(self) -> None:
        """Write the last line, and let go of the file."""
        try:
            self.beat()
        finally:
            with self._writable():
                self._file.close()

    def _line(self) -> dict[str, Any]:
        market, status = self._market, self._market.status
        account = market.account
        return {
            "state": "stopped" if status.stopping else "live" if status.live else "delayed",
            "why": status.stopping,
            "last_bar": None if status.day is None else status.day.day,
            "lag_s": self._lag(),
            "waits_for": market.intake.missing[:_NAMED],
            "equity": account.get("equity"),
            "cash": account.get("cash"),
            "positions": len(account.get("positions", ())),
            "orders": len(account.get("orders", ())),
            "latency_ms": None if status.latency is None else round(1e3 * status.latency, 1),
            "counts": dict(market.intake.counts),
        }

    def _lag(self) -> float | None:
        """Seconds since the close of the last bar; without a time of the close, since the end of its day in UTC."""
        day, close = self._market.status.day, self._market.spec.data.close
        if day is None:
            return None
        now = self._market.options.clock()
        if close is None:
            over = datetime(day.day.year, day.day.month, day.day.day, tzinfo=UTC) + timedelta(days=1)
            return round((now - over).total_seconds())
        known = SessionClose.parse(close).instants(np.array([day.day], dtype="datetime64[D]"))[0]
        return float((np.datetime64(now.replace(tzinfo=None), "s") - known) / np.timedelta64(1, "s"))

    def _write(self, line: dict[str, Any]) -> None:
        at = self._market.options.clock().isoformat(timespec="milliseconds")
        with self._writable():
            self._file.write(json.dumps({"at": at, **line}, default=str) + "\n")
            self._file.flush()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the heartbeat cannot be written to {self._path}: {error}; make room there, and start the run again: "
                "it goes on where it was"
            ) from error


def _words(line: dict[str, Any]) -> str:
    lag = (
        "no bar yet" if line["last_bar"] is None else f"last bar {line['last_bar']}, {line['lag_s'] / 3600:,.1f} h ago"
    )
    parts = [f"{line['state']}: {lag}"]
    if line["equity"] is not None:
        parts.append(f"equity {line['equity']:,.2f}, {line['positions']} positions, {line['orders']} open orders")
    if line["waits_for"]:
        parts.append(f"waits for {', '.join(line['waits_for'])}")
    if line["latency_ms"] is not None:
        parts.append(f"{line['latency_ms']:g} ms from bar to orders")
    return "; ".join(parts) + (f" ({line['why']})" if line["why"] else "")
