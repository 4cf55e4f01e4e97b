"""A feed that does not end: bars as they come, a journal that survives a kill, and a paper account."""

from __future__ import annotations

from ragsignal.trading.live.bars import Bar, BarSource, Event, Polled
from ragsignal.trading.live.feed import LiveFeed
from ragsignal.trading.live.folder import FolderSource
from ragsignal.trading.live.heartbeat import Heartbeat
from ragsignal.trading.live.intake import Intake
from ragsignal.trading.live.journal import LiveDay, LiveJournal
from ragsignal.trading.live.market import LiveMarket, LiveOptions
from ragsignal.trading.live.paper import PaperBroker
from ragsignal.trading.live.run import live_cerebro, run_live, run_market
from ragsignal.trading.live.yahoo import YahooSource

__all__ = [
    "Bar",
    "BarSource",
    "Event",
    "FolderSource",
    "Heartbeat",
    "Intake",
    "LiveDay",
    "LiveFeed",
    "LiveJournal",
    "LiveMarket",
    "LiveOptions",
    "PaperBroker",
    "Polled",
    "YahooSource",
    "live_cerebro",
    "run_live",
    "run_market",
]
