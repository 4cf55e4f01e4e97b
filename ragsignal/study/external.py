"""The file of decisions that a variant reads: placed on the bars of a study, and what is said of it."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import EVERY, DataSpec, ExternalSpec
from ragsignal.data import (
    BarCloses,
    BarEnds,
    Calendars,
    DecisionRows,
    Decisions,
    Prices,
    SessionClose,
    days_of,
    place_decisions,
    read_decisions,
)
from ragsignal.errors import ConfigError, DataError
from ragsignal.utils import lower, upper


def decisions_of(external: ExternalSpec, data: DataSpec, prices: Prices) -> Decisions:
    """Read the decisions of a table ``external`` and find the bars that they are of.

    Parameters
    ----------
    external : ExternalSpec
    data : DataSpec
        Of the run: its window, its symbols by name, and when its bars are known.
    prices : Prices
        All of them, through ``data.end``.

    Raises
    ------
    ConfigError
        If no file is named, or bars are of hours.
    DataError
        If the file cannot be read, a row cannot be placed, or none is of the run's window.
    """
    if external.path is None:
        raise ConfigError('signal = "external" needs a file: write external = { path = "decisions.csv" }')
    rows = read_decisions(external.path, prices.clock.intraday)
    decisions = place_decisions(rows, calendars_of(data, prices), external.valid_bars, external.hold)
    if not len(_in_window(decisions, data)):
        raise DataError(
            f"{external.path}: none of its {len(rows.table):,} decisions is of a bar from {data.start} to {data.end}; "
            f"they are of {_span(rows)}. Move data.start and data.end there, or give another file"
        )
    return decisions


def calendars_of(data: DataSpec, prices: Prices) -> Calendars:
    """The bars that a run's decisions may be of."""
    left_out: dict[str, list[date]] = {}
    for bar in prices.dropped:
        left_out.setdefault(bar.symbol, []).append(bar.day)
    # of a source's whole list, or of a universe, not every name has prices here
    others = None if data.picked_from == EVERY else data.picked_from
    days = {name: days_of(frame) for name, frame in prices.frames.items()}
    return Calendars(days, _known_at(data, prices), left_out, others)


def _known_at(data: DataSpec, prices: Prices) -> BarCloses | None:
    """When bars are known; None where nobody has said it.

    Stamps of a market that never closes are in UTC where they have no zone, of days as of hours (docs/clocks.md).
    """
    if prices.clock.intraday:
        return BarEnds() if prices.in_utc or data.all_week else None
    if data.close:
        return SessionClose.parse(data.close)
    return SessionClose.parse("24:00 UTC") if data.all_week else None


def note_on(decisions: Decisions, data: DataSpec) -> str:
    """Say which file it was, how much of it was used, and that nothing is known of what made it."""
    rows, used = decisions.rows, len(_in_window(decisions, data))
    unplaced = decisions.unplaced
    without = f", {unplaced:,} are of no bar with prices here" if unplaced else ""
    sure = (
        "" if rows.decided == "probability" else " They say no probability: calibration and log loss mean nothing here."
    )
    return (
        f"Decisions of {rows.file.name}, digest {rows.digest[:16]}: {used:,} of {len(rows.table):,} are of this window"
        f"{without}. What they were made with is not known to ragsignal: they may have seen these days.{sure}"
    )


def _in_window(decisions: Decisions, data: DataSpec) -> NDArray[np.datetime64]:
    days = decisions.days  # a comparison with NaT is False
    return days[(days >= lower(data.start, days)) & (days <= upper(data.end, days))]


def _span(rows: DecisionRows) -> str:
    when = rows.table["moment" if rows.moments else "day"]
    return f"{when.min():%Y-%m-%d} to {when.max():%Y-%m-%d}"
