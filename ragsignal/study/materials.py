"""What runs and trainings are both made of: prices, candidates, letters, ranks.

All of them end with ``data.end``; what a single query may see of them is decided by its own day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from ragsignal.config import CorpusSpec, DataSpec, LLMSpec
from ragsignal.data import (
    Bins,
    MarketDays,
    Panel,
    Prices,
    RankLetters,
    build_market_days,
    build_panel,
    build_rank_letters,
    fit_bins,
    load_prices,
    shipped_bins,
)
from ragsignal.llm import Template
from ragsignal.retrieval import Corpus, load_or_build
from ragsignal.utils import cache_folder

_LEAD = timedelta(days=2 * 365)  # some 500 bars: a factor looks 272 bars back, a reader 15, and a stock needs 250


@dataclass
class Materials:
    """The materials of one spec, each made on first need.

    Parameters
    ----------
    data : DataSpec
    candidates : CorpusSpec
    history : Prices, optional
        Prices that are there already; by default they are loaded.
    scratch : Path, optional
        Where corpora and their vectors are kept; by default the user's cache.
    """

    data: DataSpec
    candidates: CorpusSpec
    history: Prices | None = None
    scratch: Path | None = None

    @cached_property
    def prices(self) -> Prices:
        """Adjusted prices of all traded and corpus symbols, through ``data.end``."""
        history = self.history or load_prices(self.data, self.candidates.symbols)
        return history.between(None, self.data.end)

    @cached_property
    def corpus(self) -> Corpus:
        """The candidates."""
        prices = self.corpus_prices
        return load_or_build(prices.frames, prices.digest, self.candidates, self.kept)

    @property
    def kept(self) -> Path:
        """The folder of corpora and of their vectors."""
        return self.scratch or cache_folder()

    @cached_property
    def bins(self) -> Bins:
        """Letters: the shipped ones, or those refitted through ``corpus.bins_through``."""
        through = self.candidates.bins_through
        return shipped_bins() if through is None else fit_bins(self.corpus_prices.frames, through)

    @cached_property
    def panel(self) -> Panel:
        """Ranks of all symbols among each other, day by day."""
        return build_panel(self.prices.frames)

    @cached_property
    def rank_letters(self) -> RankLetters:
        """Rank letters of all symbols among each other, day by day, from two years before ``data.start`` on.

        Older days are asked by nobody: what was fitted on them refuses them. A thousand symbols save two gigabytes.
        """
        return build_rank_letters(self.prices.between(self.data.start - _LEAD, None).frames)

    @cached_property
    def own_days(self) -> MarketDays:
        """The days of :attr:`rank_letters` as candidates: their states, and what factors paid on them."""
        letters = self.rank_letters
        frames = self.prices.between(letters.days[0].item(), None).frames
        return build_market_days(letters, frames, self.candidates.target, self.candidates.horizon)

    def template(self, llm: LLMSpec) -> Template:
        """The template that ``llm`` names."""
        return Template(llm.template, llm.mask, self.bins, self.panel if llm.reads_ranks else None)

    @cached_property
    def traded(self) -> Prices:
        """Prices of the traded symbols on the days that are traded."""
        return self.prices.select(self.data.symbols).between(self.data.start, self.data.end)

    @property
    def corpus_prices(self) -> Prices:
        """Prices of the symbols that candidates are of."""
        return self.prices.select(self.candidates.symbols or self.data.symbols)
