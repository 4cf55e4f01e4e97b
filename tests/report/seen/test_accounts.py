"""A file a variant: months that compound to the year, exposure that nets longs and shorts, round trips."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.report.seen.accounts import account_file, months_of
from ragsignal.trading import RunResult
from tests.report.test_report import days_of, sample_run, variant_of, with_variant
from tests.results import find
from tests.sidecars import floats


@pytest.fixture(scope="module")
def result() -> RunResult:
    return sample_run(60)


def test_a_month_is_measured_from_the_last_close_before_it() -> None:
    days = pd.DatetimeIndex(["2023-12-28", "2023-12-29", "2024-01-02", "2024-01-31", "2024-03-01"])
    variant = variant_of("it", pd.Series([100.0, 110.0, 99.0, 121.0, 121.02], index=days))
    months = months_of(variant)
    assert list(months) == [2023, 2024]
    assert [cell and cell.text for cell in months[2023]] == [None] * 11 + ["10.0", "10.0"]
    assert [cell and cell.text for cell in months[2024]] == ["10.0", None, "0.0", *[None] * 9, "10.0"]
    assert [months[2024][place].side for place in (0, 2)] == ["gain", "flat"]  # type: ignore[union-attr]
    assert months[2024][0].strength == 100  # type: ignore[union-attr]


def test_a_fall_has_a_true_minus_sign_and_a_lost_account_has_no_returns_after_it() -> None:
    days = pd.DatetimeIndex(["2024-01-02", "2024-01-31", "2024-02-01", "2024-03-01"])
    months = months_of(variant_of("it", pd.Series([100.0, 97.0, -5.0, 10.0], index=days)))
    assert months[2024][0].text == "−3.0"  # type: ignore[union-attr]
    assert months[2024][0].side == "loss"  # type: ignore[union-attr]
    assert months[2024][2] is None


@given(st.lists(st.floats(-0.05, 0.05), min_size=2, max_size=400))
def test_months_compound_to_the_year(returns: list[float]) -> None:
    days = days_of(len(returns) + 1)
    variant = variant_of("it", pd.Series(np.cumprod([100.0, *(1 + np.array(returns))]), index=days))
    for cells in months_of(variant).values():
        months = [float(cell.text.replace("−", "-")) for cell in cells[:12] if cell]
        whole = cells[12]
        assert whole is not None
        year = 100 * (np.prod([1 + month / 100 for month in months]) - 1)
        assert float(whole.text.replace(",", "").replace("−", "-")) == pytest.approx(year, abs=2.5)


def test_net_exposure_is_longs_less_shorts_over_equity_at_each_close(result: RunResult) -> None:
    days = result.closes.index
    orders = pd.DataFrame(
        {"date": days[[1, 1, 3]], "symbol": ["AAPL", "IBM", "AAPL"], "size": [10.0, -5.0, -10.0], "price": 1.0}
    ).assign(value=1.0, commission=0.0, slippage=0.0)
    file = account_file(result, find(with_variant(result, "rag-shape", orders=orders), "rag-shape"))
    closes, equity = result.closes, find(result, "rag-shape").equity
    expected = [
        0.0,
        *((10 * closes["AAPL"] - 5 * closes["IBM"]) / equity).iloc[1:3],
        -5 * closes["IBM"].iloc[3] / equity.iloc[3],
    ]
    np.testing.assert_allclose(floats(file["net"])[:4], expected, rtol=1e-5)
    assert file["closed"] == [3, -1]
    assert [file["longs"][0], file["longs"][1]] == [1, 0]


def test_ended_and_open_round_trips_together_are_what_all_orders_came_to(result: RunResult) -> None:
    days = result.closes.index
    orders = pd.DataFrame(
        {
            "date": days[[1, 1, 3]],
            "symbol": ["AAPL", "IBM", "AAPL"],
            "size": [10.0, -5.0, -10.0],
            "price": [7.0, 9.0, 8.0],
        }
    ).assign(value=1.0, commission=0.5, slippage=0.0)
    file = account_file(result, find(with_variant(result, "rag-shape", orders=orders), "rag-shape"))
    assert floats(file["profit"])[0] == pytest.approx(10.0 - 1.0)
    assert file["standing"] == pytest.approx(5 * (9.0 - result.closes["IBM"].iloc[-1]) - 0.5, abs=0.01)


def test_a_variant_that_never_traded_has_an_account_too(result: RunResult) -> None:
    file = account_file(result, find(result, "reversal"))
    assert file["all"] == 0
    assert not floats(file["net"]).any()
