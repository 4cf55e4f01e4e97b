"""A search from its spec to its verdict: bars, loop, selection, and one look at the holdout."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ragsignal.alpha.evolution import LEVELS, Evolution, Generation, Individual, Watch, watch_nothing
from ragsignal.alpha.grammar import Grammar
from ragsignal.alpha.journal import SearchJournal
from ragsignal.alpha.judge import Judge, best_of_selection, oriented
from ragsignal.alpha.ledger import count_search, count_tested
from ragsignal.alpha.result import SearchResult, WindowDays
from ragsignal.alpha.scoring import FormulaScorer
from ragsignal.alpha.windows import Part, SearchMarket, WindowName
from ragsignal.config import SearchSpec
from ragsignal.data import OPERATORS, Formula, Prices, digest_of, load_prices, name_symbols, parse
from ragsignal.errors import ConfigError
from ragsignal.parallel import InProcessPool, Pool
from ragsignal.study import RunFrame
from ragsignal.utils import Progress, day_of, json_digest, silent

Tell = Callable[[str], None]
"""Takes a line for people."""
_SAMPLE = 24  # formulas that are timed for an estimate
_WINDOWS: tuple[WindowName, ...] = ("search", "selection", "holdout")


def tell_nothing(line: str) -> None:
    """Show no line."""


@dataclass(frozen=True)
class SearchCost:
    """What a search will take: formulas at most, and seconds on so many processes, by a sample of random formulas."""

    evaluations: int
    processes: int
    seconds: float


class Search:
    """A spec with its bars, ready to be run.

    Parameters
    ----------
    spec : SearchSpec
    prices : Prices, optional
        Those of the spec, where they are there already.
    progress : callable, optional

    Raises
    ------
    ConfigError, DataError
        If spec and prices do not make three windows, or a seed or a known formula cannot be read.
    """

    def __init__(self, spec: SearchSpec, prices: Prices | None = None, progress: Progress = silent) -> None:
        if spec.data.unnamed:
            data, prices = name_symbols(spec.data, (), progress)
            spec = spec.model_copy(update={"data": data})
        history = prices or load_prices(spec.data, (), progress)
        self.spec, self.progress = spec, progress
        self.market = SearchMarket(spec, history.select(spec.data.symbols).between(None, spec.data.end))
        self.known = [self._read("known", it.formula) for it in spec.alpha.known]
        self.seeds = [self._read("seeds", it) for it in spec.alpha.seeds]

    def _read(self, key: str, text: str) -> Formula:
        try:
            return parse(text, self.market.panel.known)
        except ConfigError as error:
            raise ConfigError(f"alpha.{key}: {error}") from error

    @cached_property
    def part(self) -> Part:
        """The search window: all that the loop is given."""
        return self.market.part("search")

    @property
    def digest(self) -> str:
        """Of all that decides what the loop finds."""
        alpha = self.spec.alpha.model_dump(mode="json", exclude={"keep", "cost_bps", "selection_end", "known"})
        known = sorted(map(digest_of, self.known))
        return json_digest([alpha, known, sorted(OPERATORS), self.part.digest])

    def estimate(self, processes: int) -> SearchCost:
        """What the search will cost; scores some random formulas, and keeps nothing."""
        alpha = self.spec.alpha
        grammar, scorer, rng = Grammar.of(alpha), FormulaScorer(self.part), np.random.default_rng(alpha.seed)
        drawn = [grammar.ramped(rng, alpha.depth) for _ in range(_SAMPLE)]
        began = time.perf_counter()
        for formula in drawn:
            scorer.score(formula)
        each = (time.perf_counter() - began) / _SAMPLE
        evaluations = alpha.population * alpha.generations
        return SearchCost(evaluations, processes, each * evaluations / processes)

    def run(
        self,
        pool: Pool | None = None,
        folder: Path | None = None,
        watch: Watch = watch_nothing,
        tell: Tell = tell_nothing,
    ) -> SearchResult:
        """Search, select, and look at the holdout.

        Parameters
        ----------
        pool : parallel.Pool, optional
            Where formulas are scored; by default in this process.
        folder : Path, optional
            Where the journal is kept by which a killed search goes on.
        watch : callable, optional
            Told after each generation how far the search is.
        tell : callable, optional
            Given a line if other searches lie in the folder that are not done: this one begins anew.

        Raises
        ------
        StoreError
            If trials cannot be counted, or the journal cannot be used.
        """
        frame = RunFrame()
        journal = SearchJournal(folder, self.digest)
        try:
            if journal.others:
                tell(_words_of(journal.others))
            result = self._judged(frame, pool or InProcessPool(), journal, watch)
            journal.drop()
            return result
        finally:
            journal.close()

    def _judged(self, frame: RunFrame, pool: Pool, journal: SearchJournal, watch: Watch) -> SearchResult:
        told: list[Generation] = []

        def tell(generation: Generation) -> None:
            told.append(generation)
            tried = [(it.digest, it.score) for it in loop.individuals.values()]
            count_tested(self.spec, self.part, tried)  # whoever ends the search here has seen them
            watch(generation)

        loop = Evolution(self.spec.alpha, FormulaScorer(self.part), pool, journal, self.known, self.progress, tell)
        best = loop.run()
        elite = [it for it in best if not loop.compares_levels(it.formula)]
        self.progress("judge", 0, 2)
        candidates, kept = best_of_selection(elite, FormulaScorer(self.market.part("selection")), self.spec.alpha)
        judge = Judge(self.market, loop, self.known)
        alphas, population = judge.kept(kept), judge.population(loop.population)
        self.progress("judge", 1, 2)
        tried = list(loop.individuals.values())
        windows = tuple(_days_of(self.market.part(name)) for name in _WINDOWS)
        looks = count_search(self.spec, windows, tried, candidates, alphas)
        deflated = {
            it.name: judge.deflated(oriented(one), looks.evaluated) for it, one in zip(alphas, kept, strict=True)
        }
        self.progress("judge", 2, 2)
        dead = _dead(tried, len(best) - len(elite))
        return SearchResult(
            spec=self.spec,
            prices=self.market.prices.digest,
            windows=windows,
            evaluated=len(tried),
            dead=dead,
            generations=tuple(told),
            candidates=candidates,
            kept=alphas,
            population=population,
            looks=replace(looks, deflated=deflated),
            times=frame.times(),
        )


def _words_of(others: Sequence[Path]) -> str:
    return (
        "a search that is not done lies beside this one, with another spec, other prices or other formulas; it goes on "
        f"where all of them are as they were: {', '.join(map(str, others))} (delete what is not wanted)"
    )


def _dead(tried: Sequence[Individual], left_out: int) -> dict[str, int]:
    """Formulas that rank nothing by why, those of the best that were ``left_out`` for levels among them."""
    counts = Counter({LEVELS: left_out}) + Counter(it.score.dead for it in tried if it.score.dead)
    return dict(sorted(counts.items()))


def _days_of(part: Part) -> WindowDays:
    days = part.days
    first, last = day_of(days[0].item()), day_of(days[-1].item())
    return WindowDays(part.name, first, last, part.labelled, part.known_through)
