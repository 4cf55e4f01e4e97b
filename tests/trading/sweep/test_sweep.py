"""A sweep: which points there are, what a point may change, and that signals are made once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragsignal.cli.sweep import table_of_best, with_address
from ragsignal.config import RunSpec
from ragsignal.errors import ConfigError
from ragsignal.parallel import InProcessPool, ProcessPool
from ragsignal.report import record_of
from ragsignal.trading.engine import run_spec
from ragsignal.trading.sweep import Journal, parse_grid, run_sweep, write_sweep
from ragsignal.trading.sweep import run as sweep_run
from ragsignal.trading.sweep.grid import chosen_variants, points_of, spec_at
from tests import specs
from tests.specs import HOLD, MOMENTUM, RANDOM
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
GRID = {"strategy.enter": [0.0, 0.1], "costs.commission_bps": [0.0, 5.0]}


QUARTER = {"end": date(2015, 3, 31)}


@pytest.fixture
def spec() -> RunSpec:
    return specs.spec(data=QUARTER)


def _lasting(record: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in record.items() if key != "times"}, sort_keys=True)


# --------------------------------------------------------------------------------------------------------- grids


def test_values_are_tomls_and_a_word_needs_no_quotes() -> None:
    grid = parse_grid(["strategy.enter=0,0.05", "retrieval.retriever=shape, dtw", "llm.mask=true", 'llm.model="a,b"'])
    assert grid["strategy.enter"] == [0, 0.05]
    assert grid["retrieval.retriever"] == ["shape", "dtw"]
    assert grid["llm.mask"] == [True]
    assert grid["llm.model"] == ["a,b"]


def test_points_are_every_combination() -> None:
    points = points_of({"a.x": [1, 2], "a.y": [3, 4, 5]})
    assert len(points) == 6
    assert points[:2] == [{"a.x": 1, "a.y": 3}, {"a.x": 1, "a.y": 4}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "needs a --grid"),
        (["strategy.enter"], "place=value,value was expected"),
        (["strategy.enter="], "place=value,value was expected"),
        (["strategy.enter=0,?"], "'?' is no value"),
        (["strategy.enter=0,0.0"], "comes twice"),
        (["costs.cash=1", "costs.cash=2"], "given twice"),
    ],
)
def test_a_grid_that_cannot_be_read_says_why(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        parse_grid(words)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("strategy.entre", 0.1, "Did you mean 'enter'"),
        ("costs.comission_bps", 1.0, "Did you mean 'commission_bps'"),
        ("costs.commission_bps", -1.0, "greater than or equal to 0"),
        ("retrieval.kk", 3, "Did you mean 'k'"),
        ("retrieval.k", 2.5, "valid integer"),
        ("cost.cash", 1.0, "Did you mean 'costs'"),
        ("data.start", "2015-02-02", "no table 'data' can be swept"),
        ("costs", 1.0, "which key"),
    ],
)
def test_a_wrong_place_or_value_is_an_error_before_any_signal(
    spec: RunSpec, place: str, value: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_run, "signals_of", None)
    with pytest.raises(ConfigError, match=said):
        run_sweep(spec, {place: [value]})


def test_by_default_what_trades_a_signal_by_the_specs_strategy_is_swept(spec: RunSpec) -> None:
    assert [it.name for it in chosen_variants(spec)] == ["vote", "random"]
    assert [it.name for it in chosen_variants(spec, ["momentum"])] == ["momentum"]
    with pytest.raises(ConfigError, match="is the benchmark"):
        chosen_variants(spec, ["hold"])
    with pytest.raises(ConfigError, match="Did you mean 'vote'"):
        chosen_variants(spec, ["vot"])
    with pytest.raises(ConfigError, match="named twice"):
        chosen_variants(spec, ["vote", "vote"])


def test_a_point_changes_the_chosen_variant_and_costs_change_all(spec: RunSpec) -> None:
    point = {"strategy.enter": 0.2, "retrieval.k": 3, "costs.cash": 1e6, "corpus.stride": 2}
    there = spec_at(spec, point, ["random"])
    assert [it.name for it in there.variants] == ["random", "hold"]
    random, hold = there.variants
    assert random.strategy.params == {"enter": 0.2}
    assert random.retrieval.k == 3
    assert random.retrieval.retriever == "random"
    assert (there.costs.cash, there.corpus.stride) == (1e6, 2)
    assert hold.strategy == spec.find_variant("hold").strategy
    assert there.retrieval == spec.retrieval


# --------------------------------------------------------------------------------------------------------- points


def test_each_point_is_what_a_single_run_of_it_says(spec: RunSpec) -> None:
    record = run_sweep(spec, GRID)
    assert record["trials"] == len(record["rows"]) == 8
    for row in record["rows"]:
        alone = record_of(run_spec(spec_at(spec, row["point"], [row["variant"]])))
        figures = {key: value for key, value in row.items() if key not in ("variant", "point", "gap")}
        assert figures == {key: alone["variants"][0][key] for key in figures}
        beside = [it for it in alone["findings"]["comparisons"] if it["measure"] == "mean return a year"]
        assert all(row["gap"][key] == it[key] for it in beside for key in ("difference", "low", "high", "p"))
    assert record["bars_a_year"] == 252
    held = {row["point"]["costs.commission_bps"]: row["return"] for row in record["benchmarks"]}
    assert set(held) == {0.0, 5.0}
    assert held[0.0] > held[5.0]


def test_two_processes_say_what_one_says_and_the_bytes_stay(spec: RunSpec, tmp_path: Path) -> None:
    one, two = run_sweep(spec, GRID, pool=InProcessPool()), run_sweep(spec, GRID, pool=ProcessPool(2))
    assert _lasting(one) == _lasting(two)
    write_sweep(one, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "sweep.parquet")
    assert len(table) == 8
    assert {"variant", "strategy.enter", "costs.commission_bps", "sharpe", "gap_difference"} <= set(table)


def test_the_record_says_how_many_were_tried(spec: RunSpec) -> None:
    record = run_sweep(spec, {"costs.commission_bps": [0.0, 5.0], "costs.slippage_bps": [0.0]}, ["vote"])
    assert record["trials"] == 2
    assert "best of 2 is not evidence" in record["notes"][0]
    assert any(note.startswith("At 1 of 2 points: Costs are switched off") for note in record["notes"])


def test_costs_are_no_choice_to_be_judged(spec: RunSpec) -> None:
    enter = {"strategy.enter": [0.0, 0.1, 0.2]}
    record = run_sweep(spec, {**enter, "costs.commission_bps": [0.0, 5.0]}, ["vote"])
    alone = run_sweep(spec, {**enter, "costs.commission_bps": [5.0]}, ["vote"])
    assert record["trials"] == 6
    assert record["selection"] == alone["selection"]
    assert record["selection"]["points"] == 3
    assert any(note.startswith("Judged are the 3 points at the highest costs") for note in record["notes"])


def test_a_combination_that_a_strategy_refuses_is_no_trial(spec: RunSpec) -> None:
    record = run_sweep(spec, {"strategy.enter": [0.0, 0.1], "strategy.exit": [0.0, 0.05]}, ["vote"])
    refused = [row for row in record["rows"] if "refused" in row]
    assert [row["point"] for row in refused] == [{"strategy.enter": 0.0, "strategy.exit": 0.05}]
    assert "must keep 0 <= exit <= enter" in refused[0]["refused"]
    assert record["trials"] == 3
    assert "1 more were refused" in record["notes"][0]
    with pytest.raises(ConfigError, match=r"no point can be run\. .*must keep"):
        run_sweep(spec, {"strategy.enter": [0.0], "strategy.exit": [0.05]}, ["vote"])


def test_a_price_rule_is_swept_where_it_is_named(spec: RunSpec) -> None:
    record = run_sweep(spec, {"strategy.period": [5, 20]}, ["momentum"])
    assert len({row["return"] for row in record["rows"]}) == 2


def test_a_sweep_of_the_corpus_remakes_signals_and_keeps_the_bars(spec: RunSpec) -> None:
    record = run_sweep(spec, {"corpus.stride": [1, 7], "retrieval.k": [5, 15]}, ["vote"])
    assert len({row["hit_rate"] for row in record["rows"]}) > 1
    assert len({row["return"] for row in record["benchmarks"]}) == 1


# -------------------------------------------------------------------------------------------------------- signals


def test_thresholds_read_signals_once_and_a_second_sweep_calls_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    spec = specs.spec(
        data=QUARTER,
        retrieval={"retriever": "none"},
        llm={"model": str(tiny_llama(tmp_path / "tiny", tiny_tokenizer(), 1024))},
        variant=[{"name": "llm"}, RANDOM, MOMENTUM, HOLD],
    )
    asked: list[str] = []
    made = sweep_run.signals_of
    monkeypatch.setattr(sweep_run, "signals_of", lambda source, frames: asked.append("") or made(source, frames))
    first = run_sweep(spec, {"strategy.enter": [0.0, 0.001, 0.002]}, ["llm"])
    assert len(asked) == 1
    assert first["times"]["signals"]["model_calls"] > 0
    second = run_sweep(spec, {"strategy.enter": [0.0, 0.003], "costs.cash": [1e5, 1e6]}, ["llm"])
    assert second["times"]["signals"]["model_calls"] == 0
    assert any("untuned" in note or "not recorded" in note for note in first["notes"])


# ------------------------------------------------------------------------------------------------------- a killed one


def test_a_rerun_goes_on_where_a_killed_sweep_stopped(spec: RunSpec, tmp_path: Path) -> None:
    whole = run_sweep(spec, GRID)
    journal = Journal(tmp_path / "points.jsonl")
    run_sweep(spec, {**GRID, "costs.commission_bps": [0.0]}, journal=journal)
    with (tmp_path / "points.jsonl").open("a") as file:
        file.write('["half a li')
    taken_up = Journal(tmp_path / "points.jsonl")
    assert len(taken_up.rows) == 4
    told: list[tuple[int, int]] = []
    again = run_sweep(spec, GRID, progress=lambda _, done, total: told.append((done, total)), journal=taken_up)
    assert [it for it in told if it[1] == 8] == [(5, 8), (6, 8), (7, 8), (8, 8)]
    assert _lasting(again) == _lasting(whole)
    taken_up.close()
    assert (tmp_path / "points.jsonl").exists()  # the first sweep has not closed it
    journal.close()
    assert not (tmp_path / "points.jsonl").exists()


def test_a_sweep_that_ends_leaves_the_points_of_another_one_that_is_killed_later(tmp_path: Path) -> None:
    mine, theirs = Journal(tmp_path / "points.jsonl"), Journal(tmp_path / "points.jsonl")
    theirs.add("theirs", {"return": 1.0})
    mine.add("mine", {"return": 2.0})
    mine.close()
    assert set(Journal(tmp_path / "points.jsonl").rows) == {"theirs", "mine"}


def test_the_row_after_a_line_that_was_cut_short_is_kept(tmp_path: Path) -> None:
    (tmp_path / "points.jsonl").write_text('["half a li')
    Journal(tmp_path / "points.jsonl").add("next", {"return": 1.0})
    assert set(Journal(tmp_path / "points.jsonl").rows) == {"next"}


def test_other_bars_or_another_strategy_file_find_no_old_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    rule = "from strategies.rag_momentum import LongShort\nclass Mine(LongShort):\n    pass\n"
    (tmp_path / "my_rule.py").write_text(rule)
    mine = {"class": "my_rule:Mine"}
    grid, journal = {"strategy.enter": [0.0]}, Journal(None)
    run_sweep(specs.spec(data=QUARTER, strategy=mine), grid, ["vote"], journal=journal)
    run_sweep(specs.spec(data=QUARTER, strategy=mine), grid, ["vote"], journal=journal)
    assert len(journal.rows) == 1
    (tmp_path / "my_rule.py").write_text(rule + "# edited\n")
    run_sweep(specs.spec(data=QUARTER, strategy=mine), grid, ["vote"], journal=journal)
    assert len(journal.rows) == 2
    shorter = specs.spec(data={"end": "2015-02-27"}, strategy=mine)
    run_sweep(shorter, grid, ["vote"], journal=journal)
    assert len(journal.rows) == 3


# ------------------------------------------------------------------------------------------------------- the command


def _command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "ragsignal.cli", "sweep", str(folder / "small.toml"), *words, "--out", str(folder)]


def test_the_command_answers_in_json_and_survives_a_kill(tmp_path: Path) -> None:
    specs.write_spec(tmp_path, data=QUARTER)
    grid = "strategy.enter=" + ",".join(str(number / 1000) for number in range(400))
    command = _command(tmp_path, "--grid", grid, "--variant", "vote", "--jobs", "1")
    journal = tmp_path / "small-sweep" / "points.jsonl"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        for _ in range(600):
            if journal.exists() and journal.read_bytes().count(b"\n") >= 3:
                break
            time.sleep(0.05)
        os.kill(running.pid, signal.SIGKILL)
    assert list((tmp_path / "small-sweep").iterdir()) == [journal]  # a killed sweep leaves no run
    before = journal.read_bytes().count(b"\n")
    assert 3 <= before < 400
    short = _command(tmp_path, "--grid", "strategy.enter=0.0,0.001", "--variant", "vote", "--jobs", "1")
    done = subprocess.run(short, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["trials"] == 2
    assert "not evidence" in done.stderr
    assert "points:" not in done.stderr  # both were there
    assert json.loads(Path(answer["record"]).read_text())["rows"] == answer["rows"]
    assert not journal.exists()


def test_ray_may_stand_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert with_address(["a.toml", "--ray"]) == ["a.toml", "--ray", "local"]
    assert with_address(["--ray", "--jobs", "2"]) == ["--ray", "local", "--jobs", "2"]
    assert with_address(["--ray", "a.toml"]) == ["--ray", "local", "a.toml"]
    assert with_address(["--ray", "10.0.0.1:6379", "a.toml"]) == ["--ray", "10.0.0.1:6379", "a.toml"]
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    assert with_address(["--ray"]) == ["--ray", "10.0.0.2:6379"]


def test_points_that_never_traded_stand_apart(spec: RunSpec) -> None:
    grid = {"strategy.enter": [0.0, 0.1, 0.99]}
    record = run_sweep(spec, grid, ["vote"])
    without = run_sweep(spec, {"strategy.enter": [0.0, 0.1]}, ["vote"])
    assert [row["orders"] > 0 for row in record["rows"]] == [True, True, False]
    assert "1 of 3 points never traded: they hold cash, and stand apart from what is compared." in record["notes"]
    assert record["notes"][0].startswith("3 trials on the same bars. The best of 2 is not evidence")
    assert not any(note.startswith("Judged") for note in record["notes"])  # no cost is swept
    assert record["selection"] == without["selection"]
    assert record["rows"][-1]["gap"]["adjusted"] is None
    named = list(table_of_best(record).columns[0].cells)
    assert named[:3] == ["vote", "vote", "vote (never traded)"]


def test_a_sweep_in_which_nothing_traded_judges_nothing(spec: RunSpec) -> None:
    record = run_sweep(spec, {"strategy.enter": [0.98, 0.99]}, ["vote"])
    assert record["selection"]["points"] == 0
    assert record["trials"] == 2


def test_a_param_of_another_kind_is_refused_in_a_grid(spec: RunSpec) -> None:
    with pytest.raises(ConfigError, match=r'takes a number as enter, and not "high"'):
        run_sweep(spec, {"strategy.enter": ["high"]}, ["vote"])
