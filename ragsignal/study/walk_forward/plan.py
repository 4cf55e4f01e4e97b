"""What a spec's walk-forward is: its steps, what is trained for each, where that lies, and the plain spec of a step.

Training and use meet here and nowhere else: both ask a :class:`Plan`, one to fill folders, the other to read them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from ragsignal.artifacts import CARD, Weights, resolve
from ragsignal.config import WALK, RunSpec, TrainSpec, Variant, WalkForwardSpec
from ragsignal.data import Prices, calendar_of, load_prices, shipped_bins
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.study.materials import Materials
from ragsignal.study.news import NewsSource
from ragsignal.study.parts import open_store
from ragsignal.study.walk_forward.address import TrainedKind, address, base_of
from ragsignal.study.walk_forward.steps import Step, steps_of
from ragsignal.utils import json_digest

Resolve = Callable[[str, str | None, str | None], Weights]
Ref = TypeVar("Ref", str, str | None)

_ALWAYS = ("lookback", "target", "horizon", "bins_through")
_OF_READER = ("model", "revision", "template", "mask")


@dataclass
class Plan:
    """The walk-forward of one spec.

    Parameters
    ----------
    spec : RunSpec
        With a table ``[walk_forward]``.
    prices : Prices
        Of the run, through ``data.end``.
    resolve : callable, optional
        Finds and verifies base weights; a caller that has them already need not have them verified twice.

    Raises
    ------
    ConfigError
        If the spec has no such table, the training spec is of another study than the run, or its letters would be
        fitted on days that the first step's training does not see.
    LookAheadError
        If the letters of the training spec were fitted on the window, so that whatever it trains could not be used.
    """

    spec: RunSpec
    prices: Prices
    resolve: Resolve = resolve
    _addresses: dict[tuple[Step, TrainedKind], str] = field(default_factory=dict, repr=False)
    _fingerprints: dict[Step, str] = field(default_factory=dict, repr=False)
    _bases: dict[tuple[str, str | None, str | None], str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.prices.clock.intraday:
            raise ConfigError(
                f"[walk_forward] retrains after days, months or years, and these are {self.prices.clock.words}; take "
                "daily or longer bars, or train once before data.start (docs/clocks.md)"
            )
        _refuse_another_study(self.spec, self.walk.train)
        _refuse_start(self.walk.train)
        _refuse_late_letters(self.spec, self.walk.train)

    @property
    def walk(self) -> WalkForwardSpec:
        """The table ``[walk_forward]``."""
        if self.spec.walk_forward is None:
            raise ConfigError(f"spec {self.spec.name!r} has no table [walk_forward]; add one, see docs/walk-forward.md")
        return self.spec.walk_forward

    @cached_property
    def history(self) -> Prices:
        """Prices of the training spec's symbols; every step cuts its past from them.

        Loaded for the run's days: a made-up market begins some years before them, whoever asks, and is then the one
        that is traded.
        """
        train, run = self.walk.train, self.spec.data
        return load_prices(train.data.model_copy(update={"start": run.start, "end": run.end}), train.corpus.symbols)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """In the order of time. Bars are days on which any traded or training symbol had one."""
        traded = self.prices.select(self.spec.data.symbols)
        learned = self.history.select(self.walk.train.data.symbols)
        calendar = calendar_of([*traded.frames.values(), *learned.frames.values()])
        steps = steps_of(self.walk, calendar, self.spec.data.start, self.spec.data.end)
        _refuse_cut_letters(self.walk.train, steps[0])
        _refuse_late_universe(self.walk.train, steps[0])
        return steps

    def training(self, step: Step) -> TrainSpec:
        """The training spec of a step: nothing after ``step.train_end`` exists for it."""
        whole = self.walk.train
        days = {"start": step.train_start, "end": step.train_end}
        return whole.model_copy(
            update={
                "name": f"{whole.name}-{step.train_end}",
                "data": whole.data.model_copy(update=days),
                "split": whole.split.model_copy(update={"valid_from": step.valid_from}),
            }
        )

    def folder(self, step: Step, kind: TrainedKind) -> Path:
        """Where what ``kind`` learned for a step lies, or will lie: a place for its content, whichever spec asks."""
        return self.root / kind / f"{step.train_end}-{self._address(step, kind)[:16]}"

    def times(self, step: Step, kind: TrainedKind) -> Path:
        """File beside an artifact that says how long its training took, which would make two equal artifacts differ."""
        return self.folder(step, kind).with_suffix(".seconds.json")

    def before(self, step: Step) -> Step | None:
        """The step whose weights ``step`` goes on from; None of one that is trained from nothing."""
        number = self.steps.index(step)
        return self.steps[number - 1] if self.walk.warm and number else None

    def _address(self, step: Step, kind: TrainedKind) -> str:
        """SHA-256 of everything that decides what ``kind`` learns for a step, steps before a warm one included."""
        key = (step, kind)
        if key not in self._addresses:
            training, before, after = self.training(step), self.before(step), None
            if before is not None:
                after = {"address": self._address(before, "stockllm"), **self.walk.warm_recipe}
            self._addresses[key] = address(training, kind, self._fingerprint(step), self._base, after)
        return self._addresses[key]

    @property
    def root(self) -> Path:
        """Folder of all artifacts."""
        return self.walk.artifacts or self.walk.train.out

    def check_trained(self, variant: Variant) -> None:
        """Make sure that everything ``variant`` reads was trained, at every step.

        Raises
        ------
        ModelError
            Naming the first step that lacks something.
        """
        for step in self.steps:
            for kind in variant.retrained:
                if not (self.folder(step, kind) / CARD).is_file():
                    raise ModelError(
                        f"variant {variant.name!r}: step {step} has no {kind} yet (looked in "
                        f"{self.folder(step, kind)}); type: ragsignal train walk-forward SPEC"
                    )

    def spec_at(self, step: Step) -> RunSpec:
        """The run on the days of one step alone; :meth:`variant_at` says what its variants read there."""
        days = {"start": step.first, "end": step.last}
        return self.spec.model_copy(update={"data": self.spec.data.model_copy(update=days)})

    def variant_at(self, step: Step, variant: Variant) -> Variant:
        """``variant`` with the step's artifacts in the place of its ``walk:KIND`` references."""
        return replace(
            variant,
            llm=variant.llm.model_copy(
                update={
                    "model": self._located(step, variant.llm.model),
                    "adapter": self._located(step, variant.llm.adapter),
                }
            ),
            retrieval=variant.retrieval.model_copy(update={"encoder": self._located(step, variant.retrieval.encoder)}),
            classifier=self._located(step, variant.classifier),
        )

    def _located(self, step: Step, ref: Ref) -> Ref:
        """Return the folder that ``walk:KIND`` means at ``step``; any other reference as it is."""
        if ref is None or not ref.startswith(WALK):
            return ref
        return str(self.folder(step, cast(TrainedKind, ref.removeprefix(WALK))))

    def _fingerprint(self, step: Step) -> str:
        """Of all that training can see of prices and news, candidates from before its window included."""
        if step not in self._fingerprints:
            prices, train = self.history.between(None, step.train_end).digest, self.training(step)
            self._fingerprints[step] = prices
            if train.news is not None:
                materials = Materials(train.data, train.corpus, self.history, NewsSource(train.news, open_store))
                self._fingerprints[step] = json_digest([prices, materials.news_days.digest])
        return self._fingerprints[step]

    def _base(self, kind: TrainedKind) -> str | None:
        """Digest of the weights that ``kind`` begins from; found once, as hashing them takes up to a second."""
        base = base_of(self.walk.train, kind)
        if base is None:
            return None
        if base not in self._bases:
            self._bases[base] = self.resolve(*base).digest
        return self._bases[base]


def _refuse_another_study(spec: RunSpec, train: TrainSpec) -> None:
    """What an artifact refuses when it is read is refused here before it is trained."""
    differing = [
        f"corpus.{key} is {getattr(spec.corpus, key)} in the run, {getattr(train.corpus, key)} in training"
        for key in _ALWAYS
        if getattr(spec.corpus, key) != getattr(train.corpus, key)
    ]
    differing += _other_formulas(spec, train)
    for variant in spec.variants:
        if "stockllm" in variant.retrained:
            llm, reader = variant.llm, "ranks" if variant.llm.is_artifact else "text"
            if reader != train.stockllm.reader:
                differing.append(f"variant {variant.name!r} reads {reader}, training {train.stockllm.reader}")
            differing += [
                f"llm.{key} of variant {variant.name!r} is {getattr(llm, key)} in the run, "
                f"{getattr(train.llm, key)} in training"
                for key in (_OF_READER if reader == "text" else ())
                if getattr(llm, key) != getattr(train.llm, key)
            ]
    if differing:
        raise ConfigError(f"walk_forward.train: {'; '.join(differing)}; write the same in both")


def _other_formulas(spec: RunSpec, train: TrainSpec) -> list[str]:
    """Names of kept formulas that mean others in the run than in training; a reader of ranks needs all that it read."""
    given, trained = ({it.name: it.formula for it in corpus.alphas} for corpus in (spec.corpus, train.corpus))
    return [
        f"corpus.alphas has {name} = {given.get(name)!r} in the run, {formula!r} in training"
        for name, formula in trained.items()
        if given.get(name, formula if train.stockllm.reader == "text" else None) != formula
    ]


def _refuse_start(train: TrainSpec) -> None:
    """An address knows a path, and not what lies there."""
    if train.finseer.start is not None:
        raise ConfigError(
            f"walk_forward.train: finseer.start = {train.finseer.start!r} is one artifact for all steps, and has seen "
            "what the first ones must not; delete it, or train once before data.start (ragsignal train finseer SPEC)"
        )


def _refuse_late_letters(spec: RunSpec, train: TrainSpec) -> None:
    """Letters are in every card's ``trained_through``; they are the same at all steps, so the first one decides."""
    through = train.corpus.bins_through or shipped_bins().fitted_through
    if through >= spec.data.start and not spec.allow_in_sample:
        raise LookAheadError(
            f"walk_forward.train: the letter bins were fitted through {through}, but the first step begins on "
            f"{spec.data.start}; begin later, or set corpus.bins_through to an earlier day in both specs"
        )


def _refuse_cut_letters(train: TrainSpec, first: Step) -> None:
    """Letters refitted on days that training does not see would be others in training than in the run, and refused."""
    through = train.corpus.bins_through
    if through is not None and through > first.train_end:
        raise ConfigError(
            f"walk_forward.train: corpus.bins_through is {through}, but the training of the first step ends on "
            f"{first.train_end}, so it would read other letters than the run; write {first.train_end} or an earlier "
            "day in both specs"
        )


def _refuse_late_universe(train: TrainSpec, first: Step) -> None:
    """The symbols of training are the same at all steps; those of the first may not be picked by what came after."""
    universe = train.data.universe
    if universe is not None and universe.as_of >= first.valid_from:
        raise ConfigError(
            f"walk_forward.train: data.universe.as_of is {universe.as_of}, but the first step validates from "
            f"{first.valid_from}; choose an earlier day"
        )
