"""How StockLLM reads retrieved days: they are positions before the day's stocks, in the decoder with an adapter.

    retrieved days ─► letters of payoffs and state, similarity, age ─► k positions ─┐
    stocks of the day ─► letters, the trunk's state of its days ─► n positions ─┴► decoder + LoRA ─► change of score

A stock sees all retrieved days and itself; the days see each other. All stocks of a day share them, so a day is one
sequence. The trunk stays as it is: without hits nothing of this is asked, and the score is the trunk's own.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ragsignal.data import RANK_FACTORS, RANK_LETTERS, STATE_FORMULAS
from ragsignal.llm.rank_model import RankLM

FACTS = 3
"""Numbers of a hit beside its letters: similarity, whether it is unlike, age."""

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj")
"""What LoRA adapts."""


class DayAdapter(nn.Module):
    """Reads a day's hits upon a trunk.

    Parameters
    ----------
    trunk : RankLM
        A copy of its own: LoRA is laid into its decoder.
    decoder : Module
        ``trunk.decoder`` with LoRA.
    """

    def __init__(self, trunk: RankLM, decoder: Any) -> None:
        super().__init__()
        hidden = trunk.config.hidden_size
        self._trunk = [trunk]  # not a module of this one: its weights are not saved, nor trained
        self.decoder = decoder
        self.payoffs = nn.EmbeddingBag(len(RANK_FACTORS) * (RANK_LETTERS + 1), hidden, mode="sum")
        self.states = nn.EmbeddingBag(len(STATE_FORMULAS) * (RANK_LETTERS + 1), hidden, mode="sum")
        self.facts = nn.Linear(FACTS, hidden)
        self.entry = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, 1)
        for table in (self.payoffs, self.states):
            nn.init.normal_(table.weight, std=0.05)
        nn.init.zeros_(self.head.weight)  # it begins as the trunk
        nn.init.zeros_(self.head.bias)

    def forward(self, letters: Tensor, hidden: Tensor, payoffs: Tensor, states: Tensor, facts: Tensor) -> Tensor:
        """Change of the score of each stock.

        Parameters
        ----------
        letters : (n_days, n, n_factors) integer
            Of the stocks on each day.
        hidden : (n_days, n, hidden_size) float32
            The trunk's state of each stock at its last day.
        payoffs, states : (n_days, k, n_factors), (n_days, k, 8) integer
            Letters of the retrieved days.
        facts : (n_days, k, 3) float32

        Returns
        -------
        (n_days, n) float32
        """
        hits = _bag(self.payoffs, payoffs) + _bag(self.states, states) + self.facts(facts)
        stocks = self._trunk[0].embed(letters) + self.entry(hidden)
        count = hits.shape[1]
        seen = self.decoder(
            inputs_embeds=torch.cat([hits, stocks], dim=1),
            attention_mask=_mask(count, stocks.shape[1]).to(hits.device),
            position_ids=_places(count, stocks.shape[1]).to(hits.device),
            use_cache=False,
        ).last_hidden_state
        return cast(Tensor, self.head(seen[:, count:]).squeeze(-1))

    def own_weights(self) -> dict[str, Tensor]:
        """The weights beside LoRA's."""
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("decoder.")}


def with_lora(trunk: RankLM, rank: int, alpha: int) -> DayAdapter:
    """Return a fresh adapter upon a trunk, whose own weights it freezes."""
    from peft import LoraConfig, get_peft_model

    trunk.requires_grad_(False)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(LAYERS))
    return DayAdapter(trunk, get_peft_model(cast(Any, trunk.decoder), config))


def _bag(table: nn.EmbeddingBag, letters: Tensor) -> Tensor:
    """Sum of the embeddings of each position's letters: (n_days, k, hidden_size)."""
    days, count, width = letters.shape
    tokens = letters.long() + torch.arange(width, device=letters.device) * (RANK_LETTERS + 1)
    return cast(Tensor, table(tokens.view(days * count, width)).view(days, count, -1))


def _mask(hits: int, stocks: int) -> Tensor:
    """(1, 1, n, n): what is added to attention, 0 where a position is seen: all hits, and of the stocks oneself."""
    total = hits + stocks
    seen = torch.eye(total, dtype=torch.bool)
    seen[:, :hits] = True
    return torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]


def _places(hits: int, stocks: int) -> Tensor:
    """(1, n): hits have no order but their similarity, which is read; all stocks stand right after them."""
    return torch.cat([torch.zeros(hits, dtype=torch.long), torch.ones(stocks, dtype=torch.long)])[None]
