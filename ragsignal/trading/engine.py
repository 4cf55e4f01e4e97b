"""A spec to a result: every variant in its own Cerebro, on identical bars, fills and costs.

Fills are at the next open unless the spec asks for ``same_close`` by name. Slippage and commission are on by default,
and slippage is applied in full: Backtrader's own default neither slips an order that fills at the open, nor lets
slippage leave the bar's range.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.config import CostSpec, RunSpec, StrategySpec, Variant
from ragsignal.data import clock_of, days_of, forward_returns
from ragsignal.errors import ConfigError, DataError
from ragsignal.parallel import InProcessPool, Pool
from ragsignal.protocols import SignalSource
from ragsignal.signals import KnownSignals, Pipeline, StoredHits, queries_of
from ragsignal.study import (
    Before,
    RunFrame,
    Study,
    TrialCount,
    count_run,
    data_digests,
    notes_on_news,
    notes_on_prices,
    notes_on_training,
    work_of,
)
from ragsignal.trading.broker import AccountBroker, AccountRecorder
from ragsignal.trading.feed import GuardedFeed, timeframe_of
from ragsignal.trading.findings import findings_of
from ragsignal.trading.findings.retrieved import run_evidence
from ragsignal.trading.indicator import RagEvidence, RagMomentum
from ragsignal.trading.lines import LineGuard
from ragsignal.trading.notes import notes_on_accounts, notes_on_trading
from ragsignal.trading.results import RunResult
from ragsignal.trading.strategy import check_strategy, code_of, load_strategy
from ragsignal.trading.variant import Metrics, VariantResult
from ragsignal.trading.whole_shares import TooDear
from ragsignal.types import DatedHits, Hit, Signal
from ragsignal.utils import Clock, Progress, silent, versions_of

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
    spec: RunSpec, progress: Progress = silent, before: Before | None = None, pool: Pool | None = None
) -> RunResult:
    """Run every variant of a spec.

    Parameters
    ----------
    spec : RunSpec
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.
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
    StoreError
        If the run cannot be counted in the ledger of trials.
    """
    frame = RunFrame()
    pool = pool or InProcessPool()
    study, frames = prepare(spec, progress, pool)
    spec = study.spec  # with its symbols by name
    if before:
        before(study, work_of(spec, frames))
    variants = _run_variants(study, frames, pool)
    closes = pd.DataFrame({symbol: frame["close"] for symbol, frame in frames.items()})
    codes = {variant.name: code_of(variant.strategy) for variant in spec.variants}
    return RunResult(
        spec=spec,
        variants=variants,
        benchmark=spec.benchmark,
        closes=closes,
        findings=findings_of(spec, variants, closes),
        notes=(*notes_of(spec, variants, study), *notes_on_trading(spec, variants, closes)),
        dropped_bars=study.prices.drop_counts,
        evidence=run_evidence(study, closes),
        digests=data_digests(study, spec.variants)
        | {f"code of {variant.strategy.name}": codes[variant.name] for variant in spec.variants},
        versions=versions_of(LIBRARIES),
        times=frame.times(trials=_counted(spec, variants, codes)),  # other runs may be counted in between
    )


def _counted(spec: RunSpec, results: Sequence[VariantResult], codes: Mapping[str, str]) -> TrialCount:
    returns = {result.name: result.returns for result in results}
    recipes = {result.name: result.recipe for result in results}
    return count_run(spec, returns, recipes, codes)


def prepare(
    spec: RunSpec, progress: Progress = silent, pool: Pool | None = None
) -> tuple[Study, dict[str, pd.DataFrame]]:
    """All that comes before the first signal: a study, and the bars that are traded; raises as :func:`run_spec`."""
    study = Study(spec, progress, pool.distribute if pool else None)
    frames = _window(study)
    for variant in spec.variants:  # a typo in the last one must not cost the first one's model calls
        check_strategy(variant)
    return study, frames


def _run_variants(study: Study, frames: Mapping[str, pd.DataFrame], pool: Pool) -> tuple[VariantResult, ...]:
    """Each variant traded as soon as its signals are there; those are made here, whatever the pool."""
    pipelines: dict[int, Pipeline] = {}

    def ready() -> Iterator[tuple[Variant, KnownSignals | None]]:
        for number, variant in enumerate(study.spec.variants):
            if not variant.has_signal:
                yield variant, None
                continue
            pipelines[number] = study.pipeline(variant)
            yield variant, signals_of(pipelines[number], frames)

    with pool.holding((study.spec, frames)) as workers:
        traded = dict(workers.map_unordered(_trade, ready()))
    return tuple(
        charged(traded[number], pipelines[number]) if number in pipelines else traded[number]
        for number in range(len(traded))
    )


def _trade(
    market: tuple[RunSpec, Mapping[str, pd.DataFrame]], item: tuple[Variant, KnownSignals | None]
) -> VariantResult:
    return trade(item[0], *market, item[1])


def signals_of(pipeline: Pipeline, frames: Mapping[str, pd.DataFrame]) -> KnownSignals:
    """All signals of a run in one go, whatever the strategy will look at."""
    queries = queries_of(frames, pipeline.lookback)
    known = dict(zip(queries, pipeline.signals(queries), strict=True))
    return KnownSignals(pipeline.lookback, known, fallback=pipeline, clock=pipeline.clock)


def trade(
    variant: Variant,
    spec: RunSpec,
    frames: Mapping[str, pd.DataFrame],
    source: SignalSource | None = None,
    broker: AccountBroker | None = None,
) -> VariantResult:
    """One Cerebro run on signals that are there: needs no model and no store, and can be sent to another process.

    Parameters
    ----------
    variant : Variant
    spec : RunSpec
        Its costs and its strategy, where the variant has none.
    frames : mapping of symbol to DataFrame
        Adjusted OHLCV, exactly the bars that are traded.
    source : SignalSource, optional
        None for a variant that trades prices alone.
    broker : AccountBroker, optional
        Another one than the usual; it gets the spec's cash and costs.

    Returns
    -------
    VariantResult
        Without cost and recipe, which are the source's: see :func:`charged`.
    """
    cerebro = _cerebro(frames, spec.costs, broker)
    add_variant(cerebro, variant, spec.costs, source, intraday=_clock_of(frames).intraday)
    return result_of(run_cerebro(cerebro, variant), variant, spec, frames)


def add_variant(
    cerebro: Any, variant: Variant, costs: CostSpec, source: SignalSource | None, *, intraday: bool = False
) -> None:
    """Give a Cerebro the strategy of a variant, and what keeps its books; ``intraday`` by moments, and not by days."""
    strategy = load_strategy(variant.strategy)
    cerebro.addstrategy(strategy, **_params_of(variant.strategy, source))
    same_close = costs.execution == "same_close"
    cerebro.addanalyzer(AccountRecorder, _name="account", same_close=same_close, intraday=intraday)
    cerebro.addanalyzer(LineGuard, _name="guard")
    cerebro.addanalyzer(RagEvidence, _name="evidence")
    cerebro.addanalyzer(TooDear, _name="too_dear")


def result_of(ran: Any, variant: Variant, spec: RunSpec, frames: Mapping[str, pd.DataFrame]) -> VariantResult:
    """What a strategy that has run came to; as :func:`trade`."""
    account = ran.analyzers.account
    signals = _signal_table(ran.analyzers.evidence.get_analysis(), frames)
    days = pd.DatetimeIndex(account.days, name="date").as_unit("us")
    equity, exposure, funds = (
        pd.Series(values, index=days, name=variant.name) for values in (account.equity, account.exposure, account.funds)
    )
    orders = pd.DataFrame(account.orders, columns=AccountRecorder.ORDER_COLUMNS)
    return VariantResult(
        name=variant.name,
        kind=variant.signal,
        equity=equity,
        exposure=exposure,
        orders=orders,
        signals=signals,
        metrics=_metrics(equity, exposure, orders, signals, account),
        too_dear={
            name: None if times is None else spec.costs.cash * times
            for name, times in ran.analyzers.too_dear.get_analysis().items()
        },
        paid=account.payments,
        funds=funds if account.payments else None,
        fell_to=ran.broker.fell_to,
    )


def charged(result: VariantResult, pipeline: Pipeline) -> VariantResult:
    """``result`` with what its signals cost, and what decided them."""
    return replace(result, cost=replace(pipeline.cost), recipe=pipeline.recipe)  # a pipeline goes on counting


def notes_of(spec: RunSpec, variants: Sequence[VariantResult] = (), study: Study | None = None) -> list[str]:
    """What a reader must know before the first figure."""
    study = study or Study(spec)
    notes = [*notes_on_prices(study), *notes_on_news(study), *notes_on_training(study)]
    notes += [*_notes_on_hits(spec, variants), *notes_on_accounts(variants)]
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
        shares = variant.signals["hits"].explode().dropna().str.split("/").str[1].value_counts(normalize=True)
        if len(shares) and shares.iloc[0] > _ONE_KIND:
            notes.append(f"{variant.name}: {100 * shares.iloc[0]:.0f} % of its hits are {shares.index[0]} sequences.")
    return notes


def _window(study: Study) -> dict[str, pd.DataFrame]:
    data = study.spec.data
    frames = dict(study.prices.select(data.symbols).between(data.start, data.end).frames)
    if data.picked_from:  # nobody named them: that one has gone since is no mistake
        frames = {symbol: frame for symbol, frame in frames.items() if len(frame) >= 2}
    short = {symbol: len(frame) for symbol, frame in frames.items() if len(frame) < 2}
    if short or not frames:
        missing = sorted(short) or data.symbols
        raise DataError(
            f"fewer than 2 bars from {data.start} to {data.end} for {', '.join(missing)}; "
            "change data.start, data.end or data.symbols"
        )
    return frames


def _cerebro(frames: Mapping[str, pd.DataFrame], costs: CostSpec, broker: AccountBroker | None = None) -> Any:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.setbroker(broker or AccountBroker())
    for symbol, frame in frames.items():
        cerebro.adddata(GuardedFeed(dataname=frame, **timeframe_of(_clock_of(frames))), name=symbol)
    set_costs(cerebro.broker, costs)
    return cerebro


def _clock_of(frames: Mapping[str, pd.DataFrame]) -> Clock:
    return clock_of(next(iter(frames.values())))


def set_costs(broker: Any, costs: CostSpec) -> None:
    """Give a Backtrader broker the cash, costs and fills of a spec."""
    broker.setcash(costs.cash)
    broker.setcommission(commission=costs.commission_bps / 1e4)
    # slip_open: without it an order that fills at the open, as ours do, does not slip at all.
    # slip_out: without it slippage is capped at the bar's high and low.
    broker.set_slippage_perc(costs.slippage_bps / 1e4, slip_open=True, slip_match=True, slip_out=True)
    broker.set_coc(costs.execution == "same_close")


def _params_of(spec: StrategySpec, source: SignalSource | None) -> dict[str, object]:
    if source is None:
        return dict(spec.params)
    return {**spec.params, "signal": functools.partial(_INDICATOR, source=source)}


def run_cerebro(cerebro: Any, variant: Variant) -> Any:
    """Run, and turn what a strategy says of its own params into an error of the spec."""
    try:
        (ran,) = cerebro.run()
    except ValueError as error:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        if any(it.f_code.co_name == "__init__" and isinstance(it.f_locals.get("self"), bt.Strategy) for it in frames):
            raise ConfigError(f"variant {variant.name!r}: {error}") from error
        raise
    except IndexError as error:
        _refuse_few_bars(cerebro, variant, error)
        raise
    return ran


def _refuse_few_bars(cerebro: Any, variant: Variant, error: IndexError) -> None:
    """Say that a feed is shorter than an indicator needs, where Backtrader's batch mode wrote beyond its end."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    needed = max((it.f_locals["self"]._minperiod for it in frames if it.f_code.co_name == "_once"), default=0)
    shortest = min(cerebro.datas, key=lambda data: data.buflen())
    if needed > shortest.buflen():
        raise ConfigError(
            f"variant {variant.name!r}: its indicators need {needed} bars, and {shortest._name} has "
            f"{shortest.buflen()} in the window; widen it (data.start, data.end), shorten their periods, or leave "
            f"{shortest._name} out of data.symbols"
        ) from error


def _signal_table(signals: Sequence[Signal], frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    columns = ["date", "symbol", "value", "probability", "rank", "abstained", "target", "key", "hits"]
    columns += ["tokens", "seconds"]
    if not signals:
        return pd.DataFrame(columns=columns)
    outcomes = forward_returns(frames, "open_to_open")
    earned = {
        symbol: dict(zip(days_of(table).tolist(), table["outcome"], strict=True)) for symbol, table in outcomes.items()
    }
    table = pd.DataFrame(
        {
            "date": np.array([signal.as_of for signal in signals], dtype="M8[s]"),
            "symbol": [signal.symbol for signal in signals],
            "value": [signal.value for signal in signals],
            "probability": [signal.probability for signal in signals],
            "rank": [signal.rank for signal in signals],
            "abstained": [signal.abstained for signal in signals],
            "target": [earned[signal.symbol].get(signal.as_of, np.nan) for signal in signals],
            "key": [signal.key for signal in signals],
            "hits": [_ids_of(signal.hits) for signal in signals],
            "tokens": [signal.tokens for signal in signals],
            "seconds": [signal.seconds for signal in signals],
        },
        columns=columns,
    )
    return table.sort_values(["date", "symbol"], kind="stable", ignore_index=True)


def _ids_of(hits: Sequence[Hit]) -> list[str]:
    """Names of hits; of days, which are hundreds and the same for all stocks of a day, one name for the set of them."""
    if isinstance(hits, DatedHits):
        return [f"days:{hits.digest[:16]}"] if hits.known_through else []
    return hits.ids if isinstance(hits, StoredHits) else [hit.candidate.id for hit in hits]


def _metrics(
    equity: pd.Series, exposure: pd.Series, orders: pd.DataFrame, signals: pd.DataFrame, account: AccountRecorder
) -> Metrics:
    years = statistics.years_of(pd.DatetimeIndex(equity.index))
    traded = float(orders["value"].abs().sum())
    with_view = signals[signals["abstained"].isna()] if len(signals) else signals
    pair = [with_view[name].to_numpy(dtype=np.float64) for name in ("value", "target")]
    return {
        **statistics.performance(equity),
        "turnover": traded / float(np.mean(account.funds)) / years,
        "costs_paid": float(orders["commission"].sum() + orders["slippage"].sum()),
        "trades": account.trades,
        "orders": len(orders),
        "rejected_orders": account.rejected,
        "exposure": float(exposure.mean()),
        "hit_rate": statistics.hit_rate(*pair) if len(signals) else None,
        "base_rate": statistics.base_rate(*pair) if len(signals) else None,
        "judged": int(statistics.spoken_and_known(*pair).sum()) if len(signals) else 0,
        "signals": len(signals),
        "abstentions": len(signals) - len(with_view),
        # what it took to make these signals, whenever that was: stored with each of them
        "signal_tokens": int(signals["tokens"].sum()) if len(signals) else 0,
    }
