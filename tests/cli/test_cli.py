"""The command line as a user meets it: JSON alone on stdout, words on stderr, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragsignal.cli import main
from ragsignal.data.rank_factors import RANK_FACTORS
from ragsignal.signals.store import SignalStore
from tests.cli.commands import ROOT, fresh, run_fresh, run_here
from tests.specs import HOLD, MOMENTUM, RANDOM, VOTE, write_spec, write_train_spec
from tests.tiny import tiny_rank_llm

pytestmark = pytest.mark.slow


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return write_spec(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, str]:
    """A spec, and what its first run answered and said."""
    # of a market that no other test has: its signals are not in the suite's store yet
    path = write_spec(tmp_path_factory.mktemp("ran"), data={"seed": 77})
    return path, *run_fresh("backtest", path, "--out", path.parent / "runs", sheets=True)


def test_backtest_writes_a_report(ran: tuple[Path, Any, str]) -> None:
    _, answer, said = ran
    names = [variant["name"] for variant in answer["variants"]]
    assert names == ["vote", "random", "momentum", "hold"]
    folder = Path(answer["run_dir"])
    assert {"record.json", "index.html", "signals.parquet", "orders.parquet", "equity.parquet"} <= {
        path.name for path in folder.iterdir()
    }
    assert {path.stem for path in (folder / "tearsheets").glob("*.html")} == set(names)
    assert f"report: {folder / 'index.html'}" in said


def test_a_second_run_gives_the_same_record_apart_from_times_and_overwrites_nothing(ran: tuple[Path, Any, str]) -> None:
    path, answer, _ = ran
    folder, runs = Path(answer["run_dir"]), path.parent / "runs" / "small"
    before = (folder / "record.json").read_bytes()
    again, said = run_here("backtest", path, "--out", path.parent / "runs")
    assert _record(Path(again["run_dir"])) == _record(folder)
    assert (folder / "record.json").read_bytes() == before
    assert again["run_dir"] != answer["run_dir"]
    assert folder.parent == runs
    assert (runs / "latest").resolve() == Path(again["run_dir"]).resolve()
    assert "everything is in the store: no model call" in said
    assert all(variant["model_calls"] == 0 for variant in again["variants"])


def test_two_backtests_of_one_name_at_once_leave_two_whole_runs(tmp_path: Path) -> None:
    path = write_spec(tmp_path, data={"end": date(2015, 3, 31)}, variant=[MOMENTUM, HOLD])
    words = fresh("backtest", path, "--out", tmp_path / "runs", "--set")
    cash = (100_000.0, 900_000.0)
    both = [subprocess.Popen([*words, f"costs.cash={it}"], cwd=ROOT, stdout=-1, stderr=-3) for it in cash]
    folders = [Path(json.loads(running.communicate(timeout=300)[0])["run_dir"]) for running in both]
    for folder, start in zip(folders, cash, strict=True):
        assert json.loads((folder / "record.json").read_text())["spec"]["costs"]["cash"] == start
        assert pd.read_parquet(folder / "equity.parquet").iloc[0].tolist() == [start, start]
        assert f"--set costs.cash={start}" in (folder / "index.html").read_text(encoding="utf-8")
    assert {path.name for path in folders[0].parent.iterdir()} == {folder.name for folder in folders} | {"latest"}


def _record(folder: Path) -> str:
    record = json.loads((folder / "record.json").read_text())
    del record["times"]
    return json.dumps(record)


def test_a_run_says_what_it_will_make_and_then_what_it_made(ran: tuple[Path, Any, str]) -> None:
    _, answer, said = ran
    asked = sum(variant["asked"] for variant in answer["variants"])
    made = sum(variant["asked"] - 10 for variant in answer["variants"] if variant["asked"])  # 5 bars of 2 symbols
    assert f"to make: {made:,} signals (no model call, about " in said
    assert f"{asked:,} signals, 0 from the store; 0 model calls, 0 tokens" in said


@pytest.mark.parametrize("command", ["backtest", "evaluate"])
def test_a_dry_run_tells_the_cost_and_leaves_no_report_and_no_signal(
    command: str, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(spec.parent / "cache"))
    answer, said = run_here(command, spec, "--dry-run", "--out", spec.parent / "runs")
    assert [row["name"] for row in answer["signals"]] == ["vote", "random"]
    assert answer["total"]["to_make"] == sum(row["to_make"] for row in answer["signals"]) > 400
    assert answer["total"]["model_calls"] == 0
    assert "to make: " in said
    assert not (spec.parent / "runs").exists()
    assert len(SignalStore(spec.parent / "cache" / "signals.sqlite")) == 0


TYPO = {"strategy": {"class": "ragsignal.strategies:LongShrt"}}
IN_SAMPLE = {
    "data": {"start": date(2010, 3, 1)},
    "variant": [VOTE | {"signal": "classifier", "classifier": "shipped:classifier-text"}, RANDOM, MOMENTUM, HOLD],
}


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (TYPO, 2, "Did you mean 'LongShort'"),
        ({"cost": {}}, 2, "Did you mean 'costs'"),
        (IN_SAMPLE, 1, "but the backtest starts on 2010-03-01"),
    ],
)
def test_a_dry_run_fails_where_a_run_would_and_with_its_exit_code(
    tmp_path: Path, changes: Any, code: int, message: str
) -> None:
    answer, said = run_here("backtest", write_spec(tmp_path, **changes), "--dry-run", code=code)
    assert answer is None
    assert message in said
    assert "Traceback" not in said


def test_the_record_holds_the_figures_that_were_promised(ran: tuple[Path, Any, str]) -> None:
    _, answer, _ = ran
    figures = (
        *("return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "turnover", "costs_paid", "trades"),
        *("exposure", "hit_rate", "abstentions", "model_calls", "tokens", "model_seconds", "asked", "found", "reused"),
        *("signals_per_second", "tokens_per_second"),
    )
    for variant in answer["variants"]:
        assert set(figures) <= set(variant)
    record = json.loads((Path(answer["run_dir"]) / "record.json").read_text())
    assert record["spec"]["costs"]["commission_bps"] == 5.0
    classes = ("LongShort", "PriceMomentum", "BuyAndHold")
    assert set(record["fingerprints"]) == {
        "prices",
        "corpus",
        *(f"code of ragsignal.strategies:{it}" for it in classes),
    }
    assert record["times"]["trials"]["configurations"] == 3
    assert record["times"]["variants"]["vote"]["asked"] > 500
    assert not {"asked", "signals_per_second"} & set(record["variants"][0])


def test_inspect_shows_hits_that_were_known_on_the_day(spec: Path) -> None:
    answer, said = run_here("inspect", spec, "--symbol", "AAA", "--date", "2015-06-01", "--variant", "random")
    assert answer["as_of"] == "2015-06-01"
    assert len(answer["hits"]) == 15
    assert all(hit["available_at"] <= "2015-06-01" for hit in answer["hits"])
    assert answer["probability"]["rise"] + answer["probability"]["fall"] == pytest.approx(1.0)
    first = answer["hits"][0]
    for word in ("the first 10 of 15 hits", f"{first['dates'][0]} to {first['dates'][-1]}", first["available_at"]):
        assert word in said
    assert f"AAA as of 2015-06-01: P(rise) {answer['probability']['rise']:.4f}, signal " in said


def test_inspect_on_a_day_without_a_bar_answers_for_the_last_one_before(spec: Path) -> None:
    answer, _ = run_here("inspect", spec, "--symbol", "AAA", "--date", "2015-06-07")  # a Sunday
    assert answer["as_of"] == "2015-06-05"


def test_inspect_beyond_the_last_bar_is_refused_and_on_the_first_ones_abstains(spec: Path) -> None:
    _, said = run_here("inspect", spec, "--symbol", "AAA", "--date", "2016-06-01", code=1)
    assert "the prices of AAA end on 2015-12-31, before 2016-06-01" in said
    answer, _ = run_here("inspect", spec, "--symbol", "AAA", "--date", "2010-01-08")
    assert answer["abstained"] == "too few bars"
    assert answer["hits"] == []


def test_inspect_of_a_reader_of_ranks_shows_the_letters_of_the_day(tmp_path: Path) -> None:
    llm = {"model": str(tiny_rank_llm(tmp_path / "ranks").folder)}
    spec = write_spec(
        tmp_path,
        data={"symbols": [f"S{number:02d}" for number in range(20)], "end": date(2015, 2, 27)},
        corpus={"target": "relative"},
        retrieval={"retriever": "none", "k": None},
        variant=[{"name": "llm", "signal": "llm", "llm": llm}, HOLD],
    )
    answer, said = run_here("inspect", spec, "--symbol", "S03", "--date", "2015-02-10")
    assert (answer["universe"]["symbols"], answer["universe"]["ranked"]) == (20, 20)
    letters = answer["universe"]["letters"]
    assert [row["factor"] for row in letters] == list(RANK_FACTORS)
    assert "".join(row["letter"] for row in letters) == answer["prompt"]["text"]
    assert set(answer["prompt"]["text"]) <= set("ABCDEFGHIJKLMNOP-")
    assert -1.0 <= answer["rank"] <= 1.0
    assert answer["signal"] == pytest.approx(2.0 * answer["probability"]["rise"] - 1.0)
    assert "mom_250_20" in said
    assert "20 of 20 stocks are ranked that day" in said
    assert f"rank {answer['rank']:+.2f}" in said


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"cost": {}}, 2, "Did you mean 'costs'"),
        ({"retrieval": {"retriever": "shapes"}}, 2, "retriever"),
        ({"data": {"source": "folder", "path": "nowhere"}}, 1, "nowhere"),
        (TYPO, 2, "Did you mean 'LongShort'"),
    ],
)
def test_a_wrong_spec_exits_2_and_a_failed_run_1_without_a_traceback(
    tmp_path: Path, changes: Any, code: int, message: str
) -> None:
    answer, said = run_here("backtest", write_spec(tmp_path, **changes), code=code)
    assert answer is None
    assert message in said
    assert "Traceback" not in said


def test_a_symbol_that_is_not_in_the_prices_is_named(spec: Path) -> None:
    _, said = run_here("inspect", spec, "--symbol", "AAB", "--date", "2015-06-01", code=1)
    assert "AAB" in said
    assert "Traceback" not in said


def test_data_check_lists_problems_and_exits_1(tmp_path: Path) -> None:
    bars = [
        "Date,Open,High,Low,Close,Adj Close,Volume",
        "2020-01-02,1,2,0.5,1.5,1.5,10",
        "2020-01-02,1,2,0.5,1.5,1.5,10",
    ]
    (tmp_path / "AAA.csv").write_text("\n".join(bars))
    answer, said = run_fresh("data", "check", tmp_path, code=1)
    assert [problem["symbol"] for problem in answer] == ["AAA"]
    assert "1 problem(s) and 0 warning(s)" in said
    (tmp_path / "AAA.csv").write_text("\n".join(bars[:2]))
    assert run_here("data", "check", tmp_path)[0] == []


def test_weights_list_tells_what_is_here() -> None:
    answer, _ = run_here("weights", "list")
    assert {row["name"] for row in answer} >= {
        "embedded:all-MiniLM-L6-v2",
        "shipped:stockllm-text",
        "shipped:finseer-text",
    }
    assert all(row["intact"] for row in answer)


def test_evaluate_scores_a_vote_beside_free_baselines(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, data={"end": date(2015, 3, 31)}, retrieval={"k": 5}, evaluation={"every": 3})
    answer, said = run_here("evaluate", spec, "--out", spec.parent / "runs")
    names = [row["name"] for row in answer["forecasters"]]
    assert names[:2] == ["vote", "random"]
    assert "logistic" in names
    assert (Path(answer["run_dir"]) / "record.json").is_file()
    assert "record: " in said


def test_train_lists_its_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["ragsignal", "train", "--help"])
    with pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    said = capsys.readouterr().out
    assert all(word in said for word in ("stockllm", "feedback", "finseer", "recall", "classifier"))


def test_train_classifier_answers_with_the_artifact(tmp_path: Path) -> None:
    answer, said = run_here("train", "classifier", write_train_spec(tmp_path))
    assert [row["folder"] for row in answer] == [str(tmp_path / "artifacts/classifier")]
    assert 0 < answer[0]["metrics"]["auc"] < 1
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "changes", "message"),
    [
        (["stockllm"], {"splt": {}}, "splt: unknown key. Did you mean 'split'?"),
        (["feedback"], {}, "ragsignal train stockllm SPEC"),
        (["advise"], {}, 'stockllm.reader is "text"'),
        (["recall"], {"recall": {"letters": 9}}, "write recall.letters = 5 or less"),
        (["finseer", "--encoder", "nonsense"], {}, "text, numeric or both was expected"),
    ],
)
def test_a_training_that_cannot_begin_exits_2_and_says_what_to_do(
    tmp_path: Path, words: list[str], changes: Any, message: str
) -> None:
    answer, said = run_here("train", words[0], write_train_spec(tmp_path, **changes), *words[1:], code=2)
    assert answer is None
    assert message in said
    assert "Traceback" not in said
