"""A search spec: what ``ragsignal alpha search`` looks for, on which days, and how long."""

from __future__ import annotations

from pydantic import Field, model_validator

from ragsignal.config.ideas import IdeasSpec
from ragsignal.config.prices import DataSpec
from ragsignal.config.tables import (
    AtLeastOne,
    Day,
    FilePath,
    Horizon,
    KeptAlpha,
    Name,
    Names,
    Table,
    Target,
    WindowBars,
)

FILL_LAG = 1
"""Bars from the close at which a formula is known to the open at which an order is filled."""


class AlphaSpec(Table):
    """A search by genetic programming, and the three windows that keep it honest.

    The days of ``data`` are cut into search (through ``search_end``), selection (through ``selection_end``) and holdout
    (through ``data.end``), with ``embargo`` bars between two windows (by default as many as a label takes to be known).
    A label belongs to a window only if it was known by the window's last day.

    ``target`` and ``horizon`` say what a formula has to rank: with ``open_to_open`` what an order earns that is given
    at a bar's close, filled at the next open and held for ``horizon`` bars.

    ``population`` formulas of at most ``depth`` operators within each other live for ``generations``. ``windows`` are
    the bars that operators over time may look at, ``fields`` what they read (empty: all of a bar). ``parsimony`` is
    taken off the fitness for each part of a formula, in units of its t-statistic. With ``levels`` formulas may depend
    on the level of a stock's adjusted prices, in which its later splits and dividends stand.

    ``seeds`` are formulas that the first population holds. ``known`` are kept formulas from which new ones must differ:
    in a file of the spec the path of theirs. Of formulas whose largest common part is a share of at least
    ``originality`` of one of them, or whose ranks correlate by at least ``correlation`` on search days, only the best
    is kept.

    The best ``candidates`` of the search are ranked on the selection window, at most ``keep`` go on to the holdout.
    ``cost_bps`` is paid for each side of a trade.
    """

    search_end: Day
    selection_end: Day
    embargo: int | None = Field(default=None, ge=1)
    target: Target = "open_to_open"
    horizon: Horizon = 1
    population: int = Field(default=200, ge=10)
    generations: int = Field(default=10, ge=1)
    depth: int = Field(default=5, ge=1, le=8)
    windows: tuple[WindowBars, ...] = Field(default=(2, 3, 5, 10, 20, 40, 60), min_length=1, strict=False)
    fields: Names = ()
    levels: bool = False
    parsimony: float = Field(default=0.05, ge=0)
    seeds: Names = ()
    known: tuple[KeptAlpha, ...] = Field(default=(), strict=False)
    originality: float = Field(default=0.8, gt=0, le=1)
    correlation: float = Field(default=0.7, gt=0, le=1)
    candidates: AtLeastOne = 20
    keep: AtLeastOne = 5
    cost_bps: float = Field(default=10.0, ge=0)
    seed: int = Field(default=0, ge=0)

    @property
    def wait(self) -> int:
        """Bars until a label is known."""
        return self.horizon + (FILL_LAG if self.target == "open_to_open" else 0)

    @property
    def gap(self) -> int:
        """Bars between two windows."""
        return self.wait if self.embargo is None else self.embargo

    @model_validator(mode="after")
    def _check(self) -> AlphaSpec:
        if self.search_end >= self.selection_end:
            raise ValueError(
                f"search_end {self.search_end} must lie before selection_end {self.selection_end}: the windows follow "
                "each other"
            )
        if self.gap < self.wait:
            raise ValueError(
                f"embargo = {self.gap}: a label of this target is known {self.wait} bars later, so that windows would "
                f"share days; write embargo = {self.wait} or more, or leave it out"
            )
        if self.candidates > self.population:
            raise ValueError(
                f"candidates = {self.candidates} is more than population = {self.population}; write at most that many"
            )
        if self.keep > self.candidates:
            raise ValueError(f"keep = {self.keep} is more than candidates = {self.candidates}; write at most that many")
        return self


class SearchSpec(Table):
    """What ``ragsignal alpha search`` reads. Read one with :func:`load_search_spec`.

    ``out`` receives a folder for each search under ``name``, and the journal of one that runs.
    """

    name: Name
    description: str = ""
    out: FilePath
    data: DataSpec
    alpha: AlphaSpec
    ideas: IdeasSpec | None = Field(default=None, exclude_if=lambda it: it is None)

    @model_validator(mode="after")
    def _check(self) -> SearchSpec:
        start, end = self.data.start, self.data.end
        if not start < self.alpha.search_end:
            raise ValueError(f"alpha.search_end {self.alpha.search_end} must lie after data.start {start}")
        if not self.alpha.selection_end < end:
            raise ValueError(
                f"alpha.selection_end {self.alpha.selection_end} must lie before data.end {end}: the days after it are "
                "the holdout, which judges"
            )
        if self.data.universe is not None:
            self.data.universe.check_before(start, "data.start")
        return self
