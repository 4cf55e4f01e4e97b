"""A backtest from Python: it writes what the command writes, opens again, shows itself, and stands beside others."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import ragsignal
import ragsignal.report
from ragsignal import ConfigError, Run
from ragsignal.cli.app import app
from ragsignal.report import csv_files
from ragsignal.report.comparison import compare
from tests.specs import HOLD, MOMENTUM, VOTE, spec, write_spec

HOSTILE = "<script>alert(1)</script>"
WINDOW = {"end": "2015-06-30"}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Tear sheets take most of the time of a small run, and no test here looks at one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragsignal.report, "write_tearsheets", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    variants = [VOTE, MOMENTUM, HOLD]
    return ragsignal.backtest(spec(data=WINDOW, variant=variants), out=folder)


@pytest.fixture(scope="module")
def dearer(folder: Path, run: Run) -> Run:
    """The same with other costs."""
    other = spec(data=WINDOW, variant=[VOTE, HOLD])
    return ragsignal.backtest(other, out=folder, settings=["costs.commission_bps=50.0"])


def test_it_writes_the_report_and_opens_again_by_latest(folder: Path, run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    tables = {f"{name}.parquet" for name in ("equity", "orders", "signals")}
    assert {"record.json", "index.html", *tables} <= names
    assert run.folder.parent == (folder / "small").resolve()
    assert run.report.is_file()
    assert Run(run.folder).record == json.loads((run.folder / "record.json").read_text(encoding="utf-8"))


def test_a_spec_from_a_file_takes_settings_as_the_command_does(tmp_path: Path) -> None:
    path = write_spec(tmp_path, variant=[HOLD])
    run = ragsignal.backtest(path, out=tmp_path / "runs", settings=["data.end=2015-01-30", "name=other"])
    assert (run.name, f"{run.equity.index[-1]:%Y-%m-%d}") == ("other", "2015-01-30")
    assert Run(tmp_path / "runs" / "other" / "latest").folder == run.folder
    assert "data.end=2015-01-30" in run.report.read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="Did you mean 'start'"):
        ragsignal.backtest(path, out=tmp_path / "runs", settings=["data.strat=2015-01-30"])


def test_frames_agree_with_one_another_and_with_the_record(run: Run) -> None:
    for row in run.record["variants"]:
        equity = run.equity[row["name"]]
        assert equity.iloc[-1] / equity.iloc[0] - 1 == pytest.approx(row["return"])
        assert run.figures.loc[row["name"], "sharpe"] == pytest.approx(row["sharpe"])
        trades = run.trades[run.trades["variant"] == row["name"]]
        assert len(trades) == row["trades"]
        orders = run.orders[run.orders["variant"] == row["name"]]
        assert trades["costs"].sum() == pytest.approx((orders["commission"] + orders["slippage"]).sum())
        if trades["closed"].notna().all():
            assert trades["profit"].sum() == pytest.approx(equity.iloc[-1] - equity.iloc[0])
    assert set(run.signals["variant"]) == {"vote"}
    assert list(run.trades)[:5] == ["variant", "symbol", "side", "opened", "closed"]


def test_csv_files_hold_what_the_parquet_files_hold(run: Run) -> None:
    equity = pd.read_csv(run.folder / "equity.csv", index_col="date", parse_dates=True)
    assert np.array_equal(equity.to_numpy(), run.equity.to_numpy())
    assert (equity.index == run.equity.index).all()
    orders = pd.read_csv(run.folder / "orders.csv", parse_dates=["date"])
    assert np.array_equal(orders["price"], run.orders["price"])
    assert len(pd.read_csv(run.folder / "trades.csv")) == len(run.trades)
    assert not (run.folder / "signals.csv").exists()


def test_large_tables_are_written_as_csv_where_they_are_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "FEW_ORDERS", 10)
    folder = Path(shutil.copytree(run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("*.csv")))
    csv_files.write_csv(folder)
    assert {path.name for path in folder.glob("*.csv")} == {"equity.csv"}
    csv_files.write_csv(folder, every=True)
    signals = pd.read_csv(folder / "signals.csv", parse_dates=["date"])
    assert np.array_equal(signals["value"], run.signals["value"])
    assert signals["hits"].dropna().str.split(" ").map(len).max() == 15
    assert {path.stem for path in folder.glob("*.csv")} == {"equity", "orders", "trades", "signals"}


def test_in_a_notebook_it_is_a_table_and_a_chart_without_script_or_network(run: Run) -> None:
    hostile = Run(run.folder)
    hostile.record["notes"] = [HOSTILE]
    shown = hostile._repr_html_()
    assert HOSTILE not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert not re.search(r"<script|src=|href=|url\(|http", shown)
    *swatches, svg = re.findall(r"<svg.*?</svg>", shown, flags=re.DOTALL)
    lines = ElementTree.fromstring(svg).findall("polyline")
    assert len(lines) == len(swatches) == len(run.record["variants"])
    for swatch, line in zip(map(ElementTree.fromstring, swatches), lines, strict=True):
        (shown_line,) = swatch
        assert all(shown_line.get(key) == line.get(key) for key in ("stroke", "stroke-dasharray"))
        points = np.array([point.split(",") for point in str(line.get("points")).split()], dtype=float)
        assert len(points) > 50
        assert ((points >= 0) & (points <= [720, 240])).all()
    ElementTree.fromstring(shown)  # well formed


def test_in_a_notebook_figures_stand_right_aligned_whatever_its_style_sheet(run: Run) -> None:
    shown = run._repr_html_()
    figures = len(run.record["variants"]) * 6
    assert len(re.findall(r'<td style="text-align:right[^>]*>[^<]', shown)) == figures
    assert len(re.findall(r'<th style="text-align:right', shown)) == 6


def test_no_two_variants_have_the_same_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [*(f"v{place}" for place in range(9)), run.record["benchmark"]]
    equity = pd.DataFrame(dict.fromkeys(names, 1.0), index=run.equity.index)
    many = Run(run.folder)
    monkeypatch.setitem(many.__dict__, "equity", equity)
    lines = [(trace.line.color, trace.line.dash) for trace in many.plot().data[: 2 * len(names) : 2]]
    assert len(set(lines)) == len(names)


def test_in_a_terminal_it_is_a_table(run: Run) -> None:
    text = repr(run)
    assert all(name in text for name in ("vote", "momentum", "hold", "Sharpe", "2015-01-05 to 2015-06-30"))
    assert f"report: {run.report}" in text


def test_the_figure_of_plotly_has_an_account_and_a_drawdown_a_variant(run: Run) -> None:
    figure = run.plot()
    assert len(figure.data) == 2 * len(run.record["variants"])
    assert all(trace.y[0] in (0.0, 100.0) for trace in figure.data)


def test_what_is_no_backtest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run in"):
        Run(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"it has no record\.json; type: ragsignal backtest SPEC"):
        Run(tmp_path)
    (tmp_path / "record.json").write_text('{"forecasters": []}')
    with pytest.raises(ConfigError, match="is not that of a backtest"):
        Run(tmp_path)


# ------------------------------------------------------------------------------------------------------ comparisons


def test_a_comparison_says_what_differs_and_that_dearer_trading_earns_less(run: Run, dearer: Run) -> None:
    found = compare(run, dearer)
    assert set(found.spec.index) >= {"costs.commission_bps"}
    assert list(found.spec.loc["costs.commission_bps"]) == ["5.0", "50.0"]
    assert list(found.spec.loc["variant.momentum"]) == ["there", "–"]
    assert found.versions.empty
    rows = {row.variant: row for row in found.differences}
    assert set(rows) == {"vote", "hold"}
    assert rows["vote"].difference < 0
    gap = (dearer.returns["vote"] - run.returns["vote"]).mean() * 252
    assert rows["vote"].difference == pytest.approx(gap)
    assert rows["vote"].low <= rows["vote"].difference <= rows["vote"].high
    assert found.figures.loc[("vote", "sharpe")].tolist() == [r.figures.loc["vote", "sharpe"] for r in (run, dearer)]
    assert np.isnan(found.figures.loc[("momentum", "sharpe")].iloc[1])  # that run has no such variant
    for text in (str(found), found._repr_html_()):
        assert "costs.commission_bps" in text
        assert "distinguishable" in text
    json.dumps(found.record, allow_nan=False)


def test_the_command_prints_the_comparison_and_answers_in_json(run: Run, dearer: Run) -> None:
    done = CliRunner().invoke(app, ["compare", str(run.folder), str(dearer.folder)])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["spec"]["costs.commission_bps"] == ["5.0", "50.0"]
    assert [row["variant"] for row in answer["differences"]] == ["vote", "hold"]
    assert "paired difference of mean returns" in done.stderr


def test_a_run_that_was_repeated_differs_in_nothing(folder: Path, dearer: Run) -> None:
    again = ragsignal.backtest(spec(data=WINDOW, variant=[VOTE, HOLD], costs={"commission_bps": 50.0}), out=folder)
    found = ragsignal.compare(dearer.folder, again.folder)
    assert "nothing but the clock" in str(found)
    assert all(row.same and not row.distinguishable for row in found.differences)
    assert "the same returns, bar by bar" in str(found)


def test_runs_on_other_bars_and_one_run_twice_are_refused(tmp_path: Path, run: Run) -> None:
    short = ragsignal.backtest(spec(data={"end": "2015-03-31"}, variant=[HOLD]), out=tmp_path)
    with pytest.raises(ConfigError, match=r"not on the same bars.*2015-06-30.*2015-03-31.*--set data\.start"):
        compare(run, short)
    weekly = ragsignal.backtest(spec(data={"bar": "week"}, variant=[HOLD]), out=tmp_path)
    with pytest.raises(ConfigError, match=r"of different lengths or calendars: compare runs of one data\.bar"):
        compare(run, weekly)
    with pytest.raises(ConfigError, match="is given twice"):
        compare(run, run.folder)
    with pytest.raises(ConfigError, match="two runs or more"):
        compare(run)
