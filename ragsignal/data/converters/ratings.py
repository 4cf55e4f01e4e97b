"""The rating in a text that a language model wrote: one of five steps, or REVIEW, or an error; never a guess."""

from __future__ import annotations

import re
import unicodedata

STEPS = ("buy", "overweight", "hold", "underweight", "sell")
REVIEW = "review"
"""What TradingAgents writes where it could not read its own decision."""

_MARKS = r"[\s*_#>`\"']*"
_WORD = rf"{_MARKS}(?P<word>[A-Za-z][A-Za-z-]*)"
_COLON = r"[:\u2010-\u2015-]"
_RATING = re.compile(rf"\brating\b[^:\n\u2010-\u2015-]{{0,40}}{_COLON}{_WORD}", re.IGNORECASE)
_PROPOSAL = re.compile(rf"final transaction proposal{_MARKS}{_COLON}{_WORD}", re.IGNORECASE)
_HEADED = re.compile(
    rf"^{_MARKS}(?:my |the |our )?(?:final )?(?:recommendation|decision|verdict|action){_MARKS}{_COLON}{_WORD}",
    re.IGNORECASE,
)
_LEGEND = re.compile(r"rating\s*(scale|options|legend)", re.IGNORECASE)
_STRESSED = re.compile(
    r"\b(BUY|OVERWEIGHT|HOLD|UNDERWEIGHT|SELL)\b|\*\*(buy|overweight|hold|underweight|sell)\*\*", re.I
)


class UnreadableRatingError(ValueError):
    """No rating can be told from a text; the message says why."""


def rating_of(text: str) -> str:
    """One of :data:`STEPS`, or :data:`REVIEW`.

    A line ``Rating: Buy`` counts before ``FINAL TRANSACTION PROPOSAL: **BUY**``, this before a line such as
    ``Recommendation: Buy``, and the last of a kind before those above it. A text without any of them has to
    stress one word alone, as **SELL** or SELL.

    Raises
    ------
    UnreadableRatingError
        If there is none, if labels name something else, or if several words are stressed.
    """
    lines = unicodedata.normalize("NFKC", text).splitlines()
    named: list[str] = []
    for label in (_RATING, _PROPOSAL, _HEADED):
        words = [found["word"].lower() for line in lines if not _LEGEND.search(line) for found in label.finditer(line)]
        known = [word for word in words if word in STEPS or word == REVIEW]
        if known:
            return known[-1]
        named += words
    if named:
        raise UnreadableRatingError(f"unknown rating {named[-1]!r}")
    stressed = {(found[1] or found[2]) for line in lines for found in _STRESSED.finditer(line)}
    words = sorted({word.lower() for word in stressed if word.isupper() or f"**{word}**" in text})
    if len(words) != 1:
        raise UnreadableRatingError(f"several ratings: {', '.join(words)}" if words else "no rating")
    return words[0]
