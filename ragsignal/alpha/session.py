"""A session: an idea becomes formulas, formulas are tested, and a search goes on from them.

    session = Session.open(Path("my.session.toml"), spec=Path("backtests/alpha.toml"))
    session.idea("stocks that fell on little volume")
    session.test()
    result = session.search()

Whatever it tells before a search is of the search window: selection and holdout are read by a search alone, at its end.
Each change is written at once, on top of what the file holds by then, so that two that write lose nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from pathlib import Path

from ragsignal.alpha.evolution import Watch, watch_nothing
from ragsignal.alpha.files import write_search
from ragsignal.alpha.ideas.brief import Tried, polish
from ragsignal.alpha.ideas.opened import open_source
from ragsignal.alpha.ideas.propose import Proposed, Source, propose_all
from ragsignal.alpha.ledger import count_tested
from ragsignal.alpha.likeness import common_share, inner_parts
from ragsignal.alpha.result import SearchResult
from ragsignal.alpha.scoring import FormulaScore, FormulaScorer, Scored
from ragsignal.alpha.search import Search, Tell, tell_nothing
from ragsignal.alpha.session_file import (
    Entry,
    Idea,
    Searched,
    SearchFigures,
    SessionFile,
    Status,
    read_session,
    write_session,
)
from ragsignal.config import IdeasSpec, did_you_mean, load_search_spec
from ragsignal.data import ExplainedPart, Formula, digest_of, explain, library, parse, text_of
from ragsignal.errors import ConfigError
from ragsignal.parallel import Pool
from ragsignal.utils import NewRun, Progress, locked, silent

ENDING = ".session.toml"


@dataclass(frozen=True)
class Likeness:
    """A formula that another one is like: by rank correlation of values, and by the share of it that stands there."""

    name: str
    formula: str
    correlation: float
    shared: float


class Session:
    """A session file, with the bars of its search spec.

    Parameters
    ----------
    path : Path
        The file, which has to be there; :meth:`open` begins one.
    ideas : IdeasSpec, optional
        What proposes formulas; by default the spec's table ``[ideas]``, else templates.
    progress : callable, optional

    Raises
    ------
    ConfigError, DataError
        If the file is no session, or its spec cannot be searched.
    """

    def __init__(self, path: Path, ideas: IdeasSpec | None = None, progress: Progress = silent) -> None:
        self.path, self.progress = path, progress
        self._ideas = ideas
        self.spec = load_search_spec(path.parent / self.file.spec)

    @classmethod
    def open(
        cls, path: Path, spec: Path | None = None, ideas: IdeasSpec | None = None, progress: Progress = silent
    ) -> Session:
        """Open a session, or begin one for a search spec where there is none at ``path``."""
        if spec is not None and not path.exists():
            load_search_spec(spec)  # a wrong one leaves no file
            write_session(path, SessionFile(spec=os.path.relpath(spec.resolve(), path.resolve().parent)))
        return cls(path, ideas, progress)

    @property
    def file(self) -> SessionFile:
        """What the file holds now."""
        return read_session(self.path)

    @cached_property
    def prepared(self) -> Search:
        """The spec with its bars."""
        return Search(self.spec, progress=self.progress)

    @cached_property
    def scorer(self) -> FormulaScorer:
        """Scores on the search window: all that a session sees."""
        return FormulaScorer(self.prepared.part)

    @cached_property
    def source(self) -> Source:
        """What proposes formulas."""
        return open_source(self._ideas or self.spec.ideas or IdeasSpec(), self.scorer.part.panel.known)

    def idea(self, words: str, count: int = 5) -> tuple[list[Entry], Proposed]:
        """Propose formulas for an idea; those that are there already are left out.

        What came of earlier formulas, on the search window, is told to what proposes new ones.
        """
        fields = self.scorer.part.panel.known
        brief = polish(words, fields, self.source.knowledge, self._tried())
        proposed = propose_all(brief, fields, self.source, count, seed=len(self.file.idea) + 1)
        texts = [text_of(it.formula) for it in proposed.proposals]
        with self._changing() as change:
            ideas = (*change.file.idea, Idea(words=brief.idea, source=self.source.name))
            change.file = change.file.model_copy(update={"idea": ideas})
            added = change.take(texts, came_from=f"idea {len(ideas)}", status="proposed")
        return added, proposed

    def add(self, text: str, name: str | None = None) -> Entry:
        """Add a formula of one's own.

        Raises
        ------
        ConfigError
            If it cannot be read, or the name is taken.
        """
        formula = self._parsed(text)
        with self._changing() as change:
            if name is not None and change.file.find(name) is not None:
                raise ConfigError(f"there is a formula {name} already; give this one another name, or drop that one")
            twin = next((it for it in change.file.formula if it.digest == digest_of(formula)), None)
            if twin is not None:
                raise ConfigError(f"{twin.name} is the same formula: {twin.formula}")
            entry = _entry(name or _free_name(change.file), text_of(formula))
            change.file = change.file.having(entry)
        return entry

    def test(self, names: Sequence[str] = ()) -> list[Entry]:
        """Score formulas on the search window, by default those that have no result; each is a trial in the ledger."""
        file = self.file
        entries = [self._find(it) for it in names] or [
            it for it in file.formula if it.tested is None and it.status != "dropped"
        ]
        scored = [(it, self._parsed(it.formula)) for it in entries]
        scores = [(it, formula, self.scorer.score(formula).score) for it, formula in scored]
        count_tested(self.prepared.spec, self.scorer.part, [(digest_of(it), score) for _, it, score in scores])
        tested = [it.model_copy(update=_result(digest_of(formula), score)) for it, formula, score in scores]
        self._put(tested)
        return tested

    def explain(self, name: str) -> tuple[ExplainedPart, ...]:
        """The parts of a formula in words, from the inside out."""
        return explain(self._parsed(self._find(name).formula))

    def like(self, name: str, count: int = 5) -> list[Likeness]:
        """The formulas of the session and of the library that one is like on search days, likest first."""
        entry = self._find(name)
        formula = self._parsed(entry.formula)
        own = {it.name: self._parsed(it.formula) for it in self.file.formula if it.name != name}
        published = {it.name: it.formula for it in library(self.scorer.part.panel.known)}
        whole = self.scorer.score(formula)
        near = [self._likeness(it, other, formula, whole) for it, other in {**published, **own}.items()]
        return sorted(near, key=lambda it: (-max(it.correlation, it.shared), it.name))[:count]

    def drop(self, name: str) -> Entry:
        """Set a formula aside: it stays in the file, and counts as tried."""
        dropped = self._find(name).model_copy(update={"status": "dropped"})
        self._put([dropped])
        return dropped

    def note(self, name: str, words: str) -> Entry:
        """Write words beside a formula."""
        noted = self._find(name).model_copy(update={"note": words})
        self._put([noted])
        return noted

    def search(
        self,
        pool: Pool | None = None,
        watch: Watch = watch_nothing,
        write: Callable[[SearchResult, Path], object] = write_search,
        tell: Tell = tell_nothing,
    ) -> tuple[Path, SearchResult]:
        """Search from the formulas of the session on; selects, and looks at the holdout once, as any search does.

        One that was killed goes on if the formulas are those that it began with; arguments as of :meth:`Search.run`.

        Returns
        -------
        tuple of Path and SearchResult
            The folder of the run, and what was found.
        """
        runs = self.spec.out / self.spec.name
        search, run = self._seeded(), NewRun(runs)
        result = search.run(pool, runs, watch, tell)
        folder, _ = run.write(partial(write, result))
        with self._changing() as change:
            done = Searched(folder=_relative(folder, self.path), verdict=result.verdict, day=date.today())
            change.file = change.file.model_copy(update={"search": (*change.file.search, done)})
            change.take([it.formula for it in result.kept], came_from=f"search {folder.name}", status="kept")
        return folder, result

    def _seeded(self) -> Search:
        """The search of the spec, with the formulas that are not dropped among its first population."""
        own = [it.formula for it in self.file.formula if it.status != "dropped"]
        spec, prices = self.prepared.spec, self.prepared.market.prices
        alpha = spec.alpha.model_copy(update={"seeds": tuple(dict.fromkeys((*spec.alpha.seeds, *own)))})
        return Search(spec.model_copy(update={"alpha": alpha}), prices, self.progress)

    def _tried(self) -> list[Tried]:
        best = sorted(
            (it for it in self.file.formula if it.tested is not None and not it.tested.dead),
            key=lambda it: -abs(it.tested.t if it.tested else 0.0),
        )
        return [Tried(self._parsed(it.formula), it.tested.ic, it.tested.days) for it in best[:5] if it.tested]

    def _likeness(self, name: str, other: Formula, formula: Formula, whole: Scored) -> Likeness:
        scored = self.scorer.score(other)
        alike = 0.0 if scored.score.dead or whole.score.dead else scored.correlation(whole)
        return Likeness(name, text_of(other), alike, common_share(formula, inner_parts([other])))

    def _parsed(self, text: str) -> Formula:
        return parse(text, self.scorer.part.panel.known)

    def _find(self, name: str) -> Entry:
        file = self.file
        entry = file.find(name)
        if entry is None:
            names = [it.name for it in file.formula]
            hint = did_you_mean(name, names) if names else " There is none yet: say an idea, or add NAME = FORMULA."
            raise ConfigError(f"there is no formula {name!r}.{hint}")
        return entry

    def _put(self, entries: Sequence[Entry]) -> None:
        with self._changing() as change:
            for entry in entries:
                change.file = change.file.having(entry)

    @contextmanager
    def _changing(self) -> Iterator[_Change]:
        """The file as it is now, alone; it is written if nothing goes wrong."""
        with locked(self.path.parent, alone=True, wait=True):
            change = _Change(self.file)
            yield change
            write_session(self.path, change.file)


@dataclass
class _Change:
    """A session file that is being changed."""

    file: SessionFile

    def take(self, texts: Sequence[str], came_from: str, status: Status) -> list[Entry]:
        """Add formulas under names that are free, but for those that are there already; returns what was added."""
        there, added = {it.digest for it in self.file.formula}, list[Entry]()
        for text in texts:
            entry = Entry(name=_free_name(self.file), formula=text, came_from=came_from, status=status)
            if entry.digest not in there:
                self.file = self.file.having(entry)
                there.add(entry.digest)
                added.append(entry)
        return added


def _result(digest: str, score: FormulaScore) -> dict[str, object]:
    ic, t = (0.0 if math.isnan(it) else round(float(it), 6) for it in (score.ic, score.t))
    tested = SearchFigures(digest=digest, ic=ic, t=t, days=score.days, dead=score.dead)
    return {"tested": tested, "status": "tested"}


def _entry(name: str, text: str) -> Entry:
    try:
        return Entry(name=name, formula=text)
    except ValueError:
        raise ConfigError(
            f"{name!r} is no name for a formula: letters, digits, '.', '_' and '-' were expected, such as fade_5"
        ) from None


def _free_name(file: SessionFile) -> str:
    taken = {it.name for it in file.formula}
    return next(name for number in range(1, len(taken) + 2) if (name := f"f{number}") not in taken)


def _relative(folder: Path, path: Path) -> str:
    return os.path.relpath(folder.resolve(), path.resolve().parent)
