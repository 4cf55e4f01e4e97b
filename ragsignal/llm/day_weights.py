"""Adapters that read days, on disk: LoRA as peft writes it, and the other weights beside it."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from ragsignal.artifacts import adapter_config, check_fit, reading, with_adapter
from ragsignal.llm.day_model import DayAdapter
from ragsignal.llm.rank_model import RankLM
from ragsignal.utils import quiet_loading

_REPAIR = "name the two artifacts that belong together, or train it again: ragsignal train days SPEC"
_WEIGHTS, _CONFIG = "reader.safetensors", "adapter_config.json"


def save_adapter(folder: Path, adapter: DayAdapter) -> None:
    """Write one seed into a folder of its own."""
    with quiet_loading():
        adapter.decoder.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's page says nothing of it
    config = adapter_config(folder, base=None)
    (folder / _CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    save_file(adapter.own_weights(), folder / _WEIGHTS)


def load_adapter(folder: Path, trunk: RankLM) -> DayAdapter:
    """Read what :func:`save_adapter` wrote, upon a copy of its trunk; raises ``ModelError`` where it does not fit."""
    with quiet_loading():
        adapter = DayAdapter(trunk, with_adapter(trunk.decoder, folder))
    with reading(folder / _WEIGHTS, "the weights of a reader of days", _REPAIR):
        missing, unexpected = adapter.load_state_dict(load_file(folder / _WEIGHTS), strict=False)
    own = [name for name in missing if not name.startswith("decoder.")]
    check_fit(folder / _WEIGHTS, "an adapter of days", own, unexpected, _REPAIR)
    return adapter
