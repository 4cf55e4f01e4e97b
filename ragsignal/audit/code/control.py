"""The control of the audit: known leaks, planted on the user's own bars, must be caught by the very same functions.

If one is not, the audit says that it is broken, and nothing else: its silence about the user's code would mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import backtrader as bt
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.subjects import Subject
from ragsignal.audit.verdict import Finding

TEST = "control"


class TradesTomorrow(bt.Strategy):
    """Reads tomorrow's close, which preloaded bars give away."""

    def next(self) -> None:
        """Be long where the next close is higher."""
        try:
            rises = self.data.close[1] > self.data.close[0]
        except IndexError:
            return
        self.order_target_size(target=10 if rises else -10)


class ReadsAhead(bt.Indicator):
    """An honest next(), and a once() that is one bar ahead."""

    lines = ("close",)

    def next(self) -> None:
        """What it says it is."""
        self.l.close[0] = self.data.close[0]

    def once(self, start: int, end: int) -> None:
        """What it is."""
        closes, out = self.data.close.array, self.l.close.array
        for bar in range(start, end):
            out[bar] = closes[min(bar + 1, end - 1)]


class FillsAtOnce(bt.Strategy):
    """Buys and sells at the close that it has just seen."""

    def __init__(self) -> None:
        self.broker.set_coc(True)

    def next(self) -> None:
        """Turn around on every bar."""
        self.order_target_size(target=10 if len(self) % 2 else 0)


class NeedsAnotherBar(bt.Strategy):
    """Raises on its first day unless another follows, and does nothing else that a cut could show."""

    def prenext(self) -> None:
        """Begin with the first feed."""
        self.next()

    def next(self) -> None:
        """Buy the first feed that has a bar, once."""
        if len(self) == 1:
            begun = next(data for data in self.datas if len(data))
            self.order_target_size(begun, target=10 if begun.close[1] > 0 else 0)


def next_return(frame: pd.DataFrame) -> pd.Series:
    """The return of the next bar, as a feature."""
    return frame["close"].shift(-1) / frame["close"] - 1


PLANTED = (
    Subject(f"{__name__}:TradesTomorrow", "strategy"),
    Subject(f"{__name__}:ReadsAhead", "indicator"),
    Subject(f"{__name__}:next_return", "function"),
    Subject(f"{__name__}:FillsAtOnce", "strategy"),
    Subject(f"{__name__}:NeedsAnotherBar", "strategy"),
)
CAUGHT_BY = (
    ("prefix", "poison", "modes"),
    ("prefix", "poison", "modes"),
    ("prefix", "poison"),
    ("fills",),
    ("prefix",),
)
"""Which tests have to catch which of ``PLANTED``."""
_FEEDS = 4


def few_feeds(market: Market) -> Market:
    """The feeds whose closes change most often: planted leaks need no more, and a hundred would take minutes."""
    moves = {symbol: frame["close"].nunique() for symbol, frame in market.frames.items()}
    chosen = sorted(moves, key=lambda symbol: -moves[symbol])[:_FEEDS]  # stable: of equals, the first
    return Market({symbol: market.frames[symbol] for symbol in chosen})


def finding(findings: Sequence[Finding], market: Market) -> Finding:
    """Whether every planted leak was caught by every test that is there to catch it."""
    verdicts = {(finding.test, finding.subject): finding.verdict for finding in findings}
    caught = {
        leak.name.split(":")[1]: {test: verdicts[test, leak.label] == "failed" for test in tests}
        for leak, tests in zip(PLANTED, CAUGHT_BY, strict=True)
    }
    missed = [
        f"{test} ({name})" for name, tests in caught.items() for test, is_caught in tests.items() if not is_caught
    ]
    if not missed:
        words = f"{len(PLANTED)} leaks planted on these bars, each caught by every test that is there to catch it."
        return Finding(TEST, "the audit itself", "passed", words, {"planted": caught})
    words = f"The audit is broken: a planted leak was not caught by {', '.join(missed)}. {_why(market)}"
    return Finding(TEST, "the audit itself", "broken", words.strip(), {"planted": caught})


def _why(market: Market) -> str:
    if all(frame["close"].nunique() <= 1 for frame in market.frames.values()):
        return "The closes of these bars never change: no look-ahead could show on them. Choose other bars."
    if len(market.days) < 3:
        return f"There are {len(market.days)} bars only: choose a longer window."
    return ""
