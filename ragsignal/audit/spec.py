"""A whole spec through all tests: its strategies, its signals, its retrieval, its training, its language model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.run import TESTS, audit_code
from ragsignal.audit.code.subjects import Heard, Subject, kind_of, load, takes_signal
from ragsignal.audit.models.memory import audit_memory
from ragsignal.audit.models.training import audit_training
from ragsignal.audit.signals.retrieval import audit_retrieval
from ragsignal.audit.signals.signals import audit_signals
from ragsignal.audit.verdict import Finding, Verdict, together
from ragsignal.backtest import prepare, signals_of
from ragsignal.config import RunSpec, Variant
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.study import Study
from ragsignal.utils import Progress, plain, silent

_ORDER = (
    *("control", "prefix", "signal-prefix", "poison", "signal-poison", "start_point", "signal-start", "signal-replay"),
    *("retrieval", "modes", "fills", "training", "memory"),
)
"""As the tests are reported: those of signals after those of code of the same idea."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Parameters
    ----------
    spec : str
        Name of the spec.
    findings : tuple of Finding
        One a test and subject.
    seconds : float
    """

    spec: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The worst of all; ``unknown``, if nothing failed but some code could not be tested at all."""
        worst = together(it.verdict for it in self.findings)
        untested = any(it.test == "prefix" and it.verdict == "unknown" for it in self.findings)
        return "unknown" if worst == "passed" and untested else worst

    @property
    def record(self) -> dict[str, Any]:
        """JSON-able."""
        tests = [
            {
                **{"test": it.test, "subject": it.subject, "verdict": it.verdict, "words": it.words},
                "evidence": plain(it.evidence),
            }
            for it in self.findings
        ]
        return {"spec": self.spec, "verdict": self.verdict, "tests": tests, "seconds": round(self.seconds, 1)}


def audit_spec(spec: RunSpec, jobs: int | None = None, progress: Progress = silent) -> Audit:
    """Every test on all that a spec runs.

    Parameters
    ----------
    spec : RunSpec
    jobs : int, optional
        Processes for the tests of code; None takes one a core.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.

    Raises
    ------
    ConfigError, DataError, ModelError
        As a run of the spec would.
    """
    began = time.perf_counter()
    study, frames = prepare(spec, progress)
    subjects, unheard = _of_spec(study, frames)
    found = audit_code(subjects, Market(frames), spec.costs, jobs, progress)
    found += unheard
    if found[0].verdict != "broken":
        for test in (audit_signals, audit_retrieval, audit_training, audit_memory):
            found += test(study, frames, progress)
    return Audit(spec.name, tuple(sorted(found, key=_place)), time.perf_counter() - began)


def audit_subjects(
    spec: RunSpec,
    names: Sequence[str],
    variant: str | None = None,
    jobs: int | None = None,
    progress: Progress = silent,
) -> Audit:
    """The tests of code on anything that is named, on the bars of a spec.

    Parameters
    ----------
    spec : RunSpec
    names : sequence of str
        ``module:Name`` each, looked up from the current folder.
    variant : str, optional
        Whose signals those get that take some; by default the first variant with a signal.
    jobs, report
        As in :func:`audit_spec`.

    Raises
    ------
    ConfigError
        If something is not found, or cannot be audited, or if there is no such variant.
    LookAheadError
        If signals are needed that were trained on the window.
    """
    began = time.perf_counter()
    kinds = [kind_of(name) for name in names]
    if variant is not None:
        spec.find_variant(variant)  # a typo is an error even where no signal is asked for
    study, frames = prepare(spec, progress)
    source = None
    if any(kind != "function" and takes_signal(load(name)) for name, kind in zip(names, kinds, strict=True)):
        source = _heard(study, spec.find_variant(variant), frames)
    subjects = []
    for name, kind in zip(names, kinds, strict=True):
        takes = kind != "function" and takes_signal(load(name))
        subjects.append(Subject(name, kind, source=source if takes else None))
    found = audit_code(subjects, Market(frames), spec.costs, jobs, progress)
    return Audit(spec.name, tuple(found), time.perf_counter() - began)


def _of_spec(study: Study, frames: dict[str, pd.DataFrame]) -> tuple[list[Subject], list[Finding]]:
    """Each strategy with its params once, by a signal or without; what makes no signal, as findings."""
    spec = study.spec
    groups: dict[str, list[Variant]] = {}
    for variant in spec.variants:
        mine = variant.strategy
        key = json.dumps([mine.name, mine.params, variant.has_signal], sort_keys=True, default=str)
        groups.setdefault(key, []).append(variant)
    subjects, unheard = [], []
    for variants in groups.values():
        strategy, names = variants[0].strategy, tuple(it.name for it in variants)
        plain_subject = Subject(strategy.name, "strategy", dict(strategy.params), None, names)
        if not variants[0].has_signal:
            subjects.append(plain_subject)
            continue
        try:
            source = _first_heard(study, variants, frames)
        except LookAheadError as error:
            words = f"It trades signals that are not made: {error}"
            unheard += [Finding(test, plain_subject.label, "unknown", words, {"variants": names}) for test in TESTS]
            continue
        subjects.append(Subject(strategy.name, "strategy", dict(strategy.params), source, names))
    return subjects, unheard


def _first_heard(study: Study, variants: Sequence[Variant], frames: dict[str, pd.DataFrame]) -> Heard:
    """Signals of the first variant that makes any: the strategy's code is the same for all of them."""
    refused: LookAheadError | None = None
    for variant in variants:
        try:
            return _heard(study, variant, frames)
        except LookAheadError as error:
            refused = refused or error
    raise refused or ConfigError("no variant")


def _heard(study: Study, variant: Variant, frames: dict[str, pd.DataFrame]) -> Heard:
    known = signals_of(study.pipeline(variant), frames)
    return Heard(known.lookback, known.known)


def _place(it: Finding) -> int:
    """In the order of the tests; sorting is stable, so subjects keep theirs."""
    return next((n for n, test in enumerate(_ORDER) if it.test == test or it.test.startswith(f"{test}-")), len(_ORDER))
