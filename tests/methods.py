"""A comparison of methods by a call: a made-up market as CSV files, a tiny language model, and the two specs."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ragsignal.data.synthetic import planted_market
from tests.specs import HOLD, changed, write
from tests.tiny import tiny_llama, tiny_tokenizer

SYMBOLS = ["AA", "BB", "CC", "DD", "EE", "FF"]
TRAIN: dict[str, Any] = {
    "name": "taught",
    "out": "artifacts",
    "data": {
        "source": "folder",
        "path": "prices",
        "symbols": SYMBOLS,
        "start": date(2014, 1, 2),
        "end": date(2014, 12, 31),
    },
    "split": {"valid_from": date(2014, 10, 1)},
    "corpus": {"indicators": ["adj_close"]},
    "stockllm": {
        "rank": 2,
        "alpha": 4,
        "virtual_tokens": 3,
        "k": [0, 2],
        "examples": 64,
        "valid_examples": 48,
        "batch_size": 16,
        "eval_steps": 2,
    },
}
RUN: dict[str, Any] = {
    "name": "ways",
    "benchmark": "hold",
    "data": TRAIN["data"] | {"symbols": SYMBOLS[1:], "start": date(2015, 1, 5), "end": date(2015, 6, 30)},
    "corpus": {"indicators": ["adj_close"], "symbols": SYMBOLS},
    "retrieval": {"retriever": "none", "k": 2},
    "llm": {"model": "base", "dtype": "float32"},
    "methods": {"train": "taught.train.toml", "lora": [0.001, 0.01], "adalora": [0.01], "prefix": [0.01]},
    "evaluation": {"every": 3, "perturbed": 0},
    "strategy": {"class": "ragsignal.strategies:LongShort"},
    "variant": [
        {"name": "zero-shot"},
        {"name": "few-shot", "retrieval": {"retriever": "shape"}},
        *(
            {"name": f"by-{method}", "llm": {"adapter": f"./artifacts/{method}/stockllm"}}
            for method in ("lora", "adalora", "prefix")
        ),
        HOLD,
    ],
}


def write_methods_specs(folder: Path, train: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Both specs, the training spec changed by ``train`` and the run by ``changes``; returns the run's path."""
    write(folder / "taught.train.toml", changed(TRAIN, **(train or {})))
    return write(folder / "ways.toml", changed(RUN, **changes))


def write_market(folder: Path) -> None:
    """The prices and the base model that the specs name."""
    (folder / "prices").mkdir()
    market = planted_market(SYMBOLS, "2013-01-02", "2015-07-31", seed=3)
    for symbol, frame in market.frames.items():
        frame.to_csv(folder / "prices" / f"{symbol}.csv", index_label="date")
    tiny_llama(folder / "base", tiny_tokenizer(), context=1024)
