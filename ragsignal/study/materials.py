"""What runs and trainings are both made of: prices, candidates, letters, ranks.

All of them end with ``data.end``; what a single query may see of them is decided by its own day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from ragsignal.config import CorpusSpec, DataSpec, LLMSpec
from ragsignal.data import (
    NEWS_FACTORS,
    AlphaDays,
    Bins,
    DailyStates,
    MarketDays,
    NewsDays,
    NewsTable,
    Panel,
    Prices,
    RankLetters,
    alpha_days,
    build_market_days,
    build_panel,
    build_rank_letters,
    calendar_of,
    daily_states,
    fit_bins,
    load_prices,
    shipped_bins,
    with_alphas,
    with_news,
)
from ragsignal.errors import ConfigError
from ragsignal.llm import Headlines, Template
from ragsignal.retrieval import Beside, Corpus, load_or_build
from ragsignal.study.news import NewsSource
from ragsignal.utils import DAILY, Clock, Progress, cache_folder, first_names, silent

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
    news : NewsSource, optional
        Of a spec with a table ``[news]``.
    progress : callable, optional
        Told how far loading is.
    scratch : Path, optional
        Where corpora and their vectors are kept; by default the user's cache.
    """

    data: DataSpec
    candidates: CorpusSpec
    history: Prices | None = None
    news: NewsSource | None = None
    progress: Progress = silent
    scratch: Path | None = None
    _letters: dict[tuple[bool, bool], RankLetters] = field(default_factory=dict, repr=False)

    @cached_property
    def prices(self) -> Prices:
        """Adjusted prices of all traded and corpus symbols, through ``data.end``."""
        history = self.history or load_prices(self.data, self.candidates.symbols, self.progress)
        return history.between(None, self.data.end)

    @property
    def clock(self) -> Clock:
        """How long the bars are."""
        return self.prices.clock

    @cached_property
    def minutes(self) -> frozenset[int] | None:
        """Minutes of the day at which bars of hours of an exchange end; None of all other bars."""
        if not self.clock.intraday or self.data.all_week:
            return None
        moments = calendar_of(self.prices.frames.values())
        return frozenset(np.unique(moments.astype(np.int64) % 1440).tolist())

    @cached_property
    def corpus(self) -> Corpus:
        """The candidates."""
        prices = self.corpus_prices
        of_news = self.news is not None and bool({*self.candidates.indicators} & {*NEWS_FACTORS})
        beside = Beside(self.news_days if of_news else None, self.alpha_days if self.candidates.reads_alphas else None)
        return load_or_build(prices.frames, prices.digest, self.candidates, self.kept, beside)

    @property
    def kept(self) -> Path:
        """The folder of corpora and of their vectors."""
        return self.scratch or cache_folder()

    @cached_property
    def bins(self) -> Bins:
        """Letters: the shipped ones, or those refitted through ``corpus.bins_through``."""
        through = self.candidates.bins_through
        if through is None and self.clock != DAILY:
            raise ConfigError(
                f"the shipped letters were fitted on daily bars, and these are {self.clock.words}: refit them on those "
                f"of before the traded window, [corpus] bins_through = {self.data.start - timedelta(days=1)} or earlier"
            )
        return shipped_bins() if through is None else fit_bins(self.corpus_prices.frames, through)

    @cached_property
    def panel(self) -> Panel:
        """Ranks of all symbols among each other, day by day."""
        self._refuse_hours("ranks among the stocks of a day")
        return build_panel(self.prices.frames)

    @cached_property
    def rank_letters(self) -> RankLetters:
        """Rank letters of all symbols among each other, day by day, from two years before ``data.start`` on.

        Older days are asked by nobody: what was fitted on them refuses them. A thousand symbols save two gigabytes. Of
        weeks and months as many bars are taken, which are ten years and forty.
        """
        self._refuse_hours("rank letters")
        lead = min(_LEAD * max(1.0, self.clock.days), self.data.start - date.min)
        return build_rank_letters(self.prices.between(self.data.start - lead, None).frames)

    @cached_property
    def own_days(self) -> MarketDays:
        """The days of :attr:`rank_letters` as candidates: their states, and what factors paid on them."""
        letters = self.rank_letters
        frames = self.prices.between(letters.days[0].item(), None).frames
        return build_market_days(letters, frames, self.candidates.target, self.candidates.horizon)

    @cached_property
    def states(self) -> DailyStates:
        """The market's state of every day, from the bars of all symbols that have one."""
        self._refuse_hours("the market's states")
        return daily_states(self.prices.frames)

    def _refuse_hours(self, what: str) -> None:
        if self.clock.intraday:
            raise ConfigError(
                f"{what} are of whole days, and these are {self.clock.words}: take a reader of one stock alone and "
                'candidates = "sequences", or daily bars (docs/clocks.md)'
            )

    @cached_property
    def news_table(self) -> NewsTable:
        """News of all symbols of :attr:`prices`, and what the table holds beside them.

        Raises
        ------
        ConfigError
            If the spec has no table of news, or ``data.close`` names no zone that there is.
        DataError
            If the table cannot be trusted.
        """
        return self._news.table(self.data, self.prices.symbols)

    @cached_property
    def news_days(self) -> NewsDays:
        """What the news said of each symbol, by the bars that may know of it.

        Raises
        ------
        ModelError
            If what scores the words cannot be used.
        """
        return self._news.days(self.news_table.items, self.prices)

    @cached_property
    def alpha_days(self) -> AlphaDays:
        """What the formulas of ``corpus.alphas`` give on all days, of all stocks of :attr:`prices`.

        Raises
        ------
        ConfigError
            If a formula cannot be read, or was changed after it had been tested.
        DataError
            If there are too few stocks, or a formula gives nothing.
        """
        self._refuse_hours("formulas, which are ranked among the stocks of a day,")
        return alpha_days(self.candidates.alphas, self.prices.frames)

    def letters(self, alphas: bool, news: bool) -> RankLetters:
        """:attr:`rank_letters`, with those of kept formulas and of the day's news behind them where they are read."""
        key = (alphas, news)
        if key not in self._letters:
            letters = with_alphas(self.rank_letters, self.alpha_days) if alphas else self.rank_letters
            self._letters[key] = with_news(letters, self.news_days, self._news.recipe) if news else letters
        return self._letters[key]

    @property
    def _news(self) -> NewsSource:
        if self.news is None:
            raise ConfigError(
                'the spec has no table of news; write [news] with path = "news.csv", and data.close (docs/news.md)'
            )
        return self.news

    def template(self, llm: LLMSpec) -> Template:
        """The template that ``llm`` names."""
        headlines = self._headlines(llm) if llm.headlines else None
        panel = self.panel if llm.reads_ranks else None
        return Template(llm.template, llm.mask, self.bins, panel, headlines, self.clock.noun)

    def _headlines(self, llm: LLMSpec) -> Headlines:
        """What quotes headlines; raises ``ConfigError`` where nobody said what a masked company is called."""
        names = self._news.spec.names
        unnamed = [symbol for symbol in self.prices.symbols if symbol not in names]
        if llm.mask and unnamed:
            raise ConfigError(
                "llm.headlines quotes headlines with masked names, and [news.names] does not say what they call "
                f'{first_names(unnamed)}: write {unnamed[0]} = ["Company Name"] there, [] where they use the '
                "symbol alone, or llm.mask = false"
            )
        return Headlines(self.news_days, llm.headlines, names)

    @cached_property
    def traded(self) -> Prices:
        """Prices of the traded symbols on the days that are traded."""
        return self.prices.select(self.data.symbols).between(self.data.start, self.data.end)

    @property
    def corpus_prices(self) -> Prices:
        """Prices of the symbols that candidates are of."""
        return self.prices.select(self.candidates.symbols or self.data.symbols)
