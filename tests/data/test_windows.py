"""Windows: a query holds the past only, and a candidate says when its outcome was known."""

from __future__ import annotations

from array import array
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import windows
from ragsignal.data.windows import CandidateColumns, CandidateCutter, History, cut_query, log_returns
from ragsignal.errors import DataError
from ragsignal.types import Query
from tests.markets import bars

MONDAY = date(2020, 1, 6)
few = settings(max_examples=80, deadline=None)


def days(count: int) -> list[date]:
    return [MONDAY + timedelta(days=number) for number in range(count)]


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30), st.integers(2, 12))
def test_a_query_is_the_end_of_the_past(closes: list[float], lookback: int) -> None:
    query = cut_query("A", days(len(closes)), closes, lookback)
    kept = min(len(closes), lookback + 1)
    assert query == Query("A", tuple(days(len(closes))[-kept:]), tuple(closes[-kept:]))
    assert query.as_of == days(len(closes))[-1]


def test_the_arrays_of_a_backtrader_line_and_lists_give_the_same_query() -> None:
    closes = [1.0, 2.0, 3.0, 4.0]
    query = cut_query("A", days(4), array("d", closes), 2)
    assert query == cut_query("A", days(4), closes, 2) == cut_query("A", tuple(days(4)), (1, 2, 3, 4), 2)
    assert all(type(close) is float for close in query.closes)


@pytest.mark.parametrize("close", [float("nan"), 0.0, -1.0, float("inf")])
def test_a_close_that_is_no_price_is_refused_with_its_day(close: float) -> None:
    with pytest.raises(DataError, match=r"^IBM: close of 2020-01-08 is .*; a positive number was expected"):
        cut_query("IBM", days(5), [10.0, 11.0, close, 12.0, 13.0], 5)


@pytest.mark.parametrize("order", [[0, 2, 1], [0, 1, 1], [2, 1, 0]])
def test_days_that_do_not_ascend_are_refused_with_the_way_out(order: list[int]) -> None:
    unsorted = [days(3)[number] for number in order]
    with pytest.raises(DataError, match=r"^IBM: the bar of .* follows the bar of .*resampledata"):
        cut_query("IBM", unsorted, [1.0, 2.0, 3.0], 5)


@given(st.lists(st.floats(1.0, 1e3), min_size=3, max_size=8), st.sampled_from([0.25, 2.0, 1024.0]))
def test_log_returns_have_no_price_level(closes: list[float], factor: float) -> None:
    query = cut_query("A", days(len(closes)), closes, 20)
    moved = cut_query("A", days(len(closes)), [factor * close for close in closes], 20)
    assert log_returns(query).shape == (len(closes) - 1,)
    np.testing.assert_allclose(log_returns(moved), log_returns(query), atol=1e-14)


def test_log_returns_by_hand() -> None:
    np.testing.assert_allclose(log_returns(cut_query("A", days(3), [1.0, np.e, 1.0], 2)), [1.0, -1.0])


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Values, scaled values and labels of 0 to 25 bars and three sequences, with gaps, known one or two bars later."""
    index = bars(draw(st.integers(0, 25))).index
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ahead = draw(st.integers(1, 2))
    values, scaled = (pd.DataFrame(rng.normal(size=(len(index), 3)), index=index) for _ in range(2))
    holes = draw(st.sampled_from([0.0, 0.05, 0.3]))
    values, scaled = (it.mask(rng.random(it.shape) < holes) for it in (values, scaled))
    known = pd.Series(index, index=index).shift(-ahead)
    outcome = pd.Series(rng.normal(size=len(index)), index=index).where(known.notna())
    return values, scaled, pd.DataFrame({"outcome": outcome, "available_at": known})


Table = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def cutter(symbols: list[Table], *options: Any) -> CandidateCutter:
    """Of symbols given as values, scaled values and labels, one after the other."""
    values, scaled, labels = (pd.concat(parts) for parts in zip(*symbols, strict=True))
    history = History(
        values=np.ascontiguousarray(values.to_numpy().T),
        scaled=np.ascontiguousarray(scaled.to_numpy().T),
        symbol_id=np.repeat(np.arange(len(symbols), dtype=np.int32), [len(it[0]) for it in symbols]),
        days=values.index.to_numpy().astype("datetime64[D]"),
        outcome=labels["outcome"].to_numpy(dtype=np.float64),
        available_at=labels["available_at"].to_numpy().astype("datetime64[D]"),
    )
    return CandidateCutter(history, *options)


def joined(blocks: list[CandidateColumns]) -> CandidateColumns:
    """All blocks as one."""
    names = [field.name for field in fields(CandidateColumns)]
    return CandidateColumns(**{name: np.concatenate([getattr(it, name) for it in blocks]) for name in names})


def cut_candidates(
    values: pd.DataFrame, scaled: pd.DataFrame, labels: pd.DataFrame, lookback: int, stride: int
) -> CandidateColumns:
    """Every candidate of one symbol."""
    blocks = list(cutter([(values, scaled, labels)], lookback, stride).blocks())
    ids, days, windows_ = np.empty(0, np.int32), np.empty(0, "datetime64[D]"), np.empty((0, lookback))
    none = CandidateColumns(days, ids, ids, windows_.astype("datetime64[D]"), windows_, windows_, np.empty(0))
    return joined([none, *blocks])


def rows(columns: CandidateColumns) -> list[tuple[object, ...]]:
    """Candidates as comparable tuples."""
    columns_of = [getattr(columns, field.name) for field in fields(CandidateColumns)]
    return [tuple(np.asarray(it).tobytes() for it in row) for row in zip(*columns_of, strict=True)]


@few
@given(tables(), st.integers(2, 6), st.integers(1, 6))
def test_candidates_are_all_windows_without_a_gap_whose_outcome_is_known(
    given_tables: Table, lookback: int, stride: int
) -> None:
    values, scaled, labels = given_tables
    cut = cut_candidates(values, scaled, labels, lookback, stride)
    expected = []
    for end in range(lookback - 1, len(values), stride):
        window = slice(end - lookback + 1, end + 1)
        for sequence in range(3):
            raw, free = (it.iloc[window, sequence] for it in (values, scaled))
            if labels["available_at"].notna().iloc[end] and raw.notna().all() and free.notna().all():
                expected.append((sequence, end, raw.tolist(), free.tolist(), labels["outcome"].iloc[end]))
    assert cut.sequence_id.tolist() == [sequence for sequence, *_ in expected]
    assert cut.dates.tolist() == [
        [day.date() for day in values.index[end - lookback + 1 : end + 1]] for _, end, *_ in expected
    ]
    assert cut.values.tolist() == [raw for _, _, raw, *_ in expected]
    assert cut.scaled.tolist() == [free for *_, free, _ in expected]
    assert cut.outcome.tolist() == [outcome for *_, outcome in expected]
    assert cut.available_at.tolist() == [labels["available_at"].iloc[end].date() for _, end, *_ in expected]
    assert cut.values.shape == cut.scaled.shape == cut.dates.shape == (len(expected), lookback)


@few
@given(tables(), st.integers(2, 6), st.integers(1, 6))
def test_an_outcome_is_known_after_its_window_and_nothing_is_unknown(
    given_tables: Table, lookback: int, stride: int
) -> None:
    cut = cut_candidates(*given_tables, lookback, stride)
    assert (cut.available_at > cut.dates[:, -1]).all()
    for numbers in (cut.values, cut.scaled, cut.outcome):
        assert np.isfinite(numbers).all()
    assert not np.isnat(cut.available_at).any()


@few
@given(tables(), st.integers(2, 6), st.integers(1, 6), st.integers(0, 25))
def test_a_longer_future_adds_windows_and_moves_none(
    given_tables: Table, lookback: int, stride: int, length: int
) -> None:
    values, scaled, labels = given_tables
    full = rows(cut_candidates(values, scaled, labels, lookback, stride))
    past = labels.iloc[:length]
    known = past["available_at"] <= past.index.max()
    short = rows(cut_candidates(values.iloc[:length], scaled.iloc[:length], past.where(known), lookback, stride))
    assert short == full[: len(short)]


@few
@given(st.lists(tables(), min_size=1, max_size=4), st.integers(2, 6), st.integers(1, 4), st.integers(1, 9), st.data())
def test_symbols_together_give_the_candidates_of_each_alone_sorted_by_day_symbol_and_sequence(
    symbols: list[Table], lookback: int, stride: int, block_ends: int, data: st.DataObject
) -> None:
    bound = st.none() | st.integers(0, 30).map(lambda day: date(2020, 1, 1) + timedelta(days=day))
    start, end = data.draw(bound), data.draw(bound)
    expected = []
    for number, table in enumerate(symbols):
        alone = cut_candidates(*table, lookback, stride)
        for row in range(len(alone.outcome)):
            known, first = alone.available_at[row].item(), alone.dates[row, 0].item()
            if (start is None or first >= start) and (end is None or known <= end):
                expected.append(((known, number, int(alone.sequence_id[row])), alone.values[row].tolist(), first))
    expected.sort()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_BLOCK_ENDS", block_ends)
        cut = cutter(symbols, lookback, stride, start, end)
        blocks = list(cut.blocks())
    assert len(cut) == len(expected)
    found = []
    for block in blocks:
        keys = zip(block.available_at.tolist(), block.symbol_id.tolist(), block.sequence_id.tolist(), strict=True)
        found += list(zip(keys, block.values.tolist(), block.dates[:, 0].tolist(), strict=True))
    assert found == expected
    days = [set(block.available_at.tolist()) for block in blocks]
    assert sum(map(len, days)) == len(set().union(*days))  # no day is cut in two
