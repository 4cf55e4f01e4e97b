"""Has anything that was trained seen the window that is traded? The cards say it; what has no card is not known.

``trained_through`` is the last day on which any label used in training became known; letters have theirs too. To
allow it (``allow_in_sample``) changes nothing here: it lets a backtest run, and not its result prove something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.audit.models.recall import cutoff_of
from ragsignal.audit.verdict import Finding, Verdict
from ragsignal.config import Variant
from ragsignal.data import calendar_of
from ragsignal.study import Study, weights_without_card
from ragsignal.utils import Progress


def audit_training(study: Study, frames: dict[str, pd.DataFrame], progress: Progress) -> list[Finding]:
    """What every variant's parts were fitted on, against the days it trades: a finding a variant and base model.

    Parameters
    ----------
    study, frames, progress
        As of :func:`~ragsignal.audit.signals.signals.audit_signals`.

    Raises
    ------
    ModelError
        If an artifact is missing or altered.
    """
    variants = [variant for variant in study.spec.variants if variant.has_signal]
    if not variants:
        return [Finding("training", study.spec.name, "unknown", "No variant has a signal: nothing was trained.")]
    calendar = calendar_of([*study.prices.frames.values(), *frames.values()])
    findings: list[Finding] = []
    bases: dict[tuple[str, str], None] = {}
    for number, variant in enumerate(variants):
        progress("audit of training", number + 1, len(variants))
        findings.append(_of_variant(study, variant, calendar))
        bases |= dict.fromkeys(_bases(study, variant))
    return findings + [_of_base(ref, role, study.spec.data.end) for ref, role in bases]


@dataclass(frozen=True)
class FittedPart:
    """One fitted part: ``through`` is the last day it has seen, ``first`` the first day it is used on."""

    what: str
    through: date
    first: date

    def verdict(self) -> Verdict:
        """Failed where it is used on a day that it has seen."""
        return "failed" if self.through >= self.first else "passed"

    def bars_between(self, calendar: NDArray[np.datetime64]) -> int:
        """Trading days of ``calendar`` from the last day seen to the first day used."""
        days = [np.datetime64(self.through), np.datetime64(self.first)]
        through, first = np.searchsorted(calendar, days, side="right").tolist()
        return int(first - through)


def _of_variant(study: Study, variant: Variant, calendar: NDArray[np.datetime64]) -> Finding:
    if variant.is_external:
        return _of_decisions(study, variant)
    parts = [
        FittedPart(what, day, step_parts.spec.data.start)
        for step_parts, step_variant in study.steps(variant)
        for what, day in step_parts.fitted(step_variant)
    ]
    gaps = [part.bars_between(calendar) for part in parts]
    artifacts = study.artifacts(variant)
    cards = {role: artifact.card for role, artifact in artifacts.items()}
    paper = sorted({artifact.ref for artifact in artifacts.values() if artifact.card.protocol == "paper"})
    bare = [ref for role, ref in weights_without_card(variant, artifacts) if role == "adapter"]
    verdict, words = _judged(parts, gaps, paper, bare)
    evidence = {
        "fitted": [
            {
                "what": part.what,
                "trained_through": str(part.through),
                "first_used": str(part.first),
                "bars_between": gap,
            }
            for part, gap in zip(parts, gaps, strict=True)
        ],
        "embargo_in_training": {role: card.recipe.get("split", {}).get("embargo") for role, card in cards.items()},
        "paper_protocol": paper,
        "without_card": bare,
        "allow_in_sample": study.spec.allow_in_sample,
    }
    return Finding("training", variant.name, verdict, words, evidence)


def _of_decisions(study: Study, variant: Variant) -> Finding:
    """Of decisions from outside only their word is there, if they give it."""
    decisions = study.parts.decisions(variant.external)
    placed = decisions.rows.table[~np.isnat(decisions.days)]
    said = int((placed["known_day"].notna() | placed["known_moment"].notna()).sum())
    words = (
        f"What made the decisions of {decisions.rows.file.name}, and what it had seen, is not recorded: whether a "
        "decision knew what came after it cannot be seen in the file."
    )
    words += f" Of {said:,} of {len(placed):,} it says when they were there, by the close of their bar." if said else ""
    evidence = {"file": decisions.rows.digest, "decisions": len(placed), "with_available_at": said}
    return Finding("training", variant.name, "unknown", words, evidence)


def planted_verdict() -> Verdict:
    """The control: something trained through the very day it is first used on."""
    day = date(2020, 1, 2)
    return FittedPart("planted", day, day).verdict()


def _judged(parts: Sequence[FittedPart], gaps: list[int], paper: list[str], bare: list[str]) -> tuple[Verdict, str]:
    if planted_verdict() != "failed":
        return "broken", "The planted card, trained through the first traded day, was not seen as a leak."
    inside = [
        f"{part.what} has seen days through {part.through}, and is used from {part.first}"
        for part in parts
        if part.verdict() == "failed"
    ]
    inside += [f"{ref} was trained by the paper's protocol, on the days it is tested on" for ref in paper]
    if inside:
        cure = "Start the backtest later (data.start), or train on earlier days (`ragsignal train`)."
        return "failed", f"{'; '.join(inside)}. {cure}"
    if bare:
        cure = "Train it with `ragsignal train`, which writes a card."
        return "unknown", f"What {', '.join(bare)} was trained on is not recorded. {cure}"
    if not parts:
        return "unknown", "Nothing in it was fitted."
    last = max(part.through for part in parts)
    words = f"All {len(parts)} fitted parts end before they are used: the latest on {last}"
    return "passed", f"{words}, at least {min(gaps)} bars before."


def _bases(study: Study, variant: Variant) -> list[tuple[str, str]]:
    """Weights that were trained elsewhere: references, each with its role."""
    bases = [
        (artifact.card.base["ref"], "language model" if role.startswith("reader") else "encoder")
        for role, artifact in study.artifacts(variant).items()
        if artifact.card.base
    ]
    if variant.reads_text:
        bases.append((variant.llm.model, "language model"))
    if variant.embeds_text:
        bases.append((variant.retrieval.encoder_ref, "encoder"))
    return bases


def _of_base(ref: str, role: str, end: date) -> Finding:
    """A base model: public text has no ``trained_through``, at best a cutoff."""
    last, source = cutoff_of(ref) or (None, None)
    evidence = {"role": role, "cutoff": str(last) if last else None, "source": source}
    about = f"text through {last} ({source})" if last else "text that is not recorded"
    if role == "encoder":
        words = f"What {ref} was trained on is not recorded here; it reads lines without names and dates."
    elif last and end > last:
        words = f"{ref} was trained on {about}; only days after it are surely unread."
    else:
        words = (
            f"{ref} was trained on {about}: it may have read about this window. The tests of memory look for traces."
        )
    return Finding("training", ref, "unknown", words, evidence)
