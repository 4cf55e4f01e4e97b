"""What the models behind a result have seen, in sentences: the same in a backtest's report and in an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragsignal.artifacts import Card
from ragsignal.config import RunSpec, VariantSpec
from ragsignal.study.study import Workshop


def notes_on_training(workshop: Workshop) -> list[str]:
    """What was trained, on what and through which day; what was not; and what nobody can know.

    A sentence that begins with ``IN SAMPLE`` stamps every page.
    """
    spec = workshop.spec
    notes: dict[str, None] = {}  # in order, each once: variants share their parts
    for variant in spec.variant:
        if variant.signal == "none":
            continue
        in_sample = workshop.in_sample(variant)
        if in_sample:
            notes[f"IN SAMPLE: {variant.name} proves nothing: {'; '.join(in_sample)}."] = None
        cards = _cards_of(workshop, variant)
        notes |= dict.fromkeys(_note_on_role(role, [*found.values()]) for role, found in cards.items())
        notes |= dict.fromkeys(_notes_on_bare_weights(spec, variant, cards))
    return list(notes)


def _cards_of(workshop: Workshop, variant: VariantSpec) -> dict[str, dict[str, Card]]:
    """The cards behind a role by their digest, in the order of time: one, or one for each retraining."""
    cards: dict[str, dict[str, Card]] = {}
    for shop, it in workshop.eras(variant):
        for role, artifact in shop.artifacts(it).items():
            cards.setdefault(role, {})[artifact.digest] = artifact.card
    return cards


def _note_on_role(role: str, cards: Sequence[Card]) -> str:
    if len(cards) == 1:
        return _note_on_artifact(role, cards[0])
    days = ", ".join(str(card.trained_through) for card in cards)
    last = cards[-1]
    return (
        f"The {role} was retrained {len(cards)} times, through {days}, on {len(last.data['symbols'])} symbols "
        f"({last.data['source']}), target {last.target}; each scores only what came after."
    )


def _note_on_artifact(role: str, card: Card) -> str:
    leak = " LEAKING: trained on the dates it is tested on." if card.protocol == "paper" else ""
    return (
        f"The {role} {card.name} was trained on {len(card.data['symbols'])} symbols ({card.data['source']}) through "
        f"{card.trained_through}, target {card.target}.{leak}"
    )


def _notes_on_bare_weights(spec: RunSpec, variant: VariantSpec, artifacts: Mapping[str, Any]) -> list[str]:
    """Weights without a card: the untrained embedded ones, and those of which nothing is known."""
    if variant.signal == "classifier":
        return []
    llm, retrieval = spec.llm_of(variant), spec.retrieval_of(variant)
    bare = []
    if variant.signal == "llm" and "reader" not in artifacts:
        bare.append(("StockLLM", "untuned", llm.adapter or llm.model))
    if retrieval.retriever == "embedding":
        bare.append(("FinSeer", "untrained", retrieval.encoder_ref))
    return [
        f"{role} is not trained here: its place is held by the {state} {ref.removeprefix('embedded:')}."
        if ref.startswith("embedded:")
        else f"What {ref} was trained on is not recorded: it may have seen this window."
        for role, state, ref in bare
    ]
