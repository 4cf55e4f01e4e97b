"""What every training command starts from: a spec's data, its split, its examples, and where its results go."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import pandas as pd

from ragsignal.artifacts import Artifact, Base, Calibration, Card, DataSource, Kind, Span, Weights, resolve
from ragsignal.config import TrainSpec, WalkForwardSpec
from ragsignal.data import (
    Bins,
    Prices,
    RankLetters,
    Split,
    SplitPart,
    bars_until_known,
    calendar_of,
    days_of,
    make_split,
    usual_gap_of,
)
from ragsignal.errors import ConfigError, DataError, ModelError
from ragsignal.llm import Template
from ragsignal.retrieval import Corpus
from ragsignal.study import Materials, NewsSource, TrainedKind, open_store, with_symbols
from ragsignal.training.examples import Example, examples_of
from ragsignal.types import Recipe
from ragsignal.utils import Progress, day_of, json_digest, locked, silent, versions_of

_LIBRARIES = ("lightgbm", "torch", "transformers", "peft", "sentence-transformers", "scikit-learn", "numpy", "pandas")


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a card says of the labels of one part of a split.

    ``first`` and ``last`` are days of queries, ``queries`` their number; ``known_through`` is the day that made the
    last label known.
    """

    first: date
    last: date
    queries: int
    known_through: date
    symbols: tuple[str, ...]

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Learned:
        """Of examples, at least one."""
        days = [day_of(example.query.as_of) for example in examples]
        return cls(
            first=min(days),
            last=max(days),
            queries=len(days),
            known_through=day_of(max(example.available_at for example in examples)),
            symbols=tuple(sorted({example.query.symbol for example in examples})),
        )

    @property
    def span(self) -> Span:
        """As the card has it."""
        return Span(first=self.first, last=self.last, queries=self.queries)


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training tells the card of its artifact.

    ``recipe`` decided the weights, with the split; ``template`` is the recipe of what the model reads; ``seen_through``
    the last day that anything knew which took part besides the examples: early stopping, or a teacher; ``reads_bins``
    whether quantile letters did.
    """

    recipe: Recipe
    metrics: Mapping[str, object]
    base: Base | None
    template: Recipe
    train: Learned
    valid: Learned | None
    seen_through: date = date.min
    reads_bins: bool = True
    calibration: Calibration | None = None


@dataclass(frozen=True)
class StepBefore:
    """What a warm step of a walk-forward goes on from: StockLLM of the step before, and how it goes on."""

    artifact: Artifact
    walk: WalkForwardSpec

    @property
    def recipe(self) -> Recipe:
        """All that decides the weights beside the training spec."""
        return {"before": self.artifact.digest, **self.walk.warm_recipe}


@dataclass
class TrainingRun:
    """The parts of one training spec, each made on first need.

    Parameters
    ----------
    spec : TrainSpec
        Once the run is open, with all symbols by name.
    progress : callable, optional
        Told how far long work is: ``progress(what, done, total)``.
    command : str
        What was typed; it goes into the card.
    """

    spec: TrainSpec
    progress: Progress = silent
    command: str = ""

    def __post_init__(self) -> None:
        self.spec, self._history = with_symbols(self.spec)

    @cached_property
    def materials(self) -> Materials:
        """Prices, corpus, letters and ranks."""
        return Materials(self.spec.data, self.spec.corpus, self._history, self.news)

    @property
    def before(self) -> StepBefore | None:
        """What training goes on from; None where it begins from nothing, or from a base model."""
        return None

    @property
    def news(self) -> NewsSource | None:
        """Where the news come from, of a spec that has a table of them."""
        spec = self.spec.news
        return None if spec is None else NewsSource(spec, open_store, self.progress)

    @property
    def prices(self) -> Prices:
        """Prices of all symbols, from before ``data.start`` (candidates may be older) through ``data.end``."""
        return self.materials.prices

    @property
    def letters(self) -> RankLetters:
        """Rank letters of all symbols, with those of kept formulas and of the day's news where the spec has some."""
        return self.materials.letters(bool(self.spec.corpus.alphas), self.spec.news is not None)

    @property
    def news_recipe(self) -> Recipe:
        """What the news add to the recipe of something that reads them: their digest; empty without news."""
        return {} if self.spec.news is None else {"news": self.materials.news_days.digest}

    @property
    def further_recipe(self) -> Recipe:
        """What formulas and news add to the recipe of a reader of rank letters: their digests."""
        alphas = {"alphas": self.materials.alpha_days.digest} if self.spec.corpus.alphas else {}
        return alphas | self.news_recipe

    @property
    def corpus(self) -> Corpus:
        """Candidates; which of them a query may see depends on its day alone."""
        return self.materials.corpus

    @property
    def bins(self) -> Bins:
        """Letters."""
        return self.materials.bins

    @cached_property
    def template(self) -> Template:
        """The text that StockLLM learns to read."""
        return self.materials.template(self.spec.llm)

    @cached_property
    def weights(self) -> Weights:
        """The base model, verified."""
        return resolve(self.spec.llm.model, self.spec.llm.revision, self.spec.llm.sha256)

    @cached_property
    def split(self) -> Split:
        """Which days and symbols are trained on, and which validate."""
        calendar, corpus = calendar_of(self._frames.values()), self.spec.corpus
        return make_split(self.spec.split, self.spec.data, calendar, bars_until_known(corpus.target, corpus.horizon))

    @cached_property
    def train(self) -> list[Example]:
        """Training examples, by day and symbol."""
        return self._examples(self.split.train)

    @cached_property
    def valid(self) -> list[Example]:
        """Validation examples, by day and symbol."""
        return self._examples(self.split.valid)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Train while no other process trains into the same folder: wait for it, as two would share checkpoints.

        The processes of one run on several devices (torchrun) do share them: only the first one waits.

        Raises
        ------
        ConfigError
            If the folder cannot be made.
        """
        work = self.work
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"no work can be kept in {work}: {error}; change the spec's key out") from error
        if os.environ.get("RANK", "0") != "0":
            yield
            return
        with locked(work, alone=True, wait=False) as mine:
            if mine:
                yield
                return
        self.progress(f"wait for another training into {work.parent}", 0, 1)
        with locked(work, alone=True, wait=True):
            yield

    def folder(self, kind: TrainedKind) -> Path:
        """Where the artifact of a kind goes."""
        return self.spec.out / kind

    @property
    def work(self) -> Path:
        """Where unfinished work waits for a rerun."""
        return self.spec.out / ".work"

    def scratch(self, kind: TrainedKind) -> Path:
        """Where unfinished work of a kind waits."""
        return self.work / kind

    def work_folder(self, kind: TrainedKind, decides: object) -> Path:
        """Where checkpoints lie, by all that decides the weights: no run goes on from another one's checkpoint."""
        return self.scratch(kind) / json_digest(decides)[:16]

    def card_recipe(self, recipe: Recipe) -> Recipe:
        """Return ``recipe`` as a card has it: with the split, the horizon of the labels, and formulas of sequences."""
        ahead = self.spec.corpus.model_dump(include={"horizon"})  # empty at 1 bar, as cards have always been
        return {"split": self.spec.split.model_dump(mode="json"), **ahead, **self._formulas, **recipe}

    @property
    def _formulas(self) -> Recipe:
        """The kept formulas among the corpus's sequences, by name: a name alone does not say which formula it was."""
        corpus = self.spec.corpus
        if not corpus.reads_alphas:
            return {}
        known = self.materials.alpha_days.formulas.items()
        return {"formulas": {name: text for name, text in known if not corpus.indicators or name in corpus.indicators}}

    def card(self, kind: Kind, result: TrainingResult) -> Card:
        """Return the card of an artifact of this spec; letters count for its ``trained_through`` too."""
        split = self.spec.split
        days = [part.known_through for part in (result.train, result.valid) if part]
        days += [self.bins.fitted_through] if result.reads_bins else []
        days += [alpha.known_through for alpha in self.spec.corpus.alphas]
        return Card(
            kind=kind,
            name=f"{self.spec.name}-{kind}",
            base=result.base,
            template=result.template,
            target=self.spec.corpus.target,
            recipe=self.card_recipe(result.recipe),
            train=result.train.span,
            valid=result.valid.span if result.valid else None,
            trained_through=max(result.seen_through, *days),
            protocol=split.protocol,
            data=self._source(result.train),
            seed=int(result.recipe.get("seed", 0)),
            versions=versions_of(_LIBRARIES),
            command=self.command,
            metrics=_finite(kind, result.metrics),
            calibration=result.calibration,
        )

    def _source(self, train: Learned) -> DataSource:
        source: DataSource = {
            "source": self.spec.data.source,
            "symbols": list(train.symbols),
            "fingerprint": self.prices.digest,
        }
        if self.prices.dropped:
            source["dropped_bars"] = self.prices.drop_counts
        gap = usual_gap_of(days_of(self.prices.frames[symbol]) for symbol in train.symbols)
        if gap is not None and gap != 1.0:
            source["bar_days"] = gap
        return source

    @cached_property
    def _frames(self) -> dict[str, pd.DataFrame]:
        return dict(self.prices.select(self.spec.data.symbols).frames)

    def _examples(self, part: SplitPart) -> list[Example]:
        examples = examples_of(self._frames, self.spec.corpus, part)
        if not examples:
            raise DataError(
                f"no {part.name} example from {part.first} to {part.last} for {len(part.symbols)} symbols; "
                "move data.start, split.valid_from or data.end"
            )
        return examples


def _finite(kind: Kind, metrics: Mapping[str, object]) -> dict[str, object]:
    """Metrics as a card has them; raises ``ModelError`` where a training ran away, and left no numbers."""
    broken = [name for name, value in metrics.items() if not _is_finite(value)]
    if broken:
        raise ModelError(
            f"the training of {kind} has come to no finite number of {', '.join(broken)}, so that nothing was learned "
            "that can be used; lower its learning_rate (of a warm step warm_rate), and train again"
        )
    return dict(metrics)


def _is_finite(value: object) -> bool:
    if isinstance(value, Mapping | list | tuple):
        return all(map(_is_finite, value.values() if isinstance(value, Mapping) else value))
    return not isinstance(value, float) or math.isfinite(value)
