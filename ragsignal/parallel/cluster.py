"""A Ray cluster as a pool: tasks on all its machines, language models in actors; only the driver has the store.

Every machine needs this library in the same versions, and the weights that a spec names: embedded or shipped ones, a
Hub id, or a folder under the same path. Strategies that are not installed are sent along. What a killed worker was
doing is done again by another.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragsignal.config import LLMSpec, StrategySpec
from ragsignal.errors import ConfigError
from ragsignal.llm import StockLLM
from ragsignal.parallel.pools import R, T, Task, Workers
from ragsignal.parallel.remote import ray, result_of
from ragsignal.parallel.scorer import ModelActors, PooledScorer
from ragsignal.utils import find_beside, json_digest

LOCAL = "local"
_AHEAD = 2  # tasks a core that wait for it: their items lie in the cluster's memory


@contextlib.contextmanager
def connected(address: str, jobs: int | None, code: Sequence[StrategySpec] = ()) -> Iterator[RayPool]:
    """A pool on the cluster at ``address``; ``local`` starts one here, of ``jobs`` cores, and stops it at the end.

    A cluster that this process is connected to already is used, and left as it is.

    Raises
    ------
    ConfigError
        If Ray is not installed, or there is no cluster.
    """
    mine = not ray().is_initialized()
    if mine:
        _connect(address, jobs, code)
    pool = RayPool(jobs)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Ray tells of dead workers on stdout, where a command's JSON goes
            yield pool
    finally:
        pool.stop()
        if mine:
            ray().shutdown()


def _connect(address: str, jobs: int | None, code: Sequence[StrategySpec]) -> None:
    quiet = {"log_to_driver": False, "configure_logging": False}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours reports to nobody
        ray().init(address=LOCAL, num_cpus=jobs, include_dashboard=False, **quiet)
        return
    try:
        ray().init(address=address, runtime_env={"py_modules": _not_installed(code)}, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"no Ray cluster at {address!r} ({error}); start one with `ray start --head` (this process needs its "
            "RAY_AUTH_TOKEN, if it asks for one), or give --ray without an address to start one here"
        ) from error


@dataclass
class RayPool:
    """The cluster that this process is connected to.

    Parameters
    ----------
    jobs : int, optional
        Copies of a language model, by default one a machine or a GPU; tasks use every core.
    """

    jobs: int | None = None
    _actors: dict[str, ModelActors] = field(default_factory=dict)

    @contextlib.contextmanager
    def holding(self, payload: Any) -> Iterator[Workers]:
        """Workers that fetch ``payload`` once each, from the memory that a machine's workers share."""
        yield _RayWorkers([ray().put(payload)], uuid.uuid4().hex)

    def distribute(self, llm: LLMSpec, model: StockLLM) -> PooledScorer:
        """Return a scorer of copies of ``model`` on the cluster; models of one recipe share them."""
        name = json_digest([llm.model_dump(mode="json"), model.recipe])
        if name not in self._actors:
            others, copies = list(self._actors.values()), self.jobs or _places(llm)
            self._actors[name] = ModelActors(llm, model.template, model.recipe, copies, others)
            for actors in others:
                actors.others.append(self._actors[name])
        return PooledScorer(model, self._actors[name])

    def stop(self) -> None:
        """End the actors."""
        for actors in self._actors.values():
            actors.stop()


@dataclass
class _RayWorkers:
    box: list[Any]  # in a list a reference stays one: outside, Ray would fetch the payload for every task
    name: str

    def map_unordered(self, function: Task[T, R], items: Iterable[T]) -> Iterator[tuple[int, R]]:
        task = ray().remote(_with_payload)  # by default 1 core, and 3 more tries where a worker dies
        room = _AHEAD * max(1, int(ray().cluster_resources().get("CPU", 1)))
        queue, flying = enumerate(items), dict[Any, int]()
        try:
            while True:
                for number, item in itertools.islice(queue, room - len(flying)):
                    flying[task.remote(self.name, self.box, function, item)] = number
                if not flying:
                    return
                (done,), _ = ray().wait(list(flying))
                yield flying.pop(done), result_of(done)
        finally:
            for reference in flying:  # an error, or nobody listens any more
                ray().cancel(reference)


def _places(llm: LLMSpec) -> int:
    """Count the cluster's GPUs, or its machines: copies on one processor share its cores, and are no faster."""
    if llm.device == "cuda":
        return max(1, int(ray().cluster_resources().get("GPU", 0)))
    return sum(bool(node["Alive"]) for node in ray().nodes())


_held: dict[str, Any] = {}
"""The payload of this worker by its name: one at a time."""


def _with_payload(name: str, box: list[Any], function: Task[T, R], item: T) -> R:
    if name not in _held:
        _held.clear()
        _held[name] = ray().get(box[0])
    return function(_held[name], item)


def _not_installed(code: Sequence[StrategySpec]) -> list[str]:
    """Folders (or single files) of the top modules of strategies that stand beside a spec or in the current folder."""
    found = (find_beside(strategy.name.partition(":")[0], strategy.folder) for strategy in code)
    places = {str([*(spec.submodule_search_locations or []), spec.origin][0]) for spec in found if spec is not None}
    return sorted(place for place in places if "site-packages" not in place)
