"""A calendar in steps: which days one set of models scores, and which days it was trained on. Arithmetic on days.

Every step begins ``embargo`` bars after the last day that its training knows, labels included::

    train_start ....... valid_from ....... train_end |<-- embargo bars -->| first ........ last
    training queries    validation queries                                  scored

What is purged follows from labels' ``available_at``: the training spec of a step ends at ``train_end``, and a label
that becomes known later does not exist for it (:mod:`ragsignal.data.split`). A step's training window depends on bars
before its first day alone, so that later bars move no earlier step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import WalkForwardSpec
from ragsignal.errors import ConfigError

Days = NDArray[np.datetime64]

_PERIOD = {"year": 12, "quarter": 3, "month": 1}  # in months


@dataclass(frozen=True, order=True)
class Step:
    """One step; all days are inclusive.

    Parameters
    ----------
    first, last : date
        Bars that are scored.
    train_start : date
        First day of a training query.
    valid_from : date
        First day of a validation query.
    train_end : date
        Last day on which a label, of training or of validation, may become known.
    """

    first: date
    last: date
    train_start: date
    valid_from: date
    train_end: date

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def steps_of(spec: WalkForwardSpec, calendar: Days, start: date, end: date) -> tuple[Step, ...]:
    """Cut ``start`` to ``end`` (inclusive) into steps.

    Parameters
    ----------
    spec : WalkForwardSpec
    calendar : (n_days,) datetime64[D]
        Every trading day, from long before ``start`` on; ascending and unique. Bars are counted on it.
    start, end : date

    Returns
    -------
    tuple of Step
        In order; together they hold every day of the calendar from ``start`` to ``end``, each once.

    Raises
    ------
    ConfigError
        If there is no such day, or not enough history before a step.
    """
    traded = np.flatnonzero((calendar >= np.datetime64(start)) & (calendar <= np.datetime64(end)))
    if not len(traded):
        raise ConfigError(f"walk_forward: no bar from {start} to {end}; check data.start, data.end and the prices")
    firsts = _first_bars(spec, calendar, traded)
    lasts = [*(firsts[1:] - 1).tolist(), int(traded[-1])]
    return tuple(_step(spec, calendar, *bars) for bars in zip(firsts.tolist(), lasts, strict=True))


def _first_bars(spec: WalkForwardSpec, calendar: Days, traded: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in the calendar at which a step begins."""
    if isinstance(spec.every, int):
        return traded[:: spec.every]
    months = calendar[traded].astype("datetime64[M]").astype(np.int64)  # since 1970-01: years begin at multiples of 12
    period = months // _PERIOD[spec.every]
    return traded[np.r_[True, period[1:] != period[:-1]]]


def _step(spec: WalkForwardSpec, calendar: Days, first: int, last: int) -> Step:
    step_first: date = calendar[first].item()
    train_end = first - spec.embargo
    valid_from = train_end - spec.valid + 1
    if valid_from < 0:
        raise ConfigError(
            f"walk_forward: the step from {step_first} has {first} bars before it, but embargo = {spec.embargo} and "
            f"valid = {spec.valid} take {spec.embargo + spec.valid - 1}; begin later (data.start), or validate on fewer"
        )
    train_start = _train_start(spec, calendar, train_end, step_first)
    if np.datetime64(train_start) >= calendar[valid_from]:
        raise ConfigError(
            f"walk_forward: nothing is left to train on for the step from {step_first}: its training window begins on "
            f"{train_start}, and valid = {spec.valid} bars before {calendar[train_end]} begin on "
            f"{calendar[valid_from]}; validate on fewer bars, or begin the window earlier"
        )
    return Step(step_first, calendar[last].item(), train_start, calendar[valid_from].item(), calendar[train_end].item())


def _train_start(spec: WalkForwardSpec, calendar: Days, train_end: int, step_first: date) -> date:
    if spec.window == "expanding":
        return spec.train.data.start
    if spec.bars is not None:
        begin = train_end - spec.bars + 1
        started: date = calendar[max(begin, 0)].item()
    else:
        begin = 0
        started = _years_before(calendar[train_end].item(), spec.years or 0) + timedelta(days=1)
    if begin < 0 or np.datetime64(started) < calendar[0]:
        length = f"bars = {spec.bars}" if spec.bars else f"years = {spec.years}"
        raise ConfigError(
            f"walk_forward: {length} of history are not there for the step from {step_first}: prices begin on "
            f"{calendar[0]}; take fewer, or begin later (data.start)"
        )
    return started


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:  # 29 February
        return day.replace(year=day.year - years, day=28)
