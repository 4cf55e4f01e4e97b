"""Prices, the 34 sequences, and the one place that cuts windows."""

from __future__ import annotations

from ragsignal.data.bins import LETTERS, Bins, fit_bins, shipped_bins, spell
from ragsignal.data.check import Problem, find_problems, nearest_symbol
from ragsignal.data.columns import canonical_header
from ragsignal.data.converters import (
    Converted,
    KronosReading,
    LeftOut,
    check_out,
    read_ai_hedge_fund,
    read_freqai,
    read_kronos,
    read_tradingagents,
)
from ragsignal.data.decision_bars import Calendars, Decisions, place_decisions
from ragsignal.data.decisions import DecisionRows, read_decisions
from ragsignal.data.exchange_day import exchange_days
from ragsignal.data.factors import SEQUENCES, compute_stacked
from ragsignal.data.formulas import (
    BAR_FIELDS,
    LONGEST,
    OPERATORS,
    Call,
    Evaluator,
    Field,
    FieldPanel,
    Formula,
    Kind,
    Number,
    Operator,
    Window,
    canonical,
    check_call,
    depth,
    digest_of,
    field_panel,
    fits,
    kind_of,
    library,
    parse,
    parts,
    size,
    text_of,
    words_of,
)
from ragsignal.data.labels import FALL_BELOW, RISE_ABOVE, bars_until_known, forward_returns, label_tables, movement_of
from ragsignal.data.market_days import DayHits, MarketDays, build_market_days, factor_values
from ragsignal.data.market_state import STATE_FORMULAS, STATE_WORDS, dispersion_of, market_states
from ragsignal.data.names import hint_at, same_stock
from ragsignal.data.news.by_date import counted_by_date
from ragsignal.data.news.days import NewsDays, NewsScores, bars_of, build_news_days
from ragsignal.data.news.factors import NEWS_FACTORS, NEWS_FORMULAS, NEWS_WORDS, news_sequences
from ragsignal.data.news.items import NewsItems
from ragsignal.data.news.novelty import NOVELTY_RECIPE, novelty_of
from ragsignal.data.news.read import NewsCounts, NewsRules, NewsTable, inspect_news, read_news
from ragsignal.data.price_warnings import warning_notes
from ragsignal.data.prices import Prices, calendar_of, check_prices, clock_of, days_of, load_sample
from ragsignal.data.rank_factors import FACTOR_GROUPS, FACTOR_WORDS, FORMULAS, RANK_FACTORS
from ragsignal.data.rank_growth import grow_letters
from ragsignal.data.rank_letters import (
    LEAST_STOCKS,
    RANK_LETTERS,
    Letters,
    RankLetters,
    build_rank_letters,
    daily_ranks,
    with_news,
)
from ragsignal.data.readers import UNREADABLE, csv_path, download, parse_bars
from ragsignal.data.rules import DroppedBar
from ragsignal.data.session import BarCloses, BarEnds, SessionClose
from ragsignal.data.sources import load_prices, planted_news_table
from ragsignal.data.spacing import bars_apart, differs_in_spacing, is_spaced_otherwise, other_spacing, usual_gap_of
from ragsignal.data.split import Split, SplitPart, make_split
from ragsignal.data.sql import SqlSource
from ragsignal.data.synthetic import noise_market
from ragsignal.data.universe import name_symbols
from ragsignal.data.wide import FACTORS, Panel, build_panel
from ragsignal.data.windows import (
    QUERY_SEQUENCE,
    CandidateColumns,
    CandidateCutter,
    History,
    QueryCutter,
    cut_queries,
    cut_query,
    log_returns,
)

__all__ = [
    "BAR_FIELDS",
    "FACTORS",
    "FACTOR_GROUPS",
    "FACTOR_WORDS",
    "FALL_BELOW",
    "FORMULAS",
    "LEAST_STOCKS",
    "LETTERS",
    "LONGEST",
    "NEWS_FACTORS",
    "NEWS_FORMULAS",
    "NEWS_WORDS",
    "NOVELTY_RECIPE",
    "OPERATORS",
    "QUERY_SEQUENCE",
    "RANK_FACTORS",
    "RANK_LETTERS",
    "RISE_ABOVE",
    "SEQUENCES",
    "STATE_FORMULAS",
    "STATE_WORDS",
    "UNREADABLE",
    "BarCloses",
    "BarEnds",
    "Bins",
    "Calendars",
    "Call",
    "CandidateColumns",
    "CandidateCutter",
    "Converted",
    "DayHits",
    "DecisionRows",
    "Decisions",
    "DroppedBar",
    "Evaluator",
    "Field",
    "FieldPanel",
    "Formula",
    "History",
    "Kind",
    "KronosReading",
    "LeftOut",
    "Letters",
    "MarketDays",
    "NewsCounts",
    "NewsDays",
    "NewsItems",
    "NewsRules",
    "NewsScores",
    "NewsTable",
    "Number",
    "Operator",
    "Panel",
    "Prices",
    "Problem",
    "QueryCutter",
    "RankLetters",
    "SessionClose",
    "Split",
    "SplitPart",
    "SqlSource",
    "Window",
    "bars_apart",
    "bars_of",
    "bars_until_known",
    "build_market_days",
    "build_news_days",
    "build_panel",
    "build_rank_letters",
    "calendar_of",
    "canonical",
    "canonical_header",
    "check_call",
    "check_out",
    "check_prices",
    "clock_of",
    "compute_stacked",
    "counted_by_date",
    "csv_path",
    "cut_queries",
    "cut_query",
    "daily_ranks",
    "days_of",
    "depth",
    "differs_in_spacing",
    "digest_of",
    "dispersion_of",
    "download",
    "exchange_days",
    "factor_values",
    "field_panel",
    "find_problems",
    "fit_bins",
    "fits",
    "forward_returns",
    "grow_letters",
    "hint_at",
    "inspect_news",
    "is_spaced_otherwise",
    "kind_of",
    "label_tables",
    "library",
    "load_prices",
    "load_sample",
    "log_returns",
    "make_split",
    "market_states",
    "movement_of",
    "name_symbols",
    "nearest_symbol",
    "news_sequences",
    "noise_market",
    "novelty_of",
    "other_spacing",
    "parse",
    "parse_bars",
    "parts",
    "place_decisions",
    "planted_news_table",
    "read_ai_hedge_fund",
    "read_decisions",
    "read_freqai",
    "read_kronos",
    "read_news",
    "read_tradingagents",
    "same_stock",
    "shipped_bins",
    "size",
    "spell",
    "text_of",
    "usual_gap_of",
    "warning_notes",
    "with_news",
    "words_of",
]
