"""A made-up market with a known answer in its news: they tell what a stock does next, and no price does.

Four stocks in five have an item that moves their next bar, up where it is a good one and down where it is a bad one;
of these three in four come while the market is open (09:30 to 15:55 in New York), and one after the close (16:05 to
22:00). Both kinds move the bar after their day. So who counts an item for the first bar whose close may know of it
learns what the items of the session tell of the next bar, and of the late ones only when they have told it; who counts
items for the bar of their calendar day knows the late ones too, hours before they are published. Some stocks have items
besides that say nothing. Prices alone are noise: neither the tone of an item nor whether there is one is in any bar
before the one that it moves.

What is said is plain English that a lexicon can read: in VADER's every good sentence has a compound of .3 or more,
every bad one of -.3 or less, and a neutral one 0. Companies are called by a name or by their symbol.

When: the push comes between the open and the close of the next bar, as in
:func:`~ragsignal.data.synthetic.planted_market`: an order that is filled at the next open earns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.prices import Prices
from ragsignal.data.synthetic import DAILY_SIGMA, GAP_SHARE, Draws, business_days, checked_strength
from ragsignal.types import BoolArray, FloatArray

GOOD = (
    "{} wins a great order and celebrates its best quarter",
    "{} delivers strong growth and impressive results",
    "Analysts love {} after an excellent report",
    "{} is a winner of the year, and its customers are happy",
    "A brilliant success for {} in a promising market",
    "Confident investors welcome the superb outlook of {}",
)
"""Sentences that announce a rise."""

BAD = (
    "{} loses its worst case and warns of terrible damage",
    "Fraud and a painful failure hit {}",
    "Analysts fear a disaster after an awful report of {}",
    "{} admits bad mistakes, and its customers are angry",
    "A horrible quarter for {} in a troubled market",
    "Worried investors hate the miserable outlook of {}",
)
"""Sentences that announce a fall."""

NEUTRAL = (
    "{} names the date of its annual meeting",
    "{} files its quarterly statement",
    "{} moves its office to another street",
    "Chairman of {} speaks at a conference",
)
"""Sentences that announce nothing."""

COLUMNS = ("published_at", "received_at", "symbol", "headline", "body", "source", "id")
"""Of :func:`planted_news_items`: those of a table of news."""

_ZONE = "America/New_York"
_MOVED, _LATE, _IDLE = 0.8, 0.25, 0.3  # stocks with a moving item; of these after the close; with an idle one
_OPEN, _CLOSED = (570, 955), (965, 1320)  # minutes after midnight in New York
_MARKET_SIGMA = 0.008
_NEWS, _MARKET = 1002, 1003  # beside the seed; no byte of a name is so large
_DRAWS = 8  # numbers a bar takes from the generator, always all of them, so that a later end moves no earlier bar
_RECEIVED = pd.Timedelta(seconds=20)
_HEADS = ("Nor", "Val", "Kes", "Tam", "Ber", "Lin", "Dor", "Mar")
_TAILS = ("wick", "land", "ton", "mere", "dale", "ford", "stead", "ham")


@dataclass(frozen=True, eq=False)
class Said:
    """What is said of one symbol on each bar, (n_bars,) each.

    ``tone`` of the item that moves the next bar, 1.0, -1.0 or 0.0 for none; ``late`` whether it comes after the close;
    ``idle`` whether there is an item that moves nothing; ``numbers`` (n_bars, 8) in [0, 1), which choose words and
    minutes.
    """

    tone: FloatArray
    late: BoolArray
    idle: BoolArray
    numbers: FloatArray

    @classmethod
    def of(cls, symbol: str, seed: int, n_bars: int) -> Said:
        """Draw for a symbol; more bars leave the first ones as they are."""
        numbers = np.random.default_rng([seed, _NEWS, *symbol.encode()]).random((n_bars, _DRAWS))
        tone = np.where(numbers[:, 1] < 0.5, 1.0, -1.0) * (numbers[:, 0] < _MOVED)
        return cls(tone, numbers[:, 2] < _LATE, numbers[:, 3] < _IDLE, numbers)


def planted_news(
    symbols: Sequence[str], start: date | str, end: date | str, seed: int = 0, strength: float = 0.5
) -> Prices:
    """Make the prices of a market that its news move.

    Parameters
    ----------
    symbols : sequence of str
        A symbol's bars and news depend on its name, ``start`` and ``seed``, and on no other symbol; the common move of
        all on ``start`` and ``seed``. Ranks need 20 symbols; 40 are a good number.
    start, end : date
        Inclusive; bars stand on business days, and a later end moves no earlier bar.
    seed : int
    strength : float in [0, 1)
        Size of a push in standard deviations (1.2 %) of what a stock does on a day besides the market; the rest of it
        is noise.

    Raises
    ------
    ConfigError
        If ``strength`` is out of range, or there is no business day from ``start`` to ``end``.
    """
    days, share = business_days(start, end), checked_strength(strength)
    common = np.random.default_rng([seed, _MARKET]).standard_normal((len(days), 2)) * _MARKET_SIGMA
    return Prices(frames={symbol: _frame(symbol, days, common, seed, share) for symbol in symbols})


def planted_news_items(symbols: Sequence[str], start: date | str, end: date | str, seed: int = 0) -> pd.DataFrame:
    """Write the news of :func:`planted_news` as a table of news has them.

    Parameters
    ----------
    symbols, start, end, seed
        As of the prices.

    Returns
    -------
    DataFrame with :data:`COLUMNS`
        Moments in UTC, as text; an item is received 20 seconds after it was published.

    Raises
    ------
    ConfigError
        As :func:`planted_news`.
    """
    days = business_days(start, end)
    table = pd.concat([_items(symbol, days, seed) for symbol in symbols], ignore_index=True)
    ordered = table.sort_values(["published_at", "symbol", "id"], ignore_index=True)
    return ordered[list(COLUMNS)]


def company_name(symbol: str) -> str:
    """Return the made-up name of a symbol's company: the same for the same symbol."""
    code = hashlib.sha256(symbol.encode()).digest()
    return f"{_HEADS[code[0] % 8]}{_TAILS[code[1] % 8]} {_HEADS[code[2] % 8]}{_TAILS[code[3] % 8]}"


def _frame(symbol: str, days: pd.DatetimeIndex, common: FloatArray, seed: int, strength: float) -> pd.DataFrame:
    draws, said = Draws.of(symbol, seed, len(days)), Said.of(symbol, seed, len(days))
    noise = DAILY_SIGMA * np.sqrt(1.0 - strength**2)
    gaps = np.sqrt(GAP_SHARE) * (common[:, 0] + noise * draws.numbers[:, 0])
    sessions = np.sqrt(1.0 - GAP_SHARE) * (common[:, 1] + noise * draws.numbers[:, 1])
    sessions[1:] += strength * DAILY_SIGMA * said.tone[:-1]
    return draws.bars(days, gaps, sessions, 0.3 * draws.numbers[:, 4])


def _items(symbol: str, days: pd.DatetimeIndex, seed: int) -> pd.DataFrame:
    said = Said.of(symbol, seed, len(days))
    moving, numbers = said.tone != 0.0, said.numbers
    minutes = np.where(said.late, _between(_CLOSED, numbers[:, 4]), _between(_OPEN, numbers[:, 4]))
    good, bad = _worded(GOOD, symbol, numbers[:, 5]), _worded(BAD, symbol, numbers[:, 5])
    movers = _rows(symbol, days[moving], minutes[moving], np.where(said.tone > 0.0, good, bad)[moving], "m")
    idle_minutes, idle = _between(_OPEN, numbers[:, 6]), _worded(NEUTRAL, symbol, numbers[:, 7])
    return pd.concat([movers, _rows(symbol, days[said.idle], idle_minutes[said.idle], idle[said.idle], "i")])


def _between(minutes: tuple[int, int], shares: FloatArray) -> NDArray[np.int64]:
    return (minutes[0] + np.floor(shares * (minutes[1] - minutes[0]))).astype(np.int64)


def _worded(sentences: Sequence[str], symbol: str, shares: FloatArray) -> NDArray[np.object_]:
    """A sentence a number, of the company by its name or, as often, by its symbol."""
    said = [sentence.format(name) for sentence in sentences for name in (company_name(symbol), symbol)]
    return np.array(said, object)[(shares * len(said)).astype(np.int64)]


def _rows(
    symbol: str, days: pd.DatetimeIndex, minutes: NDArray[np.int64], headlines: NDArray[np.object_], kind: str
) -> pd.DataFrame:
    local = (days + pd.to_timedelta(minutes, unit="min")).tz_localize(_ZONE)
    published = local.tz_convert("UTC")
    return pd.DataFrame(
        {
            "published_at": published.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "received_at": (published + _RECEIVED).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "symbol": symbol,
            "headline": headlines,
            "body": "",
            "source": "made up",
            "id": [f"{symbol}-{day:%Y%m%d}-{kind}" for day in days],
        }
    )
