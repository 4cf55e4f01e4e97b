"""The loss of a supervised contrast: windows of one class near each other, those of others far.

    L = mean over i of -sum_p w_ip log( exp(z_i z_p / t) / sum_{a != i} exp(z_i z_a / t) ) / sum_p w_ip

With weights of 0 and 1 that is Khosla and others (2020), arXiv 2004.11362, eq. 2, as pytorch-metric-learning has it.
Its release 2.9 has no form for several labels; with the share of labels that two windows have in common as weight
(Jaccard's index, as arXiv 2309.11895 weighs recordings with several labels) the same loss serves.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor, nn

from ragsignal.config import FinseerTraining


class OverlapContrast(SupConLoss):  # type: ignore[misc]  # the library carries no types
    """Supervised contrast where windows with one of two labels in common are positives by a third.

    Parameters
    ----------
    buckets : int
        A class is the movement times ``buckets``, plus the state.
    temperature : float
    """

    def __init__(self, buckets: int, temperature: float) -> None:
        super().__init__(temperature=temperature)
        self._buckets = buckets

    def compute_loss(self, embeddings: Tensor, labels: Tensor, *_: Any) -> Any:
        """Weigh each pair, and leave the rest to the library."""
        weights = overlaps(labels, self._buckets).to(embeddings.dtype).fill_diagonal_(0.0)
        others = 1.0 - torch.eye(len(labels), dtype=embeddings.dtype)
        return self._compute_loss(self.distance(embeddings, embeddings), weights, others - weights)


def overlaps(labels: Tensor, buckets: int) -> Tensor:
    """Jaccard's index of the label sets {movement, state} of every two windows: (n, n) of 1, 1/3 and 0."""
    parts = torch.stack([labels // buckets, labels % buckets], dim=1)
    shared = (parts[:, None] == parts[None]).sum(dim=2)
    return shared / (4 - shared)


def contrast_loss(buckets: int, settings: FinseerTraining) -> nn.Module:
    """Return the loss of (n, dim) embeddings and (n,) classes that ``settings`` ask for."""
    if settings.positives == "overlap":
        return OverlapContrast(buckets, settings.temperature)
    loss: nn.Module = SupConLoss(temperature=settings.temperature)
    return loss
