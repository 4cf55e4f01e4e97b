"""An account ends where its money ends, in every mode; and what is paid in or out is no profit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.strategies import LongShort
from ragsignal.trading.broker import AccountBroker, AccountRecorder
from ragsignal.trading.feed import PreloadedFeed
from tests.trading.accounts import CASH, SavingsPlan, Script, ShortHold, Stubborn, bars, squeeze

MODES = [
    {"preload": preload, "runonce": runonce, "exactbars": exactbars}
    for preload, runonce, exactbars in [
        (True, True, False),
        (True, False, False),
        (False, True, False),
        (False, False, False),
        (False, False, 1),
        (True, False, -1),
        (True, False, -2),
    ]
]
Act = Callable[[Any], Any]


def run(
    strategy: type[bt.Strategy], *frames: pd.DataFrame, mode: Mapping[str, Any] | None = None, **params: Any
) -> Any:
    """The strategy after its run, without costs; its account is ``analyzers.account``."""
    cerebro = bt.Cerebro(stdstats=False, **(mode or {}))
    for number, frame in enumerate(frames):
        cerebro.adddata(PreloadedFeed(dataname=frame), name="AB"[number])
    cerebro.broker = AccountBroker()
    cerebro.broker.setcash(CASH)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(AccountRecorder, _name="account")
    return cerebro.run()[0]


def scripted(*frames: pd.DataFrame, **acts: Act) -> Any:
    """A run of acts by bar, named ``at_0`` and so on."""
    return run(Script, *frames, acts={int(name.removeprefix("at_")): act for name, act in acts.items()})


def sell(size: float, feed: int = 0) -> Act:
    return lambda strategy: strategy.sell(strategy.datas[feed], size=size)


def buy(size: float, feed: int = 0) -> Act:
    return lambda strategy: strategy.buy(strategy.datas[feed], size=size)


def pay(amount: float) -> Act:
    return lambda strategy: strategy.broker.add_cash(amount)


def both(*acts: Act) -> Act:
    return lambda strategy: [act(strategy) for act in acts]


# ----------------------------------------------------------------------------------------------------------------- ruin


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("strategy", [ShortHold, Stubborn])
def test_an_account_below_zero_is_ruined_for_good_in_every_mode(
    mode: dict[str, Any], strategy: type[bt.Strategy]
) -> None:
    frame = squeeze()
    ran = run(strategy, frame, mode=mode)
    account, place = ran.analyzers.account, len(frame) // 2
    assert len(account.equity) == len(frame)
    assert min(account.equity[:place]) > 0
    assert set(account.equity[place:]) == set(account.exposure[place:]) == {0.0}
    assert max(day for day, *_ in account.orders) <= frame.index[place]  # sent before
    assert ran.broker.fell_to < 0
    assert (ran.position.size, ran.broker.getcash(), ran.broker.get_orders_open()) == (0, 0.0, [])


def test_a_strategy_is_not_asked_again_after_its_account_is_ruined() -> None:
    frame = squeeze()
    ran = run(Stubborn, frame)  # it divides by its account, and would raise
    assert ran.called == len(frame) // 2
    assert ran.analyzers.account.rejected == 0


def test_an_account_that_ends_at_exactly_nothing_is_ruined() -> None:
    ran = scripted(bars([100, 100, 200, 100, 100]), at_0=sell(1000))
    assert ran.analyzers.account.equity == [CASH, CASH, 0.0, 0.0, 0.0]
    assert ran.broker.fell_to == 0.0


def test_an_account_that_a_fill_leaves_without_money_sees_no_later_fill_of_that_bar() -> None:
    risen = bars([100, 100, 300, 300], opens=[100, 100, 300, 300])  # covered at 300: 90,000 owed
    fallen = bars([100, 100, 10, 10], opens=[100, 100, 100, 10])  # sold short at 100: 90 gained a share by the close
    ran = scripted(risen, fallen, at_0=sell(950), at_1=both(buy(950), sell(2000, feed=1)))
    assert ran.analyzers.account.equity == [CASH, CASH, 0.0, 0.0]
    assert ran.broker.fell_to == CASH - 950 * 200
    assert [(name, size) for _, name, size, *_ in ran.analyzers.account.orders] == [("A", -950.0), ("A", 950.0)]


def test_money_that_was_paid_in_before_keeps_an_account_from_ruin_and_later_money_does_not_bring_it_back() -> None:
    frame = bars([100, 100, 250, 250, 100])
    saved = scripted(frame, at_0=sell(1000), at_1=pay(60_000))
    np.testing.assert_allclose(saved.analyzers.account.funds, [CASH, 160_000, 10_000, 10_000, 160_000])
    lost = scripted(frame, at_0=sell(1000), at_2=pay(60_000), at_3=pay(60_000))
    assert lost.analyzers.account.equity == [CASH, CASH, 0.0, 0.0, 0.0]
    assert lost.analyzers.account.payments == {}


def test_our_own_strategies_stay_ruined_under_backtraders_own_broker() -> None:
    frame = bars([100, 100, 300, 300, 100, 100, 100, 100])
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PreloadedFeed(dataname=frame))
    cerebro.broker.setcash(CASH)
    signal = dict(zip(range(8), [-1, -1, -1, -1, 1, -1, 1, -1], strict=True))
    sent: list[Any] = []

    class Recorded(LongShort):
        def view(self, data: Any) -> float:
            return signal[len(data) - 1]

        def order_target_percent(self, *args: Any, **options: Any) -> Any:
            sent.append(len(self))
            return super().order_target_percent(*args, **options)

    cerebro.addstrategy(Recorded, signal=lambda data: data.close)
    cerebro.run()
    assert cerebro.broker.getvalue() > 0  # Backtrader's own account comes back to life
    assert sent == [1]


# ------------------------------------------------------------------------------------------------------------- payments


def plain_fund(strategy: type[bt.Strategy], frame: pd.DataFrame, **params: Any) -> np.ndarray[Any, Any]:
    """Values of a unit by Backtrader's own fund, from its own broker."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(PreloadedFeed(dataname=frame))
    cerebro.broker.setcash(CASH)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, fund=True, _name="fund")
    (ran,) = cerebro.run()
    return CASH * np.cumprod(1.0 + np.array(list(ran.analyzers.fund.get_analysis().values())))


def walk(n_bars: int, seed: int) -> pd.DataFrame:
    return bars((100.0 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.02, n_bars)))).tolist())


def test_deposits_are_no_profit() -> None:
    frame = walk(500, 1)
    account = run(SavingsPlan, frame).analyzers.account
    without = run(SavingsPlan, frame, amount=0.0).analyzers.account
    assert sum(account.payments.values()) == 10_000 * len(account.payments) > 200_000
    assert account.funds[-1] > 300_000
    assert account.equity[-1] / CASH == pytest.approx(without.equity[-1] / CASH, abs=0.05)  # shares are whole
    np.testing.assert_allclose(account.equity, plain_fund(SavingsPlan, frame), rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.dictionaries(st.integers(0, 28), st.floats(-20_000, 50_000), max_size=10))
def test_returns_with_payments_are_those_of_backtraders_own_fund(seed: int, amounts: dict[int, float]) -> None:
    frame = walk(30, seed)
    stakes = np.random.default_rng(seed).uniform(-0.9, 0.9, 30)

    def act(bar: int) -> Act:
        return both(pay(amounts.get(bar, 0.0)), lambda it: it.order_target_percent(target=float(stakes[bar])))

    acts = {bar: act(bar) for bar in range(29)}
    account = run(Script, frame, acts=acts).analyzers.account
    np.testing.assert_allclose(account.equity, plain_fund(Script, frame, acts=acts), rtol=1e-9)
    before, units = np.array(account.funds[:-1]), np.array(account.equity)
    came = np.array(account.funds) - [account.payments.get(day, 0.0) for day in account.days]
    np.testing.assert_allclose(units[1:] / units[:-1], came[1:] / before, rtol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_an_account_without_payments_is_backtraders_to_the_last_bit(seed: int) -> None:
    frame = walk(30, seed)
    stakes = np.random.default_rng(seed).uniform(-0.9, 0.9, 30)
    values: list[float] = []

    def acts(seen: list[float]) -> dict[int, Act]:
        def act(strategy: Any) -> None:
            seen.append(strategy.broker.getvalue())
            strategy.order_target_percent(target=float(stakes[len(strategy) - 1]))

        return dict.fromkeys(range(30), act)

    plain_fund(Script, frame, acts=acts(values))
    account = run(Script, frame, acts=acts([])).analyzers.account
    assert account.equity == account.funds == values


@pytest.mark.parametrize(
    "act",
    [
        pay(105_000),
        lambda it: it.broker.setcash(155_000.0),
        lambda it: it.broker.set_cash(155_000.0),
        lambda it: setattr(it.broker, "cash", 155_000.0),
    ],
    ids=["add_cash", "setcash", "set_cash", "cash"],
)
def test_cash_that_comes_in_mid_run_is_a_payment_however_it_comes(act: Act) -> None:
    frame = bars([100, 100, 110, 110, 121])
    ran = scripted(frame, at_0=buy(500), at_2=act)
    assert ran.analyzers.account.equity == pytest.approx([CASH, CASH, 105_000, 105_000, 105_000 * 215.5 / 210])
    assert ran.analyzers.account.funds == pytest.approx([CASH, CASH, 210_000, 210_000, 215_500])
    assert list(ran.analyzers.account.payments.values()) == [105_000]


def test_cash_that_a_strategy_sets_before_the_first_bar_is_a_payment_too() -> None:
    class Rich(ShortHold):
        def __init__(self) -> None:
            self.broker.setcash(3 * CASH)

    account = run(Rich, bars([100, 100, 90])).analyzers.account
    assert account.equity == pytest.approx([CASH, CASH, 1.095 * CASH])
    assert account.funds[0] == 3 * CASH
    assert list(account.payments.values()) == [2 * CASH]


@pytest.mark.parametrize("amount", [-105_000.0, -1e9])
def test_a_withdrawal_of_everything_ends_the_account_and_is_no_loss(amount: float) -> None:
    frame = bars([100, 100, 110, 120, 130])
    later = both(pay(5000), buy(1))
    again = both(pay(amount), buy(1), lambda it: it.broker.setcash(CASH))
    ran = scripted(frame, at_0=buy(500), at_2=again, at_3=later)
    account = ran.analyzers.account
    assert account.equity == pytest.approx([CASH, CASH, 105_000, 105_000, 105_000])
    assert account.funds == [CASH, CASH, 0.0, 0.0, 0.0]
    assert list(account.payments.values()) == pytest.approx([-105_000])
    assert [size for _, _, size, *_ in account.orders] == [500.0]
    assert ran.broker.fell_to is None


# ---------------------------------------------------------------------------------------------------------------- fills


@pytest.mark.parametrize("valid_bars", [3, 30])
def test_an_order_that_is_filled_in_parts_is_booked_by_each_of_them_whether_or_not_the_rest_expires(
    valid_bars: int,
) -> None:
    closes = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0]

    def act(strategy: Any) -> None:
        strategy.broker.set_filler(bt.broker.fillers.FixedSize(size=30))
        last = strategy.data.datetime.datetime(0) + pd.offsets.BDay(valid_bars - 1)
        strategy.buy(size=100, exectype=bt.Order.Limit, price=200.0, valid=last)

    account = scripted(bars(closes), at_0=act).analyzers.account
    sizes = {3: [30.0, 30.0], 30: [30.0, 30.0, 30.0, 10.0]}[valid_bars]
    assert [row[2:5] for row in account.orders] == [
        (size, opened, size * opened) for size, opened in zip(sizes, [100.0, 101.0, 102.0, 103.0], strict=False)
    ]
    held = sum(sizes)
    paid = sum(row[4] for row in account.orders)
    assert account.equity[-1] == pytest.approx(CASH - paid + held * closes[-1])


def test_a_contract_is_traded_and_held_at_its_price_times_its_multiplier() -> None:
    def act(strategy: Any) -> None:
        strategy.broker.setcommission(commission=2.0, margin=1_000.0, mult=50.0)
        strategy.broker.set_slippage_perc(0.001, slip_open=True, slip_match=True, slip_out=True)
        strategy.buy(size=10)

    account = scripted(bars([100.0, 100.0, 110.0]), at_0=act).analyzers.account
    ((_, _, size, price, value, commission, slippage),) = account.orders
    assert (size, price, value, commission) == (10.0, 100.1, 10 * 50 * 100.1, 20.0)
    assert slippage == pytest.approx(10 * 50 * 0.1)
    assert account.equity[-1] == pytest.approx(CASH - 20 + 10 * 50 * (110 - 100.1))
    assert account.exposure[-1] == pytest.approx(10 * 50 * 110 / account.equity[-1])
