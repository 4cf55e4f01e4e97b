"""Decisions of other projects, converted and traded: what a project decided is the signal of the bar it knew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.data import (
    Converted,
    load_sample,
    read_ai_hedge_fund,
    read_freqai,
    read_kronos,
    read_tradingagents,
)
from ragsignal.errors import DataError
from ragsignal.trading import run_spec
from tests.data.converters.made import (
    cycle,
    new_log,
    paths,
    predictions,
    write_json,
    write_paths,
    write_predictions,
)
from tests.results import find
from tests.specs import HOLD, spec

DAYS = ["2014-12-01", "2014-12-02", "2014-12-03", "2014-12-04"]


def _agents(root: Path) -> Converted:
    for day, said in zip(DAYS, ("Buy", "Hold", "Underweight", "Sell"), strict=True):
        new_log(root / "results", "IBM", day, f"**Rating**: {said}")
    return read_tradingagents(root / "results")


def _fund(root: Path) -> Converted:
    for day, weight in zip(DAYS, (0.5, 0.0, -0.25, 0.1), strict=True):
        write_json(root / "desk" / f"{day}.json", cycle(day, {"IBM": weight}))
    return read_ai_hedge_fund(root / "desk")


def _freqai(root: Path) -> Converted:
    opens = pd.DatetimeIndex(DAYS, tz="UTC")
    write_predictions(root / "model", predictions(date=opens), coin="ibm", stamp=int(opens[0].timestamp()))
    return read_freqai(root / "model")


def _kronos(root: Path) -> Converted:
    tables = [
        paths(day, (101.0, 102.0, 99.0, rising), symbol="IBM")
        for day, rising in zip(DAYS, (1, 200, 1, 200), strict=True)
    ]
    return read_kronos(write_paths(root / "kronos.csv", *tables))


EXPECTED: list[tuple[Callable[[Path], Converted], list[float]]] = [
    (_agents, [1.0, 1.0, -0.5, -1.0]),  # a hold keeps the decision before it
    (_fund, [0.5, 0.0, -0.25, 0.1]),
    (_freqai, [-0.5, 0.0, 0.5, 1.0]),
    (_kronos, [0.0, 0.5, 0.0, 0.5]),
]


def _traded(converted: Converted, root: Path, **data: Any) -> pd.DataFrame:
    """Signals that a backtest had, of the bars on which there was one."""
    converted.write(root / "decisions.csv")
    window = {"source": "sample", "symbols": ["IBM"], "start": date(2014, 11, 24), "end": date(2014, 12, 12)}
    mine = {"name": "mine", "signal": "external", "external": {"path": root / "decisions.csv"}}
    result = run_spec(spec(data=window | data, variant=[mine, HOLD]))
    assert find(result, "mine").traded
    signals = find(result, "mine").signals
    return signals[signals["abstained"].isna()]


@pytest.mark.slow
@pytest.mark.parametrize(("convert", "values"), EXPECTED, ids=lambda it: getattr(it, "__name__", ""))
def test_what_was_decided_is_the_signal_of_its_bar(
    tmp_path: Path, convert: Callable[[Path], Converted], values: list[float]
) -> None:
    signals = _traded(convert(tmp_path), tmp_path, close="24:00 UTC")
    assert [str(day)[:10] for day in signals["date"]] == DAYS
    np.testing.assert_allclose(signals["value"], values, atol=1e-12)


@pytest.mark.slow
def test_a_candle_that_ends_after_the_close_belongs_to_the_next_bar(tmp_path: Path) -> None:
    signals = _traded(_freqai(tmp_path), tmp_path, close="16:00 America/New_York")
    assert [str(day)[:10] for day in signals["date"]] == ["2014-12-02", "2014-12-03", "2014-12-04", "2014-12-05"]


def test_a_candle_needs_the_close_of_the_prices(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="close"):
        _traded(_freqai(tmp_path), tmp_path)


def test_the_days_of_these_tests_are_bars() -> None:
    assert set(DAYS) <= {f"{day:%Y-%m-%d}" for day in load_sample().frames["IBM"].index}
