"""The page of one explained signal: it needs no script to be read, loads nothing, and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ragsignal.explanation import Explanation, Factor, Group, HitEvidence
from ragsignal.report.explained import drawings, sentences
from ragsignal.report.templating import TEMPLATES, joined
from ragsignal.report.words import number, percent

DRAWN, LISTED = 12, 40
"""Hits that are drawn, and rows of their table: those with the largest effect."""


def render_explanation(it: Explanation, command: str = "") -> str:
    """The page as HTML.

    Parameters
    ----------
    it : Explanation
        Names and words are escaped.
    command : str
        What to type to make it again; left out where it is empty.
    """
    by_effect = strongest_hits(it)
    return TEMPLATES.get_template("explained.html.j2").render(
        it=it,
        say=sentences,
        draw=drawings,
        number=number,
        percent=percent,
        groups=sorted_groups(it),
        largest=largest_effect(it),
        drawn=by_effect[:DRAWN],
        listed=by_effect[:LISTED],
        limits=sentences.LIMITS,
        command=command,
        style=joined("style.css", "explained.css"),
        script=joined("page.js"),
    )


def strongest_hits(it: Explanation) -> list[HitEvidence]:
    """Hits by the size of their effect, largest first; of equal ones the first that was found."""
    return sorted(it.hits, key=lambda hit: (-abs(hit.effect or 0.0), hit.rank))


def sorted_groups(it: Explanation) -> list[Group]:
    """Groups from what speaks most for a rise to what speaks most against it."""
    return sorted(it.groups, key=lambda group: -group.effect)


def largest_effect(it: Explanation) -> float:
    """What fills half of a track: one scale for groups and factors, so that they can be compared."""
    parts: Sequence[Group | Factor] = (*it.groups, *it.factors)
    return max((abs(part.effect) for part in parts if part.effect is not None), default=0.0)
