"""Whether the traded bars are as far apart as those that a variant's evidence is made of."""

from __future__ import annotations

from collections.abc import Mapping

from ragsignal.artifacts import Artifact
from ragsignal.config import Variant
from ragsignal.data import (
    Prices,
    bars_apart,
    days_of,
    differs_in_spacing,
    is_spaced_otherwise,
    other_spacing,
    usual_gap_of,
)
from ragsignal.errors import ConfigError
from ragsignal.study.materials import Materials

_DAILY = 1.0


def check_clock(variant: Variant, materials: Materials) -> None:
    """Refuse what a variant has that is made of whole days, where bars are shorter; other bars' letters too.

    Raises
    ------
    ConfigError
    """
    clock = materials.clock
    if clock.intraday and variant.reads_days:
        raise ConfigError(
            f'variant {variant.name!r}: candidates = "days" are whole days of a market, and these are {clock.words}; '
            'retrieve sequences, candidates = "sequences" (docs/clocks.md)'
        )
    if clock.intraday and variant.reads_ranks:
        raise ConfigError(
            f"variant {variant.name!r}: the template {variant.llm.template!r} writes ranks among the stocks of a day, "
            f'and these are {clock.words}; write template = "compact"'
        )
    if variant.reads_letters or variant.embeds_text:
        _ = materials.bins  # raises where they would be those of daily bars


def gap_of_evidence(variant: Variant, artifacts: Mapping[str, Artifact], materials: Materials) -> float | None:
    """Days between the bars of what a variant's signals are made of; None where they are made of no bars.

    Parameters
    ----------
    variant : Variant
    artifacts : mapping of role to Artifact
        Its trained parts. Those whose cards say nothing were trained on daily bars.
    materials : Materials

    Raises
    ------
    ConfigError
        If its parts are of bars at different distances, or a traded symbol has bars at another one.
    """
    gaps = {f"the {role} {it.ref}": it.card.data.get("bar_days", _DAILY) for role, it in artifacts.items()}
    if variant.reads_sequences:
        gaps |= _gap_of("the corpus", materials.corpus_prices)
        _refuse_mixture(variant, gaps, materials.corpus_prices)
    elif variant.reads_days:
        gaps |= _gap_of("the days' universe", materials.prices)
    if not gaps:
        return None
    what, gap = next(iter(gaps.items()))
    for other, theirs in gaps.items():
        if differs_in_spacing(gap, theirs):
            raise ConfigError(_words(variant, f"{other} is of {bars_apart(theirs)}", what, gap))
    for symbol, frame in materials.traded.frames.items():
        stretch = other_spacing(days_of(frame), gap)
        if stretch is not None:
            raise ConfigError(_words(variant, f"{symbol} has {stretch.words}", what, gap))
    return gap


def _gap_of(what: str, prices: Prices) -> dict[str, float]:
    gap = usual_gap_of(map(days_of, prices.frames.values()))
    return {} if gap is None else {what: gap}


def _refuse_mixture(variant: Variant, gaps: Mapping[str, float], prices: Prices) -> None:
    for symbol, frame in prices.frames.items():
        days, usual = days_of(frame), gaps.get("the corpus")
        if usual is not None and is_spaced_otherwise(days, usual):
            found = f"the corpus's symbol {symbol} has {bars_apart(usual_gap_of([days]) or usual)}"
            raise ConfigError(_words(variant, found, "most of the corpus", usual))


def _words(variant: Variant, found: str, what: str, gap: float) -> str:
    own = 'with a retriever that is not trained, such as "shape", and signal = "vote"'
    return (
        f"variant {variant.name!r}: {found}, but {what} is of {bars_apart(gap)}: what followed such bars says nothing "
        "of the others. Give the spec bars of one distance; of weekly or monthly ones everything has to be made of "
        f"them: {own}, or trained on them (`ragsignal train`)"
    )
