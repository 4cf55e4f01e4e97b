"""FinSeer for days as files: what was saved comes back, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.artifacts import Artifact
from ragsignal.artifacts.artifact import save_artifact
from ragsignal.errors import ModelError
from ragsignal.retrieval.day_artifact import DAYS_RECIPE, FinseerDays, save_finseer_days
from ragsignal.retrieval.days import NearestDays
from ragsignal.retrieval.state_metric import StateMetric
from tests.day_tables import day_at, drawn_days
from tests.tiny import rank_card

METRIC = StateMetric(np.arange(8.0), np.arange(1.0, 9.0), np.random.default_rng(0).normal(size=(3, 8)), 0.25)
TABLES = {1: drawn_days(0, 150, 1), 5: drawn_days(0, 150, 5)}


def saved(folder: Path, **changes: Any) -> Artifact:
    """An artifact with days over 1 and 5 bars."""
    card = rank_card("finseer-days", **{"template": DAYS_RECIPE} | changes)
    return save_artifact(folder, card, lambda scratch: save_finseer_days(scratch, METRIC, TABLES))


@pytest.mark.parametrize("horizon", TABLES)
def test_days_come_back_with_payoffs_to_seven_digits_and_a_metric_to_the_last_bit(tmp_path: Path, horizon: int) -> None:
    finseer, table = FinseerDays(saved(tmp_path / "finseer")), TABLES[horizon]
    days = finseer.days(horizon)
    assert days.horizon == horizon
    for name in ("days", "market", "dispersion", "stocks", "available_at", "states"):
        assert np.array_equal(getattr(days, name), getattr(table, name), equal_nan=True), name
        assert getattr(days, name).dtype == getattr(table, name).dtype, name
    assert np.allclose(days.payoffs, table.payoffs, rtol=1e-7, atol=0, equal_nan=True)
    metric = finseer.metric
    assert all(np.array_equal(getattr(metric, name), getattr(METRIC, name)) for name in ("mean", "scale", "matrix"))
    assert metric.decay == METRIC.decay
    last = day_at(table, 149)
    assert NearestDays(days, metric).of_day(last).rows.tolist() == NearestDays(table, METRIC).of_day(last).rows.tolist()


def test_payoffs_over_other_bars_are_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"paid over \[1, 5\] bars, and corpus\.horizon is 10; .*own_days = true"):
        FinseerDays(saved(tmp_path / "finseer")).days(10)


def test_days_of_other_factors_or_states_are_refused(tmp_path: Path) -> None:
    artifact = saved(tmp_path / "finseer", template={**DAYS_RECIPE, "states": "others"})
    with pytest.raises(ModelError, match="states"):
        FinseerDays(artifact)
