"""Random models of two layers: the real loading code at no cost."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import torch

from ragsignal.artifacts.artifact import Artifact, save_artifact
from ragsignal.artifacts.card import Card, Span
from ragsignal.data.factors import SEQUENCES
from ragsignal.retrieval.numeric import EXTRA, READS
from ragsignal.retrieval.tower import TowerConfig, new_tower, save_tower

_TEXT = (
    "Stock moves by day, from A (big fall) to P (big rise), and what came next.\nadj_close: volume: rise fall freeze\n"
)


def tiny_tokenizer() -> Any:
    """Byte pairs learned from a prompt: any text can be written, and each label is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    learn = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator([_TEXT * 4], learn)
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=1024)


def tiny_llama(folder: Path, tokenizer: Any, context: int = 128) -> Path:
    """A random llama with two layers of width 32, saved beside its tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=context, **shape)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_finseer(
    folder: Path, seed: int = 0, sequences: tuple[str, ...] = tuple(SEQUENCES), **changes: Any
) -> Artifact:
    """An artifact of an untrained tower for windows of 5."""
    days = Span(first=date(2010, 1, 4), last=date(2010, 2, 1), queries=2)
    fields: dict[str, Any] = {
        "kind": "finseer-numeric",
        "name": "untrained",
        "base": None,
        "template": dict(READS),
        "target": "movement",
        "recipe": {},
        "train": days,
        "valid": None,
        "trained_through": date(2010, 2, 2),
        "protocol": "time",
        "data": {"source": "noise", "symbols": ["A"], "fingerprint": ""},
        "seed": seed,
        "versions": {},
        "command": "",
        "metrics": {},
    }
    tower = new_tower(TowerConfig(5 + EXTRA, sequences, hidden=16, dim=8), seed)
    with torch.random.fork_rng(devices=[]):  # a new tower knows shapes only: as if it had learned something
        torch.manual_seed(seed)
        torch.nn.init.normal_(tower.layers[-1].weight)
    return save_artifact(folder, Card(**fields | changes), lambda scratch: save_tower(tower, scratch))
