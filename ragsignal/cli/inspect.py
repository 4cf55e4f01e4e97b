"""``ragsignal inspect``: one signal with all that it was made of."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ragsignal.cli.options import SpecPath
from ragsignal.cli.terminal import answer, people, progress_bars
from ragsignal.errors import DataError

if TYPE_CHECKING:
    from ragsignal.study import Study
    from ragsignal.types import Hit, Query

VariantName = Annotated[str | None, typer.Option(help="A variant of the spec; default: the first with a signal.")]


def inspect(
    spec: SpecPath,
    symbol: Annotated[str, typer.Option(help="A symbol of the spec's data.")],
    on: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="As of the close of this day.")],
    variant: VariantName = None,
) -> None:
    """Show the query, the hits, the prompt and the probability of one symbol on one date."""
    from ragsignal.config import load_spec
    from ragsignal.study import Study

    loaded = load_spec(spec)
    chosen = loaded.find_variant(variant)
    with progress_bars() as progress:
        study = Study(loaded, progress)
        pipeline = study.pipeline(chosen)
        query = _query_of(study, symbol, on.date())
        (signal,) = pipeline.signals([query])
        ((answering, _),) = pipeline.parts([query])  # of a walk-forward, the pipeline of the day's step
        prompt = answering.prompter.render(query, tuple(signal.hits))
    people.print(prompt.text, markup=False, highlight=False)
    answer(
        {
            "variant": chosen.name,
            "symbol": symbol,
            "as_of": query.as_of,
            "query": {"dates": query.dates, "closes": query.closes},
            "hits": [_hit_record(hit) for hit in signal.hits],
            "prompt": {"system": prompt.system, "text": prompt.text},
            "probability": {"rise": signal.probability, "fall": 1.0 - signal.probability},
            "signal": signal.value,
            "abstained": signal.abstained,
            "key": signal.key,
            "tokens": signal.tokens,
        }
    )


def _query_of(study: Study, symbol: str, on: date) -> Query:
    from ragsignal.data import cut_query

    whole = study.prices.select([symbol]).frames[symbol]
    frame = whole.loc[: str(on)]
    if frame.empty:
        raise DataError(f"{symbol} has no bar on or before {on}; its prices begin later")
    if str(on) > str(whole.index[-1].date()):
        raise DataError(f"the prices of {symbol} end on {whole.index[-1].date()}, before {on}; see data.end")
    days = [stamp.date() for stamp in frame.index]
    return cut_query(symbol, days, frame["close"].tolist(), study.spec.corpus.lookback)


def _hit_record(hit: Hit) -> dict[str, object]:
    candidate = asdict(hit.candidate) | {"movement": hit.candidate.movement.word}
    return {"rank": hit.rank, "score": hit.score} | candidate
