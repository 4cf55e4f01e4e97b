"""The loss of the distillation, the same for both encoders: a function of embeddings and teacher scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss
from sentence_transformers.util import pairwise_cos_sim
from torch import Tensor
from torch.nn.functional import cross_entropy

from ragsignal.config import FinseerTraining


class Distillation(DistillKLDivLoss):
    """Share of KL times KL(teacher || student) plus the rest times InfoNCE, in nats, averaged over queries.

    Both are over a query's own candidates (arXiv 2502.05878, eq. 3-4; InfoNCE: the positive among its hard negatives).
    Other queries' candidates are no negatives, as they are in MultipleNegativesRankingLoss: queries of a block share
    their candidates, so that one query's positive would be another's negative, and scores are centred for each query,
    so that they say nothing across queries.

    Parameters
    ----------
    model : SentenceTransformer or None
        The student; None where only :meth:`compute_loss_from_embeddings` is called.
    settings : FinseerTraining
    """

    def __init__(self, model: Any, settings: FinseerTraining) -> None:
        super().__init__(
            model,
            similarity_fct=pairwise_cos_sim,
            student_temperature=settings.temperature,
            teacher_temperature=settings.teacher_temperature,
        )
        self.kl_share = {"kl": 1.0, "infonce": 0.0, "mix": settings.mix}[settings.loss]

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor) -> Tensor:
        """The loss of a batch.

        Parameters
        ----------
        embeddings : list of (n_queries, dim)
            Queries, positives, then one tensor for each place among the negatives.
        labels : (n_queries, n_candidates)
            Teacher scores of the positive and the negatives, in log-odds.
        """
        loss = torch.zeros((), dtype=embeddings[0].dtype)
        if self.kl_share > 0:
            # the parent multiplies by the square of the temperature (1/400 at 0.05), which would decide the mix
            kl = super().compute_loss_from_embeddings(embeddings, labels) / self.student_temperature**2
            loss = loss + self.kl_share * kl
        if self.kl_share < 1:
            loss = loss + (1 - self.kl_share) * self._contrast(embeddings)
        return loss

    def _contrast(self, embeddings: Sequence[Tensor]) -> Tensor:
        query, *candidates = embeddings
        near = torch.stack([pairwise_cos_sim(query, each) for each in candidates], dim=1)
        positives = torch.zeros(len(query), dtype=torch.int64)
        return cross_entropy(near / self.student_temperature, positives)
