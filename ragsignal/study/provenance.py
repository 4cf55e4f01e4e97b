"""What is behind a result, in sentences: which symbols, and what the models have seen.

The same in a backtest's report and in an evaluation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import timedelta

import numpy as np

from ragsignal.artifacts import Card
from ragsignal.config import EVERY, Variant
from ragsignal.data import DroppedBar, days_of, usual_gap_of, warning_notes
from ragsignal.study.external import note_on
from ragsignal.study.study import Study
from ragsignal.utils import days_in, first_names

_HOLIDAYS = timedelta(days=14)  # no exchange closes for longer: the longest, China's new year, takes ten days


class Provenance(str):
    """A note that says where symbols or weights come from, and changes nothing in how a figure may be read.

    A page may fold it; every other note has to be seen.
    """


def notes_on_training(study: Study) -> list[str]:
    """Say what was trained, on what and through which day, what was not, and what is not recorded.

    A sentence that begins with ``IN SAMPLE`` stamps every page.
    """
    spec = study.spec
    notes: dict[str, None] = {}  # in order, each once: variants share their parts
    for variant in spec.variants:
        if not variant.has_signal:
            continue
        if variant.is_external:
            notes[note_on(study.parts.decisions(variant.external), spec.data)] = None
            continue
        in_sample = study.in_sample(variant)
        if in_sample:
            notes[f"IN SAMPLE: {variant.name} proves nothing: {'; '.join(in_sample)}."] = None
        cards = _cards_of(study, variant)
        notes |= dict.fromkeys(_note_on_role(role, [*by_digest.values()]) for role, by_digest in cards.items())
        notes |= dict.fromkeys(it.warning for of_role in cards.values() for it in of_role.values() if it.warning)
        notes |= dict.fromkeys(_note_on_bare_weights(role, ref) for role, ref in weights_without_card(variant, cards))
        if variant.reads_text and variant.llm.dtype != "float32":
            notes[_ON_ANOTHER_PROCESSOR] = None
    return list(notes)


_ON_ANOTHER_PROCESSOR = (
    "Signals of text models are equal on equal processors: in bfloat16 another one moves P(rise) by up to some 0.04, "
    "and trades with it. llm.dtype = float32 keeps it within 0.00001; rules, votes and readers of ranks agree to 1e-8."
)
_SURVIVORS = (
    "The bundled stocks were chosen by their trade in 2010 among companies that still traded in 2017: whoever holds "
    "them is flattered, a market-neutral book less so."
)


def notes_on_prices(study: Study) -> list[str]:
    """Say how the symbols were chosen, what part of the window has bars, what was left out, and what looks wrong."""
    dropped = _notes_on_dropped(study.prices.dropped) if study.spec.data.bad_bars == "drop" else []
    survivors = [_SURVIVORS] if study.spec.data.source == "sample" else []
    looks_wrong = warning_notes(study.prices.warnings)
    return [*_notes_on_symbols(study), *_notes_on_window(study), *survivors, *dropped, *looks_wrong]


def notes_on_news(study: Study) -> list[str]:
    """Say how many items were read, over which days, and which were counted once, later or not at all."""
    if study.spec.news is None:
        return []
    table = study.materials.news_table
    items, counts = table.items, table.counts
    moments = np.sort(items.available_at).astype("datetime64[D]")
    beside = [
        (counts.duplicates, "said again what was there"),
        (counts.revisions, "revise another one"),
        (counts.day_only, "have no zone or no time of day, and count for the session after their day"),
        (counts.outside, f"are of {counts.other_symbols:,} other symbols"),
        (counts.unnamed, "name no symbol"),
    ]
    told = "".join(f"; {number:,} {what}" for number, what in beside if number)
    notes = [f"News: {len(items):,} items, available from {moments[0]} to {moments[-1]}{told}."]
    if counts.without:
        there = len(items.symbols)
        notes.append(f"No news of {len(counts.without):,} of {there:,} symbols: {first_names(counts.without)}.")
    return [Provenance(note) for note in notes]


def _notes_on_window(study: Study) -> list[str]:
    """Say which symbols have bars in a part of the window only, and where the window reaches beyond all bars."""
    data = study.spec.data
    frames = study.prices.select(data.symbols).between(data.start, data.end).frames
    days = {symbol: days_in(days_of(frame)).tolist() for symbol, frame in frames.items() if len(frame)}
    spans = {symbol: (own[0], own[-1]) for symbol, own in days.items()}
    if not spans:
        return []
    first, last = min(begin for begin, _ in spans.values()), max(end for _, end in spans.values())
    gap = usual_gap_of([days_of(max(frames.values(), key=len))]) or 0.0
    notes, slack = [], max(_HOLIDAYS, timedelta(days=2 * int(gap)))
    if first - data.start > slack or data.end - last > slack:
        notes.append(f"The spec asks for {data.start} to {data.end}; prices cover {first} to {last} of it.")
    part = [
        f"{symbol} ({begin} to {end})"
        for symbol, (begin, end) in spans.items()
        if begin - first > slack or last - end > slack
    ]
    if part:
        notes.append(
            f"{len(part):,} of {len(frames):,} symbols have bars in a part of the window: {first_names(part)}."
        )
    return notes


def _notes_on_dropped(dropped: Sequence[DroppedBar]) -> list[str]:
    if not dropped:
        return []
    rules, symbols = Counter(bar.rule for bar in dropped), Counter(bar.symbol for bar in dropped)
    return [
        f"{len(dropped):,} bars broke a rule and were left out ({_counted(rules)}), of {len(symbols):,} symbols: "
        f"{first_names([f'{symbol} {number:,}' for symbol, number in symbols.most_common()])}. The first: "
        f"{first_names([f'{bar.symbol} {bar.day}' for bar in dropped])}."
    ]


def _counted(numbers: Counter[str]) -> str:
    return ", ".join(f"{what}: {number:,}" for what, number in numbers.most_common())


def _notes_on_symbols(study: Study) -> list[str]:
    data, universe = study.spec.data, study.spec.data.universe
    if not data.picked_from:
        return []
    frames = study.prices.select(data.symbols).between(data.start, data.end).frames
    absent = [symbol for symbol, frame in frames.items() if len(frame) < 2]
    rest = f"; not traded, as they have fewer than 2 bars from {data.start} to {data.end}: {first_names(absent)}"
    if universe is None:
        return [Provenance(f"All {len(frames):,} symbols of the source{rest if absent else ''}.")]
    source = "all symbols of the source" if data.picked_from == EVERY else f"{len(data.picked_from):,} named ones"
    return [
        Provenance(
            f"Universe: the {universe.top:,} symbols with the largest median dollar volume of the {universe.bars} bars "
            f"through {universe.as_of}, out of {source}{rest if absent else ''}."
        )
    ]


def _cards_of(study: Study, variant: Variant) -> dict[str, dict[str, Card]]:
    """The cards behind a role by their digest, in the order of time: one, or one for each retraining."""
    cards: dict[str, dict[str, Card]] = {}
    for parts, step_variant in study.steps(variant):
        for role, artifact in parts.artifacts(step_variant).items():
            cards.setdefault(role, {})[artifact.digest] = artifact.card
    return cards


def _note_on_role(role: str, cards: Sequence[Card]) -> str:
    if len(cards) == 1:
        return _note_on_artifact(role, cards[0])
    days = ", ".join(str(card.trained_through) for card in cards)
    last = cards[-1]
    return Provenance(
        f"The {role} was retrained {len(cards)} times, through {days}, on {len(last.data['symbols'])} symbols "
        f"({last.data['source']}), target {last.target}; each scores only what came after."
    )


def _note_on_artifact(role: str, card: Card) -> str:
    trained = (
        f"The {role} {card.name} was trained on {len(card.data['symbols'])} symbols ({card.data['source']}) through "
        f"{card.trained_through}, target {card.target}."
    )
    leaking = card.protocol == "paper"
    return f"{trained} LEAKING: trained on the dates it is tested on." if leaking else Provenance(trained)


def weights_without_card(variant: Variant, roles: Collection[str]) -> list[tuple[str, str]]:
    """What no card describes: ``adapter`` (a bare peft folder), ``language model`` or ``encoder``, with its reference.

    Parameters
    ----------
    variant : Variant
    roles : collection of str
        Those that have a card, as of :meth:`ragsignal.study.Study.artifacts`.
    """
    weights = []
    if variant.reads_text and not any(role.startswith("reader") for role in roles):
        adapter = variant.llm.adapter
        weights.append(("adapter", adapter) if adapter else ("language model", variant.llm.model))
    if variant.embeds_text:
        weights.append(("encoder", variant.retrieval.encoder_ref))
    return weights


def _note_on_bare_weights(role: str, ref: str) -> str:
    """What is said of the untrained embedded ones, and of those of which nothing is known."""
    if not ref.startswith("embedded:"):
        return f"What {ref} was trained on is not recorded: it may have seen this window."
    name, state = ("FinSeer", "untrained") if role == "encoder" else ("StockLLM", "untuned")
    return f"{name} is not trained here: its place is held by the {state} {ref.removeprefix('embedded:')}."
