"""The same signals and orders under another instruction set, in float32: text models, StockLLM on ranks, days.

Each set computes in a process of its own with a store of its own: from a shared one the second would only read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.config import RunSpec
from ragsignal.data import load_sample
from ragsignal.trading import run_spec
from tests.specs import spec

pytestmark = pytest.mark.slow

SETS = ("default", "avx2")
TOLERANCE = 1e-5
DAYS = {"candidates": "days", "retriever": "finseer", "k": 100, "opposite": 50}
RANKS = {"model": "shipped:stockllm"}


def text_spec() -> RunSpec:
    """The embedded model on a few bars, in float32."""
    days = {"start": date(2015, 11, 2), "end": date(2015, 11, 10)}
    variant = {"name": "text", "signal": "llm", "retrieval": {"retriever": "shape", "k": 1}}
    return spec(data=days, llm={"dtype": "float32"}, variant=[variant], benchmark="text")


def ranks_spec() -> RunSpec:
    """The shipped readers of ranks, without and with retrieved days, on a part of the sample."""
    symbols = sorted(load_sample().frames)[:40]
    variants = [
        {"name": "ranks", "signal": "llm"},
        {"name": "days", "signal": "llm", "retrieval": DAYS, "llm": RANKS | {"adapter": "shipped:stockllm-days"}},
    ]
    return spec(
        data={"source": "sample", "symbols": symbols, "start": date(2013, 11, 4), "end": date(2013, 11, 22)},
        corpus={"target": "relative"},
        retrieval={"retriever": "none"},
        llm=RANKS,
        strategy={"class": "ragsignal.strategies:SlowBook"},
        variant=variants,
        benchmark="ranks",
    )


def print_runs() -> None:
    """Print, for each variant, the probabilities and the orders."""
    import torch

    runs: dict[str, Any] = {"set": torch.backends.cpu.get_cpu_capability()}
    for made in (text_spec(), ranks_spec()):
        for variant in run_spec(made).variants:
            sizes = variant.orders["size"].round(6)
            orders = variant.orders[["date", "symbol"]].assign(size=sizes).astype(str).to_numpy().tolist()
            runs[variant.name] = {"probability": variant.signals["probability"].tolist(), "orders": orders}
    print(json.dumps(runs))


@pytest.fixture(scope="module")
def runs(language_model: str, private_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    del language_model  # converted, for both
    started = []
    for name in SETS:
        cache = tmp_path_factory.mktemp(name)
        (cache / "weights").symlink_to((private_cache / "weights").resolve())
        own = {"ATEN_CPU_CAPABILITY": name, "RAGSIGNAL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        program = [sys.executable, "-c", "from tests.llm.test_instructions import print_runs; print_runs()"]
        root = Path(__file__).parents[2]
        started.append(subprocess.Popen(program, env=os.environ | own, stdout=subprocess.PIPE, text=True, cwd=root))
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]


@pytest.mark.parametrize("variant", ["text", "ranks", "days"])
def test_float32_gives_the_same_probabilities_and_orders_on_two_instruction_sets(variant: str, runs: list[Any]) -> None:
    one, two = runs
    if one["set"] == two["set"]:
        pytest.skip(f"this processor has no other instruction set than {one['set']}")
    chances = [np.array(run[variant]["probability"], dtype=float) for run in runs]
    assert np.isfinite(chances[0]).any()
    assert np.nanmax(np.abs(chances[0] - chances[1])) < TOLERANCE
    assert one[variant]["orders"]
    assert one[variant]["orders"] == two[variant]["orders"]
