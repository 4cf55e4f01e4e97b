"""The output matrix cut down to the two label rows, in float32: the one head of training and of use.

The whole model keeps its own ``forward`` (Gemma and Cohere scale or cap the logits after the matrix, peft puts virtual
tokens before the text), but returns two logits a position instead of 49,152. float32, because a bfloat16 head leaves
18-30 distinct values among 200 scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ragsignal.errors import ModelError


class LabelHead(torch.nn.Module):
    """Two rows of an output matrix.

    Parameters
    ----------
    output : torch.nn.Module
        The model's output embeddings, with ``weight`` (vocabulary, width) and possibly ``bias``.
    labels : sequence of int, length 2
        Token ids of (rise, fall).
    """

    def __init__(self, output: Any, labels: Sequence[int]) -> None:
        super().__init__()
        rows = list(labels)
        bias = getattr(output, "bias", None)
        device = output.weight.device
        start = torch.zeros(len(rows), device=device) if bias is None else bias.detach()[rows].float()
        self.weight: torch.Tensor
        self.bias: torch.Tensor
        # Not persistent: an adapter's checkpoint shall not hold a piece of the base model.
        self.register_buffer("weight", output.weight.detach()[rows].float().clone(), persistent=False)
        self.register_buffer("bias", start.clone(), persistent=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """From (..., width) hidden states to (..., 2) float32 logits."""
        logits: torch.Tensor = torch.nn.functional.linear(hidden.float(), self.weight, self.bias)
        return logits


def label_tokens(tokenizer: Any, words: tuple[str, str], ref: str) -> list[int]:
    """First tokens of the two label words.

    Raises
    ------
    ModelError
        If both words begin with the same token.
    """
    first = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words]
    if first[0] == first[1]:
        raise ModelError(
            f"the labels {words} begin with the same token in {ref}'s vocabulary; choose another model or template"
        )
    return first


def pad_right(batch: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (batch, width) filled up on the right, and the position (batch,) of each row's last token.

    Under a causal mask no real token sees what stands right of it, so that no attention mask is needed.
    """
    width = max(map(len, batch))
    ids = torch.tensor([[*tokens, *([pad] * (width - len(tokens)))] for tokens in batch])
    return _moved(ids, device), _moved(torch.tensor([len(tokens) - 1 for tokens in batch]), device)


def _moved(numbers: torch.Tensor, device: Any) -> torch.Tensor:
    """On ``device``; to a GPU from pinned memory, so that the copy does not wait for the batch that is computed."""
    if torch.device(device).type != "cuda":
        return numbers.to(device)
    return numbers.pin_memory().to(device, non_blocking=True)
