"""Random models of two layers: the real loading code at no cost."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ragsignal.artifacts.artifact import Artifact, save_artifact
from ragsignal.artifacts.card import Card, Span
from ragsignal.config import BoostingTraining, RanksTraining, RecallTraining
from ragsignal.data.bins import Bins, shipped_bins
from ragsignal.data.factors import SEQUENCES
from ragsignal.data.news.factors import NEWS_FACTORS
from ragsignal.data.rank_factors import RANK_FACTORS
from ragsignal.data.rank_letters import RANK_LETTERS
from ragsignal.llm.rank_recipe import RANKS_RECIPE, STATES_RECIPE, news_recipe
from ragsignal.retrieval.numeric import EXTRA, READS
from ragsignal.retrieval.recall.titles import TitleVocabulary, letters_recipe
from ragsignal.retrieval.tower import TowerConfig, new_tower, save_tower
from ragsignal.training.ranks.boosting import fit_boosting
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import silent

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


TINY_VOCABULARY = TitleVocabulary(
    tuple(SEQUENCES), lookback=5, letters=3, trends=(-0.001, 0.001), movements=(0.015, 0.02)
)


def tiny_recall(
    folder: Path, seed: int = 0, vocabulary: TitleVocabulary = TINY_VOCABULARY, bins: Bins | None = None, **changes: Any
) -> Artifact:
    """An artifact of an untrained language model of one layer, with opinions far enough apart to rank by."""
    from ragsignal.retrieval.recall.model import new_model, save_model

    model = new_model(vocabulary, RecallTraining(hidden=8, heads=1, layers=1, seed=seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.nn.init.normal_(model.lm_head.weight)
    template = letters_recipe(shipped_bins() if bins is None else bins)
    recipe = {"lookback": vocabulary.lookback}
    card = rank_card("recall", **{"template": template, "target": "movement", "recipe": recipe, **changes})
    return save_artifact(folder, card, lambda scratch: save_model(model, vocabulary, scratch))


def rank_card(kind: str, **changes: Any) -> Card:
    """The card of something that reads rank letters."""
    days = Span(first=date(2010, 1, 4), last=date(2010, 2, 1), queries=2)
    fields: dict[str, Any] = {
        "kind": kind,
        "name": "untrained",
        "base": None,
        "template": RANKS_RECIPE,
        "target": "relative",
        "recipe": {},
        "train": days,
        "valid": None,
        "trained_through": date(2010, 2, 2),
        "protocol": "time",
        "data": {"source": "noise", "symbols": ["A"], "fingerprint": ""},
        "seed": 0,
        "versions": {},
        "command": "ragsignal train stockllm SPEC",
        "metrics": {},
    }
    return Card(**fields | changes)


def tiny_rank_llm(folder: Path, seeds: int = 2, hits: int = 0, **changes: Any) -> Artifact:
    """An artifact of untrained decoders of two layers that each see three days (memory 5), and hits of some numbers."""
    from ragsignal.llm.rank_model import RankLM, rank_config

    def write(scratch: Path) -> None:
        for seed in range(seeds):
            torch.manual_seed(seed)
            model: Any = RankLM(rank_config(RanksTraining(hidden=16, layers=2, heads=2, window=3), hits))
            torch.nn.init.normal_(model.head.weight)  # scores far enough apart to tell them from rounding
            model.save_pretrained(str(scratch / f"seed-{seed}"))

    with torch.random.fork_rng(devices=[]):
        return save_artifact(folder, rank_card("stockllm", **changes), write)


_SPEC = BoostingTraining(members=2, trees=6, leaves=4, least_rows=10)


def tiny_boosting(folder: Path, **changes: Any) -> Artifact:
    """An artifact of two small boostings of noise."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, RANK_LETTERS + 1, (400, len(RANK_FACTORS)), dtype=np.uint8)
    model = fit_boosting(rows, rng.normal(size=400), _SPEC, silent)
    return save_artifact(folder, rank_card("classifier", **changes), model.save)


def tiny_news_boosting(folder: Path, news: Recipe, **changes: Any) -> Artifact:
    """An artifact of two small boostings that follow the letter of the day's sentiment; ``news`` scored them."""
    rng = np.random.default_rng(0)
    factors = len(RANK_FACTORS) + len(NEWS_FACTORS)
    rows = rng.integers(0, RANK_LETTERS + 1, (2000, factors), dtype=np.uint8)
    targets = rows[:, len(RANK_FACTORS)] / 8.0 - 1.0 + rng.normal(0.0, 0.3, 2000)
    model = fit_boosting(rows, targets, _SPEC, silent)
    template = RANKS_RECIPE | news_recipe(news)
    return save_artifact(folder, rank_card("classifier", **{"template": template, **changes}), model.save)


def tiny_state_boosting(folder: Path, states: FloatArray, **changes: Any) -> Artifact:
    """An artifact of two small boostings that follow the first letter where the market rose, and its opposite else.

    ``states`` (n_days, 8) are days to draw from, without NaN.
    """
    rng = np.random.default_rng(0)
    rows = rng.integers(0, RANK_LETTERS + 1, (2000, len(RANK_FACTORS)), dtype=np.uint8)
    drawn = states[rng.integers(0, len(states), 2000)]
    rises = np.where(drawn[:, 0] > np.median(states[:, 0]), 1.0, -1.0)
    targets = rises * (rows[:, 0] / 8.0 - 0.5) + rng.normal(0.0, 0.3, 2000)
    model = fit_boosting(rows, targets, _SPEC, silent, drawn)
    template = RANKS_RECIPE | STATES_RECIPE
    return save_artifact(folder, rank_card("classifier", **{"template": template, **changes}), model.save)
