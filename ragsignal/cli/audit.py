"""``ragsignal audit``: whether anything looks ahead, in a spec or in any strategy, indicator or feature.

    ragsignal audit backtests/paper.toml
    ragsignal audit backtests/paper.toml mine.strategies:Breakout mine.features:momentum

Exit codes: 0 passed; 1 something failed, could not be tested, or the audit is broken; 2 the spec or an argument is
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from ragsignal.cli.options import Out, Settings
from ragsignal.cli.sweep import LocalJobs
from ragsignal.cli.terminal import answer, people, progress_bars, say, stdout_is_ours
from ragsignal.utils import NewRun, write_json

if TYPE_CHECKING:
    from ragsignal.audit import Finding

_NOT_TESTED = "not tested: what code reads beside its feeds, and what its author knew (docs/look-ahead.md)"
_COLOURS = {"passed": "green", "failed": "bold red", "unknown": "yellow", "broken": "bold red"}


def audit(
    spec: Annotated[Path, typer.Argument(help="A TOML spec, or shipped:sample.")],
    subject: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SUBJECT]...",
            help="module:Name of a Backtrader strategy or indicator, or of a function of an OHLCV DataFrame; audited "
            "alone, on the spec's bars. Default: all that the spec runs.",
        ),
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Whose signals a SUBJECT gets that takes some.")] = None,
    settings: Settings = None,
    jobs: LocalJobs = None,
    out: Out = Path("runs"),
) -> None:
    """Test at every bar whether anything in SPEC looks ahead; exit 1 if something does, or could not be tested."""
    from ragsignal.config import load_spec

    loaded = load_spec(spec, settings or ())
    with progress_bars() as progress, stdout_is_ours():
        from ragsignal.audit import audit_spec, audit_subjects

        run = NewRun(out / f"{loaded.name}-audit")
        if subject:
            result = audit_subjects(loaded, subject, variant, jobs, progress)
        else:
            result = audit_spec(loaded, jobs, progress)
    name = "subjects.json" if subject else "audit.json"
    folder, _ = run.write(lambda draft: write_json(draft / name, result.record))
    _print_findings(result.findings)
    people.print(f"verdict: {result.verdict}", style=_COLOURS[result.verdict])
    say(_NOT_TESTED)
    say(f"record: {folder / name}")
    answer({"run_dir": str(folder), **result.record})
    if result.verdict != "passed":
        raise typer.Exit(1)


def _print_findings(findings: Sequence[Finding]) -> None:
    """Print a row a test and subject, and the words of everything that is not simply passed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("test", "subject", "verdict"):
        table.add_column(title, overflow="fold")
    subjects_of: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        table.add_row(finding.test, finding.subject, Text(finding.verdict, _COLOURS[finding.verdict]))
        if finding.verdict != "passed":
            words = f"{finding.test}: {finding.words}"
            subjects_of.setdefault((finding.verdict, words), []).append(finding.subject)
    people.print(table)
    for (verdict, words), subjects in subjects_of.items():  # what is true of several is said once
        names = (f"({', '.join(subjects)})", "dim")
        people.print(Text.assemble((verdict, _COLOURS[verdict]), f" {words} ", names), soft_wrap=True)
