"""News under a future that is cut off or poisoned, and the leak that is planted in them.

An item is of the past of a day if it was available by the close of that day: by its own stamps of publication and
receipt, and the spec's lag. Which bar the package counts it for plays no part here, so that an item that is counted too
early is there before the cut and gone after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.data import NewsDays, NewsItems, counted_by_date
from ragsignal.types import BoolArray


@dataclass(frozen=True, eq=False)
class AuditedNews:
    """The items of a spec, and what makes the day's news of some items and of the bars of some symbols."""

    items: NewsItems
    make: Callable[[NewsItems, Mapping[str, pd.DataFrame]], NewsDays]


ChangeNews = Callable[[NewsItems, date], NewsItems]
"""From items and a day to the items without, or with another, future."""

_GARBAGE = (
    "wonderful triumph, the best day ever",
    "horrible disaster, the worst day ever",
    "an excellent and happy win",
    "a terrible and painful loss",
    "nothing was said",
)
_FOUR_DAYS = np.timedelta64(4, "D")  # over a weekend and a holiday


def known_news(items: NewsItems, day: date) -> NewsItems:
    """The items that were available by the close of ``day``."""
    return items.take(_known(items, day))


def poisoned_news(items: NewsItems, day: date) -> NewsItems:
    """All items, with other words in those that were not available by the close of ``day``."""
    later = np.flatnonzero(~_known(items, day))
    rng = np.random.default_rng([0, day.toordinal()])
    headlines = items.headlines.copy()
    headlines[later] = np.array(_GARBAGE, object)[rng.integers(0, len(_GARBAGE), len(later))]
    return replace(items, headlines=headlines)


def _known(items: NewsItems, day: date) -> BoolArray:
    close = items.close.instants(np.array([day], "datetime64[D]"))[0]
    dated = np.isnat(items.after) | (items.after < np.datetime64(day))
    known: BoolArray = (items.available_at <= close) & dated
    return known


@dataclass(frozen=True)
class PlantedNews:
    """The planted leak: items that count too early, and a day on which that shows."""

    count: Callable[[NewsItems], NewsItems]
    day: date


def planted_news(items: NewsItems, days: Sequence[date]) -> PlantedNews | None:
    """Count items by their date, where any came after the close of one of ``days``; else all of them days early.

    None where no item became known on or right after these days: nothing is there that could leak.
    """
    for count in (counted_by_date, _days_early):
        closes = items.close.instants(np.array(days, "datetime64[D]")).astype("datetime64[us]")
        early = np.sort(count(items).available_at)
        honest = np.sort(items.available_at)
        gained = np.searchsorted(early, closes, side="right") - np.searchsorted(honest, closes, side="right")
        if gained.any():
            return PlantedNews(count, days[int(np.argmax(gained))])
    return None


def _days_early(items: NewsItems) -> NewsItems:
    return replace(items, available_at=items.available_at - _FOUR_DAYS)
