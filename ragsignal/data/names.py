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
    return _ADDED.sub("", _MARKS.sub("-", symbol.strip().upper()))


def same_stock(symbol: str, symbols: Collection[str]) -> str | None:
    """The first of ``symbols`` that may be ``symbol`` under another name; None if there is none."""
    plain = plain_name(symbol)
    return next((name for name in symbols if plain_name(name) == plain), None)


def second_name(symbol: str, symbols: Collection[str]) -> str | None:
    """The first of ``symbols`` that is ``symbol`` under a second name in the same list; None if there is none."""
    names = {name: _SURE.sub("", _MARKS.sub("-", name.strip().upper())) for name in (*symbols, symbol)}
    return next((name for name in symbols if name != symbol and names[name] == names[symbol]), None)


def hint_at(symbol: str, symbols: Collection[str]) -> str:
    """Ask for the name that was meant."""
    same = same_stock(symbol, symbols)
    return f"Did you mean {same!r}?" if same else nearest_symbol(symbol, symbols)
