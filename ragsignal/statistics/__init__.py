"""Figures, intervals and tests as functions of arrays. Each names its source; none knows where the numbers come from.

What each assumes, and what it cannot say: docs/statistics.md.
"""

from __future__ import annotations

from ragsignal.statistics.account import (
    Performance,
    bars_a_year,
    base_rate,
    hit_rate,
    performance,
    spoken_and_known,
    years_of,
)
from ragsignal.statistics.classes import (
    ClassFigure,
    ClassForecasts,
    class_figures,
    correlation_of_days,
    loss_difference,
    mean_of_days,
)
from ragsignal.statistics.forecasts import (
    Bin,
    McNemar,
    equal_mass_bins,
    hit_rate_difference,
    hit_rate_mcnemar,
    ic_difference,
    log_loss_difference,
    log_losses,
    mcnemar,
    reliability,
)
from ragsignal.statistics.intervals import (
    LEAST_DAYS,
    LEVEL,
    REPETITIONS,
    Interval,
    block_length,
    bounds,
    day_weights,
    interval_of_draws,
    mean_interval,
    ratio_interval,
    widening,
)
from ragsignal.statistics.power import days_for, detectable, years_for_sharpe
from ragsignal.statistics.ratios import (
    minimum_track_record,
    probabilistic_sharpe,
    sharpe,
    sharpe_a_year,
    sharpe_difference,
    sharpe_error,
)
from ragsignal.statistics.selection import (
    backtest_overfitting,
    best_of_noise,
    deflated_sharpe,
    holm,
    step_m,
    superior_predictive_ability,
)
from ragsignal.statistics.shares import ClusteredShare, clustered_share

__all__ = [
    "LEAST_DAYS",
    "LEVEL",
    "REPETITIONS",
    "Bin",
    "ClassFigure",
    "ClassForecasts",
    "ClusteredShare",
    "Interval",
    "McNemar",
    "Performance",
    "backtest_overfitting",
    "bars_a_year",
    "base_rate",
    "best_of_noise",
    "block_length",
    "bounds",
    "class_figures",
    "clustered_share",
    "correlation_of_days",
    "day_weights",
    "days_for",
    "deflated_sharpe",
    "detectable",
    "equal_mass_bins",
    "hit_rate",
    "hit_rate_difference",
    "hit_rate_mcnemar",
    "holm",
    "ic_difference",
    "interval_of_draws",
    "log_loss_difference",
    "log_losses",
    "loss_difference",
    "mcnemar",
    "mean_interval",
    "mean_of_days",
    "minimum_track_record",
    "performance",
    "probabilistic_sharpe",
    "ratio_interval",
    "reliability",
    "sharpe",
    "sharpe_a_year",
    "sharpe_difference",
    "sharpe_error",
    "spoken_and_known",
    "step_m",
    "superior_predictive_ability",
    "widening",
    "years_for_sharpe",
    "years_of",
]
