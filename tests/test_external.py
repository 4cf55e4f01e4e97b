"""Decisions from outside through the whole of the package: a variant like any other, and a run's own signals again."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragsignal import RagMomentum, Run, load_pipeline, load_sample
from ragsignal.config import RunSpec, load_spec
from ragsignal.data import Prices
from ragsignal.errors import ConfigError, DataError
from ragsignal.evaluation import evaluate_spec
from ragsignal.report import export_decisions, record_of
from ragsignal.report.record import RECORD, write_tables
from ragsignal.signals import queries_of
from ragsignal.study import Study, estimate, work_of
from ragsignal.study.external import decisions_of
from ragsignal.trading import RunResult, prepare, run_spec
from ragsignal.trading.sweep import run_sweep
from tests.results import find
from tests.specs import HOLD, VOTE, spec, write_spec

FILE = {"name": "mine", "signal": "external"}


def _days(loaded: RunSpec, symbol: str) -> list[date]:
    frame = Study(loaded).prices.frames[symbol].loc[str(loaded.data.start) :]
    return [stamp.date() for stamp in frame.index]


def _written(path: Path, rows: list[tuple[str, date, Any]], column: str = "action") -> Path:
    pd.DataFrame(rows, columns=["symbol", "date", column]).to_csv(path, index=False)
    return path


def _kept(result: RunResult, folder: Path) -> Run:
    """A run without its page and tear sheets."""
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps(record_of(result)), encoding="utf-8")
    write_tables(result, folder)
    return Run(folder)


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Run]:
    """The vote of the small spec, run and kept."""
    result = run_spec(spec(variant=[VOTE, HOLD]))
    return result, _kept(result, tmp_path_factory.mktemp("voted") / "run")


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_a_runs_own_signals_read_back_give_the_equal_record(
    ending: str, voted: tuple[RunResult, Run], tmp_path: Path
) -> None:
    before, run = voted
    export_decisions(run, "vote", tmp_path / f"mine{ending}")
    again = spec(variant=[FILE | {"name": "vote"}, HOLD], external={"path": tmp_path / f"mine{ending}"})
    _equal_records(before, run_spec(again), "vote")


def test_signals_of_the_bundled_universe_read_back_give_the_equal_record(tmp_path: Path) -> None:
    named = list(load_sample().symbols[:30])
    tables: dict[str, Any] = {
        "data": {"source": "sample", "symbols": named, "start": date(2014, 11, 3), "end": date(2014, 12, 31)},
        "corpus": {"target": "relative"},
        "strategy": {"class": "ragsignal.strategies:SlowBook"},
    }
    ranks = {"name": "ranks", "signal": "classifier", "classifier": "shipped:classifier"}
    before = run_spec(spec(**tables, variant=[ranks, HOLD]))
    assert find(before, "ranks").signals["rank"].abs().max() > 0.9
    export_decisions(_kept(before, tmp_path / "run"), "ranks", tmp_path / "mine.csv")
    own = FILE | {"name": "ranks", "external": {"path": tmp_path / "mine.csv"}}
    _equal_records(before, run_spec(spec(**tables, variant=[own, HOLD])), "ranks")


def _equal_records(before: RunResult, after: RunResult, name: str) -> None:
    """Orders, equity, figures and the numbers of all signals, to the last bit."""
    left, right = find(before, name), find(after, name)
    pd.testing.assert_frame_equal(left.orders, right.orders, check_exact=True)
    pd.testing.assert_series_equal(left.equity, right.equity, check_exact=True)
    assert left.metrics == right.metrics
    assert left.traded
    numbers = ["date", "symbol", "value", "probability", "rank", "target"]
    pd.testing.assert_frame_equal(left.signals[numbers], right.signals[numbers], check_exact=True)
    assert (left.signals["abstained"].isna() == right.signals["abstained"].isna()).all()
    assert json.dumps(record_of(before)["findings"]) == json.dumps(record_of(after)["findings"])


def test_a_file_is_traded_on_every_bar_it_decides_and_abstains_counted_on_the_others(tmp_path: Path) -> None:
    days = _days(spec(), "AAA")
    path = _written(
        tmp_path / "mine.csv", [("AAA", days[0], "buy"), ("AAA", days[1], "hold"), ("AAA", days[2], "sell")]
    )
    ran = run_spec(spec(variant=[FILE, HOLD], external={"path": path}))
    mine = find(ran, "mine")
    assert [day.date() for day in mine.orders["date"]] == [days[1], days[3], days[4]]  # at the open after a decision
    assert (mine.orders["size"].cumsum().round(6) > 0).tolist() == [True, False, False]
    assert mine.orders["size"].sum() == 0.0  # no decision, no position
    assert mine.metrics["abstentions"] == mine.metrics["signals"] - 3
    assert set(mine.signals["abstained"].dropna()) == {"no decision"}
    assert (mine.kind, mine.cost.asked, mine.cost.model_calls) == ("external", len(mine.signals), 0)
    recipe = mine.recipe or {}
    assert recipe["file"] == Study(ran.spec).pipeline(ran.spec.find_variant("mine")).recipe["file"]
    (said,) = (note for note in ran.notes if "mine.csv" in note)
    assert "not known to ragsignal" in said
    assert recipe["file"][:16] in said
    assert "3 of 3 are of this window" in said


def test_weights_are_held_as_parts_of_the_account(tmp_path: Path) -> None:
    days = _days(spec(), "AAA")
    rows = [("AAA", days[0], 0.3), ("BBB", days[0], -0.2), ("AAA", days[5], 0.9), ("BBB", days[5], 0.9)]
    path = _written(tmp_path / "weights.csv", rows, "weight")
    strategy: dict[str, Any] = {"class": "ragsignal.strategies:TargetWeights"}
    ran = run_spec(
        spec(variant=[FILE, HOLD], external={"path": path, "valid_bars": 5}, strategy=strategy, data={"end": days[20]})
    )
    mine = find(ran, "mine")
    assert mine.exposure.iloc[1] == pytest.approx(0.5, abs=0.02)
    assert mine.exposure.iloc[6] == pytest.approx(0.95, abs=0.02)  # 1.8 asked, cut alike to what a full book uses
    assert mine.exposure.iloc[11] == 0.0  # five bars later nobody has decided anew
    assert set(mine.orders["date"].dt.date) == {
        days[1],
        days[6],
        days[11],
    }  # a drift of less than the band costs nothing
    strategy["params"] = {"band": 0.0}
    close = spec(variant=[FILE, HOLD], external={"path": path, "valid_bars": 5}, strategy=strategy)
    assert len(find(run_spec(close), "mine").orders) > len(mine.orders)
    strategy["params"] = {"band": -1.0}
    with pytest.raises(ConfigError, match=r"band=-1\.0 must not be negative"):
        run_spec(spec(variant=[FILE, HOLD], external={"path": path}, strategy=strategy))


def test_the_second_run_of_a_file_gives_the_same_record_and_another_content_another_recipe(tmp_path: Path) -> None:
    days = _days(spec(), "AAA")
    path = _written(tmp_path / "mine.csv", [("AAA", day, "buy") for day in days[::3]])
    asked = spec(variant=[FILE, HOLD], external={"path": path})
    first, second = record_of(run_spec(asked)), record_of(run_spec(asked))
    assert {**first, "times": 0} == {**second, "times": 0}
    early = [signal.key for signal in _signals(asked)[:10]]
    _written(path, [*(("AAA", day, "buy") for day in days[::3]), ("BBB", days[-1], "sell")])
    assert record_of(run_spec(asked))["variants"][0]["recipe"] != first["variants"][0]["recipe"]
    assert [signal.key for signal in _signals(asked)[:10]] == early  # a row that is added later moves no earlier key


def _signals(loaded: RunSpec) -> list[Any]:
    study = Study(loaded)
    return list(study.pipeline(loaded.find_variant("mine")).signals(queries_of(study.materials.traded.frames, 0)))


def test_variants_may_read_other_files_and_other_keys_than_the_run(tmp_path: Path) -> None:
    days = _days(spec(), "AAA")
    _written(tmp_path / "one.csv", [("AAA", days[0], "buy")])
    _written(tmp_path / "two.csv", [("AAA", days[0], "sell")])
    variants = [FILE, {**FILE, "name": "long", "external": {"valid_bars": 3}}]
    variants += [{**FILE, "name": "other", "external": {"path": "two.csv"}}, HOLD]
    path = write_spec(tmp_path, variant=variants, external={"path": "one.csv"})
    loaded = load_spec(path)
    study = Study(loaded)
    made = {it.name: study.pipeline(it).signals for it in loaded.variants if it.is_external}
    queries = queries_of(study.materials.traded.frames, 0)[:4]
    values = {name: [signal.value for signal in signals(queries)] for name, signals in made.items()}
    assert values == {"mine": [1.0, 0.0, 0.0, 0.0], "long": [1.0, 1.0, 1.0, 0.0], "other": [-1.0, 0.0, 0.0, 0.0]}


def test_a_spec_and_a_record_without_decisions_do_not_know_of_them() -> None:
    dumped = spec().model_dump(mode="json", by_alias=True)
    assert "external" not in dumped
    assert all("external" not in variant for variant in dumped["variant"])


def test_decisions_are_scored_as_forecasts_beside_other_signals(tmp_path: Path) -> None:
    small = spec()
    frames = Study(small).prices.frames
    rows = []
    for symbol, frame in frames.items():
        rises = frame["close"].pct_change().shift(-1).loc["2015":]  # it knows what nobody can
        rows += [(symbol, day.date(), 0.9 if rise > 0 else 0.1) for day, rise in rises.dropna().items()]
    path = _written(tmp_path / "mine.csv", rows[10:], "probability")
    scored = evaluate_spec(spec(variant=[FILE, VOTE, HOLD], external={"path": path}, evaluation={"perturbed": 5}))
    (mine,) = (row for row in scored.forecasters if row.forecast.name == "mine")
    assert mine.figures["all"].estimates["acc"].value == 1.0
    assert mine.forecast.facts["abstained"]["no decision"] == scored.questions.n - mine.figures["all"].n
    assert mine.forecast.facts["signal"] == "external"


def test_decisions_cost_nothing_and_an_estimate_says_so(tmp_path: Path) -> None:
    path = _written(tmp_path / "mine.csv", [("AAA", day, "buy") for day in _days(spec(), "AAA")[::10]])
    study, frames = prepare(spec(variant=[FILE, HOLD], external={"path": path}))
    asked = sum(map(len, frames.values()))
    (row,) = estimate(study, work_of(study.spec, frames)).signals
    assert (row.name, row.asked, row.found, row.to_make, row.minutes) == ("mine", asked, asked, 0, 0.0)


def test_a_sweep_changes_how_long_a_decision_is_valid(tmp_path: Path) -> None:
    days = _days(spec(), "AAA")
    path = _written(tmp_path / "mine.csv", [("AAA", day, "buy") for day in days[::10]])
    swept = run_sweep(spec(variant=[FILE, HOLD], external={"path": path}), {"external.valid_bars": [1, 5, 10]})
    exposures = [row["exposure"] for row in swept["rows"]]
    assert exposures[0] < exposures[1] < exposures[2]


@pytest.mark.filterwarnings("ignore:RagMomentum has no view")
def test_the_indicator_takes_the_path_of_a_spec_with_decisions(tmp_path: Path) -> None:
    import backtrader as bt

    days = _days(spec(), "AAA")
    _written(tmp_path / "mine.csv", [("AAA", days[0], "buy"), ("AAA", days[2], "sell")])
    path = write_spec(tmp_path, variant=[FILE, HOLD], external={"path": "mine.csv"})
    frame = Study(load_spec(path)).materials.traded.frames["AAA"].iloc[:6]

    class Watch(bt.Strategy):
        def __init__(self) -> None:
            self.rag: Any = RagMomentum(self.data, source=str(path))  # type: ignore[call-arg]
            self.seen: list[tuple[float, float]] = []

        def next(self) -> None:
            self.seen.append((self.rag.signal[0], self.rag.abstained[0]))

    for options in ({}, {"runonce": False}, {"exactbars": 1}):
        cerebro = bt.Cerebro(stdstats=False, **options)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame), name="AAA")
        cerebro.addstrategy(Watch)
        (ran,) = cerebro.run()
        assert ran.seen == [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]


def test_a_file_that_was_edited_is_read_anew(tmp_path: Path) -> None:
    days = _days(spec(), "AAA")
    _written(tmp_path / "mine.csv", [("AAA", days[0], "buy")])
    path = write_spec(tmp_path, variant=[FILE, HOLD], external={"path": "mine.csv"})
    (query,) = queries_of(Study(load_spec(path)).materials.traded.select(["AAA"]).frames, 0)[:1]
    assert load_pipeline(path).signals([query])[0].value == 1.0
    _written(tmp_path / "mine.csv", [("AAA", days[0], "strong sell")])
    assert load_pipeline(path).signals([query])[0].value == -1.0


# ------------------------------------------------------------------------------------------------- wrong inputs


def test_a_variant_without_a_file_is_refused_when_the_spec_is_read() -> None:
    with pytest.raises(ValueError, match=r"variant 'mine' reads decisions, but names no file: write external"):
        spec(variant=[FILE, HOLD])


def test_a_file_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"variant 'vote' names a file of decisions.*write signal = .external"):
        spec(variant=[{**VOTE, "external": {"path": "mine.csv"}}, HOLD])
    path = write_spec(tmp_path, variant=[VOTE, HOLD], external={"path": "mine.csv"})
    with pytest.raises(ConfigError, match=r"no variant reads the decisions of \[external\]"):
        load_spec(path)


def test_a_misspelled_key_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    path = write_spec(tmp_path, variant=[{**FILE, "external": {"path": "a.csv", "valid_bar": 2}}, HOLD])
    with pytest.raises(
        ConfigError, match=r"variant\.mine\.external\.valid_bar: unknown key. Did you mean 'valid_bars'"
    ):
        load_spec(path)


def test_a_file_of_other_years_is_refused_with_its_days(tmp_path: Path) -> None:
    path = _written(tmp_path / "mine.csv", [("AAA", date(2030, 1, 2), "buy"), ("AAA", date(2030, 1, 3), "buy")])
    with pytest.raises(DataError, match=r"none of its 2 decisions is of a bar .* they are of 2030-01-02 to 2030-01-03"):
        run_spec(spec(variant=[FILE, HOLD], external={"path": path}))


def test_a_run_without_such_a_variant_or_without_views_has_nothing_to_export(
    voted: tuple[RunResult, Run], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"no variant 'votes'. Did you mean 'vote'"):
        export_decisions(voted[1], "votes", tmp_path / "mine.csv")
    with pytest.raises(ConfigError, match=r"'hold' has no view on any bar.*those with one: vote"):
        export_decisions(voted[1], "hold", tmp_path / "mine.csv")
    with pytest.raises(ConfigError, match=r"ends in \.csv, \.csv\.gz, \.parquet"):
        export_decisions(voted[1], "vote", tmp_path / "mine.xlsx")
    assert not list(tmp_path.iterdir())


def test_bars_of_hours_are_refused_as_no_file_of_decisions_names_them(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0),
        index=pd.date_range("2015-01-06 15:00", periods=3, freq="h", name="60min"),
    )
    path = _written(tmp_path / "mine.csv", [("AAA", date(2015, 1, 6), "buy")])
    hours = spec(variant=[FILE, HOLD], external={"path": path})
    with pytest.raises(ConfigError, match=r"bars of days, weeks or months, but data\.bar"):
        decisions_of(hours.external, hours.data, Prices({"AAA": frame}))
