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
_LABEL = rf"\brating\b[^:\n\u2010-\u2015-]{{0,40}}{_COLON}{_WORD}"
_OWN = r"(?:my |the |our )?(?:final |overall |recommended )?"
_RATING = re.compile(  # not "Rating rationale: Hold is too timid"
    rf"^{_MARKS}(?:[-\u2022]|\d+[.)])?{_MARKS}{_OWN}rating{_MARKS}(?:\([^)]*\)|after claim check)?{_MARKS}"
    rf"{_COLON}{_WORD}",
    re.IGNORECASE,
)
_MENTIONED = re.compile(_LABEL, re.IGNORECASE)
_PROPOSAL = re.compile(rf"final transaction proposal{_MARKS}{_COLON}{_WORD}", re.IGNORECASE)
_HEADED = re.compile(
    rf"^{_MARKS}(?:my |the |our )?(?:final )?(?:recommendation|decision|verdict|action){_MARKS}{_COLON}{_WORD}",
    re.IGNORECASE,
)
_OTHER = re.compile(rf"{_MARKS}(?:/|\||->|\u2192|\bor\b|\bto\b){_MARKS}(?P<word>{'|'.join(STEPS)})\b", re.IGNORECASE)
_THOUGHT = re.compile(r"<think>.*?</think>", re.IGNORECASE | re.DOTALL)
_LEGEND = re.compile(r"rating\s*(scale|options|legend)", re.IGNORECASE)
_STRESSED = re.compile(
    r"\b(BUY|OVERWEIGHT|HOLD|UNDERWEIGHT|SELL)\b|\*\*(buy|overweight|hold|underweight|sell)\*\*", re.I
)


class UnreadableRatingError(ValueError):
    """No rating can be told from a text; the message says why."""


def rating_of(text: str) -> str:
    """One of :data:`STEPS`, or :data:`REVIEW`.

    A line that begins with ``Rating: Buy`` counts before a rating that is mentioned within one (``the prior rating:
    Hold``), this before ``FINAL TRANSACTION PROPOSAL: **BUY**``, and this before a line such as ``Recommendation:
    Buy``; the last of a kind before those above it. A text without any of them has to stress one word alone, as
    **SELL** or SELL. What stands in ``<think>`` is not read.

    Raises
    ------
    UnreadableRatingError
        If there is none, if labels name something else or two steps at once, if ratings that are only mentioned
        differ, or if several words are stressed.
    """
    text = _THOUGHT.sub("", unicodedata.normalize("NFKC", text))
    lines = [line for line in text.splitlines() if not _LEGEND.search(line)]
    named: list[str] = []
    for label in (_RATING, _MENTIONED, _PROPOSAL, _HEADED):
        words = [_one_word(found, line) for line in lines if (found := label.search(line))]
        known = [word for word in words if word in STEPS or word == REVIEW]
        if label is _MENTIONED and len(set(known)) > 1:
            raise UnreadableRatingError(f"several ratings: {', '.join(sorted(set(known)))}")
        if known:
            return known[-1]
        named += words
    if named:
        raise UnreadableRatingError(f"unknown rating {named[-1]!r}")
    return _stressed(lines, text)


def _one_word(found: re.Match[str], line: str) -> str:
    """What a label names; a template that was copied, such as BUY/HOLD/SELL, names nothing."""
    word = found["word"].lower()
    other = _OTHER.match(line, found.end()) if word in STEPS else None
    if other:
        raise UnreadableRatingError(f"several ratings: {word}, {other['word'].lower()}")
    return word


def _stressed(lines: list[str], text: str) -> str:
    """The only word that stands out where no label does."""
    stressed = {(found[1] or found[2]) for line in lines for found in _STRESSED.finditer(line)}
    words = sorted({word.lower() for word in stressed if word.isupper() or f"**{word}**" in text})
    if len(words) != 1:
        raise UnreadableRatingError(f"several ratings: {', '.join(words)}" if words else "no rating")
    return words[0]
