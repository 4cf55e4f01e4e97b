"""What stands beside the figures of an explanation: what P is of, and how each figure was made."""

from __future__ import annotations

from collections.abc import Sequence

from ragsignal.config import CorpusSpec
from ragsignal.explanation.explanation import Change
from ragsignal.explanation.neighbours import DAYS, NEAREST
from ragsignal.explanation.opposite import MOST
from ragsignal.explanation.readings import MIDDLE

_OUTCOMES = {
    "relative": "the return from close to close over {bars}, less the median of all symbols, is above 0",
    "movement": "the return from close to close over {bars} is above 0",
    "open_to_open": "the return from the next open to the open {bars} later is above 0",
}


def meaning_of(corpus: CorpusSpec) -> str:
    """What P is the probability of."""
    bars = "the next bar" if corpus.horizon == 1 else f"the next {corpus.horizon} bars"
    if corpus.target == "open_to_open":
        bars = "a bar" if corpus.horizon == 1 else f"{corpus.horizon} bars"
    return f"P that {_OUTCOMES[corpus.target].format(bars=bars)}"


def method_of(reads: str, keeps_hits: bool, coarse: bool) -> tuple[str, ...]:
    """How the figures were made, and what they do not say.

    Parameters
    ----------
    reads : str
        What the reader's answer rests on.
    keeps_hits : bool
        Whether the hits stay as they are where a factor changes.
    coarse : bool
        Whether a text model was read in bfloat16.
    """
    low, high = (chr(ord("A") + letter) for letter in MIDDLE)
    of_what = "on all days that are read" if reads.startswith("ranks") else "in the window"
    hits = "The hits stay as they are." if keeps_hits else "A changed window retrieves anew."
    sentences = [
        "An effect is P less P without: above 0 it speaks for a rise. Effects of parts need not add up.",
        f"Without a factor: {of_what} it stands in the middle; P is the mean of P with {low} and with {high}. {hits}",
        f"The opposite case changes letters of the day alone, at most {MOST} of them; that a market could show just "
        "these is not claimed.",
        f"Neighbours are the {NEAREST} earlier signals with the nearest P of the {DAYS} bars before, whose outcome was "
        "known by then; the interval counts the signals of a bar as what they are worth together.",
    ]
    if coarse:
        sentences.append("The model is read in bfloat16: effects below 0.02 may be rounding.")
    return tuple(sentences)


def opposite_words(changes: Sequence[Change], before: float, after: float | None) -> str:
    """The opposite case in a sentence."""
    if before == 0.5:
        return "P is one half: there is no side to turn"
    if after is None:
        return f"none within {MOST} changed factors was found; no single one turns the side"
    listed = "; ".join(change.text for change in changes)
    count = "one change" if len(changes) == 1 else f"{len(changes)} changes together"
    unproven = "; no single change does, that fewer of them would not is unproven" if len(changes) > 2 else ""
    return f"{count} would turn the side, P {before:.4f} to {after:.4f}: {listed}{unproven}"
