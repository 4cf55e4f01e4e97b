"""What is left of a comparison of methods: ``record.json``, ``table.md`` and ``predictions.parquet``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragsignal.evaluation.methods import COMPARED, FIGURES, MethodsComparison, Way, WayDifference, trained_of
from ragsignal.evaluation.metrics import MetricEstimate
from ragsignal.evaluation.record import PREDICTIONS, RECORD, TABLE, fixed, pipe_table
from ragsignal.utils import Record, plain, write_file, write_json

if TYPE_CHECKING:
    from rich.table import Table

_TITLES = {
    "acc": "accuracy",
    "balanced_acc": "balanced accuracy",
    "mcc": "MCC",
    "auc": "AUC",
    "log_loss": "log-loss",
    "brier": "Brier",
    "slope": "calibration slope",
    "ic": "rank IC",
}
_SHOWN = ("acc", "mcc", "auc", "log_loss", "ic")
"""Figures whose differences the page shows; the record has all."""
_DIGITS = 5


def write_methods(comparison: MethodsComparison, folder: Path) -> Record:
    """Write the three files into ``folder``, the record last; returns what ``record.json`` holds."""
    record = record_of(comparison)
    page = "\n".join(pages_of(record))
    write_file(folder / PREDICTIONS, lambda path: comparison.predictions.to_parquet(path, index=False))
    write_file(folder / TABLE, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))
    write_json(folder / RECORD, record)
    return record


def record_of(comparison: MethodsComparison) -> Record:
    """All figures as JSON: an estimate is [value, low, high], a difference [value, low, high, corrected p]."""
    trained = [asdict(row) for row in comparison.trained]
    seconds = [
        {"method": it["method"], "learning_rate": it["learning_rate"], "cpu_seconds": it.pop("cpu_seconds")}
        for it in trained
    ]
    record: Record = plain(
        {
            "name": comparison.spec.name,
            "description": comparison.spec.description,
            "spec": comparison.spec.model_dump(mode="json", by_alias=True),
            "fingerprints": comparison.digests,
            "versions": comparison.versions,
            "questions": asdict(comparison.questions),
            "trained": trained,
            "ways": [_way(way) for way in comparison.ways],
            "differences": _nested(comparison.differences),
            "protocol": comparison.protocol,
            "times": {**comparison.times, "trained": seconds},
        }
    )
    return record


def _way(way: Way) -> Record:
    figures = {name: _numbers(it.value, it.low, it.high) for name, it in way.figures.items()}
    facts = {"method": way.method, "calibration": way.calibration, "abstained": way.forecast.facts.get("abstained")}
    told = {key: value for key, value in facts.items() if value}
    return {"name": way.forecast.name, "kind": way.kind, "n": way.n, "figures": figures, **told}


def _nested(rows: list[WayDifference]) -> Record:
    out: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        cell = out.setdefault(row.left, {}).setdefault(row.right, {"n": row.n})
        gap = row.interval
        cell[row.measure] = [*_numbers(gap.difference, gap.low, gap.high, row.p_family), row.verdict]
    return out


def _numbers(*values: float) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else math.nan for value in values]


# ---- for people, from the record: so that a page can be compared with it


def pages_of(record: Record) -> Iterator[str]:
    """The page of a record, part by part: head, figures, cost, differences, how."""
    asked = record["questions"]
    yield f"# {record['name']}: methods\n\n{record['description']}\n"
    yield (
        f"{asked['n']:,} queries, {asked['symbols']} symbols, {asked['days']:,} days, {asked['first']} to "
        f"{asked['last']}; {asked['rises']:.1%} rose.\n"
    )
    yield "## Figures\n\nValue (95 % interval).\n\n" + figures_table(record)
    yield "## What it took\n\n" + cost_table(record)
    yield "## Paired differences\n\nLeft less right (95 % interval).\n\n" + differences_table(record)
    yield "## Learning rates\n\n" + rates_table(record)
    yield "## How\n\n" + "\n".join(f"- {line}" for line in record["protocol"]) + "\n"


def figures_table(record: Record) -> str:
    """A row a way, a column a figure."""
    rows = [[way["name"], *(_interval(way["figures"][name]) for name in FIGURES)] for way in record["ways"]]
    return pipe_table(["way", *_TITLES.values()], rows)


def cost_table(record: Record) -> str:
    """A row a way that a language model answers."""
    chosen = {row["method"]: row for row in record["trained"] if row["chosen"]}
    seconds = {(it["method"], it["learning_rate"]): it["cpu_seconds"] for it in record["times"]["trained"]}
    rows = []
    for way in record["ways"]:
        if way["kind"] == "baseline" or "calibration" in way:
            continue
        row = chosen.get(way.get("method"))
        asked = record["times"]["variants"][way["name"]]
        costs = [
            _parameters(row),
            *_training(row, seconds),
            fixed(asked["tokens_a_prompt"], 0),
            fixed(asked["cpu_ms_a_prompt"], 0),
        ]
        rows.append([way["name"], *costs])
    titles = ["trainable parameters", "learning rate", "steps", "training CPU s", "tokens a prompt", "CPU ms a prompt"]
    return pipe_table(["way", *titles], rows)


def _parameters(row: Record | None) -> str:
    if row is None:
        return "0"
    trainable, kept = row["trainable_parameters"], row["kept_parameters"]
    return f"{trainable:,}" if trainable == kept else f"{trainable:,}, {kept:,} kept"


def _training(row: Record | None, seconds: dict[tuple[str, float], float]) -> list[str]:
    if row is None:
        return ["–", "0", "0"]
    return [f"{row['learning_rate']:g}", str(row["steps"]), fixed(seconds[row["method"], row["learning_rate"]], 0)]


def differences_table(record: Record) -> str:
    """A row a pair; the verdict names every figure, of all that were compared, by which the left one is told apart."""
    rows = [
        [left, right, *(_interval(cell[name]) for name in _SHOWN), _verdict(cell)]
        for left, rights in record["differences"].items()
        for right, cell in rights.items()
    ]
    return pipe_table(["left", "right", *(_TITLES[name] for name in _SHOWN), "verdict"], rows)


def _verdict(cell: Record) -> str:
    told: dict[str, list[str]] = {}
    for name in COMPARED:
        told.setdefault(cell[name][-1], []).append(_TITLES[name])
    told.pop("not distinguishable", None)
    return "; ".join(f"{word} by {', '.join(names)}" for word, names in told.items()) or "not distinguishable"


def rates_table(record: Record) -> str:
    """A row a rate that was tried, with the validation log-loss that chose among them."""
    rows = [
        [row["method"], f"{row['learning_rate']:g}", fixed(row["log_loss"], 5), "kept" if row["chosen"] else ""]
        for row in record["trained"]
    ]
    return pipe_table(["method", "learning rate", "validation log-loss", ""], rows)


def _interval(numbers: list[Any]) -> str:
    value, low, high = (fixed(number, 3) for number in numbers[:3])
    return value if "–" in (value, low) else f"{value} ({low} to {high})"


def methods_table(comparison: MethodsComparison) -> Table:
    """Lay out the main figures for a terminal."""
    from rich import box
    from rich.table import Table

    questions, chosen = comparison.questions, trained_of(comparison)
    title = f"{questions.n:,} queries on {questions.days:,} days; ± half of 95 %"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("way", no_wrap=True)
    for name in ("AUC", "log-loss", "rank IC", "parameters", "CPU s", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for way in comparison.ways:
        row = chosen.get(way.method) if way.method else None
        taught = ["–", "–"] if row is None else [f"{row.trainable_parameters:,}", f"{row.cpu_seconds:.0f}"]
        milliseconds = comparison.times["variants"].get(way.forecast.name, {}).get("cpu_ms_a_prompt")
        shown = [_short(way.figures["auc"]), *(fixed(way.figures[name].value, 3) for name in ("log_loss", "ic"))]
        table.add_row(way.forecast.name, *shown, *taught, fixed(milliseconds, 0))
    return table


def _short(estimate: MetricEstimate) -> str:
    value = fixed(estimate.value, 3)
    finite = math.isfinite(estimate.value) and math.isfinite(estimate.low)
    return f"{value} ± {(estimate.high - estimate.low) / 2:.3f}" if finite else value
