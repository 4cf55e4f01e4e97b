"""``ragsignal inspect``: one signal with all that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.inspect_days import days_record, print_days
from ragsignal.cli.options import BarName, SpecPath
from ragsignal.cli.terminal import answer, note, people, percent, progress_bars, say
from ragsignal.errors import DataError

if TYPE_CHECKING:
    from ragsignal.config import Variant
    from ragsignal.study import Study
    from ragsignal.types import Hit, Prompt, Query, Signal

_SCALE = "ABCDEFGHIJKLMNOP"  # lowest sixteenth to highest
_NOTHING = {"D": "trading day", "m": "end of a bar"}
_NEAREST = 10  # hits of a vote that are shown; all of them stand in the JSON
VariantName = Annotated[str | None, typer.Option(help="A variant of the spec; default: the first with a signal.")]


def inspect(
    spec: SpecPath,
    symbol: Annotated[str, typer.Option(help="A symbol of the spec's data.")],
    on: BarName,
    variant: VariantName = None,
) -> None:
    """Show the query, the hits, the prompt or the letters, and the probability of one symbol on one date."""
    from ragsignal.config import load_spec
    from ragsignal.study import Study, day_evidence

    loaded = load_spec(spec)
    chosen = loaded.find_variant(variant)
    if chosen.is_external:
        _inspect_decision(Study(loaded), chosen, symbol, on)
        return
    with progress_bars() as progress:
        study = Study(loaded, progress)
        pipeline = study.pipeline(chosen)
        query, closed = _query_of(study, symbol, _bar_of(study, on))
        (signal,) = pipeline.signals([query])
        ((answering, _),) = pipeline.parts([query])  # of a walk-forward, the pipeline of the day's step
        prompt = answering.prompter.render(query, tuple(signal.hits))
        days = day_evidence(answering.retriever, query.as_of)
    if closed:
        note(closed)
    letters = _letters_record(study, chosen, query, prompt) if study.reads_universe(chosen) else None
    if letters is None:
        _print_windows(query, prompt, signal)
    else:
        _print_letters(letters)
        if days and prompt.text:
            print_days(days, prompt.text)
        _print_view(query, letters, signal)
    found = {"universe": letters, "days": days_record(days, prompt.text) if days and prompt.text else None}
    answer({"variant": chosen.name} | _record(query, prompt, signal) | found)


def _inspect_decision(study: Study, variant: Variant, symbol: str, on: date) -> None:
    """Show the row of a file that is in force on a bar, and what it says as a signal."""
    from ragsignal.types import Prompt

    query, closed = _query_of(study, symbol, _bar_of(study, on))
    if closed:
        note(closed)
    (signal,) = study.pipeline(variant).signals([query])
    decisions = study.parts.decisions(variant.external)
    found = decisions.at(symbol, query.as_of)
    if found:
        say(f"{found.row} of {decisions.rows.file.name}: {found.said}")
    _print_windows(query, Prompt(query, ()), signal)
    row = {"row": found.row, "said": found.said} if found else None
    answer({"variant": variant.name} | _record(query, Prompt(query, ()), signal) | {"decision": row})


def _record(query: Query, prompt: Prompt, signal: Signal) -> dict[str, Any]:
    from ragsignal.study import hit_record

    return {
        "symbol": query.symbol,
        "as_of": query.as_of,
        "query": {"dates": query.dates, "closes": query.closes},
        "hits": list(map(hit_record, signal.hits)),
        "prompt": {"system": prompt.system, "text": prompt.text},
        "probability": {"rise": signal.probability, "fall": 1.0 - signal.probability},
        "signal": signal.value,
        "rank": signal.rank,
        "abstained": signal.abstained,
        "key": signal.key,
        "tokens": signal.tokens,
    }


def _query_of(study: Study, symbol: str, on: date) -> tuple[Query, str]:
    """The query as of the day, or as of the last one before it that has a bar; then also a sentence that says so."""
    import numpy as np

    from ragsignal.data import cut_query, days_of
    from ragsignal.utils import day_of, stamp_text, unit_of, upper

    whole = study.prices.select([symbol]).frames[symbol]
    days, wanted = days_of(whole), stamp_text(on)
    seen = int(np.searchsorted(days, upper(on, days), side="right"))
    if not seen:
        raise DataError(f"{symbol} has no bar on or before {wanted}; its prices begin later")
    last = days[-1].item()
    if day_of(on) > day_of(last):
        raise DataError(f"the prices of {symbol} end on {stamp_text(last)}, before {wanted}; see data.end")
    query = cut_query(symbol, days[:seen].tolist(), whole["close"].tolist()[:seen], study.spec.corpus.lookback)
    if query.as_of == on or seen == len(days):
        return query, ""
    shown, after, what = stamp_text(query.as_of), stamp_text(days[seen].item()), _NOTHING[unit_of(query.as_of)]
    return query, f"{wanted} is no {what} of {symbol}: shown is {shown}, the last one before it; next: {after}"


def _bar_of(study: Study, on: date) -> date:
    """What was asked for as the name of a bar: a day, or of bars of hours a moment; of a day its last bar."""
    if isinstance(on, datetime) and not study.prices.clock.intraday:
        raise DataError(f"--date {on:%Y-%m-%d %H:%M}: the bars are of days; name the day alone, --date {on:%Y-%m-%d}")
    return on


def _letters_record(study: Study, variant: Variant, query: Query, prompt: Prompt) -> dict[str, Any]:
    """The day's letters by factor, and how many stocks there are to be ranked among."""
    import numpy as np

    from ragsignal.llm import reads_alphas, reads_news

    artifacts = study.artifacts(variant).values()
    universe = study.materials.letters(any(map(reads_alphas, artifacts)), any(map(reads_news, artifacts)))
    ranked = universe.ranked[np.searchsorted(universe.days, np.datetime64(query.as_of))]
    return {
        "symbols": len(universe.symbols),
        "ranked": int(ranked.sum()),
        "letters": [
            {"factor": factor, "letter": letter, "formula": formula}
            for factor, formula, letter in zip(universe.factors, universe.formulas, prompt.text, strict=False)
        ],
    }


def _print_windows(query: Query, prompt: Prompt, signal: Signal) -> None:
    """Print the prompt, or the hits of a vote, which reads none; then P(rise)."""
    if prompt.text:
        people.print(prompt.text)
    elif signal.hits:
        people.print(_hits_table(signal.hits))
    words = f"P(rise) {signal.probability:.4f}, signal {signal.value:+.4f} of -1 (fall) to +1 (rise)"
    say(f"{query.symbol} as of {query.as_of}: {_view(signal, words)}")


def _hits_table(hits: Sequence[Hit]) -> Table:
    title = f"the first {_NEAREST} of {len(hits)} hits" if len(hits) > _NEAREST else f"{len(hits)} hits"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column in ("sequence", "window", "score", "outcome", "known on"):
        table.add_column(column, overflow="fold")
    for hit in hits[:_NEAREST]:
        window = hit.sequence
        days = f"{window.dates[0]} to {window.dates[-1]}"
        outcome = f"{percent(window.outcome, 2, signed=True)}, {window.movement.word}"
        name = f"{window.symbol} {window.sequence}"
        table.add_row(name, days, f"{hit.score:.3f}", outcome, str(window.available_at))
    return table


def _view(signal: Signal, words: str) -> str:
    return f"no view: {signal.abstained}" if signal.abstained else words


def _print_letters(letters: dict[str, Any]) -> None:
    """Print a row a factor, each letter in its place among the sixteen."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("factor", "lowest to highest", "formula"):
        table.add_column(title, no_wrap=title != "formula")
    for row in letters["letters"]:
        place = "".join(letter if letter == row["letter"] else "·" for letter in _SCALE)
        table.add_row(row["factor"], place if row["letter"] in _SCALE else "unknown", row["formula"])
    people.print(table)


def _print_view(query: Query, letters: dict[str, Any], signal: Signal) -> None:
    """Print what the reader makes of it all."""
    words = (
        f"P(beats the day's median) {signal.probability:.4f}, rank {signal.rank:+.2f} of -1 (lowest) to +1 (highest)"
    )
    stocks = f"{letters['ranked']} of {letters['symbols']} stocks are ranked that day"
    say(f"{query.symbol} as of {query.as_of}: {_view(signal, words)}; {stocks}")
