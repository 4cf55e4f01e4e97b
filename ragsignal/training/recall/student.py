"""The language model of a recall that learns: titles and prefixes of what helped, weighted by how much it did.

The batch of a step follows from the seed and the step's number alone, so that a killed run that goes on from its last
checkpoint ends in the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ragsignal.config import RecallTraining
from ragsignal.retrieval import TITLE_TOKENS, CorpusTokens, Naming
from ragsignal.retrieval.recall.model import new_model, save_model, token_log_probabilities
from ragsignal.training.finseer.ranking import ScoredQuery
from ragsignal.training.finseer.teacher import is_tied
from ragsignal.training.ranks.checkpoint import Checkpoint, Weights, load_checkpoint
from ragsignal.types import IntArray
from ragsignal.utils import Steps

_LARGEST_GRADIENT = 1.0
_CHECKPOINT = "recall.safetensors"


@dataclass(frozen=True, eq=False)
class Lessons:
    """What is learned from: ``contexts`` (n, length), ``names`` (n, best, 2 + letters), ``weights`` (n, best)."""

    contexts: Tensor
    names: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.contexts)

    def part(self, places: NDArray[np.int64]) -> Lessons:
        """Some of them."""
        chosen = torch.from_numpy(places)
        return Lessons(self.contexts[chosen], self.names[chosen], self.weights[chosen])


def contexts_of(tokens: CorpusTokens, queries: Sequence[ScoredQuery]) -> IntArray:
    """(n, lookback + 2): what the model reads of queries, each as of its own day."""
    corpus, asked = tokens.corpus, [it.example.query for it in queries]
    seen = [corpus.visible(query.as_of) - 1 for query in asked]
    return tokens.of_queries(asked, np.asarray(corpus.available_at[seen]))


def lessons_of(
    tokens: CorpusTokens, queries: Sequence[ScoredQuery], settings: RecallTraining, shuffled: bool = False
) -> Lessons | None:
    """The best candidates of each query with a softmax of their scores; a query whose scores all tie is left out.

    Parameters
    ----------
    tokens : CorpusTokens
    queries : sequence of ScoredQuery
    settings : RecallTraining
    shuffled : bool
        Take the scores in another order: a teacher that knows nothing of the candidates.

    Returns
    -------
    Lessons
        None where every query ties.
    """
    taught = [it for it in queries if not is_tied(it.scores)]
    if not taught:
        return None
    best = min(settings.best, *(len(it.rows) for it in taught))
    scores = [it.shuffled if shuffled else it.scores for it in taught]
    orders = [np.argsort(-it, kind="stable")[:best] for it in scores]
    rows = np.array([it.rows[order] for it, order in zip(taught, orders, strict=True)])
    kept = np.array([it[order] for it, order in zip(scores, orders, strict=True)])
    names = tokens.of_rows(rows.ravel()).reshape(*rows.shape, -1)
    weights = torch.softmax(torch.from_numpy(kept / settings.teacher_temperature), dim=1)
    return Lessons(torch.from_numpy(contexts_of(tokens, taught)), torch.from_numpy(names), weights.float())


@dataclass
class RecallStudent:
    """A model that learns.

    Parameters
    ----------
    tokens : CorpusTokens
    settings : RecallTraining
    """

    tokens: CorpusTokens
    settings: RecallTraining
    _step: int = 0
    _best: Weights = field(default_factory=dict)
    _history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model: Any = new_model(self.tokens.vocabulary, self.settings)

    def fit(self, train: Lessons, valid: Lessons, folder: Path, progress: Steps) -> list[float]:
        """Learn, from the checkpoint in ``folder`` if there is one, and keep the weights of the best evaluation.

        Returns
        -------
        list of float
            The loss of ``valid`` at each evaluation, in nats a token.
        """
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._resume(folder, optimizer)
        while self._step < settings.steps and not self._has_stopped():
            self._learn(train, optimizer)
            if self._step % settings.eval_steps == 0 or self._step == settings.steps:
                self._evaluate(valid)
                checkpoint = Checkpoint(self.model.state_dict(), {}, self._best, self._step, self._history)
                checkpoint.save(folder / _CHECKPOINT, optimizer)
            progress(self._step, settings.steps)
        self.model.load_state_dict(self._best)
        return self._history

    def similarities(self, queries: Sequence[ScoredQuery]) -> list[NDArray[np.float64]]:
        """Return the (n_candidates,) scores of each query's candidates, 0.9 title and 0.1 prefix."""
        scores, share = [], Naming().title_weight
        contexts = torch.from_numpy(contexts_of(self.tokens, queries))
        with torch.inference_mode():
            for context, query in zip(contexts, queries, strict=True):
                names = torch.from_numpy(self.tokens.of_rows(query.rows))
                title, prefix, _ = _means(self.model, context[None], names[None], self._any_title)
                scores.append((share * title + (1 - share) * prefix)[0].numpy().astype(np.float64))
        return scores

    def write(self, folder: Path) -> None:
        """Save what :class:`ragsignal.retrieval.RecallReader` loads."""
        save_model(self.model, self.tokens.vocabulary, folder)

    @property
    def _any_title(self) -> int:
        return self.tokens.vocabulary.any_title

    def _learn(self, train: Lessons, optimizer: torch.optim.Optimizer) -> None:
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self._step])
        batch = train.part(rng.choice(len(train), min(settings.batch_size, len(train)), replace=False))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * self._step / settings.steps))
        optimizer.zero_grad()
        loss: Any = self._loss(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        self._step += 1

    def _loss(self, lessons: Lessons) -> Tensor:
        """Nats a token: of titles, of prefixes after their titles, and of prefixes after none, a third each."""
        parts = _means(self.model, lessons.contexts, lessons.names, self._any_title)
        return -(lessons.weights * torch.stack(parts).mean(dim=0)).sum(dim=1).mean()

    def _evaluate(self, valid: Lessons) -> None:
        with torch.inference_mode():
            value = float(self._loss(valid))
        if not self._history or value < min(self._history):
            self._best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self._history.append(value)

    def _has_stopped(self) -> bool:
        """Whether the last ``patience`` evaluations brought nothing better."""
        since_best = len(self._history) - 1 - int(np.argmin(self._history)) if self._history else 0
        return since_best >= self.settings.patience

    def _resume(self, folder: Path, optimizer: torch.optim.Optimizer) -> None:
        found = load_checkpoint(folder / _CHECKPOINT, optimizer)
        if found is not None:
            self.model.load_state_dict(found.model)
            self._best, self._step, self._history = found.best, found.step, found.history


def _means(model: Any, contexts: Tensor, names: Tensor, any_title: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean log-probabilities of a token, (n, m) each: of titles, of prefixes after them, and of prefixes after none.

    Parameters
    ----------
    model
    contexts : (n, length)
    names : (n, m, 2 + letters)
    any_title : int
        Token in the place of a title.
    """
    n, m, width = names.shape
    before = contexts[:, None].expand(n, m, -1).reshape(n * m, -1)
    flat = names.reshape(n * m, width)
    named = token_log_probabilities(model, torch.cat([before, flat], dim=1), width)
    untitled = torch.cat([before, torch.full((n * m, 1), any_title), flat[:, TITLE_TOKENS:]], dim=1)
    alone = token_log_probabilities(model, untitled, width - TITLE_TOKENS)
    parts = (named[:, :TITLE_TOKENS], named[:, TITLE_TOKENS:], alone)
    title, prefix, bare = (part.mean(dim=1).reshape(n, m) for part in parts)
    return title, prefix, bare
