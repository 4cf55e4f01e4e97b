"""A whole spec through all tests: its strategies, its signals, its retrieval, its training, its language model."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.run import TESTS, audit_code
from ragsignal.audit.code.subjects import Subject, kind_of, load, takes_signal
from ragsignal.audit.models.memory import audit_memory
from ragsignal.audit.models.training import audit_training
from ragsignal.audit.signals.retrieval import audit_retrieval
from ragsignal.audit.signals.signals import audit_signals
from ragsignal.audit.verdict import Finding, Verdict, worst
from ragsignal.config import RunSpec, Variant
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.signals import RecordedSignals
from ragsignal.study import Study
from ragsignal.trading import prepare, signals_of
from ragsignal.types import DatedHits
from ragsignal.utils import Progress, Record, plain, silent

_OF_CODE_AND_SIGNALS = ("control", "prefix", "signal-prefix", "poison", "signal-poison", "start_point", "signal-start")
_OF_THE_REST = ("signal-replay", "retrieval", "modes", "fills", "training", "memory")
_ORDER = _OF_CODE_AND_SIGNALS + _OF_THE_REST
"""As the tests are reported: those of signals after those of code of the same idea."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Parameters
    ----------
    spec : RunSpec
        With its symbols by name.
    dropped_bars : dict
        How many bars were left out, by symbol and rule.
    findings : tuple of Finding
        One a test and subject.
    seconds : float
    """

    spec: RunSpec
    dropped_bars: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The worst of all; ``unknown``, if nothing failed but some code could not be tested at all."""
        verdict = worst(finding.verdict for finding in self.findings)
        untested = any(finding.test == "prefix" and finding.verdict == "unknown" for finding in self.findings)
        return "unknown" if verdict == "passed" and untested else verdict

    @property
    def record(self) -> Record:
        """JSON-able."""
        tests = [plain(finding) for finding in self.findings]
        record: Record = {
            "spec": self.spec.model_dump(mode="json", by_alias=True),
            "verdict": self.verdict,
            "tests": tests,
            "seconds": round(self.seconds, 3),
        }
        if self.dropped_bars:
            record["dropped_bars"] = self.dropped_bars
        return record


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
    subjects, without_signals = _of_spec(study, frames)
    findings = audit_code(subjects, Market(frames), spec.costs, jobs, progress) + without_signals
    if findings[0].verdict != "broken":
        for test in (audit_signals, audit_retrieval, audit_training, audit_memory):
            findings += test(study, frames, progress)
    return Audit(study.spec, study.prices.drop_counts, tuple(sorted(findings, key=_place)), time.perf_counter() - began)


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
        ``module:Name`` each, looked up beside the spec and in the current folder.
    variant : str, optional
        Whose signals those get that take some; by default the first variant with a signal.
    jobs, progress
        As in :func:`audit_spec`.

    Raises
    ------
    ConfigError
        If something is not found, or cannot be audited, or if there is no such variant.
    LookAheadError
        If signals are needed that were trained on the window.
    """
    began = time.perf_counter()
    folder = spec.strategy.folder
    kinds = [kind_of(name, folder) for name in names]
    if variant is not None:
        spec.find_variant(variant)  # a typo is an error even where no signal is asked for
    study, frames = prepare(spec, progress)
    takes = [kind != "function" and takes_signal(load(name, folder)) for name, kind in zip(names, kinds, strict=True)]
    source = _record_signals(study, spec.find_variant(variant), frames) if any(takes) else None
    subjects = [
        Subject(name, kind, source=source if takes_it else None, folder=folder)
        for name, kind, takes_it in zip(names, kinds, takes, strict=True)
    ]
    findings = audit_code(subjects, Market(frames), spec.costs, jobs, progress)
    return Audit(study.spec, study.prices.drop_counts, tuple(findings), time.perf_counter() - began)


def _of_spec(study: Study, frames: dict[str, pd.DataFrame]) -> tuple[list[Subject], list[Finding]]:
    """Each strategy with its params once, by a signal or without; what makes no signal, as findings."""
    groups: dict[str, list[Variant]] = {}
    for variant in study.spec.variants:
        strategy = variant.strategy
        key = json.dumps(
            [str(strategy.folder), strategy.name, strategy.params, variant.has_signal], sort_keys=True, default=str
        )
        groups.setdefault(key, []).append(variant)
    subjects: list[Subject] = []
    without_signals: list[Finding] = []
    for variants in groups.values():
        strategy, names = variants[0].strategy, tuple(variant.name for variant in variants)
        subject = Subject(strategy.name, "strategy", dict(strategy.params), None, names, strategy.folder)
        try:
            source = _first_signals(study, variants, frames) if variants[0].has_signal else None
            subjects.append(replace(subject, source=source))
        except LookAheadError as error:
            words = f"It trades signals that are not made: {error}"
            without_signals += [Finding(test, subject.label, "unknown", words, {"variants": names}) for test in TESTS]
    return subjects, without_signals


def _first_signals(study: Study, variants: Sequence[Variant], frames: dict[str, pd.DataFrame]) -> RecordedSignals:
    """Signals of the first variant that makes any: the strategy's code is the same for all of them."""
    refused: LookAheadError | None = None
    for variant in variants:
        try:
            return _record_signals(study, variant, frames)
        except LookAheadError as error:
            refused = refused or error
    raise refused or ConfigError("no variant")


def _record_signals(study: Study, variant: Variant, frames: dict[str, pd.DataFrame]) -> RecordedSignals:
    signals = signals_of(study.pipeline(variant), frames)
    # every process gets a copy: hundreds of retrieved days for each day of the window would fill gigabytes
    known = {
        query: replace(signal, hits=()) if isinstance(signal.hits, DatedHits) else signal
        for query, signal in signals.known.items()
    }
    return RecordedSignals(signals.lookback, known, clock=signals.clock)


def _place(finding: Finding) -> int:
    """In the order of the tests; sorting is stable, so subjects keep theirs."""
    test = finding.test
    return next((n for n, name in enumerate(_ORDER) if test == name or test.startswith(f"{name}-")), len(_ORDER))
