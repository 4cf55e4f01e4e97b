"""Do 95 % intervals hold the truth 95 times in 100, and do p-values below 0.05 come five times in 100?

1,000 made-up studies: 300 to 550 days, seven symbols that share the day's shock, volatility that clusters, returns and
errors that resemble those of the day before, forecasters that are wrong on the same days. The truth comes from one
study of 200,000 days; for the p-values both sides are made alike, so that there is no difference to find.

Three minutes of one core; every bootstrap has the repetitions that the product gives it. Not part of ``make bench``:
these figures do not depend on the machine. docs/statistics.md has their table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from benchmarks.harness import Measure, main
from ragsignal import statistics
from ragsignal.evaluation import METRICS, Resampling, Sample, direction_of
from ragsignal.statistics import log_losses

Floats = NDArray[np.float64]

STUDIES = 1000
DAYS = (300, 550)
SYMBOLS = 7
LONG = 200_000
SKILLS = (0.08, 0.03)
"""Of the two forecasters: hit rates of 51.7 % and 50.7 %."""

RIVALS = 8
"""Variants without an edge in the test of superior predictive ability."""

SURE, MODEST = 0.4, 0.1
"""Log-odds that a forecaster says per unit of its score: far too sure of itself, and about right."""

FORECAST_FIGURES = ("acc", "mcc", "auc", "brier", "ece")
_COMMAND = "python -m benchmarks.coverage"


@dataclass(frozen=True)
class Study:
    """Outcomes (n_days, SYMBOLS), and the scores that forecasters give them: above 0 for a rise."""

    outcome: Floats
    scores: tuple[Floats, ...]

    @property
    def n_days(self) -> int:
        return len(self.outcome)

    def table(self, number: int, sureness: float = SURE) -> pd.DataFrame:
        """Signals as an engine would hand them over."""
        probability = said(self.scores[number], sureness).ravel()
        return pd.DataFrame(
            {
                "date": np.repeat(pd.date_range("2000-01-03", periods=self.n_days).to_numpy(), SYMBOLS),
                "symbol": np.tile(np.arange(SYMBOLS), self.n_days),
                "value": 2.0 * probability - 1.0,
                "probability": probability,
                "target": self.outcome.ravel(),
            }
        )

    def earned(self, number: int) -> Floats:
        """Return a day (n_days,) of equal bets on the side that is likelier."""
        return np.asarray((np.sign(self.scores[number]) * self.outcome).mean(axis=1))

    def right(self, number: int) -> NDArray[np.bool_]:
        """Whether each signal (n_days * SYMBOLS,) had the sign of what came."""
        return np.asarray((self.scores[number] > 0) == (self.outcome > 0)).ravel()

    def sample(self, number: int, sureness: float = SURE) -> Sample:
        flat = said(self.scores[number], sureness).ravel()
        outcome, styles = self.outcome.ravel(), np.zeros((self.outcome.size, 0))
        day = np.repeat(np.arange(self.n_days), SYMBOLS)
        rise = direction_of(flat)
        return Sample(day, self.n_days, outcome, flat, flat, rise, outcome, outcome, styles, least=SYMBOLS)


def study(rng: np.random.Generator, n_days: int, skills: tuple[float, ...]) -> Study:
    """One made-up study; the forecasters have the given skills, and share half of their errors."""
    volatility = 0.012 * np.exp(0.35 * _persistent(rng, n_days, 0.97))
    market = _persistent(rng, n_days, 0.1)
    # half of the variance is the market's: about what large stocks have in a calm year
    standard = (market[:, None] + rng.standard_normal((n_days, SYMBOLS))) / np.sqrt(2.0)
    shared = _error(rng, n_days)
    scores = tuple(skill * standard + shared + _error(rng, n_days) for skill in skills)
    return Study(0.0004 + volatility[:, None] * standard, scores)


def said(score: Floats, sureness: float) -> Floats:
    """P(rise) of a score."""
    return np.asarray(1.0 / (1.0 + np.exp(-sureness * score)))


def _error(rng: np.random.Generator, n_days: int) -> Floats:
    """What misleads a forecaster: half of it all symbols of a day, and the next day too."""
    daily = _persistent(rng, n_days, 0.3)[:, None]
    return np.asarray((daily + rng.standard_normal((n_days, SYMBOLS))) / np.sqrt(2.0))


def _persistent(rng: np.random.Generator, n_days: int, slope: float) -> Floats:
    """Stationary autoregression of unit variance."""
    noise = np.sqrt(1.0 - slope**2) * rng.standard_normal(n_days + 300)
    return np.asarray(lfilter([1.0], [1.0, -slope], noise)[300:])


def studies(wanted: int, skills: tuple[float, ...], seed: int) -> Iterator[Study]:
    rng = np.random.default_rng(seed)
    for _ in range(wanted):
        yield study(rng, int(rng.integers(DAYS[0], DAYS[1] + 1)), skills)


def differences(made: Study) -> dict[str, statistics.Interval]:
    """Everything that is said about the first forecaster against the second, and against holding."""
    left, right = made.table(0), made.table(1)
    ours, theirs, held = made.earned(0), made.earned(1), made.outcome.mean(axis=1)
    found = {
        "hit rate, difference": statistics.hit_rate_difference(left, right),
        "log-loss, difference": statistics.log_loss_difference(left, right),
        "mean return, less the rival's": statistics.mean_interval(ours - theirs),
        "mean return, less holding's": statistics.mean_interval(ours - held),
        "Sharpe ratio, less the rival's": statistics.sharpe_difference(ours, theirs),
        "Sharpe ratio, less holding's": statistics.sharpe_difference(ours, held),
    }
    return {name: it for name, it in found.items() if it is not None}


def figures(made: Study) -> dict[str, tuple[float, float]]:
    """Bounds of the first forecaster's own figures."""
    resampling = Resampling.of(made.n_days)
    wanted = [(name, name, SURE) for name in FORECAST_FIGURES] + [("ece, of one nearly calibrated", "ece", MODEST)]
    daily = {name: (METRICS[metric], made.sample(0, sureness)) for name, metric, sureness in wanted}
    found = {name: metric.estimate(metric.daily(sample), resampling) for name, (metric, sample) in daily.items()}
    return {name: (it.low, it.high) for name, it in found.items()}


def truths(seed: int = 99) -> dict[str, float]:
    """The same figures of a study so long that its own error is a twentieth of a short one's."""
    made = study(np.random.default_rng(seed), LONG, SKILLS)
    ours, theirs, held = made.earned(0), made.earned(1), made.outcome.mean(axis=1)
    losses = [float(log_losses(said(it, SURE), made.outcome > 0).mean()) for it in made.scores]
    return {
        "hit rate, difference": float(made.right(0).mean() - made.right(1).mean()),
        "log-loss, difference": losses[0] - losses[1],
        "mean return, less the rival's": float(np.mean(ours - theirs)),
        "mean return, less holding's": float(np.mean(ours - held)),
        "Sharpe ratio, less the rival's": statistics.sharpe(ours) - statistics.sharpe(theirs),
        "Sharpe ratio, less holding's": statistics.sharpe(ours) - statistics.sharpe(held),
        **{name: METRICS[name].value(made.sample(0)) for name in FORECAST_FIGURES},
        "ece, of one nearly calibrated": METRICS["ece"].value(made.sample(0, MODEST)),
    }


def coverage(wanted: int, truth: dict[str, float]) -> dict[str, float]:
    """Share of studies whose 95 % interval holds the truth."""
    held: dict[str, list[bool]] = {name: [] for name in truth}
    for made in studies(wanted, SKILLS, seed=1):
        bounds = figures(made) | {name: (it.low, it.high) for name, it in differences(made).items()}
        for name, (low, high) in bounds.items():
            held[name].append(bool(low <= truth[name] <= high))
    return {name: float(np.mean(it)) for name, it in held.items()}


def p_values(wanted: int) -> dict[str, Floats]:
    """P-values (wanted,) of studies in which there is nothing to find."""
    found: dict[str, list[float]] = {}
    for made in studies(wanted, (SKILLS[0],) * (RIVALS + 1), seed=2):
        told = {name: it.p for name, it in differences(made).items() if "holding" not in name}
        days = np.repeat(np.arange(made.n_days), SYMBOLS)
        told["McNemar, clustered by day"] = statistics.mcnemar(made.right(0), made.right(1), days).p
        told["McNemar, every signal for itself"] = statistics.mcnemar(made.right(0), made.right(1)).p
        gaps = np.column_stack([made.earned(number) - made.earned(0) for number in range(1, RIVALS + 1)])
        told[f"superior predictive ability, {RIVALS} variants"] = statistics.superior_predictive_ability(gaps)
        for name, p in told.items():
            found.setdefault(name, []).append(p)
    return {name: np.array(it) for name, it in found.items()}


def measures() -> list[Measure]:
    truth = truths()
    covered = coverage(STUDIES, truth)
    # named without a target: ece counts gaps without their sign, so that noise alone makes it large
    open_ended = {"ece, of one nearly calibrated"}
    rows = [
        Measure(
            name=f"coverage of the 95 % interval: {name}",
            value=share,
            unit="share",
            rival="",
            target="" if name in open_ended else ">= 0.92",
            command=_COMMAND,
            detail={"studies": STUDIES, "truth": truth[name], "standard_error": (share * (1 - share) / STUDIES) ** 0.5},
        )
        for name, share in covered.items()
    ]
    rows.append(Measure("coverage of the widest of them", max(covered.values()), "share", "", "<= 0.98", _COMMAND))
    for name, found in p_values(STUDIES).items():
        detail = {"studies": STUDIES, **{f"below_{at}": float(np.mean(found < at)) for at in (0.01, 0.1)}}
        target = "" if "for itself" in name else "<= 0.07"
        rows.append(
            Measure(f"false alarms at 5 %: {name}", float(np.mean(found < 0.05)), "share", "", target, _COMMAND, detail)
        )
    return rows


if __name__ == "__main__":
    main(measures)
