"""What a run, its page and a sweep say of accounts that were ruined, or into which money was paid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal import statistics
from ragsignal.cli.sweep import table_of_best
from ragsignal.config import RunSpec
from ragsignal.report import record_of, tearsheet
from ragsignal.report.answers import answers_in_words, cards
from ragsignal.report.forest import forests_of
from ragsignal.report.page import render_page
from ragsignal.report.record import equity_table
from ragsignal.trading.engine import run_spec
from ragsignal.trading.results import RunResult
from ragsignal.trading.sweep.record import table_of
from ragsignal.trading.sweep.run import run_sweep
from tests.results import find
from tests.specs import HOLD, spec
from tests.trading.accounts import bars, squeeze

pytestmark = pytest.mark.slow

ACCOUNTS = "tests.trading.accounts"
SHORT = {"name": "short", "signal": "none", "strategy": {"class": f"{ACCOUNTS}:ShortHold"}}
SAVER = {"name": "saver", "signal": "none", "strategy": {"class": f"{ACCOUNTS}:SavingsPlan"}}


def walk(n_bars: int = 300) -> pd.DataFrame:
    """Prices that end where they began."""
    moves = np.random.default_rng(1).normal(0, 0.01, n_bars)
    return bars((100.0 * np.exp(np.cumsum(moves - moves.mean()))).tolist())


def spec_on(folder: Path, frame: pd.DataFrame, **changes: Any) -> RunSpec:
    """A spec on one symbol with these bars."""
    frame.rename(columns=str.capitalize).rename_axis("Date").to_csv(folder / "AAA.csv")
    days = frame.index
    data = {
        "source": "folder",
        "path": str(folder),
        "symbols": ["AAA"],
        "start": days[0].date(),
        "end": days[-1].date(),
    }
    return spec(data=data, strategy={"class": f"{ACCOUNTS}:ShortHold"}, **changes)


def run_on(folder: Path, frame: pd.DataFrame, variants: list[dict[str, Any]], **changes: Any) -> RunResult:
    return run_spec(spec_on(folder, frame, variant=variants, **changes))


@pytest.fixture(scope="module")
def ruined(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_on(tmp_path_factory.mktemp("ruined"), squeeze(), [SHORT, HOLD])


@pytest.fixture(scope="module")
def fallen_benchmark(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_on(tmp_path_factory.mktemp("fallen"), squeeze(), [SHORT, HOLD], benchmark="short")


def test_a_ruined_account_lost_all_of_it_and_has_one_note(ruined: RunResult) -> None:
    short, day = find(ruined, "short"), str(squeeze().index[150].date())
    assert [short.metrics[key] for key in ("return", "cagr", "max_drawdown")] == [-1.0] * 3
    assert [short.metrics[key] for key in ("sharpe", "volatility", "sortino", "sharpe_error")] == [None] * 4
    assert [note for note in ruined.notes if "short" in note] == [note for note in ruined.notes if day in note]
    (note,) = (note for note in ruined.notes if "short" in note)
    assert note.startswith(f"short: ruined on {day}. Its account fell to -2,")
    assert record_of(ruined)["variants"][0]["ruined"] == day
    assert "ruined" not in record_of(ruined)["variants"][1]


def test_every_finding_agrees_that_the_account_is_gone(ruined: RunResult) -> None:
    findings = ruined.findings
    assert findings.ruined == {"short": str(squeeze().index[150].date())}
    assert {row.difference for row in findings.comparisons} == {None}
    assert findings.answers.benchmark.verdict == "ruined"
    assert findings.answers.certainty.superior.variants == 0
    assert findings.answers.certainty.power.sharpe is None
    figures = findings.costs.variants["short"]
    assert [figures.paid, *figures.yearly, *figures.sharpe, figures.break_even_bps] == [None] * 12
    assert {(it.yearly, it.sharpe) for it in findings.regimes.variants["short"].values()} == {(None, None)}
    assert findings.regimes.variants["hold"]["bull"].yearly is not None
    assert "sharpe0" not in ruined.times["trials"]
    json.dumps(record_of(ruined), allow_nan=False)


def test_every_sentence_says_ruined_and_none_that_days_are_few_or_that_a_side_never_moved(ruined: RunResult) -> None:
    text = " ".join(answers_in_words(ruined.findings, ruined.times["trials"])) + render_page(ruined)
    day = ruined.findings.ruined["short"]
    assert f"Would hold have done better? Yes: short was ruined on {day}" in text
    assert f"The account of short was ruined on {day}; an account at 0" in text
    for wrong in ("Fewer than 100 days", "never moved", "too few data", "Sure of", r"\bnan\b"):
        assert not re.search(wrong, text.split("<script>")[0])


def test_a_tear_sheet_of_a_ruined_account_says_so(ruined: RunResult) -> None:
    returns = equity_table(ruined).pct_change().iloc[1:]
    day = ruined.findings.ruined["short"]
    assert tearsheet.obstacle(returns["hold"], returns["hold"]) is None
    assert f"This variant's account lost everything on {day}" in str(
        tearsheet.obstacle(returns["short"], returns["hold"])
    )
    assert f"The benchmark's account lost everything on {day}" in str(
        tearsheet.obstacle(returns["hold"], returns["short"])
    )


def test_beside_a_ruined_benchmark_nothing_is_claimed(fallen_benchmark: RunResult) -> None:
    card = cards(fallen_benchmark.findings)[2]
    assert card.answer == f"No: short was ruined on {fallen_benchmark.findings.ruined['short']}"
    assert find(fallen_benchmark, "hold").metrics["sharpe"] is not None
    assert fallen_benchmark.findings.costs.variants["hold"].equal_bps is None
    assert fallen_benchmark.findings.answers.certainty.comparisons == 0


def test_a_ruined_account_beside_others_is_left_out_of_their_comparisons_and_named(tmp_path: Path) -> None:
    small = {**SHORT, "name": "small", "strategy": {"class": f"{ACCOUNTS}:ShortHold", "params": {"part": 0.01}}}
    result = run_on(tmp_path, squeeze(), [SHORT, small, HOLD])
    card = cards(result.findings)[2]
    assert result.findings.answers.certainty.comparisons == 2
    assert result.findings.answers.certainty.superior.variants == 1
    assert card.because.startswith(f"The account of short was ruined on {result.findings.ruined['short']}; ")
    assert "of 2 comparisons" in card.because
    without = [words for forest in forests_of(result.findings) for words in forest.without]
    assert any(f"does not exist, short was ruined on {result.findings.ruined['short']}" in words for words in without)


def test_an_account_that_is_ruined_on_the_last_bar_has_no_ratio_either(tmp_path: Path) -> None:
    frame = squeeze()
    result = run_on(tmp_path, frame.iloc[: len(frame) // 2 + 1], [SHORT, HOLD])
    short = find(result, "short")
    assert short.ruined == frame.index[150].date()
    assert short.metrics["sharpe"] is None
    assert {row.difference for row in result.findings.comparisons} == {None}
    assert result.findings.costs.variants["short"].sharpe == [None] * 5
    assert "sharpe0" not in result.times["trials"]


def test_a_ruined_point_of_a_sweep_is_the_worst_and_counted(tmp_path: Path) -> None:
    base = spec_on(tmp_path, squeeze(), variant=[SHORT, HOLD])
    record = run_sweep(base, {"strategy.part": [0.95, 0.5, 0.01, 0.0]}, ["short"])
    assert ["ruined" in row for row in record["rows"]] == [True, True, False, False]
    assert [row["sharpe"] is None for row in record["rows"]] == [True, True, False, True]
    assert {row["gap"]["difference"] for row in record["rows"][:2]} == {None}
    assert any(note.startswith("2 points lost everything") for note in record["notes"])
    cells = [list(column.cells) for column in table_of_best(record).columns]
    assert cells[1][:4] == ["0.01", "0.95", "0.5", "0.0"]  # what never traded stands apart, after the rest
    assert cells[3][1:3] == ["ruined", "ruined"]


# ------------------------------------------------------------------------------------------------------------- payments


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_on(tmp_path_factory.mktemp("saved"), walk(), [SAVER, HOLD])


def test_deposits_are_named_and_every_figure_is_net_of_them(saved: RunResult) -> None:
    saver, hold = find(saved, "saver"), find(saved, "hold")
    months = len(saver.paid)
    assert months >= 14
    assert saver.money.iloc[-1] > 190_000
    assert saver.metrics["return"] == pytest.approx(float(hold.metrics["return"]), abs=0.05)
    assert saver.metrics["return"] == pytest.approx(saver.equity.iloc[-1] / 100_000 - 1)
    assert saver.metrics["sharpe"] == statistics.performance(saver.equity)["sharpe"]
    assert saver.metrics["turnover"] < 1.5  # of the money that was there, not of the first 100,000
    (note,) = (note for note in saved.notes if "saver" in note)
    assert f"paid {10_000 * months:,} into its account and took 0 out of it, on {months} days" in note
    assert list(record_of(saved)["variants"][0]["paid"].values()) == [10_000.0] * months
    assert not any(row.distinguishable for row in saved.findings.comparisons)
    assert "Sure of" not in " ".join(answers_in_words(saved.findings))


def test_what_costs_took_is_a_share_of_the_money_that_was_there(saved: RunResult) -> None:
    saver, costs = find(saved, "saver"), saved.spec.costs
    took = saver.orders["value"].abs().sum() * (costs.commission_bps + costs.slippage_bps) / 1e4
    years = len(saver.returns) / saved.bars_a_year
    assert saved.findings.costs.variants["saver"].paid == pytest.approx(took / saver.money.mean() / years, rel=0.4)


def test_an_account_that_is_emptied_lost_nothing_by_that_and_says_so(tmp_path: Path) -> None:
    spender = {**SAVER, "strategy": {"class": f"{ACCOUNTS}:SavingsPlan", "params": {"amount": -60_000.0}}}
    result = run_on(tmp_path, walk(), [spender, HOLD])
    saver, days = find(result, "saver"), walk().index
    assert saver.ruined is None
    assert saver.emptied == days[days.month == 2][0].date()
    assert saver.metrics["return"] == pytest.approx(saver.equity.loc[str(saver.emptied)] / 100_000 - 1)
    assert result.findings.ruined == {}
    assert record_of(result)["variants"][0]["emptied"] == str(saver.emptied)
    assert any(f"saver: a withdrawal on {saver.emptied} took all" in note for note in result.notes)
    assert result.findings.costs.variants["saver"].paid is not None


def test_payments_of_a_point_stand_in_the_table_of_a_sweep_as_their_sum(tmp_path: Path) -> None:
    record = run_sweep(spec_on(tmp_path, walk(), variant=[SAVER, HOLD]), {"strategy.amount": [0.0, 10.0]}, ["saver"])
    table = table_of(record)
    assert table["paid"].isna().tolist() == [True, False]
    assert table["paid"][1] == sum(record["rows"][1]["paid"].values())
    assert next(note for note in record["notes"] if "paid money" in note).startswith("1 point paid")
    table.to_parquet(tmp_path / "sweep.parquet")
