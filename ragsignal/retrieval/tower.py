"""The network of the numeric encoder: one small tower that both queries and candidates go through.

    (features of a window, indicator) -> linear, GELU, linear, GELU, linear ──► + ──► unit vector
                   └───────────────────► linear: the direction of the window ───┘

Kept apart from :mod:`ragsignal.retrieval.numeric` because it needs torch, which is imported on first use only.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ragsignal.artifacts import reading
from ragsignal.data import QUERY_SEQUENCE

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
_NAME_DIM = 16


@dataclass(frozen=True)
class TowerConfig:
    """Shape of a tower: numbers a window, names of the indicators it knows, hidden units, output dimensions."""

    features: int
    sequences: tuple[str, ...]
    hidden: int
    dim: int

    @property
    def query_name(self) -> int:
        """The name of a query, after those of the indicators."""
        return len(self.sequences)


class Tower(nn.Module):
    """A multi-layer perceptron over a window's features and a learned vector of its indicator, beside a straight line.

    The line begins as the direction of the window's returns, and the perceptron as zero: an untrained tower retrieves
    by shape, and what little a few hundred queries teach is added to that.

    A query has a name of its own, which begins as that of ``adj_close``: were it to stay so, a query could never learn
    to be far from candidates that look like itself.

    Parameters
    ----------
    config : TowerConfig
    """

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.names = nn.Embedding(len(config.sequences) + 1, _NAME_DIM)
        self.layers = nn.Sequential(
            nn.Linear(config.features + _NAME_DIM, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.dim),
        )
        self.line = nn.Linear(config.features, config.dim, bias=False)

    def forward(self, features: Tensor, names: Tensor) -> Tensor:
        """(..., features) float32 and (...) int64 indices of names to (..., dim) float32 unit rows."""
        joined = torch.cat([features, self.names(names)], dim=-1)
        return nn.functional.normalize(self.layers(joined) + self.line(features), dim=-1)


def new_tower(config: TowerConfig, seed: int) -> Tower:
    """An untrained tower whose weights ``seed`` alone decides; the process's random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower = Tower(config)
        with torch.no_grad():
            _begin_with_shape(tower)
    with torch.no_grad():
        tower.names.weight[config.query_name] = tower.names.weight[config.sequences.index(QUERY_SEQUENCE)]
    return tower


def _begin_with_shape(tower: Tower) -> None:
    """Inner products of the line are those of windows over their deviation: z-scores, and the centre they lack."""
    last = tower.layers[-1]
    for parameter in last.parameters():
        parameter.zero_()
    window = tower.config.features - 2  # after the values: scale, which says nothing of the direction, and centre
    nn.init.orthogonal_(tower.line.weight)
    tower.line.weight[:, window] = 0.0
    tower.line.weight[:, window + 1] *= window**0.5


def save_tower(tower: Tower, folder: Path) -> None:
    """Write ``model.safetensors`` and ``config.json``."""
    save_file(tower.state_dict(), folder / WEIGHTS)
    text = json.dumps(dataclasses.asdict(tower.config), indent=1)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def load_tower(folder: Path) -> Tower:
    """Read what :func:`save_tower` wrote.

    Raises
    ------
    ModelError
        If the two files are not those of one tower.
    """
    with reading(folder, "a numeric encoder", "type: ragsignal train finseer SPEC"):
        raw = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tower = Tower(TowerConfig(**raw | {"sequences": tuple(raw["sequences"])}))
        tower.load_state_dict(load_file(folder / WEIGHTS))
    return tower.eval()
