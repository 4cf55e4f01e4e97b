"""The language model on rank letters: a small Llama decoder in which one position is one day of one stock.

    letters of a day ─► sum of their embeddings ─► Llama decoder, each day sees ``window`` days ─► score of the day

Its vocabulary are the letters themselves (factor x letter), so a position is the sum of 41 tokens (of 44 with news), as
Kronos sums the sub-tokens of a bar (arXiv 2508.02739), and every position has a label, as in StockGPT (arXiv
2404.05101). Further positions (``prefix``) are seen by the last day alone: what is retrieved as of that day goes there.
An earlier day may not see it, as it was not known then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, PreTrainedModel

from ragsignal.config import RanksTraining
from ragsignal.data import RANK_FACTORS, RANK_LETTERS


class RankLM(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A Llama decoder over days, and a linear head that scores each of them.

    Parameters
    ----------
    config : LlamaConfig
        With three more entries: ``factors``, the names of the factors in the order of their letters; ``window``, how
        many days a day sees in each layer, itself included; ``hits``, how many numbers a hit has (0 or absent: it
        reads none, and has no ``hit_embedding``). Made by :func:`rank_config`.
    """

    config_class = LlamaConfig
    base_model_prefix = "decoder"

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__(config)
        self.decoder = LlamaModel(config)
        self.head = nn.Linear(config.hidden_size, 1)
        if getattr(config, "hits", 0):
            self.hit_embedding = nn.Linear(config.hits, config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, letters: Tensor, prefix: Tensor | None = None) -> Tensor:
        """Score every day.

        Parameters
        ----------
        letters : (n, n_days, n_factors) integer
            Oldest day first.
        prefix : (n, k, hidden_size) float32, optional
            What the last day sees besides the days, nearest first: hits through ``hit_embedding``. They stand at
            distances 1, 2, ... from the last day, however many days there are.

        Returns
        -------
        (n, n_days) float32
            Greater where the stock is the more likely to beat the day's median. A day at place p depends on the
            ``layers x (window - 1)`` days before it, and on no later one.
        """
        return cast(Tensor, self.head(self.states(letters, prefix)).squeeze(-1))

    def states(self, letters: Tensor, prefix: Tensor | None = None) -> Tensor:
        """What the decoder makes of every day, before the head: (n, n_days, hidden_size); see :meth:`forward`."""
        days = self.embed(letters)
        positions = days if prefix is None else torch.cat([prefix, days], dim=1)
        before = positions.shape[1] - days.shape[1]
        hidden = self.decoder(
            inputs_embeds=positions,
            attention_mask=_mask(before, days.shape[1], self.config.window).to(positions.device),
            position_ids=_places(before, days.shape[1]).to(positions.device),
            use_cache=False,
        ).last_hidden_state
        return cast(Tensor, hidden[:, before:])

    def embed(self, letters: Tensor) -> Tensor:
        """Sum the embeddings of each day's letters: (n, n_days, hidden_size)."""
        n, days, factors = letters.shape
        tokens = letters.long() + torch.arange(factors, device=letters.device) * (RANK_LETTERS + 1)
        table = self.decoder.embed_tokens.weight
        return nn.functional.embedding_bag(tokens.view(n * days, factors), table, mode="sum").view(n, days, -1)


def rank_config(spec: RanksTraining, hits: int = 0, factors: Sequence[str] = RANK_FACTORS) -> Any:
    """Return the config of a fresh model: 139,000 parameters by default; ``hits`` numbers a hit, 0 for no hits."""
    make: Any = LlamaConfig  # which takes entries of one's own
    return make(
        vocab_size=len(factors) * (RANK_LETTERS + 1),
        hidden_size=spec.hidden,
        intermediate_size=spec.hidden * 5 // 2,  # three matrices: as many weights as two of 4 x hidden have, nearly
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        max_position_embeddings=4096,
        initializer_range=0.05,
        factors=list(factors),
        window=spec.window,
        hits=hits,
    )


def _mask(before: int, days: int, window: int) -> Tensor:
    """(1, 1, n, n): what is added to attention, 0 where a position is seen.

    A day sees ``window`` days, the last one all ``before`` positions too; these see those before them.
    """
    place = torch.arange(before + days)
    row, column = place[:, None], place[None, :]
    own_kind = (row < before) == (column < before)
    recent = (row < before) | (row - column < window)
    seen = (row >= column) & ((own_kind & recent) | (row == before + days - 1) & (column < before))
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]


def _places(before: int, days: int) -> Tensor:
    """(1, n): places on the line of rotary embeddings, by which attention knows distances."""
    last = before + days - 1
    return torch.cat([last - 1 - torch.arange(before), torch.arange(before, before + days)])[None]
