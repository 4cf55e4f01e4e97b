"""What is written reads back as it was, and no formula can reach a later bar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from ragsignal.data.formulas import Call, Field, Formula, canonical, digest_of, fields_of, parse, text_of
from ragsignal.errors import ConfigError
from tests.data.formulas.trees import formulas


@settings(deadline=None)
@given(formulas())
def test_what_is_written_reads_back_as_it_was(formula: Formula) -> None:
    if not fields_of(formula):  # nothing is read of such a one by itself
        formula = Call("add", (formula, Field("close")))
    assert parse(text_of(formula)) == formula


def test_the_order_of_operands_does_not_move_the_digest_where_it_does_not_matter() -> None:
    assert digest_of(parse("close + open * 2")) == digest_of(parse("2 * open + close"))
    assert digest_of(parse("close - open")) != digest_of(parse("open - close"))


@settings(deadline=None)
@given(formulas())
def test_the_canonical_form_is_its_own_and_has_the_same_digest(formula: Formula) -> None:
    once = canonical(formula)
    assert canonical(once) == once
    assert digest_of(once) == digest_of(formula)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rank(close + open * 2)", "rank(2 * open + close)"),
        ("2 * 3 * close", "close * 6"),
        ("close > open", "open < close"),
        ("where(close >= open, 1, -1)", "where(open <= close, 1, neg(1))"),
        ("max(ts_mean(open, 5), min(close, high))", "max(min(high, close), ts_mean(open, 5))"),
        ("(close > 1) & (open < 1)", "(open < 1) & (1 < close)"),
        ("close * 0", "close * (1 - 1)"),
        ("close * -(0)", "close * 0"),
    ],
)
def test_one_digest_for_all_ways_of_writing(one: str, other: str) -> None:
    assert digest_of(parse(one)) == digest_of(parse(other))
    assert canonical(parse(one)) == canonical(parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("close < open", "open < close"),
        ("close ** open", "open ** close"),
        ("ts_corr(close, open, 5)", "ts_corr(close, open, 6)"),
        ("where(close < open, 1, 2)", "where(close < open, 2, 1)"),
        ("close * (1 / 0)", "close * 0"),
    ],
)
def test_digests_of_unlike_formulas_differ(one: str, other: str) -> None:
    assert digest_of(parse(one)) != digest_of(parse(other))


def test_brackets_stand_where_they_are_needed() -> None:
    for text in ("close - (open - high)", "(close + open) * high", "-(close + open)", "close < open - 1", "-1 * close"):
        assert text_of(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("close +", "cannot be read"),
        ("clsoe", "no field clsoe. Did you mean 'close'"),
        ("ts_men(close, 5)", "no operator ts_men. Did you mean 'ts_mean'"),
        ("ts_delay(close, -1)", "no later one can be reached"),
        ("ts_delay(close, 2.5)", "whole number of bars"),
        ("ts_delay(close, open)", "has to be a window, and is a series"),
        ("ts_mean(close)", "takes 2 arguments"),
        ("ts_mean(close, 5, 6)", "takes 2 arguments"),
        ("ts_mean(close, 100000)", "window of 1 to 504"),
        ("ts_std(close, 1)", "window of 2 to 504"),
        ("bucket(close, 5)", "a series or a condition was expected, and this is groups"),
        ("group_mean(close, bucket(close, 1))", "number of 2 to 504 groups"),
        ("group_mean(close, open)", "has to be groups, and is a series"),
        ("ts_quantile(close, 5, 1.5)", "number of 0 to 1, and here has 1.5"),
        ("ts_quantile(close, 5, open)", "has to be a number, and is a series"),
        ("winsorize(close, -1)", "number of 0 to 100, and here has -1"),
        ("ts_count(close, 5)", "has to be a condition, and is a series"),
        ("(close < open) + bucket(close, 3)", "has to be a series, and is groups"),
        ("1 < close < 2", "only fields, numbers"),
        ("where(close, open, high)", "has to be a condition, and is a series"),
        ("5", r"'5': it reads no field, and is the same of all stocks; write a field into it: open, high, low, close"),
        ("rank(5)", "reads no field"),
        ("where(1 < 2, ts_mean(3, 5), group_mean(1, bucket(2, 3)))", "reads no field"),
        ("close[1]", "only fields, numbers"),
        ("__import__('os')", "no operator __import__"),
        ("close.shift(-1)", "only fields, numbers"),
        ("1e999 * close", "finite"),
        ("'close'", "only fields"),
        ("(" * 90 + "close" + ")" * 90 + "+ 'a'", "cannot be read|only fields"),
        ("-" * 60 + "close", "within each other"),
        ("rank(" * 3000 + "close", "at most 4000"),
    ],
)
def test_wrong_text_is_told(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        parse(text)
    assert "\n" not in str(told.value)
