"""What carries days or moments of its own meets every clock: decisions, news, explanations, live runs, databases."""

from __future__ import annotations

import json
import sqlite3
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import ragsignal
from ragsignal import Run
from ragsignal.audit.signals.decisions import audit_decisions
from ragsignal.config import DataSpec, RunSpec
from ragsignal.data import load_prices, read_freqai
from ragsignal.errors import ConfigError, DataError
from ragsignal.explanation import explain
from ragsignal.report import export_decisions, record_of, write_explanations
from ragsignal.report.explained.beside import list_pages
from ragsignal.report.record import RECORD, write_tables
from ragsignal.study import Study, open_store
from ragsignal.trading import RunResult, run_spec
from ragsignal.trading.live import FolderSource, LiveOptions, run_live
from ragsignal.types import Query
from ragsignal.utils import day_of
from tests.clocks import CLOCKS, clock_data, clock_frames
from tests.postgres import Server
from tests.sidecars import read_sidecar
from tests.specs import HOLD, VOTE, Tables, spec

MINE = {"name": "mine", "signal": "external"}
HOURS = ("hour", "two bars a session", "hour of 24/7")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


def bars(clock: str, count: int = 40) -> list[date]:
    """Names of the last bars of a market."""
    index = clock_frames(clock)["AAA"].index[-count:]
    intraday = clock in HOURS
    return [stamp.to_pydatetime() if intraday else stamp.date() for stamp in index]


def on_clock(clock: str, count: int = 40, **changes: Any) -> RunSpec:
    """A spec whose window has the last bars of a market."""
    start = day_of(bars(clock, count)[0])
    corpus = {"indicators": ["adj_close"], "stride": 3} | changes.pop("corpus", {})
    data = clock_data(clock, start=start) | changes.pop("data", {})
    return spec(data=data, corpus=corpus, **changes)


def explained(clock: str) -> Study:
    """A study whose letters are of its own bars."""
    last = day_of(bars(clock, 41)[0]) - timedelta(days=1)
    # of months one stock has too few for letters of their own
    data = {"symbols": ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]} if clock == "month" else {}
    return Study(on_clock(clock, data=data, variant=[VOTE, HOLD], corpus={"bins_through": last}))


def in_folder(clock: str, folder: Path, zone: str | None) -> Tables:
    """``[data]`` of the same bars in files whose stamps have a zone, or none."""
    folder.mkdir()
    for symbol, frame in clock_frames(clock).items():
        written = frame.iloc[-400:] if zone is None else frame.iloc[-400:].tz_localize("UTC").tz_convert(zone)
        written.to_csv(folder / f"{symbol}.csv", index_label="date")
    return clock_data(clock, source="folder", path=str(folder), stamp="end", start=day_of(bars(clock)[0]))


def kept(result: RunResult, folder: Path) -> Run:
    folder.mkdir()
    (folder / RECORD).write_text(json.dumps(record_of(result)), encoding="utf-8")
    write_tables(result, folder)
    return Run(folder)


def decisions(folder: Path, text: str, data: Tables, **external: Any) -> Study:
    """A study of one variant that reads a file of decisions."""
    (folder / "mine.csv").write_text(text, encoding="utf-8")
    table = {"path": folder / "mine.csv"} | external
    return Study(spec(data=data, variant=[MINE, HOLD], external=table))


def in_force(study: Study, names: list[date]) -> list[date]:
    """The bars on which AAA has a decision in force."""
    source = study.pipeline(study.spec.find_variant("mine"))
    found = source.signals([Query("AAA", (name,), (1.0,)) for name in names])
    return [it.as_of for it in found if it.abstained is None]


# ---- decisions


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_runs_own_signals_read_back_give_the_equal_run(clock: str, tmp_path: Path) -> None:
    before = run_spec(on_clock(clock, variant=[VOTE, HOLD]))
    path = tmp_path / ("mine.csv" if clock in ("hour", "week", "day of 24/7") else "mine.parquet")
    export_decisions(kept(before, tmp_path / "run"), "vote", path)
    after = run_spec(on_clock(clock, variant=[MINE | {"name": "vote", "external": {"path": path}}, HOLD]))
    left, right = before.variants[0], after.variants[0]
    columns = ["date", "symbol", "value", "probability"]
    spoken = left.signals[left.signals["abstained"].isna()][columns].reset_index(drop=True)
    again = right.signals[right.signals["abstained"].isna()][columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(spoken, again)
    assert len(spoken)
    pd.testing.assert_series_equal(left.equity, right.equity)
    pd.testing.assert_frame_equal(left.orders, right.orders)
    assert before.bars_a_year == after.bars_a_year
    keys = right.signals["key"][right.signals["abstained"].isna()]
    assert keys.is_unique


@pytest.mark.parametrize("clock", HOURS)
def test_a_moment_belongs_to_the_first_bar_that_ends_at_or_after_it(clock: str, tmp_path: Path) -> None:
    zone = "Asia/Tokyo" if clock == "hour" else "UTC"
    data, names = in_folder(clock, tmp_path / "prices", zone), bars(clock)
    minute = pd.Timedelta(minutes=1)
    said = [names[5], names[9] + minute, names[20] - minute]
    rows = [f"AAA,{pd.Timestamp(it).tz_localize('UTC').tz_convert('America/New_York').isoformat()},buy" for it in said]
    study = decisions(tmp_path, "\n".join(["symbol,decided_at,action", *rows]), data)
    assert in_force(study, names) == [names[5], names[10], names[20]]


def test_a_decision_of_a_weekend_is_of_the_first_bar_of_monday(tmp_path: Path) -> None:
    data, names = in_folder("hour", tmp_path / "prices", "UTC"), bars("hour")
    friday = max(
        number for number, it in enumerate(names[:-8]) if it.weekday() == 4 and names[number + 1].weekday() == 0
    )
    saturday = pd.Timestamp(names[friday]).normalize() + pd.Timedelta(days=1, hours=12)
    study = decisions(tmp_path, f"symbol,decided_at,action\nAAA,{saturday.isoformat()}Z,buy\n", data)
    assert in_force(study, names) == [names[friday + 1]]


@pytest.mark.parametrize("clock", ["week", "month"])
def test_a_decision_within_a_week_is_known_by_its_close(clock: str, tmp_path: Path) -> None:
    names = bars(clock)
    data = clock_data(clock, start=names[0], close="16:00 America/New_York")
    day = pd.Timestamp(names[10]) - pd.Timedelta(days=2)
    late = pd.Timestamp(f"{names[20]} 16:00:01").tz_localize("America/New_York").isoformat()
    rows = [f"AAA,{day.date()}T12:00:00-05:00,buy", f"AAA,{late},buy"]
    study = decisions(tmp_path, "\n".join(["symbol,decided_at,action", *rows]), data, valid_bars=2)
    assert in_force(study, names) == [names[10], names[11], names[21], names[22]]
    study = decisions(tmp_path, f"symbol,date,action\nAAA,{day.date()},buy\n", data)
    with pytest.raises(DataError, match=r"days that are no bar of their symbol at line 2 \(AAA .*decided_at"):
        study.pipeline(study.spec.find_variant("mine"))


def test_a_day_of_a_market_that_never_closes_ends_at_midnight_in_utc(tmp_path: Path) -> None:
    names = bars("day of 24/7")
    data = clock_data("day of 24/7", start=names[0])
    rows = [f"AAA,{names[3]}T23:59:59Z,buy", f"AAA,{names[5]}T00:00:01Z,buy"]
    study = decisions(tmp_path, "\n".join(["symbol,decided_at,action", *rows]), data)
    assert in_force(study, names) == [names[3], names[5]]


@pytest.mark.parametrize(
    ("zone", "text", "words"),
    [
        ("UTC", "symbol,date,action\nAAA,{day},buy", "a whole day in the column date at line 2.*whose end"),
        (
            "UTC",
            "symbol,date,action\nAAA,{day} 00:00:00,buy\nBBB,{day} 00:00:00,buy",
            "a whole day in the column date at line 2 .*, line 3 .*decided_at",
        ),
        ("UTC", "symbol,date,action\nAAA,{day} 14:31,buy", "moments at which no bar of their symbol ends at line 2"),
        ("UTC", "symbol,date,action\nAAA,{day} 14:30:20,buy", "moments at which no bar of their symbol ends at line 2"),
        ("UTC", "symbol,date,action\nAAA,{day} 14:30Z,buy", "a time zone in the column date at line 2.*without a zone"),
        ("UTC", "symbol,decided_at,action\nAAA,{day} 14:30,buy", "decided_at without a time zone at line 2"),
        ("UTC", "symbol,decided_at,action\nAAA,{day},buy", "decided_at without a time zone at line 2"),
        (
            "UTC",
            "symbol,date,action,available_at\nAAA,{day} 14:30,buy,{day}",
            "available_at without a time and its zone at line 2 .*Bars of hours need a moment",
        ),
        (
            "UTC",
            "symbol,date,action,available_at\nAAA,{day} 14:30,buy,{day}T14:30:01Z",
            r"not there by the close at line 2 \(AAA known {day} 14:30:01 UTC, bar {day}T14:30, known {day} 14:30",
        ),
        (
            "UTC",
            "symbol,decided_at,action\nAAA,{day}T14:00Z,buy\nAAA,{day}T14:10Z,sell",
            "more than one decision for a bar at line 2 .*, line 3",
        ),
        (None, "symbol,decided_at,action\nAAA,{day}T14:30Z,buy", "whose stamps have no time zone.*in a column date"),
        (None, "symbol,date,action\nAAA,{day} 03:00,buy", "moments at which no bar of their symbol ends at line 2"),
    ],
)  # fmt: skip
def test_decisions_that_no_bar_of_hours_can_have_are_refused(
    zone: str | None, text: str, words: str, tmp_path: Path
) -> None:
    day = day_of(bars("hour")[10])
    study = decisions(tmp_path, text.replace("{day}", str(day)), in_folder("hour", tmp_path / "prices", zone))
    with pytest.raises(DataError, match=words.replace("{day}", str(day))) as refused:
        study.pipeline(study.spec.find_variant("mine"))
    assert "\n" not in str(refused.value)


def test_bars_of_hours_are_decided_on_by_their_names_in_any_zone(tmp_path: Path) -> None:
    names = bars("hour")
    rows = [f"AAA,{names[number]:%Y-%m-%d %H:%M},buy" for number in (4, 7)]
    data = in_folder("hour", tmp_path / "prices", None)
    assert in_force(decisions(tmp_path, "\n".join(["symbol,date,action", *rows]), data), names) == [names[4], names[7]]


def test_a_feed_of_days_cannot_ask_for_decisions_on_hours(tmp_path: Path) -> None:
    names = bars("hour")
    data = clock_data("hour", start=day_of(names[0]))
    study = decisions(tmp_path, f"symbol,date,action\nAAA,{names[4]:%Y-%m-%d %H:%M},buy\n", data)
    source = study.pipeline(study.spec.find_variant("mine"))
    for asked, words in (
        (day_of(names[4]), "made of bars of 60 minutes"),
        (datetime(2015, 2, 13, 3, 7), "time of day"),
    ):
        with pytest.raises(ConfigError, match=words):
            source.signals([Query("AAA", (asked,), (1.0,))])


@pytest.mark.parametrize("clock", [*HOURS, "week"])
def test_the_audit_of_decisions_follows_the_clock(clock: str, tmp_path: Path) -> None:
    names = bars(clock)
    data = in_folder(clock, tmp_path / "prices", "UTC") if clock in HOURS else clock_data(clock, start=names[0])
    column = "decided_at" if clock in HOURS else "date"
    zone = "Z" if clock in HOURS else ""
    rows = [f"AAA,{np.datetime64(it)!s}{zone},{'buy' if number % 2 else 'sell'}" for number, it in enumerate(names)]
    study = decisions(tmp_path, "\n".join([f"symbol,{column},action", *rows]), data)
    found = audit_decisions("mine", study.parts.decisions(study.spec.variants[0].external))
    assert [(it.test, it.verdict) for it in found] == [("signal-prefix", "passed"), ("signal-poison", "passed")]
    assert found[0].evidence["cut_points"] >= 12


# ---- explanations


@pytest.mark.parametrize("clock", CLOCKS)
def test_an_explanation_is_of_its_bar_and_knows_nothing_later(clock: str, tmp_path: Path) -> None:
    names = bars(clock)
    study = explained(clock)
    vote, bar = study.spec.find_variant("vote"), names[25]
    (found,) = explain(study, vote, ["AAA"], bar)
    assert found.as_of == bar
    assert found.abstained is None
    assert type(found.as_of) is type(bar)
    assert all(hit.known_on <= bar for hit in found.hits)
    neighbours = found.neighbours
    assert neighbours is not None
    assert neighbours.last is not None
    assert neighbours.last < bar
    cut = study.prices.between(None, bar)
    assert max(cut.frames["AAA"].index) == pd.Timestamp(bar)
    (again,) = explain(Study(study.spec, history=cut), vote, ["AAA"], bar)
    assert again.to_record() == found.to_record()
    assert str(found.to_record()["as_of"]).replace("T", " ").startswith(str(bar)[:16])


@pytest.mark.parametrize("clock", HOURS)
def test_a_day_alone_means_its_last_bar(clock: str) -> None:
    names = bars(clock)
    study = explained(clock)
    day = day_of(names[25])
    last = max(it for it in names if day_of(it) == day)
    found = explain(study, study.spec.find_variant("vote"), ["all"], day)
    assert {it.as_of for it in found} == {last}
    assert len({it.key for it in found}) == 2


def test_pages_of_two_bars_of_a_day_lie_beside_a_run_of_hours_by_their_moments(tmp_path: Path) -> None:
    study = explained("hour")
    run, vote = kept(run_spec(study.spec), tmp_path / "run"), study.spec.find_variant("vote")
    names = bars("hour")[27:29]
    assert day_of(names[0]) == day_of(names[1])
    (run.folder / "assets").mkdir()
    list_pages(run.folder)
    found = [it for name in names for it in explain(study, vote, ["AAA"], name)]
    pages = write_explanations(found, run.folder, "ragsignal explain small.toml")
    assert [page.name for page in pages] == [f"vote-AAA-{name:%Y-%m-%dT%H%M}.html" for name in names]
    listed = read_sidecar(run.folder, "explained")["vote"]["AAA"]
    assert listed == {f"{name:%Y-%m-%d %H:%M}": page.name for name, page in zip(names, pages, strict=True)}
    assert f"--date &#39;{names[0]:%Y-%m-%d %H:%M}&#39; --variant vote" in pages[0].read_text()
    shown = ragsignal.explain(study.spec, "AAA", f"{names[0]:%Y-%m-%d %H:%M}").explanation
    assert shown.to_record() == found[0].to_record()
    assert ragsignal.explain(study.spec, "AAA", pd.Timestamp(names[1])).explanation.as_of == names[1]


def test_an_explanation_of_other_bars_needs_their_own_letters() -> None:
    study = Study(on_clock("week", variant=[VOTE, HOLD]))
    with pytest.raises(ConfigError, match=r"fitted on daily bars, and these are weekly bars: .*bins_through = "):
        explain(study, study.spec.find_variant("vote"), ["AAA"], bars("week")[25])


@pytest.mark.parametrize(
    ("clock", "on", "error", "words"),
    [
        ("day", datetime(2015, 6, 24, 15, 30), DataError, "2015-06-24 15:30: the bars are of days; name the day alone"),
        ("week", date(2017, 12, 20), DataError, "AAA has no bar on 2017-12-20; the nearest days with one are 2017-12-"),
        (
            "hour",
            datetime(2015, 2, 12, 15, 0),
            DataError,
            "no bar on 2015-02-12 15:00; the nearest bars end at .* 14:30",
        ),
        (
            "hour",
            date(2015, 2, 8),
            DataError,
            "no symbol has a bar on 2015-02-08; the nearest bars end at 2015-02-06 16",
        ),
        ("hour", datetime(2016, 2, 8, 15, 0), ConfigError, "2016-02-08 lies outside the spec's window"),
    ],
)
def test_what_is_no_bar_is_not_explained(clock: str, on: date, error: type[Exception], words: str) -> None:
    study = Study(on_clock(clock, variant=[VOTE, HOLD]))
    with pytest.raises(error, match=words):
        explain(study, study.spec.find_variant("vote"), ["AAA"], on)


# ---- news, a day's close


@pytest.mark.parametrize(
    ("data", "news", "words"),
    [
        (clock_data("hour"), {"path": "news.csv"}, r'data.bar = "60min" has bars of hours; delete the table'),
        (clock_data("hour of 24/7"), {"path": "news.csv"}, r'data.bar = "1h" has bars of hours'),
        (clock_data("day of 24/7"), {"path": "news.csv"}, 'write under .data. close = "24:00 UTC"'),
        (clock_data("week"), {"path": "news.csv"}, 'write under .data. close = "16:00 America/New_York"'),
        (
            clock_data("day of 24/7", close="16:00 America/New_York"),
            None,
            'with calendar = "24/7" a day ends at midnight; write close = "24:00 UTC"',
        ),
    ],
)
def test_news_and_closes_that_a_clock_does_not_have_are_refused(data: Tables, news: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(data=data, news=news)


# ---- a live run


@pytest.mark.parametrize(
    ("clock", "changes", "words"),
    [
        ("hour", {"data": {"bar": "60min", "stamp": "end"}}, 'data.bar = "60min": a live run reads daily bars'),
        ("day", {"data": {"bar": "week"}}, 'data.bar = "week": a live run reads daily bars'),
        ("day", {"data": {"bar": "month"}}, 'data.bar = "month": a live run reads daily bars'),
        ("day of 24/7", {"data": {"stamp": "start", "calendar": "24/7"}}, 'data.stamp = "start": a live run reads dai'),
        ("week", {}, "the source has bars 7 days apart, and a live run reads daily ones"),
        ("month", {}, "the source has bars 3. days apart, and a live run reads daily ones"),
        (
            "day",
            {"data": {"close": "24:00 UTC"}, "news": {"path": "n.csv", "lag": 0}},
            ".news.: a live run reads no news",
        ),
    ],
)
def test_a_live_run_of_what_it_does_not_have_is_refused(clock: str, changes: Any, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    for symbol, frame in clock_frames(clock).items():
        frame.iloc[-300:].to_csv(folder / f"{symbol}.csv", index_label="date")
    data = {"source": "folder", "path": str(folder), "start": bars("day")[0], "end": date(2099, 12, 31)}
    refused = spec(**changes | {"data": data | changes.get("data", {})}, corpus={"indicators": ["adj_close"]})
    with pytest.raises(ConfigError, match=words):
        run_live(refused, "vote", tmp_path / "journal.sqlite", LiveOptions(once=True), lambda _: None)


def test_a_live_run_of_decisions_from_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("symbol,date,action\nAAA,2015-01-05,buy\n", encoding="utf-8")
    data = {"source": "folder", "path": str(tmp_path), "end": date(2099, 12, 31)}
    table = spec(data=data, variant=[MINE, HOLD], external={"path": tmp_path / "mine.csv"})
    with pytest.raises(ConfigError, match="'mine': signal = \"external\" is read from a file once"):
        run_live(table, "mine", tmp_path / "journal.sqlite", LiveOptions(once=True), lambda _: None)


def test_a_line_of_hours_in_a_live_folder_is_told_of_and_is_no_day(tmp_path: Path) -> None:
    (tmp_path / "AAA.csv").write_text(
        "date,open,high,low,close,volume\n2015-01-05,1,1,1,1,1\n2015-01-06 15:30,1,1,1,1,1\n", encoding="utf-8"
    )
    polled = FolderSource(tmp_path, ["AAA"]).poll()
    assert [bar.day for bar in polled.bars] == [date(2015, 1, 5)]
    (event,) = polled.events
    assert "'2015-01-06 15:30' is no day; write it as YYYY-MM-DD" in str(event)


# ---- bars of hours in a database


@pytest.mark.parametrize("clock", HOURS)
def test_hours_of_a_table_of_sqlite_are_those_of_a_folder(clock: str, tmp_path: Path) -> None:
    folder = load_prices(DataSpec.model_validate(in_folder(clock, tmp_path / "prices", "UTC")))
    rows = [frame.reset_index(names="date").assign(symbol=symbol) for symbol, frame in folder.frames.items()]
    table = pd.concat(rows).sample(frac=1.0, random_state=1)
    for name, written, in_utc in (
        ("zoned", table["date"].dt.strftime("%Y-%m-%d %H:%M:%S+00:00"), True),
        ("seconds", table["date"].astype("datetime64[s]").astype("int64"), True),
        ("plain", table["date"].dt.strftime("%Y-%m-%d %H:%M:%S"), False),
    ):
        with sqlite3.connect(tmp_path / "bars.db") as connection:
            table.assign(date=written).to_sql(name, connection, index=False)
        connection.close()
        data = clock_data(clock, source="sql", url=f"sqlite:///{tmp_path}/bars.db", table=name, stamp="end")
        prices = load_prices(DataSpec.model_validate(data))
        assert prices == folder
        assert prices.clock == folder.clock
        assert prices.in_utc == in_utc


def test_timestamps_with_a_zone_of_postgresql_are_moments_in_utc(postgres: Server, tmp_path: Path) -> None:
    folder = load_prices(DataSpec.model_validate(in_folder("hour", tmp_path / "prices", "UTC")))
    database = postgres.new_database()
    postgres.run(
        f"ALTER DATABASE {database} SET timezone TO 'America/New_York'",
        "CREATE TABLE bars (symbol text, date timestamptz, plain timestamp, open float8, high float8, low float8, "
        "close float8, volume float8)",
        database=database,
    )
    values = [
        f"('{symbol}', '{stamp}+00', '{stamp}', {', '.join(map(repr, map(float, row)))})"
        for symbol, frame in folder.frames.items()
        for stamp, row in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    postgres.run(f"INSERT INTO bars VALUES {', '.join(values)}", database=database)
    columns = "open, high, low, close, volume FROM bars"
    for query, in_utc in (("SELECT symbol, date, ", True), ("SELECT symbol, plain AS date, ", False)):
        data = clock_data("hour", source="sql", url=postgres.url(database), query=query + columns, stamp="end")
        prices = load_prices(DataSpec.model_validate(data))
        assert prices == folder
        assert prices.in_utc == in_utc


def test_signals_of_hours_are_kept_in_postgresql_by_their_moments(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = on_clock("hour", variant=[VOTE, HOLD])
    plain = run_spec(table).variants[0].signals
    monkeypatch.setenv("RAGSIGNAL_STORE", postgres.url(postgres.new_database()))
    for _ in range(2):
        pd.testing.assert_frame_equal(run_spec(table).variants[0].signals, plain)
    stored = open_store().get(plain["key"][plain["key"] != ""].tolist())
    assert {(it.as_of, it.symbol) for it in stored.values()} == {
        (stamp.to_pydatetime(), symbol)
        for stamp, symbol, key in zip(plain["date"], plain["symbol"], plain["key"], strict=True)
        if key
    }


def test_a_prediction_on_an_hourly_candle_is_of_the_bar_that_ends_with_it(tmp_path: Path) -> None:
    data, names = in_folder("hour of 24/7", tmp_path / "prices", None), bars("hour of 24/7")
    candles = pd.DatetimeIndex(names[4:8], tz="UTC") - pd.Timedelta(hours=1)
    (tmp_path / "predicted").mkdir()
    table = {"date": candles, "&-s_close": [0.01, -0.01, 0.01, -0.01], "&-s_close_mean": 0.0, "&-s_close_std": 0.02}
    file = tmp_path / "predicted" / "cb_aaa_1400000000_prediction.feather"
    pd.DataFrame({**table, "do_predict": 1}).to_feather(file)
    read_freqai(tmp_path / "predicted").write(tmp_path / "converted.csv")
    study = decisions(tmp_path, (tmp_path / "converted.csv").read_text(), data)
    assert in_force(study, names) == names[4:8]
