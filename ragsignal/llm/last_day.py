"""StockLLM asked about the last day alone: what other days need of each layer is worked out, and nothing more.

    letters ─► embeddings, of the first case of a stock and what other cases change ─┐
        whole windows: each layer on the days that the last one sees through it ◄────┤
        last days alone: the days before, once a stock, as keys and values ◄─────────┴─► states of the last day

The decoder itself (:class:`ragsignal.llm.rank_model.RankLM`) scores every day of a window. Where its norms' weights and
its rotations stand next to a matrix they are multiplied into it, so that states differ in the last digits of a float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ragsignal.data import RANK_LETTERS

_CASES = 1024  # single days that are read at once: their activations stay in the cache
_WINDOWS = 64  # windows that are read at once, likewise


@dataclass(frozen=True, eq=False)
class _Layer:
    """Matrices of a layer, those of attention by the place of a day, as they rotate what they make.

    ``query`` (days, hidden, hidden), outputs first, scaled as attention asks; ``key_value`` (days, 2 x hidden, hidden)
    likewise; ``out`` (hidden, hidden), ``wide`` (hidden, 2 x inner) and ``down`` (inner, hidden), inputs first.
    """

    query: Tensor
    key_value: Tensor
    out: Tensor
    wide: Tensor
    down: Tensor
    epsilon: float

    def normed(self, x: Tensor) -> Tensor:
        """Without the norm's weights, which stand in the matrices."""
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.epsilon)

    def finished(self, x: Tensor, attended: Tensor) -> Tensor:
        """What leaves the layer, (..., hidden), by what came into it and what was attended to."""
        x = x + attended @ self.out
        gate, up = (self.normed(x) @ self.wide).chunk(2, dim=-1)
        return x + (nn.functional.silu(gate) * up) @ self.down


class LastDay:
    """The last day as copies of the language model see it.

    Parameters
    ----------
    models : sequence of RankLM
        Of one shape, ready to read. Their weights are copied: whoever trains them on makes another one.
    """

    def __init__(self, models: Sequence[Any]) -> None:
        config = models[0].config
        self._before, self._heads, self._hidden = config.window - 1, config.num_attention_heads, config.hidden_size
        self._days = config.num_hidden_layers * self._before + 1
        self._table = torch.cat([model.decoder.embed_tokens.weight for model in models], dim=1)
        self._seeds = [_layers(model.decoder, self._days, self._heads) for model in models]
        self._norms = [model.decoder.norm for model in models]

    def of_windows(self, days: Tensor, owner: Tensor) -> list[Tensor]:
        """States of the last of some days, of each model (m, hidden).

        Parameters
        ----------
        days : (memory, m, n_factors) uint8
        owner : (m,) int64
            Cases of one owner stand side by side, and should differ in few letters.
        """
        starts = range(0, len(owner), _WINDOWS)
        parts = [self._of_windows(days[:, it : it + _WINDOWS], owner[it : it + _WINDOWS]) for it in starts]
        return [torch.cat(of_seed) for of_seed in zip(*parts, strict=True)]

    def of_last(self, before: Tensor, owner: Tensor, last: Tensor) -> list[Tensor]:
        """States of last days that follow on days read once a stock, of each model (m, hidden).

        Parameters
        ----------
        before : (memory - 1, n, n_factors) uint8
        owner : (m,) int64
            The stock of each case.
        last : (m, n_factors) uint8
        """
        past, order = self._past(before), torch.argsort(owner, stable=True)
        states = [self._table.new_empty(len(owner), self._hidden) for _ in self._seeds]
        for start in range(0, len(order), _CASES):
            block = order[start : start + _CASES]
            read = self._of_last(past, owner[block], last[block])
            for kept, of_seed in zip(states, read, strict=True):
                kept[block] = of_seed
        return states

    def _of_windows(self, days: Tensor, owner: Tensor) -> list[Tensor]:
        states = []
        for seed, norm, x in zip(self._seeds, self._norms, self._embedded(days, owner), strict=True):
            for layer in seed:
                x, _ = self._through(layer, x, self._days)
            states.append(norm(x[0]))
        return states

    def _past(self, before: Tensor) -> list[list[Tensor]]:
        """Keys and values of each model and layer, (window - 1, 2 x hidden, n), of the days before the last."""
        stocks = torch.arange(before.shape[1], device=before.device)
        past = []
        for seed, x in zip(self._seeds, self._embedded(before, stocks), strict=True):
            layers = []
            for layer in seed:
                x, kept = self._through(layer, x, self._days - 1)
                layers.append(kept[len(kept) - self._before :])
            past.append(layers)
        return past

    def _through(self, layer: _Layer, x: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """A layer on days (k, m, hidden), the last before place ``end``; and keys and values, (k, 2 x hidden, m).

        The first ``window - 1`` days leave nothing else: what comes after the layer does not see them.
        """
        held = len(x)
        wanted = max(held - self._before, 0)
        normed = layer.normed(x).transpose(1, 2)
        kept = torch.bmm(layer.key_value[end - held : end], normed)
        query = torch.bmm(layer.query[end - wanted : end], normed[held - wanted :])
        attended = self._attended(query, kept) if wanted else query
        return layer.finished(x[held - wanted :], attended.transpose(1, 2)), kept

    def _attended(self, query: Tensor, kept: Tensor) -> Tensor:
        """What days attend to, (k, hidden, m): each to ``window`` of the days of ``kept``, itself the last.

        Cases come last: in products of so few days and numbers a head they are what is worth doing at once.
        """
        cases = query.shape[-1]
        keys, values = (
            half.view(len(half), self._heads, -1, cases).unfold(0, self._before + 1, 1).movedim(-1, 1)
            for half in kept.chunk(2, dim=1)
        )
        weights = (query.view(len(query), 1, self._heads, -1, cases) * keys).sum(dim=3).softmax(dim=1)
        return (weights.unsqueeze(3) * values).sum(dim=1).flatten(1, 2)

    def _of_last(self, past: list[list[Tensor]], owner: Tensor, last: Tensor) -> list[Tensor]:
        """As :meth:`of_last`, of cases in the order of their owners."""
        stocks, number, counts = torch.unique_consecutive(owner, return_inverse=True, return_counts=True)
        first, most = torch.cumsum(counts, 0) - counts, int(counts.max())
        slot = number * most + torch.arange(len(owner), device=owner.device) - first[number]
        states = []
        embedded = self._embedded(last[None], owner)
        for seed, layers, norm, (x,) in zip(self._seeds, past, self._norms, embedded, strict=True):
            for layer, known in zip(seed, layers, strict=True):
                x = self._one_day(layer, x, known[:, :, stocks], slot, most)
            states.append(norm(x))
        return states

    def _one_day(self, layer: _Layer, x: Tensor, past: Tensor, slot: Tensor, most: int) -> Tensor:
        """A layer on last days (m, hidden), that of stock i and its case c at slot i x most + c.

        ``past`` (window - 1, 2 x hidden, n) holds keys and values of their stocks: as many cases of each are asked at
        once, of slots without a case in vain.
        """
        normed, (days, _, stocks) = layer.normed(x), past.shape
        query, key, value = (
            part.view(len(x), self._heads, -1)
            for part in (normed @ torch.cat([layer.query[-1], layer.key_value[-1]]).T).chunk(3, dim=1)
        )
        keys, values = (
            half.reshape(days, self._heads, self._hidden // self._heads, stocks) for half in past.chunk(2, dim=1)
        )
        slots = query.new_zeros(stocks * most, *query.shape[1:])
        slots[slot] = query
        asked = slots.view(stocks, most, *query.shape[1:]).transpose(1, 2)
        known = (asked @ keys.permute(3, 1, 2, 0)).transpose(1, 2).flatten(0, 1)[slot]
        weights = torch.cat([known, (query * key).sum(dim=-1, keepdim=True)], dim=-1).softmax(dim=-1)
        slots = query.new_zeros(stocks * most, self._heads, days)
        slots[slot] = weights[..., :-1]
        asked = slots.view(stocks, most, self._heads, days).transpose(1, 2)
        attended = (asked @ values.permute(3, 1, 0, 2)).transpose(1, 2).flatten(0, 1)[slot]
        return layer.finished(x, (attended + weights[..., -1:] * value).flatten(1))

    def _embedded(self, days: Tensor, owner: Tensor) -> tuple[Tensor, ...]:
        """Sums of the embeddings of the letters of days (k, m, n_factors), of each model (k, m, hidden).

        The first case of each owner is summed up; others are that one and what they change of it.
        """
        known, cases, factors = days.shape
        offset = torch.arange(factors, device=days.device) * (RANK_LETTERS + 1)
        _, number, counts = torch.unique_consecutive(owner, return_inverse=True, return_counts=True)
        first = days[:, torch.cumsum(counts, 0) - counts]
        whole = nn.functional.embedding_bag((first.long() + offset).flatten(0, 1), self._table, mode="sum")
        alike = first[:, number]
        day, case, factor = torch.nonzero(days != alike, as_tuple=True)
        now, before = (it[day, case, factor].long() + offset[factor] for it in (days, alike))
        change = self._table[now] - self._table[before]
        sums = (
            whole.view(known, len(counts), self._table.shape[1])[:, number]
            .flatten(0, 1)
            .index_add_(0, day * cases + case, change)
        )
        return sums.view(known, cases, self._table.shape[1]).chunk(len(self._seeds), dim=-1)


def _layers(decoder: Any, days: int, heads: int) -> list[_Layer]:
    """The layers of a decoder, with the weights of their norms and the rotations of ``days`` places worked in."""
    places = torch.arange(days, device=decoder.norm.weight.device)[None]
    cosine, sine = (it[0, :, None, :, None] for it in decoder.rotary_emb(decoder.norm.weight, places))

    def rotated(weight: Tensor) -> Tensor:
        by_head = weight.view(heads, -1, weight.shape[1])
        low, high = by_head.chunk(2, dim=1)
        turned: Tensor = by_head * cosine + torch.cat([-high, low], dim=1) * sine
        return turned.flatten(1, 2)

    def made(layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        before, between = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        key, value = rotated(attention.k_proj.weight * before), (attention.v_proj.weight * before)
        return _Layer(
            query=rotated(attention.q_proj.weight * before) * attention.scaling,
            key_value=torch.cat([key, value.expand(days, -1, -1)], dim=1),
            out=attention.o_proj.weight.T.contiguous(),
            wide=(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]) * between).T.contiguous(),
            down=mlp.down_proj.weight.T.contiguous(),
            epsilon=layer.input_layernorm.variance_epsilon,
        )

    return [made(layer) for layer in decoder.layers]
