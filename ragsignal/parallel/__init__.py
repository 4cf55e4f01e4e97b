"""Work on more than one core or machine: this process, local processes, or a Ray cluster, behind one protocol.

:func:`open_pool` gives a :class:`~ragsignal.parallel.pools.Pool`; whoever has independent work hands it over with
``pool.holding(payload)``. Only the driver, which opened the pool, reads and writes the signal store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ragsignal.config import StrategySpec
from ragsignal.parallel.pools import InProcessPool, Pool, ProcessPool

__all__ = ["InProcessPool", "Pool", "ProcessPool", "open_pool"]


@contextmanager
def open_pool(jobs: int | None = None, ray: str | None = None, code: Sequence[StrategySpec] = ()) -> Iterator[Pool]:
    """The pool that a command asks for.

    Parameters
    ----------
    jobs : int, optional
        Local processes, by default one a core; 1 is this process. On Ray: copies of a language model, by default one a
        machine (one a GPU, where GPUs read); and the cores of a cluster that is started here.
    ray : str, optional
        Address of a Ray cluster; ``local`` starts one here and stops it at the end.
    code : sequence of StrategySpec
        The strategies, whose modules a cluster receives.

    Raises
    ------
    ConfigError
        If Ray is asked for, but not installed or not there.
    """
    if ray is not None:
        from ragsignal.parallel.cluster import connected

        with connected(ray, jobs, code) as pool:
            yield pool
    else:
        jobs = jobs or os.cpu_count() or 1
        yield InProcessPool() if jobs == 1 else ProcessPool(jobs)
