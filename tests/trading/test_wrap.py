"""An existing strategy behind a signal: entries need one that agrees, exits always pass, chance filters as often."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from ragsignal.config import RunSpec, StrategySpec, load_spec
from ragsignal.errors import ConfigError, DataError
from ragsignal.trading import Wrap, Wrapped, wrap_strategy
from ragsignal.trading.feed import PreloadedFeed
from ragsignal.trading.filter import EntryFilter, FilteringBroker
from ragsignal.trading.wrap import _turned
from tests.specs import write_spec

DAYS = pd.bdate_range("2020-01-06", periods=8)


class Scripted(bt.Strategy):
    """Does at each bar what a script says, and writes down what it hears."""

    params = (("script", {}),)

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.sizes: list[float] = []

    def notify_order(self, order: Any) -> None:
        self.heard.append(order.getstatusname())

    def next(self) -> None:
        self.sizes.append(self.position.size)
        for act in self.p.script.get(len(self), ()):
            act(self)


def _run(
    script: dict[int, list[Any]], view: dict[int, float], shorts: bool = True, above: float = 0.0
) -> tuple[Scripted, FilteringBroker]:
    """A script on eight flat bars of one symbol; the view by the number of the bar."""
    views = {("AA", DAYS[bar - 1].date()): value for bar, value in view.items()}
    sides = frozenset({"AA"})
    broker = FilteringBroker(EntryFilter(views, above, sides if shorts else frozenset(), sides))
    frame = pd.DataFrame(100.0, index=DAYS, columns=["open", "high", "low", "close", "volume"])
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.setbroker(broker)
    cerebro.adddata(PreloadedFeed(dataname=frame), name="AA")
    cerebro.addstrategy(Scripted, script=script)
    (ran,) = cerebro.run()
    return ran, broker


def buy(size: float, **settings: Any) -> Any:
    return lambda it: it.buy(size=size, **settings)


def sell(size: float, **settings: Any) -> Any:
    return lambda it: it.sell(size=size, **settings)


def target(size: float) -> Any:
    return lambda it: it.order_target_size(target=size)


@pytest.mark.parametrize(
    ("view", "above", "held"),
    [(0.4, 0.0, 10), (0.0, 0.0, 10), (-0.4, 0.0, 0), (0.4, 0.5, 0), (0.5, 0.5, 10), (0.0, 0.5, 0)],
)
def test_an_entry_needs_a_signal_that_agrees(view: float, above: float, held: int) -> None:
    for act, sign in ((buy(10), 1), (sell(10), -1), (target(10), 1), (target(-10), -1)):
        ran, broker = _run({1: [act]}, {1: sign * view}, above=above)
        assert ran.position.size == sign * held
        assert broker.refused == (held == 0)


def test_a_refused_order_is_an_order_that_the_broker_has_rejected() -> None:
    got: list[Any] = []
    ran, _ = _run({1: [lambda it: got.append(it.buy(size=10))]}, {1: -1.0})
    assert got[0].status == bt.Order.Rejected
    assert ran.heard == ["Rejected"]


@pytest.mark.parametrize("leave", [sell(10), target(0), lambda it: it.close()])
def test_an_exit_always_passes(leave: Any) -> None:
    ran, broker = _run({1: [buy(10)], 4: [leave]}, {1: 1.0, 4: 1.0})
    assert (ran.position.size, broker.refused) == (0, 0)


def test_an_order_that_turns_a_position_around_against_the_signal_closes_it() -> None:
    ran, broker = _run({1: [buy(10)], 4: [target(-10)]}, {1: 1.0, 4: 0.5})
    assert (ran.position.size, broker.refused) == (0, 1)


def test_a_stop_that_is_sent_with_its_entry_is_an_exit() -> None:
    stop = sell(10, exectype=bt.Order.Stop, price=50.0)
    ran, broker = _run({1: [buy(10), stop]}, {1: 1.0})
    assert (ran.position.size, broker.refused) == (10, 0)
    assert "Rejected" not in ran.heard


def test_the_stop_of_a_refused_entry_goes_with_it() -> None:
    stop = sell(10, exectype=bt.Order.Stop, price=150.0)  # would be triggered at once, and be a short
    ran, _ = _run({1: [buy(10), stop]}, {1: -1.0})
    assert set(ran.sizes) == {0}
    assert ran.heard == ["Rejected", "Rejected"]


@pytest.mark.parametrize(("view", "held", "heard"), [(1.0, 10, 0), (-1.0, 0, 3)])
def test_a_bracket_passes_or_is_refused_as_a_whole(view: float, held: int, heard: int) -> None:
    bracket: Any = lambda it: it.buy_bracket(size=10, exectype=bt.Order.Market, stopprice=50.0, limitprice=200.0)  # noqa: E731
    ran, _ = _run({1: [bracket]}, {1: view})
    assert ran.position.size == held
    assert Counter(ran.heard)["Rejected"] == heard


def test_a_strategy_that_never_is_short_does_not_become_so_because_its_buy_was_refused() -> None:
    ran, broker = _run({1: [buy(10)], 4: [sell(10)]}, {1: -1.0, 4: -1.0}, shorts=False)
    assert set(ran.sizes) == {0}
    assert broker.refused == 2


def test_signals_of_chance_are_the_same_ones_on_other_days() -> None:
    days = [day.date() for day in pd.bdate_range("2020-01-01", periods=200)]
    rng = np.random.default_rng(1)
    view = {(symbol, day): float(rng.normal()) for symbol in ("AA", "BB") for day in days}
    for turned in _turned(view, 5):
        assert turned.keys() == view.keys()
        assert turned != view
        pairs = [{(it["AA", day], it["BB", day]) for day in days} for it in (view, turned)]
        assert pairs[0] == pairs[1]  # of each symbol all, and of a day's symbols together
    with pytest.raises(DataError, match="200 days have a signal, too few for 500 others of chance"):
        _turned(view, 500)


# --------------------------------------------------------------------------------------------- on a spec's bars

FOREIGN = """
import backtrader as bt


class Cross(bt.Strategy):
    params = (("period", 5), ("size", 10))

    def __init__(self):
        self.above = [data.close > bt.ind.SMA(data, period=self.p.period) for data in self.datas]

    def next(self):
        for data, above in zip(self.datas, self.above):
            self.order_target_size(data, target=self.p.size * (1 if above[0] else -1))


class Idle(bt.Strategy):
    pass


class Poor(bt.Strategy):
    def next(self):
        self.buy(size=10**7)
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    folder = tmp_path_factory.mktemp("wrapped")
    (folder / "foreign.py").write_text(FOREIGN)
    return load_spec(write_spec(folder))


def _wrap(spec: RunSpec, name: str, seeds: int = 3, **params: Any) -> Wrapped:
    table = {"class": name, "folder": spec.strategy.folder, "params": params}
    return wrap_strategy(spec, Wrap(StrategySpec.model_validate(table), seeds=seeds))


@pytest.fixture(scope="module")
def wrapped(spec: RunSpec) -> Wrapped:
    return _wrap(spec, "foreign:Cross")


def test_all_runs_share_bars_and_costs_and_stand_in_one_record(wrapped: Wrapped) -> None:
    record = wrapped.record()
    assert [row["name"] for row in record["rows"]] == ["plain", "filtered", "random-1", "random-2", "random-3"]
    assert len({tuple(result.equity.index) for result in wrapped.results}) == 1
    assert record["line"] == "signal"
    assert record["variant"] == "vote"
    assert [(gap["left"], gap["right"]) for gap in record["gaps"]] == [
        ("filtered", "plain"),
        ("filtered", "random filters"),
    ]
    assert all("points of mean return a year" in line for line in record["sentences"][:2])
    assert record["sentences"][2].startswith(f"It ended above {wrapped.beaten} of 3 random filters")


def test_an_account_that_lost_everything_is_said_to_be_and_no_want_of_days(wrapped: Wrapped) -> None:
    empty = wrapped.plain.equity.where(np.arange(len(wrapped.plain.equity)) < 30, 0.0)
    lost = replace(wrapped.plain, equity=empty, fell_to=-5.0)
    gap = replace(wrapped.gaps[0], difference=None, low=None, high=None)
    sentences = replace(wrapped, plain=lost, gaps=(gap,), chance=(lost, *wrapped.chance[1:])).sentences()
    assert sentences[0] == "filtered less plain: cannot be said, plain lost everything."
    assert sentences[-2].startswith(f"plain: ruined on {empty.index[30]:%Y-%m-%d}. Its account fell to -5")
    assert sentences[-1] == "1 of 3 random filters: ruined, a return of -100 %."
    rows = replace(wrapped, plain=lost).record()["rows"]
    assert [row.get("ruined") for row in rows] == [f"{empty.index[30]:%Y-%m-%d}", None, None, None, None]


def test_no_entry_of_the_filtered_run_went_against_the_signal(spec: RunSpec, wrapped: Wrapped) -> None:
    from ragsignal.study import Study
    from ragsignal.trading import signals_of

    study = Study(spec)
    frames = study.prices.between(spec.data.start, spec.data.end).frames
    known = signals_of(study.pipeline(spec.find_variant("vote")), frames).known
    said = {(it.symbol, it.as_of): it.value for it in known.values()}
    entered = 0
    for symbol, orders in wrapped.filtered.orders.groupby("symbol"):
        days = [day.date() for day in frames[str(symbol)].index]
        held = 0.0
        for day, size in zip(orders["date"], orders["size"], strict=True):
            before: date = days[days.index(day.date()) - 1]  # the bar at whose close it was sent
            if abs(held + size) > 1e-9 and (held + size) * size > 0:
                entered += 1
                assert size * said[str(symbol), before] >= 0.0
            held += size
    assert entered > 20
    assert wrapped.refused[0] > 20


def test_the_wrapped_runs_are_counted_as_trials(spec: RunSpec, wrapped: Wrapped) -> None:
    again = _wrap(spec, "foreign:Cross")
    assert again.trials == wrapped.trials  # the same ones again
    assert _wrap(spec, "foreign:Cross", period=7).trials == wrapped.trials + 2
    assert again.record() == wrapped.record()


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("foreign:Crss", ConfigError, "foreign has no strategy 'Crss'. Did you mean 'Cross'"),
        ("foreign:bt", ConfigError, "foreign:bt is no strategy: a subclass of backtrader.Strategy was expected"),
        ("nowhere:Cross", ConfigError, "no module 'nowhere'"),
        ("foreign:Idle", DataError, "foreign:Idle never traded from 2015-01-05 to 2015-12-31: it sent no order"),
        ("foreign:Poor", DataError, "orders were refused, most often for want of cash"),
        ("ragsignal.strategies:LongFlat", ConfigError, "takes a signal itself"),
    ],
)
def test_what_cannot_be_wrapped_says_why(spec: RunSpec, name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        _wrap(spec, name)
    assert words in str(raised.value)


def test_a_param_of_the_strategy_is_checked(spec: RunSpec) -> None:
    with pytest.raises(ConfigError, match=r"has no param 'perid'\. Did you mean 'period'"):
        _wrap(spec, "foreign:Cross", perid=3)


@pytest.mark.slow
def test_the_command_shows_one_table_and_writes_the_record(spec: RunSpec, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from ragsignal.cli.app import app

    folder = spec.strategy.folder
    assert folder is not None
    words = ["wrap", str(folder / "small.toml"), "foreign:Cross", "--seeds", "2", "--param", "period=6", "--jobs", "1"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "the signal of 'vote' was >= 0, one that enters a short where it was <= 0; exits always" in done.stderr
    shown = [line.split("  ")[0].strip() for line in done.stderr.splitlines() if ", the " in line]
    assert sorted(line.split(", ")[1] for line in shown) == ["the best of 2", "the worst of 2"]
    assert (tmp_path / "small-wrap" / "latest" / "wrap.json").is_file()
    wrong = CliRunner().invoke(app, ["wrap", str(folder / "small.toml"), "Cross"])
    assert "'Cross' names no strategy; module:Class was expected" in str(wrong.exception)
