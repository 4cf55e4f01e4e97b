"""Random models of two layers: the real loading code at no cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_TEXT = (
    "Stock moves by day, from A (big fall) to P (big rise), and what came next.\nadj_close: volume: rise fall freeze\n"
)


def tiny_tokenizer() -> Any:
    """Byte pairs learned from a prompt: any text can be written, and each label is one token."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    learn = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator([_TEXT * 4], learn)
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=1024)


def tiny_llama(folder: Path, tokenizer: Any, context: int = 128) -> Path:
    """A random llama with two layers of width 32, saved beside its tokenizer."""
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=context, **shape)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
