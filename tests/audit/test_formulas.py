"""Kept formulas are proved: a future that is gone or garbage moves nothing, and a planted leak is caught."""

from __future__ import annotations

import numpy as np
import pytest

from ragsignal.audit.formulas import audit_formula
from ragsignal.data import Evaluator, FieldPanel, Formula, field_panel, library, parse
from ragsignal.types import FloatArray
from tests.universe import universe

PANEL = field_panel(universe(8, 60))


@pytest.mark.parametrize("text", ["rank(ts_delta(close, 5))", "group_neutralize(returns, bucket(volume, 3))"])
def test_an_honest_formula_passes(text: str) -> None:
    assert audit_formula(parse(text), PANEL) == "passed"


def test_published_formulas_pass() -> None:
    chosen = library(PANEL.known)[::10]
    assert {it.name: audit_formula(it.formula, PANEL, points=4) for it in chosen} == dict.fromkeys(
        (it.name for it in chosen), "passed"
    )


@pytest.mark.parametrize("reads", ["next bar", "whole sample"])
def test_a_planted_leak_is_caught(reads: str) -> None:
    def leaky(panel: FieldPanel, formula: Formula) -> FloatArray:
        values = Evaluator(panel).values(formula)
        if reads == "whole sample":
            return values - np.nansum(values, axis=0)
        return np.vstack([values[1:], np.full((1, values.shape[1]), np.nan)])

    assert audit_formula(parse("ts_delta(close, 1)"), PANEL, leaky).startswith("failed: its value of S0")
