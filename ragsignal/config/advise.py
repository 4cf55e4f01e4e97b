"""The table of the ladder: which sizes of StockLLM on ranks are trained on which shares of the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field, field_validator

from ragsignal.config.tables import AtLeastOne, Table

_LEAST_WIDTH = 8  # that of `ranks.hidden`


class AdviseTraining(Table):
    """Sizes and amounts of data that ``ragsignal train advise`` compares.

    ``sizes`` are values of ``ranks.hidden``; layers, heads and window stay those of ``[ranks]``, so that every size
    sees as many days. ``fractions`` are shares of the training days, the latest ones. Each point is trained for
    ``steps`` steps with ``seeds`` seeds. ``bootstrap`` is how often validation days are drawn anew.
    """

    sizes: tuple[int, ...] = Field(default=(8, 16, 32, 64, 128), strict=False)
    fractions: tuple[float, ...] = Field(default=(0.125, 0.25, 0.5, 1.0), strict=False)
    steps: AtLeastOne = 1000
    seeds: int = Field(default=2, ge=2)
    bootstrap: int = Field(default=1000, ge=100)

    @field_validator("sizes")
    @classmethod
    def _check_sizes(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        _check_distinct_three(
            "sizes", sizes, "a curve over fewer has no lowest point; write sizes = [8, 16, 32, 64, 128]"
        )
        if min(sizes) < _LEAST_WIDTH:
            raise ValueError(f"{min(sizes)} is no width of a model; {_LEAST_WIDTH} is the least")
        return tuple(sorted(sizes))

    @field_validator("fractions")
    @classmethod
    def _check_fractions(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        _check_distinct_three(
            "fractions", fractions, "two make no slope with an error; write fractions = [0.25, 0.5, 1.0]"
        )
        outside = [share for share in fractions if not 0.0 < share <= 1.0]
        if outside:
            raise ValueError(f"{outside[0]:g} is no share of the training days; above 0 and at most 1 was expected")
        if max(fractions) != 1.0:
            raise ValueError("the whole corpus is not among them, and it is the one to advise on; add 1.0")
        return tuple(sorted(fractions))


def _check_distinct_three(what: str, values: Sequence[float], why: str) -> None:
    twice = [value for value, times in Counter(values).items() if times > 1]
    if twice:
        raise ValueError(f"{twice[0]:g} stands there twice; name each of the {what} once")
    if len(values) < 3:
        raise ValueError(f"{len(values)} {what}, and at least 3 were expected: {why}")
