"""What ``[data]`` may say of the length of bars, and what of it does not fit together."""

from __future__ import annotations

from typing import Literal

_FASTEST, _SLOWEST = 60, 720  # minutes
_ONLY_DAILY = ("planted-days", "planted-news")
_DAILY = ("sample", "yfinance", *_ONLY_DAILY)
_DATED = ("sample", "planted", "noise", *_ONLY_DAILY)


def minutes_of(bar: str | None) -> int:
    """Length of bars of hours, such as ``60min`` or ``4h``, in minutes; 0 of all others."""
    if bar is None or bar in ("week", "month"):
        return 0
    return int(bar.removesuffix("min")) if bar.endswith("min") else 60 * int(bar.removesuffix("h"))


def period_of(bar: str | None) -> Literal["week", "month"] | None:
    """The period that daily bars are joined to."""
    return "week" if bar == "week" else ("month" if bar == "month" else None)


def bar_mistake(bar: str | None, stamp: str | None, calendar: str | None, close: str | None, source: str) -> str:
    """What of the keys about bars does not fit together, and what to write instead; empty where all does."""
    minutes = minutes_of(bar)
    if minutes and not _FASTEST <= minutes <= _SLOWEST:
        return (
            f'bar = "{bar}": bars of 60 minutes to 12 hours are read; give the source longer bars, such as "60min" '
            "(daily ones need no bar)"
        )
    if minutes and source in _DAILY:
        return f'bar = "{bar}": source = "{source}" has daily bars; take a folder or a table of bars of hours'
    if minutes and stamp is None and source not in _DATED:
        return (
            f'bar = "{bar}" needs stamp = "start" or "end": vendors mostly stamp the moment at which a bar begins, '
            "Backtrader's resampler that of its end, and a wrong word is a look-ahead of one bar"
        )
    if minutes and close is not None:
        return (
            f'close = "{close}" belongs to bars of days: those of {bar} are known at their own ends; delete that line'
        )
    if calendar and close is not None and not close.startswith("24:00"):
        return (
            f'close = "{close}": with calendar = "{calendar}" a day ends at midnight; write close = "24:00 UTC", or '
            "the zone whose midnights they are"
        )
    if stamp is not None and source in _DATED:
        return f'stamp = "{stamp}": source = "{source}" dates its bars itself; delete that line'
    if source in _ONLY_DAILY and (bar or calendar):
        return f'source = "{source}" has daily bars of an exchange; delete bar and calendar'
    return ""
