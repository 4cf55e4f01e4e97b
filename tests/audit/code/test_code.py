"""The audit of code: cuts, traces, comparison, verdicts, its control of itself, and its command."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.audit.code import control, evidence, modes, run
from ragsignal.audit.code.compare import differences
from ragsignal.audit.code.cuts import Block, Market, blocks_of, whole_cuts
from ragsignal.audit.code.run import audit_code, examine
from ragsignal.audit.code.subjects import Subject, kind_of, trace_function
from ragsignal.audit.code.trace import BAR_BY_BAR, Mode, Trace
from ragsignal.audit.spec import audit_spec, audit_subjects
from ragsignal.audit.verdict import Finding
from ragsignal.cli import main
from ragsignal.config import CostSpec, load_spec
from ragsignal.errors import ConfigError, RagSignalError
from ragsignal.signals import RecordedSignals
from ragsignal.types import Query, Signal
from tests import specs
from tests.markets import Frames, bars, markets
from tests.specs import HOLD, VOTE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COSTS = CostSpec()


@pytest.fixture(scope="module")
def market() -> Market:
    return Market({"AA": bars(40, 1), "BB": bars(40, 2)})


def _subject(thing: Any, **params: Any) -> Subject:
    name = f"{thing.__module__}:{thing.__name__}"
    return Subject(name, kind_of(name), params)


def _verdicts(findings: Sequence[Finding]) -> dict[str, str]:
    return {it.test: it.verdict for it in findings}


def _words(findings: Sequence[Finding], test: str) -> str:
    return next(it.words for it in findings if it.test == test)


# --------------------------------------------------------------------------------------------- markets and cut points


@given(markets(), st.data())
def test_a_cut_and_a_poisoned_market_hold_the_same_past(frames: Frames, data: st.DataObject) -> None:
    market = Market(frames)
    last = data.draw(st.integers(0, len(market.days) - 1))
    cut, poisoned = market.span(0, last), market.poisoned(last)
    for symbol, frame in frames.items():
        past = frame.loc[: market.days[last]]
        pd.testing.assert_frame_equal(cut.frames[symbol], past)
        pd.testing.assert_frame_equal(poisoned.frames[symbol].loc[: market.days[last]], past, check_freq=False)
        garbage = poisoned.frames[symbol]
        assert list(garbage.index) == list(frame.index)
        assert (garbage["high"] >= garbage[["open", "close"]].max(axis=1) * (1 - 1e-12)).all()
        assert (garbage["low"] <= garbage[["open", "close"]].min(axis=1) * (1 + 1e-12)).all()
        assert (garbage["low"] > 0).all()


@given(st.integers(1, 2000), st.integers(1, 400))
def test_every_bar_but_the_last_is_a_cut_point_once(n_bars: int, minimum_period: int) -> None:
    blocks = blocks_of(n_bars, minimum_period)
    assert [point for block in blocks for point in block.points] == list(range(n_bars - 1))
    for block in blocks:
        assert block.first == 0 or block.begin - block.first >= max(260, 2 * minimum_period)
        assert block.end <= block.last < n_bars
        assert set(block.poisons(len(blocks))) <= set(block.points)
        assert block.poisons(len(blocks))
    assert all(0 <= point < n_bars - 1 for point in whole_cuts(n_bars))


@given(st.integers(130, 2000), st.integers(1, 100), st.floats(0, 1e6))
def test_where_every_bar_costs_too_much_short_blocks_lie_apart_and_stay_within_the_cost(
    n_bars: int, minimum_period: int, affordable: float
) -> None:
    blocks = blocks_of(n_bars, minimum_period, affordable)
    points = [point for block in blocks for point in block.points]
    assert points == sorted(set(points))
    assert blocks[0].begin == 0
    assert blocks[-1].end == n_bars - 1
    if len(points) < n_bars - 1:
        assert {len(block.points) for block in blocks[:-1]} == {8}
        assert all(block.first == 0 or block.begin - block.first >= max(60, 2 * minimum_period) for block in blocks)
        runs = [point - block.first + 1 for block in blocks for point in block.points]
        baselines = [3 * (block.last - block.first + 1) for block in blocks]
        assert len(blocks) == 2 or sum(runs) + sum(baselines) <= affordable / 6


def test_a_subject_that_takes_long_has_fewer_cut_points_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", 0.0)
    (found,) = [
        it
        for it in examine([_subject(Nested)], Market({"A": bars(200, 1), "B": bars(200, 2)}), COSTS)
        if it.test == "prefix"
    ]
    assert found.verdict == "passed"
    assert found.evidence["cut_points"] == 15  # a block of 8, and the 7 bars before the last
    assert "after 15 of 199 bars, as every bar takes too long" in found.words


def test_leaks_are_planted_on_the_four_feeds_that_move_most() -> None:
    still = bars(40).assign(close=10.0)
    market = Market({"S": still} | {name: bars(40, number) for number, name in enumerate("ABCDE")})
    few = control.few_feeds(market)
    assert len(few.frames) == 4
    assert "S" not in few.frames


# -------------------------------------------------------------------------------------------------------- comparison


@given(st.integers(1, 20), st.integers(1, 4), st.data())
def test_a_change_is_seen_where_it_counts_and_nowhere_else(n_bars: int, lines: int, data: st.DataObject) -> None:
    rows = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(n_bars, lines))
    rows[data.draw(st.integers(0, n_bars - 1))] = np.nan
    left = Trace(tuple(f"line {number}" for number in range(lines)), rows)
    bar, line = data.draw(st.integers(0, n_bars - 1)), data.draw(st.integers(0, lines - 1))
    last = data.draw(st.integers(0, n_bars - 1))
    moved = rows.copy()
    moved[bar, line] = 5.0
    found = differences(left, replace(left, rows=moved), last)
    assert [(it.bar, it.what) for it in found] == ([(bar, f"line {line}")] if bar <= last else [])
    assert not differences(left, replace(left, rows=rows * (1 + 1e-11)), last)


def test_a_run_that_ends_before_the_cut_differs() -> None:
    left = Trace(("x",), np.zeros((10, 1)))
    short = Trace(("x",), np.zeros((4, 1)), error="IndexError: x")
    assert [(it.bar, it.what, it.right) for it in differences(left, short, 6)] == [(4, "run", "IndexError: x")]
    assert not differences(left, short, 3)


def test_a_cut_that_raises_before_its_first_bar_differs_unless_an_indicator_has_too_few_bars_for_its_period() -> None:
    days, base = pd.bdate_range("2020-01-01", periods=4), Trace(("x",), np.zeros((4, 1)))
    own = Trace((), np.zeros((0, 0)), error="IndexError: x")
    for raised_by, counts in (("code", (1, 0, 1)), ("lines", (1, 0, 1)), ("period", (0, 1, 0))):
        other = replace(own, raised_by=raised_by)
        compared = evidence.ComparedRuns()
        compared.compare(base, other, days, 2)
        assert (compared.runs, compared.not_run, compared.differing) == counts
    garbage = evidence.ComparedRuns()  # after a cut: what lines of all bars make of it does not count
    garbage.compare(base, replace(own, raised_by="lines"), days, 2, ("period", "lines"))
    assert garbage.not_run == 1


class EarlyMean(bt.Strategy):
    """Raises of its own beside an indicator of the late feed."""

    def __init__(self) -> None:
        self.mean = bt.ind.SMA(self.data1, period=5)

    def prenext(self) -> None:
        self.data1.close[0]


def test_errors_are_told_apart_by_where_they_come_from_and_say_the_line() -> None:
    short = Market({"A": bars(12, 1), "B": bars(3, 2)})
    assert _subject(EarlyMean).run(short, COSTS).raised_by == "period"
    late = Market({"A": bars(12, 1), "B": bars(12, 2).iloc[:0]})
    trace = _subject(EarlyMean).run(late, COSTS, BAR_BY_BAR)
    assert trace.raised_by == "code"
    assert str(trace.error).startswith("IndexError: array index out of range (test_code.py, line ")
    assert not trace.rows.size


def test_before_the_first_and_the_last_listing_there_is_a_cut() -> None:
    days = pd.bdate_range("2020-01-01", periods=30)
    frames = {name: bars(30 - late, 1, days=days[late:]) for name, late in zip("ABCD", (0, 9, 4, 20), strict=True)}
    assert Market(frames).before_listings == {3, 19}
    assert Market({"A": frames["A"]}).before_listings == set()


# ------------------------------------------------------------------------------------------------------------- traces


class Nested(bt.Strategy):
    """An indicator in an indicator, and orders of several kinds."""

    def __init__(self) -> None:
        self.macd = bt.ind.MACD(self.data1, period_me1=3, period_me2=6, period_signal=3)

    def next(self) -> None:
        if len(self) % 4 == 0:
            self.order_target_size(target=10 if self.macd[0] > 0 else -10)
        elif len(self) % 4 == 1:
            self.buy(size=1, exectype=bt.Order.Limit, price=0.98 * self.data.close[0])


def test_lines_show_the_value_of_their_own_bar_in_every_mode(market: Market) -> None:
    traces = [_subject(Nested).run(market, COSTS, Mode(*it)) for it in ((True, True), (True, False), (False, False))]
    for other in traces[1:]:
        assert not differences(traces[0], other, 39)
    (label,) = [it for it in traces[0].labels if it.endswith("ExponentialSmoothing(BB).av")][:1] or [None]
    assert label is not None, traces[0].labels
    assert len(traces[0]) == 40
    assert {"order", "fill"} <= {event.kind for event in traces[0].events}


def test_a_feed_of_the_audit_is_a_feed_of_backtrader(market: Market) -> None:
    """Preloading in one go changes no line and no fill of a run."""

    class Book(bt.Analyzer):
        def start(self) -> None:
            self.seen: list[Any] = []

        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                self.seen.append((order.data._name, order.executed.size, order.executed.price))

    cerebro = bt.Cerebro(stdstats=False)
    for symbol, frame in market.frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None), name=symbol)
    cerebro.broker.setcash(COSTS.cash)
    cerebro.broker.setcommission(commission=COSTS.commission_bps / 1e4)
    cerebro.broker.set_slippage_perc(COSTS.slippage_bps / 1e4, slip_open=True, slip_match=True, slip_out=True)
    cerebro.addstrategy(Nested)
    cerebro.addanalyzer(Book, _name="book")
    fills = cerebro.run()[0].analyzers.book.seen
    trace = _subject(Nested).run(market, COSTS)
    recorded = [(event.symbol, event.details) for event in trace.events if event.kind == "fill"]
    assert [(symbol, details["size"], details["price"]) for symbol, details in recorded] == fills


def test_a_label_after_the_last_day_is_not_known_yet() -> None:
    frame = bars(12)
    weekly = trace_function(lambda it: it["close"].resample("W").last(), Market({"A": frame}))
    known = frame["close"].resample("W").last()[lambda it: it.index <= frame.index[-1]]
    np.testing.assert_array_equal(weekly.rows[~np.isnan(weekly.rows)], known.to_numpy())


@pytest.mark.parametrize("made", [None, 3.0, [1, 2], pd.Series([1.0, 2.0])])
def test_a_function_that_returns_no_column_of_days_says_so(made: Any) -> None:
    trace = trace_function(lambda _: made, Market({"A": bars(12)}))
    assert len(trace) == 0
    assert "it returned" in str(trace.error)


# ------------------------------------------------------------------------------------------------- verdicts and words


class Raises(bt.Strategy):
    """Never gets anywhere."""

    def __init__(self) -> None:
        raise ValueError("no such luck")


class Idle(bt.Strategy):
    """Shows nothing and does nothing."""


class Unseeded(bt.Strategy):
    """Throws a coin of its own, another one each time."""

    def next(self) -> None:
        self.order_target_size(target=random.SystemRandom().choice([-10, 10]))


class Talks(bt.Strategy):
    """Prints, as many strategies do, and wants to end the program."""

    def next(self) -> None:
        print("buying")
        self.order_target_size(target=len(self) % 3)
        if len(self) == 30:
            sys.exit(7)


@pytest.mark.parametrize(
    ("thing", "words"), [(Raises, "no such luck"), (Idle, "No evidence"), (Unseeded, "without a fixed seed")]
)
def test_where_nothing_can_be_said_the_verdict_is_unknown(thing: Any, words: str, market: Market) -> None:
    findings = examine([_subject(thing)], market, COSTS)
    verdicts = _verdicts(findings)
    assert {verdicts[it] for it in ("prefix", "poison", "start_point", "modes")} == {"unknown"}
    assert words in _words(findings, "prefix")


def test_what_a_strategy_prints_is_dropped_and_its_exit_ends_its_own_run(
    market: Market, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = examine([_subject(Talks)], market, COSTS)
    assert _verdicts(findings)["prefix"] == "passed"
    assert "ends early, after 29 bars" in _words(findings, "prefix")
    assert "buying" not in capsys.readouterr().out


def test_a_process_that_ends_without_an_answer_ends_the_audit(market: Market) -> None:
    with pytest.raises(RagSignalError, match=r"ended without an answer \(exit code 3\)"):
        examine([Subject("tests.tasks:ends_its_process", "function")], market, COSTS)


def test_a_leak_is_named_with_its_day_and_what_it_would_have_been(market: Market) -> None:
    findings = examine([_subject(control.ReadsAhead)], market, COSTS)
    (found,) = [it for it in findings if it.test == "prefix"]
    assert "ReadsAhead(AA).close on 2020-" in found.words
    assert "order" not in found.words  # an indicator has none
    assert {"what", "day", "cut", "with_future", "without"} == set(found.evidence["differences"][0])


def test_a_fill_at_the_close_that_the_spec_asks_for_fails_with_words(market: Market) -> None:
    findings = examine([_subject(Nested)], market, COSTS.model_copy(update={"execution": "same_close"}))
    assert _verdicts(findings)["fills"] == "failed"
    assert 'execution = "same_close"' in _words(findings, "fills")


class Sums(bt.Indicator):
    """A running sum."""

    lines = ("total",)

    def next(self) -> None:
        self.lines.total[0] = (self.lines.total[-1] if len(self) > 1 else 0.0) + self.data.close[0]


def test_a_running_sum_depends_on_the_start_and_is_no_leak(market: Market) -> None:
    (found,) = [it for it in examine([_subject(Sums)], market, COSTS) if it.test == "start_point"]
    assert found.verdict == "passed"
    assert "depend on where the data begin" in found.words


def test_a_mean_is_settled_after_its_period(market: Market) -> None:
    (found,) = [it for it in examine([_subject(bt.ind.SMA, period=7)], market, COSTS) if it.test == "start_point"]
    assert found.evidence["bars"] == 6
    assert found.evidence["never"] == []


# --------------------------------------------------------------------------------------------- control of the audit


def test_the_control_catches_every_plant_on_ordinary_bars(market: Market) -> None:
    shown, *others = audit_code([], market, COSTS)
    assert (shown.test, shown.verdict, others) == ("control", "passed", [])
    assert all(all(tests.values()) for tests in shown.evidence["planted"].values())


def test_an_audit_that_compares_nothing_calls_everything_broken(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (evidence, modes):
        monkeypatch.setattr(module, "differences", lambda *_, **__: [])
    findings = audit_code([_subject(Nested), _subject(bt.ind.SMA)], market, COSTS)
    assert {it.verdict for it in findings} == {"broken"}
    assert "prefix (TradesTomorrow)" in findings[0].words
    assert sorted({it.test for it in findings}) == ["control", "fills", "modes", "poison", "prefix", "start_point"]


def test_bars_that_never_change_cannot_show_a_leak_and_the_control_says_so() -> None:
    flat = bars(30).assign(open=10.0, high=10.0, low=10.0, close=10.0)
    findings = audit_code([_subject(Nested)], Market({"A": flat, "B": flat}), COSTS)
    assert {it.verdict for it in findings} == {"broken"}
    assert "never change" in findings[0].words


def test_blocks_and_whole_cuts_are_both_needed_and_both_run(market: Market) -> None:
    (found,) = [it for it in examine([_subject(Nested)], market, COSTS) if it.test == "prefix"]
    assert found.verdict == "passed"
    assert found.evidence["cuts"] + found.evidence["not_run"] == 39 + len(whole_cuts(40))
    assert blocks_of(40, 1) == [Block(0, 0, 39, 39)]


# ----------------------------------------------------------------------------------------------------------- signals


def test_signals_are_recorded_where_they_are_known_and_made_up_out_of_garbage_else() -> None:
    days = tuple(stamp.date() for stamp in pd.bdate_range("2020-01-01", periods=3))
    known = Query("A", days, (1.0, 2.0, 3.0))
    signal = Signal("A", days[-1], 0.4, 0.7, None, (), "key")
    recorded = RecordedSignals(2, {known: signal})
    garbage, short = Query("A", days, (1.0, 2.0, 9.0)), Query("A", days[:2], (1.0, 2.0))
    first, made, none = recorded.signals([known, garbage, short])
    assert first is signal
    assert made == recorded.signals([garbage])[0]
    assert made.value == pytest.approx(2 * made.probability - 1)
    assert none.abstained is not None
    assert none.value == 0.0


# ----------------------------------------------------------------------------------------------------------- command


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return specs.write_spec(tmp_path_factory.mktemp("audited"), data={"end": date(2015, 2, 27)}, retrieval={"k": 3})


def test_a_spec_has_an_entry_of_every_test_in_order_and_variants_by_name(spec: Path) -> None:
    audit = audit_spec(load_spec(spec), jobs=1)
    record = json.loads(json.dumps(audit.record))
    assert set(record) == {"spec", "verdict", "tests", "seconds"}
    assert record["verdict"] == "passed", record
    tests = [it["test"] for it in record["tests"]]
    code = [it for it in dict.fromkeys(tests) if it in ("control", "prefix", "poison", "start_point", "modes", "fills")]
    assert code == ["control", "prefix", "poison", "start_point", "modes", "fills"]
    assert {"retrieval", "training"} < set(tests)
    assert any(it.startswith("memory") for it in tests)
    assert all(set(it) == {"test", "subject", "verdict", "words", "evidence"} for it in record["tests"])
    prefixes = [it for it in record["tests"] if it["test"] == "prefix"]
    assert [it["evidence"]["variants"] for it in prefixes] == [["vote", "random"], ["momentum"], ["hold"]]


def test_a_subject_that_takes_a_signal_gets_the_specs(spec: Path) -> None:
    audit = audit_subjects(load_spec(spec), ["ragsignal.strategies:LongShort"], "vote", jobs=1)
    assert audit.verdict == "passed"
    (found,) = [it for it in audit.findings if it.test == "prefix"]
    assert found.evidence["orders"] > 0


def test_something_trained_into_the_window_fails_whether_the_spec_allows_it_or_not() -> None:
    window = {"symbols": ["AAA"], "start": "2010-03-01", "end": "2010-03-12"}
    variants = [VOTE | {"signal": "classifier", "classifier": "shipped:classifier-text"}, HOLD]
    for allowed in (False, True):
        audit = audit_spec(specs.spec(data=window, variant=variants, allow_in_sample=allowed), jobs=1)
        assert audit.verdict == "failed"
        trained = [it for it in audit.findings if it.test == "training" and it.subject == "vote"]
        assert [it.verdict for it in trained] == ["failed"]


Command = Callable[..., tuple[Any, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: its answer and what it says, where its exit code is the wanted one."""

    def run_here(*words: str | Path, code: int) -> tuple[Any, str]:
        monkeypatch.setattr(sys, "argv", ["ragsignal", "audit", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, said = capsys.readouterr()
        assert ended.value.code == code, said
        return (json.loads(out) if out.strip() else None), said

    return run_here


def _process(*words: str | Path, code: int) -> tuple[Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", "ragsignal.cli", "audit", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return (json.loads(done.stdout) if done.stdout.strip() else None), done.stderr


def test_the_command_exits_with_1_where_a_subject_leaks_and_writes_what_it_says(spec: Path, command: Command) -> None:
    names = ["tests.leaks.leaky:shift_minus_one", "tests.leaks.clean:shift_one"]
    answer, said = command(spec, *names, "--jobs", "2", "--out", spec.parent, code=1)
    verdicts = {(it["test"], it["subject"].split(":")[1]): it["verdict"] for it in answer["tests"][1:]}
    assert verdicts["prefix", "shift_minus_one"] == "failed"
    assert {it for (_, name), it in verdicts.items() if name == "shift_one"} == {"passed"}
    assert json.loads((Path(answer.pop("run_dir")) / "subjects.json").read_text()) == answer
    assert "It sees the future" in said


def test_the_command_exits_with_0_where_nothing_leaks_and_stdout_is_json_alone(spec: Path) -> None:
    subject = "tests.tasks:writes_past_python"  # past this process's capture as well, so that it has one of its own
    answer, said = _process(spec, subject, "--jobs", "1", "--out", spec.parent, code=0)
    assert answer["verdict"] == "passed"
    assert "DLASCL" in said
    assert "verdict: passed" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tests.leaks.leaky:shift_minus_on"], "Did you mean 'shift_minus_one'"),
        (["no.such:Thing"], "modules are looked up in"),
        (["strategies.base"], "write module:Name"),
        (["tests.leaks.clean:shift_one", "--variant", "vot"], "Did you mean 'vote'"),
    ],
)
def test_the_command_exits_with_2_for_a_wrong_argument(
    words: list[str], message: str, spec: Path, command: Command
) -> None:
    answer, said = command(spec, *words, code=2)
    assert answer is None
    assert message in said


def test_what_cannot_be_audited_is_said() -> None:
    with pytest.raises(ConfigError, match="a Backtrader indicator, or a function"):
        kind_of("ragsignal.config:RunSpec")


def test_what_could_not_be_tested_is_no_pass(spec: Path, command: Command) -> None:
    """A feature that asks for a column that is not there, say: green would be read as proof."""
    subject = "tests.tasks:reads_a_column_that_is_not_there"
    answer, said = command(spec, subject, "--jobs", "1", "--out", spec.parent, code=1)
    assert answer["verdict"] == "unknown"
    assert "KeyError: 'Close'" in said
    assert "not tested: what code reads beside its feeds" in said
