"""Before the first bar of a feed its lines say nothing, in every mode; Backtrader's say what they do on the last."""

from __future__ import annotations

import itertools
import math
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from ragsignal.errors import LookAheadError
from ragsignal.strategies import ReversalBook, SkippedReturn
from ragsignal.strategies.base import SignalTrader
from ragsignal.trading.broker import AccountBroker
from ragsignal.trading.engine import trade
from ragsignal.trading.feed import GuardedFeed
from ragsignal.trading.indicator import NO_BAR, RagMomentum
from ragsignal.types import Query, Signal
from tests.fakes import market
from tests.specs import HOLD, spec

FRAMES = market()
OLD, NEW = FRAMES["AA"], FRAMES["BB"].iloc[30:]
MODES: list[dict[str, Any]] = [
    {"preload": preload, "runonce": runonce, "exactbars": exactbars}
    for preload, runonce, exactbars in itertools.product((True, False), (True, False), (False, 1, -1, -2))
]
BATCH: dict[str, Any] = {}
STEPS: dict[str, Any] = {"runonce": False}
Rag: Any = RagMomentum  # its params are keyword arguments, which Backtrader's metaclass adds
NEUTRAL = (0.0, 0.5, 0.0, 1.0)


class Rises:
    """Has a view from the first bar on: what is neutral comes from nowhere else."""

    lookback = 0

    def signals(self, queries: list[Query]) -> list[Signal]:
        return [Signal(it.symbol, it.as_of, 0.4, 0.7, None, (), f"{it.as_of}", rank=0.9) for it in queries]


class Reads(bt.Strategy):
    """Notes the lines of the late feed and its evidence at every bar of the early one."""

    params = (("make", lambda data: Rag(data, source=Rises())),)

    def __init__(self) -> None:
        self.made = self.p.make(self.data1)
        self.rag = getattr(self.made, "rag", self.made)
        self.notes: list[tuple[int, tuple[float, ...], Any]] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        lines = self.rag.l.signal[0], self.rag.probability[0], self.rag.lines.rank[0], self.rag.lines[3][0]
        self.notes.append((len(self.data1), lines, self.rag.evidence()))


def read(modes: dict[str, Any], add: Any = None, **params: Any) -> list[tuple[int, tuple[float, ...], Any]]:
    cerebro = bt.Cerebro(stdstats=False, **modes)
    for name, frame in (("OLD", OLD), ("NEW", NEW)):
        feed = bt.feeds.PandasData(dataname=frame, openinterest=None)
        getattr(cerebro, "adddata" if name == "OLD" or add is None else add[0])(
            feed, name=name, **(add[1] if add and name == "NEW" else {})
        )
    cerebro.addstrategy(Reads, **params)
    (ran,) = cerebro.run()
    notes: list[tuple[int, tuple[float, ...], Any]] = ran.notes
    return notes


def check(notes: list[tuple[int, tuple[float, ...], Any]]) -> None:
    before = [note for note in notes if not note[0]]
    assert len(before) >= 25
    for _, lines, evidence in before:
        assert lines == NEUTRAL
        assert (evidence.value, evidence.probability, evidence.rank, evidence.abstained) == (0.0, 0.5, 0.0, NO_BAR)
    assert [evidence.as_of for _, _, evidence in before] == [stamp.date() for stamp in OLD.index[: len(before)]]
    after = notes[len(before) :]
    assert after
    assert {lines for _, lines, _ in after} == {(0.4, 0.7, 0.9, 0.0)}
    assert all(evidence.key for _, _, evidence in after)


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_before_its_feeds_first_bar_a_signal_is_neutral_in_every_mode(modes: dict[str, Any]) -> None:
    if modes["exactbars"] == 1:  # Backtrader shows the first bar of NEW from the beginning there
        notes = [note for note in read(modes) if not note[0]]
        assert {lines for _, lines, _ in notes} == {NEUTRAL}
    else:
        check(read(modes))


WEEKS = {"timeframe": bt.TimeFrame.Weeks}


@pytest.mark.parametrize("add", ["resampledata", "replaydata"])
@pytest.mark.parametrize("modes", [BATCH, STEPS, {"preload": False}], ids=str)
def test_before_the_first_week_too(add: str, modes: dict[str, Any]) -> None:
    check(read(modes, (add, WEEKS)))


class Half(bt.Indicator):
    lines = ("half",)

    def __init__(self) -> None:
        self.rag = Rag(self.data, source=Rises())
        self.l.half = self.rag.l.signal / 2.0


class HalfByHand(bt.Indicator):
    lines = ("half",)

    def __init__(self) -> None:
        self.rag = Rag(self.data, source=Rises())

    def next(self) -> None:
        self.l.half[0] = self.rag.l.signal[0] / 2.0


@pytest.mark.parametrize("modes", [BATCH, STEPS, {"preload": False}], ids=str)
@pytest.mark.parametrize("make", [Half, HalfByHand])
def test_inside_another_indicator_a_signal_is_that_of_the_present_bar(make: Any, modes: dict[str, Any]) -> None:
    check(read(modes, make=make))


@pytest.mark.parametrize("modes", [BATCH, STEPS, {"preload": False}], ids=str)
def test_a_skipped_return_is_nan_before_its_first_bar(modes: dict[str, Any]) -> None:
    class Past(bt.Strategy):
        def __init__(self) -> None:
            self.past = SkippedReturn(self.data1, period=5, skip=2)
            self.seen: list[float] = []

        def prenext(self) -> None:
            self.next()

        def next(self) -> None:
            self.seen.append(self.past[0])

    cerebro = bt.Cerebro(stdstats=False, **modes)
    for frame in (OLD, NEW):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None))
    cerebro.addstrategy(Past)
    (ran,) = cerebro.run()
    past = NEW["close"].shift(2) / NEW["close"].shift(5) - 1
    expected = past.reindex(OLD.index).tolist()
    assert [math.isnan(value) for value in ran.seen] == [math.isnan(value) for value in expected]
    assert [value for value in ran.seen if not math.isnan(value)] == pytest.approx(past.dropna().tolist())


@pytest.mark.parametrize("strategy", [SignalTrader, ReversalBook])
def test_a_strategys_view_of_a_feed_that_has_not_begun_is_none(strategy: Any) -> None:
    class Views(strategy):  # type: ignore[misc]
        params = (("signal", bt.ind.ROC), ("period", 1)) if strategy is SignalTrader else ()

        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[int, float]] = []

        def weights(self, today: list[Any]) -> dict[Any, float]:
            self.seen.append((len(self.data1), self.view(self.data1)))
            return dict.fromkeys(today, 0.0)

    cerebro = bt.Cerebro(stdstats=False)
    for frame in (OLD, NEW):
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None))
    cerebro.addstrategy(Views)
    (ran,) = cerebro.run()
    assert {view for bars, view in ran.seen if not bars} == {0.0}
    assert any(view for bars, view in ran.seen if bars)


class Asks(bt.Strategy):
    """Does something at every bar with the late feed."""

    params = (("does", None), ("began", None))

    def __init__(self) -> None:
        if self.p.began:
            self.p.began(self)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        if self.p.does:
            self.p.does(self)


def guarded(broker: AccountBroker | None = None, **params: Any) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    if broker:
        cerebro.setbroker(broker)
    for name, frame in (("OLD", OLD), ("NEW", NEW)):
        cerebro.adddata(GuardedFeed(dataname=frame), name=name)
    cerebro.addstrategy(Asks, **params)
    (ran,) = cerebro.run()
    return ran


@pytest.mark.parametrize(
    "params",
    [
        {"does": lambda strategy: strategy.data1.close[0]},
        {"does": lambda strategy: strategy.data1.high[-1]},
        {"does": lambda strategy: strategy.order_target_percent(strategy.data1, 0.5)},
        {"does": lambda strategy: strategy.buy(strategy.data1, size=1)},
        {"began": lambda strategy: strategy.data1.close[0]},
        {"began": lambda strategy: strategy.data.close[0]},
    ],
)
def test_a_run_refuses_a_price_before_its_feeds_first_bar_and_an_order_too(params: dict[str, Any]) -> None:
    with pytest.raises(
        LookAheadError, match=r"of (NEW|OLD) is read before its first bar, of 2020-.*if not len\(data\)"
    ):
        guarded(**params)


def test_a_run_lets_a_strategy_ask_whose_day_it_is_and_read_what_has_begun() -> None:
    def trades(strategy: Any) -> None:
        for data in strategy.datas:
            if data.datetime.date(0) == strategy.datetime.date(0) and len(data):
                strategy.order_target_size(data, target=int(data.close[0] > data.open[0]))

    ran = guarded(does=trades)
    assert [len(data) for data in ran.datas] == [len(OLD), len(NEW)]


def test_a_run_values_an_account_beside_a_feed_that_has_not_begun() -> None:
    def asks_and_trades(strategy: Any) -> None:
        assert not strategy.getposition(strategy.data1).size or len(strategy.data1)
        assert strategy.broker.getvalue([strategy.data1]) == 0.0 or len(strategy.data1)
        strategy.order_target_percent(strategy.data, target=0.5)
        if len(strategy.data1):
            strategy.order_target_percent(strategy.data1, target=0.4)

    ran = guarded(AccountBroker(), does=asks_and_trades)
    assert [ran.getposition(data).size > 0 for data in ran.datas] == [True, True]


def test_the_books_of_a_run_stay_open_beside_a_feed_that_has_not_begun() -> None:
    frames = {"OLD": OLD, "NEW": NEW}
    held = trade(spec(variant=[HOLD]).variants[0], spec(variant=[HOLD]), frames)
    assert list(held.equity.index) == list(OLD.index)
    assert list(held.orders["symbol"]) == ["OLD", "NEW"]


def test_a_run_refuses_a_price_farther_back_than_the_data_go() -> None:
    with pytest.raises(LookAheadError, match=r"close of NEW is read 4 bars before its bar 1: .*if len\(data\) <= 4"):
        guarded(does=lambda strategy: len(strategy.data1) and strategy.data1.close[-4])
    seen: list[list[float]] = []
    guarded(does=lambda strategy: seen.append(list(strategy.data1.close.get(ago=-2, size=2))))
    closes = NEW["close"].tolist()
    late = len(OLD) - len(NEW)
    assert seen == [[]] * (late + 3) + [closes[bar - 3 : bar - 1] for bar in range(3, len(NEW))]


class Nested(bt.Indicator):
    lines = ("mean",)

    def __init__(self) -> None:
        self.inner = bt.ind.SMA(self.data, period=3)
        self.l.mean = self.inner * 1.0


class ReadsMeans(bt.Strategy):
    """Trades on nothing but what indicators of the late feed say, and notes it."""

    seen: list[tuple[float, ...]] = []  # noqa: RUF012 - the run has the strategy in its hands

    def __init__(self) -> None:
        self.mean, self.nested = bt.ind.SMA(self.data1, period=3), Nested(self.data1)
        self.moved = self.data1.close - self.data1.close(-1)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        values = self.mean[0], self.mean[-1], self.nested[0], self.nested.inner[0], self.moved[0]
        self.seen.append((*values, *([*self.mean.get(ago=-1, size=1)] or [math.nan])))
        if self.mean[0] > 0.0 and not self.getposition(self.data).size:
            self.buy(self.data, size=1)


def test_in_a_run_an_indicator_of_a_feed_that_has_not_begun_is_in_its_warm_up() -> None:
    ReadsMeans.seen.clear()
    table = {"class": "tests.trading.test_first_bar:ReadsMeans"}
    one = spec(variant=[{"name": "hold", "signal": "none", "strategy": table}])
    traded = trade(one.variants[0], one, {"OLD": OLD, "NEW": NEW})
    mean, moved = NEW["close"].rolling(3).mean(), NEW["close"].diff()
    expected = pd.DataFrame([mean, mean.shift(), mean, mean, moved, mean.shift()]).T.reindex(OLD.index)
    assert np.array(ReadsMeans.seen) == pytest.approx(expected.to_numpy(), nan_ok=True)
    assert traded.orders["date"].tolist() == [OLD.index[len(OLD) - len(NEW) + 3]]
