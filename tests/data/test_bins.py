"""Quantile letters: fixed before the data they are used on, equally frequent there, and blind to the price level."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import factors
from ragsignal.data.bins import LETTERS, Bins, fit_bins, shipped_bins, spell
from ragsignal.data.prices import load_sample
from ragsignal.errors import DataError
from tests.markets import Frames, bars, poisoned, rescaled, until

FITTED_THROUGH = date(2011, 12, 30)
CATEGORIES = [name for name, sequence in factors.SEQUENCES.items() if sequence.kind == "category"]
few = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def sample() -> Frames:
    return dict(load_sample(("AAPL", "AMZN", "IBM", "JPM")).frames)


def scaled_values(frames: Frames) -> pd.DataFrame:
    return pd.concat([factors.scale_free(frame, factors.compute(frame)) for frame in frames.values()])


@pytest.fixture(scope="module")
def fitted(sample: Frames) -> Bins:
    return fit_bins(sample, FITTED_THROUGH)


def test_the_shipped_edges_are_those_that_the_shipped_models_read() -> None:
    shipped = shipped_bins()
    assert shipped.fitted_through == date(2009, 12, 31)
    assert list(shipped.edges) == list(factors.SEQUENCES)
    # the digest in the cards of the shipped text models; another one would make all that they learnt unreadable
    assert shipped.recipe["digest"] == "6dd2905c2e30a74f0ad66b1660d8cc3432bee1334a4cfda9c0abb36f964867b4"


def test_edges_ascend_and_there_are_fifteen() -> None:
    for name, edges in shipped_bins().edges.items():
        assert len(edges) == len(LETTERS) - 1, name
        assert list(edges) == sorted(edges), name


def test_bars_after_fitted_through_change_no_edge(sample: Frames, fitted: Bins) -> None:
    assert fit_bins(until(sample, FITTED_THROUGH), FITTED_THROUGH) == fitted
    assert fit_bins(poisoned(sample, after=FITTED_THROUGH), FITTED_THROUGH) == fitted
    changed = poisoned(sample, after=date(2011, 12, 29))
    assert fit_bins(changed, FITTED_THROUGH).edges != fitted.edges


def test_the_order_of_symbols_changes_no_edge(sample: Frames, fitted: Bins) -> None:
    backwards = dict(reversed(sample.items()))
    assert fit_bins(backwards, FITTED_THROUGH) == fitted


@pytest.mark.parametrize("name", ["adj_close", "Returns", "volume", "VWAP", "MACD_Histogram", "alpha032"])
def test_letters_are_equally_frequent_on_the_fitted_data(sample: Frames, fitted: Bins, name: str) -> None:
    values = scaled_values(until(sample, FITTED_THROUGH))[name].dropna().to_numpy()
    share = np.bincount(fitted.codes(name, values), minlength=16) / len(values)
    np.testing.assert_allclose(share, 1 / 16, atol=0.006)


@pytest.mark.parametrize("name", CATEGORIES)
def test_the_codes_of_a_category_are_the_first_a_middle_and_the_last_letter(fitted: Bins, name: str) -> None:
    for bins in (shipped_bins(), fitted):
        assert bins.line(name, [-1.0, 0.0, 1.0, 0.0]) == f"{name}: A H P H"


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=20), st.sampled_from(list(factors.SEQUENCES)))
def test_a_greater_value_has_no_earlier_letter(values: list[float], name: str) -> None:
    codes = shipped_bins().codes(name, np.sort(values))
    assert (np.diff(codes) >= 0).all()
    assert 0 <= codes.min() <= codes.max() <= 15


def test_letters_by_hand() -> None:
    bins = Bins(edges={"adj_close": tuple(np.arange(-7, 8) / 100)}, fitted_through=date(2020, 1, 1))
    assert bins.line("adj_close", [-0.08, -0.07, 0.0, 0.069, 0.07]) == "adj_close: A B I O P"
    assert spell("open", np.array([0, 15])) == "open: A P"
    assert bins.codes("adj_close", np.zeros((2, 3))).shape == (2, 3)


@few
@given(rescaled())
def test_multiplying_all_prices_changes_no_letter(pair: tuple[Frames, Frames]) -> None:
    before, after = map(scaled_values, pair)
    for name in factors.SEQUENCES:
        known = before[name].notna().to_numpy()
        assert (known == after[name].notna().to_numpy()).all(), name
        then, now = (shipped_bins().codes(name, table[name].to_numpy()[known]) for table in (before, after))
        np.testing.assert_array_equal(now, then, err_msg=name)


@pytest.mark.parametrize("name", list(factors.SEQUENCES))
def test_rounding_noise_around_zero_changes_no_letter(name: str) -> None:
    # edges at 0 exactly, and one at -1.8e-15: an adjusted price that stood still is 0 up to such noise
    letters = shipped_bins().codes(name, np.array([-1e-12, -3e-15, 0.0, 3e-15, 1e-12]))
    assert len(set(letters.tolist())) == 1


def test_a_dividend_changes_no_letter_of_the_past(sample: Frames) -> None:
    for symbol, frame in sample.items():
        paid = frame.assign(**(frame[["open", "high", "low", "close"]] * 0.987), volume=frame["volume"] / 0.987)
        before, after = (factors.scale_free(it, factors.compute(it)).dropna() for it in (frame, paid))
        for name in factors.SEQUENCES:
            then, now = (shipped_bins().codes(name, table[name].to_numpy()) for table in (before, after))
            np.testing.assert_array_equal(now, then, err_msg=f"{symbol} {name}")


@pytest.mark.parametrize(
    ("frames", "scarce"),
    [
        ({"A": bars(319)}, "alpha032 has 26 values"),
        ({"A": bars(400), "B": bars(400, seed=1)}, "alpha032 has 214 values"),
        ({"A": bars(100), "B": bars(100), "C": bars(100), "D": bars(100)}, "alpha024 has 0 values"),
    ],
)
def test_too_short_a_history_is_refused_with_the_scarcest_sequence(frames: Frames, scarce: str) -> None:
    with pytest.raises(DataError, match=rf"{scarce}, 320 are needed; use a later corpus\.bins_through"):
        fit_bins(frames, date(2030, 1, 1))


def test_a_symbol_without_bars_yet_is_no_obstacle(sample: Frames, fitted: Bins) -> None:
    assert fit_bins({**sample, "FB": bars(20)}, FITTED_THROUGH) == fitted


def test_the_recipe_changes_with_an_edge_and_with_the_date() -> None:
    bins = shipped_bins()
    edges = {**bins.edges, "open": (*bins.edges["open"][:-1], 0.04)}
    others = [dataclasses.replace(bins, edges=edges), dataclasses.replace(bins, fitted_through=date(2010, 1, 4))]
    digests = [str(it.recipe) for it in (bins, *others)]
    assert len(set(digests)) == 3
    assert dataclasses.replace(bins).recipe == bins.recipe
