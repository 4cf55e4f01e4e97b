"""``ragsignal alpha ideas``: formulas for an idea in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragsignal.cli.terminal import answer, note, progress_bars, say

if TYPE_CHECKING:
    from ragsignal.alpha import Proposed
    from ragsignal.config import IdeasSpec


IdeaModel = Annotated[
    str | None,
    typer.Option(help="A causal language model: embedded:NAME, a folder, a Hub id; with a URL, the server's name."),
]
IdeaUrl = Annotated[str | None, typer.Option(help="An OpenAI-compatible server that the idea is sent to.")]


def ideas(
    idea: Annotated[str, typer.Argument(help='What should rank stocks: "momentum of volume over 20 days".')],
    spec: Annotated[Path | None, typer.Option(help="A search spec with a table [ideas].")] = None,
    model: IdeaModel = None,
    url: IdeaUrl = None,
    count: Annotated[int, typer.Option(help="Formulas that are wanted.")] = 10,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal formulas.")] = 0,
) -> None:
    """Propose formulas for IDEA, of templates, or of a language model that can write nothing else than formulas."""
    from ragsignal.alpha import open_source, propose_all
    from ragsignal.data import BAR_FIELDS

    table = ideas_table(spec, {"model": model, "url": url})
    with progress_bars() as progress:
        source = open_source(table, BAR_FIELDS, lambda done, total: progress("encode formulas", done, total))
        proposed = propose_all(idea, BAR_FIELDS, source, count, seed)
    _tell(proposed, count)
    answer(_record(proposed))


def ideas_table(spec: Path | None, options: dict[str, str | None]) -> IdeasSpec:
    """The spec's table, with what the command line says laid over it."""
    from ragsignal.config import IdeasSpec, checked, load_search_spec

    table = (load_search_spec(spec).ideas if spec else None) or IdeasSpec()
    given = {name: value for name, value in options.items() if value is not None}
    return checked(table.model_dump(exclude_unset=True) | given, IdeasSpec, spec or "--model, --url")


def _tell(proposed: Proposed, count: int) -> None:
    from ragsignal.data import text_of

    for it in proposed.proposals:
        say(f"{text_of(it.formula)}  {it.words}")
    if len(proposed.proposals) < count:
        note(f"{len(proposed.proposals)} of {count} formulas: no more distinct ones came")
    for reason, times in list(proposed.reasons.items())[:5]:
        note(f"{times} refused: {reason}")


def _record(proposed: Proposed) -> dict[str, Any]:
    from ragsignal.data import digest_of, text_of

    found = [
        {
            "formula": text_of(it.known.formula),
            "words": it.known.words,
            "origin": it.known.origin,
            "cosine": it.similarity,
        }
        for it in proposed.brief.context
    ]
    return {
        "idea": proposed.brief.idea,
        "context": found,
        "proposals": [
            {
                "formula": text_of(it.formula),
                "words": it.words,
                "came_from": it.came_from,
                "digest": digest_of(it.formula),
            }
            for it in proposed.proposals
        ],
        "refused": [{"text": it.text, "reason": it.reason} for it in proposed.refused],
    }
