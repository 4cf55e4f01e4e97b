"""A file a symbol: signals bar by bar with gaps and abstentions, fills, what came, and letters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ragsignal.data import RANK_FACTORS
from ragsignal.report.seen.symbols import symbol_file, tables_of
from ragsignal.trading import RunResult
from tests.report.test_report import SYMBOLS, sample_run, with_variant
from tests.results import find
from tests.sidecars import floats


@pytest.fixture(scope="module")
def result() -> RunResult:
    return sample_run(120)


def test_a_signal_stands_at_its_bar_with_gaps_and_abstentions_by_reason(result: RunResult) -> None:
    signals = find(result, "rag-shape").signals
    gappy = with_variant(result, "rag-shape", signals=signals.drop(index=range(60, 70)))
    panel = symbol_file(gappy, "AAPL", tables_of(gappy, SYMBOLS), None)["signals"][1]
    values = floats(panel["values"])
    assert np.isnan(values[60:70]).all()
    np.testing.assert_allclose(values[:60], signals["value"].iloc[:60], rtol=1e-6)
    assert panel["abstained"] == {"too few bars": [0, 1, 2, 3, 4]}
    assert panel["ranks"] == ""  # there are none


def test_what_came_is_the_return_that_the_next_fill_could_earn(result: RunResult) -> None:
    signals = find(result, "rag-embedding").signals
    own = signals[signals["symbol"] == "IBM"]
    only = dataclasses.replace(result, variants=result.variants[:1])
    np.testing.assert_allclose(
        floats(symbol_file(only, "IBM", tables_of(only, SYMBOLS), None)["outcome"]), own["target"], rtol=1e-6
    )


def test_fills_stand_at_their_bars_and_days_with_a_time_zone_are_the_same_days(result: RunResult) -> None:
    orders = find(result, "rag-shape").orders
    own = orders[orders["symbol"] == "AMZN"]
    zoned = with_variant(
        result, "rag-shape", orders=orders.assign(date=orders["date"].dt.tz_localize("America/New_York"))
    )
    for it in (result, zoned):
        fills = symbol_file(it, "AMZN", tables_of(it, SYMBOLS), None)["orders"][1]
        assert [it.closes.index[bar] for bar in fills["bars"]] == own["date"].tolist()
        np.testing.assert_allclose(floats(fills["sizes"]), own["size"])
        np.testing.assert_allclose(floats(fills["prices"]), own["price"])


def test_letters_stand_at_their_bars_and_blanks_where_none_were_read(result: RunResult) -> None:
    width = len(RANK_FACTORS)
    file = symbol_file(result, "JPM", tables_of(result, SYMBOLS), (0, {"JPM-7": "P" * width}))
    assert file["letters"] == " " * 7 * width + "P" * width + " " * (len(result.closes) - 8) * width


def test_a_signal_on_a_day_that_is_no_bar_of_the_run_stands_at_no_bar(result: RunResult) -> None:
    signals = find(result, "rag-shape").signals
    saturday = signals.assign(
        date=signals["date"].where(signals.index != 50, result.closes.index[50] + pd.Timedelta(1, "h"))
    )
    moved = with_variant(result, "rag-shape", signals=saturday)
    values = floats(symbol_file(moved, "AAPL", tables_of(moved, SYMBOLS), None)["signals"][1]["values"])
    assert np.isnan(values[50])
    assert values[-1] == pytest.approx(signals["value"].iloc[len(values) - 1], rel=1e-6)
