"""What a run on bars of hours writes, and ``ragsignal inspect`` and ``audit`` of it, name each bar by its moment."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ragsignal
from ragsignal.study import open_store
from tests.cli.commands import run_here
from tests.clocks import clock_data
from tests.sidecars import read_sidecar
from tests.specs import write_spec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(
        tmp_path_factory.mktemp("hours"),
        data=clock_data("hour", end=date(2015, 1, 20)),
        corpus={"stride": 2},
        benchmark="hold",
    )


@pytest.fixture(scope="module")
def run(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGSIGNAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("ragsignal.report.write_tearsheets", lambda *_: None)
        yield ragsignal.backtest(spec, out=tmp_path_factory.mktemp("runs"))


def test_tables_name_bars_by_moments(run: Any) -> None:
    equity = pd.read_csv(run.folder / "equity.csv")["date"]
    assert equity[0] == "2015-01-05 10:30"
    assert equity.is_unique
    signals = pd.read_parquet(run.folder / "signals.parquet")
    assert signals["date"].nunique() == len(equity) == 7 * 12
    orders = pd.read_csv(run.folder / "orders.csv")
    assert set(orders["date"]) <= set(equity)
    assert len(orders)
    trades = pd.read_csv(run.folder / "trades.csv")
    assert set(trades["opened"]) <= set(equity)


def test_the_record_says_the_clock(run: Any) -> None:
    record = json.loads((run.folder / "record.json").read_text())
    assert record["bars_a_year"] == 252 * 7
    assert record["spec"]["data"]["bar"] == "60min"
    (vote,) = (it for it in record["variants"] if it["name"] == "vote")
    assert vote["recipe"]["clock"] == {
        "bar": "60min",
        "rise_above": pytest.approx(0.0055 * (60 / 390) ** 0.5),
        "fall_below": pytest.approx(-0.005 * (60 / 390) ** 0.5),
    }


def test_the_store_keeps_moments(run: Any) -> None:
    keys = pd.read_parquet(run.folder / "signals.parquet")["key"]
    kept = open_store().get(keys[keys != ""].tolist())
    last = max(kept.values(), key=lambda it: it.as_of)
    assert str(last.as_of) == "2015-01-19 16:00:00" or str(last.as_of) == "2015-01-20 16:00:00"
    assert max(hit.sequence.available_at for hit in last.hits) <= last.as_of


def test_the_page_looks_up_bars_by_moments(run: Any) -> None:
    text = (run.folder / "index.html").read_text()
    assert '"2015-01-05 10:30"' in text
    evidence = read_sidecar(run.folder, "evidence-0-0")
    assert "2015-01-05 15:30" in json.dumps(evidence)


def test_inspect_shows_a_bar_of_hours(spec: Path, run: Any) -> None:
    for asked in ("2015-01-12 15:30", "2015-01-12T15:30"):
        answer, _ = run_here("inspect", spec, "--symbol", "AAA", "--date", asked)
        assert answer["as_of"] == "2015-01-12T15:30:00"
        assert all(hit["available_at"] <= "2015-01-12T15:30:00" for hit in answer["hits"])
    last, _ = run_here("inspect", spec, "--symbol", "AAA", "--date", "2015-01-12")
    assert last["as_of"] == "2015-01-12T16:00:00"
    between, said = run_here("inspect", spec, "--symbol", "AAA", "--date", "2015-01-12 15:00")
    assert between["as_of"] == "2015-01-12T14:30:00"
    assert "2015-01-12 15:00 is no end of a bar of AAA: shown is 2015-01-12 14:30" in said


def test_a_time_of_day_of_daily_bars_is_refused(tmp_path: Path) -> None:
    _, said = run_here("inspect", write_spec(tmp_path), "--symbol", "AAA", "--date", "2015-03-12 15:00", code=1)
    assert "--date 2015-03-12 15:00: the bars are of days; name the day alone, --date 2015-03-12" in said
