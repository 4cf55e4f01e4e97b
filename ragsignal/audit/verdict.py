"""What a test of the audit says: passed, failed, unknown or broken, with the words and the numbers behind it.

``unknown`` is an answer: nothing was there to be tested, or nobody can know. ``broken`` says that the test did not
catch the leak that was planted for it, so that its silence would mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["passed", "failed", "unknown", "broken"]
_WORST_FIRST: tuple[Verdict, ...] = ("broken", "failed", "passed", "unknown")

Evidence = Mapping[str, Any]
"""The numbers behind a verdict as ``audit.json`` shows them. Each test has keys of its own; no code reads them back."""


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
    evidence : mapping
        The numbers behind it, JSON-able: how much was compared, the first difference.
    """

    test: str
    subject: str
    verdict: Verdict
    words: str
    evidence: Evidence = field(default_factory=dict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for many: the worst of them; ``unknown`` only where there is nothing else."""
    given = set(verdicts)
    return next((verdict for verdict in _WORST_FIRST if verdict in given), "unknown")
