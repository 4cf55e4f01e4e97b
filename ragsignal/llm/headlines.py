"""Headlines in a prompt: those of a bar's news, with names and dates masked as the rest of the prompt masks them.

    NewsDays ─► the latest of a bar ─► one line each ─► STOCK, OTHER and DATE for names and dates

A headline is quoted only of a bar that may know of it, so that none is available after the close of that bar.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np

from ragsignal.data import NewsDays
from ragsignal.types import Recipe
from ragsignal.utils import json_digest

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_SHORT = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_YEAR = r"(?:19|20)\d{2}"
# "March" and "May" alone are verbs too; a number after a currency or before a per cent sign is no year.
_DATES = (
    rf"{_YEAR}-\d{{2}}(?:-\d{{2}})?",
    r"\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})",
    rf"(?:{_MONTHS}|{_SHORT})\.? {_DAY}(?:,? {_YEAR})?",
    rf"{_DAY} (?:of )?(?:{_MONTHS}|{_SHORT})\b(?:,? {_YEAR})?",
    rf"(?:{_MONTHS}|{_SHORT}),? {_YEAR}",
    "|".join(month for month in _MONTHS.split("|") if month not in ("March", "May")),
    rf"(?<![$€£])(?<![.,]){_YEAR}(?![.,]?\d|\s?%)",
    r"['’]\d{2}",
    r"FY ?(?:\d{4}|\d{2})",
)
_DATE = "|".join(f"(?:{form})" for form in _DATES)


@dataclass(frozen=True)
class Headlines:
    """Quotes headlines.

    Parameters
    ----------
    news : NewsDays
    most : int
        Headlines of a bar at most: the latest.
    names : mapping of str to sequence of str
        What else than its symbol each stock is called in headlines: ``{"GE": ["General Electric"]}``.
    """

    news: NewsDays
    most: int
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _digests: dict[int, str] = field(default_factory=dict, repr=False)

    @property
    def recipe(self) -> Recipe:
        """Identity: how many, and the version of how they are masked."""
        return {"headlines": f"headlines/1, {self.most} at most"}

    def of(self, symbol: str, day: date, mask: bool) -> list[str]:
        """Headlines that the bar of ``symbol`` on ``day`` may know of, the latest first, each in one line.

        Parameters
        ----------
        symbol : str
        day : date
        mask : bool
            Whether names and dates are masked: the stock itself is STOCK, another one OTHER, a date DATE.

        Raises
        ------
        DataError
            If no news are kept of the symbol.
        """
        texts = (" ".join(text.split()) for text in self.news.headlines(symbol, day))
        quoted = [text for text in texts if text][: self.most]
        return [self._masked(text, symbol) for text in quoted] if mask else quoted

    def digest_as_of(self, day: date) -> str:
        """Digest of all headlines that a bar of ``day`` or an earlier one may know of, and of the names."""
        seen = int(np.searchsorted(self.news.days, np.datetime64(day), side="right"))
        if seen not in self._digests:
            known = self.news.window_digest(seen - 1, seen) if seen else b""
            self._digests[seen] = hashlib.sha256(self._names_digest + known).hexdigest()
        return self._digests[seen]

    @cached_property
    def _names_digest(self) -> bytes:
        return json_digest({symbol: list(names) for symbol, names in self.names.items()}).encode()

    def _masked(self, text: str, own: str) -> str:
        def word(found: re.Match[str]) -> str:
            if found.lastgroup == "date":
                return "DATE"
            owners = self._owners.get(found["name"]) or self._owners[found["name"].lower()]
            return "STOCK" if own in owners else "OTHER"

        return self._pattern.sub(word, text)

    @cached_property
    def _owners(self) -> dict[str, set[str]]:
        """Whose each symbol is, and each name in small letters."""
        owners: dict[str, set[str]] = {symbol: {symbol} for symbol in self.news.symbols}
        for symbol, names in self.names.items():
            for name in names:
                owners.setdefault(name.lower(), set()).add(symbol)
        return owners

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Symbols as they are written and names in any case, each as a word of its own; longer ones first; dates."""
        called = sorted({name for names in self.names.values() for name in names}, key=lambda it: (-len(it), it))
        symbols = sorted(self.news.symbols, key=lambda it: (-len(it), it))
        names = [f"(?i:{re.escape(name)})" for name in called] + [re.escape(symbol) for symbol in symbols]
        return re.compile(
            rf"(?<![A-Za-z0-9])(?:\$?(?P<name>{'|'.join(names)})|(?P<date>{_DATE}))(?![A-Za-z0-9])",
        )
