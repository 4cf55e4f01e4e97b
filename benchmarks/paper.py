"""The ACL18 benchmark of arXiv 2502.05878, counted again from public prices. LEAKING: see :func:`date_lookup`.

Train, valid and test are 33, 5 and 33 stocks in alphabetical order, all on the same days. The counts of the paper's
Table 1 come out exactly, but for its test queries: 2,912 there, 3,044 here, and no reason is given for those left out.
Candidates are stocks x (days - 5) x 34 sequences, windows without values included; the training set has 441,694 and not
444,312 because BABA was first traded on 2014-09-19.

Prices are the CSV files of yumoxu/stocknet-dataset (MIT licence). :func:`ragsignal.data.prices.read_folder` judges
whole files and refuses REX for an empty bar on 2016-06-29, after the last day that counts here. So
:func:`read_closes` reads two columns of the span alone, and is as strict within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.data import SEQUENCES, UNREADABLE, csv_path, movement_of
from ragsignal.errors import DataError

FIRST_DAY, LAST_DAY = date(2014, 6, 2), date(2015, 12, 31)
FIRST_QUERY = date(2015, 6, 2)
"""The day that is predicted. The paper's Table 1 says 2015-06-03, which would give 3,294 queries and not its 3,312."""
LOOKBACK = 5

STOCKS: dict[str, tuple[str, ...]] = {
    part: tuple(symbols.split())
    for part, symbols in {
        "train": "ABBV AEP AMGN AMZN BA BABA BAC BCH BHP BP BRK-A BSAC BUD C CAT CHTR CMCSA CODI CSCO CVX D DHR DIS "
        "DUK EXC GD GE GOOG HD HON HSBC IEP INTC",
        "valid": "JNJ JPM KO LMT MA",
        "test": "MCD MDT MMM MO MRK MSFT NEE NGG NVS ORCL PCG PEP PFE PG PM PPL REX SLB SNY SO SPLP SRE T TM TSM UL "
        "UNH UPS V VZ WFC WMT XOM",
    }.items()
}

EXPECTED: dict[str, dict[str, int]] = {
    "train": {"stocks": 33, "queries": 3_312, "candidates": 441_694},
    "valid": {"stocks": 5, "queries": 440, "candidates": 67_320},
    "test": {"stocks": 33, "queries": 3_044, "candidates": 444_312},
}
"""Table 1 of the paper, but with all test queries: it has 2,912."""


def read_closes(folder: str | Path) -> dict[str, pd.Series[float]]:
    """Adjusted closes of every stock from ``FIRST_DAY`` to ``LAST_DAY``, on an index of days.

    Parameters
    ----------
    folder : str or Path
        Holds ``SYMBOL.csv`` with the columns Date and Adj Close.

    Raises
    ------
    DataError
        If a file is missing or, within the span, damaged.
    """
    return {symbol: _read_close(csv_path(Path(folder), symbol)) for part in STOCKS.values() for symbol in part}


def _read_close(file: Path) -> pd.Series[float]:
    try:
        table = pd.read_csv(file, usecols=["Date", "Adj Close"], parse_dates=["Date"], index_col="Date")
        closes = table["Adj Close"].loc[str(FIRST_DAY) : str(LAST_DAY)].astype(np.float64)
    except (*UNREADABLE, KeyError) as error:
        raise DataError(f"cannot read {file}: {error}; expected a CSV file of stocknet-dataset, price/raw") from error
    if closes.empty or not closes.index.is_unique or not (closes > 0).all():
        raise DataError(f"{file}: from {FIRST_DAY} to {LAST_DAY}, one positive Adj Close a day was expected")
    return closes


def paper_counts(closes: Mapping[str, pd.Series[float]]) -> dict[str, dict[str, int]]:
    """Stocks, queries and candidates of each part, to be compared with :data:`EXPECTED`.

    Parameters
    ----------
    closes : mapping of str to Series
        What :func:`read_closes` gives.

    Returns
    -------
    dict of str to dict
        ``queries`` counts the days from ``FIRST_QUERY`` on whose movement is not a freeze: the paper drops those, which
        nobody can do at trade time.
    """
    counts = {}
    for part, symbols in STOCKS.items():
        days = sum(len(closes[symbol]) - LOOKBACK for symbol in symbols)
        queries = sum(len(_movements(closes[symbol])) for symbol in symbols)
        counts[part] = {"stocks": len(symbols), "queries": queries, "candidates": days * len(SEQUENCES)}
    return counts


def date_lookup(closes: Mapping[str, pd.Series[float]]) -> float:
    """Test accuracy of a table that says, for each date, what most training stocks did on it.

    It reads nothing of the query but its date, which the paper's prompts hold: what a model may gain here by learning
    training days by heart. A day without a majority counts as a fall.
    """
    train = pd.concat([_movements(closes[symbol]) for symbol in STOCKS["train"]])
    test = pd.concat([_movements(closes[symbol]) for symbol in STOCKS["test"]])
    votes = train.groupby(level=0).sum()
    said = np.where(votes.reindex(test.index).fillna(0) > 0, 1, -1)
    return float((said == test.to_numpy()).mean())


def _movements(closes: pd.Series[float]) -> pd.Series[int]:
    """Rise (1) or fall (-1) of each query day, freeze days left out."""
    returns = closes.pct_change().iloc[1:].loc[str(FIRST_QUERY) :]
    moved = movement_of(returns)
    return pd.Series(moved[moved != 0].astype(np.int64), index=returns.index[moved != 0])
