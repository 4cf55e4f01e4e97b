"""What every training command starts from: a spec's data, its split, its examples, and where its results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from ragsignal.artifacts import Card, Kind, Span, Weights, resolve
from ragsignal.config import TrainSpec
from ragsignal.data import HORIZON, Bins, Prices, Split, calendar_of, make_split
from ragsignal.errors import DataError
from ragsignal.llm import Template
from ragsignal.retrieval import Corpus
from ragsignal.study import Materials
from ragsignal.training.examples import Example, examples_of
from ragsignal.utils import Progress, silent, versions_of

_LIBRARIES = ("torch", "transformers", "peft", "sentence-transformers", "scikit-learn", "numpy", "pandas")


@dataclass
class Bench:
    """The parts of one training spec, each made on first need.

    Parameters
    ----------
    spec : TrainSpec
    progress : callable, optional
        Told how far long work is: ``progress(what, done, total)``.
    command : str
        What was typed; it goes into the card.
    """

    spec: TrainSpec
    progress: Progress = silent
    command: str = ""

    @cached_property
    def materials(self) -> Materials:
        """Prices, corpus, letters and ranks."""
        return Materials(self.spec.data, self.spec.corpus)

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
        return self._examples("train")

    @cached_property
    def valid(self) -> list[Example]:
        """Validation examples, by day and symbol."""
        return self._examples("valid")

    def folder(self, kind: str) -> Path:
        """Where the artifact of a kind goes."""
        return self.spec.out / kind

    def scratch(self, kind: str) -> Path:
        """Where unfinished work of a kind waits for a rerun."""
        return self.spec.out / ".work" / kind

    def card(
        self,
        kind: Kind,
        recipe: dict[str, Any],
        metrics: dict[str, Any],
        *,
        base: dict[str, Any] | None,
        template: dict[str, Any],
        train: Sequence[Example],
        valid: Sequence[Example],
        watched: Sequence[Example] = (),
        calibration: dict[str, Any] | None = None,
    ) -> Card:
        """The card of an artifact of this spec.

        ``trained_through`` covers training, validation, letters, and ``watched``: what early stopping looked at.
        """
        seen = [it.available_at for it in (*train, *valid, *watched)] + [self.bins.fitted_through]
        data = self.spec.data
        return Card.model_validate(
            {
                "kind": kind,
                "name": f"{self.spec.name}-{kind}",
                "base": base,
                "template": template,
                "target": self.spec.corpus.target,
                "recipe": {"split": self.spec.split.model_dump(mode="json"), **recipe},
                "train": _span(train),
                "valid": _span(valid) if valid else None,
                "trained_through": max(seen),
                "protocol": self.spec.split.protocol,
                "data": {
                    "source": data.source,
                    "symbols": sorted({it.query.symbol for it in train}),
                    "fingerprint": self.prices.digest,
                },
                "seed": int(recipe.get("seed", 0)),
                "versions": versions_of(_LIBRARIES),
                "command": self.command,
                "metrics": metrics,
                "calibration": calibration,
            }
        )

    @cached_property
    def _frames(self) -> dict[str, Any]:
        return dict(self.prices.select(self.spec.data.symbols).frames)

    def _examples(self, name: str) -> list[Example]:
        part = self.split.train if name == "train" else self.split.valid
        found = examples_of(self._frames, self.spec.corpus.target, self.spec.corpus.lookback, part)
        if not found:
            raise DataError(
                f"no {name} example from {part.first} to {part.last} for {len(part.symbols)} symbols; "
                "move data.start, split.valid_from or data.end"
            )
        return found


def _span(examples: Sequence[Example]) -> Span:
    days: list[date] = [it.query.as_of for it in examples]
    return Span(first=min(days), last=max(days), queries=len(days))
