"""``ragsignal explain``: why a signal says what it says, and what it would take for it to say the opposite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.inspect import VariantName
from ragsignal.cli.options import BarName, Settings, SpecPath, typed
from ragsignal.cli.terminal import answer, note, people, percent, progress_bars, say

if TYPE_CHECKING:
    from ragsignal.explanation import Explanation

_FACTORS, _HITS = 10, 8  # rows that a terminal shows; all of them stand in the JSON


def explain(
    spec: SpecPath,
    symbol: Annotated[list[str], typer.Option(help='A symbol of the spec, repeatable; "all" for every one.')],
    on: BarName,
    variant: VariantName = None,
    settings: Settings = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that receives a page for each signal; of a backtest's run, whose report links them."),
    ] = None,
) -> None:
    """Explain a signal: its factors, its hits, the nearest opposite case, its neighbours' record, its robustness."""
    from ragsignal.config import load_spec
    from ragsignal.explanation import explain as explained
    from ragsignal.report import open_folder
    from ragsignal.study import Study

    loaded = load_spec(spec, settings or ())
    chosen = loaded.find_variant(variant)
    folder = None if out is None else open_folder(out)
    with progress_bars() as progress:
        explanations = explained(Study(loaded, progress), chosen, symbol, on)
    if len(explanations) == 1:
        _print_one(explanations[0])
    else:
        _print_many(explanations)
    pages = [] if folder is None else _write(explanations, folder, typed("ragsignal explain", spec, settings))
    record = {"variant": chosen.name, "date": on, "explanations": [it.to_record() for it in explanations]}
    answer(record if out is None else {**record, "pages": [str(path) for path in pages]})


def _write(explanations: Sequence[Explanation], folder: Path, command: str) -> list[Path]:
    """Write the pages, and say where they are and whether a report links them."""
    from ragsignal.report import is_run, links_pages, write_explanations

    pages = write_explanations(explanations, folder, command)
    say(f"page: {pages[0]}" if len(pages) == 1 else f"{len(pages)} pages in {pages[0].parent}")
    if is_run(folder):
        linked = links_pages(folder)
        say(
            "the report links it at this bar" if linked else "the report is of an earlier version, and does not link it"
        )
    return pages


def _print_one(explanation: Explanation) -> None:
    if explanation.abstained:
        say(f"{explanation.symbol} as of {explanation.as_of}: no view: {explanation.abstained}")
        return
    say(f"{explanation.symbol} as of {explanation.as_of}: {_headline(explanation)}")
    _print_factors(explanation)
    _print_groups(explanation)
    _print_hits(explanation)
    _print_rest(explanation)
    for sentence in explanation.method:
        note(sentence)


def _headline(explanation: Explanation) -> str:
    rank = "" if explanation.rank is None else f", rank {explanation.rank:+.2f} among {explanation.stocks} stocks"
    return f"P {explanation.probability:.4f}, {explanation.side}{rank} ({explanation.meaning})"


def _print_factors(explanation: Explanation) -> None:
    strongest = explanation.strongest[:_FACTORS]
    if not strongest:
        return
    table = _table(f"the strongest of {len(explanation.factors)} factors", "factor", "place", "value", "effect on P")
    for factor in strongest:
        value = "–" if factor.value is None else f"{factor.value:.4g}"
        table.add_row(factor.words, factor.place, value, _signed(factor.effect))
    people.print(table)


def _print_groups(explanation: Explanation) -> None:
    if not explanation.groups:
        return
    table = _table("without a group of factors", "group", "factors", "P without", "effect on P", "")
    for group in explanation.groups:
        turns = "the side turns" if group.turns else ""
        table.add_row(group.name, str(len(group.factors)), f"{group.without:.4f}", _signed(group.effect), turns)
    people.print(table)


def _print_hits(explanation: Explanation) -> None:
    if not explanation.hits:
        return
    shown = sorted(explanation.hits, key=lambda hit: -abs(hit.effect or 0.0))[:_HITS]
    table = _table(
        f"hits that count most, of {explanation.hits_read}",
        "hit",
        "window",
        "score",
        "outcome",
        "weight",
        "effect on P",
    )
    for hit in shown:
        window = str(hit.first) if hit.first == hit.last else f"{hit.first} to {hit.last}"
        outcome = "–" if hit.outcome is None else f"{percent(hit.outcome, 2, signed=True)}, {hit.movement}"
        name = hit.id if hit.outcome is None else f"{hit.symbol} {hit.sequence}"
        table.add_row(name, window, f"{hit.score:.3f}", outcome, _signed(hit.weight), _signed(hit.effect, 6))
    people.print(table)


def _print_rest(explanation: Explanation) -> None:
    opposite, neighbours, robustness = explanation.opposite, explanation.neighbours, explanation.robustness
    if opposite is not None:
        say(f"opposite case: {opposite.words}")
    if neighbours is not None:
        say(f"neighbours: {neighbours.words}{_share(neighbours.share, neighbours.low, neighbours.high)}")
    if robustness is not None:
        say(
            f"robustness: {robustness.change}: P {robustness.low:.4f} to {robustness.high:.4f} in nine of ten of "
            f"{robustness.draws} draws; the side turned in {percent(robustness.turned, 0)}"
        )


def _print_many(explanations: list[Explanation]) -> None:
    table = _table(
        f"{len(explanations)} signals",
        "symbol",
        "P",
        "strongest group",
        "effect",
        "opposite case",
        "came true",
        "turned",
    )
    for it in explanations:
        if it.opposite is None or it.neighbours is None or it.robustness is None:
            table.add_row(it.symbol, "–", f"no view: {it.abstained}")
            continue
        group = max(it.groups, key=lambda group: abs(group.effect), default=None)
        changed = ", ".join(f"{change.words} {change.before} to {change.after}" for change in it.opposite.changes)
        table.add_row(
            it.symbol,
            f"{it.probability:.4f}",
            "–" if group is None else group.name,
            "–" if group is None else _signed(group.effect),
            changed or "none found",
            percent(it.neighbours.share),
            percent(it.robustness.turned, 0),
        )
    people.print(table)


def _share(share: float | None, low: float | None, high: float | None) -> str:
    return "" if share is None else f": {percent(share)} ({percent(low)} to {percent(high)})"


def _signed(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
