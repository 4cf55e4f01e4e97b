"""The report: a record of equal bytes, one page that says what the run shows, tear sheets that survive quantstats."""

from __future__ import annotations

import base64
import dataclasses
import functools
import html
import json
import math
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ragsignal.report
from ragsignal.config import RunSpec
from ragsignal.errors import ConfigError
from ragsignal.report import record_of, tearsheet, write_report
from ragsignal.report.answers import answers_in_words, cards, line_of
from ragsignal.report.charts import finding_panels
from ragsignal.report.figures import curves, packed, styles
from ragsignal.report.page import facts, made_on, render_page
from ragsignal.report.record import write_tables
from ragsignal.report.words import MISSING, count, number, percent, rate, seconds, times
from ragsignal.signals.pipeline import Cost
from ragsignal.trading.findings import RunFindings, findings_of
from ragsignal.trading.findings.answers import answers_of, verdict_of
from ragsignal.trading.findings.family import PairedDifference, corrected, family_of
from ragsignal.trading.results import RunResult
from ragsignal.trading.variant import Metrics, VariantResult
from ragsignal.utils import NewRun, rounded
from tests.results import find

SYMBOLS = ("AAPL", "AMZN", "IBM", "JPM")
BENCHMARK = "buy-and-hold"
LLM_VARIANTS = ("rag-embedding", "rag-shape", "rag-random-1", "rag-random-2", "rag-random-3", "no-retrieval")
HOSTILE = "</script><script>alert('x')</script> & <b>bold</b>"
READ = Cost(model_calls=2000, tokens=410_000, model_seconds=312.4, seconds=320.1, asked=2000)
NOTES = ("StockLLM is not trained yet: this is the untuned base model.", "FinSeer is not trained yet.")


# --- a run as an engine would make it -----------------------------------------------------------------------------


def days_of(n_bars: int) -> pd.DatetimeIndex:
    return pd.bdate_range("2010-01-04", periods=n_bars, name="date")


def random_returns(seed: int, n_bars: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0004, 0.012, n_bars - 1)


def equity_of(returns: np.ndarray, days: pd.DatetimeIndex) -> pd.Series:
    """Account that starts at 100,000; one return less than days."""
    return pd.Series(100_000 * np.cumprod(np.concatenate([[1.0], 1 + returns])), index=days)


def signals_of(seed: int, days: pd.DatetimeIndex, warm_up: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    bars = np.arange(len(days))
    frames = []
    for phase, symbol in enumerate(SYMBOLS):
        value = 0.2 * np.sin(bars / 9 + seed + phase) + rng.normal(0, 0.08, len(days))
        value[:warm_up] = 0.0
        columns = {
            "date": days,
            "symbol": symbol,
            "value": value,
            "probability": (1 + value) / 2,
            "rank": 0.0,
            "abstained": ["too few bars" if bar < warm_up else None for bar in bars],
            "target": np.append(rng.normal(0, 0.01, len(days) - 1), np.nan),
            "key": [f"{symbol}-{bar}" for bar in bars],
            "hits": [(f"{symbol}/close/1", f"{symbol}/rsi/2") for _ in bars],
            "seconds": 0.0,
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def orders_of(days: pd.DatetimeIndex, trades: int) -> pd.DataFrame:
    rows = np.arange(trades)
    columns = {
        "date": days[rows % len(days)],
        "symbol": [SYMBOLS[row % len(SYMBOLS)] for row in rows],
        "size": np.where(rows % 2, -10.0, 10.0),
        "price": 100.0 + rows,
        "value": 1000.0 + 10 * rows,
        "commission": 0.5,
        "slippage": 0.5,
    }
    return pd.DataFrame(columns)


def metrics_of(equity: pd.Series, trades: int, has_signal: bool) -> Metrics:
    returns = equity.pct_change().iloc[1:]
    deviation = float(returns.std())
    figures = {
        "return": float(equity.iloc[-1] / equity.iloc[0] - 1),
        "cagr": float((equity.iloc[-1] / equity.iloc[0]) ** (252 / max(len(returns), 1)) - 1),
        "volatility": deviation * 252**0.5,
        "sharpe": float(returns.mean()) / deviation * 252**0.5 if deviation > 0 else None,
        "sortino": None if deviation == 0 else 0.71,
        "max_drawdown": float((equity / equity.cummax() - 1).min()),
        "turnover": trades / 20,
        "costs_paid": 1.0 * trades,
        "trades": trades,
        "exposure": 0.0 if trades == 0 else 0.63,
        "hit_rate": 0.5123 if has_signal else None,
        "judged": 1940 if has_signal else 0,
        "base_rate": 0.53 if has_signal else None,
        "abstentions": 20 if has_signal else 0,
        "signal_tokens": 410_000 if has_signal else 0,
        "rejected_orders": 3 if trades == 120 else 0,
    }
    return cast(Metrics, figures)


def variant_of(name: str, equity: pd.Series, kind: str = "none", trades: int = 40, seed: int = 0) -> VariantResult:
    has_signal = kind != "none"
    days = pd.DatetimeIndex(equity.index)
    signals = signals_of(seed, days)
    if kind == "llm":
        signals = signals.assign(seconds=READ.model_seconds / len(signals))
    return VariantResult(
        name=name,
        kind=kind,
        equity=equity,
        exposure=pd.Series(0.6, index=equity.index),
        orders=orders_of(days, trades),
        signals=signals if has_signal else signals.iloc[:0],
        metrics=metrics_of(equity, trades, has_signal),
        cost=READ if kind == "llm" else Cost(),
        recipe={"model": "embedded:SmolLM2-135M-Instruct", "k": 5} if has_signal else None,
    )


def spec_of(variants: list[VariantResult], description: str) -> RunSpec:
    def table(variant: VariantResult) -> dict[str, Any]:
        retriever = next((it for it in ("shape", "random", "embedding") if it in variant.name), "none")
        seed = int(variant.name[-1]) if retriever == "random" else 0
        return {"name": variant.name, "signal": variant.kind, "retrieval": {"retriever": retriever, "seed": seed}}

    return RunSpec.model_validate(
        {
            "name": "sample",
            "description": description,
            "data": {"source": "sample", "symbols": SYMBOLS, "start": "2010-01-04", "end": "2011-12-02"},
            "strategy": {"class": "ragsignal.strategies:RagMomentumStrategy"},
            "variant": [table(variant) for variant in variants],
            "benchmark": BENCHMARK,
        }
    )


def result_of(variants: list[VariantResult], description: str = "") -> RunResult:
    days = variants[0].equity.index
    rng = np.random.default_rng(99)
    closes = pd.DataFrame(
        {symbol: 50 * np.exp(np.cumsum(rng.normal(0.0005, 0.015, len(days)))) for symbol in SYMBOLS}, index=days
    )
    spec = spec_of(variants, description)
    rows = COMPARISONS if any(it.name == "rag-embedding" for it in variants) else ()
    return RunResult(
        spec=spec,
        variants=tuple(variants),
        benchmark=BENCHMARK,
        closes=closes,
        findings=findings_with(rows, spec, variants, closes),
        notes=NOTES,
        digests={"prices": "9f2c" * 16, "corpus": "77ab" * 16, "weights": "c0de" * 16},
        versions={"ragsignal": "0.1.0", "torch": "2.13.0", "backtrader": "1.9.78.123"},
        times={"started": "2024-05-01T10:00:00", "finished": "2024-05-01T10:09:00", "seconds": 540.0},
        command="ragsignal backtest backtests/sample.toml",
    )


def findings_with(
    rows: tuple[PairedDifference, ...], spec: RunSpec, variants: list[VariantResult], closes: pd.DataFrame
) -> RunFindings:
    """What the run comes to, but for ``rows``, whose figures take the place of the same pairs' own ones."""
    given = {(row.left, row.right, row.measure): row for row in rows}
    own = []
    for row in family_of(spec, variants):
        it = given.pop((row.left, row.right, row.measure), row)
        own.append(dataclasses.replace(row, difference=it.difference, low=it.low, high=it.high, p=it.p))
    assert not given
    family = corrected(own)
    findings = dataclasses.replace(
        findings_of(spec, variants, closes), comparisons=family, answers=answers_of(spec, variants, family)
    )
    return cast(RunFindings, rounded(findings))


def comparison(
    left: str, right: str, measure: str, difference: float, low: float, high: float, p: float | None
) -> PairedDifference:
    return PairedDifference("retrieval", "none", left, right, measure, difference, low, high, p)


COMPARISONS = (
    comparison("rag-embedding", "no-retrieval", "hit rate", -0.003, -0.019, 0.012, 0.7),
    comparison("rag-embedding", "random (3 seeds)", "hit rate", 0.031, 0.004, 0.058, 1e-6),
    comparison("rag-shape", "no-retrieval", "hit rate", 0.021, 0.001, 0.041, 0.04),
    comparison("rag-embedding", BENCHMARK, "mean return a year", 0.021, -0.084, 0.13, 0.7),
)


def line(row: PairedDifference, comparisons: int = 12) -> str:
    """A row in words, as one of ``comparisons`` of which all others are nothing."""
    rest = [dataclasses.replace(row, p=1.0)] * (comparisons - 1)
    return str(line_of(corrected([row, *rest])[0], comparisons))


def sample_run(n_bars: int = 500, description: str = "RAG beside its baselines on four stocks.") -> RunResult:
    """Nine variants: six with an LLM (the second waits 200 bars), two rules (one never trades), the benchmark."""
    days = days_of(n_bars)
    variants = []
    for seed, name in enumerate(LLM_VARIANTS):
        returns = random_returns(seed, n_bars)
        if name == "rag-shape":
            returns[:200] = 0.0
        variants.append(variant_of(name, equity_of(returns, days), "llm", seed=seed))
    variants.append(variant_of("price-momentum", equity_of(random_returns(20, n_bars), days), trades=120))
    variants.append(variant_of("reversal", equity_of(np.zeros(n_bars - 1), days), trades=0))
    variants.append(variant_of(BENCHMARK, equity_of(random_returns(21, n_bars), days), trades=4))
    return result_of(variants, description)


@functools.cache
def tiny() -> RunResult:
    """The sample run on 12 bars."""
    return sample_run(12)


def with_variant(result: RunResult, name: str, **changes: Any) -> RunResult:
    variants = tuple(dataclasses.replace(v, **changes) if v.name == name else v for v in result.variants)
    return dataclasses.replace(result, variants=variants)


def text_of(page: str) -> str:
    """What a reader sees before any script runs."""
    body = re.sub(r"<(script|style)>.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def result() -> RunResult:
    return sample_run()


@pytest.fixture(scope="module")
def page(result: RunResult) -> str:
    return render_page(result)


# --- figures in words ---------------------------------------------------------------------------------------------


def test_a_figure_reads_with_its_unit_and_a_true_minus_sign() -> None:
    assert number(-1234.567) == "−1,234.57"
    assert number(0.3, 1, signed=True, unit="points") == "+0.3\u202fpoints"
    assert percent(-0.0312) == "−3.1\u202f%"
    assert (count(1234567.8), count(12)) == ("1,234,568", "12")
    assert times(2.04) == "2.0\u202f×"
    assert (seconds(0.25), seconds(312.4)) == ("0.2\u202fs", "312\u202fs")


@pytest.mark.parametrize("form", [number, percent, count, times, seconds, rate])
def test_a_missing_figure_is_an_en_dash_and_never_a_zero(form: Any) -> None:
    assert [form(None), form(math.nan), form(math.inf)] == [MISSING] * 3


@given(st.floats(-1e-3, 1e-3))
def test_no_figure_reads_minus_zero(value: float) -> None:
    assert number(value, 1) == number(value, 1, signed=True) == "0.0"


def test_a_difference_is_called_better_only_where_it_survives_the_number_of_comparisons() -> None:
    unclear = comparison("rag", "none", "hit rate", -0.003, -0.019, 0.012, 0.7)
    assert line(unclear) == ("rag − none: −0.30 points of hit rate, 95 % interval −1.90 … +1.20: not distinguishable")
    alone = comparison("rag", "none", "hit rate", 0.03, 0.001, 0.06, 0.04)
    assert line(alone, 1).endswith("rag is better")
    assert line(alone, 12).endswith("one of 12: chance can explain it, not distinguishable")
    worse = comparison("rag", "none", "mean return a year", -0.5, -0.9, -0.1, 1e-5)
    assert line(worse).endswith("none is better")
    less = comparison("rag", "none", "log loss", -0.00123, -0.002, -0.001, 1e-5)
    assert (
        line(less) == "rag − none: −0.00123 log loss (less is better), 95 % interval −0.00200 … −0.00100: rag is better"
    )


def test_a_difference_without_an_interval_is_too_few_data_whatever_the_flag_says() -> None:
    row = comparison("rag", "none", "hit rate", 0.1, 0.05, 0.15, 0.001)
    assert line(dataclasses.replace(row, low=None)).endswith("too few data to tell")
    assert line(dataclasses.replace(row, difference=None)).endswith("does not exist, one side never moved")
    same = dataclasses.replace(row, difference=0.0, low=0.0, high=0.0, p=1.0)
    assert line(same).endswith("both did the same")


def answered(rows: list[PairedDifference], key: str = "retrieval") -> str:
    """The answer to one question, given its rows."""
    judged = corrected([dataclasses.replace(row, question=key) for row in rows])
    answers = dataclasses.replace(tiny().findings.answers, **{key: verdict_of(judged)})
    findings = dataclasses.replace(tiny().findings, comparisons=judged, answers=answers)
    (card,) = [it for it in cards(findings) if it.question == QUESTIONS[key]]
    return f"{card.tone}: {card.answer}"


QUESTIONS = {
    "retrieval": "Did retrieval help?",
    "llm": "Did the LLM help?",
    "benchmark": f"Would {BENCHMARK} have done better?",
}
BETTER = comparison("rag", "other", "Sharpe ratio", 1.0, 0.5, 1.5, 1e-4)
WORSE = comparison("bad", "other", "Sharpe ratio", -1.0, -1.5, -0.5, 1e-4)
NOTHING = comparison("dull", "other", "Sharpe ratio", 0.1, -1.5, 1.7, 0.9)


def among_random(row: PairedDifference) -> PairedDifference:
    return dataclasses.replace(row, against="random")


PARTLY = "good: Partly: better than no retrieval, not distinguishable from random candidates"


@pytest.mark.parametrize(
    ("rows", "key", "answer"),
    [
        ([BETTER, NOTHING], "retrieval", "good: Yes: rag did better"),
        ([WORSE, NOTHING], "retrieval", "bad: No: bad did worse"),
        ([BETTER, among_random(NOTHING)], "retrieval", PARTLY),
        ([BETTER, among_random(BETTER)], "retrieval", "good: Yes: rag did better"),
        ([among_random(BETTER)], "retrieval", "good: Yes, compared with random candidates: rag"),
        ([BETTER, NOTHING], "llm", "good: Yes: rag did better"),
        (
            [BETTER, dataclasses.replace(NOTHING, left="rag", right="rule")],
            "llm",
            "good: Partly: rag did better than other, not distinguishable from rule",
        ),
        ([BETTER, WORSE], "llm", "open: Mixed: rag did better, bad worse"),
        ([NOTHING], "llm", "open: Not distinguishable"),
        ([], "llm", "open: Cannot be said: nothing to compare"),
        ([dataclasses.replace(NOTHING, p=None)], "llm", "open: Cannot be said: too few data"),
        ([BETTER], "benchmark", f"good: No: rag did better than {BENCHMARK}"),
        ([WORSE, NOTHING], "benchmark", "bad: Yes: than bad"),
        ([WORSE, dataclasses.replace(WORSE, left="worse")], "benchmark", "bad: Yes: than all 2 variants"),
        ([WORSE, BETTER], "benchmark", "open: Mixed: than bad, but not than rag"),
    ],
)
def test_each_question_has_a_short_answer_that_names_the_wrong_direction_too(
    rows: list[PairedDifference], key: str, answer: str
) -> None:
    assert answered(rows, key) == answer


def test_what_beats_random_candidates_only_has_not_shown_that_retrieval_helps(result: RunResult) -> None:
    retrieval = cards(result.findings)[0]
    assert retrieval.answer == "Partly: better than random candidates, not distinguishable from no retrieval"
    assert str(retrieval.lines[0]).startswith("rag-embedding − random (3 seeds): +3.10 points of hit rate")


def test_the_four_answers_are_four_lines_for_a_console(result: RunResult) -> None:
    told = answers_in_words(result.findings)
    assert [it.split("?")[0] + "?" for it in told] == [*QUESTIONS.values(), "How sure can one be?"]
    assert not any("\n" in it for it in told)
    assert f"Sure of 1 of {result.findings.answers.certainty.comparisons} differences" in told[3]


def test_the_ledger_of_trials_is_told_where_there_is_one(result: RunResult) -> None:
    trials = {
        "count": 57,
        "configurations": 9,
        "best": "rag-shape",
        "sharpe0": 0.93,
        "deflated_sharpe": {"rag-shape": 0.21},
        "needed_years": 12.3,
    }
    words = " ".join(map(str, cards(result.findings, trials)[3].lines))
    assert "57 configurations have been tried" in words
    assert "Sharpe ratio of 0.93" in words
    assert "the true one of rag-shape is above that: 21 % (deflated Sharpe ratio)" in words
    assert "it takes 12 years to be believed" in words
    alone = " ".join(map(str, cards(result.findings, {"count": 1, "configurations": 1})[3].lines))
    assert "1 configuration has been tried on these data" in alone
    assert "configurations" not in " ".join(map(str, cards(result.findings)[3].lines))


def test_the_power_of_the_run_is_told_in_years_and_points(result: RunResult) -> None:
    words = " ".join(map(str, cards(result.findings)[3].lines))
    assert re.search(r"About \d+ years of data would show a difference of 0\.5 Sharpe; this run has 1\.9", words)
    assert "points of hit rate; the largest seen is 3.1" in words


# --- the record ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the tear sheets out: they cost a second each and are tested below."""
    monkeypatch.setattr(ragsignal.report, "write_tearsheets", lambda *_: None)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_report(sample_run(60), tmp_path / name)
    for file in ("record.json", "equity.parquet", "orders.parquet", "signals.parquet", "index.html"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes(), file


def test_what_two_runs_of_one_recipe_may_change_stands_under_times_alone(result: RunResult) -> None:
    spared = dataclasses.replace(READ, model_calls=0, tokens=0, model_seconds=0.0)
    again = dataclasses.replace(with_variant(result, "rag-shape", cost=spared), times={"seconds": 12.0})
    first, second = record_of(result), record_of(again)
    assert first.pop("times") != (times_of_second := second.pop("times"))
    assert first == second
    seconds_when_made = {"signal_seconds": READ.model_seconds}
    assert times_of_second["variants"]["rag-shape"] == spared.record() | seconds_when_made


def test_the_record_on_disk_is_what_the_writer_returns_and_names_every_part_of_the_run(
    result: RunResult, tmp_path: Path, quick: None
) -> None:
    written = write_report(result, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8")) == written
    assert written["spec"] == result.spec.model_dump(mode="json", by_alias=True)
    assert written["notes"] == list(NOTES)
    assert [variant["name"] for variant in written["variants"]] == [variant.name for variant in result.variants]
    assert set(written["variants"][0]) == {"name", "kind", "recipe", *result.variants[0].metrics}


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_the_record_keeps_twelve_digits_of_a_number_and_none_of_nan(value: float) -> None:
    kept = record_of(dataclasses.replace(tiny(), times={"x": value}))["times"]["x"]
    if math.isfinite(value):
        assert kept == pytest.approx(value, rel=1e-11)
        assert record_of(dataclasses.replace(tiny(), times={"x": kept}))["times"]["x"] == kept
    else:
        assert kept is None


def test_numbers_that_differ_in_their_last_bit_only_give_the_same_record() -> None:
    one, other = (dataclasses.replace(tiny(), times={"x": value}) for value in (0.1 + 0.2, 0.3))
    assert json.dumps(record_of(one)) == json.dumps(record_of(other))
    zero = record_of(dataclasses.replace(tiny(), times={"x": np.float64(-0.0), "n": np.int64(3)}))["times"]
    assert json.dumps(zero["x"]) == "0.0"
    assert type(zero["n"]) is int


def test_a_value_that_json_cannot_hold_is_refused_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"record\.times\.x\[1\] is a set"):
        record_of(dataclasses.replace(tiny(), times={"x": [1, {2}]}))


def test_the_tables_hold_every_variant_and_keep_their_types_when_empty(result: RunResult, tmp_path: Path) -> None:
    write_tables(result, tmp_path)
    equity = pd.read_parquet(tmp_path / "equity.parquet")
    assert list(equity.columns) == [variant.name for variant in result.variants]
    assert (equity[BENCHMARK] == find(result, BENCHMARK).equity).all()
    signals = pd.read_parquet(tmp_path / "signals.parquet")
    assert list(signals["variant"].unique()) == list(LLM_VARIANTS)
    assert list(signals["hits"].iloc[-1]) == ["JPM/close/1", "JPM/rsi/2"]
    orders = pd.read_parquet(tmp_path / "orders.parquet").groupby("variant").size()
    assert orders["price-momentum"] == 120
    assert "reversal" not in orders

    silent = dataclasses.replace(result, variants=tuple(find(result, name) for name in ("reversal", BENCHMARK)))
    write_tables(silent, tmp_path)
    none = pd.read_parquet(tmp_path / "signals.parquet")
    assert len(none) == 0
    assert (none.dtypes[["date", "value"]] == signals.dtypes[["date", "value"]]).all()


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_says_what_the_run_was_and_every_note_and_verdict(result: RunResult, page: str) -> None:
    text = text_of(page)
    for words in (
        "2010-01-04 to 2011-12-02, 500 bars",
        "AAPL, AMZN, IBM, JPM (sample)",
        "5 bp commission + 5 bp slippage",
        "at the next bar's open",
        "Before you quote a figure",
        *NOTES,
        "rag-embedding − no-retrieval: −0.30 points of hit rate, 95 % interval −1.90 … +1.20: not distinguishable",
        "rag-embedding is better",
        *QUESTIONS.values(),
        "How sure can one be?",
        "ragsignal backtest backtests/sample.toml",
        result.digests["weights"],
        "1.9.78.123",
    ):
        assert words in text, words


def test_every_variant_has_its_row_its_curves_and_its_tear_sheet(result: RunResult, page: str) -> None:
    rows = re.findall(r"<tr.*?</tr>", page, flags=re.DOTALL)
    for variant in result.variants:
        (row,) = [row for row in rows if f'href="tearsheets/{variant.name}.html"' in row]
        assert ("benchmark" in text_of(row)) == (variant.name == BENCHMARK)
        assert f"<span>{variant.name}</span>" in page
    (never,) = [row for row in rows if "tearsheets/reversal.html" in row]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", never)
    assert len(cells) == 15
    assert cells.count(MISSING) == 7  # Sharpe and its error, Sortino, hit and base rate, judged, abstentions


def cells_of(section: str, name: str) -> list[str]:
    (row,) = [row for row in re.findall(r"<tr.*?</tr>", section, flags=re.DOTALL) if f">{name}<" in row]
    return re.findall(r"<td[^>]*>(.*?)</td>", row)


def section_of(page: str, place: str) -> str:
    (section,) = re.findall(rf'<section id="{place}">.*?</section>', page, flags=re.DOTALL)
    return section


def cost_section(page: str) -> str:
    return section_of(page, "spent")


def test_a_vote_has_a_hit_rate_and_no_model_cost(result: RunResult) -> None:
    page = render_page(with_variant(result, "rag-shape", kind="vote"))
    costs = cost_section(page)
    assert cells_of(section_of(page, "variants"), "rag-shape")[11:] == ["51.2", "1,940", "53.0", "20"]
    asked, found, reused, time, rate, *model = cells_of(costs, "rag-shape")
    assert (asked, found, time, rate) == ("2,000", "0", "320", "6.2")
    assert {reused, *model} == {MISSING}


def test_the_cost_table_tells_what_this_run_spent_and_how_its_reader_computes(result: RunResult) -> None:
    recipe = {"scorer": {"dtype": "bfloat16", "batch": "sorted by length, 32 at most"}}
    costs = cost_section(render_page(with_variant(result, "rag-shape", recipe=recipe)))
    assert cells_of(costs, "rag-shape") == [
        *("2,000", "0", "0", "320", "6.2"),
        *("2,000", "410,000", "312", "1,312"),
        *("410,000", "312"),
        *("bfloat16", "sorted by length, 32 at most"),
    ]
    assert BENCHMARK not in costs


def test_a_replay_changes_no_word_of_the_page_outside_the_cost_table(result: RunResult, page: str) -> None:
    def warm(variant: VariantResult) -> VariantResult:
        replayed = Cost(asked=2000, found=2000, seconds=0.07)
        return dataclasses.replace(variant, cost=replayed) if variant.has_signal else variant

    again = render_page(dataclasses.replace(result, variants=tuple(map(warm, result.variants)), times={"seconds": 3}))
    assert cost_section(again) != cost_section(page)
    assert again.replace(cost_section(again), "") == page.replace(cost_section(page), "")


def test_a_rate_that_took_no_time_does_not_exist() -> None:
    nothing = Cost().record()
    assert (nothing["signals_per_second"], nothing["tokens_per_second"]) == (None, None)
    some = Cost(model_calls=8, tokens=600, model_seconds=0.3, seconds=0.5, asked=10, found=1, reused=1).record()
    assert (some["signals_per_second"], some["tokens_per_second"]) == (20.0, 2000.0)


def test_a_hostile_spec_stays_text() -> None:
    result = sample_run(30, HOSTILE)
    renamed = result.closes.rename(columns={"AAPL": HOSTILE})
    by_symbol = {
        name: [dataclasses.replace(row, symbol=HOSTILE) for row in rows]
        for name, rows in result.findings.symbols.items()
    }
    rows = [dataclasses.replace(row, right=HOSTILE) for row in result.findings.comparisons]
    costs = result.findings.costs
    costs = dataclasses.replace(costs, variants=costs.variants | {HOSTILE: costs.variants[BENCHMARK]})
    parts = {"symbols": by_symbol, "comparisons": rows, "benchmark": HOSTILE, "costs": costs}
    findings = dataclasses.replace(result.findings, **parts)
    changes: dict[str, Any] = {"closes": renamed, "notes": (HOSTILE,), "versions": {HOSTILE: HOSTILE}}
    page = render_page(dataclasses.replace(result, findings=findings, **changes))
    assert "alert('x')" in text_of(page)
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert len(re.findall(r"</script>", page)) == 2


def test_the_page_needs_no_network(page: str) -> None:
    assert "http" not in page
    assert re.findall(r'src="?([^" >]*)', page) == ["assets/plotly.min.js"]
    links = set(re.findall(r'href="([^"]*)"', page))
    assert {it for it in links if it.endswith(".html")} == {
        f"tearsheets/{name}.html" for name in (*LLM_VARIANTS, "price-momentum", "reversal", BENCHMARK)
    }
    assert {it for it in links if not it.endswith(".html")} == {"data:,", "record.json", "#trades"}


def test_every_link_of_a_written_page_leads_to_a_file_that_is_there(tmp_path: Path, quick: None) -> None:
    write_report(tiny(), tmp_path / "run")
    page = (tmp_path / "run" / "index.html").read_text(encoding="utf-8")
    links = {html.unescape(it) for it in re.findall(r'href="([^"#]+)"', page)} - {"data:,"}
    tables = {path.name for path in (tmp_path / "run").iterdir() if path.suffix in (".csv", ".parquet", ".json")}
    assert tables <= links
    assert {"equity.parquet", "orders.parquet", "signals.parquet", "trades.csv", "record.json"} <= tables
    for link in links - {it for it in links if it.startswith("tearsheets/")}:
        assert (tmp_path / "run" / link).exists()


def test_a_run_that_the_store_answered_says_so(result: RunResult, page: str) -> None:
    sentence = "every answer of the model came from the signal store"
    assert sentence not in page
    cached = [dataclasses.replace(v, cost=dataclasses.replace(v.cost, model_calls=0)) for v in result.variants]
    assert sentence in render_page(dataclasses.replace(result, variants=tuple(cached)))


def test_refused_orders_are_told(page: str) -> None:
    assert "refused for want of cash: price-momentum 3." in text_of(page)


def test_a_run_without_signals_and_comparisons_has_a_page_too(result: RunResult) -> None:
    rules = [variant for variant in result.variants if not variant.has_signal]
    text = text_of(render_page(dataclasses.replace(result_of(rules), notes=())))
    assert "Every bar: signal, trade" in text
    assert "Before you quote a figure" not in text
    assert "Did retrieval help? Cannot be said: nothing to compare" in text


def degenerate(name: str) -> RunResult:
    """Runs with next to nothing to say."""
    days = days_of({"two bars": 2, "few days": 60}.get(name, 150))
    flat = equity_of(np.zeros(len(days) - 1), days)
    moving = equity_of(random_returns(3, len(days)), days)
    benchmark = variant_of(BENCHMARK, flat if name == "never traded" else moving, trades=0)
    if name == "the benchmark alone":
        return result_of([benchmark])
    variants = [
        variant_of(it, flat if name == "never traded" else moving, "llm", trades=0, seed=seed)
        for seed, it in enumerate(("rag-shape", "rag-random-1", "no-retrieval"))
    ]
    if name == "all abstained":
        silent = {"value": 0.0, "probability": 0.5, "abstained": "no candidate"}
        variants = [dataclasses.replace(it, signals=it.signals.assign(**silent)) for it in variants]
    if name == "one certain answer":
        variants = [dataclasses.replace(it, signals=it.signals.assign(value=0.2, probability=0.6)) for it in variants]
    return result_of([*variants, benchmark])


@pytest.mark.parametrize(
    "name", ["two bars", "never traded", "the benchmark alone", "all abstained", "one certain answer", "few days"]
)
def test_a_degenerate_run_has_a_page_that_claims_nothing(name: str) -> None:
    result = degenerate(name)
    page = render_page(result)
    text = text_of(page)
    assert 'class="claimed"' not in page
    assert "nan" not in text.lower().replace("finance", "")
    assert json.dumps(record_of(result), allow_nan=False)


def test_in_sample_is_stamped_on_the_title_and_on_the_first_answer(result: RunResult, page: str) -> None:
    assert "IN SAMPLE" not in page
    stamped = render_page(dataclasses.replace(result, notes=("IN SAMPLE: a reader was trained on these days", *NOTES)))
    assert "<h1>IN SAMPLE: sample</h1>" in stamped
    (first, *_) = re.findall(r"<article.*?</article>", stamped, flags=re.DOTALL)
    assert "IN SAMPLE" in first
    assert stamped.count('class="stamp"') == 1


def test_the_page_shows_before_it_tells(page: str) -> None:
    text = text_of(page)
    order = (
        "by the LLM or from buy-and-hold.",
        "Before you quote a figure",
        "Account and drawdown",
        "All variants",
        "By arithmetic",
        "By inference",
        "Every comparison",
        "Every bar: signal, trade and what was retrieved",
        "Trades, months and exposure",
        "Does it depend on the market?",
        "Repeat and check",
    )
    places = [text.index(it) for it in order]
    assert places == sorted(places)


def test_the_page_is_light(page: str) -> None:
    assert len(page.encode()) < 5e5


def test_every_section_of_the_findings_is_on_the_page(page: str) -> None:
    text = text_of(page)
    for heading in (
        "Does it depend on the market?",
        "What if trading cost more, or less?",
        "Is it right where it is sure?",
        "What would chance do?",
        "Symbol by symbol",
    ):
        assert heading in text
    assert "with 3 it cannot be below 0.25" in text


def unpacked(values: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(values), dtype="<f4")


def test_the_curves_start_at_100_and_fall_from_their_high(result: RunResult) -> None:
    drawn = curves(result)
    assert len(drawn["dates"]) == 500
    wealth, drawdowns = drawn["traces"][:9], drawn["traces"][9:]
    assert [trace["name"] for trace in wealth] == [trace["name"] for trace in drawdowns]
    equity = find(result, "rag-embedding").equity.to_numpy()
    np.testing.assert_allclose(unpacked(wealth[0]["y"]), 100 * equity / equity[0], rtol=1e-6)
    deepest = (equity / np.maximum.accumulate(equity) - 1).min()
    assert unpacked(drawdowns[0]["y"]).min() == pytest.approx(100 * deepest, rel=1e-6)


def test_plotly_knows_every_option_of_the_charts(result: RunResult) -> None:
    panel = curves(result)
    traces = [{**trace, "y": [1.0]} for trace in panel["traces"]]
    go.Figure({"data": traces, "layout": panel["layout"]})  # raises on an unknown name or value
    panels = finding_panels(result)
    go.Figure({"data": panels["shifted"]["traces"], "layout": panels["shifted"]["layout"]})
    for of_variant in panels["calibration"].values():
        for kind, layout in panels["layouts"].items():
            go.Figure({"data": of_variant[kind], "layout": layout})


def test_no_two_variants_look_alike_and_the_benchmark_is_dashed_grey() -> None:
    variants = [variant_of(f"v{n}", equity_of(np.zeros(9), days_of(10))) for n in range(20)]
    looks = styles(result_of([*variants, variant_of(BENCHMARK, equity_of(np.zeros(9), days_of(10)))]))
    assert len(set(looks.values())) == 21
    assert looks[BENCHMARK].dash == "dash"
    assert packed([]) == ""


# --- the folder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.usefixtures("quick")
def test_a_write_that_stops_half_way_leaves_no_run_and_latest_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    old, _ = NewRun(tmp_path).write(partial(write_report, tiny()))

    def stop(result: RunResult, folder: Path) -> None:
        assert (folder / "record.json").exists()  # half of the new one is written
        raise error

    monkeypatch.setattr(ragsignal.report, "write_page", stop)
    with pytest.raises(error):
        NewRun(tmp_path).write(partial(write_report, dataclasses.replace(tiny(), notes=("new",))))
    assert (tmp_path / "latest").resolve() == old
    assert sorted(tmp_path.iterdir()) == [old, tmp_path / "latest"]


@pytest.mark.usefixtures("quick")
def test_no_report_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for folder in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(ConfigError, match="is no empty folder, and nothing is overwritten"):
            write_report(tiny(), folder)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


# --- tear sheets --------------------------------------------------------------------------------------------------


def sheet_rows(path: Path) -> dict[str, list[str]]:
    """Rows of a quantstats page: metric -> figures, the benchmark's first."""
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", path.read_text(encoding="utf-8"))
    return {name.strip(): re.findall(r"<td>(.*?)</td>", cells) for name, cells in rows}


def window_of(path: Path) -> tuple[pd.Timestamp, pd.Timestamp]:
    title = re.search(r"<h1>.*?<dt>(.*?)</dt>", path.read_text(encoding="utf-8"))
    assert title is not None
    first, last = title[1].split(" - ")
    return pd.Timestamp(first), pd.Timestamp(last)


def figure(text: str) -> float:
    return float(text.replace(",", "").rstrip("%"))


def assert_is_the_whole_window(result: RunResult, name: str, path: Path) -> None:
    """The sheet's window, and both columns' Sharpe, return and volatility, are those of all bars."""
    days = pd.DatetimeIndex(result.closes.index).tz_localize(None)
    assert window_of(path) == (days[1], days[-1])
    rows = sheet_rows(path)
    for column, variant in enumerate([name] if name == BENCHMARK else [BENCHMARK, name]):
        returns = find(result, variant).returns
        total, deviation = np.prod(1 + returns.to_numpy()) - 1, float(returns.std())
        assert figure(rows["Cumulative Return"][column]) == pytest.approx(100 * total, abs=0.0051)
        assert figure(rows["Volatility (ann.)"][column]) == pytest.approx(100 * deviation * 252**0.5, abs=0.0051)
        if deviation > 0:
            sharpe = float(returns.mean()) / deviation * 252**0.5
            assert figure(rows["Sharpe"][column]) == pytest.approx(sharpe, abs=0.0051)


def hard_run() -> RunResult:
    """120 bars: every series on which quantstats is known to fail or to say something wrong."""
    days = days_of(120)
    warm_up = random_returns(1, 120)
    warm_up[:60] = 0.0
    one_loss = np.zeros(119)
    one_loss[70] = -0.02
    gains = np.abs(random_returns(2, 120))
    doubled = gains.copy()
    doubled[3] = 1.5
    benchmark = random_returns(3, 120)
    series = {
        "never-trades": np.zeros(119),
        "warm-up": warm_up,
        "one-loss": one_loss,
        "only-gains": gains,
        "taken-for-prices": doubled,
        "like-the-benchmark": benchmark,
        BENCHMARK: benchmark,
    }
    return result_of([variant_of(name, equity_of(returns, days)) for name, returns in series.items()])


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    """A whole report of the hard run, made where matplotlib's backend does not load and warnings are errors."""
    result, folder = hard_run(), tmp_path_factory.mktemp("hard") / "run"
    loaded = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "module://no.such.display")
        patch.setenv("PYTHONWARNINGS", "error")
        patch.setattr(tearsheet, "PROCESSES", 1)  # each imports quantstats, which takes as long as a sheet
        write_report(result, folder)
    assert not {"quantstats", "matplotlib.pyplot", "seaborn"} & (set(sys.modules) - loaded)
    return result, folder / "tearsheets"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["warm-up", "one-loss", "only-gains", "like-the-benchmark", BENCHMARK])
def test_every_tear_sheet_is_of_the_whole_window_for_variant_and_benchmark(
    hard: tuple[RunResult, Path], name: str
) -> None:
    result, sheets = hard
    assert_is_the_whole_window(result, name, sheets / f"{name}.html")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reason"),
    [("never-trades", "This variant never traded"), ("taken-for-prices", "quantstats would take this for prices")],
)
def test_where_quantstats_cannot_be_right_a_plain_page_gives_the_reason_and_the_figures(
    hard: tuple[RunResult, Path], name: str, reason: str
) -> None:
    result, sheets = hard
    text = text_of((sheets / f"{name}.html").read_text(encoding="utf-8"))
    assert reason in text
    assert (
        f"Return {percent(find(result, name).metrics['return'])} over the whole window".replace("\u202f", " ") in text
    )
    assert MISSING not in text


@pytest.mark.slow
def test_a_tear_sheet_gives_each_year_its_own_return_and_leaves_out_what_quantstats_draws_wrong(
    tmp_path: Path,
) -> None:
    days = days_of(300)
    result = result_of([variant_of(BENCHMARK, equity_of(random_returns(4, 300), days))])
    write_tables(result, tmp_path)
    tearsheet.write_tearsheets(result, tmp_path)
    path = tearsheet.sheet_path(tmp_path, BENCHMARK)
    returns = find(result, BENCHMARK).returns
    for year in (2010, 2011):
        total = 100 * (np.prod(1 + returns[days[1:].year == year].to_numpy()) - 1)
        assert figure(sheet_rows(path)[str(year)][1]) == pytest.approx(total, abs=0.0051)
    for chart in ("eoy_returns", "daily_returns", "returns_dist"):
        assert f'<div id="{chart}"></div>' in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_no_tear_sheet_asks_a_network_for_anything(hard: tuple[RunResult, Path]) -> None:
    for path in hard[1].iterdir():
        page = path.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|<link[^>]*href)="http', page), path.name
        assert 'href="../index.html"' in page
        assert "onload" not in page


@pytest.mark.slow
@pytest.mark.parametrize("n_bars", [2, 3, 40])
def test_a_short_run_in_a_time_zone_has_tear_sheets_of_its_whole_window(
    n_bars: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tearsheet, "PROCESSES", 1)  # each imports quantstats, which takes as long as a sheet
    days = days_of(n_bars).tz_localize("America/New_York")
    variants = [
        variant_of(name, equity_of(random_returns(seed, n_bars), days)) for seed, name in enumerate(("v", BENCHMARK))
    ]
    result = result_of(variants)
    write_tables(result, tmp_path)
    tearsheet.write_tearsheets(result, tmp_path)
    for variant in result.variants:
        path = tearsheet.sheet_path(tmp_path, variant.name)
        if n_bars == 2:
            assert "too few for any statistic" in path.read_text(encoding="utf-8")
        else:
            assert_is_the_whole_window(result, variant.name, path)


@pytest.mark.slow
def test_a_benchmark_that_never_trades_leaves_the_other_sheets_right(tmp_path: Path) -> None:
    days = days_of(60)
    flat = variant_of(BENCHMARK, equity_of(np.zeros(59), days), trades=0)
    result = result_of([variant_of("v", equity_of(random_returns(5, 60), days)), flat])
    write_tables(result, tmp_path)
    tearsheet.write_tearsheets(result, tmp_path)
    assert_is_the_whole_window(result, "v", tmp_path / "tearsheets" / "v.html")
    assert "never traded" in (tmp_path / "tearsheets" / f"{BENCHMARK}.html").read_text(encoding="utf-8")


def test_a_lost_account_and_a_constant_return_are_no_case_for_quantstats() -> None:
    days = days_of(5)
    fine = pd.Series([0.01, -0.01, 0.02, 0.0, 0.01], index=days)
    assert tearsheet.obstacle(fine, fine) is None
    assert "lost everything" in str(tearsheet.obstacle(fine.where(fine > 0), fine))
    assert "lost everything" in str(tearsheet.obstacle(fine - 1.05 * (fine == 0), fine))  # below 0, and trading on
    assert "Every return is the same" in str(tearsheet.obstacle(fine * 0 + 0.01, fine))


def test_the_factor_of_annual_figures_stands_in_the_record_and_at_the_head_of_the_page() -> None:
    assert record_of(tiny())["bars_a_year"] == 252
    assert facts(tiny())["Annualised by"].startswith("252 bars")


def test_the_processor_stands_beside_the_table_with_what_another_one_would_move() -> None:
    about = {"machine": {"processor": "Some CPU", "instructions": "AVX2"}}
    text = render_page(dataclasses.replace(tiny(), times=tiny().times | about))
    assert "Made on Some CPU, AVX2. Equal on processors of its kind; on another one its text models in bfloat16" in text
    rules = tuple(it for it in tiny().variants if not it.is_model)
    assert made_on(dataclasses.replace(tiny(), variants=rules, times=about)).startswith("Made on Some CPU, AVX2; equal")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ImportError('quantstats 9 is broken')", "ImportError: quantstats 9 is broken"),
        ("import json; print(json.dumps({'rag-embedding': 'ValueError: odd'}))", "ValueError: odd"),
    ],
)
def test_a_failure_inside_quantstats_costs_its_sheet_alone_and_is_told(
    program: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "child.py").write_text(program)
    monkeypatch.setattr(tearsheet, "_CHILD", tmp_path / "child.py")
    one = dataclasses.replace(tiny(), variants=tiny().variants[:1] + tiny().variants[-1:])
    with pytest.warns(RuntimeWarning, match=message):
        tearsheet.write_tearsheets(one, tmp_path)
    assert message in text_of((tmp_path / "tearsheets" / "rag-embedding.html").read_text(encoding="utf-8"))


def test_tear_sheets_are_annualised_as_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import json, pathlib; job = json.load(__import__('sys').stdin); "
    program += "pathlib.Path(job['folder'], 'job').write_text(str(job['bars_a_year'])); print({})"
    (tmp_path / "child.py").write_text(program)
    monkeypatch.setattr(tearsheet, "_CHILD", tmp_path / "child.py")
    weeks = pd.date_range("2015-01-02", periods=60, freq="W-FRI")
    held = variant_of(BENCHMARK, equity_of(random_returns(5, 60), weeks), trades=0)
    tearsheet.write_tearsheets(result_of([held]), tmp_path)
    assert (tmp_path / "job").read_text(encoding="utf-8") == "52"
