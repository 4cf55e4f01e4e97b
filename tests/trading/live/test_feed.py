"""The growing feed in a Cerebro of one's own: live, in step, guarded, and told of."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import ragsignal
from ragsignal.errors import LookAheadError
from ragsignal.trading.live import FolderSource, LiveFeed, LiveJournal, LiveMarket, PaperBroker, live_cerebro
from ragsignal.trading.live.run import about_of, checked_variant
from tests.trading.live.made import GrowingFolder, append, at_once, days, live_spec, write_history

COME = days(8)


class Witness(bt.Strategy):
    """Keeps what it is told, and on which of its feeds' days."""

    params = (("signal", None), ("early", False))

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.told: list[tuple[str, str]] = []
        self.lines_of = [self.p.signal(data) for data in self.datas] if self.p.signal else []

    def notify_data(self, data: Any, status: int, *_: Any) -> None:
        self.told.append((data._name, data._getstatusname(status)))

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if self.p.early:
            self.datas[1].close[0]
        self.seen.append(tuple(data.datetime.date(0) if len(data) else None for data in self.datas))


def market_on(source: FolderSource, folder: Path, journal: LiveJournal, variant: str = "momentum") -> LiveMarket:
    spec = live_spec(folder)
    chosen = checked_variant(spec, variant)
    journal.begin(about_of(spec, chosen))
    return LiveMarket(spec, chosen, source, journal, at_once(wait=0.0))


def witness(market: LiveMarket, **params: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for symbol in market.symbols:
        cerebro.adddata(LiveFeed(market=market), name=symbol)
    cerebro.addstrategy(Witness, **params)
    (ran,) = cerebro.run()
    return ran


def test_feeds_go_in_step_and_say_when_they_are_live(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices", through=COME[2])
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        ran = witness(market_on(GrowingFolder(folder, iter(COME[3:])), folder, journal))
    assert ran.seen == [(day, day) for day in COME]
    assert [it for it in ran.told if it[0] == "AAA"] == [("AAA", "DELAYED"), ("AAA", "LIVE")]


def test_a_live_feed_is_live_to_cerebro(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices", through=COME[2])
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        market = market_on(FolderSource(folder, ("AAA", "BBB")), folder, journal)
        feed = LiveFeed(market=market)
        assert feed.islive()
        assert feed.haslivedata()
        market.stop("enough")
        witness(market)


def test_a_feed_without_a_bar_waits_for_its_next_one(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices")

    to_come = iter(COME[:3])

    class Holes(FolderSource):
        def poll(self) -> Any:
            day = next(to_come, None)
            if day is not None:
                append(folder, day, ("AAA",) if day == COME[1] else ("AAA", "BBB"))
            return super().poll()

    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        ran = witness(market_on(Holes(folder, ("AAA", "BBB")), folder, journal))
    assert ran.seen == [(COME[0], COME[0]), (COME[1], COME[0]), (COME[2], COME[2])]


def test_a_price_before_the_first_bar_cannot_be_read(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices")
    append(folder, COME[0], ("AAA",))
    append(folder, COME[1], ("AAA",))
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        market = market_on(FolderSource(folder, ("AAA", "BBB")), folder, journal)
        with pytest.raises(LookAheadError, match="the close of BBB is read before its first bar"):
            witness(market, early=True)


def test_rag_momentum_speaks_bar_by_bar_on_feeds_of_ones_own_cerebro(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices")
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        market = market_on(GrowingFolder(folder, iter(COME)), folder, journal, "vote")
        ran = witness(market, signal=partial(ragsignal.RagMomentum, source=market.signals))
    signals = [it.evidence() for it in ran.lines_of]
    assert [(it.symbol, it.as_of, it.abstained) for it in signals] == [
        ("AAA", COME[-1], None),
        ("BBB", COME[-1], None),
    ]


def test_nothing_happens_to_the_paper_account_between_two_bars(tmp_path: Path) -> None:
    folder = write_history(tmp_path / "prices", through=COME[3])
    with LiveJournal.opened(tmp_path / "journal.sqlite") as journal:
        market = market_on(FolderSource(folder, ("AAA", "BBB")), folder, journal)
        cerebro = live_cerebro(market)
        (ran,) = cerebro.run()
        broker = ran.broker
        assert isinstance(broker, PaperBroker)
        value, waiting = broker.getvalue(), len(broker.submitted) + len(broker.pending)
        broker.next()
        assert (broker.getvalue(), len(broker.submitted) + len(broker.pending)) == (value, waiting)
