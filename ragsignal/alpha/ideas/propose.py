"""From an idea to formulas, and back to words: what a notebook calls.

brief = polish("momentum of volume", fields, knowledge)
for proposal in propose(brief, fields, source, count=10, seed=0):
    print(proposal.formula, proposal.words)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragsignal.alpha.ideas.brief import Brief, Tried, polish
from ragsignal.alpha.ideas.knowledge import Knowledge
from ragsignal.alpha.ideas.words import describe
from ragsignal.data import Call, Formula, Kind, Number, Window, depth, digest_of, parse, parts, text_of
from ragsignal.errors import ConfigError

MOST = 500
"""Formulas that are asked for at once."""


@dataclass(frozen=True)
class Refused:
    """A text that became no proposal, and why."""

    text: str
    reason: str


@dataclass(frozen=True)
class Proposal:
    """A formula for an idea.

    Parameters
    ----------
    formula : Formula
    words : str
        A sentence.
    came_from : str
        What proposed it: ``templates``, a model's reference, a URL's model.
    context : tuple of str
        The known formulas that whoever proposed it was shown.
    """

    formula: Formula
    words: str
    came_from: str
    context: tuple[str, ...]


@dataclass(frozen=True)
class Proposed:
    """What came of an idea: distinct formulas, and all texts that became none."""

    brief: Brief
    proposals: tuple[Proposal, ...]
    refused: tuple[Refused, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """How many texts became no proposal, by reason, the commonest first."""
        return dict(Counter(it.reason for it in self.refused).most_common())


class Harvest:
    """Takes texts until there are enough distinct formulas of them; keeps what it refuses."""

    def __init__(self, fields: Mapping[str, Kind], count: int) -> None:
        self.formulas: list[Formula] = []
        self.refused: list[Refused] = []
        self._fields, self._count = fields, count
        self._digests: set[str] = set()

    @property
    def lacks(self) -> int:
        """Formulas that are still wanted."""
        return self._count - len(self.formulas)

    def take(self, text: str) -> None:
        """Keep the formula of a text, or the text with the reason why it is none."""
        try:
            formula = parse(text, self._fields)
        except ConfigError as error:
            self.refused.append(Refused(text, str(error)))
            return
        reason = _says_nothing(formula) or ("it was proposed before" if digest_of(formula) in self._digests else "")
        if reason:
            self.refused.append(Refused(text, reason))
        elif self.lacks > 0:
            self._digests.add(digest_of(formula))
            self.formulas.append(formula)


def _says_nothing(formula: Formula) -> str:
    """Why a formula cannot rank stocks; empty where it may."""
    if depth(formula) == 0:
        return "it is a field, and no formula"
    for part in parts(formula):
        if isinstance(part, Call) and part.operator != "mul" and len(part.arguments) > 1:
            left, right = part.arguments[:2]
            if left == right and not isinstance(left, Number | Window):
                return f"it has {part.operator} of a part and itself"
    return ""


class Source(Protocol):
    """What proposes formulas."""

    @property
    def name(self) -> str:
        """What proposals say they came from."""
        ...

    @property
    def knowledge(self) -> Knowledge:
        """What an idea is looked up in."""
        ...

    def seeds(self, brief: Brief, count: int, seed: int) -> Harvest:
        """Formulas for a brief, at most ``count``; equal seeds give equal ones."""
        ...


def propose(
    idea: str | Brief, panel_fields: Mapping[str, Kind], source: Source, count: int = 10, seed: int = 0
) -> list[Proposal]:
    """Propose distinct formulas for an idea.

    Parameters
    ----------
    idea : str or Brief
        Words, or what :func:`polish` made of them.
    panel_fields : mapping of str to Kind
        What formulas may read: :attr:`~ragsignal.data.FieldPanel.known`. No price comes here.
    source : Source
        Templates, a model, or a URL.
    count : int
        Formulas that are wanted, 1 to :data:`MOST`; there may be fewer.
    seed : int

    Returns
    -------
    list of Proposal

    Raises
    ------
    ConfigError
        If the idea or the count cannot be used.
    """
    return list(propose_all(idea, panel_fields, source, count, seed).proposals)


def propose_all(
    idea: str | Brief, panel_fields: Mapping[str, Kind], source: Source, count: int = 10, seed: int = 0
) -> Proposed:
    """As :func:`propose`, with the brief, and all that was refused."""
    if not 1 <= count <= MOST:
        raise ConfigError(f"count = {count}: 1 to {MOST} formulas may be asked for at once")
    if seed < 0:
        raise ConfigError(f"seed = {seed}: a whole number from 0 was expected")
    brief = polish(idea, panel_fields, source.knowledge) if isinstance(idea, str) else idea
    harvest = source.seeds(brief, count, seed)
    context = tuple(text_of(it.known.formula) for it in brief.context)
    proposals = tuple(Proposal(it, describe(it), source.name, context) for it in harvest.formulas)
    return Proposed(brief, proposals, tuple(harvest.refused))


def review(tried: Sequence[Tried]) -> str:
    """What came of formulas on the search window, in sentences: the best first, by the size of its correlation."""
    if not tried:
        return "No formula was tried."
    lines = [
        f"{text_of(it.formula)}: mean rank correlation {it.ic:+.4f} over {it.days:,} days of the {it.window} window. "
        + describe(it.formula)
        for it in sorted(tried, key=lambda it: -abs(it.ic))
    ]
    return "\n".join([*lines, "These days chose the formulas; what they are worth is judged on others."])
