"""What a run must say of its trading before a figure is read: accounts that ended, what was never traded or sold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.trading.strategy import load_strategy
from ragsignal.trading.variant import VariantResult
from ragsignal.types import BoolArray
from ragsignal.utils import first_names

_SHOWN = 5  # names in a sentence
_TRIED = 0.8  # quantile of the signals' sizes that is offered as a dead band: a fifth of them lies beyond


def notes_on_trading(spec: RunSpec, variants: Sequence[VariantResult], closes: pd.DataFrame) -> list[str]:
    """Name the variants that never traded or had no view, and the positions whose feed ended before the run.

    Parameters
    ----------
    spec : RunSpec
    variants : sequence of VariantResult
    closes : DataFrame of float (n_bars, n_symbols)
        NaN where a symbol has no bar.
    """
    tables = {variant.name: variant for variant in spec.variants}
    idle = [_note_on_idle(tables[result.name], result) for result in variants if not result.traded]
    return [*idle, *notes_on_shares(variants), *_notes_on_ended(variants, closes)]


def notes_on_accounts(variants: Sequence[VariantResult]) -> list[str]:
    """Say of each account that was ruined, emptied or paid into what happened, and what the figures make of it."""
    return [note for variant in variants for note in (_note_on_payments(variant), _note_on_the_end(variant)) if note]


def _note_on_payments(variant: VariantResult) -> str:
    if not variant.paid:
        return ""
    amounts = list(variant.paid.values())
    into, out = sum(it for it in amounts if it > 0), -sum(it for it in amounts if it < 0)
    return (
        f"{variant.name}: its strategy paid {into:,.0f} into its account and took {out:,.0f} out of it, on "
        f"{len(amounts)} day{'s' if len(amounts) > 1 else ''}; that is neither profit nor loss: its returns, and all "
        "that follows from them, are those of the money in the account (time-weighted)."
    )


def _note_on_the_end(variant: VariantResult) -> str:
    closed = "Open orders were cancelled, positions closed, and no order was sent after it."
    if variant.ruined:
        value = 0.0 if variant.fell_to is None else variant.fell_to
        worth = "0" if round(value) == 0 else f"{value:,.0f}"
        return (
            f"{variant.name}: ruined on {variant.ruined}. Its account fell to {worth}, and counts as 0 from there: a "
            f"return of -100 %. {closed}"
        )
    if variant.emptied:
        return (
            f"{variant.name}: a withdrawal on {variant.emptied} took all that was in its account; its returns are 0 "
            f"from there. {closed}"
        )
    return ""


def notes_on_shares(variants: Sequence[VariantResult]) -> list[str]:
    """Name the symbols that whole shares leave out; variants that miss the same ones share a note."""
    names: dict[tuple[str, ...], list[str]] = {}
    cash: dict[tuple[str, ...], float] = {}
    for variant in variants:
        symbols = tuple(sorted(variant.too_dear))
        if symbols:
            names.setdefault(symbols, []).append(variant.name)
            needed = [it for it in variant.too_dear.values() if it is not None]
            cash[symbols] = max(cash.get(symbols, 0.0), *needed, 0.0)
    return [
        f"{', '.join(names[symbols])}: never traded {first_names(symbols)}, because no order came to a whole share; "
        f"{_repair(cash[symbols])}."
        for symbols in names
    ]


def _repair(cash: float) -> str:
    if not cash:
        return "a larger costs.cash or size would buy one"
    return f"costs.cash = {1000 * math.ceil(cash / 1000)} would have bought one of each"


def _note_on_idle(variant: Variant, result: VariantResult) -> str:
    """Why a variant has no order, as far as its signals and its strategy's dead band tell."""
    head = f"{result.name} never traded"
    refused = result.metrics["rejected_orders"]
    if refused:
        return f"{head}: the broker refused its {refused:,} order{'s' if refused > 1 else ''} for want of cash."
    if not len(result.signals):
        return f"{head}: its strategy sent no order, so its figures are those of cash."
    spoken = result.signals.loc[result.signals["abstained"].isna(), "value"].abs().to_numpy(dtype=np.float64)
    if not len(spoken):
        return f"{head}: all {len(result.signals):,} signals abstain ({_counted(result.signals['abstained'])})."
    band = enter_of(variant)
    if band is not None and band >= spoken.max():
        return (
            f"{head}: its strategy acts beyond a signal of {band:g} (strategy.enter), and its largest is "
            f"{spoken.max():.3g}; try strategy.enter = {_below(float(np.quantile(spoken, _TRIED)))}."
        )
    return f"{head}: its signals reach {spoken.max():.3g}, and its strategy sent no order on them."


def enter_of(variant: Variant) -> float | None:
    """The dead band ``enter`` of a variant's strategy; None where it has no such number."""
    named = variant.strategy.params.get("enter")
    value = getattr(load_strategy(variant.strategy).params, "enter", None) if named is None else named
    return float(value) if isinstance(value, int | float) else None


def _below(value: float) -> str:
    """The number with one digit that lies below ``value``: 0.034 gives 0.03."""
    if value <= 0.0:
        return "0"
    digits = -math.floor(math.log10(value))
    return f"{math.floor(value * 10**digits) / 10**digits:g}"


def _counted(reasons: pd.Series) -> str:
    counts = Counter(map(str, reasons)).most_common(_SHOWN)
    return "; ".join(reason if len(counts) == 1 else f"{reason}: {number:,}" for reason, number in counts)


def _notes_on_ended(variants: Sequence[VariantResult], closes: pd.DataFrame) -> list[str]:
    """Name positions in a feed that ended before the run: Backtrader keeps them at the last price for ever."""
    over = [symbol for symbol in closes.columns if _has_ended(closes[symbol].notna().to_numpy())]
    ended = {str(symbol): pd.Timestamp(closes[symbol].dropna().index[-1]) for symbol in over}
    notes = []
    for variant in variants:
        worth = {symbol: size * closes[symbol].loc[ended[symbol]] for symbol, size in _left(variant, ended).items()}
        if not worth:
            continue
        held = [f"{symbol} ({ended[symbol]:%Y-%m-%d}, {value:,.0f})" for symbol, value in worth.items()]
        notes.append(
            f"{variant.name} holds to the end what has no bars any more, at its last price: {first_names(held)} "
            "(day of the last bar, value). What a delisting pays may be less; end data.end there, or sell before."
        )
    return notes


def _has_ended(there: BoolArray) -> bool:
    """Whether a feed is silent at the end for longer than it has been at least twice before.

    Beside bars of another calendar it is silent on every weekend; a halt is no habit.
    """
    bars = np.flatnonzero(there)
    silences = np.sort(np.diff(bars) - 1)
    usual = int(silences[-2]) if len(silences) > 1 else 0
    return len(there) - 1 - int(bars[-1]) > usual


def _left(variant: VariantResult, ended: Mapping[str, pd.Timestamp]) -> dict[str, float]:
    """Shares of each ended feed that are held at the end."""
    orders = variant.orders[variant.orders["symbol"].isin(list(ended))]
    sizes = orders.groupby("symbol", sort=False)["size"].sum()
    return {str(symbol): float(size) for symbol, size in sizes.items() if abs(size) > 1e-9}  # sums of fractions
