"""What a fitted ladder advises: a size for this corpus, what twice as much data asks for, and how sure either is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ragsignal.statistics import Interval
from ragsignal.training.advise.fit import LadderFit

PUBLISHED = (0.44, 0.72)
"""Gamma of N ~ D^gamma in arXiv 2402.14746, versions 4 to 6; no factor before it is published, so ratios only."""


@dataclass(frozen=True)
class Advice:
    """The size to take, and how sure that is.

    Parameters
    ----------
    hidden, parameters : int
        The smallest size that cannot be told from the best one on all data.
    undistinguished : tuple of int
        Widths that cannot, this one included.
    flat : bool
        Whether that is all of them.
    skill : Interval
        Information coefficient of the advised size on all data.
    more_data : Interval
        By how much its loss falls from the second largest amount to all data.
    best : Interval
        Parameters at the lowest point of the curve on all data.
    exponent : Interval
        Gamma of this ladder.
    at_edge : int
        Amounts whose best size is the smallest or the largest of the ladder.
    """

    hidden: int
    parameters: int
    undistinguished: tuple[int, ...]
    flat: bool
    skill: Interval
    more_data: Interval
    best: Interval
    exponent: Interval
    at_edge: int

    def words(self) -> list[str]:
        """Sentences for people, the advice first."""
        curve = f"The curve on all data is lowest at {_shown(self.best, 0)} parameters."
        return [self._of_size(), self._of_skill(), self._of_data(), curve, *self._of_exponent()]

    def _of_size(self) -> str:
        take = f"take ranks.hidden = {self.hidden}, {self.parameters:,} parameters"
        if self.flat:
            return f"No two of the sizes can be told apart on this corpus: {take}, the smallest."
        if len(self.undistinguished) == 1:
            return f"{take.capitalize()}: every other size is worse by more than days and seeds explain."
        others = ", ".join(map(str, self.undistinguished[1:]))
        return f"{take.capitalize()}; {others} cannot be told from it, or from the best, and cost more."

    def _of_skill(self) -> str:
        value = f"Its information coefficient on validation days is {_shown(self.skill, 4)}"
        return f"{value}." if self.skill.low > 0.0 else f"{value}: that cannot be told from no skill at all."

    def _of_data(self) -> str:
        if self.more_data.low > 0.0:
            return "With the second largest amount of data it does worse: a longer history helps."
        if self.more_data.high < 0.0:
            return "With the second largest amount of data it does better: the oldest days do harm."
        return "All data and the second largest amount cannot be told apart at this size."

    def _of_exponent(self) -> list[str]:
        gamma = self.exponent
        value = f"The best size grows with the data to the power of {_shown(gamma, 2)}, by this ladder"
        low, high = PUBLISHED
        if gamma.low > high or gamma.high < low:
            told = f"{value}: outside of the published range, {low} to {high}."
        elif gamma.low <= 0.0:
            told = f"{value}: that can be told neither from the published range, {low} to {high}, nor from no growth."
        else:
            told = f"{value}: as in the published range, {low} to {high}, as far as can be told."
        if not self.at_edge:
            return [told]
        return [told, f"For {self.at_edge} of the amounts the best size is an end of the ladder: it may lie beyond."]


@dataclass(frozen=True)
class NextStep:
    """Twice the corpus: what it asks for.

    Parameters
    ----------
    published, measured : (float, float)
        Factors on the number of parameters: of the published range, and of the interval of this ladder's exponent.
    hidden : (int, int)
        Widths, from the advised one on, that the published factors ask for.
    parameters : (int, int)
    steps : int
        As many looks at each label as ``ranks.steps`` has on this corpus.
    """

    published: tuple[float, float]
    measured: tuple[float, float]
    hidden: tuple[int, int]
    parameters: tuple[int, int]
    steps: int

    def words(self, seconds: float, megabytes: float | None) -> str:
        """A sentence for people, with what one training of the larger width costs."""
        factors = "{:.2f} to {:.2f}".format(*self.published)
        widths = " to ".join(map(str, sorted(set(self.hidden))))
        memory = "" if megabytes is None else f" and about {megabytes:,.0f} MB"
        return (
            f"Twice the corpus asks for {factors} times the parameters by the published range (this ladder: "
            f"{self.measured[0]:.2f} to {self.measured[1]:.2f}): ranks.hidden = {widths}. Training with "
            f"all seeds takes about {seconds / 60:,.0f} minutes of a core{memory}, measured here."
        )


def advice_of(fit: LadderFit, sizes: Sequence[int]) -> Advice:
    """Choose the smallest size that cannot be told from the best one on all data."""
    same = np.flatnonzero(fit.undistinguished(-1)).tolist()
    return Advice(
        hidden=sizes[same[0]],
        parameters=int(fit.sums.parameters[same[0]]),
        undistinguished=tuple(sizes[place] for place in same),
        flat=len(same) == len(sizes),
        skill=fit.correlation(-1, same[0]),
        more_data=fit.gain_of_data(same[0]),
        best=fit.best_interval(-1),
        exponent=fit.exponent,
        at_edge=int(fit.at_edge.sum()),
    )


def next_step(advice: Advice, parameters: Callable[[int], int], even: int, steps: int) -> NextStep:
    """What twice the corpus asks for.

    Parameters
    ----------
    advice : Advice
    parameters : callable
        Of a width.
    even : int
        What widths are multiples of.
    steps : int
        Of a training on this corpus.
    """
    published = 2.0 ** PUBLISHED[0], 2.0 ** PUBLISHED[1]
    widths = tuple(_width(advice, factor, parameters, even) for factor in published)
    return NextStep(
        published=published,
        measured=(2.0**advice.exponent.low, 2.0**advice.exponent.high),
        hidden=(widths[0], widths[1]),
        parameters=(parameters(widths[0]), parameters(widths[1])),
        steps=2 * steps,
    )


def _width(advice: Advice, factor: float, parameters: Callable[[int], int], even: int) -> int:
    """The least width with ``factor`` times the parameters of the advised one."""
    width = advice.hidden
    while parameters(width) < factor * advice.parameters:
        width += even
    return width


def _shown(interval: Interval, digits: int) -> str:
    value, low, high = (f"{it:,.{digits}f}" for it in (interval.difference, interval.low, interval.high))
    return f"{value} [{low}, {high}]".replace("-", "−")
