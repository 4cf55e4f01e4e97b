"""A causal language model and its tokenizer, from verified weights; nothing is fetched, no tensor is made up."""

from __future__ import annotations

from typing import Any

from ragsignal.artifacts import Weights, check_fit, reading
from ragsignal.utils import quiet_loading

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_REPAIR = "copy the folder again from where it came, or name another llm.model"


def load_config(weights: Weights) -> Any:
    """The config of the text model; raises ``ModelError`` where transformers knows no such model."""
    from transformers import AutoConfig

    with quiet_loading(), reading(weights.ref, "the config of a language model", _REPAIR):
        return AutoConfig.from_pretrained(str(weights.folder), **_LOCAL).get_text_config()


def load_tokenizer(weights: Weights) -> Any:
    """The tokenizer; raises ``ModelError`` where it is missing or cannot be read."""
    from transformers import AutoTokenizer

    with quiet_loading(), reading(weights.ref, "a model with a tokenizer", _REPAIR):
        return AutoTokenizer.from_pretrained(str(weights.folder), **_LOCAL)


def load_causal(weights: Weights, dtype: str) -> Any:
    """The model, on the CPU.

    Parameters
    ----------
    weights : Weights
    dtype : {"bfloat16", "float32"}

    Raises
    ------
    ModelError
        If it is no causal language model, or its tensors are not all those, and only those, that its config describes:
        transformers would draw what is missing at random, and leave the rest out.
    """
    import torch
    from transformers import AutoModelForCausalLM

    load: Any = AutoModelForCausalLM.from_pretrained
    options = {"dtype": getattr(torch, dtype), "use_safetensors": True, "output_loading_info": True}
    with quiet_loading(), reading(weights.ref, "a causal language model", _REPAIR):
        model, loaded = load(str(weights.folder), **options, **_LOCAL)
    check_fit(weights.ref, "the model of its config.json", loaded["missing_keys"], loaded["unexpected_keys"], _REPAIR)
    return model
