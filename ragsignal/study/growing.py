"""The signal source of a variant whose prices gain a day at a time, as those of a live run do.

    Prices so far ─► Study ─► pipeline;  a day's bars ─► the same pipeline over one more day

A signal as of a day needs nothing later, so each is what a study of all the days would give. A reader of rank letters
without hits gets the letters of the new day alone (:func:`ragsignal.data.grow_letters`); for all others the study is
opened anew, which takes as long as it takes to build their candidates.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.data import Prices, grow_letters
from ragsignal.errors import ConfigError
from ragsignal.llm import RankScorer
from ragsignal.signals import RagPipeline
from ragsignal.study.parts import Shared
from ragsignal.study.study import Study
from ragsignal.types import Query, Signal
from ragsignal.utils import Progress, json_digest, silent

_COLUMNS = ("open", "high", "low", "close", "volume")


class GrowingSource:
    """A :class:`~ragsignal.protocols.SignalSource` over prices that grow.

    Parameters
    ----------
    spec : RunSpec
        With its symbols by name.
    variant : Variant
    prices : Prices
        Of the spec's symbols, as far as they are known.
    scratch : Path
        A folder of this source's own, for the candidates of the last two days.
    progress : callable, optional

    Raises
    ------
    ConfigError
        If the variant is retrained on the way: nobody has trained it for days to come.
    LookAheadError, ModelError, DataError
        As :meth:`ragsignal.study.Study.pipeline`.
    """

    def __init__(
        self, spec: RunSpec, variant: Variant, prices: Prices, scratch: Path, progress: Progress = silent
    ) -> None:
        if variant.retrained:
            raise ConfigError(
                f"variant {variant.name!r} is trained anew at every step of [walk_forward], and no step of days to "
                "come is trained; name an artifact that is there: ragsignal weights list"
            )
        self.lookback = spec.corpus.lookback
        self._spec, self._variant, self._progress = spec, variant, progress
        self._prices, self._later = prices, list[tuple[date, Mapping[str, Sequence[float]]]]()
        self._shared = Shared()
        self._scratch, self._opened_times = scratch, 0
        self._pipeline = self._opened()

    @property
    def recipe(self) -> str:
        """Digest of what makes the signals, weights and the package's own versions of its steps among it."""
        return json_digest(self._pipeline.recipe)

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query, in order; raises as a pipeline does."""
        return self._pipeline.signals(queries)

    def stored(self, keys: Sequence[str]) -> dict[str, Signal]:
        """The signals with these keys that the store holds."""
        return self._shared.store.get(keys)

    def add(self, day: date, bars: Mapping[str, Sequence[float]]) -> None:
        """Take in a day.

        Parameters
        ----------
        day : date
            After all others.
        bars : mapping of symbol to five numbers
            Open, high, low, close and volume, back-adjusted, of the symbols that have a bar.
        """
        self._later.append((day, bars))
        scorer = self._pipeline.scorer
        if isinstance(scorer, RankScorer) and not self._variant.reads_corpus:
            self._pipeline = _over(self._pipeline, scorer.over(grow_letters(scorer.universe, day, bars)))
        else:
            self._prices, self._later = _grown(self._prices, self._later), []
            self._pipeline = self._opened()

    def warm(self) -> None:
        """Load what the next signal needs, so that it does not wait for it."""
        scorer = self._pipeline.scorer
        if isinstance(scorer, RankScorer) and len(scorer.universe.days):
            scorer.time_block(scorer.universe.days[-1].item())

    def _opened(self) -> RagPipeline:
        # not in the user's cache, as a day later nobody wants the corpus of today; in turns, as one is still open
        scratch = self._scratch / str(self._opened_times % 2)
        self._opened_times += 1
        shutil.rmtree(scratch, ignore_errors=True)
        study = Study(self._spec, self._progress, history=self._prices, scratch=scratch, _shared=self._shared)
        pipeline = study.parts.pipeline(self._variant)
        pipeline.progress = partial(self._progress, f"signals of {self._variant.name}")
        scorer = pipeline.scorer
        return _over(pipeline, scorer.over(scorer.universe)) if isinstance(scorer, RankScorer) else pipeline


def _over(pipeline: RagPipeline, scorer: RankScorer) -> RagPipeline:
    return replace(pipeline, prompter=scorer.prompter, scorer=scorer)


def _grown(prices: Prices, later: Sequence[tuple[date, Mapping[str, Sequence[float]]]]) -> Prices:
    """Prices with later days."""
    frames = dict(prices.frames)
    for symbol, frame in prices.frames.items():
        rows = {day: bars[symbol] for day, bars in later if symbol in bars}
        if rows:
            index = pd.DatetimeIndex(list(rows)).as_unit("us").rename("date")
            more = pd.DataFrame(list(rows.values()), index=index, columns=list(_COLUMNS), dtype="float64")
            frames[symbol] = pd.concat([frame, more]) if len(frame) else more
    return Prices(frames, prices.dropped)
