"""StockLLM with retrieval: the trunk's score, what the adapter makes of the retrieved days, and their payoffs.

    score = trunk(last days) + weight x adapter(trunk's state, hits) + product x factors . pooled payoffs

The product is that of :class:`~ragsignal.llm.day_vote.DayVote`: attention weighs the days' payoffs, but does not
multiply them with a stock's factors. ``weight`` is what training found best on validation days; at 0 there are no
adapters, and nothing is asked of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_arrays

from ragsignal.artifacts import Artifact, reading
from ragsignal.data import DayHits, Letters, RankLetters
from ragsignal.errors import ModelError
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.changed_letters import Changed
from ragsignal.llm.day_hits import DAY_HITS_RECIPE, DayScales, day_features
from ragsignal.llm.day_scores import UniverseReader, as_days
from ragsignal.llm.day_vote import factor_product, products_without_each
from ragsignal.llm.device import checked_device, computing
from ragsignal.llm.rank_ensemble import RankEnsemble, seed_folders
from ragsignal.llm.rank_recipe import RANKS_RECIPE
from ragsignal.types import FloatArray, Hit, IntArray, Recipe

_REPAIR = "train it again: ragsignal train days SPEC"
_CASES = 2048  # stocks that an adapter reads at once: a copy of 600 hits for each 64 of them takes 20 MB
_BLOCK = 64  # days that the trunk reads together
_READER, _SCALES = "reader.json", "scales.safetensors"


class DayReader(UniverseReader):
    """Scores queries with retrieved days.

    Parameters
    ----------
    trunk : Artifact
        StockLLM on ranks.
    days : Artifact
        Of kind ``stockllm-days``, trained upon ``trunk``.
    universe : RankLetters
    device : {"cpu", "cuda"}
    threads : int, optional
        At most, of the trunk.

    Raises
    ------
    ModelError
        If ``days`` was trained for other letters or hits.
    """

    is_model = True

    def __init__(
        self, trunk: Artifact, days: Artifact, universe: RankLetters, device: str = "cpu", threads: int | None = None
    ) -> None:
        days.check_template(RANKS_RECIPE | DAY_HITS_RECIPE)
        self._trunk = RankEnsemble(seed_folders(trunk.folder), device, threads)
        super().__init__(universe, self._trunk.memory)
        self.ensemble = DayEnsemble(days.folder, self._trunk, device)
        self._days, self._trunk_digest = days, trunk.digest
        self._block: tuple[int, FloatArray, list[Any]] | None = None

    @property
    def recipe(self) -> Recipe:
        """Identity: both artifacts, what they read, and what computes."""
        return {
            "scorer": "day-reader/1",
            "trunk": self._trunk_digest,
            "artifact": self._days.digest,
            "batch": f"{_BLOCK} days",
            **RANKS_RECIPE,
            **DAY_HITS_RECIPE,
            **self._trunk.computed_with,
        }

    def of_universe(self, row: int, hits: DayHits) -> FloatArray:
        """Raw score of every stock on day number ``row``, (n_symbols,)."""
        there = np.flatnonzero(self.universe.ranked[row])
        first, scores, hidden = self._read(row // _BLOCK)
        states = [seed[row - first][there] for seed in hidden]
        letters = self.universe.letters[row, there]
        table = np.full(len(self.universe.symbols), np.nan)
        table[there] = self.ensemble.scores(letters, scores[row - first, there], states, hits, self._as_of(row))
        return table

    def of_stocks(self, letters: Letters, row: int, hits: DayHits) -> FloatArray:
        """Raw scores of stocks that are not of the universe."""
        scores, hidden = self._trunk.scores_and_states(letters)
        states = [seed[-1] for seed in hidden]
        return self.ensemble.scores(letters[-1], scores[-1], states, hits, self._as_of(row))

    def raw_of(self, changed: Changed, hits: Sequence[Hit]) -> FloatArray:
        """Raw scores of letters that are not the universe's."""
        days, (scores, hidden) = as_days(hits), self._trunk.last_scores_and_states(changed)
        parts = []
        for start in range(0, len(changed), _CASES):
            block = slice(start, start + _CASES)
            states = [seed[block] for seed in hidden]
            as_of = self._as_of(changed.row)
            parts.append(self.ensemble.scores(changed.last[block], scores[block], states, days, as_of))
        return np.concatenate(parts) if parts else scores

    def without_each(self, row: int, columns: IntArray, hits: DayHits, places: IntArray) -> FloatArray:
        """Raw scores without each hit: (k, n)."""
        first, scores, hidden = self._read(row // _BLOCK)
        letters, trunk = self.universe.letters[row, columns], scores[row - first, columns]
        states = [seed[row - first][columns] for seed in hidden]
        products = products_without_each(letters, hits, places)
        change = self.ensemble.changes_without_each(letters, states, hits, places, self._as_of(row))
        return np.asarray(trunk + self.ensemble.product * products + self.ensemble.weight * change)

    def chances(self, raw: FloatArray) -> FloatArray:
        """Calibrated as the adapter's card says."""
        return np.asarray(probability_of(calibrated(raw, self._days.card.calibration)))

    def _as_of(self, row: int) -> Any:
        return self.universe.days[row].item()

    def _read(self, block: int) -> tuple[int, FloatArray, list[Any]]:
        """First day, trunk's scores and states of a block of days; the last block is kept."""
        first = block * _BLOCK
        if self._block is None or self._block[0] != first:
            before = max(0, first - self.memory + 1)
            scores, hidden = self._trunk.scores_and_states(self.universe.letters[before : first + _BLOCK])
            self._block = first, scores[first - before :], [seed[first - before :] for seed in hidden]
        return self._block


class DayEnsemble:
    """The adapters of an artifact, one a seed of the trunk.

    Parameters
    ----------
    folder : Path
    trunk : RankEnsemble
    device : str
    """

    def __init__(self, folder: Path, trunk: RankEnsemble, device: str = "cpu") -> None:
        self._folder, self._trunk, self._device = folder, trunk, device

    @property
    def product(self) -> float:
        """What the product of factors and pooled payoffs is multiplied by."""
        return self._settings["product"]

    @property
    def weight(self) -> float:
        """What the adapters' change is multiplied by."""
        return self._settings["weight"]

    @cached_property
    def _settings(self) -> dict[str, float]:
        with reading(self._folder / _READER, "the numbers of a reader of days", _REPAIR):
            settings: dict[str, float] = json.loads((self._folder / _READER).read_text(encoding="utf-8"))
            return {name: float(settings[name]) for name in ("weight", "product")}

    @cached_property
    def scales(self) -> DayScales:
        """Scales of payoffs and states."""
        with reading(self._folder / _SCALES, "scales of payoffs and states", _REPAIR):
            return DayScales(**load_file(self._folder / _SCALES))

    @cached_property
    def adapters(self) -> list[Any]:
        """The adapters, ready to read."""
        from ragsignal.llm.day_weights import load_adapter

        device = checked_device(self._device)
        folders, trunks = seed_folders(self._folder), self._trunk.copies()
        if len(folders) != len(trunks):
            raise ModelError(
                f"{self._folder} has {len(folders)} adapters for a trunk of {len(trunks)} models; {_REPAIR}"
            )
        loaded = [load_adapter(folder, trunk) for folder, trunk in zip(folders, trunks, strict=True)]
        return [adapter.to(device).eval() for adapter in loaded]

    def scores(self, letters: Letters, trunk: FloatArray, states: list[Any], hits: DayHits, as_of: Any) -> FloatArray:
        """Raw scores of the stocks of a day.

        Parameters
        ----------
        letters : (n, n_factors) uint8
        trunk : (n,) float64
            Scores of the trunk.
        states : list of (n, hidden_size) tensors
            Its states, one a seed.
        hits : DayHits
        as_of : date

        Returns
        -------
        (n,) float64
        """
        return np.asarray(self.scores_of_each(letters, trunk, states, [hits], as_of)[0])

    def scores_of_each(
        self, letters: Letters, trunk: FloatArray, states: list[Any], sets: Sequence[DayHits], as_of: Any
    ) -> FloatArray:
        """:meth:`scores` with each of several sets of equally many hits: (n_sets, n)."""
        products = np.stack([factor_product(letters, hits) for hits in sets])
        scores: FloatArray = trunk + self.product * products
        return scores + self.weight * self._changes(letters, states, sets, as_of) if self.weight else scores

    def changes_without_each(
        self, letters: Letters, states: list[Any], hits: DayHits, places: IntArray, as_of: Any
    ) -> FloatArray:
        """What the adapters add without the hit at each of k places, (k, n): it is hidden, as each is read alone."""
        import torch

        stocks, hidden = np.repeat(np.arange(len(letters)), len(places)), np.tile(places, len(letters))
        total = np.zeros(len(stocks))
        if not self.weight:
            return total.reshape(len(letters), len(places)).T
        features = day_features(hits, as_of, self.scales)
        batch = [torch.from_numpy(it[None]).to(self._device) for it in (features.payoffs, features.facts)]
        tokens = torch.from_numpy(np.ascontiguousarray(letters)).to(self._device)
        with torch.inference_mode(), computing(1):
            for start in range(0, len(stocks), _CASES):
                block = slice(start, start + _CASES)
                own, left_out = (torch.from_numpy(it[block]).to(self._device) for it in (stocks, hidden))
                for adapter, state in zip(self.adapters, states, strict=True):
                    change = adapter(tokens[own][None], state[own][None], *batch, left_out)
                    total[block] += change[0].double().cpu().numpy()
        return (total / len(self.adapters)).reshape(len(letters), len(places)).T

    def _changes(self, letters: Letters, states: list[Any], sets: Sequence[DayHits], as_of: Any) -> FloatArray:
        """Mean of what the adapters add, (n_sets, n)."""
        import torch

        features = [day_features(hits, as_of, self.scales) for hits in sets]
        arrays = [np.stack([getattr(it, name) for it in features]) for name in ("payoffs", "facts")]
        batch = [torch.from_numpy(it).to(self._device) for it in arrays]
        tokens = torch.from_numpy(np.ascontiguousarray(letters)).to(self._device).expand(len(sets), -1, -1)
        total: Any = 0.0
        with torch.inference_mode(), computing(1):  # small passes gain nothing from a second
            for adapter, state in zip(self.adapters, states, strict=True):
                total = total + adapter(tokens, state.expand(len(sets), -1, -1), *batch).double()
        return np.asarray((total / len(self.adapters)).cpu().numpy(), dtype=np.float64)


def save_reader(folder: Path, weight: float, product: float, scales: DayScales) -> None:
    """Write what is beside the adapters."""
    (folder / _READER).write_text(json.dumps({"weight": weight, "product": product}), encoding="utf-8")
    save_arrays({"payoffs": scales.payoffs, "mean": scales.mean, "states": scales.states}, folder / _SCALES)
