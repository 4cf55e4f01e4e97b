"""Formulas that rank stocks, searched for without fooling oneself: three windows, and a holdout that is read once.

search = Search(load_search_spec("my.alpha.toml"))
result = search.run()
print(result.verdict, [it.formula for it in result.kept])
"""

from __future__ import annotations

from ragsignal.alpha.evolution import Generation, Individual, Watch
from ragsignal.alpha.figures import WindowFigures
from ragsignal.alpha.result import (
    ALPHAS,
    LEVEL,
    RECORD,
    Candidate,
    JudgedAlpha,
    Looks,
    Population,
    SearchResult,
    WindowDays,
    write_search,
)
from ragsignal.alpha.search import JOURNAL, Search, SearchCost
from ragsignal.alpha.words import search_words

__all__ = [
    "ALPHAS",
    "JOURNAL",
    "LEVEL",
    "RECORD",
    "Candidate",
    "Generation",
    "Individual",
    "JudgedAlpha",
    "Looks",
    "Population",
    "Search",
    "SearchCost",
    "SearchResult",
    "Watch",
    "WindowDays",
    "WindowFigures",
    "search_words",
    "write_search",
]
