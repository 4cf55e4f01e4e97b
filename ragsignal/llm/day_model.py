"""How StockLLM reads retrieved days: they are positions before the day's stocks, in the decoder with an adapter.

    retrieved days ─► letters of payoffs, state, similarity, age ─► k positions ─┐
    stocks of the day ─► letters, the trunk's state of its days ─► n positions ─┴► decoder + LoRA ─► change of score

A stock sees all retrieved days and itself. All stocks of a day share them, so that they are read once a day. The trunk
stays as it is: without hits nothing of this is asked, and the score is the trunk's own.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ragsignal.data import RANK_FACTORS, RANK_LETTERS, STATE_FORMULAS
from ragsignal.llm.rank_model import RankLM

FACTS = 3 + len(STATE_FORMULAS)
"""Numbers of a hit beside its letters: similarity, whether it is unlike, age, and the market's state."""

_GROUP = 64  # stocks that are one sequence behind the hits: each of them only sees itself and the hits

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
        self.facts = nn.Linear(FACTS, hidden)
        self.entry = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, 1)
        nn.init.normal_(self.payoffs.weight, std=0.05)
        nn.init.zeros_(self.head.weight)  # it begins as the trunk
        nn.init.zeros_(self.head.bias)

    def forward(
        self, letters: Tensor, hidden: Tensor, payoffs: Tensor, facts: Tensor, left_out: Tensor | None = None
    ) -> Tensor:
        """Change of the score of each stock.

        Parameters
        ----------
        letters : (n_days, n, n_factors) integer
            Of the stocks on each day.
        hidden : (n_days, n, hidden_size) float32
            The trunk's state of each stock at its last day.
        payoffs : (n_days, k, n_factors) integer
            Letters of the retrieved days.
        facts : (n_days, k, 11) float32
        left_out : (n,) integer, optional
            Of a single day: which hit each stock does not see.

        Returns
        -------
        (n_days, n) float32
        """
        hits = _bag(self.payoffs, payoffs) + self.facts(facts)
        stocks = self._trunk[0].embed(letters) + self.entry(hidden)
        days, count, width = stocks.shape
        groups = -(-count // _GROUP)
        padded = nn.functional.pad(stocks, (0, 0, 0, groups * _GROUP - count))
        seen = self.decoder(
            inputs_embeds=padded.view(days * groups, _GROUP, width),
            attention_mask=(_mask(hits.shape[1]) if left_out is None else _hiding(left_out, hits.shape[1], groups)).to(
                hits.device
            ),
            position_ids=torch.ones(1, _GROUP, dtype=torch.long, device=hits.device),
            past_key_values=self._read(hits, groups),
        ).last_hidden_state
        return cast(Tensor, self.head(seen).view(days, -1)[:, :count])

    def _read(self, hits: Tensor, groups: int) -> Any:
        """Keys and values of the hits of each day, once for each group of its stocks.

        Hits have no order but their similarity, which is read: all stand at place 0, and stocks at place 1. Each is
        read by itself: 600 that saw each other would take most of the time.
        """
        days, count, width = hits.shape
        known = self.decoder(
            inputs_embeds=hits.reshape(days * count, 1, width),
            position_ids=torch.zeros(1, 1, dtype=torch.long, device=hits.device),
            use_cache=True,
        ).past_key_values
        for layer in known.layers:
            layer.keys, layer.values = (
                it.view(days, count, it.shape[1], it.shape[3]).transpose(1, 2).repeat_interleave(groups, dim=0)
                for it in (layer.keys, layer.values)
            )
        return known

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


def _mask(hits: int) -> Tensor:
    """(1, 1, group, hits + group): what is added to attention, 0 where a stock sees: all hits, and itself."""
    others = torch.full((_GROUP, _GROUP), torch.finfo(torch.float32).min).fill_diagonal_(0.0)
    return torch.cat([torch.zeros(_GROUP, hits), others], dim=1)[None, None]


def _hiding(left_out: Tensor, hits: int, groups: int) -> Tensor:
    """(groups, 1, group, hits + group): :func:`_mask` of each group, where each stock does not see one of the hits."""
    mask = _mask(hits).repeat(groups, 1, 1, 1)
    stock = torch.arange(len(left_out))
    mask[stock // _GROUP, 0, stock % _GROUP, left_out.cpu()] = torch.finfo(torch.float32).min
    return mask
