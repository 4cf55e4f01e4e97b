"""A strategy that knows of no signal, plain, filtered by a spec's signal, and filtered by signals of chance.

The signals of chance are the same signals, turned round in time: each symbol keeps its own, in their order, from
another day on. So they say yes as often, and as long at a time, and agree among the symbols of a day as the real ones
do; only the days are wrong. What the real ones do beyond that is what knowing the day is worth to this strategy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.config import RunSpec, StrategySpec, Variant
from ragsignal.errors import ConfigError, DataError
from ragsignal.parallel import InProcessPool, Pool
from ragsignal.signals import KnownSignals
from ragsignal.study import Before, Trial, configuration_of, count, sharpe_of, work_of
from ragsignal.trading.engine import prepare, signals_of, trade
from ragsignal.trading.filter import EntryFilter, FilteringBroker, View
from ragsignal.trading.findings.family import PairedDifference, corrected, paired_gap
from ragsignal.trading.findings.null import MARGIN
from ragsignal.trading.notes import notes_on_accounts
from ragsignal.trading.strategy import check_strategy, code_of, load_strategy
from ragsignal.trading.variant import VariantResult
from ragsignal.utils import Progress, Record, plain, silent

PLAIN, FILTERED, CHANCE = "plain", "filtered", "random filters"


@dataclass(frozen=True)
class Wrap:
    """What is wrapped, and how.

    Parameters
    ----------
    strategy : StrategySpec
    variant : str, optional
        Whose signals filter; None takes the first that has some.
    above : float
        Least view of an entry, see :class:`~ragsignal.trading.filter.EntryFilter`.
    seeds : int
        Signals of chance.
    """

    strategy: StrategySpec
    variant: str | None = None
    above: float = 0.0
    seeds: int = 20

    def __post_init__(self) -> None:
        if not 0.0 <= self.above < 1.0:
            raise ConfigError(f"--above {self.above}: a number from 0 up to, not including, 1 was expected")


@dataclass(frozen=True)
class Wrapped:
    """A strategy's runs: by itself, filtered, and filtered by chance; all on the same bars and costs."""

    spec: RunSpec
    wrap: Wrap
    variant: Variant
    line: str
    plain: VariantResult
    filtered: VariantResult
    chance: tuple[VariantResult, ...]
    refused: tuple[int, ...]
    gaps: tuple[PairedDifference, ...]
    trials: int

    @property
    def results(self) -> tuple[VariantResult, ...]:
        """All runs, in the order of the table."""
        return self.plain, self.filtered, *self.chance

    @property
    def beaten(self) -> int:
        """Runs by chance whose account ended below that of the filtered one."""
        return sum(it.metrics["return"] < self.filtered.metrics["return"] for it in self.chance)

    def sentences(self) -> list[str]:
        """What the runs come to, in words."""
        notes = [*notes_on_accounts((self.plain, self.filtered)), *self._notes_on_chance()]
        if not self.refused[0]:
            same = f"The signal of {self.variant.name!r} agreed with every entry: filtered is the same as plain."
            return [same, *notes]
        ended = {PLAIN: self.plain.ruined, FILTERED: self.filtered.ruined, CHANCE: any(it.ruined for it in self.chance)}
        ruined = [name for name, when in ended.items() if when]
        return [*(_gap_in_words(gap, ruined) for gap in self.gaps), _among(self.beaten, len(self.chance)), *notes]

    def _notes_on_chance(self) -> list[str]:
        ruined = sum(bool(it.ruined) for it in self.chance)
        return [f"{ruined} of {len(self.chance)} random filters: ruined, a return of -100 %."] if ruined else []

    def record(self) -> Record:
        """JSON-able."""
        rows = [
            {"name": result.name, "refused": refused, **result.metrics, **result.account_record()}
            for result, refused in zip(self.results, (0, *self.refused), strict=True)
        ]
        record: Record = {
            "spec": self.spec.model_dump(mode="json", by_alias=True),
            "strategy": self.wrap.strategy.model_dump(mode="json", by_alias=True),
            "variant": self.variant.name,
            "line": self.line,
            "above": self.wrap.above,
            "rows": rows,
            "gaps": list(self.gaps),
            "beaten": self.beaten,
            "sentences": self.sentences(),
        }
        rounded: Record = plain(record, "wrap")
        return rounded


def wrap_strategy(
    spec: RunSpec, wrap: Wrap, progress: Progress = silent, before: Before | None = None, pool: Pool | None = None
) -> Wrapped:
    """Run a strategy plain, filtered and filtered by chance, on the bars and costs of a spec.

    Parameters
    ----------
    spec : RunSpec
    wrap : Wrap
    progress, before, pool
        As of :func:`ragsignal.trading.run_spec`.

    Raises
    ------
    ConfigError
        If the strategy cannot be found, or takes a signal itself.
    DataError
        If it never trades.
    """
    chosen = spec.find_variant(wrap.variant)
    alone = replace(chosen, name=PLAIN, signal="none", strategy=wrap.strategy, own_strategy=True)
    check_strategy(alone)
    _refuse_own_signal(wrap.strategy)
    study, frames = prepare(spec, progress, pool)
    by_itself = trade(alone, study.spec, frames)
    _refuse_idle(by_itself, wrap.strategy)  # before signals are made
    if before:
        before(study, [work for work in work_of(study.spec, frames) if work.variant == chosen])
    pipeline = study.pipeline(chosen)
    line, view = _view_of(signals_of(pipeline, frames))
    filters = [replace(_filter(by_itself, wrap.above), view=it) for it in (view, *_turned(view, wrap.seeds))]
    (filtered, *chance), refused = _trade_all((alone, study.spec, frames), filters, progress, pool or InProcessPool())
    recipe = {"signals": pipeline.recipe, "line": line, "above": wrap.above}
    gaps = [paired_gap(filtered, [by_itself], PLAIN), paired_gap(filtered, chance, CHANCE)]
    return Wrapped(
        spec=study.spec,
        wrap=wrap,
        variant=chosen,
        line=line,
        plain=by_itself,
        filtered=filtered,
        chance=tuple(chance),
        refused=refused,
        gaps=tuple(corrected(gaps)),
        trials=_count(study.spec, alone, {PLAIN: None, FILTERED: recipe}, (by_itself, filtered)),
    )


_Held = tuple[Variant, RunSpec, Mapping[str, pd.DataFrame]]
_Result = tuple[VariantResult, int]


def _trade_all(
    held: _Held, filters: Sequence[EntryFilter], progress: Progress, pool: Pool
) -> tuple[list[VariantResult], tuple[int, ...]]:
    """Runs behind each filter, the first the real one, and how many entries each has refused."""
    traded: dict[int, _Result] = {}
    with pool.holding(held) as workers:
        for number, result in workers.map_unordered(_trade_filtered, enumerate(filters)):
            traded[number] = result
            progress("filtered runs", len(traded), len(filters))
    return [traded[number][0] for number in range(len(filters))], tuple(traded[n][1] for n in range(len(filters)))


def _trade_filtered(held: _Held, item: tuple[int, EntryFilter]) -> _Result:
    variant, spec, frames = held
    number, entries = item
    broker = FilteringBroker(entries)
    name = FILTERED if number == 0 else f"random-{number}"
    return trade(replace(variant, name=name), spec, frames, broker=broker), broker.refused


def _filter(by_itself: VariantResult, above: float) -> EntryFilter:
    """A filter without a view yet, that knows which sides the strategy takes by itself."""
    held = by_itself.orders.groupby("symbol")["size"].cumsum()
    # rounding: a position of fractions is closed to within some 1e-12 of a share
    longs, shorts = (frozenset(by_itself.orders["symbol"][side]) for side in (held > 1e-9, held < -1e-9))
    return EntryFilter({}, above, shorts, longs)


def _view_of(known: KnownSignals) -> tuple[str, View]:
    """The line that filters, and its values where there is a view: ranks, if the reader compares stocks."""
    signals = [signal for signal in known.known.values() if signal.abstained is None]
    line = "rank" if any(signal.rank for signal in signals) else "signal"
    view = {(it.symbol, it.as_of): it.rank if line == "rank" else it.value for it in signals}
    if not view:
        raise DataError("the signal abstains on every bar, so that it filters nothing; see `ragsignal inspect`")
    return line, view


def _turned(view: View, seeds: int) -> list[View]:
    """The view turned round in time by chance, the same share of each symbol's days at once."""
    days: dict[str, list[date]] = {}
    for symbol, day in sorted(view):
        days.setdefault(symbol, []).append(day)
    longest = max(map(len, days.values()))
    room = range(MARGIN, longest - MARGIN + 1)
    if len(room) < seeds:
        raise DataError(f"{longest} days have a signal, too few for {seeds} others of chance; give fewer --seeds")
    return [
        {
            (symbol, day): view[symbol, of[(place + round(shift / longest * len(of))) % len(of)]]
            for symbol, of in days.items()
            for place, day in enumerate(of)
        }
        for shift in np.random.default_rng(0).choice(room, seeds, replace=False)
    ]


def _refuse_own_signal(strategy: StrategySpec) -> None:
    params = load_strategy(strategy).params
    if "signal" in params._getkeys() and params.signal is None:
        raise ConfigError(
            f"{strategy.name} takes a signal itself, and has nothing to be filtered: name it in a spec, as "
            f'[strategy] class = "{strategy.name}", and type: ragsignal backtest SPEC'
        )


def _refuse_idle(result: VariantResult, strategy: StrategySpec) -> None:
    if len(result.orders):
        return
    rejected = result.metrics["rejected_orders"]
    why = (
        f"its {rejected} orders were refused, most often for want of cash (costs.cash)"
        if rejected
        else "it sent no order"
    )
    first, last = (pd.Timestamp(day).date() for day in result.equity.index[[0, -1]])
    raise DataError(f"{strategy.name} never traded from {first} to {last}: {why}. There is nothing to filter")


def _count(spec: RunSpec, variant: Variant, recipes: Mapping[str, Any], results: Sequence[VariantResult]) -> int:
    """Count the runs that somebody may choose, and say how many were ever tried on these bars."""
    code = code_of(variant.strategy)
    trials = [
        Trial(configuration_of(spec, variant, recipes[it.name], code), "wrap", sharpe_of(it.returns)) for it in results
    ]
    return len(count(spec, trials))


def _gap_in_words(gap: PairedDifference, ruined: Sequence[str]) -> str:
    if gap.difference is None or gap.low is None or gap.high is None:
        lost = [name for name in (gap.left, gap.right) if name in ruined]
        why = f"{' and '.join(lost)} lost everything" if lost else "for want of days"
        return f"{gap.left} less {gap.right}: cannot be said, {why}."
    verdict = f"{gap.left if gap.better else gap.right} is better" if gap.distinguishable else "not distinguishable"
    by, low, high = (f"{100 * it:+.1f}".replace("-", "−") for it in (gap.difference, gap.low, gap.high))
    interval = f"95 % interval {low} … {high}"
    return f"{gap.left} less {gap.right}: {by} points of mean return a year, {interval}: {verdict}."


def _among(beaten: int, n: int) -> str:
    """How the end of the account stands among those of chance."""
    chance = (1 + n - beaten) / (1 + n)
    return f"It ended above {beaten} of {n} random filters; by chance alone it would with p = {chance:.2f}."
