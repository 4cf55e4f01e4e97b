"""A formula is tried out on bars without a future; a planted leak has to be seen first."""

from __future__ import annotations

import numpy as np
import pytest

from ragsignal.audit import audit_formulas
from ragsignal.data import OPERATORS, Kind, Operator, noise_market
from ragsignal.errors import ConfigError

PRICES = noise_market([f"S{number}" for number in range(6)], "2014-01-02", "2014-06-30")


def test_formulas_pass_and_the_planted_leak_is_seen() -> None:
    found = audit_formulas({"fade": "-rank(ts_delta(close, 5))", "busy": "volume / ts_mean(volume, 20)"}, PRICES)
    assert [(it.test, it.verdict) for it in found] == [
        ("planted", "passed"),
        *[("prefix", "passed"), ("poison", "passed")] * 2,
    ]
    assert found[0].evidence["caught"] > 0


@pytest.mark.parametrize("leak", ["next", "whole"])
def test_an_operator_that_looks_ahead_is_caught(leak: str, monkeypatch: pytest.MonkeyPatch) -> None:
    computes = {
        "next": lambda values: np.vstack([values[1:], values[-1:]]),
        "whole": lambda values: values - np.nanmean(values, axis=0),
    }
    operator = Operator("peek", (Kind.SERIES,), Kind.SERIES, computes[leak], "time", "{0} of tomorrow")
    monkeypatch.setitem(OPERATORS, "peek", operator)
    found = audit_formulas({"mine": "peek(close)"}, PRICES)
    assert [it.verdict for it in found[1:]] == ["failed", "failed"]
    assert "the formula looks ahead" in found[1].words


def test_a_formula_without_a_value_is_unknown_and_one_that_cannot_be_read_is_told() -> None:
    found = audit_formulas({"long": "ts_mean(close, 500)"}, PRICES)
    assert [it.verdict for it in found[1:]] == ["unknown", "unknown"]
    with pytest.raises(ConfigError, match="no field clsoe"):
        audit_formulas({"typo": "clsoe"}, PRICES)
