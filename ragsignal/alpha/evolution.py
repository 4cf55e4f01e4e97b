"""The loop: formulas are drawn, ranked on the search window, and the better ones have children.

It holds the search window's :class:`~ragsignal.alpha.scoring.FormulaScorer` and nothing else of the market. Every
generation has a generator of random numbers of its own, and workers only score, so that neither the number of processes
nor a kill changes what is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from ragsignal.alpha.grammar import Grammar
from ragsignal.alpha.journal import Line, SearchJournal
from ragsignal.alpha.levels import LevelProbe
from ragsignal.alpha.likeness import FormulaPool
from ragsignal.alpha.scoring import FormulaScore, FormulaScorer, Scored, dead_score, score_all
from ragsignal.alpha.variation import crossover, join, mutate
from ragsignal.alpha.windows import history_of
from ragsignal.config import AlphaSpec
from ragsignal.data import Formula, canonical, digest_of, parse, size, text_of
from ragsignal.parallel import Pool
from ragsignal.utils import Progress, silent

LEVELS = "levels"
"""Why a formula is left out that depends on the level of adjusted prices."""
_TRIES = 60  # draws for each place in a population, until there is nothing new to be drawn
_TOURNAMENT = 4
# shares of children that are drawn anew, join two formulas, or cross them; the rest are mutants
_FRESH, _JOINED, _CROSSED = 0.1, 0.15, 0.35
_CROWDED = 0.5  # what the fitness of a formula counts that is like a better one
_CHUNK = 16  # formulas that a worker scores together


@dataclass(frozen=True)
class Individual:
    """A formula and what it was worth on the search window."""

    formula: Formula
    digest: str
    score: FormulaScore

    @property
    def strength(self) -> float:
        """Size of the t-statistic: a formula that ranks upside down is as good as one that does not."""
        return abs(self.score.t)


@dataclass(frozen=True)
class Generation:
    """How far a search is: what whoever watches it is told after each generation."""

    number: int
    evaluated: int
    expected: int
    alive: int
    best: Individual | None


Watch = Callable[[Generation], None]


def watch_nothing(generation: Generation) -> None:
    """Show nothing."""


@dataclass
class Evolution:
    """One search on one window.

    Parameters
    ----------
    alpha : AlphaSpec
    scorer : FormulaScorer
        Of the search window.
    pool : parallel.Pool
        Where formulas are scored.
    journal : SearchJournal
        What an earlier run of the same search had done.
    known : sequence of Formula, optional
        Formulas that found ones have to differ from.
    """

    alpha: AlphaSpec
    scorer: FormulaScorer
    pool: Pool
    journal: SearchJournal
    known: Sequence[Formula] = ()
    progress: Progress = silent
    watch: Watch = watch_nothing
    individuals: dict[str, Individual] = field(default_factory=dict)
    elite: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._grammar = Grammar.of(self.alpha)
        self._probe = LevelProbe(history_of(self.alpha))
        self._fitness: dict[str, float] = {}  # of the parents, by digest
        self._profiles: dict[str, Scored] = {}  # of the elite
        self._latest: list[str] = []

    @property
    def expected(self) -> int:
        """Formulas that the whole search evaluates, at most."""
        return self.alpha.population * self.alpha.generations

    @property
    def population(self) -> list[Individual]:
        """The last generation and the elite."""
        chosen = dict.fromkeys((*self.elite, *self._latest))
        return [self.individuals[it] for it in chosen if not self.individuals[it].score.dead]

    def run(self) -> list[Individual]:
        """Search to the end; returns the best formulas, each unlike the ones before it."""
        for line in self.journal.lines:
            self._take_up(line)
        with self.pool.holding(self.scorer) as workers:

            def scores(formulas: Sequence[Formula]) -> list[Scored]:
                return _in_order(workers.map_unordered(score_all, _chunks(formulas)), formulas, self._tell)

            profiles = scores([*self.known, *(self.individuals[it].formula for it in self.elite)])
            known = list(zip(self.known, profiles[: len(self.known)], strict=True))
            self._profiles = dict(zip(self.elite, profiles[len(self.known) :], strict=True))
            for number in range(len(self.journal.lines), self.alpha.generations):
                children = self._children(number)
                found = scores(children)
                self._settle(number, children, found if number else self._of_seeds(children, found), known)
        return [self.individuals[it] for it in self.elite]

    def _tell(self, done: int) -> None:
        self.progress("formulas evaluated", min(len(self.individuals) + done, self.expected), self.expected)

    def _children(self, number: int) -> list[Formula]:
        """New formulas: nothing that was evaluated before."""
        rng = np.random.default_rng([self.alpha.seed, number])
        found: dict[str, Formula] = {}
        if number == 0:
            found = {digest_of(it): it for it in map(parse, self.alpha.seeds)}
        parents = sorted(self._fitness)
        for _ in range(_TRIES * self.alpha.population):
            if len(found) >= self.alpha.population:
                break
            child = self._child(rng, parents)
            if child is None:
                continue
            digest = digest_of(child)
            if digest not in found and digest not in self.individuals and self._may_be(child):
                found[digest] = child
        return list(found.values())

    def compares_levels(self, formula: Formula) -> bool:
        """Whether a formula may not be kept, as it compares adjusted prices with numbers that they do not change."""
        return not self.alpha.levels and self._probe.compares_levels(formula)

    def _of_seeds(self, first: Sequence[Formula], scored: Sequence[Scored]) -> list[Scored]:
        """Scores of the first population; a seed that reads levels is a trial, and nothing comes of it."""
        seeds = {digest_of(parse(it)) for it in self.alpha.seeds}
        return [
            dead_score(LEVELS) if digest_of(it) in seeds and (not self._may_be(it) or self.compares_levels(it)) else one
            for it, one in zip(first, scored, strict=True)
        ]

    def _may_be(self, formula: Formula) -> bool:
        return self.alpha.levels or not self._probe.reads_levels(formula)

    def _child(self, rng: np.random.Generator, parents: list[str]) -> Formula | None:
        depth = self.alpha.depth
        choice = rng.random()
        if not parents or choice < _FRESH:
            return self._grammar.ramped(rng, depth)
        first = self._winner(rng, parents)
        if choice < _FRESH + _JOINED:
            return join(rng, first, self._winner(rng, parents), self._grammar, depth)
        if choice < _FRESH + _JOINED + _CROSSED:
            return crossover(rng, first, self._winner(rng, parents), depth)
        return mutate(rng, first, self._grammar, depth)

    def _winner(self, rng: np.random.Generator, parents: list[str]) -> Formula:
        """The fittest of some that are drawn."""
        drawn = rng.integers(len(parents), size=_TOURNAMENT)
        best = max((parents[it] for it in drawn), key=lambda it: (self._fitness[it], it))
        return self.individuals[best].formula

    def _settle(
        self,
        number: int,
        children: Sequence[Formula],
        scored: Sequence[Scored],
        known: Sequence[tuple[Formula, Scored]],
    ) -> None:
        """Take the children in: who is of the elite, who may be a parent; then write it down."""
        born = [Individual(it, digest_of(it), one.score) for it, one in zip(children, scored, strict=True)]
        profiles = self._profiles | {it.digest: one for it, one in zip(born, scored, strict=True)}
        self.individuals |= {it.digest: it for it in born}
        self._latest = [it.digest for it in born]
        alive = [self.individuals[it] for it in (*self.elite, *self._latest) if not self.individuals[it].score.dead]
        self.elite, self._fitness = [], {}
        pool = FormulaPool(self.alpha.originality, self.alpha.correlation)
        for formula, one in known:
            pool.hold(formula, one)
        for it in sorted(alive, key=lambda it: (-self._plain_fitness(it), it.digest)):
            fitness = self._plain_fitness(it)
            if len(self.elite) < self.alpha.candidates and pool.take(it.formula, profiles[it.digest]):
                self.elite.append(it.digest)
            elif pool.has_like(it.formula, profiles[it.digest]):
                fitness *= _CROWDED
            self._fitness[it.digest] = fitness
        self._profiles = {it: profiles[it] for it in self.elite}
        self.journal.add(self._line(number, born))
        self._report(number)

    def _plain_fitness(self, it: Individual) -> float:
        return it.strength - self.alpha.parsimony * size(it.formula)

    def _report(self, number: int) -> None:
        best = self.individuals[self.elite[0]] if self.elite else None
        alive = sum(not it.score.dead for it in self.individuals.values())
        self.watch(Generation(number + 1, len(self.individuals), self.expected, alive, best))

    def _line(self, number: int, born: Iterable[Individual]) -> Line:
        rows = [
            [text_of(it.formula), {**asdict(it.score), "ic": _or_none(it.score.ic), "t": _or_none(it.score.t)}]
            for it in born
        ]
        return {"generation": number, "rows": rows, "elite": self.elite, "fitness": sorted(self._fitness.items())}

    def _take_up(self, line: Line) -> None:
        """Stand where the search stood after a generation."""
        born = []
        for text, row in line["rows"]:
            formula = parse(text)
            score = FormulaScore(**{**row, **{key: math.nan for key in ("ic", "t") if row[key] is None}})
            born.append(Individual(formula, digest_of(formula), score))
        self.individuals |= {it.digest: it for it in born}
        self._latest, self.elite = [it.digest for it in born], list(line["elite"])
        self._fitness = dict(map(tuple, line["fitness"]))
        self._report(int(line["generation"]))


def _chunks(formulas: Sequence[Formula]) -> list[list[Formula]]:
    """Formulas in pieces; those of one piece begin alike, as they then share most of what has to be computed."""
    ordered = sorted(formulas, key=_text)
    return [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]


def _in_order(
    done: Iterable[tuple[int, list[Scored]]], formulas: Sequence[Formula], tell: Callable[[int], None]
) -> list[Scored]:
    """What the workers gave for :func:`_chunks`, in the order of ``formulas``."""
    pieces = dict[int, list[Scored]]()
    for place, scored in done:
        pieces[place] = scored
        tell(sum(map(len, pieces.values())))
    ordered = sorted(range(len(formulas)), key=lambda it: _text(formulas[it]))
    flat = [one for place in sorted(pieces) for one in pieces[place]]
    found = dict(zip(ordered, flat, strict=True))
    return [found[it] for it in range(len(formulas))]


def _text(formula: Formula) -> str:
    return text_of(canonical(formula))


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
