"""What it is worth to scale a window with rows that lie in its future, measured on the bundled prices.

A small model predicts the next five closes from the last twenty. Both are scaled by mean and standard deviation of the
window, as sequence models of prices are fed; the one question is, of which rows:

``honest``    of the twenty that are known;
``leaky``     of all twenty-five, in training and in the test, as a data set class does that cuts a window and scales it
              whole (Kronos' fine-tuning until April 2026);
``deployed``  trained like ``leaky``, used like ``honest``: what happens to such a model when it meets the market.

    python examples/horizon_leak.py --out runs/horizon-leak          # decisions of each, and how often they are right
    ragsignal backtest examples/horizon_leak.toml                    # what they would have earned
    ragsignal audit examples/horizon_leak.toml horizon_leak:honest horizon_leak:leaky horizon_leak:deployed
    ragsignal audit examples/horizon_leak.toml horizon_leak:known_inputs horizon_leak:whole_inputs

All that is audited is a function of a stock's bars, so that the audit can cut these bars. What it reads beside them is
the model, which is fitted on 2009 to 2012 and used from 2013 on. ``known_inputs`` and ``whole_inputs`` are what the two
models are trained on: the leak of ``deployed`` shows there, and nowhere else.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal import load_sample

LOOKBACK = 20  # closes that are known
HORIZON = 5  # closes that are predicted
FIT_THROUGH = pd.Timestamp("2012-12-31")  # no label of the fit is known later
RIDGE = 1.0

Frames = Mapping[str, pd.DataFrame]


def honest(bars: pd.DataFrame) -> pd.Series:
    """Score of each day in [-1, 1]; windows are scaled by the rows that are known."""
    return _score(bars, "honest", "honest")


def leaky(bars: pd.DataFrame) -> pd.Series:
    """The same, but windows are scaled by the rows that are known and the five after them."""
    return _score(bars, "leaky", "leaky")


def deployed(bars: pd.DataFrame) -> pd.Series:
    """The model of ``leaky``, on windows of ``honest``: nothing of the future is read when it is used."""
    return _score(bars, "leaky", "honest")


def known_inputs(bars: pd.DataFrame) -> pd.DataFrame:
    """What ``honest`` is trained on: the scaled lookback of each day, a column a row of the window."""
    return _inputs(bars, "honest")


def whole_inputs(bars: pd.DataFrame) -> pd.DataFrame:
    """What ``leaky`` and ``deployed`` are trained on."""
    return _inputs(bars, "leaky")


FEATURES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {"honest": honest, "leaky": leaky, "deployed": deployed}


def _inputs(bars: pd.DataFrame, scaling: str) -> pd.DataFrame:
    return pd.DataFrame(scale(np.log(bars["close"].to_numpy(np.float64)), scaling)[:, :LOOKBACK], bars.index)


def _score(bars: pd.DataFrame, fitted: str, scaling: str) -> pd.Series:
    """By how many standard deviations of its window the fifth close is predicted above the last one, at most one."""
    scaled = scale(np.log(bars["close"].to_numpy(dtype=np.float64)), scaling)[:, :LOOKBACK]
    predicted = scaled @ weights(fitted)
    return pd.Series(np.clip(predicted[:, -1] - scaled[:, -1], -1.0, 1.0), bars.index, name="score")


def scale(closes: np.ndarray, scaling: str) -> np.ndarray:
    """Windows that end with each close, and the rows after them: (n, LOOKBACK + HORIZON), NaN where there is no row."""
    padded = np.concatenate([np.full(LOOKBACK - 1, np.nan), closes, np.full(HORIZON, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, LOOKBACK + HORIZON)
    rows = windows[:, :LOOKBACK] if scaling == "honest" else windows  # the whole difference
    known = np.isfinite(windows[:, :1])  # a whole lookback
    rows = np.where(known, rows, np.nan)
    count = np.maximum(np.isfinite(rows).sum(axis=1, keepdims=True), 1)
    mean = np.nansum(rows, axis=1, keepdims=True) / count
    spread = np.sqrt(np.nansum((rows - mean) ** 2, axis=1, keepdims=True) / count)
    return np.where(known, (windows - mean) / (spread + 1e-9), np.nan)


@functools.cache
def weights(scaling: str) -> np.ndarray:
    """Ridge regression of the five scaled closes on the twenty before them: (LOOKBACK, HORIZON)."""
    return fit({symbol: bars.loc[:FIT_THROUGH] for symbol, bars in load_sample().frames.items()}, scaling)


def fit(frames: Frames, scaling: str) -> np.ndarray:
    """Weights of the regression on all windows of some bars whose five rows after are there."""
    windows = np.concatenate([scale(np.log(bars["close"].to_numpy(np.float64)), scaling) for bars in frames.values()])
    whole = windows[np.isfinite(windows).all(axis=1)]
    past, future = whole[:, :LOOKBACK], whole[:, LOOKBACK:]
    return np.asarray(np.linalg.solve(past.T @ past + RIDGE * np.eye(LOOKBACK), past.T @ future))


def decisions(frames: Frames, feature: Callable[[pd.DataFrame], pd.Series]) -> pd.DataFrame:
    """Decisions after the fit, as ``signal = "external"`` reads them: symbol, date, score."""
    parts = []
    for symbol, bars in frames.items():
        scores = feature(bars).loc[FIT_THROUGH + pd.Timedelta(days=1) :].dropna()
        parts.append(pd.DataFrame({"symbol": symbol, "date": scores.index.strftime("%Y-%m-%d"), "score": scores}))
    return pd.concat(parts, ignore_index=True).sort_values(["date", "symbol"], ignore_index=True)


def right_share(frames: Frames, table: pd.DataFrame) -> float:
    """Share of decisions whose side is that of the close five bars later, over all that have one and are not 0."""
    right = total = 0
    for symbol, rows in table.groupby("symbol"):
        closes = frames[str(symbol)]["close"]
        later = np.sign(closes.shift(-HORIZON) / closes - 1.0)
        sides = rows.set_index(pd.DatetimeIndex(rows["date"]))["score"].pipe(np.sign)
        counted = (sides != 0) & (later.reindex(sides.index).abs() == 1)
        right += int((sides[counted] == later.reindex(sides.index)[counted]).sum())
        total += int(counted.sum())
    return right / total


def main() -> None:
    """Write the decisions of each feature; print how many of them are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("runs/horizon-leak"), help="folder that receives the decisions"
    )
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    frames = load_sample().frames
    shares = {}
    for name, feature in FEATURES.items():
        table = decisions(frames, feature)
        table.to_csv(folder / f"{name}.csv", index=False)
        shares[name] = {"decisions": len(table), "right": round(right_share(frames, table), 4)}
    print(json.dumps(shares, indent=1))


if __name__ == "__main__":
    main()
