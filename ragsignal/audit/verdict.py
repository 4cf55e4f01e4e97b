"""What a test of the audit says: passed, failed, unknown or broken, with the words and the numbers behind it.

``unknown`` is an answer: nothing was there to be tested, or nobody can know. ``broken`` says that the test did not
catch the leak that was planted for it, so that its silence would mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["passed", "failed", "unknown", "broken"]
_WORST_FIRST: tuple[Verdict, ...] = ("broken", "failed", "passed", "unknown")


@dataclass(frozen=True)
class Finding:
    """What one test found out about one subject.

    Parameters
    ----------
    test : str
        Name of the test, such as ``prefix``.
    subject : str
        What was tested: a variant, a strategy's or an indicator's dotted name, an artifact.
    verdict : {"passed", "failed", "unknown", "broken"}
    words : str
        A sentence or two for people: what was found, where, and, where it failed, what to do next.
    evidence : dict
        The numbers behind it, JSON-able: how much was compared, the first difference.
    """

    test: str
    subject: str
    verdict: Verdict
    words: str
    evidence: dict[str, Any] = field(default_factory=dict)


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for many: the worst that was found; ``unknown`` only where nothing else was."""
    found = set(verdicts)
    return next((it for it in _WORST_FIRST if it in found), "unknown")
