"""Trade every point: what points share is made here once, then the pool trades them without a model and a store.

Signals depend on corpus, retrieval and reader alone: a sweep over thresholds, sizes or costs reads them once. The
benchmark is run once for each set of costs (and candidates), so that every point stands beside it on equal terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.data import Prices
from ragsignal.errors import ConfigError
from ragsignal.parallel import InProcessPool, Pool
from ragsignal.signals import Cost, KnownSignals
from ragsignal.statistics import bars_a_year
from ragsignal.study import RunFrame, Study, Trial, configuration_of, count, sharpe_of, with_symbols
from ragsignal.trading.engine import LIBRARIES, notes_of, prepare, signals_of, trade
from ragsignal.trading.findings.family import PairedDifference, corrected, yearly_gap
from ragsignal.trading.strategy import check_strategy, code_of
from ragsignal.trading.sweep.grid import SHARED, Grid, Point, chosen_variants, points_of, spec_at
from ragsignal.trading.sweep.record import Journal, Row
from ragsignal.trading.sweep.selection import (
    Selection,
    SweepCount,
    against_all,
    packed,
    selection_of,
    unpacked,
    words_of,
)
from ragsignal.trading.variant import VariantResult
from ragsignal.types import Recipe
from ragsignal.utils import Progress, Record, json_digest, plain, silent, versions_of

_RETURNS = "returns"  # of a row, until the points are judged together


def run_sweep(
    spec: RunSpec,
    grid: Grid,
    names: Sequence[str] = (),
    progress: Progress = silent,
    pool: Pool | None = None,
    journal: Journal | None = None,
) -> Record:
    """Run every point of ``grid``.

    Parameters
    ----------
    spec : RunSpec
    grid : mapping of dotted place to values
    names : sequence of str
        Variants that are swept; see :func:`~ragsignal.trading.sweep.grid.chosen_variants`.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.
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
    chosen = [variant.name for variant in chosen_variants(spec, names)]
    spec, _ = with_symbols(spec)
    entries = [_Entry.at(spec, point, name) for point in points_of(grid) for name in chosen]
    pool = pool or InProcessPool()
    frame = RunFrame()
    shared = _share(entries, progress, pool)
    rows = _traded(entries, shared, pool, journal or Journal(None), progress)
    ran = sum("refused" not in row for row in rows)
    if not ran:
        raise ConfigError(f"no point can be run. {rows[0]['refused']}")
    selection, tried = _judged(entries, rows, shared)
    record = {
        "spec": spec.model_dump(mode="json", by_alias=True),
        "grid": grid,
        "variants": chosen,
        "benchmark": spec.benchmark,
        "bars_a_year": shared.held.bars_a_year,
        "trials": ran,
        "rows": rows,
        "benchmarks": shared.benchmark_rows,
        "selection": selection,
        "notes": [
            _note_on_trials(rows, ran),
            *_notes_on_idle(rows),
            *words_of(selection, _number_traded(rows), spec.benchmark),
            *_notes_on_accounts(rows, "point"),
            *_notes_on_accounts(shared.benchmark_rows, "run of the benchmark"),
            *_notes(entries, shared),
        ],
        "fingerprints": {"prices": sorted({prices.digest for prices in shared.histories.values()})},
        "versions": versions_of(LIBRARIES),
        "times": frame.times(signals=_sum(shared.costs).record(), trials=tried),
    }
    dropped = {symbol: it for prices in shared.histories.values() for symbol, it in prices.drop_counts.items()}
    if dropped:
        record["dropped_bars"] = dropped
    rounded: Record = plain(record, "sweep")
    return rounded


@dataclass(frozen=True)
class _Entry:
    """One point for one variant. ``spec`` holds that variant and the benchmark alone; the rest are addresses."""

    point: Point
    variant: Variant
    benchmark: Variant
    spec: RunSpec

    @classmethod
    def at(cls, spec: RunSpec, point: Point, name: str) -> _Entry:
        changed = spec_at(spec, point, [name])
        return cls(point, changed.find_variant(name), changed.find_variant(spec.benchmark), changed)

    @property
    def market(self) -> str:
        """Address of the bars: a made-up market is another one where the corpus has other symbols."""
        return json_digest(self.spec.corpus.model_dump(mode="json"))

    def signals(self, variant: Variant) -> str:
        """Address of a variant's signals."""
        tables = [it.model_dump(mode="json") for it in (variant.retrieval, variant.llm, variant.external)]
        return json_digest([self.market, variant.signal, variant.classifier, *tables])

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

    @property
    def bars_a_year(self) -> int:
        """By which the figures of all points are annualised: they are on the same days."""
        return bars_a_year(pd.DatetimeIndex(next(iter(self.benchmarks.values())).equity.index))

    def trade(self, entry: _Entry, variant: Variant) -> VariantResult:
        """One Cerebro run."""
        source = self.signals.get(entry.signals(variant))
        return trade(variant, entry.spec, self.frames[entry.market], source)


@dataclass
class _Shared:
    """What was made for all points, and what it took."""

    held: _Held = field(default_factory=_Held)
    histories: dict[str, Prices] = field(default_factory=dict)  # by address of the bars
    costs: list[Cost] = field(default_factory=list)
    benchmark_rows: list[Row] = field(default_factory=list)
    identities: dict[str, str] = field(default_factory=dict)  # of prices, signals and strategies, by address
    recipes: dict[str, Recipe] = field(default_factory=dict)  # of signals, by address


def _share(entries: Sequence[_Entry], progress: Progress, pool: Pool) -> _Shared:
    """Bars, signals and benchmarks of all points; one corpus after the other, as each is large."""
    for entry in entries:  # a typo must not cost a model call
        check_strategy(entry.variant)
    shared = _Shared()
    for market in dict.fromkeys(entry.market for entry in entries):
        group = [entry for entry in entries if entry.market == market]
        study, shared.held.frames[market] = prepare(group[0].spec, progress, pool)
        shared.histories[market] = study.prices
        shared.identities[market] = study.prices.digest
        for entry in group:
            for variant in (entry.variant, entry.benchmark):
                _make_signals(shared, study, entry, variant)
            _run_benchmark(shared, entry)
    return shared


def _make_signals(shared: _Shared, study: Study, entry: _Entry, variant: Variant) -> None:
    address = entry.signals(variant)
    if not variant.has_signal or address in shared.held.signals:
        return
    pipeline = study.pipeline(variant)
    signals = signals_of(pipeline, shared.held.frames[entry.market])
    shared.held.signals[address] = signals
    shared.identities[address] = json_digest([signal.key for signal in signals.known.values()])
    shared.recipes[address] = pipeline.recipe
    shared.costs.append(pipeline.cost)


def _run_benchmark(shared: _Shared, entry: _Entry) -> None:
    if entry.terms in shared.held.benchmarks:
        return
    result = shared.held.trade(entry, entry.benchmark)
    shared.held.benchmarks[entry.terms] = result
    point = {place: value for place, value in entry.point.items() if place.partition(".")[0] in SHARED}
    shared.benchmark_rows.append(
        {"variant": result.name, "point": point, **plain({**result.metrics, **result.account_record()})}
    )


def _traded(entries: Sequence[_Entry], shared: _Shared, pool: Pool, journal: Journal, progress: Progress) -> list[Row]:
    """Rows in the order of ``entries``; those in the journal are not run again."""
    addresses = [_identity(entry, shared) for entry in entries]
    left = [number for number, address in enumerate(addresses) if address not in journal.rows]
    for done, (place, row) in enumerate(_trade_all([entries[number] for number in left], shared, pool), 1):
        journal.add(addresses[left[place]], row)
        progress("points", len(entries) - len(left) + done, len(entries))
    return [
        {"variant": entry.variant.name, "point": entry.point, **journal.rows[address]}
        for entry, address in zip(entries, addresses, strict=True)
    ]


def _trade_all(entries: Sequence[_Entry], shared: _Shared, pool: Pool) -> Iterator[tuple[int, Row]]:
    if entries:
        with pool.holding(shared.held) as workers:
            yield from workers.map_unordered(_row, entries)


def _row(held: _Held, entry: _Entry) -> Row:
    """Figures of one point; a combination that its strategy does not take says so."""
    try:
        result = held.trade(entry, entry.variant)
    except ConfigError as error:
        return {"refused": str(error)}
    gap = yearly_gap(result, held.benchmarks[entry.terms])
    row: Row = plain({**result.metrics, **result.account_record(), "gap": gap}, "row")
    return row | {_RETURNS: packed(result.returns)}


def _judged(entries: Sequence[_Entry], rows: list[Row], shared: _Shared) -> tuple[Selection, SweepCount]:
    """Take the returns out of the rows; judge the choice among them, and count them in the ledger of trials.

    A gap to the benchmark is distinguishable only if its p survives the number of points. The second answer is what
    the ledger says, which another run may change.
    """
    ran = [
        (entry, unpacked(row.pop(_RETURNS)), row["orders"] > 0)
        for entry, row in zip(entries, rows, strict=True)
        if _RETURNS in row
    ]
    highest = max((entry.spec.costs for entry, *_ in ran), key=lambda costs: costs.commission_bps + costs.slippage_bps)
    # of two costs the lower always wins, which is no choice that could fail later
    # and cash, which a point that never trades holds, is not the best of anything
    rivals = [(entry, returns) for entry, returns, traded in ran if traded and entry.spec.costs == highest]
    benchmarks = [shared.held.benchmarks[entry.terms].returns for entry, _ in rivals]
    days = pd.DatetimeIndex(shared.held.benchmarks[ran[0][0].terms].returns.index)
    judged = [returns for _, returns in rivals]
    selection = selection_of(judged, [earned.to_numpy() for earned in benchmarks], days)
    with_gap = [row for row in rows if "gap" in row and row["orders"]]
    for row, gap in zip(with_gap, corrected([PairedDifference(**row["gap"]) for row in with_gap]), strict=True):
        row["gap"] = gap
    trials = [Trial(_configuration(entry, shared), "sweep", sharpe_of(returns)) for entry, returns, _ in ran]
    ever = count(entries[0].spec, trials)  # tried on these bars by any command
    return selection, {"count": len(ever), "configurations": len(ran), **against_all(judged, ever, days)}


def _configuration(entry: _Entry, shared: _Shared) -> str:
    recipe = shared.recipes.get(entry.signals(entry.variant))
    return configuration_of(entry.spec, entry.variant, recipe, code_of(entry.variant.strategy))


def _identity(entry: _Entry, shared: _Shared) -> str:
    """Address of a row: the spec there, bars, signals, the strategies' code, and the software."""
    both = (entry.variant, entry.benchmark)
    made = [shared.identities.get(address) for address in (entry.market, *map(entry.signals, both))]
    code = [code_of(variant.strategy) for variant in both]
    return json_digest([entry.spec.model_dump(mode="json"), made, code, versions_of(LIBRARIES)])


def _note_on_trials(rows: Sequence[Row], ran: int) -> str:
    refused = f" {len(rows) - ran} more were refused by their strategy." if len(rows) > ran else ""
    traded = _number_traded(rows)  # cash is the best of nothing
    best = f" The best of {traded} is not evidence: chance alone makes one of them look good." if traded > 1 else ""
    trials = f"{ran} trial{'' if ran == 1 else 's'}"
    return f"{trials} on the same bars.{refused}{best} Choose on these days, judge on days that come after."


def _number_traded(rows: Sequence[Row]) -> int:
    return sum(bool(row.get("orders")) for row in rows)


def _notes_on_idle(rows: Sequence[Row]) -> list[str]:
    idle = sum(row.get("orders") == 0 for row in rows)
    if not idle:
        return []
    return [f"{idle} of {len(rows)} points never traded: they hold cash, and stand apart from what is compared."]


def _notes_on_accounts(rows: Sequence[Row], what: str) -> list[str]:
    """How many accounts were ruined, emptied or paid into; which ones, and when, stands in the rows."""
    said = {
        "ruined": "lost everything: 0 from the day that `ruined` says, a return of -100 %, and no order after it",
        "emptied": "had everything withdrawn on the day that `emptied` says, and no order after it",
        "paid": "paid money in or out (`paid`), which is neither profit nor loss: returns are time-weighted",
    }
    counts = {key: sum(key in row for row in rows) for key in said}
    return [f"{number} {what}{'s' if number > 1 else ''} {said[key]}." for key, number in counts.items() if number]


def _notes(entries: Sequence[_Entry], shared: _Shared) -> list[str]:
    """What holds at all points, and, with their number, what holds at some."""
    studies: dict[str, Study] = {}  # by signals: each verifies its artifacts once
    counts: dict[str, int] = {}
    for entry in entries:
        study = studies.setdefault(
            entry.signals(entry.variant), Study(entry.spec, history=shared.histories[entry.market])
        )
        for note in notes_of(entry.spec, (), study):
            counts[note] = counts.get(note, 0) + 1
    whole = len(entries)
    return [note if number == whole else f"At {number} of {whole} points: {note}" for note, number in counts.items()]


def _sum(costs: Sequence[Cost]) -> Cost:
    totals = {figure.name: sum(getattr(cost, figure.name) for cost in costs) for figure in fields(Cost)}
    return Cost(**totals)
