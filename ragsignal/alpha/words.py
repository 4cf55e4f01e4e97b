"""A search's result in plain sentences."""

from __future__ import annotations

import math

from ragsignal.alpha.evolution import LEVELS
from ragsignal.alpha.result import JudgedAlpha, SearchResult


def search_words(result: SearchResult) -> list[str]:
    """What came out, first the verdict."""
    kept, claims = result.kept, result.claims
    if not kept:
        lines = [
            f"Not distinguishable from noise: none of {len(result.candidates)} candidates held on the selection "
            "window, and the holdout was not looked at."
        ]
    elif claims:
        lines = [
            f"Found: {len(claims)} of {len(kept)} kept formulas rank what followed on holdout days better than chance."
        ]
    else:
        lines = [f"Not distinguishable from noise: none of {len(kept)} kept formulas ranks holdout days beyond chance."]
    lines += [_after_costs(result)] if claims else []
    lines += [_of_kept(it, result) for it in kept]
    return [*lines, *_of_left_out(result), *_of_population(result), *_of_looks(result)]


def _after_costs(result: SearchResult) -> str:
    paying = [it.name for it in result.claims if it.holdout.sharpe_low > 0.0]
    bps = result.spec.alpha.cost_bps
    if paying:
        return f"After costs of {bps:g} bp a side these earn on holdout days: {', '.join(paying)}."
    return (
        f"After costs of {bps:g} bp a side none of them earns anything beyond chance on holdout days: the order is "
        "there, and a portfolio that follows it every day does not pay for its trades."
    )


def _of_kept(it: JudgedAlpha, result: SearchResult) -> str:
    figures, bps = it.holdout, result.spec.alpha.cost_bps
    return (
        f"{it.name}: {it.formula}: holdout rank correlation {figures.ic:+.4f} "
        f"[{figures.low:+.4f}, {figures.high:+.4f}], p {figures.p:.3g}, corrected "
        f"{result.looks.p[it.name]:.3g}; after costs of {bps:g} bp a side "
        f"{100 * figures.earned:+.1f} % a year, Sharpe {figures.sharpe:.2f} [{figures.sharpe_low:.2f}, "
        f"{figures.sharpe_high:.2f}]; deflated Sharpe on the days before "
        f"{_percent(result.looks.deflated[it.name])}."
    )


def _of_left_out(result: SearchResult) -> list[str]:
    count = result.dead.get(LEVELS, 0)
    if not count:
        return []
    return [
        f"{count} seed(s) or candidate(s) were left out: they depend on the level of adjusted prices or volume, in "
        "which later splits and dividends stand; write them as ratios, such as close / ts_mean(close, 20), or set "
        "alpha.levels = true."
    ]


def _of_population(result: SearchResult) -> list[str]:
    population = result.population
    if math.isnan(population.overfitting):
        return []
    return [
        f"Of {population.formulas} formulas of the last population: probability of backtest overfitting "
        f"{_percent(population.overfitting)} on search and selection days before costs (50 % is a choice by lot); is "
        f"any better than holding nothing after costs, on selection days? p = {population.superior:.2f}."
    ]


def _of_looks(result: SearchResult) -> list[str]:
    looks = result.looks
    lines = [
        f"{result.evaluated:,} formulas were evaluated, each a trial; {looks.evaluated:,} trials stand against the "
        "days of the search, by any command."
    ]
    if looks.others:
        lines.append(
            f"This holdout had been looked at before: {looks.others:,} other formula(s) were tried on days of it, and "
            "p-values are corrected for them too. Days that nobody has looked at judge better."
        )
    if looks.repeated:
        lines.append("Formulas of these were tried on these days before: of them this look tells nothing new.")
    return lines


def _percent(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{100 * value:.0f} %"
