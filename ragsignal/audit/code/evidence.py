"""What the runs of a subject have shown, before a verdict is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ragsignal.audit.code.compare import Difference
from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.subjects import Subject
from ragsignal.audit.code.trace import Trace


@dataclass(frozen=True)
class Clue:
    """A difference: what something was at ``day`` with (``known``) and without (``unknown``) the bars after ``cut``.

    ``before`` is how many bars ``day`` lies before the cut.
    """

    day: str
    cut: str
    before: int
    what: str
    known: Any
    unknown: Any

    @property
    def record(self) -> dict[str, Any]:
        """JSON-able."""
        return {"what": self.what, "day": self.day, "cut": self.cut, "with_future": self.known, "without": self.unknown}

    def words(self, otherwise: str) -> str:
        """For people; ``otherwise`` says what stood in the place of the bars after the cut."""
        known, unknown = (f"{it:.6g}" if isinstance(it, float) else str(it) for it in (self.known, self.unknown))
        where = f"on {self.day}" if self.what in ("order", "run", "lines") else f"{self.what} on {self.day}"
        return f"{where}: {known} with the bars after {self.cut}, {unknown} {otherwise}"


@dataclass
class Part:
    """What a number of cut or poisoned runs have shown.

    ``runs`` were compared; ``not_run`` ended before their first bar, most often because so few bars are too few for the
    subject, for the ``reason`` that stands there.
    """

    runs: int = 0
    not_run: int = 0
    reason: str | None = None
    clues: list[Clue] = field(default_factory=list)
    parted: int = 0

    def add(self, found: list[Difference], days: Market, cut: int, offset: int) -> None:
        """Count a compared run; bars of ``found`` count from day number ``offset``."""
        self.runs += 1
        self.parted += bool(found)
        for it in found:
            day, end = (f"{days.days[bar]:%Y-%m-%d}" for bar in (offset + it.bar, cut))
            self.clues.append(Clue(day, end, cut - offset - it.bar, it.what, it.left, it.right))

    def skip(self, reason: str | None) -> None:
        """Count a run that did not come to its first bar."""
        self.not_run += 1
        self.reason = self.reason or reason

    def __add__(self, other: Part) -> Part:
        clues = [*self.clues, *other.clues]
        reason = self.reason or other.reason
        return Part(self.runs + other.runs, self.not_run + other.not_run, reason, clues, self.parted + other.parted)


@dataclass
class Case:
    """A subject, and all that its runs have shown.

    Parameters
    ----------
    subject : Subject
    base : Trace
        All bars, in a process that had run nothing before.
    again : Trace
        All bars once more, in the same process.
    prefix, poison : Part
    repeats : bool
        Whether all bars, in yet another fresh process, gave ``base`` again; asked only where something differed.
    """

    subject: Subject
    base: Trace
    again: Trace
    prefix: Part = field(default_factory=Part)
    poison: Part = field(default_factory=Part)
    repeats: bool = True

    @property
    def nothing(self) -> str | None:
        """Why nothing can be said of it, or None."""
        if not len(self.base):
            return f"It could not be run: {self.base.error or 'no bar'}."
        if not (self.base.is_evidence or self.again.is_evidence):
            return "No evidence: it shows no value of a line and sends no order on these bars."
        if not self.repeats:
            return (
                "Two runs on the same bars, each in a process of its own, differ: it draws random numbers without a "
                "fixed seed, or reads a clock. Fix its seed, then audit it again."
            )
        return None

    @property
    def seen(self) -> dict[str, Any]:
        """How much there was to compare."""
        orders = sum(act.kind == "order" for act in self.base.acts)
        seen = {"bars": len(self.base), "lines": len(self.base.labels), "values": self.base.values, "orders": orders}
        return {"variants": list(self.subject.variants), **seen} if self.subject.variants else seen
