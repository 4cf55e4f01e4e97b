"""What is written reads back as it was, and no formula can reach a later bar."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from ragsignal.data.formulas import Formula, Kind, digest_of, kind_of, parse, text_of
from ragsignal.errors import ConfigError
from tests.data.formulas.trees import formulas


@settings(deadline=None)
@given(formulas())
def test_what_is_written_reads_back_as_it_was(formula: Formula) -> None:
    if kind_of(formula) is Kind.NUMBER:
        return
    assert parse(text_of(formula)) == formula


def test_the_order_of_operands_does_not_move_the_digest_where_it_does_not_matter() -> None:
    assert digest_of(parse("close + open * 2")) == digest_of(parse("2 * open + close"))
    assert digest_of(parse("close - open")) != digest_of(parse("open - close"))


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
        ("where(close, open, high)", "has to be a condition, and is a series"),
        ("5", "a series or a condition was expected"),
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
