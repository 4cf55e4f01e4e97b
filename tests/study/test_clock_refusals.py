"""What a clock has no parts for is refused by one line with its repair, in specs, in studies and in feeds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from pydantic import ValidationError

from ragsignal.data import days_of
from ragsignal.errors import ConfigError
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.trading.feed import GuardedFeed
from ragsignal.trading.indicator import RagMomentum
from tests.clocks import clock_data, clock_frames
from tests.specs import HOLD, spec, train_spec

LLM = {"name": "llm", "signal": "llm"}
FINSEER = {
    "name": "finseer",
    "signal": "vote",
    "retrieval": {"retriever": "finseer", "encoder": "shipped:finseer-numeric"},
}
OF_DAYS = {"candidates": "days", "retriever": "state", "own_days": True}
FOLDER = {"source": "folder", "path": "prices"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({**FOLDER, "bar": "30min", "stamp": "end"}, "bars of 60 minutes to 12 hours are read; give the source longer"),
        ({**FOLDER, "bar": "24h", "stamp": "end"}, r"bars of 60 minutes to 12 hours .*\(daily ones need no bar\)"),
        ({"bar": "fortnight"}, 'expected "week", "month", or the length of bars of hours, such as "60min"'),
        ({"bar": "1.5h"}, 'expected "week", "month", or the length'),
        ({**FOLDER, "bar": "60min"}, 'needs stamp = "start" or "end": .*a wrong word is a look-ahead of one bar'),
        ({"source": "sample", "bar": "60min"}, 'source = "sample" has daily bars; take a folder or a table of bars'),
        ({"source": "yfinance", "bar": "60min", "stamp": "start"}, 'source = "yfinance" has daily bars'),
        (
            {**FOLDER, "bar": "2h", "stamp": "end", "close": "16:00 America/New_York"},
            "known at their own ends; delete t",
        ),
        ({"stamp": "end"}, 'source = "planted" dates its bars itself; delete that line'),
        (
            {"source": "planted-days", "bar": "week"},
            'source = "planted-days" has daily bars of an exchange; delete bar',
        ),
        ({"calendar": "24/5"}, "Input should be '24/7'"),
        ({**FOLDER, "stamp": "middle", "bar": "60min"}, "Input should be 'start' or 'end'"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(data=keys)


@pytest.mark.parametrize(
    ("clock", "variant", "changes", "words"),
    [
        ("week", LLM, {}, r"letters were fitted on daily bars, and these are weekly bars: .*bins_through = 2015-01-04"),
        ("hour", LLM, {}, "the shipped letters .*these are bars of 60 minutes"),
        (
            "month",
            {"name": "text", "signal": "vote", "retrieval": {"retriever": "embedding"}},
            {},
            "the shipped letters .* these are monthly bars: refit them",
        ),
        (
            "week",
            FINSEER,
            {"allow_in_sample": True},
            "the corpus is of bars 7 days apart, but the retriever shipped:finseer-numeric is of bars 1 day apart",
        ),
        (
            "hour",
            FINSEER,
            {"allow_in_sample": True},
            "the corpus is of bars 60 minutes apart, but the retriever",
        ),
        (
            "hour",
            {"name": "days", "signal": "vote", "retrieval": OF_DAYS},
            {},
            'candidates = "days" are whole days of a market, and these are bars of 60 minutes; retrieve sequences',
        ),
        (
            "hour",
            {"name": "wide", "signal": "llm", "llm": {"template": "wide"}},
            {},
            "the template 'wide' writes ranks among the stocks of a day, .*write template = \"compact\"",
        ),
        (
            "hour",
            {"name": "ranks", "signal": "classifier"},
            {"allow_in_sample": True, "corpus": {"target": "relative"}},
            "AAA has bars 60 minutes apart .*, but the classifier shipped:classifier is of bars 1 day apart",
        ),
    ],
)  # fmt: skip
def test_parts_of_another_clock_are_refused(clock: str, variant: Any, changes: Any, words: str) -> None:
    study = Study(spec(data=clock_data(clock), variant=[HOLD, variant], **changes))
    with pytest.raises(ConfigError, match=words):
        study.pipeline(study.spec.find_variant(variant["name"]))


def test_letters_that_are_refitted_are_taken() -> None:
    study = Study(spec(data=clock_data("week"), corpus={"bins_through": date(2014, 12, 31)}, variant=[HOLD, LLM]))
    assert study.materials.bins.fitted_through == date(2014, 12, 31)


def test_a_walk_forward_of_hours_is_refused() -> None:
    walk = {"train": train_spec().model_dump(), "every": "month"}
    study = Study(spec(data=clock_data("hour"), walk_forward=walk))
    with pytest.raises(ConfigError, match="retrains after days, months or years, and these are bars of 60 minutes"):
        _ = study.plan


def shifted(frame: pd.DataFrame, minutes: int) -> pd.DataFrame:
    return frame.set_axis(frame.index - pd.Timedelta(minutes=minutes), axis=0)


def daily(frame: pd.DataFrame) -> pd.DataFrame:
    last = frame.groupby(frame.index.normalize()).last()
    return last.rename_axis("date")


Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.mark.parametrize("modes", [{}, {"runonce": False}], ids=str)
@pytest.mark.parametrize(
    ("change", "told", "words"),
    [
        (
            lambda it: shifted(it, 60),
            {},
            "named .* 15:00, but no bar of the source ends at this time of day.*stamps the s",
        ),
        (lambda it: shifted(it, -9 * 60), {}, "has another zone's clock"),
        (
            lambda it: it,
            {"timeframe": bt.TimeFrame.Minutes, "compression": 30},
            "has Minutes bars; bars of 60 minutes were expected. .*compression=60",
        ),
        (lambda it: it[it.index.hour == 16], {}, "AAA: the feed has bars 1 day apart .*made of bars 60 minutes apart"),
    ],
    ids=["starts", "zone", "half hours", "days"],
)
def test_a_feed_of_another_clock_is_refused(change: Change, told: Any, words: str, modes: Any) -> None:
    study = Study(spec(data=clock_data("hour")))
    source = study.pipeline(study.spec.find_variant("vote"))
    frame = clock_frames("hour")["AAA"].iloc[-300:]
    cerebro = bt.Cerebro(stdstats=False, **modes)
    cerebro.adddata(GuardedFeed(dataname=change(frame), **told), name="AAA")
    cerebro.addindicator(RagMomentum, source=source)
    with pytest.raises(ConfigError, match=words):
        cerebro.run()


def test_a_daily_feed_of_a_source_of_weeks_is_refused_and_its_resample_is_taken() -> None:
    study = Study(spec(data=clock_data("week")))
    source = study.pipeline(study.spec.find_variant("vote"))
    days = pd.bdate_range("2015-01-05", periods=200)
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), 50.0), index=days)
    frame["close"] += pd.Series(range(200), index=days) % 7

    def run(resampled: bool) -> None:
        cerebro = bt.Cerebro(stdstats=False)
        feed = bt.feeds.PandasData(dataname=frame, openinterest=None)
        if resampled:
            cerebro.resampledata(feed, timeframe=bt.TimeFrame.Weeks, name="AAA")
        else:
            cerebro.adddata(feed, name="AAA")
        cerebro.addindicator(RagMomentum, source=source)
        cerebro.run()

    with pytest.raises(ConfigError, match=r"AAA: the feed has bars 1 day apart .*made of bars 7 days apart"):
        run(resampled=False)
    run(resampled=True)


def test_a_walk_forward_of_weeks_counts_its_bars(tmp_path: Path) -> None:
    data = clock_data("week", start=date(2006, 1, 2))
    letters = {"bins_through": date(2005, 12, 30)}
    train = train_spec(out=tmp_path / "out", data=data, corpus=letters)
    walk = {"train": train.model_dump(), "every": "year", "valid": 40, "embargo": 3}
    study = Study(spec(data=clock_data("week"), corpus=letters, walk_forward=walk))
    calendar = days_of(study.prices.frames["AAA"]).tolist()
    for step in study.plan.steps:
        assert calendar.index(step.first) - calendar.index(step.train_end) == 3
        assert calendar.index(step.train_end) - calendar.index(step.valid_from) == 40 - 1
    assert [step.first.year for step in study.plan.steps] == [2015, 2016, 2017]


@pytest.mark.slow
def test_days_of_weeks_are_retrieved_and_matured_before_their_query() -> None:
    symbols = [f"S{number:02d}" for number in range(22)]
    days = {"name": "days", "signal": "vote", "retrieval": {**OF_DAYS, "k": 9, "opposite": 3}}
    table = {"data": clock_data("week", symbols=symbols, end=date(2015, 6, 30)), "corpus": {"target": "relative"}}
    study = Study(spec(**table, variant=[HOLD, days]))
    pipeline = study.pipeline(study.spec.find_variant("days"))
    found = pipeline.signals(queries_of({"S00": study.materials.traded.frames["S00"]}, 5)[5:])
    assert all(len(signal.hits) == 12 for signal in found)
    assert all(hit.candidate.available_at <= signal.as_of for signal in found for hit in signal.hits)
