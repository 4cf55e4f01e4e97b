"""What a search found, as it is judged, and the files that are left of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from ragsignal.alpha.evolution import Generation
from ragsignal.alpha.figures import WindowFigures
from ragsignal.alpha.windows import WindowName
from ragsignal.config import SearchSpec
from ragsignal.data import text_of
from ragsignal.utils import Record, plain

ALPHAS, RECORD = "alphas.toml", "search.json"
CLAIM_LEVEL = 0.05
"""A claim needs a corrected p-value below this."""


@dataclass(frozen=True)
class WindowDays:
    """The days of a window, and how many of its bars have labels that were known by its end."""

    name: WindowName
    first: date
    last: date
    labelled: int
    known_through: date


@dataclass(frozen=True)
class CandidateAlpha:
    """One of the best of the search, and how it did on the selection window; ``t`` has the sign of the search."""

    formula: str
    digest: str
    search_ic: float
    search_t: float
    selection_ic: float
    selection_t: float
    kept: bool


@dataclass(frozen=True)
class JudgedAlpha:
    """A formula that was judged on the holdout.

    Parameters
    ----------
    name, formula, digest : str
        A higher value ranks higher: the sign is that of the search window.
    known_through : date
        The last day on which a label that was looked at became known: nobody may trade it as new before the day after.
    windows : tuple of WindowFigures
        Search, selection, holdout.
    by_year : dict of int to float
        Mean rank correlation by calendar year.
    decay : tuple of float
        Mean rank correlation, on search and selection days, with what a single bar earns 1, 2, ... bars later.
    correlation : float
        The highest with another kept or known formula on search days.
    deflated_sharpe : float
        Probability that its Sharpe ratio on search and selection days, after costs, is above that of the best of as
        many worthless formulas as the search evaluated, each of either sign.
    p_holm : float
        Its holdout p-value, corrected for the number of formulas that were kept (Holm).
    claim : bool
        Whether it ranks what followed on holdout days better than chance.
    """

    name: str
    formula: str
    digest: str
    known_through: date
    windows: tuple[WindowFigures, ...]
    by_year: dict[int, float]
    decay: tuple[float, ...]
    correlation: float
    deflated_sharpe: float
    p_holm: float
    claim: bool

    @property
    def holdout(self) -> WindowFigures:
        """Figures of the window that judges."""
        return self.windows[-1]


@dataclass(frozen=True)
class Population:
    """What choosing the best of a population is worth.

    Parameters
    ----------
    formulas : int
        Of the last generation and the elite.
    overfitting : float
        Probability of backtest overfitting on search and selection days, before costs.
    overfitting_selection : float
        The same on selection days alone, which bred nothing.
    superior : float
        p of "none earns anything after costs" on selection days, which bred nothing (Hansen's test).
    """

    formulas: int
    overfitting: float
    overfitting_selection: float
    superior: float


@dataclass(frozen=True)
class Looks:
    """How often the holdout was looked at: formulas of this search, of others before it, and whether it is a repeat.

    ``p`` by name of a kept formula is its holdout p-value corrected for all of them, ``claims`` those that stand then.
    ``evaluated`` counts all trials on bars that share a day and a symbol with the search window, by any command, and
    ``deflated`` is the deflated Sharpe ratio of each over all of them: other searches of these days count.
    """

    own: int
    others: int
    repeated: bool
    p: dict[str, float]
    claims: tuple[str, ...]
    evaluated: int
    deflated: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchResult:
    """A whole search."""

    spec: SearchSpec
    prices: str
    windows: tuple[WindowDays, ...]
    evaluated: int
    dead: dict[str, int]
    generations: tuple[Generation, ...]
    candidates: tuple[CandidateAlpha, ...]
    kept: tuple[JudgedAlpha, ...]
    population: Population
    looks: Looks
    times: dict[str, Any]

    @property
    def claims(self) -> tuple[JudgedAlpha, ...]:
        """Kept formulas that stand, earlier looks at the holdout counted."""
        return tuple(it for it in self.kept if it.name in self.looks.claims)

    @property
    def verdict(self) -> str:
        """``found`` or ``not distinguishable from noise``."""
        return "found" if self.claims else "not distinguishable from noise"

    def record(self) -> Record:
        """What ``search.json`` holds: the same for the same spec and bars, but for ``times``."""
        body: dict[str, Any] = {
            "spec": self.spec.model_dump(mode="json", exclude={"out"}),  # where it lies decides nothing
            "prices": self.prices,
            "windows": self.windows,
            "evaluated": self.evaluated,
            "dead": self.dead,
            "generations": [_generation(it) for it in self.generations],
            "candidates": self.candidates,
            "kept": [asdict(it) for it in self.kept],
            "population": self.population,
            "times": {**self.times, "looks": self.looks, "verdict": self.verdict},
        }
        return dict(plain(body))


def _generation(it: Generation) -> Record:
    best = it.best
    shown = None if best is None else {"formula": text_of(best.formula), "ic": best.score.ic, "t": best.score.t}
    return {"number": it.number, "evaluated": it.evaluated, "alive": it.alive, "best": shown}
