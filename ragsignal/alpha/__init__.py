"""Formulas that rank stocks: proposed for an idea in words, and searched for without fooling oneself.

source = open_source(IdeasSpec(model="embedded:SmolLM2-135M-Instruct"))
ideas = propose("momentum of volume", BAR_FIELDS, source, count=5, seed=0)
result = Search(load_search_spec("my.alpha.toml")).run()
print(result.verdict, [it.formula for it in result.kept])
"""

from __future__ import annotations

from ragsignal.alpha.evolution import Generation, Individual, Watch
from ragsignal.alpha.figures import WindowFigures
from ragsignal.alpha.files import read_search, write_search
from ragsignal.alpha.ideas.brief import Brief, Tried, polish
from ragsignal.alpha.ideas.knowledge import Knowledge, Known, explained
from ragsignal.alpha.ideas.opened import open_knowledge, open_source
from ragsignal.alpha.ideas.propose import Proposal, Proposed, Refused, Source, propose, propose_all, review
from ragsignal.alpha.ideas.words import describe
from ragsignal.alpha.ledger import count_evaluated
from ragsignal.alpha.result import (
    ALPHAS,
    CLAIM_LEVEL,
    RECORD,
    CandidateAlpha,
    JudgedAlpha,
    Looks,
    Population,
    SearchResult,
    WindowDays,
)
from ragsignal.alpha.search import Search, SearchCost
from ragsignal.alpha.session import ENDING, Likeness, Session
from ragsignal.alpha.session_file import Entry, SearchFigures, SessionFile, read_session, write_session
from ragsignal.alpha.words import search_words

__all__ = [
    "ALPHAS",
    "CLAIM_LEVEL",
    "ENDING",
    "RECORD",
    "Brief",
    "CandidateAlpha",
    "Entry",
    "Generation",
    "Individual",
    "JudgedAlpha",
    "Knowledge",
    "Known",
    "Likeness",
    "Looks",
    "Population",
    "Proposal",
    "Proposed",
    "Refused",
    "Search",
    "SearchCost",
    "SearchFigures",
    "SearchResult",
    "Session",
    "SessionFile",
    "Source",
    "Tried",
    "Watch",
    "WindowDays",
    "WindowFigures",
    "count_evaluated",
    "describe",
    "explained",
    "open_knowledge",
    "open_source",
    "polish",
    "propose",
    "propose_all",
    "read_search",
    "read_session",
    "review",
    "search_words",
    "write_search",
    "write_session",
]
