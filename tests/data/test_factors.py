"""The 34 sequences: laws as properties, an independent plain-Python formula for each, and goldens by hand."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import factors
from ragsignal.errors import DataError

BARS = 330  # more than the longest history, alpha032's 294
PRICE = ("open", "high", "low", "close", "adj_close", "volume")
TECHNICAL = (
    *("movement", "Returns", "VWAP", "MACD_Histogram", "macd_crossover", "bollinger_bands", "exceeding_upper"),
    *("exceeding_lower", "overbought_and_oversold_conditions", "kdj_crossover"),
)
ALPHA = (
    *("alpha_smr", "alpha_mom", "alpha002", "alpha006", "alpha009", "alpha012", "alpha021", "alpha023", "alpha024"),
    *("alpha028", "alpha032", "alpha041", "alpha046", "alpha049", "alpha051", "alpha053", "alpha054", "alpha101"),
)
NAMES = PRICE + TECHNICAL + ALPHA
FIRST_KNOWN_BAR = {
    **dict.fromkeys(("movement", "Returns", "alpha_smr", "alpha_mom", "alpha012"), 1),
    **{"MACD_Histogram": 33, "macd_crossover": 26, "overbought_and_oversold_conditions": 8, "kdj_crossover": 8},
    **dict.fromkeys(("bollinger_bands", "exceeding_upper", "exceeding_lower", "alpha021", "alpha023"), 19),
    **{"alpha002": 66, "alpha006": 9, "alpha009": 5, "alpha024": 199, "alpha028": 82, "alpha032": 293, "alpha053": 9},
    **dict.fromkeys(("alpha046", "alpha049", "alpha051"), 20),
}


def market(bars: int, seed: int, sigma: float = 0.02, odd: float = 0.0) -> pd.DataFrame:
    """Random bars; a share ``odd`` of them is halted, closes at an extreme, has no volume, or a badly rounded high."""
    rng = np.random.default_rng(seed)
    halted, at_low, at_high, untraded, rounded = (rng.random((5, bars)) < odd) & (rng.random(bars) < 0.7)
    moves = np.where(halted, 0.0, rng.normal(0, sigma, bars))
    close = 50 * np.exp(np.cumsum(moves))
    before = np.concatenate([[50.0], close[:-1]])
    open_ = np.where(halted, close, before * np.exp(rng.normal(0, sigma / 3, bars)))
    up, down = np.abs(rng.normal(0, sigma / 3, (2, bars)))
    high = np.maximum(open_, close) * np.exp(np.where(halted | at_high, 0.0, up))
    low = np.minimum(open_, close) * np.exp(-np.where(halted | at_low, 0.0, down))
    high = np.where(rounded & ~halted, np.maximum(low, high * (1 - 5e-4)), high)
    volume = np.where(untraded, 0.0, np.round(rng.lognormal(13, 0.7, bars)))
    days = pd.bdate_range("2015-01-01", periods=bars)
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=days)


markets = st.builds(
    market,
    bars=st.integers(1, BARS),
    seed=st.integers(0, 2**32),
    sigma=st.sampled_from([0.0, 0.003, 0.02, 0.15]),
    odd=st.sampled_from([0.0, 0.1, 0.9]),
)
few = settings(max_examples=60, deadline=None)


def both(frame: pd.DataFrame) -> np.ndarray:
    values = factors.compute(frame)
    return np.hstack([values.to_numpy(), factors.scale_free(frame, values).to_numpy()])


def assert_same_bits(left: np.ndarray, right: np.ndarray) -> None:
    assert left.shape == right.shape
    assert np.array_equal(left, right, equal_nan=True)


# --- laws -----------------------------------------------------------------------------------------------------------


@few
@given(markets, st.floats(0, 1))
def test_truncating_the_future_changes_no_bit(frame: pd.DataFrame, share: float) -> None:
    cut = int(share * len(frame))
    assert_same_bits(both(frame.iloc[:cut]), both(frame)[:cut])


@few
@given(markets, st.floats(0, 1), st.sampled_from([np.nan, 1e-6, 1e6]))
def test_poisoning_the_bars_after_t_changes_no_bit_up_to_t(frame: pd.DataFrame, share: float, poison: float) -> None:
    t = int(share * (len(frame) - 1))
    poisoned = frame.copy()
    poisoned.iloc[t + 1 :] *= poison
    assert_same_bits(both(poisoned)[: t + 1], both(frame)[: t + 1])


@few
@given(markets, st.floats(1e-3, 1e4))
def test_multiplying_all_prices_changes_no_scale_free_value(frame: pd.DataFrame, factor: float) -> None:
    scaled = frame.assign(**{name: frame[name] * factor for name in ("open", "high", "low", "close")})
    expected = factors.scale_free(frame, factors.compute(frame))
    actual = factors.scale_free(scaled, factors.compute(scaled))
    pd.testing.assert_frame_equal(actual, expected, check_exact=False, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@few
@given(markets)
def test_values_are_unknown_only_at_the_start_and_finite_from_then_on(frame: pd.DataFrame) -> None:
    values = factors.compute(frame)
    free = factors.scale_free(frame, values)
    for name, sequence in factors.SEQUENCES.items():
        first = FIRST_KNOWN_BAR.get(name, 0)
        assert values[name].iloc[:first].isna().all(), name
        assert np.isfinite(values[name].iloc[first:]).all(), name
        free_first = max(first, 1) if sequence.kind == "level" else first
        assert free[name].iloc[:free_first].isna().all(), name
        assert np.isfinite(free[name].iloc[free_first:]).all(), name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sets(st.sampled_from(["open", "high", "low", "volume"]), min_size=1))
def test_what_reads_a_column_is_unknown_without_it_and_the_rest_is_unchanged(seed: int, columns: set[str]) -> None:
    names, frame = list(columns), market(BARS, seed, odd=0.1)
    # other bars around the same close: their distance to it, and other volumes
    other = market(BARS, seed + 1, odd=0.1)
    around = other.mul(frame["close"] / other["close"], axis=0).assign(volume=other["volume"])
    full, changed, without = (
        factors.compute(table)
        for table in (frame, frame.assign(**around[names]), frame.assign(**dict.fromkeys(names, np.nan)))
    )
    for name in NAMES:
        if full[name].equals(changed[name]):
            assert without[name].isna().all() or without[name].equals(full[name]), name
        else:
            assert without[name].isna().all(), name


def test_closes_alone_give_14_sequences() -> None:
    alone = market(BARS, seed=1).assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)
    values = factors.compute(alone)
    assert list(values.columns[values.notna().any()]) == [
        *("close", "adj_close", "movement", "Returns", "MACD_Histogram", "macd_crossover", "bollinger_bands"),
        *("exceeding_upper", "exceeding_lower", "alpha009", "alpha024", "alpha046", "alpha049", "alpha051"),
    ]


@few
@given(markets)
def test_bounded_sequences_keep_their_bounds(frame: pd.DataFrame) -> None:
    values = factors.compute(frame)
    for name in ("alpha101", "alpha002", "alpha006"):
        assert values[name].dropna().between(-1, 1).all(), name
    assert values["alpha054"].le(0).all()
    for name, sequence in factors.SEQUENCES.items():
        if sequence.kind == "category":
            assert set(values[name].dropna()) <= {-1.0, 0.0, 1.0}, name
        if sequence.kind == "level" and name != "volume":
            assert values[name].gt(0).all(), name


@pytest.mark.parametrize("price", [0.1, 1 / 3, 0.7, 12.7, 55.1, 333.3])
def test_a_stock_that_does_not_move_has_no_news_though_its_means_round(price: float) -> None:
    frame = market(BARS, seed=1, sigma=0.0)
    frame[["open", "high", "low", "close"]] = price
    values = factors.compute(frame)
    quiet = [name for name in TECHNICAL + ALPHA if name not in ("VWAP", "alpha021")]
    assert values[quiet].dropna().abs().to_numpy().max() <= 1e-9
    busy = frame["volume"] >= frame["volume"].rolling(20).mean()
    assert values["alpha021"].iloc[19:].tolist() == [1.0 if b else -1.0 for b in busy.iloc[19:]]  # not high, not low
    both_still = factors.compute(frame.assign(volume=price))
    assert both_still["alpha006"].dropna().eq(0).all()


@pytest.mark.parametrize("unit", [0.1, 1 / 3, 0.7, 1.0, 12.7])
def test_a_straight_line_does_not_bend_though_its_differences_round(unit: float) -> None:
    prices = unit * np.arange(100, 140)
    frame = tiny(*[(price, price + unit, price - unit, price, 100) for price in prices])
    values = factors.compute(frame).iloc[20:]
    np.testing.assert_allclose(values["alpha046"], -100 * unit / prices[20:])  # bend = 0 is not below 0
    assert values["overbought_and_oversold_conditions"].eq(0).all()  # K = D = J = 90: J is not above 90


@pytest.mark.slow
@few
@given(st.lists(markets, min_size=1, max_size=5), st.sampled_from([1, 500, 1 << 16]), st.data())
def test_symbols_side_by_side_have_the_bits_of_each_alone(
    frames: list[pd.DataFrame], batch: int, data: st.DataObject
) -> None:
    closes_alone = data.draw(st.integers(0, len(frames) - 1))
    frames[closes_alone] = frames[closes_alone].assign(open=np.nan, volume=np.nan)
    names = data.draw(st.sampled_from([NAMES, ("alpha032", "volume", "kdj_crossover")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "_BATCH_NUMBERS", batch)
        stacked = np.vstack(factors.compute_stacked(frames, names))
    alone = []
    for frame in frames:
        values = factors.compute(frame)
        alone.append(np.vstack([values[list(names)].T, factors.scale_free(frame, values)[list(names)].T]))
    assert_same_bits(stacked, np.hstack(alone))


def test_a_missing_column_of_one_of_several_symbols_is_named() -> None:
    frames = [market(5, seed=1), market(5, seed=2).drop(columns="high")]
    with pytest.raises(DataError, match=r"no column \['high'\]"):
        factors.compute_stacked(frames, NAMES)


def test_the_34_stand_in_the_papers_order_and_say_what_they_are() -> None:
    assert tuple(factors.SEQUENCES) == NAMES
    assert len(NAMES) == 34
    assert tuple(factors.compute(market(5, seed=1)).columns) == NAMES
    for name, sequence in factors.SEQUENCES.items():
        assert sequence.name == name
        assert len(sequence.text) > 10, name


def test_scale_free_takes_logs_of_levels_and_fractions_of_spreads() -> None:
    frame = market(60, seed=2)
    frame.iloc[30, 4] = 0.0
    values = factors.compute(frame)
    free = factors.scale_free(frame, values)
    np.testing.assert_allclose(free["high"].iloc[7], math.log(frame["high"].iloc[7] / frame["high"].iloc[6]))
    np.testing.assert_allclose(free["volume"].iloc[30], -math.log1p(frame["volume"].iloc[29]))
    np.testing.assert_allclose(free["alpha012"].iloc[7], values["alpha012"].iloc[7] / frame["close"].iloc[7])
    unchanged = [name for name, s in factors.SEQUENCES.items() if s.kind in ("value", "category")]
    pd.testing.assert_frame_equal(free[unchanged], values[unchanged])


def test_a_missing_column_and_foreign_values_are_named() -> None:
    frame = market(10, seed=3)
    with pytest.raises(DataError, match="no column \\['volume'\\]"):
        factors.compute(frame.drop(columns="volume"))
    with pytest.raises(DataError, match="10 bars do not belong to a frame of 9"):
        factors.scale_free(frame.iloc[:9], factors.compute(frame))


# --- an independent formula for each, one bar at a time, in plain Python ----------------------------------------------


class Oracle:
    """Formulas of arXiv 2502.05878 and 1601.00991, spelled out for one bar."""

    def __init__(self, frame: pd.DataFrame) -> None:
        columns: list[list[float]] = [frame[name].tolist() for name in ("open", "high", "low", "close", "volume")]
        self.o, self.h, self.l, self.c, self.v = columns
        self.typical = [(h + low + c) / 3 for h, low, c in zip(self.h, self.l, self.c, strict=True)]

    def at(self, name: str, t: int) -> float:
        return float(getattr(self, name)(t))

    def movement(self, t: int) -> float:
        change = self.Returns(t)
        return 1 if change > 0.0055 else -1 if change < -0.005 else 0

    def Returns(self, t: int) -> float:  # noqa: N802 - the released data's spelling
        return (self.c[t] - self.c[t - 1]) / self.c[t - 1]

    def VWAP(self, t: int) -> float:  # noqa: N802
        return self.typical[t]

    def _ema(self, values: list[float], span: int) -> list[float]:
        weight, out = 2 / (span + 1), [values[0]]
        for value in values[1:]:
            out.append(weight * value + (1 - weight) * out[-1])
        return out

    def _macd(self) -> list[float]:
        return [a - b for a, b in zip(self._ema(self.c, 12), self._ema(self.c, 26), strict=True)]

    def MACD_Histogram(self, t: int) -> float:  # noqa: N802
        macd = self._macd()
        return macd[t] - self._ema(macd, 9)[t]

    def macd_crossover(self, t: int) -> float:
        before, now = self._macd()[t - 1 : t + 1]
        return 1 if before <= 0 < now else -1 if now < 0 <= before else 0

    def _bands(self, t: int) -> tuple[float, float]:
        window = self.c[t - 19 : t + 1]
        return statistics.mean(window) - 2 * statistics.stdev(window), statistics.mean(window) + 2 * statistics.stdev(
            window
        )

    def bollinger_bands(self, t: int) -> float:
        lower, upper = self._bands(t)
        return 1 if self.c[t] > upper else -1 if self.c[t] < lower else 0

    def exceeding_upper(self, t: int) -> float:
        return max(self.c[t] - self._bands(t)[1], 0)

    def exceeding_lower(self, t: int) -> float:
        return max(self._bands(t)[0] - self.c[t], 0)

    def _kdj(self, t: int) -> tuple[float, float, float]:
        k = d = math.nan
        for i in range(8, t + 1):
            bottom, top = min(self.l[i - 8 : i + 1]), max(self.h[i - 8 : i + 1])
            rsv = 100 * (self.c[i] - bottom) / (top - bottom)
            k = rsv if i == 8 else 2 / 3 * k + 1 / 3 * rsv
            d = k if i == 8 else 2 / 3 * d + 1 / 3 * k
        return k, d, 3 * k - 2 * d

    def overbought_and_oversold_conditions(self, t: int) -> float:
        k, d, j = self._kdj(t)
        return 1 if k > 80 and d > 70 and j > 90 else -1 if k < 20 and d < 30 else 0

    def kdj_crossover(self, t: int) -> float:
        k, d, _ = self._kdj(t)
        return 1 if k > d else -1 if k < d else 0

    def alpha_smr(self, t: int) -> float:
        return -math.log(self.o[t] / self.c[t - 1])

    def alpha_mom(self, t: int) -> float:
        return math.log(self.c[t - 1] / self.o[t - 1])

    def _rank(self, of: Callable[[int], float], t: int) -> float:
        window = [of(i) for i in range(t - 59, t + 1)]
        return (1 + sum(value < window[-1] for value in window)) / 60  # no ties in the oracle's market

    def _zscore(self, of: Callable[[int], float], t: int) -> float:
        window = [of(i) for i in range(t - 59, t + 1)]
        return (window[-1] - statistics.mean(window)) / statistics.stdev(window)

    def alpha002(self, t: int) -> float:
        def volume_rank(i: int) -> float:
            return self._rank(lambda j: math.log((1 + self.v[j]) / (1 + self.v[j - 2])), i)

        def session_rank(i: int) -> float:
            return self._rank(lambda j: self.c[j] / self.o[j], i)

        days = range(t - 5, t + 1)
        return -statistics.correlation([volume_rank(i) for i in days], [session_rank(i) for i in days])

    def alpha006(self, t: int) -> float:
        return -statistics.correlation(self.o[t - 9 : t + 1], self.v[t - 9 : t + 1])

    def alpha009(self, t: int) -> float:
        changes = [self.c[i] - self.c[i - 1] for i in range(t - 4, t + 1)]
        return changes[-1] if min(changes) > 0 or max(changes) < 0 else -changes[-1]

    def alpha012(self, t: int) -> float:
        return math.copysign(1, self.v[t] - self.v[t - 1]) * (self.c[t - 1] - self.c[t])

    def alpha021(self, t: int) -> float:
        mean8, std8 = statistics.mean(self.c[t - 7 : t + 1]), statistics.stdev(self.c[t - 7 : t + 1])
        mean2 = (self.c[t] + self.c[t - 1]) / 2
        if mean8 + std8 < mean2:
            return -1
        if mean2 < mean8 - std8:
            return 1
        return 1 if self.v[t] / statistics.mean(self.v[t - 19 : t + 1]) >= 1 else -1

    def alpha023(self, t: int) -> float:
        return self.h[t - 2] - self.h[t] if statistics.mean(self.h[t - 19 : t + 1]) < self.h[t] else 0

    def alpha024(self, t: int) -> float:
        old, new = statistics.mean(self.c[t - 199 : t - 99]), statistics.mean(self.c[t - 99 : t + 1])
        if (new - old) / self.c[t - 100] <= 0.05:
            return min(self.c[t - 99 : t + 1]) - self.c[t]
        return self.c[t - 3] - self.c[t]

    def alpha028(self, t: int) -> float:
        def inner(i: int) -> float:
            usual_volumes = [statistics.mean(self.v[j - 19 : j + 1]) for j in range(i - 4, i + 1)]
            middle = (self.h[i] + self.l[i]) / 2
            return statistics.correlation(usual_volumes, self.l[i - 4 : i + 1]) + 100 * (middle / self.c[i] - 1)

        return self._zscore(inner, t)

    def alpha032(self, t: int) -> float:
        first = self._zscore(lambda i: statistics.mean(self.c[i - 6 : i + 1]) / self.c[i] - 1, t)
        second = self._zscore(
            lambda i: statistics.correlation(self.typical[i - 229 : i + 1], self.c[i - 234 : i - 4]), t
        )
        return first + 20 * second

    def alpha041(self, t: int) -> float:
        return math.sqrt(self.h[t] * self.l[t]) - self.typical[t]

    def _bend_and_reversal(self, t: int) -> tuple[float, float]:
        c = [100 * price / self.c[t] for price in self.c[: t + 1]]
        return (c[t - 20] - c[t - 10]) / 10 - (c[t - 10] - c[t]) / 10, c[t - 1] - c[t]

    def alpha046(self, t: int) -> float:
        bend, reversal = self._bend_and_reversal(t)
        return -1 if bend > 0.25 else 1 if bend < 0 else reversal

    def alpha049(self, t: int) -> float:
        bend, reversal = self._bend_and_reversal(t)
        return 1 if bend < -0.1 else reversal

    def alpha051(self, t: int) -> float:
        bend, reversal = self._bend_and_reversal(t)
        return 1 if bend < -0.05 else reversal

    def alpha053(self, t: int) -> float:
        def inner(i: int) -> float:
            below, above = self.c[i] - self.l[i], self.h[i] - self.c[i]
            return (below - above) / max(below, 0.01 * (below + above))

        return inner(t - 9) - inner(t)

    def alpha054(self, t: int) -> float:
        return -(self.l[t] - self.c[t]) * self.o[t] ** 5 / ((self.l[t] - self.h[t]) * self.c[t] ** 5)

    def alpha101(self, t: int) -> float:
        return (self.c[t] - self.o[t]) / (self.h[t] - self.l[t])


ORACLE_MARKET = market(BARS, seed=7)
ORACLE_VALUES = factors.compute(ORACLE_MARKET)


@pytest.mark.parametrize("name", TECHNICAL + ALPHA)
def test_every_formula_equals_its_plain_python_form(name: str) -> None:
    oracle = Oracle(ORACLE_MARKET)
    first = FIRST_KNOWN_BAR.get(name, 0)
    bars = [first, *range(first + 1, BARS, 29 if name in ("alpha028", "alpha032") else 3)]
    expected = [oracle.at(name, t) for t in bars]
    np.testing.assert_allclose(ORACLE_VALUES[name].iloc[bars], expected, rtol=1e-9, atol=1e-11)
    if factors.SEQUENCES[name].kind == "category":
        assert len(set(ORACLE_VALUES[name].dropna())) >= 2, "a branch was never taken"


def test_price_sequences_are_the_bars_themselves() -> None:
    columns = ["open", "high", "low", "close", "volume"]
    pd.testing.assert_frame_equal(ORACLE_VALUES[columns], ORACLE_MARKET[columns])
    assert ORACLE_VALUES["adj_close"].equals(ORACLE_MARKET["close"].rename("adj_close"))


# --- goldens by hand --------------------------------------------------------------------------------------------------


def tiny(*bars: tuple[float, float, float, float, float]) -> pd.DataFrame:
    columns = ["open", "high", "low", "close", "volume"]
    return pd.DataFrame(bars, columns=columns, index=pd.bdate_range("2020-01-01", periods=len(bars)), dtype=float)


def closes(*prices: float, volume: float = 100.0) -> pd.DataFrame:
    return tiny(*[(price, price + 1, price - 1, price, volume) for price in prices])


def last(frame: pd.DataFrame, name: str) -> float:
    return float(factors.compute(frame)[name].iloc[-1])


def test_goldens_on_two_bars() -> None:
    frame = tiny((8, 12, 8, 10, 500), (11, 16, 9, 12, 400))
    expected = {
        "movement": 1,
        "Returns": 0.2,
        "VWAP": 37 / 3,
        "alpha_smr": -math.log(1.1),
        "alpha_mom": math.log(1.25),
        "alpha012": 2,  # volume fell, price rose by 2: -1 * -2
        "alpha041": 12 - 37 / 3,  # sqrt(16 * 9) = 12
        "alpha054": -(3 / 7) * (11 / 12) ** 5,
        "alpha101": 1 / 7,
    }
    for name, value in expected.items():
        assert last(frame, name) == pytest.approx(value, abs=1e-12), name


def test_a_bar_without_a_range_gives_zero_where_the_formula_divides_by_it() -> None:
    frame = tiny(*[(8, 12, 8, 10, 500)] * 9, (11, 11, 11, 11, 400))
    assert last(frame, "alpha054") == 0
    assert last(frame, "alpha101") == 0
    assert last(frame, "alpha053") == 0  # nine bars ago: ((10 - 8) - (12 - 10)) / 2 = 0


def test_alpha053_counts_a_close_at_the_low_as_one_percent_of_the_range() -> None:
    frame = tiny(*[(8, 12, 8, 10, 500)] * 9, (11, 12, 8, 8, 400))
    assert last(frame, "alpha053") == pytest.approx(100)  # -((0 - 4) / 0.04 - 0)


def test_alpha009_follows_five_moves_in_one_direction_and_fades_the_rest() -> None:
    assert last(closes(10, 11, 12, 13, 14, 16), "alpha009") == 2
    assert last(closes(16, 15, 14, 13, 12, 9), "alpha009") == -3
    assert last(closes(10, 11, 10, 13, 14, 16), "alpha009") == -2


@pytest.mark.parametrize(("volume", "expected"), [(50.0, -1.0), (100.0, 1.0), (300.0, 1.0)])
def test_in_alpha021_volume_decides_when_the_price_is_neither_high_nor_low(volume: float, expected: float) -> None:
    frame = closes(*[10, 11] * 10)
    frame.iloc[-1, 4] = volume
    assert last(frame, "alpha021") == expected


def test_alpha021_sells_what_is_high_and_buys_what_is_low_whatever_the_volume() -> None:
    quiet = [10.0, 11.0] * 9
    assert last(closes(*quiet, 15, 15), "alpha021") == -1  # volume alone would say 1
    low = closes(*quiet, 7, 7)
    low.iloc[-1, 4] = 1.0  # volume alone would say -1
    assert last(low, "alpha021") == 1


def test_bollinger_bands_report_the_side_and_the_excess() -> None:
    frame = closes(*[100.0] * 19, 120.0)
    # mean 101, sample standard deviation sqrt((19 * 1 + 19^2) / 19) = sqrt(20)
    excess = 120 - (101 + 2 * math.sqrt(20))
    assert last(frame, "exceeding_upper") == pytest.approx(excess)
    assert last(frame, "bollinger_bands") == 1
    assert last(frame, "exceeding_lower") == 0
    mirrored = closes(*[100.0] * 19, 80.0)
    assert last(mirrored, "exceeding_lower") == pytest.approx(excess)
    assert last(mirrored, "bollinger_bands") == -1
    assert last(mirrored, "exceeding_upper") == 0


def test_macd_crosses_once_when_a_trend_turns() -> None:
    frame = closes(*range(200, 150, -1), *range(151, 200))
    crossings = factors.compute(frame)["macd_crossover"]
    assert crossings.iloc[26:50].eq(0).all()
    assert crossings.iloc[50:].eq(1).sum() == 1
    assert crossings.eq(-1).sum() == 0


def test_kdj_is_overbought_after_a_run_up_and_oversold_after_a_run_down() -> None:
    up = closes(*range(100, 160, 2))  # RSV = 100 * (16 + 1) / (16 + 2) = 94.4 on each bar, and so are K, D and J
    assert last(up, "overbought_and_oversold_conditions") == 1
    assert last(up, "kdj_crossover") == 0
    down = closes(*range(160, 100, -2))
    assert last(down, "overbought_and_oversold_conditions") == -1
    slow = closes(*range(100, 130))  # RSV = 90: J is not above 90
    assert last(slow, "overbought_and_oversold_conditions") == 0
    assert last(closes(*range(100, 130), 120, 110), "kdj_crossover") == -1
    assert last(closes(*range(130, 100, -1), 110, 120), "kdj_crossover") == 1


def test_alpha046_reads_its_threshold_as_percent_of_the_price() -> None:
    assert last(closes(*[100.0] * 11, *np.linspace(100.3, 103, 10)), "alpha046") == -1  # 0.3 a day steeper
    assert last(closes(*[10.0] * 11, *np.linspace(10.03, 10.3, 10)), "alpha046") == -1  # the same at a tenth
    assert last(closes(*[100.0] * 11, *np.linspace(99.9, 99, 10)), "alpha046") == 1  # bends down
    mild = closes(*[100.0] * 11, *np.linspace(100.1, 101, 10))
    assert last(mild, "alpha046") == pytest.approx(-100 * 0.1 / 101)


def test_returns_that_differ_only_by_rounding_rank_equally() -> None:
    prices = np.random.default_rng(1).uniform(10, 500, 80)
    frame = tiny(*[(price, 1.2 * price, 0.9 * price, 1.1 * price, 100 + i % 7) for i, price in enumerate(prices)])
    assert factors.compute(frame)["alpha002"].dropna().eq(0).all()  # a side that does not move has no correlation


def test_88_symbols_of_five_years_take_seconds_and_not_minutes() -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.01, (1250, 4)).cumsum(axis=0)
    prices = np.sort(50 * np.exp(steps[:, [0]] + 0.005 * rng.normal(size=(1250, 4))), axis=1)
    index = pd.bdate_range("2015-01-01", periods=1250, name="date")
    frame = pd.DataFrame(prices[:, [1, 3, 0, 2]], index=index, columns=["open", "high", "low", "close"])
    frame["volume"] = rng.integers(1, 10**6, 1250).astype(float)
    began = time.perf_counter()
    for _ in range(88):
        factors.scale_free(frame, factors.compute(frame))
    assert time.perf_counter() - began < 20  # about 1 s on an idle core
