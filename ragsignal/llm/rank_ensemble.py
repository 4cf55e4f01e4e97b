"""Copies of the language model on rank letters, trained from different seeds: their mean is StockLLM's score."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.artifacts import check_fit, reading
from ragsignal.data import Letters
from ragsignal.errors import ModelError
from ragsignal.llm.changed_letters import Changed, ChangedDays
from ragsignal.llm.device import checked_device, computing
from ragsignal.llm.rank_hits import HitFeatures
from ragsignal.types import FloatArray, Recipe
from ragsignal.utils import libraries_of, quiet_loading

_REPAIR = "train it again: ragsignal train stockllm SPEC"
_STOCKS = 256  # sequences that are read at once: their activations stay in the cache


def memory_of(layers: int, window: int) -> int:
    """Days that a score depends on, its own included, where a day sees ``window`` days in each layer."""
    return layers * (window - 1) + 1


def seed_folders(folder: Path) -> list[Path]:
    """Folders of an artifact's models, one a seed; raises ``ModelError`` where there is none."""
    folders = sorted(folder.glob("seed-*"))
    if not folders:
        raise ModelError(f"{folder} holds no folder seed-0 with a model on rank letters; {_REPAIR}")
    return folders


def _loaded(folder: Path) -> Any:
    from ragsignal.llm.rank_model import RankLM

    load: Any = RankLM.from_pretrained
    with reading(folder, "a model on rank letters", _REPAIR):
        model, loaded = load(str(folder), local_files_only=True, output_loading_info=True)
    check_fit(folder, "the model of its config.json", loaded["missing_keys"], loaded["unexpected_keys"], _REPAIR)
    return model


class RankEnsemble:
    """StockLLM on ranks; loaded at the first reading.

    Parameters
    ----------
    folders : sequence of Path
        One a seed, each written by ``save_pretrained``.
    device : {"cpu", "cuda"}
        Used as asked; a missing GPU raises.
    threads : int, optional
        At most; by default as many as there are free cores.
    """

    def __init__(self, folders: Sequence[Path], device: str = "cpu", threads: int | None = None) -> None:
        self._folders = folders
        self._device = device
        self._threads = threads

    @classmethod
    def of(cls, models: Sequence[Any]) -> RankEnsemble:
        """Return an ensemble of models that are there already, on the CPU."""
        ensemble = cls([])
        ensemble.models = list(models)
        ensemble.memory = memory_of(models[0].config.num_hidden_layers, models[0].config.window)
        return ensemble

    @cached_property
    def models(self) -> list[Any]:
        """The models, in float32, ready to read."""
        device = checked_device(self._device)
        with quiet_loading():
            return [_loaded(folder).to(device).eval() for folder in self._folders]

    @cached_property
    def memory(self) -> int:
        """Days that a score depends on, its own included."""
        # not through transformers: a run whose signals are all stored needs no torch, which takes five seconds
        path = self._folders[0] / "config.json"
        with reading(path, "the config of a model on rank letters", _REPAIR):
            config = json.loads(path.read_text(encoding="utf-8"))
            return memory_of(config["num_hidden_layers"], config["window"])

    @property
    def computed_with(self) -> Recipe:
        """The device, and what computes."""
        return {"device": self._device, "libraries": libraries_of("torch", "transformers")}

    def scores(self, letters: Letters, states: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        """Score every stock on every day, in one pass a model.

        Parameters
        ----------
        letters : (n_days, n_symbols, n_factors) uint8
        states : optional
            Not looked at.

        Returns
        -------
        (n_days, n_symbols) float64
            Those of the first ``memory - 1`` days saw fewer days than all others.
        """
        import torch

        parts = []
        for start in range(0, letters.shape[1], _STOCKS):
            block = np.ascontiguousarray(letters[:, start : start + _STOCKS].transpose(1, 0, 2))
            tokens = torch.from_numpy(block).to(self._device)
            with torch.inference_mode(), computing(self._threads):
                total = sum(model(tokens).double() for model in self.models)
            parts.append((total / len(self.models)).cpu().numpy().T)
        return np.concatenate(parts, axis=1)

    def scores_and_states(self, letters: Letters) -> tuple[FloatArray, list[Any]]:
        """:meth:`scores`, and the state of each stock on each day: of each model (n_days, n_symbols, hidden_size)."""
        import torch

        totals: list[Any] = []
        states: list[list[Any]] = [[] for _ in self.models]
        for start in range(0, letters.shape[1], _STOCKS):
            block = np.ascontiguousarray(letters[:, start : start + _STOCKS].transpose(1, 0, 2))
            tokens = torch.from_numpy(block).to(self._device)
            total: Any = 0.0
            with torch.inference_mode(), computing(self._threads):
                for kept, model in zip(states, self.models, strict=True):
                    seen = model.states(tokens)
                    total = total + model.head(seen).squeeze(-1).double()
                    kept.append(seen.transpose(0, 1))
            totals.append((total / len(self.models)).cpu().numpy().T)
        return np.concatenate(totals, axis=1), [torch.cat(parts, dim=1) for parts in states]

    def last_scores(self, changed: Changed, state: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        """Scores of letters that are not the universe's, (m,)."""
        return self.last_scores_and_states(changed)[0]

    def last_scores_and_states(self, changed: Changed) -> tuple[FloatArray, list[Any]]:
        """:meth:`last_scores`, and the state of each case: of each model (m, hidden_size).

        Of :class:`ChangedLetters` the days before are read once for each stock, and not once for each case.
        """
        import torch

        def sent(letters: Any) -> Any:
            return torch.from_numpy(np.ascontiguousarray(letters)).to(self._device)

        if not len(changed):
            return np.empty(0), [torch.empty(0, model.config.hidden_size) for model in self.models]
        with torch.inference_mode(), computing(self._threads):
            if isinstance(changed, ChangedDays):
                states = self._last_day.of_windows(sent(changed.days), sent(changed.owner))
            else:
                states = self._last_day.of_last(sent(changed.before), sent(changed.owner), sent(changed.last))
            heads = [model.head(seen).squeeze(-1).double() for model, seen in zip(self.models, states, strict=True)]
        return (sum(heads) / len(heads)).cpu().numpy(), states

    @cached_property
    def _last_day(self) -> Any:
        import torch

        from ragsignal.llm.last_day import LastDay

        with torch.inference_mode():
            return LastDay(self.models)

    def copies(self) -> list[Any]:
        """The models once more, for adapters to be laid upon."""
        return [copy.deepcopy(model) for model in self.models]

    def scores_with_hits(self, letters: Letters, hits: HitFeatures) -> FloatArray:
        """Score stocks on the last of their days, each with its own hits.

        Parameters
        ----------
        letters : (n, n_days, n_factors) uint8
        hits : (n, k, n_features) float32

        Returns
        -------
        (n,) float64
        """
        import torch

        parts = []
        for start in range(0, len(letters), _STOCKS):
            block = slice(start, start + _STOCKS)
            tokens = torch.from_numpy(np.ascontiguousarray(letters[block])).to(self._device)
            features = torch.from_numpy(hits[block]).to(self._device)
            with torch.inference_mode(), computing(self._threads):
                total = sum(model(tokens, model.hit_embedding(features))[:, -1].double() for model in self.models)
            parts.append((total / len(self.models)).cpu().numpy())
        return np.concatenate(parts)
