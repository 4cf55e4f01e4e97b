"""Has anything that was trained seen the window that is traded? The cards say it; what has no card is not known.

``trained_through`` is the last day on which any label used in training became known; letters have theirs too. To
allow it (``allow_in_sample``) changes nothing here: it lets a backtest run, and not its result prove something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.artifacts import Artifact
from ragsignal.audit.models.recall import cutoff_of
from ragsignal.audit.verdict import Finding, Verdict
from ragsignal.config import Variant
from ragsignal.data import calendar_of
from ragsignal.study import Study
from ragsignal.utils import Progress


def audit_training(study: Study, frames: dict[str, pd.DataFrame], progress: Progress) -> list[Finding]:
    """What every variant's parts were fitted on, against the days it trades: a finding a variant and base model.

    Parameters
    ----------
    study : Study
    frames : dict of symbol to DataFrame
        The traded bars.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.

    Raises
    ------
    ModelError
        If an artifact is missing or altered.
    """
    variants = [variant for variant in study.spec.variants if variant.has_signal]
    if not variants:
        return [Finding("training", study.spec.name, "unknown", "No variant has a signal: nothing was trained.")]
    calendar = calendar_of(_history(study, frames))
    findings: list[Finding] = []
    bases: dict[tuple[str, str], None] = {}
    for number, variant in enumerate(variants):
        progress("audit of training", number + 1, len(variants))
        findings.append(_of_variant(study, variant, calendar))
        bases |= dict.fromkeys(_bases(study, variant))
    return findings + [_of_base(ref, role, study.spec.data.end) for ref, role in bases]


@dataclass(frozen=True)
class Seen:
    """One fitted part: ``through`` is the last day it has seen, ``first`` the first day it is used on."""

    what: str
    through: date
    first: date

    def verdict(self) -> Verdict:
        """Failed where it is used on a day that it has seen."""
        return "failed" if self.through >= self.first else "passed"


def _history(study: Study, frames: dict[str, pd.DataFrame]) -> list[pd.DataFrame]:
    return [*study.prices.frames.values(), *frames.values()]


def _of_variant(study: Study, variant: Variant, calendar: np.ndarray[Any, Any]) -> Finding:
    parts = [
        Seen(what, day, step_parts.spec.data.start)
        for step_parts, step_variant in study.steps(variant)
        for what, day in step_parts.fitted(step_variant)
    ]
    artifacts = study.artifacts(variant)
    paper = sorted({it.ref for it in artifacts.values() if it.card.protocol == "paper"})
    bare = _without_card(variant, artifacts)
    evidence: dict[str, Any] = {
        "fitted": [_record(it, calendar) for it in parts],
        "embargo_in_training": {role: it.card.recipe.get("split", {}).get("embargo") for role, it in artifacts.items()},
        "paper_protocol": paper,
        "without_card": bare,
        "allow_in_sample": study.spec.allow_in_sample,
    }
    if planted_verdict() != "failed":
        words = "The planted card, trained through the first traded day, was not seen as a leak."
        return Finding("training", variant.name, "broken", words, evidence)
    return _judged(variant.name, parts, paper, bare, evidence)


def planted_verdict() -> Verdict:
    """The control: something trained through the very day it is first used on."""
    day = date(2020, 1, 2)
    return Seen("planted", day, day).verdict()


def _judged(name: str, parts: Sequence[Seen], paper: list[str], bare: list[str], evidence: dict[str, Any]) -> Finding:
    inside = [
        f"{it.what} has seen days through {it.through}, and is used from {it.first}"
        for it in parts
        if it.verdict() == "failed"
    ]
    inside += [f"{ref} was trained by the paper's protocol, on the days it is tested on" for ref in paper]
    if inside:
        words = (
            f"{'; '.join(inside)}. Start the backtest later (data.start), or train on earlier days (`ragsignal train`)."
        )
        return Finding("training", name, "failed", words, evidence)
    if bare:
        what = ", ".join(bare)
        words = f"What {what} was trained on is not recorded. Train it with `ragsignal train`, which writes a card."
        return Finding("training", name, "unknown", words, evidence)
    if not parts:
        return Finding("training", name, "unknown", "Nothing in it was fitted.", evidence)
    gap = min(row["bars_between"] for row in evidence["fitted"])
    last = max(it.through for it in parts)
    words = f"All {len(parts)} fitted parts end before they are used: the latest on {last}, at least {gap} bars before."
    return Finding("training", name, "passed", words, evidence)


def _record(it: Seen, calendar: np.ndarray[Any, Any]) -> dict[str, Any]:
    """In JSON, with the number of bars from the last day seen to the first day used."""
    through, first = np.searchsorted(calendar, [np.datetime64(it.through), np.datetime64(it.first)], side="right")
    gap = int(first) - int(through)
    return {"what": it.what, "trained_through": str(it.through), "first_used": str(it.first), "bars_between": gap}


def _without_card(variant: Variant, artifacts: dict[str, Artifact]) -> list[str]:
    """An adapter in a bare peft folder: it was trained, and nobody wrote down on what."""
    if not variant.is_llm or any(role.startswith("reader") for role in artifacts):
        return []
    adapter = variant.llm.adapter
    return [adapter] if adapter else []


def _bases(study: Study, variant: Variant) -> list[tuple[str, str]]:
    """Weights that were trained elsewhere: references, each with its role."""
    found = [(it.card.base["ref"], role) for role, it in study.artifacts(variant).items() if it.card.base]
    if variant.is_llm:
        found.append((variant.llm.model, "reader"))
    if variant.embeds_text:
        found.append((variant.retrieval.encoder_ref, "retriever"))
    return [(ref, "language model" if role.startswith("reader") else "encoder") for ref, role in found]


def _of_base(ref: str, role: str, end: date) -> Finding:
    """A base model: public text has no ``trained_through``, at best a cutoff."""
    known = cutoff_of(ref)
    evidence = {"role": role, "cutoff": str(known[0]) if known else None, "source": known[1] if known else None}
    if known is not None and end > known[0] and role == "language model":
        words = f"{ref} was trained on text through {known[0]} ({known[1]}); only days after it are surely unread."
        return Finding("training", ref, "unknown", words, evidence)
    if role == "encoder":
        words = f"What {ref} was trained on is not recorded here; it reads lines without names and dates."
        return Finding("training", ref, "unknown", words, evidence)
    about = f"text through {known[0]} ({known[1]})" if known else "text that is not recorded"
    words = f"{ref} was trained on {about}: it may have read about this window. The tests of memory look for traces."
    return Finding("training", ref, "unknown", words, evidence)
