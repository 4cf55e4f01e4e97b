"""Trade every point: what points share is made here once, then the pool trades them without a model and a store.

Signals depend on corpus, retrieval and reader alone: a sweep over thresholds, sizes or costs reads them once. The
benchmark is run once for each set of costs (and candidates), so that every point stands beside it on equal terms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from ragsignal.backtest.engine import LIBRARIES, notes_of, prepare, signals_of, trade
from ragsignal.backtest.findings.family import PairedDifference, corrected, yearly_gap
from ragsignal.backtest.strategy import check_strategy, code_of
from ragsignal.backtest.sweep.grid import SHARED, Grid, Point, chosen_variants, points_of, spec_at
from ragsignal.backtest.sweep.record import Journal
from ragsignal.backtest.sweep.selection import Floats, against_all, packed, selection_of, unpacked, words_of
from ragsignal.backtest.variant import VariantResult
from ragsignal.config import RunSpec, VariantSpec
from ragsignal.errors import ConfigError
from ragsignal.parallel import Here, Pool
from ragsignal.protocols import Recipe
from ragsignal.signals import Cost, KnownSignals
from ragsignal.study import Report, Trial, Workshop, check_ledger, configuration_of, count, sharpe_of
from ragsignal.utils import json_digest, plain, versions_of

_RETURNS = "returns"  # of a row, until the points are judged together


def run_sweep(
    spec: RunSpec,
    grid: Grid,
    names: Sequence[str] = (),
    report: Report | None = None,
    pool: Pool | None = None,
    journal: Journal | None = None,
) -> dict[str, Any]:
    """Run every point of ``grid``.

    Parameters
    ----------
    spec : RunSpec
    grid : mapping of dotted place to values
    names : sequence of str
        Variants that are swept; see :func:`~ragsignal.backtest.sweep.grid.chosen_variants`.
    report : callable, optional
        Progress: ``report(what, done, total)``.
    pool : Pool, optional
        Where points are traded; by default this process.
    journal : Journal, optional
        Keeps each row that is done, and gives back those of a sweep that was killed.

    Returns
    -------
    dict
        ``rows``: one for each point and variant, with figures and the gap to the benchmark at the same costs, or with
         ``refused``, where a strategy does not take the combination. ``trials``: how many were run. ``benchmarks``,
        ``notes``, and what rebuilds it all. JSON-able; the same for the same spec, grid and bars, but for ``times``.

    Raises
    ------
    ConfigError
        If the grid does not fit the spec, or no point can be run.
    """
    began, started = time.perf_counter(), datetime.now(UTC)
    chosen = [it.name for it in chosen_variants(spec, names)]
    trials = [_Trial.at(spec, point, name) for point in points_of(grid) for name in chosen]
    pool = pool or Here()
    check_ledger()
    shared = _share(trials, report, pool)
    rows = _traded(trials, shared, pool, journal or Journal(None), report)
    ran = sum("refused" not in row for row in rows)
    if not ran:
        raise ConfigError(f"no point can be run. {rows[0]['refused']}")
    selection, tried = _judged(trials, rows, shared)
    record = {
        "spec": spec.model_dump(mode="json", by_alias=True),
        **{"grid": grid, "variants": chosen, "benchmark": spec.benchmark, "trials": ran},
        **{"rows": rows, "benchmarks": shared.benchmark_rows, "selection": selection},
        "notes": [_note_on_trials(ran, len(rows)), *words_of(selection, ran, spec.benchmark), *_notes(trials)],
        "fingerprints": {"prices": sorted(shared.prices)},
        "versions": versions_of(LIBRARIES),
        "times": {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - began, 1),
            "signals": _sum(shared.costs).record(),
            "trials": tried,
        },
    }
    told: dict[str, Any] = plain(record, "sweep")
    return told


@dataclass(frozen=True)
class _Trial:
    """One point for one variant. ``spec`` holds that variant and the benchmark alone; the rest are addresses."""

    point: Point
    variant: VariantSpec
    benchmark: VariantSpec
    spec: RunSpec

    @classmethod
    def at(cls, spec: RunSpec, point: Point, name: str) -> _Trial:
        there = spec_at(spec, point, [name])
        return cls(point, there.find_variant(name), there.find_variant(spec.benchmark), there)

    @property
    def market(self) -> str:
        """Address of the bars: a made-up market is another one where the corpus has other symbols."""
        return json_digest(self.spec.corpus.model_dump(mode="json"))

    def signals(self, variant: VariantSpec) -> str:
        """Address of a variant's signals."""
        parts = (self.spec.retrieval_of(variant), self.spec.llm_of(variant))
        return json_digest(
            [self.market, variant.signal, variant.classifier, *(it.model_dump(mode="json") for it in parts)]
        )

    @property
    def terms(self) -> str:
        """Address of the benchmark's run."""
        return json_digest([self.market, self.spec.costs.model_dump(mode="json")])


@dataclass
class _Held:
    """What every worker holds, by address: bars, signals, and the benchmark's runs."""

    frames: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)
    signals: dict[str, KnownSignals] = field(default_factory=dict)
    benchmarks: dict[str, VariantResult] = field(default_factory=dict)

    def trade(self, trial: _Trial, variant: VariantSpec) -> VariantResult:
        """One Cerebro run."""
        source = self.signals.get(trial.signals(variant))
        return trade(variant, trial.spec, self.frames[trial.market], source)


@dataclass
class _Shared:
    """What was made for all points, and what it took."""

    held: _Held = field(default_factory=_Held)
    prices: set[str] = field(default_factory=set)
    costs: list[Cost] = field(default_factory=list)
    benchmark_rows: list[dict[str, Any]] = field(default_factory=list)
    identities: dict[str, str] = field(default_factory=dict)  # of prices, signals and strategies, by address
    recipes: dict[str, Recipe] = field(default_factory=dict)  # of signals, by address


def _share(trials: Sequence[_Trial], report: Report | None, pool: Pool) -> _Shared:
    """Bars, signals and benchmarks of all points; one corpus after the other, as each is large."""
    for trial in trials:  # a typo must not cost a model call
        check_strategy(trial.spec.strategy_of(trial.variant), trial.variant)
    shared = _Shared()
    for market in dict.fromkeys(trial.market for trial in trials):
        group = [trial for trial in trials if trial.market == market]
        workshop, shared.held.frames[market] = prepare(group[0].spec, report, pool)
        shared.prices.add(workshop.prices.fingerprint)
        shared.identities[market] = workshop.prices.fingerprint
        for trial in group:
            for variant in (trial.variant, trial.benchmark):
                _make_signals(shared, workshop, trial, variant)
            _run_benchmark(shared, trial)
    return shared


def _make_signals(shared: _Shared, workshop: Workshop, trial: _Trial, variant: VariantSpec) -> None:
    address = trial.signals(variant)
    if variant.signal == "none" or address in shared.held.signals:
        return
    pipeline = workshop.pipeline(variant)
    found = signals_of(pipeline, shared.held.frames[trial.market])
    shared.held.signals[address] = found
    shared.identities[address] = json_digest([signal.key for signal in found.known.values()])
    shared.recipes[address] = pipeline.recipe
    shared.costs.append(pipeline.cost)


def _run_benchmark(shared: _Shared, trial: _Trial) -> None:
    if trial.terms in shared.held.benchmarks:
        return
    result = shared.held.trade(trial, trial.benchmark)
    shared.held.benchmarks[trial.terms] = result
    point = {place: value for place, value in trial.point.items() if place.partition(".")[0] in SHARED}
    shared.benchmark_rows.append({"variant": result.name, "point": point, **result.metrics})


def _traded(
    trials: Sequence[_Trial], shared: _Shared, pool: Pool, journal: Journal, report: Report | None
) -> list[dict[str, Any]]:
    """Rows in the order of ``trials``; those in the journal are not run again."""
    addresses = [_identity(trial, shared) for trial in trials]
    left = [number for number, address in enumerate(addresses) if address not in journal.rows]
    for done, (place, row) in enumerate(_trade_all([trials[number] for number in left], shared, pool), 1):
        journal.add(addresses[left[place]], row)
        if report:
            report("points", len(trials) - len(left) + done, len(trials))
    return [
        {"variant": trial.variant.name, "point": trial.point, **journal.rows[address]}
        for trial, address in zip(trials, addresses, strict=True)
    ]


def _trade_all(trials: Sequence[_Trial], shared: _Shared, pool: Pool) -> Iterator[tuple[int, dict[str, Any]]]:
    if trials:
        with pool.holding(shared.held) as workers:
            yield from workers.map_unordered(_row, trials)


def _row(held: _Held, trial: _Trial) -> dict[str, Any]:
    """Figures of one point; a combination that its strategy does not take says so."""
    try:
        result = held.trade(trial, trial.variant)
    except ConfigError as error:
        return {"refused": str(error)}
    gap = yearly_gap(result, held.benchmarks[trial.terms])
    row: dict[str, Any] = plain({**result.metrics, "gap": gap}, "row")
    return row | {_RETURNS: packed(result.returns)}


def _judged(
    trials: Sequence[_Trial], rows: list[dict[str, Any]], shared: _Shared
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take the returns out of the rows; judge the choice among them, and count them in the ledger of trials.

    A gap to the benchmark is distinguishable only if its p survives the number of points. The second answer is what
    the ledger says, which another run may change.
    """
    ran = [(trial, unpacked(row.pop(_RETURNS))) for trial, row in zip(trials, rows, strict=True) if _RETURNS in row]
    judged = _at_the_highest_costs(ran)
    benchmarks = [shared.held.benchmarks[trial.terms].returns for trial, _ in judged]
    days = pd.DatetimeIndex(benchmarks[0].index)
    selection = selection_of([it for _, it in judged], [it.to_numpy() for it in benchmarks], days)
    done = [row for row in rows if "gap" in row]
    for row, gap in zip(done, corrected([PairedDifference(**row["gap"]) for row in done]), strict=True):
        row["gap"] = gap
    counted = [Trial(_configuration(trial, shared), "sweep", sharpe_of(returns)) for trial, returns in ran]
    known = count(trials[0].spec, counted)
    told = {"count": len(known), "configurations": len(ran)}  # ever tried on these bars, by any command
    return {"points": len(judged), **selection}, told | against_all([it for _, it in judged], known, days)


def _at_the_highest_costs(ran: list[tuple[_Trial, Floats]]) -> list[tuple[_Trial, Floats]]:
    """Points that were rivals: of two costs the lower always wins, which is no choice that could fail later."""
    highest = max((trial.spec.costs for trial, _ in ran), key=lambda it: it.commission_bps + it.slippage_bps)
    return [it for it in ran if it[0].spec.costs == highest]


def _configuration(trial: _Trial, shared: _Shared) -> str:
    code = code_of(trial.spec.strategy_of(trial.variant))
    recipe = shared.recipes.get(trial.signals(trial.variant))
    return configuration_of(trial.spec, trial.variant, recipe, code)


def _identity(trial: _Trial, shared: _Shared) -> str:
    """Address of a row: the spec there, bars, signals, the strategies' code, and the software."""
    made = [shared.identities.get(it) for it in (trial.market, *map(trial.signals, (trial.variant, trial.benchmark)))]
    code = [code_of(trial.spec.strategy_of(variant)) for variant in (trial.variant, trial.benchmark)]
    return json_digest([trial.spec.model_dump(mode="json"), made, code, versions_of(LIBRARIES)])


def _note_on_trials(ran: int, asked: int) -> str:
    refused = f" {asked - ran} more were refused by their strategy." if asked > ran else ""
    return (
        f"{ran} trials on the same bars.{refused} The best of {ran} is not evidence: chance alone makes one of them "
        "look good. Choose on these days, judge on days that come after."
    )


def _notes(trials: Sequence[_Trial]) -> list[str]:
    """What holds at all points, and, with their number, what holds at some."""
    workshops: dict[str, Workshop] = {}  # by signals: each verifies its artifacts once
    counts: dict[str, int] = {}
    for trial in trials:
        workshop = workshops.setdefault(trial.signals(trial.variant), Workshop(trial.spec))
        for note in notes_of(trial.spec, (), workshop):
            counts[note] = counts.get(note, 0) + 1
    whole = len(trials)
    return [note if count == whole else f"At {count} of {whole} points: {note}" for note, count in counts.items()]


def _sum(costs: Sequence[Cost]) -> Cost:
    return Cost(**{it.name: sum(getattr(cost, it.name) for cost in costs) for it in fields(Cost)})
