"""The section "Retrieved days": for some days of the run, which days were retrieved, and what paid on them.

Positions and similarities travel as the curves do (:func:`~ragsignal.report.figures.packed`), in a file a variant
that is loaded when it is asked for.
"""

from __future__ import annotations

import textwrap

import numpy as np

from ragsignal.data import FACTOR_WORDS, MarketDays
from ragsignal.report.figures import AXIS, GREY, LAYOUT, Plotly, packed
from ragsignal.report.words import count, number, percent
from ragsignal.study import DayEvidence, market_in_words
from ragsignal.trading import RetrievedDays, RunResult

_LABEL = 24  # characters of a factor's name in a line: more would leave a telephone no room for bars
_HOW = {  # what a retriever's days are, and its opposites
    "random": ("drawn by chance", "other days drawn by chance"),
    "recent": ("known last", "oldest days"),
    "regimes": (
        "of months whose macro variables were most like the latest",
        "days of the months that were most unlike it",
    ),
}
_ALIKE = ("most like it", "days most unlike it")

_TIMELINE: Plotly = {
    **LAYOUT,
    "height": 380,
    "hovermode": "closest",
    "margin": {**LAYOUT["margin"], "t": 30},
    "xaxis": {**AXIS, "type": "date"},
    "yaxis": {**AXIS, "type": "log", "title": {"text": "median stock, first day = 100"}},
}
_PAYOFFS: Plotly = {
    **LAYOUT,
    "height": 420,
    "hovermode": "closest",
    "xaxis": {
        **AXIS,
        "zeroline": True,
        "zerolinecolor": GREY,
        "nticks": 5,
        "title": {"text": "payoff, in ranks of the return"},
    },
    "yaxis": {**AXIS, "type": "category", "autorange": "reversed"},
}


def retrieved_panels(result: RunResult) -> Plotly:
    """By variant its days and the name of its file, and the layouts of both charts."""
    days = {name: [str(day.as_of) for day in shown] for name, shown in _shown(result).items()}
    variants = {name: {"file": f"days-{place}", "days": days[name]} for place, name in enumerate(days)}
    return {"variants": variants, "timeline": _TIMELINE, "payoffs": _PAYOFFS}


def retrieved_files(result: RunResult) -> Plotly:
    """By the name of its file, a variant's market and what it retrieved on each of its days."""
    summed, files = result.retrieved, {}
    words = {variant.name: _HOW.get(variant.retrieval.retriever, _ALIKE) for variant in result.spec.variants}
    for place, (name, shown) in enumerate(_shown(result).items()):
        pairs = zip(shown, summed[name], strict=True)
        days = {it.as_of: _day(found, words_of(it, words[name])) | _payoffs(it) for found, it in pairs}
        files[f"days-{place}"] = {**_market(shown[-1].hits.table), "days": days}
    return files


def _shown(result: RunResult) -> dict[str, tuple[DayEvidence, ...]]:
    """The days of each variant that read some, in the order of the spec."""
    names = [variant.name for variant in result.spec.variants]
    return {name: result.evidence[name] for name in names if result.evidence.get(name)}


def words_of(days: RetrievedDays, how: tuple[str, str] = _ALIKE) -> str:
    """Say what was retrieved on a day: in which market, out of which years, and what paid."""
    most = list(days.years.items())[:3]
    years = _joined([f"{year} ({percent(share, 0)})" for year, share in most])
    if len(days.years) > len(most) and sum(share for _, share in most) < 0.5:
        years = f"are spread over {len(days.years)} years, most of them in {years}"
    else:
        years = f"lie mostly in {years}"
    together = f", and with a minus sign on the {count(days.unlike)} {how[1]}," if days.unlike else ""
    return (
        f"On {days.as_of} {market_in_words(days.state)}. The {count(days.alike)} days {how[0]}, of "
        f"{count(days.visible)} whose outcomes were known, {years}. On them{together} {_most(days)}."
    )


def _most(days: RetrievedDays) -> str:
    name, payoff = next(iter(days.pooled.items()))
    side = "a high rank paid" if payoff > 0 else "a low rank paid"
    return f"{FACTOR_WORDS[name]} mattered most: {side} ({number(payoff, 3, signed=True)})"


def _joined(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _day(found: DayEvidence, sentence: str) -> Plotly:
    """Rows of the market's line that were retrieved, with their similarity less 1 where they are unlike."""
    return {"rows": packed(found.hits.rows), "scores": packed(found.hits.scores), "sentence": sentence}


def _payoffs(days: RetrievedDays) -> Plotly:
    labels = ["<br>".join(textwrap.wrap(FACTOR_WORDS[name], _LABEL)) for name in days.pooled]
    return {"factors": labels, "pooled": [round(payoff, 5) for payoff in days.pooled.values()]}


def _market(table: MarketDays) -> Plotly:
    """What a holder of each day's median stock would have, and the days as numbers since 1970."""
    level = 100.0 * np.exp(np.cumsum(np.nan_to_num(table.market)))
    return {"dates": packed(table.days.astype(np.int64)), "level": packed(level)}
