"""A random text classifier of two layers: the real loading code at no cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ragsignal.utils import quiet_loading

WORDS = (
    *("profit", "loss", "up", "down", "beats", "misses", "the", "of", "a"),
    *("deal", "court", "new", "old", "record", "weak", "strong"),
)
SAYS = ("negative", "neutral", "positive")


def tiny_classifier(folder: Path, labels: tuple[str, ...] = SAYS, kind: str = "bert", **config: Any) -> Path:
    """A random BERT or RoBERTa that reads 16 tokens, with a head of these labels, saved beside its tokenizer."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    # a RoBERTa counts its 16 positions from behind the padding, whose id is 1
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape |= {"vocab_size": len(WORDS) + 5, "max_position_embeddings": 18 if kind == "roberta" else 16}
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: place for place, label in enumerate(labels)}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = AutoConfig.for_model(kind, **shape, **names, **config, pad_token_id=1, initializer_range=0.5)
        AutoModelForSequenceClassification.from_config(made).save_pretrained(folder)
    tiny_words().save_pretrained(folder)
    return folder


def tiny_sentences(folder: Path) -> Path:
    """A random BERT of two layers that reads letters, as a sentence-transformers folder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ":", "_", "adj", "close", "volume", *"abcdefghijklmnop"]
    (folder / "vocab.txt").write_text("\n".join(words))
    shape: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(words), max_position_embeddings=32, **shape)).save_pretrained(
            folder / "bert"
        )
        BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
        modules = [Transformer(str(folder / "bert")), Pooling(32), Normalize()]
        SentenceTransformer(modules=modules, device="cpu").save(str(folder / "sentence"))
    return folder / "sentence"


def tiny_words() -> Any:
    """A tokenizer of whole words, with BERT's signs around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    signs = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    raw = Tokenizer(models.WordLevel({word: place for place, word in enumerate([*signs, *WORDS])}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    raw.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, mask_token="[MASK]", **named)
