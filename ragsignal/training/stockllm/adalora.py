"""What AdaLoRA needs beside its adapter: a term of its loss, and the state by which a killed training goes on.

peft saves an adapter cut to the ranks that are left. A training needs all of them, and how much each mattered so far.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

ADALORA_STATE = "adalora.safetensors"
_AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # of the importance of each rank, as peft calls them


def orthogonality(model: Any) -> torch.Tensor:
    """Distance of an adapter's factors from orthonormal ones, times its weight (Zhang et al. 2023, eq. 4).

    Without it a rank's importance says nothing, as its factors may have any length. peft adds it to losses that the
    base model computes itself alone, and ours is computed from the label logits.

    Parameters
    ----------
    model
        A peft model with an AdaLoRA adapter.
    """
    gaps = []
    for name, factor in model.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            square = factor @ factor.T if "lora_A" in name else factor.T @ factor
            gaps.append(torch.linalg.matrix_norm(square - torch.eye(len(square)).to(square)))
    weight: float = model.active_peft_config.orth_reg_weight
    return weight * torch.stack(gaps).mean()


def save_adalora(model: Any, folder: Path) -> None:
    """Write all that is trained, and the importance of each rank so far, into a checkpoint."""
    tensors = {f"weight:{name}": it for name, it in model.named_parameters() if it.requires_grad}
    for average in _AVERAGES:
        held = getattr(model.base_model.rankallocator, average)
        tensors |= {f"{average}:{name}": it for name, it in held.items()}
    plain = {name: it.detach().cpu().contiguous() for name, it in tensors.items()}
    pattern = json.dumps(model.active_peft_config.rank_pattern or {})
    save_file(plain, folder / ADALORA_STATE, metadata={"rank_pattern": pattern})


def load_adalora(model: Any, folder: Path) -> None:
    """Take up what :func:`save_adalora` wrote, in a model that was made as the one that it saved."""
    weights = dict(model.named_parameters())
    allocator = model.base_model.rankallocator
    allocator.reset_ipt()
    with safe_open(folder / ADALORA_STATE, framework="pt") as file, torch.no_grad():
        for key in file.keys():  # noqa: SIM118 - no mapping
            kind, _, name = key.partition(":")
            if kind == "weight":
                weights[name].copy_(file.get_tensor(key))
            else:
                getattr(allocator, kind)[name] = file.get_tensor(key).to(model.device)
        pattern = json.loads(file.metadata()["rank_pattern"])
    model.active_peft_config.rank_pattern = pattern or model.active_peft_config.rank_pattern
