"""Pools: the same answers from this process, local processes and a Ray cluster, whoever is killed."""

from __future__ import annotations

import json
import operator
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import LLMSpec, RunSpec, StrategySpec
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ConfigError, DataError, ModelError, RagSignalError
from ragsignal.llm.load import load_stockllm
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM
from ragsignal.parallel import InProcessPool, Pool, ProcessPool, open_pool, pools
from ragsignal.parallel import scorer as pooled_scorer
from ragsignal.parallel.cluster import RayPool, _not_installed
from ragsignal.parallel.scorer import ModelActors, PooledScorer, refuse_other
from ragsignal.report import record_of
from ragsignal.signals.recorded import KnownSignals
from ragsignal.trading.engine import run_spec
from ragsignal.trading.sweep import run_sweep
from ragsignal.types import Prompt
from tests import tasks
from tests.fakes import every_query, market
from tests.specs import HOLD, MOMENTUM, RANDOM, spec
from tests.tasks import die, die_once, divide
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

needs_ray = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A real cluster of two workers on this machine."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'ragsignal[ray]'")
    ray.cloudpickle.register_pickle_by_value(tasks)  # workers do not have this folder
    with open_pool(2, "local") as pool:
        assert ray.cluster_resources()["CPU"] == 2
        yield pool


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> LLMSpec:
    folder = tiny_llama(tmp_path_factory.mktemp("tiny"), tiny_tokenizer(), 1024)
    return LLMSpec(model=str(folder), dtype="float32", batch_size=4)


def _reader(llm: LLMSpec) -> StockLLM:
    return load_stockllm(llm, Template("compact", True, shipped_bins()), None)


def _prompts(reader: StockLLM, count: int) -> list[Prompt]:
    return [reader.render(query, ()) for query in every_query(market())[5 : 5 + count]]


def _spec(llm: LLMSpec | None = None) -> RunSpec:
    month = {"end": "2015-02-13"}
    if llm is None:
        return spec(data=month)
    reads = {"model": llm.model, "dtype": llm.dtype, "batch_size": llm.batch_size}
    return spec(data=month, llm=reads, variant=[{"name": "reader"}, RANDOM, MOMENTUM, HOLD])


def _lasting(record: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in record.items() if key != "times"}, sort_keys=True)


# ------------------------------------------------------------------------------------------------------ local pools


@pytest.mark.parametrize("pool", [InProcessPool(), ProcessPool(2)])
def test_every_item_is_done_once_with_what_workers_hold(pool: Pool) -> None:
    with pool.holding(3) as workers:
        assert dict(workers.map_unordered(operator.mul, range(9))) == {number: 3 * number for number in range(9)}
        assert dict(workers.map_unordered(operator.add, [1])) == {0: 4}


def test_an_error_of_a_task_is_raised_here() -> None:
    with ProcessPool(2).holding(0) as workers, pytest.raises(ZeroDivisionError):
        dict(workers.map_unordered(divide, [1, 2]))


def test_items_are_made_as_workers_become_free() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with ProcessPool(1).holding(1) as workers:
        results = workers.map_unordered(operator.mul, items())
        next(results)
        assert len(made) <= 4


def test_killed_processes_are_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    with ProcessPool(2).holding(str(tmp_path / "died")) as workers:
        results = workers.map_unordered(die_once, range(6))
        assert sorted(result for _, result in results) == [0, 1, 2, 3, 4, 5]


def test_processes_that_always_die_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_TRIES", 1)
    with ProcessPool(1).holding(None) as workers, pytest.raises(RagSignalError, match="killed 1 times"):
        list(workers.map_unordered(die, [1]))


def test_a_backtest_on_two_processes_has_the_record_of_one() -> None:
    one, two = run_spec(_spec()), run_spec(_spec(), pool=ProcessPool(2))
    assert _lasting(record_of(one)) == _lasting(record_of(two))
    for left, right in zip(one.variants, two.variants, strict=True):
        assert left.signals["hits"].tolist() == right.signals["hits"].tolist()
        assert left.orders.equals(right.orders)


def test_known_signals_travel_without_the_model_behind_them() -> None:
    source = KnownSignals(5, {}, fallback=_Unpicklable())
    assert pickle.loads(pickle.dumps(source)).fallback is None


class _Unpicklable:
    lookback = 5

    def __reduce__(self) -> Any:
        raise TypeError


def test_one_job_is_this_process_and_more_are_others() -> None:
    with open_pool(1) as pool:
        assert type(pool) is InProcessPool
    with open_pool(3) as pool:
        assert pool == ProcessPool(3)


def test_without_ray_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'ragsignal\[ray\]'"), open_pool(1, "local"):
        pass


def test_strategies_that_are_not_installed_are_sent_to_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "beside_the_spec.py").write_text("")
    names = ["ragsignal.strategies:LongShort", "backtrader.strategies:MA_CrossOver", "beside_the_spec:Mine"]
    code = [StrategySpec.model_validate({"class": name, "folder": tmp_path}) for name in names]
    assert _not_installed(code) == [str(tmp_path / "beside_the_spec.py")]


# ------------------------------------------------------------------------------------------------------- a cluster


@needs_ray
def test_a_cluster_gives_the_same_results(cluster: RayPool) -> None:
    with cluster.holding(3) as workers:
        assert dict(workers.map_unordered(operator.mul, range(9))) == {number: 3 * number for number in range(9)}
    with cluster.holding(5) as workers:  # another payload in the same workers
        assert dict(workers.map_unordered(operator.mul, [2])) == {0: 10}


@needs_ray
def test_an_error_of_a_remote_task_is_raised_as_it_was(cluster: RayPool) -> None:
    def refuse(_: int, item: int) -> int:
        raise DataError(f"{item} is wrong")

    with cluster.holding(0) as workers, pytest.raises(DataError, match="1 is wrong"):
        dict(workers.map_unordered(refuse, [1]))


@needs_ray
def test_a_killed_task_is_done_by_another_worker(cluster: RayPool, tmp_path: Path) -> None:
    with cluster.holding(str(tmp_path / "died")) as workers:
        assert sorted(result for _, result in workers.map_unordered(die_once, range(6))) == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "died").exists()


@needs_ray
def test_a_worker_with_another_recipe_refuses(cluster: RayPool, llm: LLMSpec) -> None:
    other = _reader(llm.model_copy(update={"dtype": "bfloat16"}))
    actors = _copies(cluster, llm).actors
    with pytest.raises(ModelError, match="dtype: 'float32' there, 'bfloat16' here"):
        list(_asking_for(other, actors).read([_prompts(other, 1)]))


def _asking_for(reader: StockLLM, actors: ModelActors) -> ModelActors:
    """The same workers, asked by a driver with another recipe."""
    asking = replace(actors, recipe=reader.recipe)
    asking.__dict__["handles"] = actors.handles
    return asking


def _copies(cluster: RayPool, llm: LLMSpec) -> PooledScorer:
    """The copies of a model that the cluster holds for all tests."""
    return cluster.distribute(llm, _reader(llm))


@needs_ray
def test_a_killed_model_worker_loses_nothing(cluster: RayPool, llm: LLMSpec) -> None:
    reader = _reader(llm)
    prompts = _prompts(reader, 24)
    expected = pytest.approx([score.probability for score in reader.score(prompts)], abs=1e-6)
    pooled = _copies(cluster, llm)
    assert [it.probability for it in pooled.score(prompts)] == expected
    victim = _process_of(pooled.actors.handles[0])
    os.kill(victim, signal.SIGSTOP)  # so that it certainly dies with a batch in hand
    threading.Timer(0.5, os.kill, (victim, signal.SIGKILL)).start()
    assert [it.probability for it in pooled.score(prompts)] == expected
    assert _process_of(pooled.actors.handles[0]) != victim  # it was started again, and reads the weights again
    assert [it.probability for it in pooled.score(prompts)] == expected


@contextmanager
def _pooled(llm: LLMSpec, reader: StockLLM, copies: int) -> Iterator[PooledScorer]:
    actors = ModelActors(llm, reader.template, reader.recipe, copies)
    try:
        yield PooledScorer(reader, actors)
    finally:
        actors.stop()


def _process_of(actor: Any) -> int:
    import ray

    for _ in range(100):
        try:
            return int(ray.get(actor.__ray_call__.remote(lambda _: os.getpid())))
        except ray.exceptions.ActorUnavailableError:  # it is being started again
            time.sleep(0.2)
    raise AssertionError("the actor did not come back within 20 s")


@needs_ray
def test_workers_that_always_die_end_the_run(llm: LLMSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_scorer, "_RESTARTS", 0)
    reader = _reader(llm)
    with _pooled(llm, reader, 1) as pooled:
        os.kill(_process_of(pooled.actors.handles[0]), signal.SIGKILL)
        with pytest.raises(ModelError, match="all 1 workers that held"):
            pooled.score(_prompts(reader, 4))


def test_equal_recipes_are_no_others(llm: LLMSpec) -> None:
    refuse_other(_reader(llm).recipe, _reader(llm).recipe)


@needs_ray
def test_a_backtest_and_a_sweep_on_a_cluster_say_what_one_process_says(
    cluster: RayPool, llm: LLMSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = _spec(llm)
    grid = {"strategy.enter": [0.0, 0.001]}
    alone, swept = record_of(run_spec(reads)), run_sweep(reads, grid, ["reader"])
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cold"))  # of the driver alone: it has the store
    remote = run_sweep(reads, grid, ["reader"], pool=cluster)
    assert remote["times"]["signals"]["model_calls"] == alone["times"]["variants"]["reader"]["model_calls"] > 0
    assert _lasting(remote) == _lasting(swept)
    assert _lasting(record_of(run_spec(reads, pool=cluster))) == _lasting(alone)
