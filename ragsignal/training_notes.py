"""What the models behind a result have seen, in sentences: the same in a backtest's report and in an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragsignal.assemble import Workshop
from ragsignal.card import Card
from ragsignal.config import RunSpec, VariantSpec


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
        artifacts = workshop.artifacts(variant)
        notes |= dict.fromkeys(_note_on_artifact(role, it.card) for role, it in artifacts.items())
        notes |= dict.fromkeys(_notes_on_bare_weights(spec, variant, artifacts))
    return list(notes)


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
