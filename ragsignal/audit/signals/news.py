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

from ragsignal.data import NewsDays, NewsItems, Prices, counted_by_date
from ragsignal.study import Study
from ragsignal.types import BoolArray


@dataclass(frozen=True, eq=False)
class AuditedNews:
    """The items of a spec, and what makes the day's news of some items and of the bars of some symbols."""

    items: NewsItems
    make: Callable[[NewsItems, Mapping[str, pd.DataFrame]], NewsDays]


def audited_news(study: Study) -> AuditedNews | None:
    """The news of a study; None where its spec has none."""
    source = study.materials.news
    if source is None:
        return None
    return AuditedNews(study.materials.news_table.items, lambda items, frames: source.days(items, Prices(frames)))


ChangeNews = Callable[[NewsItems, date], NewsItems]
"""From items and a day to the items without, or with another, future."""

_GARBAGE = (
    "wonderful triumph, the best day ever",
    "horrible disaster, the worst day ever",
    "an excellent and happy win",
    "a terrible and painful loss",
    "nothing was said",
)


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


def planted_by_date(items: NewsItems, days: Sequence[date]) -> PlantedNews | None:
    """Count items by their date, on a day with some after its close; None where none of ``days`` has any."""
    return _planted(items, days, counted_by_date)


def planted_early(items: NewsItems, days: Sequence[date], reach: int) -> PlantedNews | None:
    """Count items ``reach`` calendar days early; None where none became known after one of ``days``."""
    shift = np.timedelta64(reach, "D")
    return _planted(items, days, lambda it: replace(it, available_at=it.available_at - shift))


def _planted(items: NewsItems, days: Sequence[date], count: Callable[[NewsItems], NewsItems]) -> PlantedNews | None:
    """The day by whose close the most items count that were not known by then."""
    closes = items.close.instants(np.array(days, "datetime64[D]")).astype("datetime64[us]")
    early, honest = (np.sort(it.available_at) for it in (count(items), items))
    gained = np.searchsorted(early, closes, side="right") - np.searchsorted(honest, closes, side="right")
    return PlantedNews(count, days[int(np.argmax(gained))]) if gained.any() else None
