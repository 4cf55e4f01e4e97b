"""A market that comes a day at a time is traded as the backtest trades it, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragsignal.trading.live import FolderSource
from tests.trading.live.made import (
    GrowingFolder,
    assert_same,
    at_once,
    backtest,
    days,
    live_spec,
    run,
    streamed,
    write_history,
)


@pytest.mark.parametrize("variant", ["vote", "momentum"])
def test_days_that_come_one_at_a_time_give_the_backtest(tmp_path: Path, variant: str) -> None:
    come = days(25)
    live = streamed(write_history(tmp_path / "prices"), variant, iter(come))
    assert len(live.equity) == 25
    assert len(live.orders)
    assert_same(live, backtest(tmp_path / "prices", variant, come[-1]))


@pytest.mark.slow
def test_a_year_streamed_is_the_backtest(tmp_path: Path) -> None:
    come = days()
    live = streamed(write_history(tmp_path / "prices", years=3), "vote", iter(come))
    assert len(live.equity) == len(come) > 250
    assert_same(live, backtest(tmp_path / "prices", "vote", come[-1]))


def test_days_that_are_there_at_the_start_are_traded_as_if_they_had_come(tmp_path: Path) -> None:
    come = days(20)
    live = streamed(write_history(tmp_path / "prices", through=come[14]), "vote", iter(come[15:]))
    assert_same(live, backtest(tmp_path / "prices", "vote", come[-1]))


def test_a_backtest_after_the_live_run_makes_no_signal_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    come = days(12)
    streamed(write_history(tmp_path / "prices"), "vote", iter(come))
    result = backtest(tmp_path / "prices", "vote", come[-1])
    with_view = result.signals["abstained"].isna().sum()
    assert result.cost.found == with_view > 0


def test_the_account_goes_on_after_a_restart(tmp_path: Path) -> None:
    come, folder = days(20), write_history(tmp_path / "prices")
    first = streamed(folder, "vote", iter(come[:9]))
    assert len(first.equity) == 9
    live = streamed(folder, "vote", iter(come[9:]))
    assert_same(live, backtest(folder, "vote", come[-1]))


def test_a_restart_needs_no_model_and_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    come, folder = days(12), write_history(tmp_path / "prices")
    before = streamed(folder, "vote", iter(come))
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "another"))
    made: list[Any] = []
    monkeypatch.setattr("ragsignal.signals.pipeline.RagPipeline.signals", lambda _, asked: made.append(asked))
    after, _ = run(live_spec(folder), "vote", tmp_path / "journal.sqlite", FolderSource(folder, ("AAA", "BBB")))
    assert after is not None
    assert made == []
    numbers = ["date", "symbol", "value", "probability", "rank", "abstained", "key"]  # hits stand in the store
    assert after.signals[numbers].equals(before.signals[numbers])
    assert after.orders.equals(before.orders)


@pytest.mark.parametrize("missing", [3, 8])
def test_a_symbol_without_a_bar_delays_nobody_in_the_past(tmp_path: Path, missing: int) -> None:
    come, folder = days(12), write_history(tmp_path / "prices")

    class Holes(GrowingFolder):
        def poll(self) -> Any:
            polled = super().poll()
            polled.bars = [bar for bar in polled.bars if (bar.symbol, bar.day) != ("BBB", come[missing])]
            return polled

    live, market = run(
        live_spec(folder), "vote", tmp_path / "journal.sqlite", Holes(folder, iter(come)), at_once(wait=0.0)
    )
    lines = (folder / "BBB.csv").read_text().splitlines(keepends=True)
    (folder / "BBB.csv").write_text("".join(it for it in lines if not it.startswith(str(come[missing]))))
    assert live is not None
    assert market.intake.counts == {"gap": 1}
    assert_same(live, backtest(folder, "vote", come[-1]))
