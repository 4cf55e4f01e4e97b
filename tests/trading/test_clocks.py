"""Feeds that Backtrader itself makes: minutes resampled to hours, days to weeks, give the evidence of their clock."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from ragsignal.config import CorpusSpec, DataSpec
from ragsignal.data import Prices, clock_of, load_prices
from ragsignal.data.resample import resample
from ragsignal.errors import ConfigError
from ragsignal.retrieval import Corpus, build_corpus
from ragsignal.signals import queries_of
from ragsignal.trading.feed_days import moment_of
from ragsignal.trading.indicator import RagEvidence, RagMomentum
from ragsignal.types import Signal
from tests.markets import bars
from tests.test_clocks import MODES, pipeline_of

CORPUS = CorpusSpec(indicators=("adj_close",))


def evidence(frames: dict[str, pd.DataFrame], corpus: Corpus, add: Any, modes: dict[str, Any]) -> list[Signal]:
    cerebro = bt.Cerebro(stdstats=False, **modes)
    add(cerebro)
    cerebro.addindicator(RagMomentum, source=pipeline_of(corpus, frames))
    cerebro.addstrategy(bt.Strategy)
    cerebro.addanalyzer(RagEvidence, _name="evidence")
    (ran,) = cerebro.run()
    found: list[Signal] = ran.analyzers.evidence.get_analysis()
    return found


@pytest.mark.parametrize("modes", MODES, ids=str)
@pytest.mark.parametrize(("period", "unit"), [("week", bt.TimeFrame.Weeks), ("month", bt.TimeFrame.Months)])
def test_a_resampled_daily_feed_gets_the_evidence_of_its_weeks(period: Any, unit: int, modes: dict[str, Any]) -> None:
    days = pd.bdate_range("2012-01-02", "2015-07-31").delete([3, 4, 60, 61, 62, 63, 64, 200])
    daily = bars(len(days), days=days)
    frames = dict(resample(Prices({"AAA": daily}), period).frames)
    corpus = build_corpus(frames, CORPUS)
    wanted = pipeline_of(corpus, frames).signals(queries_of(frames, 5))

    def add(cerebro: Any) -> None:
        feed = bt.feeds.PandasData(dataname=daily, openinterest=None)
        cerebro.resampledata(feed, timeframe=unit, name="AAA")

    ran = evidence(frames, corpus, add, modes)
    assert ran[: len(wanted)] == wanted
    assert any(it.hits for it in wanted)


def minutes_of_sessions(count: int) -> pd.DataFrame:
    """Bars of 30 minutes that are stamped at their ends, from 9:30 to 16:00."""
    days = pd.bdate_range("2020-03-02", periods=count)
    ends = pd.DatetimeIndex([day + pd.Timedelta(minutes=570 + 30 * (n + 1)) for day in days for n in range(13)])
    return bars(len(ends), days=ends)


def hours_of(minutes: pd.DataFrame, folder: Path) -> dict[str, pd.DataFrame]:
    """The same market as a file of hours, as a vendor would write it: stamped at their ends."""
    groups = minutes.groupby(minutes.index.ceil("h"))
    how: Any = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    groups.agg(how).to_csv(folder / "AAA.csv", index_label="Date")
    table = {"source": "folder", "path": folder, "symbols": ["AAA"], "start": date(2020, 1, 1), "end": date(2021, 1, 1)}
    return dict(load_prices(DataSpec.model_validate({**table, "bar": "60min", "stamp": "end"})).frames)


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_half_hours_that_backtrader_resamples_get_the_evidence_of_their_hours(
    tmp_path: Path, modes: dict[str, Any]
) -> None:
    minutes = minutes_of_sessions(20)
    frames = hours_of(minutes, tmp_path)
    assert clock_of(frames["AAA"]).name == "60min"
    corpus = build_corpus(frames, CORPUS)
    wanted = pipeline_of(corpus, frames).signals(queries_of(frames, 5))

    def add(cerebro: Any) -> None:
        feed = bt.feeds.PandasData(dataname=minutes, openinterest=None, timeframe=bt.TimeFrame.Minutes, compression=30)
        cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=60, name="AAA")

    ran = evidence(frames, corpus, add, modes)
    assert [it.as_of for it in ran] == [it.as_of for it in wanted]
    assert [it.value for it in ran] == [it.value for it in wanted]
    assert any(it.hits for it in wanted)


def test_an_hour_that_is_replayed_is_refused(tmp_path: Path) -> None:
    minutes = minutes_of_sessions(20)
    frames = hours_of(minutes, tmp_path)

    def add(cerebro: Any) -> None:
        feed = bt.feeds.PandasData(dataname=minutes, openinterest=None, timeframe=bt.TimeFrame.Minutes, compression=30)
        cerebro.replaydata(feed, timeframe=bt.TimeFrame.Minutes, compression=60, name="AAA")

    with pytest.raises(ConfigError, match="'AAA' is replayed: bars of 60 minutes change before they are over"):
        evidence(frames, build_corpus(frames, CORPUS), add, {})


def test_a_stamp_that_backtrader_rounds_is_a_whole_minute() -> None:
    stamps = pd.date_range("2020-01-01", periods=2000, freq="61min").to_pydatetime()
    read = [moment_of(bt.num2date(bt.date2num(stamp))) for stamp in stamps]
    assert np.array_equal(read, stamps)
