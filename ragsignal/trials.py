"""What a run adds to the ledger of trials, and what the ledger says about a run.

Counted is every variant but the benchmark, by all that decides its result: the same configuration on the same bars is
one trial however often it is run; another threshold, cost, seed or edit of the strategy's code is another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.config import RunSpec, VariantSpec
from ragsignal.ledger import Bars, Trial, TrialLedger, ledger_path
from ragsignal.results import VariantResult
from ragsignal.utils.digest import json_digest

_MADE_UP = ("planted", "noise")


def bars_of(spec: RunSpec) -> Bars:
    """The bars that a spec tries its variants on."""
    data = spec.data
    market = f"{data.source}/{data.seed}/{data.strength}" if data.source in _MADE_UP else ""
    return Bars(market, data.symbols, data.start, data.end)


def configuration_of(
    spec: RunSpec, variant: VariantSpec, recipe: Mapping[str, Any] | None, code: str | None = None
) -> str:
    """Digest of what decides a variant's result besides its bars; its name does not.

    Parameters
    ----------
    spec, variant : RunSpec, VariantSpec
    recipe : mapping, optional
        What decided its signals; None where it has none.
    code : str, optional
        Digest of its strategy's code; None where signals alone were scored, without a strategy and without costs.
    """
    made = None if recipe is None else [spec.corpus.model_dump(mode="json"), recipe]
    traded = None if code is None else [spec.strategy_of(variant).model_dump(mode="json", by_alias=True), code]
    costs = None if code is None else spec.costs.model_dump(mode="json")
    return json_digest({"signal": variant.signal, "made": made, "traded": traded, "costs": costs})


def sharpe_of(returns: pd.Series | np.ndarray[Any, Any]) -> float | None:
    """Sharpe ratio per bar; None where the account never moved, and for fewer than 100 bars.

    A look at two weeks may show any ratio: kept, it would raise what luck is taken for on these bars for ever.
    """
    found = statistics.sharpe(np.asarray(returns, dtype=np.float64))
    return float(found) if np.isfinite(found) and len(returns) >= statistics.LEAST_DAYS else None


def check_ledger() -> None:
    """Raise ``StoreError`` where trials cannot be counted: before the work, not after it."""
    TrialLedger(ledger_path()).close()


def count(spec: RunSpec, trials: Iterable[Trial]) -> list[Trial]:
    """Add ``trials`` to the user's ledger; return all that were ever counted on bars that share a day and a symbol."""
    ledger = TrialLedger(ledger_path())
    try:
        ledger.add(bars_of(spec), trials)
        return ledger.against(bars_of(spec))
    finally:
        ledger.close()


def count_run(spec: RunSpec, results: Sequence[VariantResult], codes: Mapping[str, str]) -> dict[str, Any]:
    """Count a backtest.

    Parameters
    ----------
    spec : RunSpec
    results : sequence of VariantResult
    codes : mapping of variant to str
        Digests of the strategies' code.

    Returns
    -------
    dict
        ``count``: configurations ever tried on these bars, those of this run (``configurations``) included; ``best``:
        the variant with the highest Sharpe ratio of those that were counted; ``sharpe0``: what the best of ``count``
        worthless ones would have, a year; ``deflated_sharpe``: by variant, the probability that its true Sharpe ratio
        is above that of luck; ``needed_years``: how long the best one must go on like this to be above it with 95 %
        confidence, None where it is below. The last four only where ratios exist.
    """
    counted = [it for it in results if it.name != spec.benchmark]
    trials = [
        Trial(
            configuration_of(spec, spec.find_variant(it.name), it.recipe, codes[it.name]),
            "backtest",
            sharpe_of(it.returns),
        )
        for it in counted
    ]
    known = count(spec, trials)
    told: dict[str, Any] = {"count": len(known), "configurations": len(trials)}
    return told | deflated({it.name: it.returns for it in counted}, known)


def deflated(returns: Mapping[str, pd.Series], trials: Sequence[Trial]) -> dict[str, Any]:
    """``best``, ``sharpe0``, ``deflated_sharpe``, ``needed_years`` as in :func:`count_run`; empty below two ratios."""
    known = [it.sharpe for it in trials if it.sharpe is not None]
    ratios = {name: ratio for name, it in returns.items() if (ratio := sharpe_of(it)) is not None}
    if len(known) < 2 or not ratios:
        return {}
    variance = float(np.var(known, ddof=1))
    a_year = statistics.bars_a_year(pd.DatetimeIndex(next(iter(returns.values())).index))
    luck = statistics.best_of_noise(variance, len(trials))
    best = max(ratios, key=lambda name: ratios[name])
    needed = statistics.minimum_track_record(returns[best].to_numpy(dtype=np.float64), luck)
    believed = {
        name: statistics.deflated_sharpe(returns[name].to_numpy(dtype=np.float64), len(trials), variance)
        for name in ratios
    }
    return {
        "best": best,
        "sharpe0": float(luck * a_year**0.5),
        "deflated_sharpe": {name: float(it) for name, it in believed.items() if np.isfinite(it)},
        "needed_years": float(needed / a_year) if np.isfinite(needed) else None,
    }
