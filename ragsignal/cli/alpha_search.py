"""``ragsignal alpha search``: formulas by genetic programming, judged on days that the search did not see."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.options import DryRun, Settings
from ragsignal.cli.sweep import LocalJobs
from ragsignal.cli.terminal import answer, note, people, percent, progress_bars, say
from ragsignal.utils import NewRun, write_json

if TYPE_CHECKING:
    from ragsignal.alpha import Generation, JudgedAlpha, Search, SearchResult
    from ragsignal.utils import Record

AUDIT = "audit.json"
SearchSpecPath = Annotated[Path, typer.Argument(help="A TOML search spec, such as backtests/alpha.toml.")]


def search(spec: SearchSpecPath, jobs: LocalJobs = None, dry_run: DryRun = False, settings: Settings = None) -> None:
    """Search for formulas that rank stocks; a killed search goes on, and the holdout is read once, at its end."""
    from ragsignal.config import load_search_spec

    loaded = load_search_spec(spec, settings or ())
    with progress_bars() as progress:
        from ragsignal.alpha import RECORD, Search, search_words
        from ragsignal.parallel import open_pool
        from ragsignal.report import SEARCH_PAGE

        prepared = Search(loaded, progress=progress)
        if dry_run:
            _tell_cost(prepared, jobs or os.cpu_count() or 1)
            return
        runs = loaded.out / loaded.name
        run = NewRun(runs)
        with open_pool(jobs) as pool:
            result = prepared.run(pool, runs, say_generation, note)
        folder, (record, findings) = run.write(partial(write_audited, prepared, result))
    people.print(table_of(result))
    for line in search_words(result):
        say(line)
    for it in findings:
        say(f"audit, {it['test']}, {it['subject']}: {it['verdict']}. {it['words']}")
    say(f"record: {folder / RECORD}, page: {folder / SEARCH_PAGE}")
    parts = {key: record[key] for key in ("windows", "evaluated", "candidates", "kept", "population", "times")}
    answer({"run_dir": str(folder), "verdict": result.verdict, **parts, "audit": findings})
    if any(it["verdict"] in ("failed", "broken") for it in findings):
        raise typer.Exit(1)


def write_audited(prepared: Search, result: SearchResult, folder: Path) -> tuple[Record, list[Record]]:
    """Audit the kept formulas on all bars of a search; write its files and its page. Returns record and findings."""
    from ragsignal.audit import audit_formulas, worst
    from ragsignal.report import write_run

    kept = {it.name: it.formula for it in result.kept}
    findings = audit_formulas(kept, prepared.market.prices) if kept else []
    audits = {name: worst([it.verdict for it in findings if it.subject.startswith(f"{name}:")]) for name in kept}
    write_json(folder / AUDIT, {"findings": [asdict(it) for it in findings]})
    return write_run(result, folder, audits), [asdict(it) for it in findings]


def _tell_cost(prepared: Search, processes: int) -> None:
    from ragsignal.study import duration

    cost = prepared.estimate(processes)
    say(
        f"{cost.evaluations:,} formulas at most on {processes} process{'' if processes == 1 else 'es'}: "
        f"{duration(cost.seconds / 60)}, and what the tests of the end take; nothing was searched"
    )
    answer({"evaluations": cost.evaluations, "processes": cost.processes, "seconds": round(cost.seconds, 1)})


def say_generation(generation: Generation) -> None:
    """Tell how far a search is."""
    best = generation.best
    found = "none can be ranked yet"
    if best is not None:
        found = f"best rank correlation {abs(best.score.ic):.4f} (t {abs(best.score.t):.1f})"
    say(f"generation {generation.number}: {generation.evaluated:,} of {generation.expected:,} formulas, {found}")


def table_of(result: SearchResult) -> Table:
    """Kept formulas, and how they did on each window."""
    table = Table(
        title=f"{len(result.kept)} kept of {result.evaluated:,} formulas; rank correlation by window",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", overflow="fold")
    for title in ("search", "selection", "holdout, 95 %", "p", "turnover", "a year", "claim"):
        table.add_column(title, justify="right", no_wrap=True)
    for it in result.kept:
        table.add_row(*_cells(it, result))
    return table


def _cells(it: JudgedAlpha, result: SearchResult) -> list[str]:
    search_window, selection, holdout = it.windows
    beside = f"{holdout.ic:+.4f} [{holdout.low:+.4f}, {holdout.high:+.4f}]"
    return [
        it.name,
        f"{search_window.ic:+.4f}",
        f"{selection.ic:+.4f}",
        beside,
        f"{result.looks.p[it.name]:.3f}",
        percent(holdout.turnover, 0),
        percent(holdout.earned, signed=True),
        "yes" if it in result.claims else "no",
    ]
