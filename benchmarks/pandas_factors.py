"""The corpus as a good pandas user would make it: the rival of :mod:`benchmarks.corpus`.

The 34 formulas of :mod:`ragsignal.data.factors` with ``rolling``, ``ewm`` and ``shift`` in one ``groupby().apply``;
windows of a symbol by numpy's ``sliding_window_view``, all at once (several times faster than shifted columns and
``stack``); one ``sort_values`` in the end, names as categories. What several formulas share is computed once.

Left out, as a first version would: ties within nine digits, windows in which nothing moves, halted bars.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

TRAILING = 60
LEVELS = ("open", "high", "low", "close", "adj_close", "VWAP")
SPREADS = (
    *("MACD_Histogram", "exceeding_upper", "exceeding_lower", "alpha009", "alpha012", "alpha023", "alpha024"),
    "alpha041",
)


def corpus(bars: pd.DataFrame, lookback: int = 5) -> pd.DataFrame:
    """Candidates, sorted by the day they became known, symbol and sequence.

    Parameters
    ----------
    bars : DataFrame
        Long: ``symbol`` (a category), ``date`` and the five columns of a bar, sorted by symbol and date.

    Returns
    -------
    DataFrame
        ``available_at``, ``symbol``, ``sequence``, ``outcome``, ``movement``, and ``lookback`` columns each of dates,
        values and scale-free values.
    """
    candidates = bars.groupby("symbol", group_keys=False, observed=True)[list(bars.columns)].apply(_of_symbol, lookback)
    return candidates.sort_values(["available_at", "symbol", "sequence"], ignore_index=True)


def compute(bars: pd.DataFrame) -> pd.DataFrame:
    """The 34 sequences of one symbol."""
    return pd.DataFrame({**_technicals(bars), **_simple_alphas(bars), **_rolling_alphas(bars)}, index=bars.index)


def scale_free(bars: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Levels as log returns, spreads as a share of the close, the rest as it is."""
    scaled = values.copy()
    scaled[list(LEVELS)] = np.log(values[list(LEVELS)]).diff()
    scaled["volume"] = np.log1p(values["volume"]).diff()
    scaled[list(SPREADS)] = values[list(SPREADS)].div(bars["close"], axis=0)
    return scaled


def _of_symbol(bars: pd.DataFrame, lookback: int) -> pd.DataFrame:
    values = compute(bars).sort_index(axis=1)
    scaled = scale_free(bars, values)
    outcome = bars["close"].shift(-1) / bars["close"] - 1
    ends = np.arange(lookback - 1, len(bars) - 1)  # the last bar's outcome is not known
    # (n_ends, 34, lookback)
    raw = sliding_window_view(values.to_numpy(), lookback, axis=0)[:-1]
    free = sliding_window_view(scaled.to_numpy(), lookback, axis=0)[:-1]
    end, sequence = np.nonzero(np.isfinite(raw).all(axis=2) & np.isfinite(free).all(axis=2))
    days = bars["date"].to_numpy()
    known = outcome.to_numpy()[ends][end]
    columns = {
        "available_at": days[ends + 1][end],
        "symbol": bars["symbol"].array[ends][end],
        "sequence": pd.Categorical.from_codes(sequence, values.columns),
        "outcome": known,
        "movement": (known > 0.0055).astype(np.int8) - (known < -0.005).astype(np.int8),
    }
    windows = {"date": sliding_window_view(days, lookback)[:-1][end], "value": raw[end, sequence]}
    for name, window in {**windows, "scaled": free[end, sequence]}.items():
        columns |= {f"{name}{lag}": window[:, lag] for lag in range(lookback)}
    return pd.DataFrame(columns)


def _technicals(bars: pd.DataFrame) -> dict[str, pd.Series]:
    close = bars["close"]
    change = close.pct_change()
    fast, slow = (close.ewm(span=span, adjust=False).mean() for span in (12, 26))
    macd = fast - slow
    histogram = (macd - macd.ewm(span=9, adjust=False).mean()).where(_number(bars) >= 33)
    now = np.sign(macd.where(_number(bars) >= 25))
    before = now.shift(1)
    center, width = close.rolling(20).mean(), 2 * close.rolling(20).std()
    upper, lower = (close - (center + width)).clip(lower=0), ((center - width) - close).clip(lower=0)
    k, d = _kd(bars)
    j = 3 * k - 2 * d
    overbought, oversold = (k > 80) & (d > 70) & (j > 90), (k < 20) & (d < 30)
    return {
        **{name: bars[name] for name in ("open", "high", "low", "close")},
        "adj_close": close,
        "volume": bars["volume"],
        "movement": ((change > 0.0055).astype(float) - (change < -0.005)).where(change.notna()),
        "Returns": change,
        "VWAP": (bars["high"] + bars["low"] + close) / 3,
        "MACD_Histogram": histogram,
        "macd_crossover": (((now > 0) & (before <= 0)).astype(float) - ((now < 0) & (before >= 0)).astype(float)).where(
            before.notna()
        ),
        "bollinger_bands": np.sign(upper) - np.sign(lower),
        "exceeding_upper": upper,
        "exceeding_lower": lower,
        "overbought_and_oversold_conditions": (overbought.astype(float) - oversold).where(k.notna()),
        "kdj_crossover": np.sign(k - d),
    }


def _kd(bars: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    low, high = bars["low"].rolling(9).min(), bars["high"].rolling(9).max()
    rsv = 100 * (bars["close"] - low) / (high - low)
    k = rsv.ewm(alpha=1 / 3, adjust=False).mean()
    return k, k.ewm(alpha=1 / 3, adjust=False).mean()


def _simple_alphas(bars: pd.DataFrame) -> dict[str, pd.Series]:
    opened, high, low, close, volume = (bars[name] for name in ("open", "high", "low", "close", "volume"))
    change = close.diff()
    below, above = close - low, high - close
    reversal = -100 * change / close
    ten, twenty = close.shift(10), close.shift(20)
    bend = 100 * ((twenty - ten) / 10 - (ten - close) / 10) / close
    steady = bend.where(bend.notna(), 0.0)
    return {
        "alpha_smr": -np.log(opened / close.shift(1)),
        "alpha_mom": np.log(close.shift(1) / opened.shift(1)),
        "alpha012": np.sign(volume.diff()) * -change,
        "alpha041": np.sqrt(high * low) - (high + low + close) / 3,
        "alpha046": reversal.mask(steady < 0, 1.0).mask(steady > 0.25, -1.0).where(bend.notna()),
        "alpha049": reversal.mask(steady < -0.1, 1.0).where(bend.notna()),
        "alpha051": reversal.mask(steady < -0.05, 1.0).where(bend.notna()),
        "alpha053": -((below - above) / np.maximum(below, 0.01 * (below + above))).diff(9),
        "alpha054": -(below / (high - low)) * (opened / close) ** 5,
        "alpha101": (close - opened) / (high - low),
    }


def _rolling_alphas(bars: pd.DataFrame) -> dict[str, pd.Series]:
    opened, high, low, close, volume = (bars[name] for name in ("open", "high", "low", "close", "volume"))
    change = close.diff()
    one_way = (change.rolling(5).min() > 0) | (change.rolling(5).max() < 0)
    usual = volume.rolling(20).mean()
    center, width, last = close.rolling(8).mean(), close.rolling(8).std(), close.rolling(2).mean()
    calm = (last < center - width) | (volume >= usual)
    trend = close.rolling(100).mean().diff(100) / close.shift(100)
    above_low = close - close.rolling(100).min()
    usual_high = high.rolling(20).mean()
    middle = 100 * ((high + low) / 2 - close) / close
    below_mean = 100 * (close.rolling(7).mean() - close) / close
    persistence = ((high + low + close) / 3).rolling(230).corr(close.shift(5))
    volume_rank = np.log1p(volume).diff(2).rolling(TRAILING).rank(pct=True)
    session_rank = ((close - opened) / opened).rolling(TRAILING).rank(pct=True)
    return {
        "alpha002": -volume_rank.rolling(6).corr(session_rank),
        "alpha006": -opened.rolling(10).corr(volume),
        "alpha009": change.where(one_way, -change).where(change.shift(4).notna()),
        "alpha021": (calm & ~(last > center + width)).map({True: 1.0, False: -1.0}).where(usual.notna()),
        "alpha023": (-high.diff(2)).where(high > usual_high, 0.0).where(usual_high.notna()),
        "alpha024": (-above_low).where(trend <= 0.05, -close.diff(3)).where(trend.notna()),
        "alpha028": _zscore(usual.rolling(5).corr(low) + middle),
        "alpha032": _zscore(below_mean) + 20 * _zscore(persistence),
    }


def _zscore(values: pd.Series) -> pd.Series:
    window = values.rolling(TRAILING)
    return (values - window.mean()) / window.std()


def _number(bars: pd.DataFrame) -> pd.Series:
    return pd.Series(np.arange(len(bars)), index=bars.index)
