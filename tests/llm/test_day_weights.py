"""Files of adapters for days."""

from __future__ import annotations

from pathlib import Path

from ragsignal.config import RanksTraining
from ragsignal.llm.day_model import with_lora
from ragsignal.llm.day_weights import save_adapter
from ragsignal.llm.rank_model import RankLM, rank_config


def test_an_adapter_has_the_same_bytes_from_every_process(tmp_path: Path) -> None:
    shape = RanksTraining(hidden=16, layers=1, heads=2, window=3)
    adapter = with_lora(RankLM(rank_config(shape)), rank=2, alpha=4)
    names = sorted(adapter.decoder.peft_config["default"].target_modules)
    written = []
    for order in (names, names[::-1]):
        adapter.decoder.peft_config["default"].target_modules = order  # a set, which each process orders otherwise
        save_adapter(tmp_path, adapter)
        written.append((tmp_path / "adapter_config.json").read_bytes())
    assert written[0] == written[1]
