"""FinSeer for days as an artifact: the metric, and the days of the universe that it was trained on.

    days.safetensors     calendar, market, dispersion; payoffs and the day that made them known, for each horizon
    metric.safetensors   mean, scale, matrix, decay

The days are data as much as weights: with them a user's query of 2011 retrieves 2002. Each is only seen by queries of
the day on which its payoffs were known, or later.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from ragsignal.artifacts import Artifact, reading
from ragsignal.data import RANK_FACTORS, STATE_FORMULAS, MarketDays
from ragsignal.errors import ModelError
from ragsignal.retrieval.state_metric import StateMetric
from ragsignal.types import Recipe
from ragsignal.utils import json_digest

DAYS_RECIPE: Recipe = {
    "candidates": "days/1",
    "factors": json_digest(list(RANK_FACTORS)),
    "states": json_digest(STATE_FORMULAS),
}
"""What is retrieved; an artifact of another one is refused."""

_DAYS, _METRIC = "days.safetensors", "metric.safetensors"
_REPAIR = "train it again: ragsignal train days SPEC"
_NEVER = -1  # for NaT


class FinseerDays:
    """A trained metric with its days.

    Parameters
    ----------
    artifact : Artifact
        Of kind ``finseer-days``.

    Raises
    ------
    ModelError
        If it was trained for other factors or states.
    """

    def __init__(self, artifact: Artifact) -> None:
        artifact.check_template(DAYS_RECIPE)
        self.artifact = artifact

    @cached_property
    def metric(self) -> StateMetric:
        """The metric."""
        path = self.artifact.folder / _METRIC
        with reading(path, "a metric of market states", _REPAIR):
            held = load_file(path)
            return StateMetric(held["mean"], held["scale"], held["matrix"], float(held["decay"][0]))

    def days(self, horizon: int) -> MarketDays:
        """The days, with payoffs over ``horizon`` bars.

        Raises
        ------
        ModelError
            If it holds none over so many bars.
        """
        path = self.artifact.folder / _DAYS
        with reading(path, "days with their payoffs", _REPAIR):
            return self._days_of(load_file(path), horizon)

    def _days_of(self, held: Mapping[str, NDArray[Any]], horizon: int) -> MarketDays:
        if f"payoffs-{horizon}" not in held:
            there = sorted(int(name.partition("-")[2]) for name in held if name.startswith("payoffs-"))
            raise ModelError(
                f"{self.artifact.ref} holds what factors paid over {there} bars, and corpus.horizon is {horizon}; take "
                "one of these, or own_days = true"
            )
        known = held[f"known-{horizon}"]
        available_at = known.astype("datetime64[D]")
        available_at[known == _NEVER] = np.datetime64("NaT")
        return MarketDays(
            days=held["days"].astype("datetime64[D]"),
            market=held["market"],
            dispersion=held["dispersion"],
            stocks=held[f"stocks-{horizon}"],
            payoffs=held[f"payoffs-{horizon}"].astype(np.float64),
            available_at=available_at,
            horizon=horizon,
        )


def save_finseer_days(folder: Path, metric: StateMetric, tables: Mapping[int, MarketDays]) -> None:
    """Write the files of an artifact: ``tables`` by horizon, all of one universe.

    Payoffs lose half of their digits: seven are left, as many as they are rounded to.
    """
    first = next(iter(tables.values()))
    held: dict[str, NDArray[Any]] = {
        "days": first.days.astype(np.int64),
        "market": first.market,
        "dispersion": first.dispersion,
    }
    for horizon, table in tables.items():
        known = table.available_at.astype(np.int64)
        held[f"known-{horizon}"] = np.where(np.isnat(table.available_at), _NEVER, known)
        held[f"payoffs-{horizon}"] = table.payoffs.astype(np.float32)
        held[f"stocks-{horizon}"] = table.stocks
    save_file(held, folder / _DAYS)
    parts = {"mean": metric.mean, "scale": metric.scale, "matrix": metric.matrix, "decay": np.array([metric.decay])}
    save_file({name: np.ascontiguousarray(part) for name, part in parts.items()}, folder / _METRIC)
