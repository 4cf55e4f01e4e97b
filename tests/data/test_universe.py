"""A universe: every symbol of a source, or the most traded as of a day, by what was known then and nothing else."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import DataSpec, UniverseSpec
from ragsignal.data.prices import COLUMNS, Prices
from ragsignal.data.sources import load_prices
from ragsignal.data.universe import name_symbols, pick
from ragsignal.errors import ConfigError, DataError

AS_OF = date(2020, 3, 2)


def bars(volumes, last=AS_OF, close=10.0):
    """One bar a day up to ``last``, the last of ``volumes`` on it."""
    days = pd.date_range(end=pd.Timestamp(last), periods=len(volumes), name="date")
    frame = pd.DataFrame(close, index=days, columns=list(COLUMNS))
    frame["volume"] = np.asarray(volumes, dtype=float)
    return frame


def universe(top=2, n_bars=3, as_of=AS_OF):
    return UniverseSpec(top=top, bars=n_bars, as_of=as_of)


def write_table(path, prices):
    parts = [frame.reset_index().assign(symbol=symbol) for symbol, frame in prices.frames.items()]
    pd.concat(parts, ignore_index=True).to_parquet(path)
    return path


def data(path, **changes):
    given = {"source": "table", "path": path, "symbols": "all", "start": date(2020, 3, 3), "end": date(2020, 3, 31)}
    return DataSpec(**given | changes)


@pytest.fixture
def prices():
    """Three that can be picked, one too young, one that has gone, and one without volume."""
    frames = {"BIG": bars([9, 9, 1, 9]), "MID": bars([5] * 4), "LOW": bars([1, 9, 1, 1]), "NEW": bars([99, 99])}
    gone = {"GONE": bars([50] * 9, AS_OF - timedelta(days=11)), "MUTE": bars([np.nan] * 4)}
    return Prices(frames | gone)


def test_the_most_traded_are_picked_by_the_median_of_close_times_volume_in_the_order_of_the_prices(prices):
    assert pick(prices, universe(1)) == ("BIG",)
    assert pick(prices, universe(2)) == ("BIG", "MID")
    cheap = Prices({**prices.frames, "BIG": bars([9, 9, 1, 9], close=1.0)})
    assert pick(cheap, universe(2)) == ("MID", "LOW")
    assert pick(prices.select(["LOW", "MID", "BIG"]), universe(2)) == ("MID", "BIG")


def test_the_young_the_gone_and_those_without_volume_are_not_picked(prices):
    assert pick(prices, universe(3)) == ("BIG", "MID", "LOW")
    assert "NEW" in pick(prices, universe(3, n_bars=2))
    assert "GONE" in pick(prices, universe(1, n_bars=4, as_of=AS_OF - timedelta(days=1)))


def test_of_two_that_are_traded_alike_the_first_by_name_is_picked():
    assert pick(Prices({"B": bars([1] * 3), "A": bars([1] * 3)}), universe(1)) == ("A",)


def test_too_few_symbols_are_an_error_that_counts_them(prices):
    with pytest.raises(ConfigError, match=r"3 of 6 symbols have volume and 3 bars up to as_of 2020-03-02.*top = 4"):
        pick(prices, universe(4))


frames = st.tuples(st.integers(-12, 12), st.lists(st.integers(0, 20), min_size=1, max_size=30))


@settings(max_examples=60, deadline=None)
@given(st.lists(frames, min_size=3, max_size=6), st.randoms(use_true_random=False), st.data())
def test_as_of_law_no_bar_after_as_of_changes_what_is_picked(drawn, random, drawing):
    offsets = {f"S{n}": (AS_OF + timedelta(days=shift), volumes) for n, (shift, volumes) in enumerate(drawn)}
    market = Prices({symbol: bars(volumes, last) for symbol, (last, volumes) in offsets.items()})
    known = {symbol: frame.loc[: str(AS_OF)] for symbol, frame in market.frames.items()}
    poisoned = {
        symbol: pd.concat([past, bars([random.randint(0, 999) for _ in range(5)], AS_OF + timedelta(days=9), 77.0)])
        for symbol, past in known.items()
    }
    wanted = universe(drawing.draw(st.integers(1, 3)), drawing.draw(st.integers(1, 5)))

    def picked(frames):
        try:
            return pick(Prices(frames), wanted)
        except ConfigError as error:
            return str(error)

    assert picked(market.frames) == picked(known) == picked(poisoned)


# ---- names


def test_all_is_every_symbol_of_the_source_and_its_prices_are_read_once(tmp_path, prices):
    spec = data(write_table(tmp_path / "all.parquet", prices.select(["MID", "BIG", "NEW"])))
    named, loaded = name_symbols(spec)
    assert spec.unnamed
    assert not named.unnamed
    assert (named.symbols, named.picked_from) == (("BIG", "MID", "NEW"), ("all",))
    assert loaded == load_prices(named)


def test_a_universe_picks_from_all_or_from_the_named_and_says_from_which(tmp_path, prices):
    path = write_table(tmp_path / "all.parquet", prices.select(["BIG", "MID", "LOW", "NEW"]))
    named, loaded = name_symbols(data(path, universe=universe(1)), ["NEW"])
    assert (named.symbols, named.picked_from, loaded.symbols) == (("BIG",), ("all",), ("BIG", "NEW"))
    assert named.model_dump(mode="json")["universe"]["as_of"] == "2020-03-02"
    named, _ = name_symbols(data(path, symbols=("LOW", "MID"), universe=universe(1)))
    assert (named.symbols, named.picked_from) == (("MID",), ("LOW", "MID"))


def test_all_of_a_folder_lists_an_empty_file_as_a_problem(tmp_path, prices):
    for symbol in ("BIG", "MID"):
        prices.frames[symbol].to_csv(tmp_path / f"{symbol}.csv")
    (tmp_path / "NONE.csv").touch()
    with pytest.raises(DataError, match=r"NONE\.csv: an empty file"):
        name_symbols(data(tmp_path, source="folder"))
    (tmp_path / "NONE.csv").unlink()
    assert name_symbols(data(tmp_path, source="folder"))[0].symbols == ("BIG", "MID")


def test_all_of_the_sample_are_its_stocks():
    named, loaded = name_symbols(data(None, source="sample"))
    assert named.symbols == loaded.symbols
    assert "AAPL" in named.symbols
