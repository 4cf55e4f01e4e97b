"""Round trips: every order belongs to one, their profits are the account's, and they are Backtrader's trades."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.trading import round_trips

BARS = pd.bdate_range("2024-01-01", periods=40)


def orders_of(*rows: tuple[int, str, float, float]) -> pd.DataFrame:
    """Orders of (bar, symbol, size, price); each costs a commission of 1 and a slippage of 2."""
    table = pd.DataFrame(rows, columns=["bar", "symbol", "size", "price"])
    return table.assign(
        date=BARS[table["bar"].astype(int)], value=table["size"] * table["price"], commission=1.0, slippage=2.0
    )


def test_a_position_that_is_built_up_and_taken_down_is_one_round_trip() -> None:
    orders = orders_of((1, "A", 10, 100.0), (3, "A", 10, 110.0), (5, "A", -5, 120.0), (9, "A", -15, 130.0))
    (row,) = round_trips(orders, BARS).to_dict("records")
    assert (row["side"], row["opened"], row["closed"], row["bars"]) == ("long", BARS[1], BARS[9], 8)
    assert (row["size"], row["entry"], row["exit"], row["costs"]) == (20.0, 105.0, 127.5, 12.0)
    # the fills' prices hold what slippage cost; the commission comes off
    assert row["profit"] == 5 * 120.0 + 15 * 130.0 - 10 * 100.0 - 10 * 110.0 - 4.0
    assert row["return"] == row["profit"] / 2100.0


def test_an_order_that_turns_a_position_around_ends_one_and_begins_another_and_shares_its_costs() -> None:
    first, second = round_trips(orders_of((1, "A", 10, 100.0), (2, "A", -30, 90.0)), BARS).to_dict("records")
    assert (first["side"], first["profit"], first["costs"]) == ("long", pytest.approx(-100.0 - 1 - 1 / 3), 4.0)
    assert (second["side"], second["size"], second["costs"], second["bars"]) == ("short", 20.0, 2.0, 37)
    assert pd.isna(second["closed"])
    assert np.isnan(second["profit"])
    assert np.isnan(second["exit"])


def test_a_short_that_falls_earns() -> None:
    (row,) = round_trips(orders_of((0, "A", -4, 50.0), (2, "A", 4, 40.0)), BARS).to_dict("records")
    assert (row["side"], row["size"], row["profit"]) == ("short", 4.0, 38.0)


def test_a_variant_that_never_traded_has_a_table_without_rows() -> None:
    table = round_trips(orders_of(), BARS)
    assert len(table) == 0
    assert table["opened"].dtype.kind == "M"
    assert table["profit"].dtype.kind == "f"


sizes = st.integers(-30, 30).filter(bool)
many_orders = st.lists(st.tuples(st.integers(0, 39), st.sampled_from("AB"), sizes, st.floats(1.0, 500.0)), max_size=30)


@given(many_orders)
def test_closed_round_trips_and_what_is_still_held_add_up_to_the_orders(
    rows: list[tuple[int, str, int, float]],
) -> None:
    orders = orders_of(*sorted(rows, key=lambda row: row[0]))
    table = round_trips(orders, BARS)
    assert table["costs"].sum() == pytest.approx(3.0 * len(orders))
    for symbol, own in orders.groupby("symbol"):
        trips, held = table[table["symbol"] == symbol], own["size"].sum()
        assert int(trips["closed"].isna().sum()) == int(held != 0)
        if held == 0:
            assert trips["profit"].sum() == pytest.approx(-own["value"].sum() - own["commission"].sum(), abs=1e-6)
        signs = np.sign(own["size"].cumsum())
        assert len(trips) == int((signs.ne(signs.shift(fill_value=0.0)) & signs.ne(0.0)).sum())


def test_fractions_of_shares_that_do_not_add_up_to_nothing_bit_by_bit_still_close_a_position() -> None:
    orders = orders_of(*[(bar, "A", 0.1, 10.0) for bar in range(10)], (20, "A", -1.0, 12.0))
    (row,) = round_trips(orders, BARS).to_dict("records")
    assert row["closed"] == BARS[20]
    assert row["profit"] == pytest.approx(2.0 - 11.0)
