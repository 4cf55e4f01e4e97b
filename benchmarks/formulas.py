"""1,000 random formulas of five operators within each other, beside the same through pandas' groupby and rolling.

    python -m benchmarks.formulas

Both sides evaluate formulas one by one and keep what they share; pandas holds the panel as a good user of it would, in
one long series a field, and takes only formulas of operators that it has. One core.
"""

from __future__ import annotations

import random
import statistics
import time

import numpy as np

from benchmarks.harness import Measure, main
from benchmarks.pandas_formulas import COMPUTED, PandasEvaluator
from ragsignal.data import (
    BAR_FIELDS,
    OPERATORS,
    Call,
    Evaluator,
    Field,
    FieldPanel,
    Formula,
    Kind,
    Number,
    Window,
    fits,
)

DAYS, SYMBOLS, DEPTH = 1500, 100, 5
NUMBER, SIDE_BY_SIDE, ROUNDS = 1000, 20, 3
WINDOWS = (2, 3, 5, 10, 20, 40, 60, 120)
COMMAND = "python -m benchmarks.formulas"


def made_panel(seed: int = 0) -> FieldPanel:
    """Prices without gaps."""
    rng = np.random.default_rng(seed)
    shape = (DAYS, SYMBOLS)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0))
    opened = close * np.exp(rng.normal(0, 0.01, shape))
    high = np.maximum(close, opened) * np.exp(np.abs(rng.normal(0, 0.01, shape)))
    low = np.minimum(close, opened) * np.exp(-np.abs(rng.normal(0, 0.01, shape)))
    returns = np.vstack([np.full((1, SYMBOLS), np.nan), close[1:] / close[:-1] - 1])
    values = (opened, high, low, close, np.exp(rng.normal(10, 1, shape)), (high + low + close) / 3, returns)
    days = np.datetime64("2010-01-01") + np.arange(DAYS)
    return FieldPanel(
        days, tuple(f"S{it:03d}" for it in range(SYMBOLS)), dict(zip(BAR_FIELDS, values, strict=True)), {}
    )


def draw(rng: random.Random, names: list[str], kind: Kind, depth: int) -> Formula:
    """A random formula of a kind whose longest way is ``depth`` operators, one more where the kind asks for one."""
    if kind is Kind.SERIES and not depth:
        return Field(rng.choice(list(BAR_FIELDS)))
    fitting = [name for name in names if fits(OPERATORS[name].gives, kind)]
    operator = OPERATORS[rng.choice(fitting)]
    longest = rng.choice([place for place, it in enumerate(operator.takes) if it not in (Kind.WINDOW, Kind.NUMBER)])
    arguments: list[Formula] = []
    for place, taken in enumerate(operator.takes):
        if taken is Kind.WINDOW:
            arguments.append(Window(rng.choice([it for it in WINDOWS if it >= operator.shortest])))
        elif taken is Kind.NUMBER:
            arguments.append(Number(rng.uniform(0, 1)))
        else:
            left = max(0, depth - 1)
            arguments.append(draw(rng, names, taken, left if place == longest else rng.randint(0, left)))
    return Call(operator.name, tuple(arguments))


def measures() -> list[Measure]:
    """Core seconds of all formulas, and how many times fewer than pandas takes."""
    panel, rng = made_panel(), random.Random(0)
    formulas = [draw(rng, [*OPERATORS], Kind.SERIES, DEPTH) for _ in range(NUMBER)]
    shared = [draw(rng, [*COMPUTED], Kind.SERIES, DEPTH) for _ in range(SIDE_BY_SIDE)]
    all_s, all_wall_s = core_seconds(Evaluator(panel), formulas)
    rounds = [
        (core_seconds(Evaluator(panel), shared)[0], core_seconds(PandasEvaluator(panel), shared)[0])
        for _ in range(ROUNDS)
    ]
    ours_s, rival_s = (statistics.median(it) for it in zip(*rounds, strict=True))
    ratios = [rival / ours for ours, rival in rounds]
    largest, apart = _gaps(panel, shared)
    sizes = f"depth {DEPTH}, {SYMBOLS} symbols x {DAYS:,} bars"
    of_all = {
        "operators": sum(_calls(it) for it in formulas),
        "wall_s": all_wall_s,
        "formulas_a_minute_of_a_core": 60 * NUMBER / all_s,
    }
    of_both = {
        "ours_s": ours_s,
        "rival_s": rival_s,
        "rounds": ROUNDS,
        "ratio_range": [min(ratios), max(ratios)],
        "formulas": SIDE_BY_SIDE,
        "values_that_differ_beyond_1e-6": apart,
        "largest_gap": largest,
    }
    rival = "the same through pandas groupby and rolling"
    return [
        Measure(f"{NUMBER:,} random formulas of {sizes}, core seconds", all_s, "s", "", "<= 60", COMMAND, of_all),
        Measure(f"random formulas of {sizes}, core seconds", rival_s / ours_s, "x", rival, "", COMMAND, of_both),
    ]


def core_seconds(side: Evaluator | PandasEvaluator, formulas: list[Formula]) -> tuple[float, float]:
    """Seconds of a core, and on the wall: on a machine that others use as well only the first say something."""
    core, wall = time.process_time(), time.perf_counter()
    for formula in formulas:
        side.values(formula)
    return time.process_time() - core, time.perf_counter() - wall


def _calls(formula: Formula) -> int:
    return 1 + sum(map(_calls, formula.arguments)) if isinstance(formula, Call) else 0


def _gaps(panel: FieldPanel, formulas: list[Formula]) -> tuple[float, float]:
    """Of values that both have, the largest relative gap, and the share of those beyond 1e-6."""
    ours, theirs = Evaluator(panel), PandasEvaluator(panel)
    gaps = []
    for formula in formulas:
        one, other = ours.values(formula), theirs.values(formula)
        both = ~np.isnan(one) & ~np.isnan(other)
        gaps.append(np.abs(one - other)[both] / np.maximum(np.abs(one[both]), 1e-9))
    every = np.concatenate(gaps)
    return float(every.max()), float((every > 1e-6).mean())


if __name__ == "__main__":
    main(measures)
