"""Checkpoints of a training that is evaluated now and then: weights, their average, the best ones, and the optimizer.

One safetensors file: a tensor's key is ``PART/NAME``, and ``optimizer/NUMBER.NAME`` of the optimizer's moments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ragsignal.utils import write_file

Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stands after ``step`` steps; ``history`` are its evaluations."""

    model: Weights
    average: Weights
    best: Weights
    step: int
    history: list[float]

    def save(self, path: Path, optimizer: torch.optim.Optimizer) -> None:
        """Write it, and the optimizer's moments, in the place of an older one."""
        moments = {
            f"{number}.{name}": tensor
            for number, state in optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        parts = {"model": self.model, "average": self.average, "best": self.best, "optimizer": moments}
        tensors = {f"{part}/{name}": tensor for part, held in parts.items() for name, tensor in held.items()}
        progress = {"progress": json.dumps([self.step, self.history])}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, lambda scratch: save_file(tensors, scratch, progress))


def load_checkpoint(path: Path, optimizer: torch.optim.Optimizer) -> Checkpoint | None:
    """Read what :meth:`Checkpoint.save` wrote, the moments into ``optimizer``; None where nobody wrote it."""
    if not path.is_file():
        return None
    parts: dict[str, Weights] = {"model": {}, "average": {}, "best": {}, "optimizer": {}}
    with safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 - a file, not a mapping
            part, _, name = key.partition("/")
            parts[part][name] = file.get_tensor(key)
        step, history = json.loads(file.metadata()["progress"])
    state: dict[int, Weights] = {}
    for key, tensor in parts.pop("optimizer").items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return Checkpoint(**parts, step=step, history=history)


def add_to_average(average: Weights, weights: Weights, decay: float, step: int) -> None:
    """Move an exponential moving average, which begins as a plain mean, towards the weights of a step."""
    keep = min(decay, step / (step + 19))
    with torch.no_grad():
        for name, tensor in weights.items():
            average[name].mul_(keep).add_(tensor, alpha=1 - keep)
