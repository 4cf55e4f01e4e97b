"""RagMomentum under Backtrader: the same line in every mode, never NaN, never the future."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeAlias

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ragsignal
from ragsignal.data.windows import cut_query
from ragsignal.errors import ConfigError, DataError, LookAheadError
from ragsignal.signals.pipeline import NO_CANDIDATE, TOO_FEW_BARS, RagPipeline
from ragsignal.signals.store import SignalStore
from ragsignal.trading.indicator import NO_BAR, RagEvidence, RagMomentum
from ragsignal.types import Prompt, Query, Signal
from tests.fakes import LOOKBACK, CountingSource, corpus_of, every_query, market, pipeline_of
from tests.made_days import made_hits
from tests.markets import bars, poisoned
from tests.specs import RANDOM, VOTE, Tables, write_spec

Modes: TypeAlias = dict[str, Any]

FRAMES = market()
AA, BB = FRAMES["AA"], FRAMES["BB"]
CORPUS = corpus_of(FRAMES)
DAYS = [stamp.date() for stamp in AA.index]
MODES: list[Modes] = [
    {"preload": preload, "runonce": runonce, "exactbars": exactbars}
    for preload, runonce, exactbars in itertools.product((True, False), (True, False), (False, 1, -1, -2))
]
BATCH: Modes = {}
STEPS: Modes = {"runonce": False}
STREAM: Modes = {"preload": False}
THRIFTY: Modes = {"exactbars": 1}
EACH_WAY = [BATCH, STEPS, STREAM, THRIFTY]
Rag: Any = RagMomentum  # its params are keyword arguments, which Backtrader's metaclass adds


def is_batch(modes: Modes) -> bool:
    return bool(modes.get("preload", True) and modes.get("runonce", True) and not modes.get("exactbars"))


class Watch(bt.Strategy):  # type: ignore[misc]
    """Notes, for every indicator and each of its own bars, the three lines and the evidence; the last view stays."""

    params: tuple[tuple[str, Any], ...] = (("make", None), ("ask", None))

    def __init__(self) -> None:
        self.rags = self.p.make(self)
        self.notes: list[list[tuple[float, float, float, Signal]]] = [[] for _ in self.rags]

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        for rag, notes in zip(self.rags, self.notes, strict=True):
            if len(rag.data):
                lines = rag.l.signal[0], rag.l.probability[0], rag.l.abstained[0]
                notes[len(rag.data) - 1 :] = [(*lines, rag.evidence())]
        if self.p.ask:
            self.p.ask(self)


@dataclass(frozen=True)
class Ran:
    """What a run showed: one list of notes an indicator, and the analyzer's list."""

    notes: list[list[tuple[float, float, float, Signal]]]
    evidence: list[Signal]
    strategy: Any

    def signals(self, number: int = 0) -> list[Signal]:
        """The evidence of every bar, after a check that the lines say the same."""
        for value, probability, abstained, signal in self.notes[number]:
            assert (value, probability, abstained) == (signal.value, signal.probability, signal.abstained is not None)
        return [note[3] for note in self.notes[number]]


def feed_of(frame: pd.DataFrame, **options: Any) -> Any:
    return bt.feeds.PandasData(dataname=frame, openinterest=None, **options)


def run(
    source: Any, feeds: Mapping[str, pd.DataFrame] | Callable[[Any], Any], modes: Modes = BATCH, **params: Any
) -> Ran:
    """Run :class:`Watch` with one indicator a feed, unless ``make`` says otherwise."""
    cerebro = bt.Cerebro(stdstats=False, **modes)
    if isinstance(feeds, Mapping):
        for name, frame in feeds.items():
            cerebro.adddata(feed_of(frame), name=name)
    else:
        feeds(cerebro)
    params.setdefault("make", lambda strategy: [Rag(data, source=source) for data in strategy.datas])
    cerebro.addstrategy(Watch, **params)
    cerebro.addanalyzer(RagEvidence, _name="evidence")
    (ran,) = cerebro.run()
    return Ran(ran.notes, ran.analyzers.evidence.get_analysis(), ran)


def fresh() -> RagPipeline:
    return pipeline_of(CORPUS)


def expected(frames: Mapping[str, pd.DataFrame]) -> list[Signal]:
    """What the pipeline says of the queries of these frames, all at once and without Backtrader."""
    return fresh().signals(every_query(frames))


# ------------------------------------------------------------------------------------ law 2: batch is bar by bar


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_all_lines_are_exactly_equal_in_every_mode_with_a_fresh_store(modes: Modes) -> None:
    ran = run(fresh(), {"AA": AA}, modes)
    assert ran.signals() == expected({"AA": AA})
    assert ran.evidence == ran.signals()


def test_all_lines_are_exactly_equal_in_every_mode_with_a_shared_store(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "signals.sqlite")
    wanted = expected({"AA": AA})
    calls = []
    for modes in MODES:
        pipeline = pipeline_of(CORPUS, store=store)
        assert run(pipeline, {"AA": AA}, modes).signals() == wanted, modes
        calls.append(pipeline.cost.model_calls)
    assert calls == [sum(it.abstained is None for it in wanted)] + [0] * 15


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_batch_asks_once_and_the_other_modes_once_a_bar(modes: Modes) -> None:
    source = CountingSource(fresh())
    run(source, {"AA": AA}, modes)
    assert sum(source.calls) == len(AA)
    if is_batch(modes):
        assert source.calls == [len(AA)]
    else:
        assert source.calls == [1] * len(AA)


LATE = {"AA": AA, "CC": BB.iloc[20:], "DD": BB.iloc[:30], "EE": BB.iloc[-3:]}
GAPS = BB.iloc[::2]


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_feeds_that_start_late_end_early_or_are_too_short_each_keep_their_own_line(modes: Modes) -> None:
    source = CountingSource(fresh())
    ran = run(source, LATE, modes)
    for number, (name, frame) in enumerate(LATE.items()):
        assert ran.signals(number) == expected({name: frame}), name
    assert {it.abstained for it in ran.signals(3)} == {TOO_FEW_BARS}
    assert ran.evidence == sorted(expected(LATE), key=lambda it: (it.as_of, it.symbol))
    assert sum(source.calls) == sum(map(len, LATE.values()))


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_a_feed_with_days_of_its_own_keeps_its_line_or_is_refused_where_backtrader_shows_it_early(modes: Modes) -> None:
    feeds = {"AA": AA, "GG": GAPS}
    if modes["exactbars"] == 1:  # Backtrader shows the next bar of GG on the day before
        with pytest.raises(LookAheadError, match=r"'GG' shows its bar of .* too early.*use exactbars=-1"):
            run(fresh(), feeds, modes)
    else:
        ran = run(fresh(), feeds, modes)
        assert [ran.signals(number) for number in (0, 1)] == [expected({"AA": AA}), expected({"GG": GAPS})]


def weekly(frame: pd.DataFrame) -> pd.DataFrame:
    """The last bar of each ISO week, under its own day."""
    return frame.groupby(pd.DatetimeIndex(frame.index).strftime("%G-%V")).tail(1)


HOLIDAYS = AA.drop(AA.index[[9, 15, 16]])  # a Friday's and a Monday's bar are missing


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_a_weekly_resample_asks_for_weekly_closes_as_of_each_weeks_last_bar(modes: Modes) -> None:
    def alone(cerebro: Any) -> None:
        cerebro.resampledata(feed_of(HOLIDAYS), timeframe=bt.TimeFrame.Weeks, name="AA")

    assert run(fresh(), alone, modes).signals() == expected({"AA": weekly(HOLIDAYS)})


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_a_feed_that_resamples_itself_is_preloaded_and_batched(modes: Modes) -> None:
    def itself(cerebro: Any) -> None:
        feed = feed_of(HOLIDAYS)
        feed.resample(timeframe=bt.TimeFrame.Weeks)
        cerebro.adddata(feed, name="AA")

    source = CountingSource(fresh())
    assert run(source, itself, modes).signals() == expected({"AA": weekly(HOLIDAYS)})
    assert len(source.calls) <= 3 or not is_batch(modes)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_days_beside_their_own_weeks_are_asked_once_a_bar_under_one_name(modes: Modes) -> None:
    def both(cerebro: Any) -> None:
        days = feed_of(HOLIDAYS)
        cerebro.adddata(days, name="AA")
        cerebro.resampledata(days, timeframe=bt.TimeFrame.Weeks)  # a clone, which Backtrader leaves without a name

    source = CountingSource(fresh())
    ran = run(source, both, modes)
    assert ran.signals(0) == expected({"AA": HOLIDAYS})
    assert ran.signals(1) == expected({"AA": weekly(HOLIDAYS)})
    assert sum(source.calls) == len(HOLIDAYS) + len(weekly(HOLIDAYS))


def intraday(frame: pd.DataFrame) -> pd.DataFrame:
    """Three bars a day; the last one closes where the day closes."""
    parts = [
        (frame * factor).set_axis(frame.index + pd.Timedelta(hours=hour), axis=0)
        for hour, factor in ((10, 0.99), (13, 1.01), (16, 1.0))
    ]
    return pd.concat(parts).sort_index()


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize("through", ["cerebro", "feed"])
def test_minutes_resampled_to_days_give_the_daily_signals(modes: Modes, through: str) -> None:
    def minutes(cerebro: Any) -> None:
        feed = feed_of(intraday(AA), timeframe=bt.TimeFrame.Minutes)
        if through == "cerebro":
            cerebro.resampledata(feed, timeframe=bt.TimeFrame.Days, name="AA")
        else:
            feed.resample(timeframe=bt.TimeFrame.Days)
            cerebro.adddata(feed, name="AA")

    assert run(fresh(), minutes, modes).signals() == expected({"AA": AA})


def test_a_replayed_week_has_a_view_each_day_and_its_last_one_stays() -> None:
    views: list[Signal] = []

    def replay(cerebro: Any) -> None:
        cerebro.replaydata(feed_of(HOLIDAYS), timeframe=bt.TimeFrame.Weeks, name="AA")

    ran = run(fresh(), replay, ask=lambda strategy: views.append(strategy.rags[0].evidence()))
    assert ran.signals() == expected({"AA": weekly(HOLIDAYS)})
    assert ran.evidence == ran.signals()
    so_far = [weekly(HOLIDAYS.iloc[: bar + 1]) for bar in range(len(HOLIDAYS))]
    asked = [cut_query("AA", [day.date() for day in it.index], it["close"].tolist(), LOOKBACK) for it in so_far]
    assert views == fresh().signals(asked)


# ------------------------------------------------------------------------------------------------- law 1: as-of


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@settings(max_examples=6, deadline=None)
@given(cut=st.sampled_from(DAYS[LOOKBACK + 3 : -1]))
def test_poisoning_every_bar_after_t_moves_no_line_at_or_before_t(modes: Modes, cut: date) -> None:
    lies = poisoned(FRAMES, cut)
    ran = run(pipeline_of(corpus_of(lies)), {"AA": lies["AA"]}, modes)
    clean = expected({"AA": AA})
    number = DAYS.index(cut) + 1
    assert ran.signals()[:number] == clean[:number]
    assert all(new.key != old.key for new, old in zip(ran.signals()[number:], clean[number:], strict=True))


def ask_evidence(strategy: Any) -> None:
    rag = strategy.rags[-1]
    bars = len(rag)
    for ago in (0, -1, -3):
        if bars + ago > 0:
            assert rag.evidence(ago) == strategy.notes[-1][bars - 1 + ago][3]
            assert rag.evidence(ago).as_of == strategy.datas[-1].datetime.date(ago)
        elif ago == 0:
            assert rag.evidence().abstained == NO_BAR
        else:
            with pytest.raises(IndexError, match=rf"evidence\({ago}\) of .*: there are {bars} bars so far"):
                rag.evidence(ago)
    with pytest.raises(LookAheadError, match=r"evidence\(1\) asks for a bar to come"):
        rag.evidence(1)


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_evidence_is_of_the_present_bar_or_before_and_never_of_a_bar_to_come(modes: Modes) -> None:
    run(fresh(), {"AA": AA, "BB": BB.iloc[20:40]}, modes, ask=ask_evidence)


# -------------------------------------------------------------------------------------- law 6: abstain is 0.0


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize("bars", [1, 2, LOOKBACK, LOOKBACK + 1, len(AA)])
def test_no_line_is_ever_nan_and_an_abstention_is_exactly_zero_and_a_half(bars: int, modes: Modes) -> None:
    ran = run(fresh(), {"AA": AA.iloc[:bars]}, modes)
    assert len(ran.notes[0]) == bars
    for number, (value, probability, abstained, signal) in enumerate(ran.notes[0]):
        assert not any(map(math.isnan, (value, probability, abstained)))
        assert abstained in (0.0, 1.0)
        if abstained:
            assert (value, probability) == (0.0, 0.5)
        assert (signal.abstained == TOO_FEW_BARS) == (number < LOOKBACK)
    if not modes.get("exactbars"):
        lines = [ran.strategy.rags[0].lines[number].get(size=bars) for number in range(3)]
        assert not any(math.isnan(value) for line in lines for value in line)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (float("nan"), "AA: close of 2020-02-12 is nan"),
        (0.0, "AA: close of 2020-02-12 is 0.0"),
        (-1.0, "AA: close of 2020-02-12 is -1.0"),
        (float("inf"), "AA: close of 2020-02-12 is inf"),
    ],
)
def test_a_close_that_is_no_price_names_symbol_and_day(modes: Modes, bad: float, words: str) -> None:
    frame = AA.copy()
    frame.loc["2020-02-12", "close"] = bad
    with pytest.raises(DataError, match=words):
        run(fresh(), {"AA": frame}, modes)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_unsorted_and_doubled_days_are_refused(modes: Modes) -> None:
    unsorted = AA.iloc[[*range(20), 21, 20, *range(22, 40)]]
    with pytest.raises(DataError, match=f"AA: the bar of {DAYS[20]} follows the bar of {DAYS[21]}; one bar a day"):
        run(fresh(), {"AA": unsorted}, modes)
    doubled = AA.iloc[[*range(21), 20, *range(21, 40)]]
    with pytest.raises(DataError, match=f"AA: the bar of {DAYS[20]} follows the bar of {DAYS[20]}; one bar a day"):
        run(fresh(), {"AA": doubled}, modes)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_what_a_source_raises_ends_the_run(modes: Modes) -> None:
    pipeline = fresh()
    pipeline.trained_through = DAYS[0]
    with pytest.raises(LookAheadError, match="fitted through"):
        run(pipeline, {"AA": AA}, modes)


# -------------------------------------------------------------------------------------- what cannot be meant


@pytest.mark.parametrize("source", [None, 7, object(), ["spec.toml"]])
def test_no_source_is_a_config_error_that_shows_one(source: Any) -> None:
    with pytest.raises(ConfigError, match="a signal source or the path of a spec was expected, for example"):
        run(source, {"AA": AA})


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_an_intraday_feed_is_refused_with_the_call_that_helps(modes: Modes) -> None:
    def minutes(cerebro: Any) -> None:
        cerebro.adddata(feed_of(intraday(AA), timeframe=bt.TimeFrame.Minutes), name="AA")

    with pytest.raises(ConfigError, match=r"'AA' has Minutes? bars; daily or longer were expected.*resampledata"):
        run(fresh(), minutes, modes)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_intraday_bars_that_are_declared_daily_are_refused_with_the_call_that_helps(modes: Modes) -> None:
    with pytest.raises(DataError, match=r"AA: the bar of 2020-01-01 follows the bar of 2020-01-01.*resampledata"):
        run(fresh(), {"AA": intraday(AA)}, modes)


@pytest.mark.parametrize("declared", [bt.TimeFrame.Minutes, bt.TimeFrame.Days])
def test_a_day_that_is_replayed_from_minutes_is_refused_because_its_close_is_not_known_yet(declared: int) -> None:
    def replay(cerebro: Any) -> None:
        feed = feed_of(intraday(AA), timeframe=declared)
        cerebro.replaydata(feed, timeframe=bt.TimeFrame.Days, name="AA")

    with pytest.raises((ConfigError, DataError), match="resampledata"):
        run(fresh(), replay)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize("name", ["aa", "AA.US", "NEW", ""])
def test_a_feed_whose_own_history_cannot_be_left_out_is_refused_until_it_is_named(name: str, modes: Modes) -> None:
    def source() -> RagPipeline:
        return pipeline_of(CORPUS, exclude_own_symbol=True)

    hint = "Did you mean 'AA'" if name.startswith(("aa", "AA")) else "AA, BB"
    with pytest.raises(ConfigError, match=rf"no symbol '{name or 'feed'}'.*{hint}.*symbol=\"NAME\""):
        run(source(), {name: AA}, modes)
    named = run(source(), {name: AA}, modes, make=lambda it: [Rag(it.data, source=source(), symbol="AA")])
    assert named.signals() == source().signals(every_query({"AA": AA}))
    assert all(hit.candidate.symbol != "AA" for it in named.signals() for hit in it.hits)


ZONES = ("Asia/Tokyo", "Europe/London", "Asia/Riyadh")
YEAR = bars(260, days=pd.bdate_range("2020-01-01", periods=260))


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize("zone", ZONES)
def test_a_feed_with_midnights_of_an_exchange_is_refused_and_the_repair_works(zone: str, modes: Modes) -> None:
    days = pd.DatetimeIndex([day for day in pd.date_range("2020-01-01", "2021-01-20") if day.day_of_week not in (4, 5)])
    days = days if zone == "Asia/Riyadh" else pd.bdate_range("2020-01-01", "2020-12-31")
    own = bars(len(days), days=days)
    for frame in (own.tz_localize(zone), own.tz_localize(zone).tz_convert("UTC").tz_localize(None)):
        with pytest.raises(DataError, match=f"AA: .*midnight in {zone}, as UTC counts") as caught:
            run(fresh(), {"AA": frame}, modes)
        line = str(caught.value).partition("frame.index = ")[2]
        fixed = frame.set_axis(eval(line, {"pd": pd, "frame": frame}), axis=0)  # noqa: S307 - as it is printed
        assert fixed.index.equals(own.index)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_a_feed_with_bars_after_midnight_in_utc_is_refused_and_the_repair_works(modes: Modes) -> None:
    late = YEAR.set_axis((YEAR.index + pd.Timedelta(hours=20)).tz_localize("America/New_York"), axis=0)
    with pytest.raises(
        DataError, match=r"AA: .*no week from Monday to Friday, as those by the clock of America"
    ) as caught:
        run(fresh(), {"AA": late}, modes)
    line = str(caught.value).partition("frame.index = ")[2]
    fixed = late.set_axis(eval(line, {"pd": pd, "frame": late}), axis=0)  # noqa: S307 - as it is printed
    assert fixed.index.equals(YEAR.index)


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_a_feed_of_one_bar_a_day_at_the_close_of_new_york_in_utc_is_of_these_days(modes: Modes) -> None:
    at_close = YEAR.set_axis((YEAR.index + pd.Timedelta(hours=16)).tz_localize("America/New_York"), axis=0)
    assert run(fresh(), {"AA": at_close}, modes).signals() == expected({"AA": YEAR})


@pytest.mark.parametrize("wrong", [lambda data: data.close, lambda data: bt.indicators.SMA(data, period=3)])
def test_an_input_that_is_no_feed_is_refused(wrong: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigError, match=r"RagMomentum got a \w+; a data feed was expected"):
        run(None, {"AA": AA}, make=lambda strategy: [Rag(wrong(strategy.data), source=fresh())])


# ---------------------------------------------------------------------------------------- where it can be used


class Half(bt.Indicator):  # type: ignore[misc]
    """An indicator of a user, with ours inside, as an operation on lines."""

    lines = ("half",)
    params: tuple[tuple[str, Any], ...] = (("source", None),)

    def __init__(self) -> None:
        self.rag = Rag(self.data, source=self.p.source)
        self.l.half = self.rag.l.signal / 2.0


class HalfByHand(bt.Indicator):  # type: ignore[misc]
    """The same, bar by bar."""

    lines = ("half",)
    params: tuple[tuple[str, Any], ...] = (("source", None),)

    def __init__(self) -> None:
        self.rag = Rag(self.data, source=self.p.source)

    def next(self) -> None:
        assert self.rag.evidence().value == self.rag.l.signal[0]
        self.l.half[0] = self.rag.l.signal[0] / 2.0


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize("outer", [Half, HalfByHand])
def test_inside_another_indicator_it_is_the_same_line_and_its_evidence_is_found(outer: Any, modes: Modes) -> None:
    halves: list[float] = []

    def make(strategy: Any) -> list[Any]:
        strategy.half = outer(strategy.data, source=source)
        return [strategy.half.rag]

    def ask(strategy: Any) -> None:
        if len(strategy) > LOOKBACK:
            halves.append(strategy.half.half[0])

    source = fresh()
    ran = run(source, {"AA": AA}, modes, make=make, ask=ask)
    wanted = expected({"AA": AA})
    # not the inner lines: in batch mode Backtrader leaves those of any indicator inside another at their end
    assert [note[3] for note in ran.notes[0]] == wanted
    assert ran.evidence == wanted
    assert halves == [it.value / 2 for it in wanted[LOOKBACK:]]


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_lines_made_of_its_line_do_not_disturb_the_evidence(modes: Modes) -> None:
    def make(strategy: Any) -> list[Any]:
        rag = Rag(strategy.data, source=source)
        strategy.up = rag.l.signal > 0
        strategy.smooth = bt.indicators.SMA(rag.l.signal, period=3)
        strategy.before = rag.l.signal(-1)
        return [rag]

    source = fresh()
    ran = run(source, {"AA": AA}, modes, make=make)
    assert ran.evidence == ran.signals() == expected({"AA": AA})


class Positions(bt.Analyzer):  # type: ignore[misc]
    """Sign of the position at each close."""

    def start(self) -> None:
        self.signs: list[float] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        size = self.strategy.position.size
        self.signs.append(math.copysign(1, size) if size else 0.0)


def trade(sort: int, source: Any, modes: Modes) -> tuple[list[float], list[Signal]]:
    cerebro = bt.Cerebro(stdstats=False, **modes)
    cerebro.adddata(feed_of(AA), name="AA")
    cerebro.add_signal(sort, RagMomentum, source=source)
    cerebro.addanalyzer(Positions, _name="positions")
    cerebro.addanalyzer(RagEvidence, _name="evidence")
    (ran,) = cerebro.run()
    return ran.analyzers.positions.signs, ran.analyzers.evidence.get_analysis()


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_longshort_trades_the_sign_of_the_signal_on_the_next_bar(modes: Modes) -> None:
    signs, signals = trade(bt.SIGNAL_LONGSHORT, fresh(), modes)
    assert signals == expected({"AA": AA})
    wanted = [0.0, *(math.copysign(1, it.value) if it.value else 0.0 for it in signals[:-1])]
    assert signs == wanted
    assert {-1.0, 0.0, 1.0} == set(wanted)


@dataclass
class Silent:
    """Never has a view."""

    lookback: int = LOOKBACK

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        return [Signal(it.symbol, it.as_of, 0.0, 0.5, NO_CANDIDATE, (), "") for it in queries]


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
@pytest.mark.parametrize("sort", [bt.SIGNAL_LONG_ANY, bt.SIGNAL_SHORT_ANY, bt.SIGNAL_LONGSHORT, bt.SIGNAL_LONG])
def test_an_abstention_opens_no_position_whatever_the_sort_of_signal(sort: int, modes: Modes) -> None:
    signs, signals = trade(sort, Silent(), modes)
    assert len(signals) == len(AA)
    assert set(signs) == {0.0}


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_long_any_enters_one_bar_after_the_first_view_and_not_before(modes: Modes) -> None:
    signs, signals = trade(bt.SIGNAL_LONG_ANY, fresh(), modes)
    first = next(number for number, it in enumerate(signals) if it.abstained is None)
    assert signs[: first + 2] == [0.0] * (first + 1) + [1.0]


# ------------------------------------------------------------------------------------------------ names and days


def asked(feeds: Callable[[Any], Any], modes: Modes = BATCH, **options: Any) -> list[Query]:
    """The queries that a source with a long ear hears."""
    heard: list[Query] = []

    class Ear(Silent):
        def signals(self, queries: Sequence[Query]) -> list[Signal]:
            heard.extend(queries)
            return super().signals(queries)

    run(None, feeds, modes, make=lambda strategy: [Rag(strategy.data, source=Ear(), **options)])
    return heard


def test_the_symbol_is_the_feeds_name_unless_it_is_given(tmp_path: Path) -> None:
    AA.to_csv(tmp_path / "IBM.csv", index_label="date")
    path = str(tmp_path / "IBM.csv")
    csv = {"dataname": path, "dtformat": "%Y-%m-%d", "openinterest": -1}

    def symbol(feed: Any, name: str | None = None, **options: Any) -> str:
        queries = asked(lambda cerebro: cerebro.adddata(feed, name=name), **options)
        assert [it.as_of for it in queries] == DAYS
        (found,) = {it.symbol for it in queries}
        return found

    assert symbol(feed_of(AA), "AA") == "AA"
    assert symbol(feed_of(AA, name="KO")) == "KO"
    assert symbol(bt.feeds.GenericCSVData(**csv)) == "IBM"
    assert symbol(feed_of(AA), "AA", symbol="GE") == "GE"
    assert symbol(feed_of(AA)) == "feed"


class Tokyo(tzinfo):
    """Nine hours ahead; not datetime.timezone, on which Backtrader cannot hang its method."""

    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(hours=9)

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        return "Tokyo"


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_a_feed_with_a_time_zone_has_its_local_days_in_every_mode(modes: Modes) -> None:
    frame = AA.tz_localize(Tokyo())  # midnight there is the day before in UTC, which Backtrader keeps
    queries = asked(lambda cerebro: cerebro.adddata(feed_of(frame, tz=Tokyo()), name="AA"), modes)
    assert [it.as_of for it in queries] == DAYS


# --------------------------------------------------------------------------------------- a path as the source

SWEPT: Tables = {
    "name": "swept",
    "benchmark": "rag",
    "data": {
        "source": "folder",
        "path": "prices",
        "symbols": ["AA", "BB"],
        "start": date(2020, 2, 3),
        "end": date(2020, 3, 31),
    },
    "corpus": {"indicators": ["adj_close", "volume"]},
    "retrieval": {"k": 3},
    "variant": [{"name": "hold", "signal": "none"}, VOTE | {"name": "rag"}, RANDOM],
}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prices").mkdir()
    for symbol, frame in FRAMES.items():
        frame.to_csv(tmp_path / "prices" / f"{symbol}.csv", index_label="Date")
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    return write_spec(tmp_path, **SWEPT)


def test_a_path_is_a_source_and_its_variant_can_be_named(spec: Path) -> None:
    from ragsignal.study.study import load_pipeline

    voted = run(str(spec), {"AA": AA}).signals()
    assert voted == load_pipeline(spec).signals(every_query({"AA": AA}))
    drawn = run(None, {"AA": AA}, make=lambda it: [Rag(it.data, source=spec, variant="random")]).signals()
    assert drawn == load_pipeline(spec, "random").signals(every_query({"AA": AA})) != voted


def test_a_feed_without_a_view_on_most_of_its_bars_is_warned_of_with_the_reason(spec: Path) -> None:
    with pytest.warns(UserWarning, match=r"no view of AA on 4 of 4 bars: too few bars \(4\)"):
        run(str(spec), {"AA": AA.iloc[:4]})


SWEEP = """
import json, sys
import backtrader as bt, pandas as pd
import ragsignal

class Swept(bt.Strategy):
    params = (("source", None), ("threshold", 0.0))
    def __init__(self):
        self.rag = ragsignal.RagMomentum(self.data, source=self.p.source or LIVE)

def sweep(source):
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None), name="AA")
    cerebro.optstrategy(Swept, source=[source], threshold=[0.0, 0.1, 0.2])
    cerebro.addanalyzer(ragsignal.RagEvidence, _name="evidence")
    return cerebro.run()

def failure(source):
    try:
        sweep(source)
    except ragsignal.RagSignalError as error:
        return f"{type(error).__name__}: {error}"

path = sys.argv[1]
frame = pd.read_csv(sys.argv[2], index_col="Date", parse_dates=True)
LIVE = ragsignal.load_pipeline(path)
# The parent has searched already: its FAISS has threads, for which a forked child would wait for ever.
LIVE.signals([ragsignal.Query("BB", tuple(day.date() for day in frame.index[-6:]), tuple(frame["close"][-6:]))])
swept = sweep(path)
report = {
    "thresholds": [one.params.threshold for (one,) in swept],
    "signals": [[repr(it) for it in one.analyzers.evidence.get_analysis()] for (one,) in swept],
    "live": failure(LIVE),
    "inherited": failure(None),
}
print(json.dumps(report))
"""


@pytest.mark.slow
def test_optstrategy_takes_a_path_and_refuses_a_loaded_pipeline_loudly(spec: Path, tmp_path: Path) -> None:
    import json

    from ragsignal.study.study import load_pipeline

    (tmp_path / "sweep.py").write_text(SWEEP)
    here = Path(ragsignal.__file__).parents[1]
    command = [sys.executable, "sweep.py", str(spec), str(tmp_path / "prices" / "AA.csv")]
    environment = {**os.environ, "PYTHONPATH": str(here)}
    environment.pop("OMP_NUM_THREADS", None)  # the parent's threads are what this is about
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=-1, text=True, timeout=90)
    report = json.loads(done.stdout)
    assert report["thresholds"] == [0.0, 0.1, 0.2]
    wanted = [repr(replace(it)) for it in load_pipeline(spec).signals(every_query({"AA": AA}))]
    assert report["signals"] == [wanted] * 3
    assert report["live"].startswith("ConfigError: a loaded pipeline cannot go to another process")
    assert report["inherited"].startswith("StoreError: ")
    assert "opened by another process" in report["inherited"]


# ------------------------------------------------------------------------------------------------ hits as records


class DaySource:
    """A source whose every signal has the same retrieved days, as they come out of a store."""

    lookback = LOOKBACK

    def __init__(self) -> None:
        store, prompt = SignalStore(":memory:"), Prompt(Query("AA", (), ()), ())
        store.put("recipe", [Signal("AA", DAYS[0], 0.1, 0.55, None, made_hits(), "key")], [prompt])
        self._stored = store.get(["key"])["key"]

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        return [replace(self._stored, symbol=query.symbol, as_of=query.as_of) for query in queries]


@pytest.mark.parametrize("modes", EACH_WAY, ids=str)
def test_retrieved_days_are_plain_records_of_the_present_bar(modes: Modes) -> None:
    views: list[Any] = []
    run(DaySource(), {"AA": AA}, modes, ask=lambda strategy: views.append(strategy.rags[0].retrieved()))
    expected = made_hits().hits
    assert all([hit["date"] for hit in view] == [hit.candidate.day for hit in expected] for view in views)
    assert [hit["unlike"] for hit in views[-1]] == [False, False, True]
    assert list(views[-1][0]["payoffs"].values()) == list(expected[0].candidate.payoffs)
    assert views[-1][2]["words"].startswith(f"{expected[2].candidate.day}, unlike, similarity 0.30, known on ")


def test_retrieved_sequences_are_plain_records_of_bars_back_too() -> None:
    views: list[Any] = []
    ask = lambda strategy: views.append(strategy.rags[0].retrieved(-1) if len(strategy) > 1 else None)  # noqa: E731
    ran = run(fresh(), {"AA": AA}, ask=ask)
    hits = ran.signals()[-2].hits
    assert [hit["id"] for hit in views[-1]] == [hit.candidate.id for hit in hits]
    assert all(hit["available_at"] <= DAYS[-2] for hit in views[-1])
    assert views[1] == []  # of a warm-up bar
