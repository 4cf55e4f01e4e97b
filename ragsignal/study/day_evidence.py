"""What a signal of retrieved days was made of, for people: the market's state, the days, and what paid on them.

retriever, day ─► state, and how unusual it is ─┐
              └─► days ─► pooled payoffs ───────┴─► DayEvidence ─► x factors of a stock: contributions
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from ragsignal.config import Variant
from ragsignal.data import FACTOR_WORDS, RANK_FACTORS, STATE_FORMULAS, DayHits, factor_values
from ragsignal.llm import letters_of, pooled_payoffs
from ragsignal.protocols import Retriever
from ragsignal.retrieval import DayRetriever
from ragsignal.study.study import Study
from ragsignal.types import Hit, MarketDay

_PERCENT = "\u202f%"  # after a narrow no-break space
_UNUSUAL = 0.2  # share of days beyond which a variable is called high or low


@dataclass(frozen=True)
class StateValue:
    """One variable of a market's state, and how unusual it was.

    Parameters
    ----------
    name : str
        One of :data:`ragsignal.data.STATE_FORMULAS`.
    value : float
    z : float
        Standard deviations from the mean of the days that could be retrieved.
    below : float
        Share of these days with a lower value.
    """

    name: str
    value: float
    z: float
    below: float

    @property
    def text(self) -> str:
        """The value in per cent a day."""
        value = math.exp(self.value) if self.name.startswith("dispersion") else self.value
        number = _signed(100 * value, 2) if self.name.startswith("trend") else f"{100 * value:.2f}"
        return f"{number}{_PERCENT}"

    @property
    def standing(self) -> str:
        """How it compares with the other days."""
        side, share = ("higher", self.below) if self.below >= 0.5 else ("lower", 1.0 - self.below)
        return f"{side} than on {100 * share:.0f}{_PERCENT}"


@dataclass(frozen=True, eq=False)
class DayEvidence:
    """What was retrieved as of one day.

    Parameters
    ----------
    as_of : date
    visible : int
        Days that could be retrieved.
    state : tuple of 8 StateValue
    hits : DayHits
        Nearest first, then the most unlike.
    pooled : dict of str to float
        By factor what it paid on these days, unlike ones with a minus sign: see
        :func:`ragsignal.llm.pooled_payoffs`.
    """

    as_of: date
    visible: int
    state: tuple[StateValue, ...]
    hits: DayHits
    pooled: dict[str, float]

    @property
    def alike(self) -> int:
        """Number of days that were retrieved as like the query's."""
        return int((self.hits.scores >= 0.0).sum())

    def contributions(self, letters: str) -> dict[str, float]:
        """By factor a stock's value times the pooled payoff; ``letters`` are the stock's of the day, as text."""
        values = factor_values(letters_of(letters))
        return {name: float(it) for name, it in zip(self.pooled, values * list(self.pooled.values()), strict=True)}


def day_evidence(retriever: Retriever, as_of: date) -> DayEvidence | None:
    """Collect what ``retriever`` finds as of the close of a day; None where it finds nothing, or finds no days."""
    if not isinstance(retriever, DayRetriever):
        return None
    hits, table = retriever.of_day(as_of), retriever.days
    row = table.row(as_of)
    if row is None or hits.known_through is None:
        return None
    seen = table.states[table.visible(as_of, retriever.embargo)]
    own = table.states[row]
    deviations = (own - seen.mean(axis=0)) / np.maximum(seen.std(axis=0), 1e-12)
    columns = (own.tolist(), deviations.tolist(), (seen < own).mean(axis=0).tolist())
    return DayEvidence(
        as_of=as_of,
        visible=len(seen),
        state=tuple(StateValue(*values) for values in zip(STATE_FORMULAS, *columns, strict=True)),
        hits=hits,
        pooled=dict(zip(RANK_FACTORS, pooled_payoffs(hits).tolist(), strict=True)),
    )


def evidence_of_days(study: Study, variant: Variant, days: Sequence[date]) -> tuple[DayEvidence, ...]:
    """What a variant that reads days retrieves on each of ``days``, ascending; days without hits are left out."""
    found = []
    for parts, step_variant in study.steps(variant):
        within = [day for day in days if parts.spec.data.start <= day <= parts.spec.data.end]
        retriever = parts.day_retriever(step_variant.retrieval)
        found += [day_evidence(retriever, day) for day in within]
    return tuple(evidence for evidence in found if evidence is not None)


def market_in_words(state: Sequence[StateValue]) -> str:
    """Say how a market was: its direction, volatility and dispersion over 20 days, each among the days before it."""
    by_name = {value.name: value for value in state}
    trend, volatility, dispersion = (by_name[f"{name}_20"] for name in ("trend", "volatility", "dispersion"))
    return (
        f"the market was {_level(trend, 'falling', 'going sideways', 'rising')} over 20 days "
        f"(median stock {trend.text} a day: {trend.standing} of days before), "
        f"{_level(volatility, 'calm', 'of ordinary volatility', 'volatile')} "
        f"({volatility.text} a day: {volatility.standing}), and its stocks moved "
        f"{_level(dispersion, 'together', 'as differently as usual', 'far apart')} "
        f"(dispersion {dispersion.text} a day: {dispersion.standing})"
    )


def strongest(payoffs: Mapping[str, float], most: int) -> dict[str, float]:
    """The ``most`` of largest size, largest first."""
    return dict(sorted(payoffs.items(), key=lambda item: -abs(item[1]))[:most])


def both_ends(payoffs: Mapping[str, float], most: int) -> tuple[dict[str, float], dict[str, float]]:
    """Up to ``most`` that paid most, highest first, and as many that cost most, lowest first."""
    order = sorted(payoffs.items(), key=lambda item: -item[1])
    gains, costs = [item for item in order if item[1] > 0.0], [item for item in order[::-1] if item[1] < 0.0]
    return dict(gains[:most]), dict(costs[:most])


def payoffs_in_words(payoffs: Mapping[str, float], digits: int = 2) -> str:
    """Name factors with their payoffs: ``return of 20 days −0.21, beta, ...``."""
    return "; ".join(f"{FACTOR_WORDS[name]} {_signed(value, digits)}" for name, value in payoffs.items())


def hit_record(hit: Hit) -> dict[str, Any]:
    """A hit as plain data: its candidate's fields, and of a day its similarity, and what paid, in words.

    Parameters
    ----------
    hit : Hit

    Returns
    -------
    dict
        Of a sequence the fields of :class:`~ragsignal.types.Candidate`, with ``rank`` and ``score``. Of a day ``rank``,
        ``date``, ``similarity`` in (0, 1], ``unlike`` (whether it was retrieved as unlike, and is read with a minus
        sign), ``available_at``, ``stocks``, ``state`` and ``payoffs`` by name, and ``words``.
    """
    day = hit.candidate
    if not isinstance(day, MarketDay):
        return {"rank": hit.rank, "score": hit.score} | asdict(day) | {"movement": day.movement.word}
    payoffs = dict(zip(RANK_FACTORS, day.payoffs, strict=True))
    unlike = hit.score < 0.0
    similarity = hit.score + unlike
    paid, cost = both_ends(payoffs, 3)
    return {
        "rank": hit.rank,
        "date": day.day,
        "similarity": similarity,
        "unlike": unlike,
        "available_at": day.available_at,
        "stocks": day.stocks,
        "state": dict(zip(STATE_FORMULAS, day.state, strict=True)),
        "payoffs": payoffs,
        "words": f"{day.day}, {'unlike, ' if unlike else ''}similarity {similarity:.2f}, known on {day.available_at}: "
        f"paid {payoffs_in_words(paid) or 'nothing'}; cost {payoffs_in_words(cost) or 'nothing'}",
    }


def _level(value: StateValue, low: str, middle: str, high: str) -> str:
    if value.below <= _UNUSUAL:
        return low
    return high if value.below >= 1.0 - _UNUSUAL else middle


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")
