"""The table of news: where items come from, when they were in hand, and what reads them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ragsignal.config.prices import DataSpec
from ragsignal.config.tables import AtLeastOne, FilePath, Names, Table

_OF_A_MODEL = ("model", "revision", "device", "batch_size", "threads")
_LAG = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d)")
_MINUTES = {"s": 1 / 60, "min": 1.0, "h": 60.0, "d": 24 * 60.0}
_YEAR = 366 * 24 * 60  # minutes


def _delay(lag: int | str) -> timedelta:
    """Read a number of minutes, or ``"90 s"``, ``"5 min"``, ``"2 h"``, ``"1 d"``; raises ``ValueError``."""
    found = _LAG.fullmatch(lag if isinstance(lag, str) else f"{lag} min")
    minutes = float(found[1]) * _MINUTES[found[2]] if found else _YEAR + 1
    if minutes > _YEAR:
        raise ValueError(f'{lag!r}: expected minutes, or a text such as "90 s", "5 min", "2 h" or "1 d"; 0 to 366 days')
    return timedelta(minutes=minutes)


def _checked_lag(lag: int | str) -> int | str:
    _delay(lag)
    return lag


class NewsSpec(Table):
    """News beside prices: a long table with a row an item and symbol, and what scores its words.

    ``path`` is a CSV file or a Parquet table (:func:`ragsignal.data.read_news` says which columns). ``lag`` is how
    long after ``published_at``, or after ``received_at`` where that is later, an item is in hand: minutes, or a text
    such as ``"2 h"``; it has to be said where the table does not say when items were received. ``body`` reads bodies
    beside headlines. ``novelty_days`` is how far back, in calendar days, an item is compared with earlier ones.

    Without ``path`` the news are those that the made-up market ``planted-news`` brings.

    ``names`` says what headlines call a company besides its symbol (``GE = ["General Electric"]``), so that a prompt
    that quotes them can mask it. ``counts_for = "date"`` counts an item for the bar of its calendar day, though it may
    have come after the close: it looks ahead, as many studies do, and needs ``allow_in_sample``.

    ``scorer = "lexicon"`` is VADER's compound; ``"classifier"`` any text classifier whose labels say positive and
    negative, of which ``model`` is a folder or a Hub id (then with ``revision``, a full commit hash).
    """

    path: FilePath | None = None
    lag: Annotated[int | str, AfterValidator(_checked_lag)] | None = None
    body: bool = False
    novelty_days: AtLeastOne = 7
    scorer: Literal["lexicon", "classifier"] = "lexicon"
    model: str | None = None
    revision: str | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    batch_size: AtLeastOne = 32
    threads: AtLeastOne | None = Field(default=None, exclude_if=lambda it: it is None)
    names: dict[str, Names] = Field(default={}, exclude_if=lambda it: not it)
    counts_for: Literal["close", "date"] = Field(default="close", exclude_if=lambda it: it == "close")

    @property
    def delay(self) -> timedelta | None:
        """``lag`` as a duration."""
        return None if self.lag is None else _delay(self.lag)

    @model_validator(mode="after")
    def _check(self) -> NewsSpec:
        if self.scorer == "classifier" and self.model is None:
            raise ValueError(
                'scorer = "classifier" needs model: the folder of a text classifier, or a Hub id with its revision'
            )
        plain = NewsSpec.model_fields
        spare = [name for name in _OF_A_MODEL if getattr(self, name) != plain[name].default]
        if self.scorer == "lexicon" and spare:
            raise ValueError(f'{", ".join(spare)}: belongs to scorer = "classifier"; a lexicon has no model')
        return self

    def check_close(self, data: DataSpec) -> None:
        """Raise ``ValueError`` unless ``data`` says when a daily bar is known, and there are news to be had."""
        if data.bar_minutes:
            raise ValueError(
                f'[news] is placed by the close of a day, and data.bar = "{data.bar}" has bars of hours; delete the '
                "table, or give the source daily, weekly or monthly bars"
            )
        if data.close is None:
            example = "24:00 UTC" if data.all_week else "16:00 America/New_York"
            raise ValueError(
                "[news] carries moments, so the spec has to say when a daily bar is known: write under [data] "
                f'close = "{example}", or the time and zone of your market'
            )
        if self.path is None and data.source != "planted-news":
            raise ValueError(
                f'[news] needs a path, such as path = "news.csv": source = "{data.source}" brings no news of its own, '
                'only "planted-news" does'
            )
