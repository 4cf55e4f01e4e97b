"""Predictions of freqtrade's FreqAI, one feather file a coin and training (freqtrade since the end of 2022, to 2026.9).

``user_data/models/IDENTIFIER/backtesting_predictions/cb_COIN_STAMP_prediction.feather``, where ``COIN`` is the coin in
small letters, without its currency, and ``STAMP`` the second of 1970 at which training ended. Columns:

- ``date``: when the candle *opens*, in UTC. It is known when it ends: a daily candle of 2024-05-10 at midnight UTC of
  2024-05-11. That moment is what is written down.
- ``&...``: a prediction of the target of that name (``&-s_close``), a number or, of a classifier, the likeliest class;
  its classes' probabilities are columns named after them (``up``, ``down``).
- ``&..._mean``, ``&..._std``: mean and standard deviation of the target in training.
- ``do_predict``: 1 where the prediction is to be trusted; 0 of an outlier or a candle with missing features, 2 of an
  expired model, other numbers where several tests failed. FreqAI's strategies trade on 1 only.
- ``DI_values`` and ``%%...``, which are not read.

Live predictions are kept in ``historic_predictions.pkl``. It is a pickle, which can run any code when it is read, and
is refused; each pair of it is read here as a feather file, with ``date_pred`` in the place of ``date``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.data.converters.found import ROW, Converted, LeftOut, Value, must_exist, settle
from ragsignal.errors import ConfigError, DataError

_NAME = re.compile(r"cb_(?P<coin>.+)_(?P<stamp>\d{9,11})_prediction")
_FOLDER = "backtesting_predictions"
_WHAT = f"FreqAI's folder {_FOLDER}, with cb_COIN_STAMP_prediction.feather"
_UNPICKLE = (
    "a pickle, which is not read here; in freqtrade's environment: python -c \"import pandas as pd; "
    "[t.reset_index(drop=True).to_feather(p.split('/')[0] + '.feather') for p, t in pd.read_pickle("
    "'historic_predictions.pkl').items()]\", then convert the folder of these files"
)


@dataclass(frozen=True)
class _Choice:
    """Which target, and which class of it says that prices rise."""

    target: str | None
    rise: str | None


def read_freqai(path: Path, target: str | None = None, rise: str | None = None) -> Converted:
    """Read predictions of a folder, or of one feather file.

    Parameters
    ----------
    path : Path
        The folder ``backtesting_predictions``, its parent, or a file.
    target : str, optional
        Column of the target; has to be said where there are several.
    rise : str, optional
        Of a classifier, the class that says that prices rise; has to be said where no class is named "up".

    Returns
    -------
    Converted
        By ``decided_at``. Of a classifier ``probability``, that of the class. Of a regression ``score``: the predicted
        return over the target's standard deviation in training, cut at -1 and 1. What ``do_predict`` does not trust is
        left out.

    Raises
    ------
    DataError
        If a file is a pickle or of another kind, if columns are missing, if candles are there twice, irregular, without
        a zone, or earlier than the end of the training that predicts them.
    ConfigError
        If the target or the class is not there, or has to be chosen.
    """
    tables = [_read_file(file) for file in _files(path)]
    asked = _Choice(target, rise)
    kinds = {}
    parts, left_out = [], []
    for file, table in tables:
        value, rows, untrusted = _rows_of(file, table, asked)
        kinds[value] = file
        parts.append(rows)
        left_out += untrusted
    if len(kinds) > 1:
        raise DataError(
            f"{kinds['score']} is of a regression, {kinds['probability']} of a classifier; convert them apart"
        )
    rows = pd.concat(parts, ignore_index=True)
    length = _candle(pd.concat([table[["symbol", "opens"]] for _, table in tables], ignore_index=True))
    rows["when"] = (rows["when"] + length).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    late = [LeftOut(it.symbol, str(pd.Timestamp(it.when) + length), it.reason, it.place) for it in left_out]
    return settle(rows[ROW], "decided_at", value, late)


def _files(path: Path) -> list[Path]:
    must_exist(path, _WHAT)
    if path.is_file():
        found = [path]
    else:
        folder = path / _FOLDER if (path / _FOLDER).is_dir() else path
        found = sorted(folder.glob("*.feather")) or sorted([*folder.glob("*.pkl"), *folder.glob("*.h*5")])
    if not found:
        raise DataError(f"{path}: no *.feather in it; expected {_WHAT}; give the folder of your identifier")
    for file in found:
        if file.suffix in (".pkl", ".pickle"):
            raise DataError(f"{file}: {_UNPICKLE}")
        if file.suffix != ".feather":
            raise DataError(
                f"{file}: expected a *.feather; HDF files are of freqtrade of 2022, and say no date: backtest again"
            )
    return found


def _read_file(file: Path) -> tuple[Path, pd.DataFrame]:
    """A file's table with columns ``symbol`` and ``opens``, the latter in UTC and without a zone."""
    try:
        table = pd.read_feather(file)
    except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise DataError(f"{file}: cannot be read ({error}); expected a feather file that FreqAI wrote") from None
    named = _NAME.fullmatch(file.stem)
    stamps = next((name for name in ("date", "date_pred") if name in table), None)
    missing = [name for name, there in (("date", stamps), ("do_predict", "do_predict" in table)) if not there]
    if missing:
        raise DataError(
            f"{file}: no column {missing[0]!r}; expected {_WHAT}; backtest again with freqtrade of 2023 or later"
        )
    opens = table[stamps]
    if not isinstance(opens.dtype, pd.DatetimeTZDtype):
        raise DataError(f"{file}: {stamps} has no time zone; expected UTC, as freqtrade writes it; localize the column")
    if not pd.api.types.is_numeric_dtype(table["do_predict"]):
        raise DataError(
            f"{file}: do_predict holds {table['do_predict'].dtype}; expected numbers, such as 1; backtest again"
        )
    if opens.isna().any():
        raise DataError(f"{file}, row {int(opens.isna().argmax())}: no {stamps}; backtest again")
    table["opens"] = opens.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[s]")
    table["symbol"] = named["coin"].upper() if named else file.stem
    if named:
        _refuse_in_sample(file, table["opens"], np.datetime64(int(named["stamp"]), "s"))
    return file, table


def _refuse_in_sample(file: Path, opens: pd.Series, trained: np.datetime64) -> None:
    early = int((opens.to_numpy() < trained).sum())
    if early:
        raise DataError(
            f"{file}: {early} candles open before {trained}Z, the end of the training of its name: the model has seen "
            "them; delete those rows, or backtest again"
        )


def _rows_of(file: Path, table: pd.DataFrame, asked: _Choice) -> tuple[Value, pd.DataFrame, list[LeftOut]]:
    """What a file predicts, as rows whose ``when`` is still the opening; and what is not to be trusted."""
    target = _target(file, table, asked.target)
    places = pd.Series([f"{file}, row {row}" for row in range(len(table))])
    trusted = table["do_predict"].to_numpy() == 1
    value: Value = "score" if pd.api.types.is_numeric_dtype(table[target]) else "probability"
    numbers = (
        _score(file, table, target, trusted) if value == "score" else _probability(file, table, target, asked.rise)
    )
    rows = pd.DataFrame({"symbol": table["symbol"], "when": table["opens"], "value": numbers, "place": places})
    untrusted = table[~trusted]
    left_out = [
        LeftOut(symbol, str(opens), f"do_predict = {flag:g}", f"{file}, row {row}")
        for row, symbol, opens, flag in zip(
            untrusted.index, untrusted["symbol"], untrusted["opens"], untrusted["do_predict"], strict=True
        )
    ]
    return value, rows[trusted], left_out


def _target(file: Path, table: pd.DataFrame, asked: str | None) -> str:
    names = [str(name) for name in table]
    derived = {f"{name}{ending}" for name in names for ending in ("_mean", "_std")}
    targets = [name for name in names if "&" in name and name not in derived]
    if not targets:
        raise DataError(f"{file}: no column with '&', which is what FreqAI calls a target; expected {_WHAT}")
    if asked is None and len(targets) > 1:
        raise ConfigError(f"{file}: several targets: {', '.join(targets)}; choose one: --target '{targets[0]}'")
    if asked is not None and asked not in targets:
        raise ConfigError(f"--target {asked!r}: {file} has {', '.join(targets)}; type --target '{targets[0]}'")
    return asked or targets[0]


def _score(file: Path, table: pd.DataFrame, target: str, trusted: np.ndarray) -> pd.Series:
    if f"{target}_std" not in table:
        raise DataError(
            f"{file}: no column {target + '_std'!r}, by which a predicted return becomes a score; backtest again"
        )
    spread = table[f"{target}_std"]
    if not (spread[trusted] > 0).all():
        raise DataError(
            f"{file}: {target}_std is not above 0 where do_predict is 1; the target never moved in training"
        )
    return (table[target] / spread.where(spread > 0)).clip(-1.0, 1.0)


def _probability(file: Path, table: pd.DataFrame, target: str, rise: str | None) -> pd.Series:
    labels = sorted(map(str, table[target].dropna().unique()))
    wanted = rise or "up"
    if wanted not in table or not pd.api.types.is_numeric_dtype(table[wanted]):
        raise ConfigError(
            f"{file}: no probability of a class {wanted!r}; {target} says {', '.join(labels)}; name the class that "
            f"says that prices rise: --rise {labels[0] if labels else 'CLASS'}"
        )
    return table[wanted]


def _candle(candles: pd.DataFrame) -> pd.Timedelta:
    """How long a candle is: the least distance of two, of which every other distance is a multiple."""
    ordered = candles.drop_duplicates().sort_values(["symbol", "opens"])
    gaps = ordered.groupby("symbol")["opens"].diff().dropna()
    if gaps.empty:
        raise DataError("one candle a coin: how long it is cannot be told; expected two in a row at least")
    least = gaps.min()
    of_coins = gaps.groupby(ordered["symbol"]).min()
    if (gaps % least != pd.Timedelta(0)).any() or (of_coins != least).any():
        raise DataError(
            f"candles are not spaced alike: the least distance is {least}, others are no multiple of it, or a coin has "
            "longer candles; expected one timeframe; convert each timeframe apart"
        )
    return pd.Timedelta(least)
