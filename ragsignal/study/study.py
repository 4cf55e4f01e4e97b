"""A spec and everything that is made of it: one plain set of parts, or of a walk-forward one a step."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from pathlib import Path
from weakref import WeakValueDictionary

from ragsignal.artifacts import Artifact
from ragsignal.config import RunSpec, Variant, load_spec
from ragsignal.data import Prices
from ragsignal.retrieval import Corpus
from ragsignal.signals import Pipeline, RagPipeline, SignalStore, store_place
from ragsignal.study.materials import Materials
from ragsignal.study.news import NewsSource
from ragsignal.study.parts import Distribute, Parts, Shared
from ragsignal.study.symbols import with_symbols
from ragsignal.study.walk_forward.plan import Plan
from ragsignal.study.walk_forward.source import WalkForward
from ragsignal.study.walk_forward.steps import Step
from ragsignal.utils import SIGNALS, Progress, cache_folder, silent

_IMPORTED_BY = os.getpid()


@dataclass
class Study:
    """One spec, with the working parts of its variants.

    Parameters
    ----------
    spec : RunSpec
        Once the study is open, with all symbols by name.
    progress : callable, optional
        Told how far long work is: ``progress(what, done, total)``.
    distribute : callable, optional
        Given each language model before its weights are read; what it returns does the scoring instead (a cluster's
        copies of it, :mod:`ragsignal.parallel`).
    history : Prices, optional
        Prices of the spec's symbols that are there already; by default they are loaded.
    scratch : Path, optional
        Where corpora and their vectors are kept; by default the user's cache.

    Raises
    ------
    ConfigError, DataError
        If prices say which symbols the spec means, and cannot.
    """

    spec: RunSpec
    progress: Progress = silent
    distribute: Distribute | None = None
    history: Prices | None = None
    scratch: Path | None = None
    _shared: Shared = field(default_factory=Shared)
    # a step's models live as long as somebody uses them: all steps' would not fit into memory
    _parts_of_steps: WeakValueDictionary[Step, Parts] = field(default_factory=WeakValueDictionary)

    def __post_init__(self) -> None:
        self.spec, read = with_symbols(self.spec, self.progress)
        self.history = self.history or read

    @cached_property
    def materials(self) -> Materials:
        """Prices, corpus, letters and ranks of the spec."""
        spec = self.spec.news
        news = None if spec is None else NewsSource(spec, lambda: self.store, self.progress)
        return Materials(self.spec.data, self.spec.corpus, self.history, news, self.progress, self.scratch)

    @property
    def prices(self) -> Prices:
        """Adjusted prices of all traded and corpus symbols, through ``data.end``."""
        return self.materials.prices

    @property
    def corpus(self) -> Corpus:
        """The candidates of the spec."""
        return self.materials.corpus

    @property
    def store(self) -> SignalStore:
        """The signals of this user, all specs together."""
        return self._shared.store

    @cached_property
    def plan(self) -> Plan:
        """The steps of a walk-forward, and where their artifacts lie; raises ``ConfigError`` where there is none."""
        return Plan(self.spec, self.prices, self._shared.weights)

    @cached_property
    def parts(self) -> Parts:
        """The parts of the variants that are not retrained."""
        return self._parts_for(self.spec)

    def steps(self, variant: Variant) -> list[tuple[Parts, Variant]]:
        """The parts that ``variant``'s signals come from, in the order of time, with the variant as it is there.

        Of a walk-forward one a step, each with a plain spec whose ``data`` bounds the step; else one alone.

        Raises
        ------
        ModelError
            If a step lacks something that has to be trained.
        """
        if not variant.retrained:
            return [(self.parts, variant)]
        self.plan.check_trained(variant)
        return [(self._parts_at(step), self.plan.variant_at(step, variant)) for step in self.plan.steps]

    def pipeline(self, variant: Variant) -> Pipeline:
        """The signal source of a variant.

        Raises
        ------
        ConfigError
            If the variant has no signal.
        DataError
            If its file of decisions cannot be read, or a row of it cannot be placed.
        LookAheadError
            If something in it was fitted on the window that is traded, or on that of its step.
        ModelError
            If an artifact is missing or altered, or was trained for another study.
        """
        if variant.is_external:
            return self.parts.external(variant)
        if not variant.retrained:
            return self.parts.pipeline(variant)
        for parts, step_variant in self.steps(variant):  # every step is judged before the first model call
            parts.check(step_variant)
        progress = partial(self.progress, f"signals of {variant.name}")
        lookback, clock = self.spec.corpus.lookback, self.materials.clock
        return WalkForward(self.plan.steps, partial(self._open_step, variant), lookback, clock, progress)

    def artifacts(self, variant: Variant) -> dict[str, Artifact]:
        """The trained parts of a variant by role: ``reader``, ``retriever``, ``classifier``.

        Of a walk-forward those of every step: ``reader from 2011-01-03``.
        """
        if not variant.retrained:
            return self.parts.artifacts(variant)
        return {
            f"{role} from {parts.spec.data.start}": artifact
            for parts, step_variant in self.steps(variant)
            for role, artifact in parts.artifacts(step_variant).items()
        }

    def reads_universe(self, variant: Variant) -> bool:
        """Whether a variant reads rank letters, so that its signals depend on every stock of the day."""
        return any(parts.reads_universe(step_variant) for parts, step_variant in self.steps(variant))

    def in_sample(self, variant: Variant) -> list[str]:
        """What in a variant was fitted on days that it is traded on; empty for an honest one."""
        return [seen for parts, step_variant in self.steps(variant) for seen in parts.in_sample(step_variant)]

    def _open_step(self, variant: Variant, step: Step) -> tuple[RagPipeline, Parts]:
        parts = self._parts_at(step)
        return parts.pipeline(self.plan.variant_at(step, variant)), parts

    def _parts_at(self, step: Step) -> Parts:
        parts = self._parts_of_steps.get(step)
        if parts is None:
            parts = self._parts_of_steps[step] = self._parts_for(self.plan.spec_at(step))
        return parts

    def _parts_for(self, spec: RunSpec) -> Parts:
        return Parts(spec, self.materials, self._shared, self.progress, self.distribute)


def load_pipeline(path: str | Path, variant: str | None = None) -> Pipeline:
    """The signal source of a spec, ready to be an indicator's ``source``; any thread may use it.

    Parameters
    ----------
    path : str or Path
        A TOML spec. Its prices fill the corpus; the indicator's own feed supplies the queries.
    variant : str, optional
        Name of a variant; without one, the first that has a signal.

    Raises
    ------
    ConfigError, DataError, ModelError
        If the spec, its prices or its weights cannot be used.
    LookAheadError
        If something in it was fitted on the window that is traded.
    """
    if os.getpid() != _IMPORTED_BY:
        _use_one_thread()
    # By content, not by path: a spec that was edited in between is another one.
    spec = load_spec(path)
    read = [*(it.external.path for it in spec.variants), spec.news and spec.news.path]
    files = tuple(_state_of(path) for path in read if path)
    with SIGNALS:  # of threads that ask at once, the second finds what the first has loaded
        places = (cache_folder(), store_place(), os.getpid(), files)
        return _pipeline_of(spec.model_dump_json(by_alias=True), variant, places)


def _state_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written anew; None where there is none."""
    if not path.is_file():
        return None
    state = path.stat()
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=8)
def _pipeline_of(spec_json: str, variant: str | None, _: tuple[object, ...]) -> Pipeline:
    """Once a process, cache, store and state of files: all feeds, and all runs of an optstrategy worker, share a model.

    A fork makes its own.
    """
    spec = RunSpec.model_validate_json(spec_json)
    return Study(spec).pipeline(spec.find_variant(variant))


def _use_one_thread() -> None:
    """Keep a forked worker (``optstrategy``) from hanging: it would wait for OpenMP's threads, which a fork loses."""
    for library, limit in (("faiss", "omp_set_num_threads"), ("torch", "set_num_threads")):
        if library in sys.modules:
            getattr(sys.modules[library], limit)(1)
