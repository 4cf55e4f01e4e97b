"""What is left of probing a spec: ``record.json`` for programs, ``table.md`` for people; the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ragsignal.evaluation.probes import ProbeDifference, ProbeFigure, ProbeRow, Probes
from ragsignal.utils import Record, plain, write_file, write_json

if TYPE_CHECKING:
    from rich.table import Table

_MEASURES = {"accuracy": "accuracy", "balanced_accuracy": "balanced", "log_loss": "log-loss", "rank_ic": "rank IC"}


def write_probes(probes: Probes, folder: Path) -> Record:
    """Write the files into ``folder``, the record last; returns what ``record.json`` holds."""
    record: Record = plain(
        {
            "name": probes.spec.name,
            "spec": probes.spec.model_dump(mode="json", by_alias=True),
            "probe": probes.settings.model_dump(mode="json"),
            "fingerprints": probes.digests,
            "versions": probes.versions,
            "edges": list(probes.edges),
            "trained": dict(zip(("first", "last", "known_through"), probes.trained, strict=True)),
            "tested": dict(zip(("first", "last"), probes.tested, strict=True)),
            "rows": [_row(row) for row in probes.rows],
            "differences": [asdict(it) for it in probes.differences],
            "left_out": probes.left_out,
            "notes": probes.notes,
        }
    )
    page = markdown(probes)
    write_file(folder / "table.md", lambda path: path.write_text(page, encoding="utf-8", newline="\n"))
    write_json(folder / "record.json", record)
    return record


def markdown(probes: Probes) -> str:
    """Lay out the probes as a page."""
    titles = ["metric", "label", "probe", "figure", "value", "base rate", "gain (95 %)", "verdict"]
    lines = [titles, ["---"] * len(titles), *(list(line) for line in _lines(probes))]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    paired = "\n".join(f"- {sentence}" for sentence in difference_words(probes))
    parts = [f"# {probes.spec.name}: probes", *probe_words(probes), table, paired]
    return "\n\n".join(part for part in parts if part) + "\n"


def console_probes(probes: Probes) -> Table:
    """Lay out the probes for a terminal."""
    from rich.table import Table

    table = Table("metric", "label", "probe", "figure", "value", "base rate", "gain (95 %)", "verdict")
    for line in _lines(probes):
        table.add_row(*line)
    return table


def probe_words(probes: Probes) -> list[str]:
    """Say how the probes were made, and what the table cannot say."""
    first, last, known = probes.trained
    settings, figures = probes.settings, sum(len(row.figures) for row in probes.rows)
    words = [
        f"Frozen encoders. Probes fitted on {probes.rows[0].windows:,} queries of {first} to {last}, outcomes known "
        f"through {known}; judged on {probes.rows[0].queries:,} queries of {probes.rows[0].days:,} days, "
        f"{probes.tested[0]} to {probes.tested[1]}. The state is {settings.state} in {settings.buckets} buckets of "
        "training days.",
        f"{figures} figures; of as many without any skill about {figures / 20:.0f} would leave their base rate out of "
        "their interval. Whole days were resampled.",
        *(f"{name} has no row: {reason}." for name, reason in probes.left_out.items()),
    ]
    return [*words, *probes.notes]


def difference_words(probes: Probes) -> list[str]:
    """Say how each metric compares with the first one."""
    return [_compared(it) for it in probes.differences]


def _compared(it: ProbeDifference) -> str:
    known = np.isfinite(it.low)
    within = f" ({_number(it.low)} … {_number(it.high)})" if known else ""
    side = "knows more" if it.low > 0 else "knows less" if it.high < 0 else "not distinguishable"
    verdict = side if known else "too few days: nothing can be said"
    return (
        f"{it.name} against {it.less}, {it.label}, {it.probe}: {_number(it.difference)} nats a query less{within}: "
        f"{verdict}."
    )


def _row(row: ProbeRow) -> Record:
    plain_fields = {it.name: getattr(row, it.name) for it in fields(row) if it.name != "forecasts"}
    return plain_fields | {"figures": [asdict(it) | {"verdict": it.verdict} for it in row.figures]}


def _lines(probes: Probes) -> Iterator[tuple[str, ...]]:
    for row in probes.rows:
        for it in row.figures:
            name = ", ".join(row.variants)
            value, base = (_number(figure) for figure in (it.value, it.base))
            yield name, it.label, it.probe, _MEASURES[it.measure], value, base, _interval(it), it.verdict


def _interval(figure: ProbeFigure) -> str:
    if not np.isfinite(figure.low):
        return _number(figure.gain)
    return f"{_number(figure.gain)} ({_number(figure.low)} … {_number(figure.high)})"


def _number(value: float) -> str:
    return f"{value:.4f}".replace("-", "−") if np.isfinite(value) else "–"
