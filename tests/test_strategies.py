"""Every strategy through a real Cerebro on small feeds made by hand."""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.strategies.base import SignalTrader
from ragsignal.strategies.book import TargetBook
from ragsignal.strategies.buy_and_hold import BuyAndHold
from ragsignal.strategies.cross_sectional import CrossSectional, SlowBook
from ragsignal.strategies.price_rules import MomentumBook, PriceMomentum, Reversal, ReversalBook
from ragsignal.strategies.rag_momentum import LongFlat, LongShort
from ragsignal.strategies.weighted import ProbabilityWeighted
from tests.journal import CASH, DAYS, NAN, Journal, cerebro_of, feed, ragged, run, script, walk, zigzag

SIGNALLED = [SignalTrader, LongFlat, LongShort, ProbabilityWeighted, CrossSectional, SlowBook]
PRICE_RULES = [PriceMomentum, Reversal]
RULE_BOOKS = [ReversalBook, MomentumBook]
MODES: list[dict[str, Any]] = [
    {"preload": True, "runonce": False},
    {"preload": False, "runonce": False},
    {"exactbars": 1},
    {"exactbars": -1},
    {"exactbars": -2},
]


def test_an_order_sent_at_a_close_fills_at_the_next_open() -> None:
    frames = {"A": feed([100, 101, 102, 103], opens=[99, 100.5, 101.5, 102.5])}
    journal = run(SignalTrader, frames, signal=script(A=[0.0, 0.2, 0.2, 0.2]))
    size = int(0.95 * CASH // 101)  # sized at the close of the second bar
    assert journal.sent == [(DAYS[1].date(), "A", size)]
    assert journal.fills == [(DAYS[2].date(), "A", size, 101.5)]


def test_the_side_turns_around_in_one_order_and_a_view_of_zero_closes_it() -> None:
    journal = run(SignalTrader, {"A": feed([100] * 6)}, signal=script(A=[0.4, -0.1, NAN, 0.3, 0.0, 0.0]))
    assert [size for _, _, size in journal.sent] == [950, -1900, 950, 950, -950]
    assert journal.held("A") == [0, 950, -950, 0, 950, 0]


def test_positions_drift_while_the_target_stays() -> None:
    journal = run(SignalTrader, {"A": feed([100, 110, 120, 130, 140])}, signal=script(A=[0.1, 0.9, 0.5, 0.2, 0.7]))
    assert len(journal.sent) == 1


@pytest.mark.parametrize("nothing", [0.0, NAN])
@pytest.mark.parametrize("strategy", SIGNALLED)
def test_a_strategy_without_a_view_never_trades(strategy: type[bt.Strategy], nothing: float) -> None:
    frames = {"A": feed(zigzag(1)), "B": feed(zigzag(2))}
    assert run(strategy, frames, signal=script(A=[nothing] * 50, B=[nothing] * 50)).sent == []


def test_a_gap_of_five_percent_is_not_refused() -> None:
    journal = run(SignalTrader, {"A": feed([100, 105], opens=[100, 105])}, signal=script(A=[0.1, 0.1]))
    assert journal.rejected == 0
    assert journal.held("A") == [0, 950]


def test_a_short_is_turned_around_through_a_gap_of_two_and_a_half_percent() -> None:
    frames = {"A": feed([100, 100, 102.5], opens=[100, 100, 102.5])}
    journal = run(SignalTrader, frames, signal=script(A=[-0.1, 0.1, 0.1]))
    assert journal.rejected == 0
    assert journal.held("A") == [0, -950, 950]


def test_a_refused_order_is_counted_and_repeated_at_the_next_bar() -> None:
    frames = {"A": feed([100, 107, 107, 107], opens=[100, 107, 107, 107])}
    journal = run(SignalTrader, frames, signal=script(A=[0.1] * 4))
    assert journal.rejected == 1
    assert journal.held("A") == [0, 0, int(0.95 * CASH // 107), int(0.95 * CASH // 107)]


def test_a_position_whose_enlargement_was_refused_can_still_be_left() -> None:
    frames = {"A": feed([100, 100, 130, 130, 130], opens=[100, 100, 130, 130, 130])}
    journal = run(ProbabilityWeighted, frames, signal=script(A=[0.5, 1.0, 0.0, 0.0, 0.0]))
    assert journal.rejected == 1
    assert journal.held("A") == [0, 475, 475, 0, 0]


def test_a_feed_that_starts_late_does_not_delay_the_others() -> None:
    frames = {"A": feed([100] * 8), "B": feed([50] * 3, days=[5, 6, 7])}
    journal = run(SignalTrader, frames, signal=script(A=[0.1] * 8, B=[0.1] * 3))
    assert journal.sent == [(DAYS[0].date(), "A", 475), (DAYS[5].date(), "B", 950)]


def test_a_missing_day_is_not_traded_at_a_stale_bar() -> None:
    frames = {"A": feed([100] * 6), "B": feed([50, 50, 60, 60], opens=[50, 50, 60, 61], days=[0, 1, 4, 5])}
    journal = run(SignalTrader, frames, signal=script(A=[0.1, 0.1, -0.1, 0.1, 0.1, 0.1], B=[0.0, 0.1, 0.1, 0.1]))
    assert [(day, size) for day, name, size in journal.sent if name == "B"] == [(DAYS[1].date(), 950)]
    assert [fill for fill in journal.fills if fill[1] == "B"] == [(DAYS[4].date(), "B", 950, 60.0)]


def test_a_feed_that_has_ended_is_not_traded_on() -> None:
    frames = {"A": feed([100] * 8), "B": feed([50] * 3)}
    alternating = [0.1, 0.1, -0.1, 0.1, -0.1, 0.1, -0.1, 0.1]
    journal = run(SignalTrader, frames, signal=script(A=alternating, B=[0.1, 0.1, -0.1]))
    assert [(day, size) for day, name, size in journal.sent if name == "B"] == [
        (DAYS[0].date(), 950),
        (DAYS[2].date(), -1900),  # sent at the last close: no open is left to fill it
    ]
    assert journal.held("B") == [0] + [950] * 7


@pytest.mark.parametrize("mode", [{}, *MODES], ids=str)
def test_a_feed_without_any_bar_is_left_alone(mode: dict[str, Any]) -> None:
    journal = run(BuyAndHold, {"A": feed([100] * 3), "empty": feed([100]).iloc[:0]}, mode)
    assert journal.sent == [(DAYS[0].date(), "A", 475)]


def test_a_change_of_less_than_a_share_sends_nothing_and_blocks_nothing() -> None:
    frames = {"A": feed([60_000, 60_000, 60_000, 60_000])}
    journal = run(ProbabilityWeighted, frames, signal=script(A=[0.1, 0.5, 1.0, 0.0]))
    assert [size for _, _, size in journal.sent] == [1, -1]


def test_no_order_joins_one_that_still_waits() -> None:
    """A filler that gives 100 shares a bar keeps the first order alive while the signal turns."""
    cerebro = cerebro_of({"A": feed([100] * 14)})
    cerebro.broker.set_filler(lambda order, *_: min(100, abs(order.executed.remsize)))
    cerebro.addstrategy(SignalTrader, signal=script(A=[0.1] * 3 + [-0.1] * 11))
    journal = cerebro.run()[0].analyzers.journal
    assert journal.sent == [(DAYS[0].date(), "A", 950), (DAYS[10].date(), "A", -1900)]


def test_sells_go_first_so_that_their_cash_pays_for_the_buys() -> None:
    class Rotation(TargetBook):
        def weights(self, today: list[Any]) -> dict[Any, float]:
            buys, sells = (0.0, 0.95) if len(self) < 3 else (0.95, 0.0)
            return dict(zip(today, (buys, sells), strict=True))

    journal = run(Rotation, {"A": feed([100] * 5), "B": feed([50] * 5)})
    assert journal.rejected == 0
    assert (journal.held("A")[-1], journal.held("B")[-1]) == (950, 0)


def test_a_buy_takes_what_a_risen_feed_has_left() -> None:
    frames = {"A": feed([100, 100, 300, 300, 300]), "B": feed([100] * 5)}
    journal = run(SignalTrader, frames, signal=script(A=[0.1] * 5, B=[0, 0, 0.1, 0.1, 0.1]))
    equity = CASH + 475 * 200
    assert journal.rejected == 0
    assert journal.held("B") == [0, 0, 0, *[int((0.95 * equity - 475 * 300) // 100)] * 2]


def test_a_ruined_account_sends_nothing() -> None:
    frames = {"A": feed([100, 100, 250, 250, 250])}
    journal = run(SignalTrader, frames, signal=script(A=[-0.1, -0.1, 0.1, 0.1, 0.1]))
    assert journal.books[2]["equity"] < 0
    assert [size for _, _, size in journal.sent] == [-950]


@pytest.mark.parametrize(
    ("strategy", "signal", "sides"),
    [
        (LongShort, [0.2, 0.31, 0.15, 0.11, 0.09, 0.2, 0.0], [0, 1, 1, 1, 0, 0, 0]),
        (LongShort, [-0.2, -0.31, -0.15, -0.11, -0.09, -0.2, 0.0], [0, -1, -1, -1, 0, 0, 0]),
        (LongShort, [0.31, -0.31, -0.2, 0.31, -0.2, -0.2, 0.0], [1, -1, -1, 1, 0, 0, 0]),
        (LongShort, [0.31, NAN, 0.2, 0.31, 0.0, 0.2, 0.0], [1, 0, 0, 1, 0, 0, 0]),
        (LongFlat, [0.2, 0.31, 0.15, 0.11, 0.09, 0.2, 0.0], [0, 1, 1, 1, 0, 0, 0]),
        (LongFlat, [0.31, -0.31, -0.2, 0.31, -0.2, -0.2, 0.0], [1, 0, 0, 1, 0, 0, 0]),
    ],
)
def test_a_dead_band_enters_beyond_enter_and_leaves_inside_exit(
    strategy: type[bt.Strategy], signal: list[float], sides: list[int]
) -> None:
    journal = run(strategy, {"A": feed([100] * 8)}, signal=script(A=signal), enter=0.3, exit=0.1)
    assert journal.held("A")[1:] == [950 * side for side in sides]


@pytest.mark.parametrize("strategy", [LongFlat, LongShort])
def test_no_view_closes_even_without_a_dead_band(strategy: type[bt.Strategy]) -> None:
    journal = run(strategy, {"A": feed([100] * 6)}, signal=script(A=[0.3, 0.0, 0.3, NAN, 0.0]), enter=0.1, exit=0.0)
    assert journal.held("A") == [0, 950, 0, 950, 0, 0]


def test_a_refused_entry_has_to_be_beyond_enter_again() -> None:
    frames = {"A": feed([100, 120, 120, 120, 120], opens=[100, 120, 120, 120, 120])}
    journal = run(LongFlat, frames, signal=script(A=[0.4, 0.2, 0.4, 0.2, 0.2]), enter=0.3, exit=0.1)
    assert journal.rejected == 1
    assert [day for day, *_ in journal.sent] == [DAYS[0].date(), DAYS[2].date()]


def test_weights_are_proportional_to_the_signal_and_small_changes_wait() -> None:
    signal = [0.5, 0.55, 0.59, 0.7, 0.05, 0.0, -0.5, -3.0]
    journal = run(ProbabilityWeighted, {"A": feed([100] * 9)}, signal=script(A=signal), min_change=0.1)
    assert journal.held("A")[1:] == pytest.approx([475, 475, 475, 665, 47, 0, -475, -950], abs=1)


def test_a_small_weight_is_given_up_when_the_view_goes() -> None:
    journal = run(ProbabilityWeighted, {"A": feed([100] * 5)}, signal=script(A=[0.2, 0.04, 0.0]), min_change=0.1)
    assert journal.held("A") == [0, 190, 38, 0, 0]


def test_a_signal_beyond_one_fills_its_own_slot_and_no_more() -> None:
    frames = {"A": feed([100] * 3), "B": feed([100] * 3)}
    journal = run(ProbabilityWeighted, frames, signal=script(A=[3.0] * 3, B=[-0.5] * 3))
    assert (journal.held("A")[-1], journal.held("B")[-1]) == (475, -237)


def test_scale_fills_the_slot_sooner_and_long_only_stays_in_cash() -> None:
    params: dict[str, Any] = {"signal": script(A=[0.25, 0.6, -0.6]), "scale": 2.0, "long_only": True}
    assert run(ProbabilityWeighted, {"A": feed([100] * 5)}, **params).held("A") == [0, 475, 950, 0, 0]


def test_min_change_is_a_part_of_the_slot_whatever_the_number_of_feeds() -> None:
    frames = {name: feed([100] * 4) for name in "ABCDE"}
    journal = run(ProbabilityWeighted, frames, signal=script(A=[0.5, 0.65, 0.7, 0.7]), min_change=0.1)
    assert journal.held("A") == [0, 95, 123, 123]


@pytest.mark.parametrize("n", [1, 2])
def test_the_cross_section_is_money_neutral_after_every_rebalance(n: int) -> None:
    frames = {name: feed(zigzag(seed)) for seed, name in enumerate("ABCDE")}
    journal = run(CrossSectional, frames, signal=bt.ind.ROC, n=n)
    books = [book for book in journal.books if any(book["planned"].values())]
    assert len(books) > 30
    for book in books:
        money = {name: size * book["closes"][name] for name, size in book["planned"].items()}
        longs = [value for value in money.values() if value > 0]
        shorts = [value for value in money.values() if value < 0]
        share = max(book["closes"].values())
        assert (len(longs), len(shorts)) == (n, n)
        assert sum(longs) + sum(shorts) == pytest.approx(0.0, abs=2 * n * share)
        assert sum(longs) - sum(shorts) == pytest.approx(0.95 * book["equity"], abs=2 * n * share)
    assert journal.rejected == 0


@pytest.mark.parametrize(
    ("views", "sides"),
    [
        ({"A": 0.3, "B": 0.2, "C": 0.1}, [1, 0, -1]),  # order counts, not the sign
        ({"A": 0.1, "B": 0.3, "C": 0.3}, [-1, 1, 0]),  # tie for the long side: the feed added first
        ({"A": 0.1, "B": 0.1, "C": 0.3}, [0, -1, 1]),  # tie for the short side: the feed added last
        ({"A": 0.2, "B": 0.0, "C": -0.1}, [1, 0, -1]),  # B abstains
        ({"A": 0.2, "B": 0.0, "C": NAN}, [0, 0, 0]),  # too few views
        ({"A": 0.2, "B": 0.2, "C": 0.2}, [0, 0, 0]),  # nothing to tell them apart
    ],
)
def test_the_cross_section_ranks_the_feeds_that_have_a_view(views: dict[str, float], sides: list[int]) -> None:
    frames = {name: feed([100] * 3) for name in "ABC"}
    journal = run(CrossSectional, frames, signal=script(**{name: [view] * 3 for name, view in views.items()}))
    assert [journal.held(name)[-1] for name in "ABC"] == [475 * side for side in sides]


def test_a_feed_without_a_bar_today_is_left_out_of_the_ranking_and_keeps_its_position() -> None:
    frames = {"A": feed([100] * 6), "B": feed([100] * 6), "C": feed([100] * 4, days=[0, 1, 4, 5])}
    views = {"A": [0.3] * 6, "B": [0.2] * 6, "C": [0.1] * 4}
    journal = run(CrossSectional, frames, signal=script(**views))
    assert journal.held("C") == [0, -475, -475, -475, -475, -475]
    assert journal.held("B") == [0, 0, 0, -237, -237, 0]  # the short side of A while C is away, cut to what C leaves
    assert not [day for day, name, _ in journal.sent if name == "C" and day in (DAYS[2].date(), DAYS[3].date())]


def test_momentum_follows_the_last_return_and_reversal_opposes_it() -> None:
    frames = {"A": feed([100, 101, 102, 101, 100, 100, 100])}
    momentum = run(PriceMomentum, frames, period=2)
    reversal = run(Reversal, frames)
    assert [(size > 0) - (size < 0) for size in momentum.held("A")] == [0, 0, 0, 1, 0, -1, -1]
    assert [(size > 0) - (size < 0) for size in reversal.held("A")] == [0, 0, -1, -1, 1, 1, 0]
    assert min(run(Reversal, frames, long_only=True).held("A")) == 0
    assert run(PriceMomentum, frames, period=2, long_only=True).held("A")[-1] == 0


def test_buy_and_hold_trades_each_feed_once_and_earns_its_prices() -> None:
    frames = {"A": feed([100, 102, 99, 120], opens=[100, 101, 100, 100]), "B": feed([40, 50], [39, 41], days=[2, 3])}
    journal = run(BuyAndHold, frames)
    a = int(0.475 * CASH // 100)
    equity_at_first_b = CASH + a * (99 - 101)
    b = int(0.475 * equity_at_first_b // 40)
    assert journal.fills == [(DAYS[1].date(), "A", a, 101.0), (DAYS[3].date(), "B", b, 41.0)]
    assert journal.books[-1]["equity"] == pytest.approx(CASH + a * (120 - 101) + b * (50 - 41), abs=1e-6)


@pytest.mark.parametrize("indicator", [bt.ind.ROC, bt.ind.Momentum, functools.partial(bt.ind.MACDHisto, period_me1=3)])
@pytest.mark.parametrize("strategy", SIGNALLED)
def test_any_indicator_serves_as_the_signal(strategy: type[bt.Strategy], indicator: Callable[..., Any]) -> None:
    assert len(run(strategy, ragged(), signal=indicator).sent) > 0


@pytest.mark.parametrize("strategy", PRICE_RULES)
def test_an_indicator_with_a_period_stands_in_for_the_return(strategy: type[bt.Strategy]) -> None:
    by_return = run(strategy, ragged(), period=5)
    assert run(strategy, ragged(), period=5, signal=bt.ind.Momentum).sent == by_return.sent
    assert len(by_return.sent) > 0


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("strategy", [*SIGNALLED, *PRICE_RULES, *RULE_BOOKS, BuyAndHold])
def test_every_mode_of_cerebro_sends_the_same_orders(strategy: type[bt.Strategy], mode: dict[str, Any]) -> None:
    params: dict[str, Any] = {"signal": functools.partial(bt.ind.ROC, period=3)} if strategy in SIGNALLED else {}
    params |= {"period": 5, "skip": 2} if strategy is MomentumBook else {}
    # exactbars=1 keeps one bar a feed, and Backtrader then loses a bar wherever a feed's days differ from the others'.
    frames = {"A": feed(zigzag(1)), "B": feed(zigzag(2))} if mode == {"exactbars": 1} else ragged()
    usual, journal = run(strategy, frames, **params), run(strategy, frames, mode, **params)
    assert len(usual.sent) > 1
    assert journal.sent == usual.sent
    assert journal.fills == usual.fills


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_sweep_over_two_processes_equals_single_runs() -> None:
    enters = [0.05, 0.2, 0.4]
    cerebro = cerebro_of(ragged())
    cerebro.optstrategy(LongFlat, signal=bt.ind.ROC, enter=enters)
    swept = [results[0].analyzers.journal.sent for results in cerebro.run(maxcpus=2)]
    assert swept == [run(LongFlat, ragged(), signal=bt.ind.ROC, enter=enter).sent for enter in enters]
    assert len({str(sent) for sent in swept}) == 3


@pytest.mark.parametrize("strategy", [*SIGNALLED, *PRICE_RULES, *RULE_BOOKS, BuyAndHold])
def test_strategies_and_their_defaults_can_be_pickled(strategy: type[bt.Strategy]) -> None:
    assert pickle.loads(pickle.dumps(strategy)) is strategy
    defaults = dict(strategy.params._getpairs())
    assert pickle.loads(pickle.dumps(defaults)) == defaults


@pytest.mark.parametrize(
    ("strategy", "params", "message"),
    [
        (LongFlat, {"enter": 0.1, "exit": 0.2}, "LongFlat: exit=0.2 and enter=0.1 must keep 0 <= exit <= enter"),
        (LongShort, {"enter": -0.1, "exit": -0.2}, "must keep 0 <= exit <= enter"),
        (SignalTrader, {"signal": None}, "SignalTrader: signal=None is not callable; try"),
        (SignalTrader, {"invest": 1.5}, r"invest=1.5 must lie in \(0, 1\]"),
        (ProbabilityWeighted, {"scale": 0.0}, "scale=0.0 must be above 0"),
        (ProbabilityWeighted, {"min_change": -0.1}, "min_change=-0.1 must not be negative"),
        (CrossSectional, {"n": 2}, "n=2 .* there are 2 feeds"),
        (CrossSectional, {"n": 0}, "n at least 1"),
        (SlowBook, {"quantile": 0.6}, r"quantile=0.6 must lie in \(0, 0.5\]"),
        (SlowBook, {"speed": 0.0}, r"speed=0.0 in \(0, 1\]"),
        (SlowBook, {"band": -0.1}, "band=-0.1 must not be negative"),
        (MomentumBook, {"skip": 250}, "skip=250 and period=250 must keep 0 <= skip < period"),
    ],
)
def test_a_param_that_cannot_be_meant_is_refused(
    strategy: type[bt.Strategy], params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(strategy, {"A": feed([1, 2]), "B": feed([1, 2])}, **({"signal": bt.ind.ROC} | params))


@pytest.mark.parametrize("strategy", [TargetBook, *SIGNALLED, *PRICE_RULES, *RULE_BOOKS, BuyAndHold])
def test_the_docstring_names_every_param(strategy: type[bt.Strategy]) -> None:
    doc = inspect.getdoc(strategy) or ""
    assert [name for name in strategy.params._getkeys() if name not in doc] == []


BARS = 12
PATH = st.lists(st.floats(-1.0, 1.0), min_size=BARS, max_size=BARS)
MOVES = st.lists(st.floats(-0.2, 0.25), min_size=2 * BARS, max_size=2 * BARS)


@settings(max_examples=40, deadline=None)
@given(signals=st.tuples(PATH, PATH), moves=st.tuples(MOVES, MOVES))
def test_long_flat_is_never_short_and_no_order_stretches_the_book(
    signals: tuple[list[float], list[float]], moves: tuple[list[float], list[float]]
) -> None:
    frames = {name: walk(path) for name, path in zip("AB", moves, strict=True)}
    journal = run(LongFlat, frames, signal=script(A=signals[0], B=signals[1]))
    assert min(journal.held("A") + journal.held("B")) >= 0
    assert_orders_fit(journal)


@settings(max_examples=40, deadline=None)
@given(signals=st.tuples(PATH, PATH), moves=st.tuples(MOVES, MOVES))
def test_a_weighted_book_of_longs_and_shorts_is_never_stretched_by_an_order(
    signals: tuple[list[float], list[float]], moves: tuple[list[float], list[float]]
) -> None:
    frames = {name: walk(path) for name, path in zip("AB", moves, strict=True)}
    assert_orders_fit(run(ProbabilityWeighted, frames, signal=script(A=signals[0], B=signals[1])))


def assert_orders_fit(journal: Journal) -> None:
    """At the close of sizing the book uses at most `invest`, or what untraded feeds had drifted to, within a share."""
    traded = {(day, name) for day, name, _ in journal.sent}
    for book in journal.books:
        money = {name: abs(size) * book["closes"][name] for name, size in book["planned"].items()}
        drifted = sum(value for name, value in money.items() if (book["date"], name) not in traded)
        if any(day == book["date"] for day, _ in traded):
            assert sum(money.values()) <= max(0.95 * book["equity"], drifted) + sum(book["closes"].values())
