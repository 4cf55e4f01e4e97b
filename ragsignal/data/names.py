"""One stock under several names: what a feed is called, and what a corpus calls it."""

from __future__ import annotations

import re
from collections.abc import Collection

from ragsignal.data.check import nearest_symbol

_MARKS = re.compile(r"[\s._/:-]+")
_ADDED = re.compile(r"-(US|USD|USDT|O|N|OQ)$")  # a country, a currency, or an exchange of the United States
_SURE = re.compile(r"-(US|USD|USDT)$")  # beside BAC, BAC-N and BAC-O are shares of another kind


def plain_name(symbol: str) -> str:
    """A symbol without what vendors write differently: ``aapl``, ``AAPL.US`` and ``AAPL-USD`` are ``AAPL``.

    ``BRK.B`` and ``BRK-B`` are one, and another than ``BRK-A``.
    """
    return _ADDED.sub("", _spelled(symbol))


def same_stock(symbol: str, symbols: Collection[str]) -> str | None:
    """The first of ``symbols`` that may be ``symbol`` under another name; None if there is none."""
    plain = plain_name(symbol)
    return next((name for name in symbols if plain_name(name) == plain), None)


def second_names(symbols: Collection[str]) -> dict[str, str]:
    """Of each symbol that stands in a list under several names, the first of its others."""
    stocks: dict[str, list[str]] = {}
    for symbol in symbols:
        stocks.setdefault(_SURE.sub("", _spelled(symbol)), []).append(symbol)
    several = [names for names in stocks.values() if len(names) > 1]
    return {name: names[1] if name == names[0] else names[0] for names in several for name in names}


def _spelled(symbol: str) -> str:
    return _MARKS.sub("-", symbol.strip().upper())


def hint_at(symbol: str, symbols: Collection[str]) -> str:
    """Ask for the name that was meant."""
    same = same_stock(symbol, symbols)
    return f"Did you mean {same!r}?" if same else nearest_symbol(symbol, symbols)
