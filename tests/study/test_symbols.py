"""Symbols that a spec does not name are named once, before anything else, and everything sees the names."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragsignal.audit import audit_spec
from ragsignal.config import RunSpec
from ragsignal.data.synthetic import planted_market
from ragsignal.errors import ConfigError, DataError
from ragsignal.evaluation import evaluate_spec, write_evaluation
from ragsignal.report import record_of
from ragsignal.study import Study, load_pipeline, notes_on_prices, with_symbols
from ragsignal.trading import parse_grid, run_spec, run_sweep
from ragsignal.trading.engine import prepare
from ragsignal.training import TrainingRun
from ragsignal.training.classifier import train_classifier
from tests.specs import HOLD, VOTE, spec, train_spec, write_spec

UNIVERSE = {"top": 2, "as_of": date(2014, 12, 31), "bars": 20}
SHORT = {"end": date(2015, 3, 31)}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four planted stocks, of which AAA and CCC are traded most until 2014; one ends before, one begins after."""
    market = planted_market(["AAA", "BBB", "CCC", "DDD", "OLD", "NEW"], date(2013, 1, 1), date(2015, 12, 31))
    scale = {"AAA": 100.0, "CCC": 50.0, "OLD": 20.0}
    parts = []
    for symbol, frame in market.frames.items():
        bars = frame.reset_index().assign(symbol=symbol, volume=frame["volume"].to_numpy() * scale.get(symbol, 1.0))
        bars.loc[(bars["date"] > "2014-12-31") & (symbol == "DDD"), "volume"] *= 1e6
        listed = {"OLD": bars["date"] < "2014-12-01", "NEW": bars["date"] > "2015-06-30"}
        parts.append(bars[listed.get(symbol, bars["date"] > "2013-01-31")])
    path = tmp_path_factory.mktemp("prices") / "table.parquet"
    pd.concat(parts, ignore_index=True).to_parquet(path)
    return path


def tables(table: Path, **data: Any) -> dict[str, Any]:
    given = {"source": "table", "path": str(table), "symbols": "all", **SHORT, **data}
    return {"data": given, "variant": [VOTE, HOLD]}


def universe_spec(table: Path) -> RunSpec:
    return spec(**tables(table, universe=UNIVERSE))


def test_a_study_has_the_names_and_naming_twice_is_naming_once(table: Path) -> None:
    study = Study(universe_spec(table))
    assert study.spec.data.symbols == ("AAA", "CCC")
    assert study.prices.symbols == ("AAA", "CCC")
    assert with_symbols(study.spec) == (study.spec, None)
    again = RunSpec.model_validate_json(study.spec.model_dump_json(by_alias=True))
    assert with_symbols(again) == (study.spec, None)


def test_a_spec_that_names_its_symbols_reads_no_price() -> None:
    assert with_symbols(spec(data={"source": "table", "path": "/nowhere.parquet"}))[1] is None


def test_the_record_of_a_run_holds_the_names_and_what_the_spec_said(table: Path) -> None:
    result = run_spec(universe_spec(table))
    told = record_of(result)["spec"]["data"]
    assert told["symbols"] == ["AAA", "CCC"] == list(result.closes.columns)
    assert told["picked_from"] == ["all"]
    assert result.notes[0] == (
        "Universe: the 2 symbols with the largest median dollar volume of the 20 bars through 2014-12-31, out of all "
        "symbols of the source."
    )
    assert told["universe"] == {**UNIVERSE, "as_of": "2014-12-31", "by": "dollar_volume"}
    named = spec(**tables(table, symbols=["AAA", "CCC"]))
    assert "picked_from" not in record_of(run_spec(named))["spec"]["data"]
    assert run_spec(named).closes.equals(result.closes)


def test_evaluation_audit_sweep_and_indicator_see_the_names(table: Path, tmp_path: Path) -> None:
    asked = universe_spec(table)
    evaluation = evaluate_spec(asked)
    assert evaluation.spec.data.symbols == ("AAA", "CCC")
    assert set(evaluation.predictions["symbol"]) == {"AAA", "CCC"}
    swept = run_sweep(asked, parse_grid(["strategy.enter=0,0.1"]))
    assert swept["spec"]["data"]["symbols"] == ["AAA", "CCC"]
    assert audit_spec(asked, jobs=1).record["spec"]["data"]["symbols"] == ["AAA", "CCC"]
    path = write_spec(tmp_path, **tables(table, universe=UNIVERSE))
    (parts,) = [load_pipeline(path, "vote").retriever]  # type: ignore[attr-defined]
    assert set(parts.corpus.symbols) == {"AAA", "CCC"}


def test_a_training_sees_the_names(table: Path) -> None:
    days = {"start": date(2013, 2, 4), "end": date(2015, 12, 31)}
    run = TrainingRun(train_spec(data=tables(table, universe=UNIVERSE, **days)["data"]))
    assert run.spec.data.symbols == run.prices.symbols == run.split.train.symbols == ("AAA", "CCC")


def test_of_all_symbols_those_without_bars_in_the_window_are_not_traded_and_the_others_are(table: Path) -> None:
    study, frames = prepare(spec(**tables(table)))
    assert study.spec.data.symbols == ("AAA", "BBB", "CCC", "DDD", "NEW", "OLD")
    assert list(frames) == ["AAA", "BBB", "CCC", "DDD"]
    assert "OLD" in study.corpus.symbols  # its past is what anybody could have learned from
    assert notes_on_prices(study) == [
        "All 6 symbols of the source; not traded, as they have fewer than 2 bars from 2015-01-05 to 2015-03-31: "
        "NEW, OLD."
    ]
    picked, frames = prepare(spec(**tables(table, universe={**UNIVERSE, "top": 3, "as_of": date(2014, 11, 28)})))
    assert picked.spec.data.symbols == ("AAA", "CCC", "OLD")  # nobody knew then that it would go
    assert list(frames) == ["AAA", "CCC"]
    assert notes_on_prices(picked)[0].endswith("from 2015-01-05 to 2015-03-31: OLD.")
    named = tables(table, symbols=["AAA", "OLD"])
    with pytest.raises(DataError, match="fewer than 2 bars from 2015-01-05 to 2015-03-31 for OLD"):
        prepare(spec(**named))
    assert evaluate_spec(spec(**tables(table))).questions.symbols == 4


@pytest.mark.parametrize(("day", "start"), [(date(2015, 1, 5), date(2015, 1, 5)), (date(2016, 1, 4), date(2015, 1, 5))])
def test_a_universe_that_knows_the_window_is_refused(day: date, start: date) -> None:
    with pytest.raises(ValueError, match=rf"universe.as_of {day} must lie before data.start {start}"):
        spec(data={"universe": {"as_of": day}})


def test_a_universe_of_a_training_may_know_its_training_part_only() -> None:
    assert train_spec(data={"universe": {"as_of": date(2015, 6, 30)}}).data.unnamed
    with pytest.raises(ValueError, match=r"universe.as_of 2015-07-01 must lie before split.valid_from 2015-07-01"):
        train_spec(data={"universe": {"as_of": date(2015, 7, 1)}})


@pytest.mark.parametrize("source", ["yfinance", "planted", "noise"])
def test_a_source_without_a_list_refuses_all(source: str) -> None:
    with pytest.raises(ValueError, match=f'symbols = "all": source = "{source}" has no list of symbols; name them'):
        spec(data={"source": source, "symbols": "all"})


def test_a_universe_of_named_symbols_of_a_made_up_market_is_picked_too() -> None:
    study = Study(spec(data={"universe": {"top": 1, "as_of": date(2014, 12, 31)}}))
    assert study.spec.data.picked_from == ("AAA", "BBB")
    assert len(study.spec.data.symbols) == 1


def test_specs_without_a_universe_are_recorded_as_before() -> None:
    dumped = json.loads(spec().model_dump_json())
    assert not {"universe", "picked_from"} & set(dumped["data"])


def test_too_few_symbols_are_an_error_of_the_spec(table: Path) -> None:
    with pytest.raises(ConfigError, match="but top = 9; lower top"):
        Study(spec(**tables(table, universe={**UNIVERSE, "top": 9})))


def test_dropped_bars_are_counted_in_every_record_and_named_in_the_notes(table: Path, tmp_path: Path) -> None:
    bars = pd.read_parquet(table)
    bars.loc[(bars["symbol"] == "AAA") & (bars["date"] == "2014-03-03"), "high"] = 0.001
    bars.loc[(bars["symbol"] == "BBB") & bars["date"].between("2014-03-03", "2014-03-04"), "volume"] = -1.0
    bars.to_parquet(tmp_path / "bad.parquet")
    asked = spec(**tables(tmp_path / "bad.parquet", symbols=["AAA", "BBB"], bad_bars="drop"))
    counts = {"AAA": {"high below low": 1}, "BBB": {"volume missing or negative": 2}}
    result = run_spec(asked)
    assert record_of(result)["dropped_bars"] == counts
    assert result.notes[0] == (
        "3 bars broke a rule and were left out (volume missing or negative: 2, high below low: 1), of 2 symbols: "
        "BBB 2, AAA 1. The first: AAA 2014-03-03, BBB 2014-03-03, BBB 2014-03-04."
    )
    swept = run_sweep(asked, parse_grid(["strategy.enter=0,0.1"]))
    assert swept["dropped_bars"] == counts
    assert result.notes[0] in swept["notes"]
    evaluation = evaluate_spec(asked)
    assert evaluation.protocol[0] == result.notes[0]
    assert write_evaluation(evaluation, tmp_path / "evaluation")["dropped_bars"] == counts
    assert audit_spec(asked, jobs=1).record["dropped_bars"] == counts
    days = {"start": date(2013, 2, 4), "end": date(2015, 12, 31)}
    run = TrainingRun(train_spec(out=str(tmp_path), data=asked.data.model_dump(mode="json") | days))
    assert train_classifier(run).card.data["dropped_bars"] == counts
    assert "dropped_bars" not in record_of(run_spec(spec(**tables(table, symbols=["AAA"], bad_bars="drop"))))
