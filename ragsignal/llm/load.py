"""From ``[llm]`` of a spec to the language model: its base weights, its adapter, its template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ragsignal.artifacts import CARD, Artifact, Kind, Weights, load_artifact, resolve
from ragsignal.config import LLMSpec
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM


def adapter_of(llm: LLMSpec, load: Callable[[str, Kind], Artifact] = load_artifact) -> Artifact | Path | None:
    """Return an artifact where the folder has a card, else the bare peft folder, whose training is unknown."""
    if llm.adapter is None:
        return None
    bare = not llm.adapter.startswith("shipped:") and not (Path(llm.adapter) / CARD).is_file()
    return Path(llm.adapter) if bare else load(llm.adapter, "stockllm")


def load_stockllm(
    llm: LLMSpec, template: Template, adapter: Artifact | Path | None, weights: Weights | None = None
) -> StockLLM:
    """The language model of a spec; its weights are verified here (if they were not yet), and read on first use.

    Raises
    ------
    ModelError
        If they are missing or altered, or do not fit each other.
    """
    return StockLLM(
        weights=weights or resolve(llm.model, llm.revision, llm.sha256),
        template=template,
        adapter=adapter,
        dtype=llm.dtype,
        device=llm.device,
        batch_size=llm.batch_size,
        threads=llm.threads,
    )
