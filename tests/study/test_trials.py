"""The ledger of trials: everything that was tried is counted once, nothing is ever forgotten."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal import statistics
from ragsignal.config import RunSpec
from ragsignal.errors import StoreError
from ragsignal.study.trials import (
    Bars,
    Trial,
    TrialLedger,
    bars_of,
    configuration_of,
    count,
    deflated,
    ledger_path,
    sharpe_of,
)
from ragsignal.trading.engine import run_spec
from tests import specs

BARS = Bars("", ("AAPL", "IBM"), date(2011, 1, 3), date(2013, 3, 1))


def _trials(*names: str) -> list[Trial]:
    return [Trial(name, "backtest", 0.01 * len(name)) for name in names]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), max_size=6))
def test_a_configuration_is_counted_once_however_often_it_runs(runs: list[list[str]]) -> None:
    ledger = TrialLedger(":memory:")
    for run in runs:
        ledger.add(BARS, _trials(*run))
    assert len(ledger.against(BARS)) == len({name for run in runs for name in run})
    ledger.close()


def test_no_row_can_be_changed_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "trials.sqlite"
    ledger = TrialLedger(path)
    ledger.add(BARS, _trials("a", "b"))
    ledger.close()
    with sqlite3.connect(path) as connection:
        for statement in ("DELETE FROM trials", "UPDATE trials SET sharpe = 9.0"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)
    connection.close()
    again = TrialLedger(path)
    assert again.against(BARS) == _trials("a", "b")
    again.close()


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        (replace(BARS, first=date(2013, 3, 1), last=date(2015, 1, 2)), True),  # one day in common
        (replace(BARS, first=date(2013, 3, 2), last=date(2015, 1, 2)), False),
        (replace(BARS, symbols=("IBM", "MSFT")), True),
        (replace(BARS, symbols=("MSFT",)), False),
        (replace(BARS, market="noise/0/0.5"), False),  # the same names, other bars
    ],
)
def test_a_trial_counts_wherever_a_symbol_and_a_day_are_shared(other: Bars, counts: bool) -> None:
    ledger = TrialLedger(":memory:")
    ledger.add(other, _trials("a"))
    assert bool(ledger.against(BARS)) is counts
    ledger.close()


def test_thousands_of_data_sets_are_read() -> None:
    ledger = TrialLedger(":memory:")
    for year in range(1000, 3000):
        ledger.add(replace(BARS, first=date(year, 1, 3)), _trials("a")[:1])
    assert len(ledger.against(BARS)) == 2014 - 1000  # those that begin by 2013-03-01
    ledger.close()


def test_a_file_that_is_no_ledger_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "trials.sqlite"
    path.write_text("not a database, but long enough to be taken for a damaged one " * 20)
    with pytest.raises(StoreError, match="move it away"):
        TrialLedger(path)


def test_a_ledger_that_cannot_be_written_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spec: RunSpec
) -> None:
    (tmp_path / "trials.sqlite").mkdir()
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    asked: list[object] = []
    with pytest.raises(StoreError, match="folder that can be written"):
        run_spec(spec, before=lambda *it: asked.append(it))
    assert not asked


def test_a_ledger_that_can_only_be_read_says_so_when_it_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    TrialLedger(tmp_path / "trials.sqlite").close()
    connect = sqlite3.connect  # not chmod: root may write everything
    monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(f"file:{path}?mode=ro", uri=True, **more))
    with pytest.raises(StoreError, match="folder that can be written"):
        TrialLedger(tmp_path / "trials.sqlite")


def test_the_ledger_is_no_cache_unless_a_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    assert ledger_path() == tmp_path / "trials.sqlite"
    monkeypatch.delenv("RAGSIGNAL_CACHE")
    assert "cache" not in ledger_path().parts


# ------------------------------------------------------------------------------------------------ configurations


@pytest.fixture
def spec() -> RunSpec:
    return specs.spec()


def test_a_configuration_is_what_decides_the_result_and_not_its_name(spec: RunSpec) -> None:
    variant = spec.find_variant(None)
    base = configuration_of(spec, variant, {"k": 3}, "code")
    assert configuration_of(spec, replace(variant, name="other"), {"k": 3}, "code") == base
    cheaper = specs.spec(costs={"commission_bps": 0.0})
    others = [
        configuration_of(spec, variant, {"k": 4}, "code"),
        configuration_of(spec, variant, {"k": 3}, "edited"),
        configuration_of(cheaper, variant, {"k": 3}, "code"),
        configuration_of(spec, variant, {"k": 3}),
    ]
    assert len({base, *others}) == 5


def test_made_up_markets_of_two_seeds_are_two_data_sets(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    other = specs.spec(data={"seed": 7})
    assert bars_of(spec).market != bars_of(other).market
    assert len(count(spec, _trials("x"))) == 1
    assert len(count(other, _trials("y"))) == 1


def test_more_trials_make_the_same_account_less_believable() -> None:
    rng = np.random.default_rng(0)
    returns = pd.Series(rng.normal(0.001, 0.01, 500), index=pd.bdate_range("2015-01-02", periods=500))
    spread = [Trial(str(number), "sweep", ratio) for number, ratio in enumerate(rng.normal(0.0, 0.03, 200))]
    few, many = (deflated({"mine": returns}, spread[:n])["deflated_sharpe"]["mine"] for n in (5, 200))
    assert many < few < statistics.probabilistic_sharpe(returns.to_numpy())


def test_one_trial_alone_has_no_spread_to_be_deflated_by() -> None:
    returns = pd.Series([0.01, -0.01, 0.02], index=pd.bdate_range("2015-01-02", periods=3))
    assert deflated({"mine": returns}, [Trial("a", "backtest", 0.1)]) is None


def test_a_look_at_two_weeks_is_counted_but_says_nothing_about_luck() -> None:
    returns = np.random.default_rng(0).normal(0.001, 0.01, 300)
    assert sharpe_of(returns) is not None
    assert sharpe_of(returns[:99]) is None
    known = [Trial("a", "backtest", 0.1), Trial("b", "backtest", 0.05), Trial("c", "backtest", sharpe_of(returns[:10]))]
    days = pd.bdate_range("2011-01-03", periods=300)
    assert deflated({"x": pd.Series(returns[:50], index=days[:50])}, known) is None
    assert deflated({"x": pd.Series(returns, index=days)}, known)["sharpe0"] < 1.0
