"""What is left of an evaluation: ``record.json`` for programs, ``table.md`` for people, ``predictions.parquet``.

``record.json`` has the same bytes for the same spec, prices and models, but for its key ``times``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragsignal.errors import ConfigError
from ragsignal.utils import plain, write_file, write_json

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
    "rank_correlation": ("rank corr", 3),
    "spread_bp": ("spread bp", 1),
}
_KINDS = ("variant", "baseline", "leak detector", "published")
_NONE = "–"


def write_evaluation(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
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
    record: dict[str, Any] = plain(evaluation.record)
    write_file(folder / PREDICTIONS, lambda path: evaluation.predictions.to_parquet(path, index=False))
    write_file(folder / TABLE, lambda path: path.write_text(markdown(record), encoding="utf-8", newline="\n"))
    write_json(folder / RECORD, record)
    return record


def console_table(record: dict[str, Any]) -> Table:
    """The figures of the headline set, for a terminal of 80 columns."""
    from rich import box
    from rich.table import Table

    ranked = record["target"] == "relative"
    shown = ("acc_ranked" if ranked else "acc", "mcc", "auc", "brier", "rank_correlation", "spread_bp")
    about = record["questions"]
    table = Table(
        title=f"{record['headline']} of {about['n']:,} queries on {about['days']:,} days; ± half of 95 %",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("forecaster", no_wrap=True)
    for measure in shown:
        table.add_column(_COLUMNS[measure][0], justify="right", no_wrap=True)
    for row in _sorted(record):
        figures = row["figures"][record["headline"]]
        first, *others = shown
        table.add_row(row["name"], _short(first, figures), *(_number(it, figures) for it in others))
    return table


def markdown(record: dict[str, Any]) -> str:
    """The record as a page of tables; the headline set first."""
    sets = sorted(record["forecasters"][0]["figures"], key=lambda name: name != record["headline"])
    about, training = record["questions"], record["training"]
    parts = [
        f"# {record['name']}: forecasts\n",
        *([record["description"] + "\n"] if record["description"] else []),
        f"{about['n']:,} queries, {about['symbols']} symbols, {about['days']:,} days, {about['first']} to "
        f"{about['last']}; {about['rises']:.1%} rose. Free baselines: {training['labels']:,} labels, "
        f"{training['first']} to {training['last']}.\n",
    ]
    parts += [f"## Figures: {name}\n\nValue (95 % interval).\n\n" + _figures(record, name) for name in sets]
    parts.append("## Paired differences\n\n" + _comparisons(record, sets[0]))
    parts.append("## Checks\n\n" + "\n".join(f"- {line}" for line in _checks(record)) + "\n")
    parts.append("## How\n\n" + "\n".join(f"- {line}" for line in record["protocol"]) + "\n")
    return "\n".join(parts)


def _sorted(record: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [*record["forecasters"], *record["leak_detector"]["rows"]]
    return sorted(rows, key=lambda row: _KINDS.index(row["kind"]))  # stable: the spec's order within a kind


def _figures(record: dict[str, Any], name: str) -> str:
    first = record["forecasters"][0]["figures"][name]
    measures = [measure for measure in _COLUMNS if measure in first]
    rows = []
    for row in _sorted(record):
        figures = row["figures"][name]
        rows.append([row["kind"], row["name"], f"{figures['n']:,}", *(_long(it, figures) for it in measures)])
    for reference, published in record["reference"].items():
        figures = {measure: {"value": value} for measure, value in published.items()}
        rows.append(["published", reference, _NONE, *(_number(it, figures) for it in measures)])
    return _table(["kind", "forecaster", "n", *(_COLUMNS[measure][0] for measure in measures)], rows)


def _comparisons(record: dict[str, Any], name: str) -> str:
    rows = [
        [
            row["left"],
            f"{row['against']} ({', '.join(row['right'])})",
            _COLUMNS[row["measure"]][0],
            f"{row['n']:,}",
            _long(row["measure"], {row["measure"]: {**row, "value": row["difference"]}}),
            f"yes, for {row['favours']}" if row["distinguishable"] else "no",
        ]
        for row in record["comparisons"]
        if row["set"] == name
    ]
    return f"On {name} queries; left less right.\n\n" + _table(
        ["left", "right", "figure", "n", "difference", "distinguishable"], rows
    )


def _checks(record: dict[str, Any]) -> Iterator[str]:
    yield f"Leak detector. {record['leak_detector']['words']}"
    shuffled = record["shuffled_labels"]
    verdict = {
        True: "nothing stands out",
        False: "SOMETHING STANDS OUT: either one chance in twenty, or the evaluation leaks",
        None: "too few days, or constant forecasts: nothing can be said",
    }[shuffled["passes"]]
    yield f"Shuffled labels: greatest |z| {shuffled['max_z']:.2f}, limit {shuffled['limit']:.2f}; {verdict}."
    for row in record["sensitivity"]:
        random = "" if row["random_candidates"] is None else f", other random candidates {row['random_candidates']:.4f}"
        yield (
            f"Sensitivity of {row['variant']} on {row['queries']} queries, mean change of P(rise): prices off by a "
            f"basis point {row['jitter']:.4f}{random}; another query {row['spread']:.4f}."
            if row["queries"]
            else f"Sensitivity of {row['variant']}: it answered none of the queries that were tried."
        )
    for row in record["forecasters"]:
        for reason, count in row.get("abstained", {}).items():
            yield f"{row['name']} abstained {count:,} times: {reason}."


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _number(measure: str, figures: dict[str, Any]) -> str:
    value = figures.get(measure, {}).get("value")
    return _NONE if value is None else f"{value:.{_COLUMNS[measure][1]}f}"


def _short(measure: str, figures: dict[str, Any]) -> str:
    it = figures[measure]
    if it["value"] is None or it["low"] is None:
        return _number(measure, figures)
    return f"{_number(measure, figures)} ± {(it['high'] - it['low']) / 2:.{_COLUMNS[measure][1]}f}"


def _long(measure: str, figures: dict[str, Any]) -> str:
    it, decimals = figures.get(measure, {}), _COLUMNS[measure][1]
    if it.get("value") is None or it.get("low") is None:
        return _number(measure, figures)
    return f"{_number(measure, figures)} ({it['low']:.{decimals}f} to {it['high']:.{decimals}f})"
