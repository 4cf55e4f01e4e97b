"""A spec whose symbols are all named: the first thing that a study or a training does with its spec."""

from __future__ import annotations

from typing import TypeVar

from ragsignal.config import RunSpec, TrainSpec
from ragsignal.data import Prices, name_symbols
from ragsignal.utils import Progress, silent

Spec = TypeVar("Spec", RunSpec, TrainSpec)


def with_symbols(spec: Spec, progress: Progress = silent) -> tuple[Spec, Prices | None]:
    """``spec`` with the names of its symbols, those of the trainings in it too; prices, if any had to be read.

    A spec that names its symbols comes back as it is, so that doing this twice is the same as once.

    Raises
    ------
    ConfigError, DataError
        As :func:`ragsignal.data.name_symbols`.
    """
    prices = None
    if spec.data.unnamed:
        data, prices = name_symbols(spec.data, spec.corpus.symbols, progress)
        spec = spec.model_copy(update={"data": data})
    if isinstance(spec, RunSpec) and spec.walk_forward is not None:
        train, _ = with_symbols(spec.walk_forward.train)
        spec = spec.model_copy(update={"walk_forward": spec.walk_forward.model_copy(update={"train": train})})
    if isinstance(spec, RunSpec) and spec.methods is not None:
        train, _ = with_symbols(spec.methods.train)
        spec = spec.model_copy(update={"methods": spec.methods.model_copy(update={"train": train})})
    return spec, prices
