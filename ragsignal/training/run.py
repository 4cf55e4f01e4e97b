"""What every training command starts from: a spec's data, its split, its examples, and where its results go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import pandas as pd

from ragsignal.artifacts import Base, Calibration, Card, DataSource, Kind, Span, Weights, resolve
from ragsignal.config import TrainSpec
from ragsignal.data import HORIZON, Bins, Prices, Split, SplitPart, calendar_of, make_split
from ragsignal.errors import DataError
from ragsignal.llm import Template
from ragsignal.retrieval import Corpus
from ragsignal.study import Materials, TrainedKind, with_symbols
from ragsignal.training.examples import Example, examples_of
from ragsignal.types import Recipe
from ragsignal.utils import Progress, json_digest, silent, versions_of

_LIBRARIES = ("torch", "transformers", "peft", "sentence-transformers", "scikit-learn", "numpy", "pandas")


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training tells the card of its artifact.

    ``recipe`` decided the weights, with the split; ``template`` is the recipe of what the model reads; ``seen_through``
    the last day that anything knew which took part besides the examples: early stopping, or a teacher.
    """

    recipe: Recipe
    metrics: Mapping[str, object]
    base: Base | None
    template: Recipe
    train: Sequence[Example]
    valid: Sequence[Example]
    seen_through: date = date.min
    calibration: Calibration | None = None


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
        return Materials(self.spec.data, self.spec.corpus, self._history)

    @property
    def prices(self) -> Prices:
        """Prices of all symbols, from before ``data.start`` (candidates may be older) through ``data.end``."""
        return self.materials.prices

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
        calendar = calendar_of(self._frames.values())
        return make_split(self.spec.split, self.spec.data, calendar, HORIZON[self.spec.corpus.target])

    @cached_property
    def train(self) -> list[Example]:
        """Training examples, by day and symbol."""
        return self._examples(self.split.train)

    @cached_property
    def valid(self) -> list[Example]:
        """Validation examples, by day and symbol."""
        return self._examples(self.split.valid)

    def folder(self, kind: TrainedKind) -> Path:
        """Where the artifact of a kind goes."""
        return self.spec.out / kind

    def scratch(self, kind: TrainedKind) -> Path:
        """Where unfinished work of a kind waits for a rerun."""
        return self.spec.out / ".work" / kind

    def work_folder(self, kind: TrainedKind, decides: object) -> Path:
        """Where checkpoints lie, by all that decides the weights: no run goes on from another one's checkpoint."""
        return self.scratch(kind) / json_digest(decides)[:16]

    def card(self, kind: Kind, result: TrainingResult) -> Card:
        """Return the card of an artifact of this spec; letters count for its ``trained_through`` too."""
        split = self.spec.split
        days = [example.available_at for example in (*result.train, *result.valid)]
        return Card(
            kind=kind,
            name=f"{self.spec.name}-{kind}",
            base=result.base,
            template=result.template,
            target=self.spec.corpus.target,
            recipe={"split": split.model_dump(mode="json"), **result.recipe},
            train=span_of(result.train),
            valid=span_of(result.valid) if result.valid else None,
            trained_through=max(self.bins.fitted_through, result.seen_through, *days),
            protocol=split.protocol,
            data=self._source(result.train),
            seed=int(result.recipe.get("seed", 0)),
            versions=versions_of(_LIBRARIES),
            command=self.command,
            metrics=dict(result.metrics),
            calibration=result.calibration,
        )

    def _source(self, train: Sequence[Example]) -> DataSource:
        source: DataSource = {
            "source": self.spec.data.source,
            "symbols": sorted({example.query.symbol for example in train}),
            "fingerprint": self.prices.digest,
        }
        if self.prices.dropped:
            source["dropped_bars"] = self.prices.drop_counts
        return source

    @cached_property
    def _frames(self) -> dict[str, pd.DataFrame]:
        return dict(self.prices.select(self.spec.data.symbols).frames)

    def _examples(self, part: SplitPart) -> list[Example]:
        examples = examples_of(self._frames, self.spec.corpus.target, self.spec.corpus.lookback, part)
        if not examples:
            raise DataError(
                f"no {part.name} example from {part.first} to {part.last} for {len(part.symbols)} symbols; "
                "move data.start, split.valid_from or data.end"
            )
        return examples


def span_of(examples: Sequence[Example]) -> Span:
    """Return the first and the last day of the examples' queries, and how many there are."""
    days = [example.query.as_of for example in examples]
    return Span(first=min(days), last=max(days), queries=len(days))
