"""Where a warm step of a walk-forward begins: the last step's weights, which days it draws, and what it may not forget.

    last step's RankLM ─► all its weights, or LoRA on frozen ones ─► windows of days by age ─► loss + EWC's penalty

Elastic weight consolidation (Kirkpatrick et al. 2017, arXiv 1612.00796) adds ``weight / 2 x sum of F (w - w*)²``: F is
the diagonal of the Fisher information of the weights w* of the step before, on the days that it trained on. For the
squared error that is learned here, a Gaussian likelihood of variance 1/2, it is twice the mean squared derivative of
the score: the penalty of weight 1 is the second-order expansion of the old days' error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ragsignal.config import WalkForwardSpec
from ragsignal.data import Letters
from ragsignal.llm.rank_model import RankLM
from ragsignal.training.examples import age_chances
from ragsignal.training.ranks.checkpoint import Weights
from ragsignal.types import BoolArray

_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")  # those of a Llama block
_WINDOWS = 48  # windows of days that the Fisher information is estimated on: each weight's to about a fifth


@dataclass(frozen=True)
class OldDays:
    """What the step before trained on, of which the Fisher information is estimated.

    Parameters
    ----------
    letters : (n_days, n_symbols, n_factors) uint8
    known : (n_days, n_symbols) bool
        Its training labels.
    days, stocks : int
        Size of a window.
    """

    letters: Letters
    known: BoolArray
    days: int
    stocks: int

    def windows(self, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Letters (n, n_days, n_factors) of stocks in a window, and which of its days have labels (n, n_days)."""
        rows = np.flatnonzero(self.known.any(axis=1))
        rng = np.random.default_rng([seed, len(rows)])
        for _ in range(_WINDOWS):
            first = int(rng.integers(rows[0], max(rows[0], rows[-1] - self.days + 1) + 1))
            days = slice(first, first + self.days)
            there = np.flatnonzero(self.known[days].any(axis=0))
            chosen = rng.choice(there, min(self.stocks, len(there)), replace=False)
            letters = np.ascontiguousarray(self.letters[days][:, chosen].transpose(1, 0, 2))
            yield torch.from_numpy(letters), torch.from_numpy(self.known[days][:, chosen].T.copy())


@dataclass(frozen=True)
class WarmStart:
    """How one seed goes on.

    Parameters
    ----------
    trunk : RankLM
        The step before's.
    walk : WalkForwardSpec
        Its keys ``warm_...``, ``replay``, ``half_life`` and ``ewc``.
    last : int
        Row of the last day that the step before trained on.
    old : OldDays
    seed : int
    """

    trunk: RankLM
    walk: WalkForwardSpec
    last: int
    old: OldDays
    seed: int

    def begin(self) -> Any:
        """The weights of the step before in a model of its own, with what may be trained marked so."""
        model: Any = deepcopy(self.trunk).train()
        if self.walk.warm_weights == "all":
            return model.requires_grad_(True)
        from peft import LoraConfig, inject_adapter_in_model

        model.requires_grad_(False)
        rank = self.walk.warm_rank
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(_LAYERS))
        return inject_adapter_in_model(config, model)

    def draw(self, rng: np.random.Generator, first: int, latest: int, end: int) -> int:
        """First row of a window of training days.

        Parameters
        ----------
        rng : numpy.random.Generator
        first, latest : int
            Bounds of the answer, both inclusive.
        end : int
            Last row that may be trained on.
        """
        firsts = np.arange(first, latest + 1)
        ages = end - np.minimum(firsts + self.old.days - 1, end)
        if not self.walk.replay:
            new = ages < end - self.last
            firsts, ages = firsts[new], ages[new]
            return int(rng.choice(firsts))
        return int(rng.choice(firsts, p=age_chances(ages, self.walk.half_life)))

    def penalty(self, model: Any) -> Any:
        """What EWC adds to the error: 0 where its weight is 0."""
        if not self.walk.ewc:
            return 0.0
        return self.walk.ewc * ewc_penalty(changes(model, self._anchor), self._importance)

    @cached_property
    def _anchor(self) -> Weights:
        return {name: it.detach() for name, it in self.trunk.named_parameters()}

    @cached_property
    def _importance(self) -> Weights:
        return importance(deepcopy(self.trunk), self.old.windows(self.seed), self.seed)


def importance(model: Any, windows: Iterable[tuple[Tensor, Tensor]], seed: int) -> Weights:
    """Diagonal of the Fisher information of a model's weights for its squared error: 2 x mean of (d score / d w)².

    The squares of all scores' derivatives come from one backward pass a window: each score has a random sign, and the
    products of different scores' derivatives, whose signs are independent, cancel on average.

    Parameters
    ----------
    model : RankLM
        Its weights have to have gradients.
    windows : iterable of (letters, known)
        As :meth:`OldDays.windows`.
    seed : int
        Of the signs.
    """
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(True)
    total = {name: torch.zeros_like(it) for name, it in model.named_parameters()}
    count = 0
    for letters, known in windows:
        signs = torch.randint(0, 2, known.shape, generator=generator) * 2.0 - 1.0
        model.zero_grad()
        (model(letters) * signs)[known].sum().backward()
        count += int(known.sum())
        for name, weight in model.named_parameters():
            if weight.grad is not None:  # what reads hits takes no part
                total[name] += weight.grad**2
    return {name: 2.0 * it / count for name, it in total.items()}


def ewc_penalty(moved: Weights, importances: Weights) -> Any:
    """Half the sum of ``importance x change²`` over all weights that moved: EWC's penalty of weight 1."""
    return sum((importances[name] * change**2).sum() for name, change in moved.items()) / 2.0


def changes(model: Any, anchor: Weights) -> Weights:
    """How far each weight that is trained is from where it began, by the names of ``anchor``; with gradients."""
    adapted = dict(_adapted(model))
    if adapted:
        return {f"{name}.weight": layer.get_delta_weight("default") for name, layer in adapted.items()}
    return {name: it - anchor[name] for name, it in model.named_parameters() if it.requires_grad}


def plain_weights(model: Any) -> Weights:
    """The weights of a model without LoRA that scores as this one does: what LoRA learned is added in float32."""
    adapted = dict(_adapted(model))
    if not adapted:
        weights: Weights = model.state_dict()
        return weights
    plain = {name.replace(".base_layer.", "."): it for name, it in model.state_dict().items() if ".lora_" not in name}
    with torch.no_grad():
        for name, layer in adapted.items():
            plain[f"{name}.weight"] = plain[f"{name}.weight"] + layer.get_delta_weight("default")
    return plain


def _adapted(model: Any) -> Iterator[tuple[str, Any]]:
    """Layers with LoRA, by name."""
    return ((name, it) for name, it in model.named_modules() if hasattr(it, "get_delta_weight"))
