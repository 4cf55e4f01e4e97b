"""What is left of an evaluation: ``record.json`` for programs, ``table.md`` for people, ``predictions.parquet``.

``record.json`` has the same bytes for the same spec, prices and models, but for its key ``times``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ragsignal.errors import ConfigError
from ragsignal.evaluation.checks import Sensitivity
from ragsignal.evaluation.faithfulness import Faithfulness
from ragsignal.evaluation.forecasts import ALL, ScoredForecast
from ragsignal.evaluation.forgetting import forgetting_record, training_seconds
from ragsignal.evaluation.forgetting_words import forgetting_section
from ragsignal.evaluation.metrics import CROSS_SECTIONS, MetricEstimate
from ragsignal.utils import Record, plain, write_file, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from ragsignal.evaluation.run import Evaluation

RECORD, TABLE, PREDICTIONS = "record.json", "table.md", "predictions.parquet"

# measure: title, decimals
_COLUMNS = {
    "acc": ("ACC", 3),
    "acc_ranked": ("ACC ranked", 3),
    "mcc": ("MCC", 3),
    "auc": ("AUC", 3),
    "brier": ("Brier", 4),
    "log_loss": ("log-loss", 4),
    "ece": ("ECE", 3),
    "ic": ("IC", 4),
    "ic_o2o": ("IC o2o", 4),
    "ic_residual": ("residual IC", 4),
    "auc_day": ("AUC by day", 4),
    "spread_bp": ("spread bp", 1),
}
_KINDS = ("variant", "baseline", "leak detector")
_NONE = "–"
_MISSING = MetricEstimate(math.nan, math.nan, math.nan)


def write_evaluation(evaluation: Evaluation, folder: Path) -> Record:
    """Write the three files into ``folder``; returns what ``record.json`` holds.

    Each file appears whole, and the record last: a folder with a record is complete. Other files stay.

    Raises
    ------
    ConfigError
        If ``folder`` is a file, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"no evaluation can be written to {folder}: {error}; name another folder (--out)") from error
    record: Record = plain(_record(evaluation))
    if evaluation.dropped_bars:
        record["dropped_bars"] = evaluation.dropped_bars
    if evaluation.faithfulness:
        record["faithfulness"] = plain(evaluation.faithfulness)
    if evaluation.forgetting is not None:
        record["forgetting"] = forgetting_record(evaluation.forgetting)
        record["times"]["training"] = training_seconds(evaluation.forgetting)
    page = markdown(evaluation)
    write_file(folder / PREDICTIONS, lambda path: evaluation.predictions.to_parquet(path, index=False))
    write_file(folder / TABLE, lambda path: path.write_text(page, encoding="utf-8", newline="\n"))
    write_json(folder / RECORD, record)
    return record


# ---- for programs


def _record(evaluation: Evaluation) -> Record:
    spec = evaluation.spec
    return {
        "name": spec.name,
        "description": spec.description,
        "spec": spec.model_dump(mode="json", by_alias=True),
        "fingerprints": evaluation.digests,
        "versions": evaluation.versions,
        "target": spec.evaluation.target,
        "headline": evaluation.headline,
        "questions": asdict(evaluation.questions),
        "training": asdict(evaluation.training),
        "forecasters": [_forecaster(row) for row in evaluation.forecasters],
        "best_baseline": evaluation.best_baseline,
        "comparisons": [asdict(row) for row in evaluation.comparisons],
        "leak_detector": {
            "words": evaluation.leak_detector.words,
            "rows": [_forecaster(row) for row in evaluation.leak_detector.rows],
        },
        "shuffled_labels": asdict(evaluation.shuffled_labels),
        "sensitivity": [asdict(row) for row in evaluation.sensitivity],
        "reference": spec.evaluation.reference,
        "protocol": evaluation.protocol,
        "times": evaluation.times,
    }


def _forecaster(row: ScoredForecast) -> Record:
    figures = {}
    for name, on_set in row.figures.items():
        estimates = {measure: asdict(estimate) for measure, estimate in on_set.estimates.items()}
        figures[name] = {"n": on_set.n, "days": on_set.days, **estimates}
    return {
        "name": row.forecast.name,
        "kind": row.forecast.kind,
        **row.forecast.facts,
        "figures": figures,
        "years": [asdict(year) for year in row.years],
    }


# ---- for people


def console_table(evaluation: Evaluation) -> Table:
    """Lay out the figures of the headline set for a terminal of 80 columns."""
    from rich import box
    from rich.table import Table

    accuracy = "acc_ranked" if evaluation.spec.evaluation.target == "relative" else "acc"
    others = ("auc", "brier", "ic", "ic_o2o", "spread_bp")
    questions = evaluation.questions
    table = Table(
        title=f"{evaluation.headline} of {questions.n:,} queries on {questions.days:,} days; ± half of 95 %",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("forecaster", no_wrap=True)
    for measure in (accuracy, *others):
        table.add_column(_COLUMNS[measure][0], justify="right", no_wrap=True)
    for row in _sorted(evaluation):
        estimates = row.figures[evaluation.headline].estimates
        cells = [_number(measure, estimates.get(measure, _MISSING).value) for measure in others]
        table.add_row(row.forecast.name, _short(accuracy, estimates[accuracy]), *cells)
    return table


def markdown(evaluation: Evaluation) -> str:
    """Lay out the evaluation as a page of tables; the headline set first."""
    sets = sorted(evaluation.forecasters[0].figures, key=lambda name: name != evaluation.headline)
    description, questions, training = evaluation.spec.description, evaluation.questions, evaluation.training
    parts = [
        f"# {evaluation.spec.name}: forecasts\n",
        *([description + "\n"] if description else []),
        f"{questions.n:,} queries, {questions.symbols} symbols, {questions.days:,} days, {questions.first} to "
        f"{questions.last}; {questions.rises:.1%} rose. Free baselines: {training.labels:,} labels, {training.first} "
        f"to {training.last}.\n",
    ]
    if any(row.years and row.years[0].days for row in evaluation.forecasters):
        parts += _cross_sections(evaluation)
    proper = [measure for measure in _COLUMNS if measure not in CROSS_SECTIONS]
    for name in sets:
        parts.append(f"## Figures: {name}\n\nValue (95 % interval).\n\n" + _figures(evaluation, name, proper))
    parts.append("## Paired differences\n\n" + _comparisons(evaluation, sets[0], proper))
    if evaluation.forgetting is not None:
        parts.append(forgetting_section(evaluation.forgetting))
    parts.append("## Checks\n\n" + "\n".join(f"- {line}" for line in _checks(evaluation)) + "\n")
    parts.append("## How\n\n" + "\n".join(f"- {line}" for line in evaluation.protocol) + "\n")
    return "\n".join(parts)


def _sorted(evaluation: Evaluation) -> list[ScoredForecast]:
    rows = [*evaluation.forecasters, *evaluation.leak_detector.rows]
    return sorted(rows, key=lambda row: _KINDS.index(row.forecast.kind))  # stable: the spec's order within a kind


def _cross_sections(evaluation: Evaluation) -> list[str]:
    """Sections on how each forecaster ranked the symbols of a day."""
    titles = ["forecaster", *(str(row.year) for row in evaluation.forecasters[0].years)]
    years = [
        [row.forecast.name, *(f"{_number('ic', year.ic)} / {_number('ic_o2o', year.ic_o2o)}" for year in row.years)]
        for row in evaluation.forecasters
    ]
    return [
        "## Cross-sections\n\nMean of days (95 % interval): IC close to close, and open to open (o2o).\n\n"
        + _figures(evaluation, ALL, CROSS_SECTIONS),
        "## ICs by year\n\nClose to close / open to open.\n\n" + pipe_table(titles, years),
        "## Paired differences of ICs\n\n" + _comparisons(evaluation, ALL, CROSS_SECTIONS),
    ]


def _figures(evaluation: Evaluation, query_set: str, columns: Sequence[str]) -> str:
    first = evaluation.forecasters[0].figures[query_set].estimates
    measures = [measure for measure in columns if measure in first]
    rows = []
    for row in _sorted(evaluation):
        figures = row.figures[query_set]
        if not figures.estimates.keys() & measures:  # the leak detector ranks nothing
            continue
        cells = [_long(measure, figures.estimates.get(measure, _MISSING)) for measure in measures]
        rows.append([row.forecast.kind, row.forecast.name, f"{figures.n:,}", *cells])
    for reference, published in evaluation.spec.evaluation.reference.items():
        values = {str(measure): value for measure, value in published.items() if measure in measures}
        if not values:
            continue
        cells = [_number(measure, values.get(measure, math.nan)) for measure in measures]
        rows.append(["published", reference, _NONE, *cells])
    return pipe_table(["kind", "forecaster", "n", *(_COLUMNS[measure][0] for measure in measures)], rows)


def _comparisons(evaluation: Evaluation, query_set: str, measures: Sequence[str]) -> str:
    rows = [
        [
            row.left,
            f"{row.against} ({', '.join(row.right)})",
            _COLUMNS[row.measure][0],
            f"{row.n:,}",
            _long(row.measure, MetricEstimate(row.difference, row.low, row.high)),
            fixed(row.p, 4),
            f"{row.favours} is better" if row.distinguishable else "not distinguishable",
        ]
        for row in evaluation.comparisons
        if row.set == query_set and row.measure in measures
    ]
    titles = ["left", "right", "figure", "n", "difference", "p", "verdict"]
    words = f"On {query_set} queries; left less right; the verdict holds after Holm's correction for this table."
    return f"{words}\n\n" + pipe_table(titles, rows)


def _checks(evaluation: Evaluation) -> Iterator[str]:
    yield f"Leak detector. {evaluation.leak_detector.words}"
    shuffled = evaluation.shuffled_labels
    verdict = {
        True: "nothing stands out",
        False: "SOMETHING STANDS OUT: either one chance in twenty, or the evaluation leaks",
        None: "too few days, or constant forecasts: nothing can be said",
    }[shuffled.passes]
    yield f"Shuffled labels: greatest |z| {fixed(shuffled.max_z, 2)}, limit {fixed(shuffled.limit, 2)}; {verdict}."
    yield from (_changes(row) for row in evaluation.sensitivity)
    yield from faithfulness_words(evaluation)
    for forecaster in evaluation.forecasters:
        for reason, count in forecaster.forecast.facts.get("abstained", {}).items():
            yield f"{forecaster.forecast.name} abstained {count:,} times: {reason}."


def _changes(row: Sensitivity) -> str:
    if not row.queries:
        return f"Sensitivity of {row.variant}: it answered none of the queries that were tried."
    random = "" if row.random_candidates is None else f", other random candidates {fixed(row.random_candidates, 4)}"
    return (
        f"Sensitivity of {row.variant} on {row.queries} queries, mean change of P(rise): prices off by a basis point "
        f"{fixed(row.jitter, 4)}{random}; another query {fixed(row.spread, 4)}."
    )


def faithfulness_words(evaluation: Evaluation) -> list[str]:
    """A sentence for each test of explanations."""
    return [_faithful(row) for row in evaluation.faithfulness]


def _faithful(row: Faithfulness) -> str:
    if row.important is None:
        return f"Explanations of {row.variant}, {row.parts}: no query could be asked."
    verdict = {True: "faithful", False: "NOT SHOWN to be faithful", None: "too few days: nothing can be said"}[
        row.passes
    ]
    interval = "" if row.p is None else f" ({fixed(row.low, 5)} to {fixed(row.high, 5)}, p = {row.p:.2g})"
    return (
        f"Explanations of {row.variant}, {row.parts}: {verdict}. Deleting the {row.deleted} of {row.of} that they call "
        f"most important moves P by {fixed(row.important, 5)}, as many drawn by chance by {fixed(row.random, 5)}; "
        f"difference {fixed(row.difference, 5)}{interval}, {row.queries:,} queries on {row.days:,} days."
    )


def pipe_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table of Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def fixed(value: float | None, decimals: int) -> str:
    """Write a number as the page does; an en dash where there is none."""
    written = plain(value)  # as the record has it, so that the page shows the same digits
    return _NONE if written is None else f"{written:.{decimals}f}"


def _number(measure: str, value: float) -> str:
    return fixed(value, _COLUMNS[measure][1])


def _short(measure: str, estimate: MetricEstimate) -> str:
    value = _number(measure, estimate.value)
    if not math.isfinite(estimate.value) or not math.isfinite(estimate.low):
        return value
    return f"{value} ± {(plain(estimate.high) - plain(estimate.low)) / 2:.{_COLUMNS[measure][1]}f}"


def _long(measure: str, estimate: MetricEstimate) -> str:
    value, low, high = (_number(measure, figure) for figure in (estimate.value, estimate.low, estimate.high))
    return value if _NONE in (value, low) else f"{value} ({low} to {high})"
