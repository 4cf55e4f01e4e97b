"""Traces of memory in answers: whether they are better where the model could remember, and what that is worth.

Functions of tables and arrays, each with the planted memory that it has to find. One-sided: only answers that are
*better* where a model could remember speak of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.audit.models.recall import Slope, cutoff_of, interaction
from ragsignal.audit.verdict import Evidence, Finding, Verdict
from ragsignal.statistics import Interval, detectable, hit_rate_difference, holm, log_loss_difference, ratio_interval
from ragsignal.types import BoolArray, FloatArray

SIZEABLE = 0.15
"""Gain of accuracy that a probe must be able to see: half of what a table of known outcomes earned (0.74 to 0.83)."""
LEVEL = 0.025
"""One-sided."""
_CURE = "Set llm.mask = true, or test on days after the model's text ends."


def knowledge(ref: str, end: date) -> str:
    """What the end of a base model's text lets one conclude about a window that ends on ``end``."""
    cutoff = cutoff_of(ref)
    if cutoff is None:
        return f"When the text of {ref} ends is not known here: memory of this window cannot be ruled out."
    last, source = cutoff
    if end > last:
        return f"What lies after {last} {ref} cannot have read ({source}); the days before it can."
    return f"The window lies before the end of the text of {ref} ({source}): memory can be unlikely, never ruled out."


@dataclass(frozen=True)
class MemoryTests:
    """The tests of one reader, as functions of tables and arrays.

    Parameters
    ----------
    subject : str
    masks : bool
        Whether the run hides symbols and dates: then what clear text reveals does not reach its signals.
    about : str
        What the base model's cutoff allows to conclude.
    """

    subject: str
    masks: bool
    about: str

    def compare_prompts(self, test: str, clear: pd.DataFrame, other: pd.DataFrame) -> Finding:
        """Whether ``clear`` prompts are answered better than ``other`` ones; tables as those of :func:`better`."""
        is_better, hits, loss = better(clear, other)
        evidence = {
            **_extent(clear),
            "hit_rate_difference": _record(hits),
            "log_loss_difference": _record(loss),
            "run_masks": self.masks,
        }
        if not better(planted(clear, remembers=True), planted(clear, remembers=False))[0]:
            return self._broken(test, evidence)
        what = "with symbols and dates" if test == "memory-masked" else "with their true dates"
        gain = f"Prompts {what} are right more often by {_points(hits)}"
        if is_better:
            return self._remembers(test, f"{gain}, or surer where they are: the model remembers.", evidence)
        return self._no_trace(test, gain, hits, evidence)

    def test_recall(self, table: pd.DataFrame, probability: FloatArray) -> Finding:
        """Whether answers to symbol and date alone are right more often than their shares of rises would be."""
        rose = table["rose"].to_numpy(dtype=bool)
        gain = above_chance(table["date"], probability, rose)
        evidence = {
            **_extent(table),
            "accuracy": float(np.mean((probability > 0.5) == rose)),
            "base_rate": float(max(rose.mean(), 1.0 - rose.mean())),
            "calls_of_rise": float(np.mean(probability > 0.5)),
            "above_chance": _record(gain),
        }
        certain = planted(table.assign(target=np.where(rose, 1.0, -1.0)), remembers=True)["probability"].to_numpy()
        if not _is_gain(above_chance(table["date"], certain, rose)):
            return self._broken("memory-recall", evidence)
        words = f"Asked by symbol and date alone, the base model is right {_points(gain)} above chance"
        if _is_gain(gain):
            return self._remembers("memory-recall", f"{words}: it remembers.", evidence)
        return self._no_trace("memory-recall", words, gain, evidence)

    def test_interaction(self, table: pd.DataFrame, propensities: dict[str, FloatArray]) -> Finding:
        """Whether the run's own forecasts are better where the model has more to remember."""
        test, day = "memory-lap", table["date"].to_numpy()
        outcome, forecast = np.sign(table["target"].to_numpy()), table["probability"].to_numpy()
        by_name = {name: interaction(outcome, forecast, lap, day) for name, lap in propensities.items()}
        evidence = {**_extent(table), **{name: asdict(slope) if slope else None for name, slope in by_name.items()}}
        slopes = [slope for slope in by_name.values() if slope]
        if not slopes:
            words = "The run's forecasts, or the model's familiarity, never change: there is nothing to compare."
            return Finding(test, self.subject, "unknown", words, evidence)
        if not _is_steeper([_planted_interaction(outcome, day)]):
            return self._broken(test, evidence)
        if _is_steeper(slopes):
            words = "The run's own forecasts are better where the model finds symbol and date more familiar: leakage."
            return Finding(test, self.subject, "failed", f"{words} {_CURE}", evidence)
        # a mean outcome of +1 and -1 that grows by x is an accuracy that grows by x / 2
        reach = max(detectable(slope.error) for slope in slopes) / 2.0
        words = "The run's forecasts are not more often right where the model finds symbol and date more familiar"
        return self._by_reach(test, f"{words}.", reach, evidence)

    def _remembers(self, test: str, words: str, evidence: Evidence) -> Finding:
        if self.masks:
            hidden = "The run hides symbols and dates: it has to, and must go on doing so."
            return Finding(test, self.subject, "passed", f"{words} {hidden}", evidence)
        return Finding(test, self.subject, "failed", f"{words} {_CURE}", evidence)

    def _no_trace(self, test: str, words: str, gain: Interval | None, evidence: Evidence) -> Finding:
        reach = detectable(gain.error) if gain else float("inf")
        return self._by_reach(test, f"{words}: not distinguishable from nothing.", reach, evidence)

    def _by_reach(self, test: str, words: str, reach: float, evidence: Evidence) -> Finding:
        """Nothing was found: worth something only if something sizeable would have been."""
        verdict: Verdict = "passed" if reach <= SIZEABLE else "unknown"
        power = f"A gain of {100 * reach:.0f} points of accuracy would have been seen in 4 of 5 studies."
        evidence = {**evidence, "detectable_accuracy": reach}
        return Finding(test, self.subject, verdict, f"{words} {power} {self.about}", evidence)

    def _broken(self, test: str, evidence: Evidence) -> Finding:
        words = "A planted table of outcomes, known by symbol and date, was not found out: this test is blind here."
        return Finding(test, self.subject, "broken", words, evidence)


def better(left: pd.DataFrame, right: pd.DataFrame) -> tuple[bool, Interval | None, Interval | None]:
    """Whether ``left`` is better by hits or by log-loss (Holm over the two), and both differences, left minus right.

    Parameters
    ----------
    left, right : DataFrame
        Columns ``date``, ``symbol``, ``target``, ``probability``, ``value``.
    """
    hits, loss = hit_rate_difference(left, right), log_loss_difference(left, right)
    p_values = [_one_sided(hits, 1.0), _one_sided(loss, -1.0)]
    return bool(holm(np.array(p_values)).min() < LEVEL), hits, loss


def above_chance(day: pd.Series, probability: FloatArray, rose: BoolArray) -> Interval:
    """Accuracy of calls above that of independent calls with the same shares, clustered by day.

    The more confident half of the answers is taken as "rise" (the median itself as half a call), so that a model that
    always says one word is not a constant. Accuracy less q r + (1 - q)(1 - r), with shares q of calls and r of rises,
    is twice their covariance.
    """
    middle = np.median(probability)
    call = np.where(probability == middle, 0.5, probability > middle)
    gain = 2.0 * (call - call.mean()) * (rose - rose.mean())
    daily = pd.DataFrame({"gain": gain, "n": 1.0}).groupby(day.to_numpy()).sum()
    return ratio_interval(daily["gain"].to_numpy(), daily["n"].to_numpy())


def planted(table: pd.DataFrame, remembers: bool) -> pd.DataFrame:
    """The control: answers out of the table of outcomes for every second query, and noise for the others."""
    rng = np.random.default_rng(0)
    noise = 0.5 + 0.01 * rng.standard_normal(len(table))
    truth = np.where(table["target"].to_numpy() > 0.0, 0.9, 0.1)
    remembered = (np.arange(len(table)) % 2 == 0) & remembers
    probability = np.where(remembered, truth, noise)
    return table.assign(probability=probability, value=2.0 * probability - 1.0)


def _planted_interaction(outcome: FloatArray, day: NDArray[Any]) -> Slope | None:
    """The control: forecasts that are right where the propensity is high, and noise elsewhere."""
    rng = np.random.default_rng(0)
    propensity = rng.uniform(0.0, 1.0, len(outcome))
    forecast = np.where(propensity > 0.5, outcome, rng.standard_normal(len(outcome)))
    return interaction(outcome, forecast, propensity, day)


def _is_steeper(slopes: Sequence[Slope | None]) -> bool:
    p_values = [slope.p / 2.0 if slope.value > 0.0 else 1.0 - slope.p / 2.0 for slope in slopes if slope]
    return bool(p_values) and bool(holm(np.array(p_values)).min() < LEVEL)


def _is_gain(interval: Interval | None) -> bool:
    return _one_sided(interval, 1.0) < LEVEL


def _one_sided(interval: Interval | None, sign: float) -> float:
    """Probability of such a difference without a gain, where a gain has this sign; 1 where nothing is known."""
    if interval is None or not np.isfinite(interval.p):
        return 1.0
    return interval.p / 2.0 if sign * interval.difference > 0.0 else 1.0 - interval.p / 2.0


def _extent(table: pd.DataFrame) -> dict[str, object]:
    return {"queries": len(table), "days": int(table["date"].nunique())}


def _record(interval: Interval | None) -> dict[str, float] | None:
    return {name: getattr(interval, name) for name in ("difference", "low", "high", "p")} if interval else None


def _points(gain: Interval | None) -> str:
    if gain is None:
        return "an unknown number of points"
    points = [round(100.0 * share, 1) + 0.0 for share in (gain.difference, gain.low, gain.high)]  # + 0.0: no "-0.0"
    return f"{points[0]:+.1f} points (95 % interval {points[1]:+.1f} to {points[2]:+.1f})"
