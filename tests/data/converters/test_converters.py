"""Decisions of other projects: what their files hold comes out, with its day or moment; what is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import (
    Converted,
    KronosReading,
    check_out,
    read_ai_hedge_fund,
    read_freqai,
    read_kronos,
    read_tradingagents,
)
from ragsignal.data.converters.ratings import STEPS, rating_of
from ragsignal.errors import ConfigError, DataError, RagSignalError
from tests.data.converters.made import (
    cycle,
    log_path,
    new_log,
    old_log,
    order,
    paths,
    predictions,
    report,
    state,
    write_json,
    write_paths,
    write_predictions,
)

Table = list[tuple[Any, ...]]


def rows(converted: Converted) -> Table:
    return [tuple(row) for row in converted.decisions.itertuples(index=False)]


# ------------------------------------------------------------------------------------------------ TradingAgents


def test_five_steps_are_actions_by_the_day_that_was_analysed(tmp_path: Path) -> None:
    for number, step in enumerate(STEPS):
        new_log(tmp_path, "NVDA", f"2024-05-1{number}", f"**Rating**: {step.title()}\n\nText with a Sell in it.")
    converted = read_tradingagents(tmp_path)
    assert (converted.time, converted.value) == ("date", "action")
    assert rows(converted) == [("NVDA", f"2024-05-1{n}", step) for n, step in enumerate(STEPS)]


def test_a_log_of_all_days_so_far_counts_each_day_once(tmp_path: Path) -> None:
    first = {"2024-05-10": state("NVDA", "2024-05-10", "FINAL TRANSACTION PROPOSAL: **SELL**")}
    other = {"2024-05-09": state("AAPL", "2024-05-09", "FINAL TRANSACTION PROPOSAL: **HOLD**")}  # of another ticker
    second = {"2024-05-13": state("NVDA", "2024-05-13", "I recommend a **Buy**.")}
    old_log(tmp_path, "NVDA", "2024-05-10", first)
    old_log(tmp_path, "NVDA", "2024-05-13", first | other | second)
    converted = read_tradingagents(tmp_path)
    assert rows(converted) == [
        ("AAPL", "2024-05-09", "hold"),
        ("NVDA", "2024-05-10", "sell"),
        ("NVDA", "2024-05-13", "buy"),
    ]
    assert converted.repeats == 1


def test_reports_of_the_command_line_are_read_and_may_repeat_a_log(tmp_path: Path) -> None:
    argued = "### Neutral Analyst Analysis\n**Rating**: Buy\n\n### Portfolio Manager Decision\n"
    report(tmp_path, "AAPL", "2024-05-10", f"{argued}FINAL TRANSACTION PROPOSAL: **SELL**\n")
    report(tmp_path, "NVDA", "2024-05-10", "### Portfolio Manager\n**Rating**: Buy\n")
    new_log(tmp_path, "NVDA", "2024-05-10")
    converted = read_tradingagents(tmp_path)
    assert rows(converted) == [("AAPL", "2024-05-10", "sell"), ("NVDA", "2024-05-10", "buy")]
    assert converted.repeats == 1


def test_a_decision_rated_review_is_left_out_by_name(tmp_path: Path) -> None:
    new_log(tmp_path, "NVDA", "2024-05-10")
    checked = new_log(tmp_path, "NVDA", "2024-05-13", "**Rating**: Buy\n\n**Rating after claim check**: REVIEW\n")
    converted = read_tradingagents(tmp_path)
    assert rows(converted) == [("NVDA", "2024-05-10", "buy")]
    (left,) = converted.left_out
    assert (left.symbol, left.when, left.reason, left.place) == ("NVDA", "2024-05-13", "rated REVIEW", str(checked))


@given(st.sampled_from(STEPS), st.sampled_from(STEPS))
def test_a_label_counts_before_every_word_of_the_argument(step: str, argued: str) -> None:
    text = f"The bulls say **{argued.upper()}**; a {argued} would be early.\nRating Scale: Buy, Hold, Sell\n"
    assert rating_of(f"{text}**Rating**: {step.title()}\n") == step
    assert rating_of(f"{text}FINAL TRANSACTION PROPOSAL: **{step.upper()}**\n") == step
    assert rating_of(f"{text}### Recommendation: {step.title()}, in steps\n") == step


@pytest.mark.parametrize(
    "mentioned",
    [
        "**Investment Thesis**: Our prior rating: {} came too early.",
        "**Investment Thesis**: last month's rating - {} - was wrong",
        "- Analyst consensus rating: {}",
        "**Rating rationale**: {} would come too early.",
    ],
)
@given(st.sampled_from(STEPS), st.sampled_from(STEPS))
def test_a_rating_that_is_mentioned_is_not_the_decision(mentioned: str, step: str, other: str) -> None:
    decided = f"**Rating**: {step.title()}"
    assert rating_of(f"{decided} (previous rating: {other.title()})") == step
    assert rating_of(f"{decided}\n\n{mentioned.format(other.title())}\n") == step
    assert rating_of(f"{mentioned.format(other.title())}\n1. **Final Rating:** **{step.upper()}**\n") == step
    assert rating_of(f"Rating: {other}\n**Rating after claim check**: {step.title()} (as rated)") == step


def test_what_a_model_thought_aloud_is_not_the_decision() -> None:
    assert rating_of("<think>\nRating: Sell?\n</think>\nI settle on **BUY**.") == "buy"
    assert rating_of("**Rating**: Buy\n<think>\nRating: Sell\n</think>") == "buy"


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    log = new_log(tmp_path / "agents", "NVDA", "2024-05-10")
    log.write_bytes(b"\xef\xbb\xbf" + log.read_bytes())
    assert rows(read_tradingagents(tmp_path / "agents")) == [("NVDA", "2024-05-10", "buy")]
    run = '\ufeff{"date": "2025-03-03", "decisions": {"AAPL": {"action": "short"}}}\n'
    (tmp_path / "run.jsonl").write_text(run, encoding="utf-8")
    assert rows(read_ai_hedge_fund(tmp_path / "run.jsonl")) == [("AAPL", "2025-03-03", "short")]


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_json_without_an_end_to_its_depth_is_refused_in_a_line(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"run.{ending}"
    file.write_text("[" * 100_000, encoding="utf-8")
    refused(lambda: read_ai_hedge_fund(file), str(file), "delete the")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("**Rating**: Strong", "unknown rating 'strong'"),
        ("**Rating**: Hold/Underweight", "several ratings: hold, underweight"),
        ("Rating: **Buy** or **Hold**", "several ratings: buy, hold"),
        ("FINAL TRANSACTION PROPOSAL: **BUY/HOLD/SELL**", "several ratings: buy, hold"),
        ("The old rating: Buy. And\nour new rating: Sell.", "several ratings: buy, sell"),
        ("Some would buy, and I might sell.", "no rating"),
        ("A **BUY** for the bulls, a **SELL** for the bears.", "several ratings: buy, sell"),
        ("   ", "is empty"),
    ],
)
def test_a_text_without_one_rating_is_an_error_with_its_file(tmp_path: Path, said: str, words: str) -> None:
    file = new_log(tmp_path, "NVDA", "2024-05-10", said)
    assert words in refused(lambda: read_tradingagents(tmp_path), str(file))


def refused(read: Callable[[], object], *names: str) -> str:
    """The one line with which a reader refuses, which names all of ``names`` and a repair."""
    with pytest.raises(RagSignalError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    assert all(name in message for name in names), message
    assert re.search(r"; \S|expected|: python -c|--", message), message
    return message


def _nothing(_: Path) -> None:
    """An empty folder."""


def _two_runs(root: Path) -> None:
    new_log(root / "backtest" / "a", "NVDA", "2024-05-10")
    new_log(root / "backtest" / "b", "NVDA", "2024-05-10")


def _contradiction(root: Path) -> None:
    new_log(root, "NVDA", "2024-05-10")
    report(root, "NVDA", "2024-05-10", "**Rating**: Hold")


def _cut_off(root: Path) -> None:
    new_log(root, "NVDA", "2024-05-10")
    log_path(root, "NVDA", "2024-05-13").write_text('{"company_of_interest": "NVDA",\n "trade', encoding="utf-8")


def _unfinished(root: Path) -> None:
    report(root, "NVDA", "2024-05-10", "**Rating**: Hold")
    report(root, "NVDA", "2024-05-13", "**Rating**: Hold").unlink()


def _still_argued(root: Path) -> None:
    report(root, "NVDA", "2024-05-10", "### Neutral Analyst Analysis\nI would settle on a\nRecommendation: Buy\n")


def _not_utf8(root: Path) -> None:
    report(root, "NVDA", "2024-05-10", "").write_bytes("**Rating**: Buy – now".encode("cp1252"))


def _no_decision(root: Path) -> None:
    new_log(root, "NVDA", "2024-05-10")
    log_path(root, "AAPL", "2024-05-10").parent.mkdir(parents=True)


def _renamed(root: Path) -> None:
    new_log(root, "NVDA", "2024-05-10").rename(log_path(root, "NVDA", "2024-05-11"))


TRADING_AGENTS_WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "an empty folder": (_nothing, ("no decision in it", "give the folder above")),
    "two runs of one day": (_two_runs, ("NVDA has 2 decisions of 2024-05-10", "backtest/a", "backtest/b")),
    "a log and a report that differ": (_contradiction, ("differ: buy in", "hold in", "final_trade_decision.md")),
    "a log that was cut off": (_cut_off, ("full_states_log_2024-05-13.json: no JSON at line 2",)),
    "a log of something else": (
        lambda root: write_json(log_path(root, "NVDA", "2024-05-10"), {"trades": []}),
        ("no state of TradingAgents", "final_trade_decision"),
    ),
    "a log of another ticker": (
        lambda root: write_json(log_path(root, "NVDA", "2024-05-10"), state("AMD", "2024-05-10", "Rating: Buy")),
        ("is of AMD", "folder of NVDA"),
    ),
    "a log of another day": (_renamed, ("trade_date is 2024-05-10, its name says 2024-05-11",)),
    "a day that is none": (lambda root: new_log(root, "NVDA", "2024-5-1"), ("'2024-5-1' is no day", "YYYY-MM-DD")),
    "a run that did not end": (_unfinished, ("the run of NVDA on 2024-05-13 did not end",)),
    "a ticker without any decision": (_no_decision, ("AAPL has no decision",)),
    "a run that was cut off while it argued": (_still_argued, ("argument of the Neutral Analyst, and no decision",)),
    "a report of an old Windows": (_not_utf8, ("final_trade_decision.md: cannot be read", "UTF-8")),
    "nothing but REVIEW": (
        lambda root: new_log(root, "NVDA", "2024-05-10", "Rating: REVIEW"),
        ("NVDA has no decision at all: rated REVIEW",),
    ),
}


@pytest.mark.parametrize("name", TRADING_AGENTS_WRONG)
def test_a_wrong_results_folder_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    make, words = TRADING_AGENTS_WRONG[name]
    make(tmp_path)
    refused(lambda: read_tradingagents(tmp_path), *words)


def test_a_file_where_a_folder_was_expected(tmp_path: Path) -> None:
    file = new_log(tmp_path, "NVDA", "2024-05-10")
    refused(lambda: read_tradingagents(file), str(file), "a file; expected a results folder")
    refused(lambda: read_tradingagents(tmp_path / "nowhere"), "no such file or folder", "check the path")


# ------------------------------------------------------------------------------------------------ ai-hedge-fund


def test_cycles_are_weights_after_limits_of_risk(tmp_path: Path) -> None:
    skipped = {"universe": ["AAA", "BBB", "CCC"], "skipped": [{"ticker": "CCC", "reason": "no close"}]}
    write_json(tmp_path / "desk-run-1.json", cycle("2025-03-03", {"AAA": 0.4, "BBB": -0.1}, **skipped))
    write_json(tmp_path / "desk-run-2.json", cycle("2025-03-04", {"AAA": 0.0, "BBB": 0.2, "CCC": 0.1}))
    converted = read_ai_hedge_fund(tmp_path)
    assert (converted.time, converted.value) == ("date", "weight")
    assert rows(converted)[:3] == [("AAA", "2025-03-03", 0.4), ("BBB", "2025-03-03", -0.1), ("AAA", "2025-03-04", 0.0)]
    assert converted.reasons == {"no price: skipped by the fund": 1}


def test_of_a_cycle_that_was_looked_at_again_the_first_look_counts(tmp_path: Path) -> None:
    first = cycle("2025-03-07", {"AAA": 0.4})
    again = cycle("2025-03-07", {"AAA": 0.9}, original_assessment=first)  # assessed on Sunday, filed under Friday
    pending = {
        "fund": "desk",
        "as_of": "2025-03-10",
        "proposal": cycle("2025-03-10", {"AAA": 0.1}),
        "reason": "none yet",
    }
    file = write_json(tmp_path / "backtest.json", {"fund": "desk", "records": [again], "pending": [pending]})
    assert rows(read_ai_hedge_fund(file)) == [("AAA", "2025-03-07", 0.4), ("AAA", "2025-03-10", 0.1)]


def test_sessions_of_a_paper_fund_repeat_what_they_execute(tmp_path: Path) -> None:
    decided = cycle("2025-03-03", {"AAA": 0.4})
    write_json(tmp_path / "2025-03-03.json", {"session": "2025-03-03", "decision": decided, "executed": None})
    executed = {**decided, "original_assessment": decided}
    write_json(tmp_path / "2025-03-04.json", {"session": "2025-03-04", "decision": None, "executed": executed})
    converted = read_ai_hedge_fund(tmp_path)
    assert rows(converted) == [("AAA", "2025-03-03", 0.4)]
    assert converted.repeats == 1


def test_orders_of_the_first_version_are_actions(tmp_path: Path) -> None:
    actions = {"A": "buy", "B": "sell", "C": "short", "D": "cover", "E": "hold"}
    day = {"date": "2025-03-03", "decisions": {symbol: order(action) for symbol, action in actions.items()}}
    unread = order("hold", 0.0, "Error in portfolio management, defaulting to hold")
    write_json(tmp_path / "days.json", {"results": [day, {"date": "2025-03-04", "decisions": {"A": unread}}]})
    write_json(tmp_path / "2025-03-05.json", {"decisions": {"A": order("sell", 55)}, "analyst_signals": {}})
    converted = read_ai_hedge_fund(tmp_path)
    assert converted.value == "action"
    assert [row[2] for row in rows(converted)] == ["buy", "close", "short", "cover", "hold", "close"]
    assert converted.reasons == {"held by default: the model's answer was not read": 1}


_DECIDED = {"A": order("buy")}
FUND_WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "an empty folder": ({}, ("no *.json", "give the folder")),
    "a list of nothing": ({"a.json": []}, ("no decision in it",)),
    "something else": ({"a.json": {"halted": False}}, ("a.json: has 'halted'", "as_of, final_weights")),
    "a day twice": (
        {"a.json": cycle("2025-03-03", {"A": 0.1}), "b.json": cycle("2025-03-03", {"A": 0.1})},
        ("A has 2 decisions of 2025-03-03", "a.json", "b.json"),
    ),
    "two funds": (
        {"a.json": cycle("2025-03-03", {"A": 0.1}), "b.json": cycle("2025-03-04", {"A": 0.1}, fund="other")},
        ("two funds: desk", "other"),
    ),
    "both versions": (
        {"a.json": cycle("2025-03-03", {"A": 0.1}), "2025-03-04.json": {"decisions": _DECIDED}},
        ("weights in", "orders in", "a folder each"),
    ),
    "a name without a weight": (
        {"a.json": cycle("2025-03-03", {"A": 0.1}, universe=["A", "B"])},
        ("B is of the universe, and has no weight",),
    ),
    "a weight that is no number": ({"a.json": cycle("2025-03-03", {"A": "much"})}, ("final_weights.A", "'much'")),
    "a weight without end": ({"a.json": cycle("2025-03-03", {"A": float("inf")})}, ("the weight of A", "from -1 to 1")),
    "no day": ({"a.json": {"decisions": _DECIDED}}, ('add "date"', "name the file after it")),
    "an answer that was not read": ({"2025-03-03.json": {"decisions": None}}, ("no decisions of 2025-03-03",)),
    "a name that was left out": (
        {"a.json": {"date": "2025-03-03", "decisions": _DECIDED, "executed_trades": {"A": 1, "B": 0}}},
        ("B has no decision on 2025-03-03",),
    ),
    "a cycle of something else": ({"a.json": {"as_of": "2025-03-03", "final_weights": [0.1]}}, ("no 'universe'",)),
    "an unknown action": (
        {"2025-03-03.json": {"decisions": {"A": order("accumulate")}}},
        ("decisions.A", "unknown action 'accumulate'", "buy, sell, short, cover, hold"),
    ),
    "a weight of more than the account": (
        {"a.json": cycle("2025-03-03", {"A": 1.5})},
        ("the weight of A on 2025-03-03 is 1.5", "from -1 to 1"),
    ),
}


@pytest.mark.parametrize("name", FUND_WRONG)
def test_wrong_files_of_a_fund_are_refused_in_a_line(tmp_path: Path, name: str) -> None:
    files, words = FUND_WRONG[name]
    for file, data in files.items():
        write_json(tmp_path / file, data)
    refused(lambda: read_ai_hedge_fund(tmp_path), *words)


# ------------------------------------------------------------------------------------------------ FreqAI


def test_a_candle_is_known_when_it_ends(tmp_path: Path) -> None:
    write_predictions(tmp_path, predictions())
    converted = read_freqai(tmp_path)
    assert (converted.time, converted.value) == ("decided_at", "score")
    assert rows(converted)[0] == ("BTC", "2024-05-02T00:00:00Z", -0.5)  # -1 % over 2 %
    assert rows(converted)[-1] == ("BTC", "2024-05-05T00:00:00Z", 1.0)
    write_predictions(tmp_path, predictions(step="4h"))
    assert rows(read_freqai(tmp_path))[0][1] == "2024-05-01T04:00:00Z"


def test_what_freqai_does_not_trust_is_left_out_by_its_flag(tmp_path: Path) -> None:
    write_predictions(tmp_path, predictions(do_predict=[1, 0, 2, 1]))
    converted = read_freqai(tmp_path / "backtesting_predictions")
    assert [row[1][:10] for row in rows(converted)] == ["2024-05-02", "2024-05-05"]
    assert converted.reasons == {"do_predict = 0": 1, "do_predict = 2": 1}
    assert [it.place.rsplit(", ")[1] for it in converted.left_out] == ["row 1", "row 2"]


def test_a_classifier_gives_the_probability_of_a_rise(tmp_path: Path) -> None:
    chances = {"up": [0.7, 0.2, 0.5, 0.9], "down": [0.3, 0.8, 0.5, 0.1]}
    table = predictions(**chances).drop(columns=["&-s_close", "&-s_close_mean", "&-s_close_std"])
    table.insert(1, "&s-up_or_down", ["up", "down", "up", "up"])
    file = write_predictions(tmp_path, table)
    converted = read_freqai(file)
    assert (converted.value, [row[2] for row in rows(converted)]) == ("probability", chances["up"])
    other = write_predictions(tmp_path / "other", table.rename(columns={"up": "bull", "down": "bear"}))
    refused(lambda: read_freqai(other), "no probability of a class 'up'", "--rise")
    assert rows(read_freqai(other, rise="bull")) == rows(converted)


def test_a_pair_of_a_live_run_that_was_written_as_feather(tmp_path: Path) -> None:
    predictions().rename(columns={"date": "date_pred"}).to_feather(tmp_path / "BTC.feather")
    assert rows(read_freqai(tmp_path))[0] == ("BTC", "2024-05-02T00:00:00Z", -0.5)


def test_coins_have_the_names_of_your_prices(tmp_path: Path) -> None:
    write_predictions(tmp_path, predictions())
    write_predictions(tmp_path, predictions(), coin="eth")
    converted = read_freqai(tmp_path).renamed({"BTC": "ZZ-USD"})
    assert converted.symbols == ["ETH", "ZZ-USD"]
    refused(lambda: converted.renamed({"BTC": "X"}), "--rename BTC=", "there are ETH, ZZ-USD")
    refused(lambda: converted.renamed({"ETH": "ZZ-USD"}), "two symbols would be 'ZZ-USD'")


def _pickled(root: Path) -> None:
    (root / "historic_predictions.pkl").write_bytes(b"\x80\x05cposix\nsystem\n")


def _two_timeframes(root: Path) -> None:
    write_predictions(root, predictions(step="4h"))
    write_predictions(root, predictions(step="1D"), coin="eth")  # a multiple of the other, and known later


def _twice(root: Path) -> None:
    write_predictions(root, predictions())
    write_predictions(root, predictions(), stamp=1714521600 - 86_400)


FREQAI_WRONG: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "an empty folder": (_nothing, ("no *.feather in it", "cb_COIN_STAMP_prediction.feather")),
    "a pickle": (_pickled, ("historic_predictions.pkl: a pickle", "to_feather")),
    "no feather inside": (
        lambda root: (root / "cb_btc_1714521600_prediction.feather").write_text("date,do_predict"),
        ("cannot be read",),
    ),
    "HDF": (lambda root: (root / "x.h5").write_bytes(b"\x89HDF"), ("HDF files are of freqtrade of 2022",)),
    "no do_predict": (
        lambda root: write_predictions(root, predictions().drop(columns="do_predict")),
        ("'do_predict'",),
    ),
    "no date": (lambda root: write_predictions(root, predictions().drop(columns="date")), ("no column 'date'",)),
    "no target": (lambda root: write_predictions(root, predictions()[["date", "do_predict"]]), ("no column with '&'",)),
    "two targets": (
        lambda root: write_predictions(root, predictions(**{"&-s_high": 0.1})),
        ("several targets: &-s_close, &-s_high", "--target '&-s_close'"),
    ),
    "no zone": (
        lambda root: write_predictions(root, predictions().assign(date=pd.date_range("2024-05-01", periods=4))),
        ("date has no time zone", "expected UTC"),
    ),
    "candles twice": (_twice, ("BTC has 2 decisions of 2024-05-02T00:00:00Z", "row 0")),
    "candles of the training": (
        lambda root: write_predictions(root, predictions(), stamp=1714694400),
        ("2 candles open before 2024-05-03T00:00:00Z", "the model has seen them"),
    ),
    "one candle": (lambda root: write_predictions(root, predictions(1)), ("how long it is cannot be told",)),
    "irregular candles": (
        lambda root: write_predictions(root, predictions().assign(date=_irregular())),
        ("not spaced alike",),
    ),
    "two timeframes": (_two_timeframes, ("a coin has longer candles", "each timeframe apart")),
    "no spread": (
        lambda root: write_predictions(root, predictions(**{"&-s_close_std": 0.0})),
        ("&-s_close_std is not above 0",),
    ),
    "a gap that is trusted": (
        lambda root: write_predictions(root, predictions(**{"&-s_close": [0.1, None, 0.1, 0.1]})),
        ("row 1", "is nan", "from -1 to 1"),
    ),
    "nothing to be trusted": (
        lambda root: write_predictions(root, predictions(do_predict=0)),
        ("BTC has no decision at all: do_predict = 0",),
    ),
}


def _irregular() -> pd.DatetimeIndex:
    return pd.DatetimeIndex(["2024-05-01", "2024-05-02", "2024-05-03 07:00", "2024-05-04"], tz="UTC")


@pytest.mark.parametrize("name", FREQAI_WRONG)
def test_wrong_predictions_of_freqai_are_refused_in_a_line(tmp_path: Path, name: str) -> None:
    make, words = FREQAI_WRONG[name]
    make(tmp_path)
    refused(lambda: read_freqai(tmp_path), *words)


# ------------------------------------------------------------------------------------------------ Kronos


def test_several_paths_are_a_probability(tmp_path: Path) -> None:
    file = write_paths(tmp_path / "k.csv", paths(closes=(102.0, 101.0, 99.0, 100.0)))
    converted = read_kronos(file)
    assert (converted.time, converted.value) == ("date", "probability")
    assert rows(converted) == [("AAA", "2024-05-10", 0.625)]


def test_one_path_is_a_score_of_its_return(tmp_path: Path) -> None:
    one = paths(closes=(101.0,)).drop(columns="sample")
    two = one.assign(timestamps="2024-05-12", close=90.0)
    file = write_paths(tmp_path / "k.csv", one, two)
    assert rows(read_kronos(file)) == [("AAA", "2024-05-10", pytest.approx(0.5))]
    assert rows(read_kronos(file, KronosReading(full_return=0.1)))[0][2] == pytest.approx(0.1)
    assert rows(read_kronos(file, KronosReading(horizon=2)))[0][2] == -1.0


def test_a_file_a_symbol_and_parquet(tmp_path: Path) -> None:
    table = paths(closes=(101.0,)).drop(columns=["sample", "symbol"])
    write_paths(tmp_path / "NA.csv", table)  # a ticker that pandas would take for a gap
    table.assign(as_of=pd.to_datetime(table["as_of"])).to_parquet(tmp_path / "BBB.parquet")
    assert read_kronos(tmp_path).symbols == ["BBB", "NA"]


def test_a_stamp_with_a_time_opens_a_bar_unless_it_is_said_to_end_it(tmp_path: Path) -> None:
    times = {"as_of": "2024-05-10T13:00:00Z", "timestamps": "2024-05-10T14:00:00Z"}
    file = write_paths(tmp_path / "k.csv", paths(closes=(101.0,)).assign(**times))
    converted = read_kronos(file)
    assert (converted.time, rows(converted)[0][1]) == ("decided_at", "2024-05-10T14:00:00Z")
    assert rows(read_kronos(file, KronosReading(stamps="close")))[0][1] == "2024-05-10T13:00:00Z"


def _unmarked(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["as_of", "last_close"])  # as Kronos' own example writes it


KRONOS_WRONG: dict[str, tuple[list[pd.DataFrame], tuple[str, ...]]] = {
    "what Kronos' example writes": ([_unmarked(paths())], ("no column 'as_of', or several", "what it was made on")),
    "a prediction of the past": ([paths(timestamps="2024-05-10")], ("line 2", "not later than as_of")),
    "no zone": ([paths(timestamps="2024-05-11 14:00")], ("line 2", "'2024-05-11 14:00'", "add the zone")),
    "mixed zones": (
        [paths(as_of="2024-05-10T13:00:00Z", timestamps=["2024-05-10T14:00:00Z", "2024-05-10T14:00:00+02:00"])],
        ("several time zones", "UTC"),
    ),
    "days and times": (
        [paths(timestamps=["2024-05-11", "2024-05-11T14:00:00Z"])],
        ("line 3", "has a zone, other rows have none"),
    ),
    "one day, the other time": ([paths(timestamps="2024-05-11T14:00:00Z")], ("written unlike",)),
    "a bar twice": ([paths(sample=0)], ("line 3", "is there twice", "'sample'")),
    "a path that is missing": (
        [paths(), paths(as_of="2024-05-13", closes=(101.0,))],
        ("AAA as of 2024-05-13", "fewer paths than the 2 of others"),
    ),
    "no symbol": ([paths(symbol=["AAA", ""])], ("line 3", "no symbol")),
    "no price": ([paths(closes=(101.0, -3.0))], ("line 3", "close is no price above 0")),
    "two last closes": ([paths(last_close=[100.0, 101.0])], ("last_close differs",)),
}


@pytest.mark.parametrize("name", KRONOS_WRONG)
def test_wrong_predictions_of_kronos_are_refused_in_a_line(tmp_path: Path, name: str) -> None:
    tables, words = KRONOS_WRONG[name]
    file = write_paths(tmp_path / "k.csv", *tables)
    refused(lambda: read_kronos(file), str(file), *words)


def test_a_horizon_that_was_not_predicted(tmp_path: Path) -> None:
    file = write_paths(tmp_path / "k.csv", paths())
    refused(lambda: read_kronos(file, KronosReading(horizon=3)), "fewer than 3 predicted bars", "--horizon")
    with pytest.raises(ConfigError, match="--horizon 0"):
        KronosReading(horizon=0)
    with pytest.raises(ConfigError, match="--full-return 0"):
        KronosReading(full_return=0.0)


# ------------------------------------------------------------------------------------------------ all of them


FIELDS = (
    "as_of",
    "final_weights",
    "universe",
    "skipped",
    "records",
    "pending",
    "session",
    "decision",
    "results",
    "decisions",
    "action",
    "date",
    "executed_trades",
    "final_trade_decision",
    "2024-05-10",
    "AAA",
)
ANY_JSON = st.recursive(
    st.none() | st.integers(-2, 2) | st.floats() | st.sampled_from(["2024-05-10", "buy", "Rating: Buy"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(ANY_JSON)
def test_any_json_is_read_or_refused_in_a_line(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    file = write_json(log_path(folder, "AAA", "2024-05-10"), data)
    for answer in (_read_or_refused(read_ai_hedge_fund, file), _read_or_refused(read_tradingagents, folder)):
        assert "\n" not in answer if isinstance(answer, str) else len(answer.decisions)


def _read_or_refused(read: Callable[[Path], Converted], path: Path) -> Converted | str:
    try:
        return read(path)
    except RagSignalError as error:
        return str(error)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_what_was_read(tmp_path: Path, ending: str) -> None:
    new_log(tmp_path / "results", "NVDA", "2024-05-10")
    converted = read_tradingagents(tmp_path / "results")
    out = tmp_path / "new" / f"decisions.{ending}"
    converted.write(out)
    again = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    pd.testing.assert_frame_equal(again, converted.decisions)


def test_where_nothing_may_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in .csv or .parquet"):
        check_out(tmp_path / "decisions.xlsx", tmp_path / "results")
    for out in (tmp_path / "results" / "a.csv", tmp_path / "results" / "deep" / "a.csv"):
        with pytest.raises(ConfigError, match="which is read"):
            check_out(out, tmp_path / "results")
    with pytest.raises(ConfigError, match="which is read"):
        check_out(tmp_path / "k.csv", tmp_path / "k.csv")
    check_out(tmp_path / "results.csv", tmp_path / "results")


@given(st.lists(st.sampled_from(["2024-05-10", "2024-05-13", "2024-05-14"]), min_size=2, max_size=5))
def test_no_day_is_dropped_in_silence(tmp_path_factory: pytest.TempPathFactory, days: list[str]) -> None:
    folder = tmp_path_factory.mktemp("cycles")
    for number, day in enumerate(days):
        write_json(folder / f"{number}.json", cycle(day, {"A": 0.1}))
    if len(set(days)) < len(days):
        with pytest.raises(DataError, match="decisions of"):
            read_ai_hedge_fund(folder)
    else:
        assert sorted(read_ai_hedge_fund(folder).decisions["date"]) == sorted(days)
