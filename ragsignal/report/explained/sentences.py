"""An explanation in sentences: what the signal says, what came of signals like it, and what cannot be said of it."""

from __future__ import annotations

from ragsignal.explanation import Change, Explanation, HitEvidence, Neighbours, Robustness
from ragsignal.report.words import MISSING, count, number, percent
from ragsignal.utils import stamp_text

LIMITS = (
    "It tells what the reader did with what it was given. It does not tell why the market moves, and is no forecast of "
    "its own.",
    "A factor or a hit with a large effect moved this reader's P. That it causes returns is not said by it.",
    "The record of earlier signals is that of signals with a like P, not of signals made for like reasons; it may be "
    "chance, and the interval says how far.",
    "That the effects are true to the reader is not assumed but tested: evaluation.faithfulness = 400 in a spec lets "
    "ragsignal evaluate compare them with effects drawn by chance.",
)
"""What an explanation cannot say."""

_NEAR = 0.05  # in P; farther ones are hardly alike
_SIDES = {"rise": "a rise of {}", "fall": "a fall of {}", "neither": "neither side of {}"}
_SIDES_OF_MEDIAN = {
    "rise": "{} above the median of the stocks",
    "fall": "{} below the median of the stocks",
    "neither": "neither side of the median for {}",
}


def probability(value: float | None) -> str:
    """P with four decimals."""
    return number(value, 4)


def effect(value: float | None, digits: int = 4) -> str:
    """A difference of P with its sign."""
    return number(value, digits, signed=True)


def bar(it: Explanation) -> str:
    """The bar that the signal is of, as the report names it."""
    return stamp_text(it.as_of)


def summary(it: Explanation) -> str:
    """What the signal says, and what earlier signals like it are worth; of an abstention, why there is no view."""
    if it.abstained is not None:
        return f"{it.variant} has no view on {it.symbol} at the close of {bar(it)}: {it.abstained}."
    rank = ""
    if it.rank is not None:
        rank = f", rank {number(it.rank, 2, signed=True)} among {it.stocks} stocks (−1 lowest, +1 highest)"
    sides = _SIDES_OF_MEDIAN if "median" in it.meaning else _SIDES
    side = sides[it.side or "neither"].format(it.symbol)
    said = f"{it.variant} says: {side}. P {probability(it.probability)}{rank}."
    return f"{said} {record_line(it.neighbours)}" if it.neighbours else said


def meaning(it: Explanation) -> str:
    """What P is the probability of, as a sentence."""
    return f"P is the probability that {it.meaning.removeprefix('P that ')}."


def record_line(it: Neighbours) -> str:
    """How many earlier signals came true, with the interval, and whether one half lies within it."""
    if it.share is None or it.low is None or it.high is None:
        return "No earlier signal like it has an outcome yet."
    coin = "; one half lies within, so it may be chance" if it.low <= 0.5 <= it.high else ""
    came = f"{count(it.true)} of {count(it.signals)} earlier signals like it came true"
    return f"{came}: {percent(it.share)} (95 % interval {percent(it.low)} to {percent(it.high)}{coin})."


def like_line(it: Neighbours) -> str:
    """Which earlier signals these are."""
    if not it.signals:
        return f"{it.words[0].upper()}{it.words[1:]}."
    unlike = ", so that not all are like it" if it.farthest is not None and it.farthest > _NEAR else ""
    far = f"at most {number(it.farthest, 4)} away in P{unlike}"
    left = f" {count(it.unstored)} more are not in the store and would cost model calls." if it.unstored else ""
    chosen = f"chosen from {count(it.earlier)} whose outcome was known on the day"
    return f"From {it.first} to {it.last}, on {count(it.days)} days, {far}, {chosen}.{left}"


def firm_line(it: Robustness) -> str:
    """How far P moved, and how often the side turned."""
    moved = f"P stays between {probability(it.low)} and {probability(it.high)} in nine in ten"
    turned = "the side never turned" if it.turned == 0 else f"the side turned in {percent(it.turned, 0)} of them"
    return f"{moved} of {count(it.draws)} draws ({it.change}); {turned}."


def step(change: Change) -> str:
    """A change in letters: ``E to B, 3 steps down``."""
    size, way = abs(change.steps), "up" if change.steps > 0 else "down"
    return f"{change.before} to {change.after}, {size} {'step' if size == 1 else 'steps'} {way}"


def title(hit: HitEvidence) -> str:
    """What a hit is called: its day, or the symbol and the sequence."""
    return f"{hit.first}{', unlike' if hit.unlike else ''}" if hit.outcome is None else f"{hit.symbol} {hit.sequence}"


def window(hit: HitEvidence) -> str:
    """Its first and last day; of a day nothing more than it is called."""
    return MISSING if hit.first == hit.last else f"{hit.first} to {hit.last}"


def outcome(hit: HitEvidence) -> str:
    """What followed a sequence, or what a day adds to the rank of the stock."""
    if hit.outcome is None:
        return f"adds {number(hit.adds, 6, signed=True)} to the rank"
    return f"then {number(100 * hit.outcome, 2, signed=True, unit='%')}, {hit.movement}"
