"""Where and on how many threads a model computes: what another program needs is left to it, and no signal moves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ragsignal.artifacts import Weights, resolve
from ragsignal.config import LLMSpec
from ragsignal.llm.device import computing, free_cores
from ragsignal.llm.rank_ensemble import RankEnsemble, seed_folders
from ragsignal.llm.stockllm import StockLLM
from tests.llm.test_adapters import TEMPLATE
from tests.llm.test_prompt import HITS, QUERY
from tests.tiny import tiny_llama, tiny_rank_llm, tiny_tokenizer
from tests.universe import universe_letters

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def asked_again() -> Iterator[None]:
    """The number of free cores is asked once a process; here, and after, once more."""
    threads = torch.get_num_threads()
    free_cores.cache_clear()
    yield
    free_cores.cache_clear()
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("load", "free"), [(0.0, 8), (1.0, 8), (4.2, 5), (9.0, 1), (40.0, 1)])
def test_cores_that_others_use_are_not_free(load: float, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    assert free_cores() == free
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    assert free_cores() == free, "this process's own work would count"


@pytest.mark.parametrize(("asked", "free", "taken"), [(None, 1, 1), (None, 2, 2), (None, 9, 3), (2, 1, 2), (9, 1, 3)])
def test_a_model_takes_free_cores_or_what_was_asked_for_and_never_more_than_torch_has(
    asked: int | None, free: int, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragsignal.llm.device.free_cores", lambda: free)
    torch.set_num_threads(3)
    with computing(asked):
        assert torch.get_num_threads() == taken
    assert torch.get_num_threads() == 3


def test_a_spec_that_names_no_threads_is_the_spec_that_it_was() -> None:
    assert "threads" not in LLMSpec().model_dump()
    assert LLMSpec(threads=2).model_dump()["threads"] == 2


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    return resolve(str(tiny_llama(tmp_path_factory.mktemp("model") / "llama", tiny_tokenizer(), context=512)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_threads_move_no_signal_of_a_text_model_and_no_key(dtype: str, llama: Weights) -> None:
    prompts = [TEMPLATE.render(QUERY, HITS * count) for count in range(5)]
    torch.set_num_threads(2)
    one, two = (StockLLM(llama, TEMPLATE, dtype=dtype, threads=threads) for threads in (1, 2))
    chances = [[score.probability for score in reader.score(prompts)] for reader in (one, two)]
    assert chances[0] == chances[1]
    assert one.recipe == two.recipe


def test_threads_move_no_score_of_a_model_on_ranks(tmp_path: Path) -> None:
    folders = seed_folders(tiny_rank_llm(tmp_path / "ranks").folder)
    letters = universe_letters().letters[-40:]
    torch.set_num_threads(2)
    one, two = (RankEnsemble(folders, threads=threads).scores(letters) for threads in (1, 2))
    assert np.array_equal(one, two)
