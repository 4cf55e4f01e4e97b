"""The three windows of a search: what the loop reads, what candidates are ranked on, and what judges, once.

::

    data.start ....... search_end |<-- embargo bars -->| ....... selection_end |<-- embargo -->| ....... data.end
    search: the loop                                    selection                                holdout

A label belongs to a window only if it was known by the window's last day, so that no label of one reaches into the
next. A :class:`Part` is a copy that ends with its window: whoever holds the one of the search cannot see what is later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import AlphaSpec, SearchSpec, Target, did_you_mean
from ragsignal.data import (
    BAR_FIELDS,
    FieldPanel,
    Prices,
    Window,
    calendar_of,
    depth,
    field_panel,
    label_tables,
    parse,
    parts,
)
from ragsignal.errors import ConfigError
from ragsignal.statistics import LEAST_DAYS
from ragsignal.types import FloatArray
from ragsignal.utils import array_digest, day_of, json_digest, lower, upper

LEAST_SYMBOLS = 10
"""Symbols that a day needs to be ranked."""

WindowName = Literal["search", "selection", "holdout", "seen", "all"]


@dataclass(frozen=True, eq=False)
class Part:
    """Bars and labels of one window, and nothing that came after it.

    Parameters
    ----------
    name : str
        ``seen`` is search and selection together, ``all`` the holdout too.
    panel : FieldPanel
        Fields from some bars before the window on, so that formulas have their history, through its last day.
    first : int
        Row of the panel that is the window's first day.
    labels : (n_days, n_symbols) float64
        What followed each bar of the window, by the target of the spec; NaN where it was not known by its end.
    earned : (n_days, n_symbols) float64
        What a position that is taken at a bar's close earns from the next open to the one after it; NaN likewise.
    known_through : date
        The last day on which a label of the window became known.
    """

    name: WindowName
    panel: FieldPanel
    first: int
    labels: FloatArray
    earned: FloatArray
    known_through: date

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Days of the window."""
        return self.panel.days[self.first :]

    @property
    def labelled(self) -> int:
        """Days of the window with enough labels to be ranked."""
        return int(np.sum(np.isfinite(self.labels).sum(axis=1) >= LEAST_SYMBOLS))

    @property
    def digest(self) -> str:
        """SHA-256 of days, symbols, fields and labels."""
        arrays = {name: array_digest(it) for name, it in self.panel.fields.items()}
        days = np.datetime_as_string(self.panel.days, unit="m").tolist()
        return json_digest([days, self.panel.symbols, arrays, array_digest(self.labels), array_digest(self.earned)])


class SearchMarket:
    """All bars of a search, of which windows are cut.

    Parameters
    ----------
    spec : SearchSpec
        With all symbols by name.
    prices : Prices
        Through ``data.end``.

    Raises
    ------
    ConfigError
        If there are too few symbols, a field is unknown, or a window has too few days to say anything.
    """

    def __init__(self, spec: SearchSpec, prices: Prices) -> None:
        if len(prices.frames) < LEAST_SYMBOLS:
            raise ConfigError(
                f"data.symbols: {len(prices.frames)} symbol(s), and formulas rank at least {LEAST_SYMBOLS} on a day; "
                "name more of them"
            )
        self.spec, self.prices = spec, prices
        self.days = calendar_of(prices.frames.values())
        whole = field_panel(prices.frames)
        chosen = _fields(spec.alpha)
        self.panel = FieldPanel(self.days, whole.symbols, {name: whole.fields[name] for name in chosen}, {})
        self._bounds = self._laid()

    def part(self, name: WindowName) -> Part:
        """A copy of one window."""
        first, last = self._bounds[name]
        alpha = self.spec.alpha
        begin = max(0, first - history_of(alpha))
        panel = FieldPanel(
            self.days[begin : last + 1].copy(),
            self.panel.symbols,
            {name: it[begin : last + 1].copy() for name, it in self.panel.fields.items()},
            {},
        )
        labels, known = self.labels(first, last, alpha.target, alpha.horizon)
        earned, _ = self.labels(first, last, "open_to_open", 1)
        return Part(name, panel, first - begin, labels, earned, known)

    def labels(self, first: int, last: int, target: Target, horizon: int) -> tuple[FloatArray, date]:
        """What followed the bars of rows ``first`` to ``last``, as far as it was known at the last one."""
        frames = self.prices.frames
        outcomes, known_at = label_tables(frames, self.days, self.panel.symbols, target, horizon)
        rows = slice(first, last + 1)
        held = known_at[rows] <= self.days[last]
        through = known_at[rows][held].max() if held.any() else self.days[last]
        return np.where(held, outcomes[rows], np.nan), day_of(through.item())

    def _laid(self) -> dict[WindowName, tuple[int, int]]:
        """First and last row of each window; raises where one is too short."""
        alpha, days = self.spec.alpha, self.days
        start = int(np.searchsorted(days, lower(self.spec.data.start, days)))
        ends = [
            int(np.searchsorted(days, upper(it, days), "right")) - 1 for it in (alpha.search_end, alpha.selection_end)
        ]
        after = [end + 1 + alpha.gap for end in ends]
        last = len(days) - 1
        search, selection, holdout = (start, ends[0]), (after[0], ends[1]), (after[1], last)
        bounds: dict[WindowName, tuple[int, int]] = {"search": search, "selection": selection, "holdout": holdout}
        for name, (begin, end) in bounds.items():
            self._check(name, end - alpha.wait - begin + 1)
        return bounds | {"seen": (start, ends[1]), "all": (start, last)}

    def _check(self, name: str, days: int) -> None:
        if days >= LEAST_DAYS:
            return
        key = {"search": "alpha.search_end", "selection": "alpha.selection_end", "holdout": "data.end"}[name]
        raise ConfigError(
            f"{key}: the {name} window has {max(0, days)} bars whose labels were known by its end, and fewer than "
            f"{LEAST_DAYS} say nothing; move the ends of the windows (alpha.search_end, alpha.selection_end, data.end)"
        )


def history_of(alpha: AlphaSpec) -> int:
    """Bars before a day that formulas of a search may read: those that are drawn, seeds, known ones, and children."""
    given = [parse(text) for text in (*alpha.seeds, *(it.formula for it in alpha.known))]
    bars = [part.bars for it in given for part in parts(it) if isinstance(part, Window)]
    return max(alpha.depth, *map(depth, given), 0) * max(*alpha.windows, *bars, 0)


def _fields(alpha: AlphaSpec) -> tuple[str, ...]:
    for name in alpha.fields:
        if name not in BAR_FIELDS:
            raise ConfigError(f"alpha.fields: there is no field {name!r}.{did_you_mean(name, [*BAR_FIELDS])}")
    return alpha.fields or tuple(BAR_FIELDS)
