"""The table ``[data]`` of run specs and training specs: which prices, of which symbols, on which days and clock."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ragsignal.config.bars import bar_mistake, minutes_of, period_of
from ragsignal.config.sql import UrlText, check_sql
from ragsignal.config.tables import AtLeastOne, Day, FilePath, Names, Table, matching

Source = Literal["sample", "folder", "table", "sql", "yfinance", "planted", "planted-days", "planted-news", "noise"]
EVERY = ("all",)
"""What ``data.symbols`` holds for all symbols of a source, until a run names them."""
MADE_UP: tuple[Source, ...] = ("planted", "planted-days", "planted-news", "noise")
"""Sources that are drawn, and not read."""
_WITHOUT_LIST: tuple[Source, ...] = ("yfinance", *MADE_UP)

CloseOfDay = Annotated[
    str,
    matching(
        r"\d{1,2}:\d{2} \S+",
        'expected the time at which the market closes and its zone, such as "16:00 America/New_York" or "24:00 UTC"',
    ),
]
BarLength = Annotated[
    str,
    matching(
        r"week|month|[1-9]\d*(min|h)",
        'expected "week", "month", or the length of bars of hours, such as "60min" or "4h"; daily bars need no word',
    ),
]


def _listed(symbols: Any) -> Any:
    return list(EVERY) if symbols == EVERY[0] else symbols


Symbols = Annotated[Names, BeforeValidator(_listed)]


class UniverseSpec(Table):
    """Which symbols are taken, as it was known on ``as_of``: the ``top`` most traded of ``data.symbols``.

    ``dollar_volume`` is the median of close times volume over the last ``bars`` bars up to and including ``as_of``.
    """

    top: AtLeastOne = 100
    by: Literal["dollar_volume"] = "dollar_volume"
    as_of: Day
    bars: AtLeastOne = 250

    def check_before(self, day: date, what: str) -> None:
        """Raise ``ValueError`` unless ``as_of`` lies before ``day``, which is called ``what``."""
        if self.as_of >= day:
            raise ValueError(
                f"data.universe.as_of {self.as_of} must lie before {what} {day}: symbols that are picked later are "
                "picked by what nobody knew then"
            )


class DataSpec(Table):
    """Prices, and the window that is traded.

    ``symbols = "all"`` takes every symbol of a source that has a list of them, and ``universe`` picks among
    ``symbols``. A run names them before anything else: its spec, and its record, hold in ``symbols`` the names, and in
    ``picked_from`` what stood there.

    ``bad_bars = "drop"`` leaves out, counted, the bars whose prices or volume break a rule; days that cannot be
    trusted (unreadable, twice, out of order) are refused all the same.

    ``planted``, ``planted-days``, ``planted-news`` and ``noise`` are made-up markets with a known answer, drawn from
    ``seed``: in the first analogues pay, by ``strength`` (see :func:`ragsignal.data.synthetic.planted_market`), in the
    second what a factor pays follows from the market's state (:func:`ragsignal.data.synthetic_states.planted_days`), in
    the third news tell the next move (:func:`ragsignal.data.synthetic_news.planted_news`).

    ``url``, and ``table`` or ``query``, belong to ``sql``: a database, and where in it the bars are.

    ``start`` and ``end`` (inclusive) bound the backtest; history before ``start`` only feeds the corpus.

    ``bar`` says how long bars are where they are not daily: ``week`` or ``month`` makes them of daily ones, ``60min``
    or ``4h`` reads a source whose stamps are moments, of bars of an hour or more. ``stamp`` tells which end of a bar a
    stamp names, and ``calendar = "24/7"`` that the market never closes (docs/clocks.md).

    ``close`` is the time of day, by the market's clock, at which a daily bar is known (see
    :class:`ragsignal.data.SessionClose`). Only what carries a moment needs it: news, and decisions from outside.
    """

    source: Source
    path: FilePath | None = None
    url: UrlText | None = Field(default=None, exclude_if=lambda it: it is None)
    table: str | None = Field(default=None, exclude_if=lambda it: it is None)
    query: str | None = Field(default=None, exclude_if=lambda it: it is None)
    symbols: Symbols = Field(min_length=1)
    # left out where there is none: specs and records from before them stay as they are, bit for bit
    universe: UniverseSpec | None = Field(default=None, exclude_if=lambda it: it is None)
    picked_from: Symbols = Field(default=(), exclude_if=lambda it: not it)
    bad_bars: Literal["raise", "drop"] = Field(default="raise", exclude_if=lambda it: it == "raise")
    start: Day
    end: Day
    seed: int = 0
    strength: float = Field(default=0.5, ge=0.0, lt=1.0)
    close: CloseOfDay | None = Field(default=None, exclude_if=lambda it: it is None)
    bar: BarLength | None = Field(default=None, exclude_if=lambda it: it is None)
    stamp: Literal["start", "end"] | None = Field(default=None, exclude_if=lambda it: it is None)
    calendar: Literal["24/7"] | None = Field(default=None, exclude_if=lambda it: it is None)

    @model_validator(mode="after")
    def _check(self) -> DataSpec:
        if self.start >= self.end:
            raise ValueError(f"start {self.start} must lie before end {self.end}")
        if self.source in ("folder", "table") and self.path is None:
            raise ValueError(f'source = "{self.source}" needs a path')
        check_sql(self.source, self.path, {"url": self.url, "table": self.table, "query": self.query})
        if self.symbols == EVERY and self.source in _WITHOUT_LIST:
            raise ValueError(f'symbols = "all": source = "{self.source}" has no list of symbols; name them')
        mistake = bar_mistake(self.bar, self.stamp, self.calendar, self.close, self.source)
        if mistake:
            raise ValueError(mistake)
        return self

    @property
    def bar_minutes(self) -> int:
        """Length of bars of hours, in minutes; 0 of all others."""
        return minutes_of(self.bar)

    @property
    def bar_period(self) -> Literal["week", "month"] | None:
        """The period that daily bars are joined to."""
        return period_of(self.bar)

    @property
    def all_week(self) -> bool:
        """Whether the market never closes."""
        return self.calendar == "24/7"

    @property
    def days_are_whole(self) -> bool:
        """Whether a day's bar lasts from midnight to midnight."""
        return self.all_week or (self.close or "").startswith("24:00")

    @property
    def unnamed(self) -> bool:
        """Whether a run has to look at prices to know its symbols."""
        return not self.picked_from and (self.symbols == EVERY or self.universe is not None)
