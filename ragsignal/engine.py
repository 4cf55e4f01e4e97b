"""A spec to a result: every variant in its own Cerebro, on identical bars, fills and costs.

Fills are at the next open unless the spec asks for ``same_close`` by name. Slippage and commission are on by default,
and slippage is applied in full: Backtrader's own default neither slips an order that fills at the open, nor lets
slippage leave the bar's range.
"""

from __future__ import annotations

import functools
import importlib
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.assemble import Report, Workshop
from ragsignal.config import CostSpec, RunSpec, StrategySpec, VariantSpec, did_you_mean
from ragsignal.data import labels
from ragsignal.errors import ConfigError, DataError
from ragsignal.estimate import Before, work_of
from ragsignal.indicator import RagEvidence, RagMomentum
from ragsignal.parallel import Here, Pool
from ragsignal.pipeline import Cost, RagPipeline
from ragsignal.prefetch import KnownSignals, queries_of
from ragsignal.protocols import SignalSource
from ragsignal.results import RunResult, VariantResult, spent
from ragsignal.training_notes import notes_on_training
from ragsignal.versions import versions_of

LIBRARIES = (
    "backtrader",
    "torch",
    "transformers",
    "sentence-transformers",
    "faiss-cpu",
    "arch",
    "peft",
    "scikit-learn",
    "numpy",
    "pandas",
    "quantstats",
)


_ONE_KIND = 0.9  # share of hits from one sequence above which the report says so
_INDICATOR: Any = RagMomentum  # its params are keyword arguments, which Backtrader's metaclass adds


def run_spec(
    spec: RunSpec, report: Report | None = None, before: Before | None = None, pool: Pool | None = None
) -> RunResult:
    """Run every variant of a spec.

    Parameters
    ----------
    spec : RunSpec
    report : callable, optional
        Progress: ``report(what, done, total)``.
    before : callable, optional
        Told which signals the run will ask for, before the first one.
    pool : Pool, optional
        Where models are read and variants are traded; by default this process. The record is the same.

    Raises
    ------
    ConfigError
        If a strategy cannot be found or does not take what the spec gives it.
    DataError
        If a symbol has no bar in the window.
    """
    began, started = time.perf_counter(), datetime.now(UTC)
    pool = pool or Here()
    workshop, frames = prepare(spec, report, pool)
    if before:
        before(workshop, work_of(spec, frames))
    variants = _run_variants(workshop, frames, pool)
    return RunResult(
        spec=spec.model_dump(mode="json", by_alias=True),
        variants=variants,
        benchmark=spec.benchmark,
        closes=pd.DataFrame({symbol: frame["close"] for symbol, frame in frames.items()}),
        comparisons=tuple(compare(spec, variants)),
        notes=tuple(notes_of(spec, variants, workshop)),
        fingerprints={"prices": workshop.prices.fingerprint, **_corpus_fingerprint(workshop)},
        versions=versions_of(LIBRARIES),
        times={
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - began, 1),
        },
    )


def prepare(
    spec: RunSpec, report: Report | None = None, pool: Pool | None = None
) -> tuple[Workshop, dict[str, pd.DataFrame]]:
    """All that comes before the first signal: a workshop, and the bars that are traded; raises as :func:`run_spec`."""
    workshop = Workshop(spec, report, pool.lend if pool else None)
    frames = _window(workshop)
    for variant in spec.variant:  # a typo in the last one must not cost the first one's model calls
        check_strategy(spec.strategy_of(variant), variant)
    return workshop, frames


def _run_variants(workshop: Workshop, frames: Mapping[str, pd.DataFrame], pool: Pool) -> tuple[VariantResult, ...]:
    """Each variant traded as soon as its signals are there; those are made here, whatever the pool."""
    pipelines: dict[int, RagPipeline] = {}

    def ready() -> Iterator[tuple[VariantSpec, KnownSignals | None]]:
        for number, variant in enumerate(workshop.spec.variant):
            if variant.signal == "none":
                yield variant, None
                continue
            pipelines[number] = workshop.pipeline(variant)
            yield variant, signals_of(pipelines[number], frames)

    with pool.holding((workshop.spec, frames)) as workers:
        traded = dict(workers.map_unordered(_trade, ready()))
    return tuple(
        charged(traded[number], pipelines[number]) if number in pipelines else traded[number]
        for number in range(len(traded))
    )


def _trade(
    market: tuple[RunSpec, Mapping[str, pd.DataFrame]], item: tuple[VariantSpec, KnownSignals | None]
) -> VariantResult:
    return trade(item[0], *market, item[1])


def signals_of(pipeline: RagPipeline, frames: Mapping[str, pd.DataFrame]) -> KnownSignals:
    """All signals of a run in one go, whatever the strategy will look at."""
    queries = queries_of(frames, pipeline.lookback)
    known = dict(zip(queries, pipeline.signals(queries), strict=True))
    return KnownSignals(pipeline.lookback, known, fallback=pipeline)


def trade(
    variant: VariantSpec, spec: RunSpec, frames: Mapping[str, pd.DataFrame], source: SignalSource | None = None
) -> VariantResult:
    """One Cerebro run on signals that are there: needs no model and no store, and can be sent to another process.

    Parameters
    ----------
    variant : VariantSpec
    spec : RunSpec
        Its costs and its strategy, where the variant has none.
    frames : mapping of symbol to DataFrame
        Adjusted OHLCV, exactly the bars that are traded.
    source : SignalSource, optional
        None for a variant that trades prices alone.

    Returns
    -------
    VariantResult
        Without cost and recipe, which are the source's: see :func:`charged`.
    """
    cerebro = _cerebro(frames, spec.costs)
    strategy = load_strategy(spec.strategy_of(variant))
    cerebro.addstrategy(strategy, **_params_of(spec.strategy_of(variant), source))
    cerebro.addanalyzer(Ledger, _name="ledger", same_close=spec.costs.execution == "same_close")
    cerebro.addanalyzer(RagEvidence, _name="evidence")
    ran = _run(cerebro, variant)
    ledger = ran.analyzers.ledger
    signals = _signal_table(ran.analyzers.evidence.get_analysis(), frames)
    equity = pd.Series(ledger.equity, index=pd.DatetimeIndex(ledger.days, name="date").as_unit("us"), name=variant.name)
    exposure = pd.Series(ledger.exposure, index=equity.index, name=variant.name)
    orders = pd.DataFrame(ledger.orders, columns=Ledger.ORDER_COLUMNS)
    return VariantResult(
        name=variant.name,
        kind=variant.signal,
        equity=equity,
        exposure=exposure,
        orders=orders,
        signals=signals,
        metrics=_metrics(equity, exposure, orders, signals, ledger),
        cost=_cost(Cost(), signals),
        recipe=None,
    )


def charged(result: VariantResult, pipeline: RagPipeline) -> VariantResult:
    """``result`` with what its signals cost, and what decided them."""
    return replace(result, cost=_cost(pipeline.cost, result.signals), recipe=pipeline.recipe)


def _cost(cost: Cost, signals: pd.DataFrame) -> dict[str, float | int | None]:
    return {
        **spent(cost),
        # the model's time for these signals, whenever they were made
        "signal_seconds": round(float(signals["seconds"].sum()), 3) if len(signals) else 0.0,
    }


class Ledger(bt.Analyzer):
    """Writes down what the account did: value and exposure at each bar, and every order that was filled.

    Params: ``same_close`` tells from which price slippage is measured: the close of the order's bar, not the open of
    the next.
    """

    params = (("same_close", False),)
    ORDER_COLUMNS = ("date", "symbol", "size", "price", "value", "commission", "slippage")

    def start(self) -> None:
        """Begin empty books."""
        self.days: list[pd.Timestamp] = []
        self.equity: list[float] = []
        self.exposure: list[float] = []
        self.orders: list[tuple[Any, ...]] = []
        self.trades = 0
        self.rejected = 0

    def prenext(self) -> None:
        """Bars before the strategy's minimum period count too: the window is the same for every variant."""
        self.next()

    def next(self) -> None:
        """Value the account at the close."""
        broker = self.strategy.broker
        value = float(broker.getvalue())
        invested = sum(abs(float(broker.getvalue([data]))) for data in self.datas if len(data))
        self.days.append(pd.Timestamp(self.strategy.datetime.date(0)))
        self.equity.append(value)
        self.exposure.append(invested / value if value > 0 else 0.0)

    def notify_order(self, order: Any) -> None:
        """Keep what was filled; count what was refused."""
        if order.status in (order.Margin, order.Rejected):
            self.rejected += 1
        if order.status != order.Completed:
            return
        size, price = float(order.executed.size), float(order.executed.price)
        base = float(order.created.pclose if self.p.same_close else order.data.open[0])
        slipped = abs(size) * abs(price - base) if order.exectype == order.Market else 0.0
        day = pd.Timestamp(bt.num2date(order.executed.dt).date())
        commission = float(order.executed.comm)
        self.orders.append((day, order.data._name, size, price, size * price, commission, slipped))

    def notify_trade(self, trade: Any) -> None:
        """Count positions that were opened."""
        self.trades += bool(trade.justopened)


def load_strategy(spec: StrategySpec) -> type[bt.Strategy]:
    """Import ``module:Class`` with the current folder on the path.

    Raises
    ------
    ConfigError
        If there is no such module or class, or it is no Backtrader strategy.
    """
    module_name, class_name = spec.name.split(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise  # the module exists, and something that it imports does not
        raise ConfigError(
            f"no module {module_name!r} (strategy {spec.name!r}); modules are looked up from the current folder, {here}"
        ) from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, bt.Strategy)):
        known = [name for name, it in vars(module).items() if isinstance(it, type) and issubclass(it, bt.Strategy)]
        raise ConfigError(f"{module_name} has no strategy {class_name!r}.{did_you_mean(class_name, known)}")
    return found


def compare(spec: RunSpec, variants: tuple[VariantResult, ...]) -> list[dict[str, Any]]:
    """Paired differences on the same days: each retriever against none and against random, all against the benchmark.

    For the hit rate only signals of the same reader are paired: another model's edge is not retrieval's.
    """
    by_name = {variant.name: variant for variant in variants}
    rows = []
    for variant in spec.variant:
        for label, rivals in _rivals(spec, variant).items():
            heard = pd.concat([by_name[name].signals for name in rivals])
            gain = statistics.hit_rate_difference(by_name[variant.name].signals, heard)
            rows.append(_row(variant.name, label, "hit rate", gain))
    benchmark = by_name[spec.benchmark]
    for result in variants:
        if result is not benchmark:
            gap = result.returns.to_numpy() - benchmark.returns.to_numpy()
            scale = statistics.bars_a_year(pd.DatetimeIndex(benchmark.equity.index))
            yearly = _scaled(statistics.mean_interval(gap), scale)
            rows.append(_row(result.name, benchmark.name, "mean return a year", yearly))
    return [row for row in rows if row is not None]


def _rivals(spec: RunSpec, variant: VariantSpec) -> dict[str, list[str]]:
    """The variant's rivals by the label of the page: a name, or how many seeds were taken together."""
    found = spec.rivals_of(variant).items()
    return {names[0] if len(names) == 1 else f"{kind} ({len(names)} seeds)": names for kind, names in found}


def notes_of(spec: RunSpec, variants: Sequence[VariantResult] = (), workshop: Workshop | None = None) -> list[str]:
    """What a reader must know before the first figure."""
    notes = [*notes_on_training(workshop or Workshop(spec)), *_notes_on_hits(spec, variants)]
    if spec.costs.commission_bps == spec.costs.slippage_bps == 0:
        notes.append("Costs are switched off: nobody can trade these figures.")
    if spec.costs.execution == "same_close":
        notes.append("Orders fill at the close that their signal was computed from: no market offers that.")
    return notes


def _notes_on_hits(spec: RunSpec, variants: Sequence[VariantResult]) -> list[str]:
    """Say so where a retriever found one kind of sequence only: it is then compared with others on another pool."""
    if len(spec.corpus.indicators) == 1:
        return []
    notes = []
    for variant in variants:
        found = variant.signals["hits"].explode().dropna().str.split("/").str[1].value_counts(normalize=True)
        if len(found) and found.iloc[0] > _ONE_KIND:
            notes.append(f"{variant.name}: {found.iloc[0]:.0%} of its hits are {found.index[0]} sequences.")
    return notes


def _window(workshop: Workshop) -> dict[str, pd.DataFrame]:
    data = workshop.spec.data
    frames = dict(workshop.prices.select(data.symbols).between(data.start, data.end).frames)
    short = {symbol: len(frame) for symbol, frame in frames.items() if len(frame) < 2}
    if short or len(frames) < len(data.symbols):
        missing = sorted(set(data.symbols) - set(frames)) + sorted(short)
        raise DataError(
            f"fewer than 2 bars from {data.start} to {data.end} for {', '.join(missing)}; "
            "change data.start, data.end or data.symbols"
        )
    return frames


def _cerebro(frames: Mapping[str, pd.DataFrame], costs: CostSpec) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    for symbol, frame in frames.items():
        cerebro.adddata(bt.feeds.PandasData(dataname=frame, openinterest=None), name=symbol)
    cerebro.broker.setcash(costs.cash)
    cerebro.broker.setcommission(commission=costs.commission_bps / 1e4)
    # slip_open: without it an order that fills at the open, as ours do, does not slip at all.
    # slip_out: without it slippage is capped at the bar's high and low.
    cerebro.broker.set_slippage_perc(costs.slippage_bps / 1e4, slip_open=True, slip_match=True, slip_out=True)
    cerebro.broker.set_coc(costs.execution == "same_close")
    return cerebro


def check_strategy(spec: StrategySpec, variant: VariantSpec) -> None:
    """Raise ``ConfigError`` unless the strategy exists, and takes its params and the variant's signal."""
    strategy = load_strategy(spec)
    known = list(strategy.params._getkeys())
    for name in spec.params:
        if name not in known:
            raise ConfigError(f"strategy {spec.name!r} has no param {name!r}.{did_you_mean(name, known)}")
    if variant.signal == "none":
        return
    if "signal" not in known:
        raise ConfigError(
            f"strategy {spec.name!r} has no param 'signal', so it cannot trade one; add it to its params "
            '(a callable from feed to line), or set signal = "none" in the variant'
        )
    if strategy.params.signal is not None:
        raise ConfigError(
            f"strategy {spec.name!r} of variant {variant.name!r} brings its own signal, which a model's would replace; "
            'set signal = "none" in the variant'
        )


def _params_of(spec: StrategySpec, source: SignalSource | None) -> dict[str, Any]:
    if source is None:
        return dict(spec.params)
    return {**spec.params, "signal": functools.partial(_INDICATOR, source=source)}


def _run(cerebro: Any, variant: VariantSpec) -> Any:
    """Run, and turn what a strategy says of its own params into an error of the spec."""
    try:
        (ran,) = cerebro.run()
    except ValueError as error:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        if any(it.f_code.co_name == "__init__" and isinstance(it.f_locals.get("self"), bt.Strategy) for it in frames):
            raise ConfigError(f"variant {variant.name!r}: {error}") from error
        raise
    return ran


def _signal_table(signals: list[Any], frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["date", "symbol", "value", "probability", "abstained", "target", "key", "hits", "tokens", "seconds"]
    if not signals:
        return pd.DataFrame(columns=columns)
    earned = {symbol: table["outcome"] for symbol, table in labels.forward_returns(frames, "open_to_open").items()}
    rows = [
        (
            *(pd.Timestamp(it.as_of), it.symbol, it.value, it.probability, it.abstained),
            *(earned[it.symbol].get(pd.Timestamp(it.as_of), np.nan), it.key, [hit.candidate.id for hit in it.hits]),
            *(it.tokens, it.seconds),
        )
        for it in signals
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["date", "symbol"], kind="stable", ignore_index=True)


def _metrics(
    equity: pd.Series, exposure: pd.Series, orders: pd.DataFrame, signals: pd.DataFrame, ledger: Ledger
) -> dict[str, float | int | None]:
    years = (equity.index[-1] - equity.index[0]).days / 365.25
    traded = float(orders["value"].abs().sum())
    heard = signals[signals["abstained"].isna()] if len(signals) else signals
    pair = [heard[name].to_numpy(dtype=np.float64) for name in ("value", "target")]
    return {
        **statistics.performance(equity),
        "turnover": traded / float(equity.mean()) / years,
        "costs_paid": float(orders["commission"].sum() + orders["slippage"].sum()),
        "trades": ledger.trades,
        "orders": len(orders),
        "rejected_orders": ledger.rejected,
        "exposure": float(exposure.mean()),
        "hit_rate": statistics.hit_rate(*pair) if len(signals) else None,
        "base_rate": statistics.base_rate(*pair) if len(signals) else None,
        "signals": len(signals),
        "abstentions": len(signals) - len(heard),
        # what it took to make these signals, whenever that was: stored with each of them
        "signal_tokens": int(signals["tokens"].sum()) if len(signals) else 0,
    }


def _row(left: str, right: str, measure: str, interval: statistics.Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {
        **{"left": left, "right": right, "measure": measure},
        **{"difference": interval.difference, "low": interval.low, "high": interval.high},
        "distinguishable": interval.distinguishable,
    }


def _scaled(interval: statistics.Interval, scale: float) -> statistics.Interval:
    return statistics.Interval(interval.difference * scale, interval.low * scale, interval.high * scale)


def _corpus_fingerprint(workshop: Workshop) -> dict[str, str]:
    spec = workshop.spec
    reads = any(v.signal in ("llm", "vote") and spec.retrieval_of(v).retriever != "none" for v in spec.variant)
    return {"corpus": workshop.corpus.fingerprint} if reads else {}
