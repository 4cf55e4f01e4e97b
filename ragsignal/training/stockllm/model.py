"""A causal LM made trainable: the label head in the place of the output matrix, and a peft adapter in its layers.

bfloat16 weights stay as they are, the adapter is float32. It is never merged: merging into bf16 weights moves log-odds
by 0.2-0.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from safetensors.torch import load_file

from ragsignal.artifacts import Weights, check_fit
from ragsignal.config import StockLLMTraining
from ragsignal.llm import load_causal, load_tokenizer
from ragsignal.llm.head import LabelHead, label_tokens, pad_right
from ragsignal.utils import quiet_loading


class TokenRow(TypedDict):
    """One training example; ``target`` is 0 for a rise and 1 for a fall, the order of the label head."""

    input_ids: list[int]
    target: int


@dataclass(frozen=True)
class TrainableLLM:
    """A peft model that gives two logits a position, its tokenizer, and what the full-vocabulary loss needs.

    Parameters
    ----------
    model, tokenizer
        Of peft and of transformers.
    labels : list of int
        Token ids of (rise, fall).
    vocabulary : (n_tokens, width) tensor
        The frozen output matrix that the label head was cut from.
    """

    model: Any
    tokenizer: Any
    labels: list[int]
    vocabulary: torch.Tensor


def load_trainable(
    weights: Weights, words: tuple[str, str], dtype: str, training: StockLLMTraining, steps: int
) -> TrainableLLM:
    """Load a base model and lay a fresh adapter over it.

    Parameters
    ----------
    weights : Weights
    words : tuple of str
        The template's labels.
    dtype : {"bfloat16", "float32"}
        Of the frozen weights.
    training : StockLLMTraining
        Method and size of the adapter.
    steps : int
        Optimizer steps to come; AdaLoRA plans its budget over them.
    """
    from peft import get_peft_model

    tokenizer, model = load_tokenizer(weights), load_causal(weights, dtype)
    full, labels = model.get_output_embeddings(), label_tokens(tokenizer, words, weights.ref)
    model.set_output_embeddings(LabelHead(full, labels))
    model.config.use_cache = False
    with quiet_loading():
        adapted = get_peft_model(model, _peft_config(training, steps, model.config.get_text_config()))
    return TrainableLLM(adapted, tokenizer, labels, full.weight.detach())


def take_up(llm: TrainableLLM, folder: Path) -> None:
    """Go on with an adapter of the same shape that is there: the weights of an artifact of a reader of text.

    Raises
    ------
    ModelError
        If it is of another shape.
    """
    from peft import set_peft_model_state_dict

    found: Any = set_peft_model_state_dict(llm.model, load_file(folder / "adapter_model.safetensors"))
    missing = [name for name in found.missing_keys if ".lora_" in name]
    check_fit(folder, "the adapter of this training spec", missing, found.unexpected_keys, "delete it, and train again")


def collate(rows: Sequence[TokenRow], pad: int) -> dict[str, torch.Tensor]:
    """Rows to a batch: ``input_ids`` (batch, width), ``last`` (batch,), ``target`` (batch,)."""
    ids, last = pad_right([row["input_ids"] for row in rows], pad, "cpu")
    return {"input_ids": ids, "last": last, "target": torch.tensor([row["target"] for row in rows])}


def label_loss(llm: TrainableLLM, model: Any, batch: Mapping[str, torch.Tensor], full: float) -> tuple[Any, Any]:
    """Cross-entropy of the true label among the two, and the (batch, 2) float32 logits it came from.

    Parameters
    ----------
    llm : TrainableLLM
    model
        ``llm.model``, or what a Trainer wrapped around it.
    batch : mapping
        From :func:`collate`.
    full : float
        Weight of a second term, the cross-entropy of the label's token among all tokens (0: none).
    """
    out = model(input_ids=batch["input_ids"], output_hidden_states=full > 0)
    # virtual tokens, where there are any, stand in front of the text
    last = batch["last"] + (out.logits.shape[1] - batch["input_ids"].shape[1])
    rows = torch.arange(len(last), device=last.device)
    logits = out.logits[rows, last]
    loss = torch.nn.functional.cross_entropy(logits, batch["target"])
    if full:
        hidden = out.hidden_states[-1][rows, last]
        words = hidden @ llm.vocabulary.T.to(hidden)
        target = torch.tensor(llm.labels, device=last.device)[batch["target"]]
        loss = loss + full * torch.nn.functional.cross_entropy(words.float(), target)
    return loss, logits


def _peft_config(training: StockLLMTraining, steps: int, config: Any) -> Any:
    from peft import AdaLoraConfig, LoraConfig, PrefixTuningConfig

    if training.method == "prefix":
        return PrefixTuningConfig(num_virtual_tokens=training.virtual_tokens, task_type="CAUSAL_LM")
    shape = _shape(training, config)
    if training.method == "lora":
        return LoraConfig(r=training.rank, **shape)
    # ranks fall from 1.5 times the budget to the budget between a tenth and seven tenths of the steps
    return AdaLoraConfig(
        init_r=max(training.rank + 1, 3 * training.rank // 2),  # peft fails where no rank is to be taken away
        target_r=training.rank,
        tinit=steps // 10,
        tfinal=3 * steps // 10,
        deltaT=max(1, steps // 50),
        total_step=steps,
        **shape,
    )


def _shape(training: StockLLMTraining, config: Any) -> dict[str, Any]:
    """Return peft's arguments for the adapter's strength, and for which layers of which blocks get one."""
    shape = {"lora_alpha": training.alpha, "task_type": "CAUSAL_LM"}
    if not training.modules:
        return shape | {"target_modules": "all-linear"}
    blocks = int(config.num_hidden_layers)
    lowest = blocks - max(1, round(training.upper * blocks))
    return shape | {"target_modules": list(training.modules), "layers_to_transform": list(range(lowest, blocks))}
