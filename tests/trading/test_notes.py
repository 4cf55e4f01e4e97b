"""What a run says of its trading before a figure is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from ragsignal.report.answers import answers_in_words
from ragsignal.trading.engine import prepare, run_spec, trade
from ragsignal.trading.notes import notes_on_shares, notes_on_trading
from ragsignal.types import Query, Signal
from tests.markets import bars
from tests.results import find
from tests.specs import HOLD, MOMENTUM, VOTE, spec


class BuysTheFirstBar(bt.Strategy):
    """Knows nothing of this package."""

    def next(self) -> None:
        if len(self) == 1:
            for data in self.datas:
                self.order_target_percent(data, target=0.4)


class SendsNothing(bt.Strategy):
    """Holds cash."""


HIGH = {"class": "ragsignal.strategies:LongShort", "params": {"enter": 0.99}}


def variant(name: str) -> dict[str, Any]:
    return {"name": name, "signal": "none", "strategy": {"class": f"tests.trading.test_notes:{name}"}}


def test_a_symbol_that_whole_shares_leave_out_is_named_whatever_the_strategy() -> None:
    small = spec(variant=[variant("BuysTheFirstBar"), HOLD])
    _, frames = prepare(small)
    dear = {"AAA": frames["AAA"], "BBB": frames["BBB"] * [1e4, 1e4, 1e4, 1e4, 1.0]}
    result = trade(small.variants[0], small, dear)
    assert result.too_dear == {"BBB": pytest.approx(float(dear["BBB"]["close"].iloc[0]) / 0.4)}
    (note,) = notes_on_shares([result])
    assert note.startswith("BuysTheFirstBar: never traded BBB, because no order came to a whole share; costs.cash = ")


def test_a_variant_that_never_traded_says_why_and_is_not_the_best_of_any() -> None:
    small = spec(
        variant=[VOTE | {"strategy": HIGH}, variant("SendsNothing"), MOMENTUM, HOLD],
    )
    result = run_spec(small)
    idle = [note for note in result.notes if "never traded" in note]
    largest = find(result, "vote").signals["value"].abs().max()
    assert idle[0].startswith(
        f"vote never traded: its strategy acts beyond a signal of 0.99 (strategy.enter), and its "
        f"largest is {largest:.3g}; try strategy.enter = 0."
    )
    tried = float(idle[0].rsplit("= ", 1)[1].rstrip("."))
    assert 0 < tried < largest
    assert idle[1] == "SendsNothing never traded: its strategy sent no order, so its figures are those of cash."
    assert result.findings.answers.certainty.superior.variants == 1  # momentum
    rows = [row for row in result.findings.comparisons if row.question == "benchmark"]
    assert {row.left for row in rows if row.difference is not None} == {"momentum"}


def test_a_run_in_which_nothing_else_traded_has_no_answer_and_is_not_called_short() -> None:
    result = run_spec(spec(variant=[variant("SendsNothing"), HOLD]))
    assert result.findings.answers.benchmark.verdict == "idle"
    said = " ".join(answers_in_words(result.findings))
    assert "one side never traded" in said
    assert "too few" not in said
    assert "100 days" not in said


def test_the_number_to_try_trades() -> None:
    params: dict[str, Any] = {"class": "ragsignal.strategies:LongShort", "params": {"enter": 0.99}}
    result = run_spec(spec(variant=[VOTE | {"strategy": params}, HOLD]))
    (note,) = (note for note in result.notes if "never traded" in note)
    params["params"]["enter"] = float(note.rsplit("= ", 1)[1].rstrip("."))
    assert find(run_spec(spec(variant=[VOTE | {"strategy": params}, HOLD])), "vote").traded


class Silent:
    """A source that never has a view."""

    lookback = 5

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One abstention a query."""
        return [
            Signal(it.symbol, it.as_of, value=0.0, probability=0.5, abstained="no candidate", hits=(), key="")
            for it in queries
        ]


def test_a_variant_whose_signals_all_abstain_says_so() -> None:
    small = spec(variant=[VOTE, HOLD])
    _, frames = prepare(small)
    result = trade(small.variants[0], small, frames, Silent())
    (note,) = notes_on_trading(small, [result], pd.DataFrame({"AAA": frames["AAA"]["close"]}))
    assert note == f"vote never traded: all {len(result.signals):,} signals abstain (no candidate)."


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """A folder of two symbols, one of which ends in the middle."""
    days = pd.bdate_range("2014-01-02", "2015-12-31")
    for number, (symbol, frame) in enumerate({"OLD": days[: len(days) // 2 + 60], "NEW": days}.items()):
        bars(len(frame), number, days=frame).to_csv(tmp_path / f"{symbol}.csv", index_label="date")
    return tmp_path


def test_a_position_in_a_feed_that_ended_is_named_with_its_day_and_value(half: Path) -> None:
    ends = spec(data={"source": "folder", "path": str(half), "symbols": ["OLD", "NEW"]}, variant=[HOLD])
    result = run_spec(ends)
    closes = result.closes["OLD"].dropna()
    size = find(result, "hold").orders.set_index("symbol").loc["OLD", "size"]
    (note,) = (note for note in result.notes if "no bars any more" in note)
    assert "hold holds to the end" in note
    assert f"OLD ({closes.index[-1]:%Y-%m-%d}, {size * closes.iloc[-1]:,.0f})" in note


def test_a_window_that_prices_cover_in_part_is_said(half: Path) -> None:
    table = {"source": "folder", "path": str(half), "symbols": ["OLD", "NEW"], "end": pd.Timestamp("2016-06-30").date()}
    result = run_spec(spec(data=table, variant=[HOLD]))
    assert "The spec asks for 2015-01-05 to 2016-06-30; prices cover 2015-01-05 to 2015-12-31 of it." in result.notes
    assert any(
        note.startswith("1 of 2 symbols have bars in a part of the window: OLD (2015-01-05 to ")
        for note in result.notes
    )


def test_a_whole_window_is_not_mentioned() -> None:
    assert not any("window" in note or "cover" in note for note in run_spec(spec(variant=[HOLD])).notes)


def test_nothing_is_said_of_a_run_in_which_all_traded() -> None:
    result = run_spec(spec(variant=[MOMENTUM, HOLD]))
    assert notes_on_trading(result.spec, result.variants, result.closes) == []


@pytest.mark.parametrize("last_stock_day", ["2015-12-24", "2015-12-18"])
def test_beside_a_market_that_never_closes_a_weekend_is_no_end_and_a_week_is(
    tmp_path: Path, last_stock_day: str
) -> None:
    days = {
        "COIN": pd.date_range("2014-01-01", "2015-12-27"),
        "STOCK": pd.bdate_range("2014-01-01", last_stock_day, freq="C", holidays=["2015-05-25", "2015-09-07"]),
    }
    for number, (symbol, index) in enumerate(days.items()):
        bars(len(index), number, days=index).to_csv(tmp_path / f"{symbol}.csv", index_label="date")
    table = {"source": "folder", "path": str(tmp_path), "symbols": list(days), "end": pd.Timestamp("2015-12-27").date()}
    notes = run_spec(spec(data=table, variant=[HOLD])).notes
    assert any("no bars any more" in note for note in notes) == (last_stock_day == "2015-12-18")
