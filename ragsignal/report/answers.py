"""The first screen in words: four questions, a short answer to each, and the evidence for it, with numbers.

Takes verdicts and rows as :mod:`ragsignal.backtest.findings` worked them out. An answer claims a difference only where
a row survives the correction for the number of all rows; a difference in the wrong direction is said as plainly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragsignal.report.words import MISSING, count, number, percent

SHOWN = 4
"""Comparisons on a card before the rest is folded away: the clearest one of each kind."""

_POINTS = {"hit rate": "of hit rate", "mean return a year": "of mean return a year"}
_UNITS = {"log loss": (5, "log loss (less is better)"), "Sharpe ratio": (2, "Sharpe")}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A piece of evidence: what was measured, and what may be concluded from it (empty: nothing to conclude)."""

    effect: str
    conclusion: str = ""
    claimed: bool = False

    def __str__(self) -> str:
        return f"{self.effect}: {self.conclusion}" if self.conclusion else self.effect


@dataclass(frozen=True)
class Card:
    """One question of the first screen.

    Parameters
    ----------
    question, answer : str
    tone : {"good", "bad", "open"}
        How it is coloured: for what the user built, against it, or neither.
    because : str
        A sentence on how many comparisons the answer stands on.
    lines, more : tuple of Line
        The clearest comparisons, and all of them where there are more.
    """

    question: str
    answer: str
    tone: str
    because: str
    lines: tuple[Line, ...]
    more: tuple[Line, ...] = field(default=())


def cards(findings: Mapping[str, Any], trials: Mapping[str, Any] | None = None) -> list[Card]:
    """Answer the four questions.

    Parameters
    ----------
    findings : dict
        From :func:`ragsignal.backtest.findings.findings_of`.
    trials : dict, optional
        What the ledger knows, from :func:`ragsignal.trials.count_run`.
    """
    benchmark = findings["benchmark"]
    questions = {
        "retrieval": "Did retrieval help?",
        "llm": "Did the LLM help?",
        "benchmark": f"Would {benchmark} have done better?",
    }
    return [
        *(_card(key, question, findings) for key, question in questions.items()),
        _certainty(findings, trials),
    ]


def answers_in_words(findings: Mapping[str, Any], trials: Mapping[str, Any] | None = None) -> list[str]:
    """Four lines for a console: each question, its answer, and the clearest evidence."""
    return [
        " ".join(
            filter(None, [f"{card.question} {card.answer}.", card.because, *(f"{line}." for line in card.lines[:1])])
        )
        for card in cards(findings, trials)
    ]


def line_of(row: Row, comparisons: int) -> Line:
    """Say what one paired difference shows; ``comparisons`` is how many were made in all."""
    pair = f"{row['left']} {MINUS} {row['right']}"
    measure = row["measure"]
    known = [row[key] for key in ("difference", "low", "high")]
    if known[0] is None or math.isnan(known[0]):
        return Line(f"{pair}: {measure}", "does not exist, one side never moved")
    if any(value is None or not math.isfinite(value) for value in known):
        return Line(f"{pair}: {measure}", "too few data to tell")
    difference, low, high = known
    if difference == low == high == 0:
        return Line(f"{pair}: {measure}", "both did the same")
    digits, unit = _UNITS.get(measure, (1, ""))
    if measure in _POINTS:
        difference, low, high = 100 * difference, 100 * low, 100 * high
        unit = f"points {_POINTS[measure]}"
    size = number(difference, digits, signed=True)
    interval = f"{number(low, digits, signed=True)} … {number(high, digits, signed=True)}"
    conclusion = _conclusion(row, comparisons)
    return Line(f"{pair}: {size} {unit}, 95 % interval {interval}", conclusion, bool(row["distinguishable"]))


MINUS = "−"


def _conclusion(row: Row, comparisons: int) -> str:
    if row["distinguishable"]:
        return f"{row['left'] if row['better'] else row['right']} is better"
    if row["low"] > 0 or row["high"] < 0:
        return f"one of {comparisons}: chance can explain it, not distinguishable"
    return "not distinguishable"


def _card(key: str, question: str, findings: Mapping[str, Any]) -> Card:
    verdict = findings["answers"][key]
    rows = [row for row in findings["comparisons"] if row["question"] == key]
    comparisons = findings["answers"]["certainty"]["comparisons"]
    shown = _clearest(rows)
    told, tone = _headline(key, verdict, findings["benchmark"])
    return Card(
        question=question,
        answer=told,
        tone=tone,
        because=_because(key, verdict, rows, findings),
        lines=tuple(line_of(row, comparisons) for row in shown),
        more=tuple(line_of(row, comparisons) for row in rows) if len(rows) > len(shown) else (),
    )


def _clearest(rows: Sequence[Row]) -> list[Row]:
    """Of each measure and kind of rival the row with the smallest p; claims first, then in the order of the rows."""
    best: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: 2.0 if row["p"] is None else row["p"]):
        best.setdefault((row["measure"], row["against"]), row)
    kinds = dict.fromkeys((row["measure"], row["against"]) for row in rows)
    return sorted((best[kind] for kind in kinds), key=lambda row: not row["distinguishable"])[:SHOWN]


def _headline(key: str, verdict: Mapping[str, Any], benchmark: str) -> tuple[str, str]:
    kind = verdict["verdict"]
    if kind in _OPEN:
        return _OPEN[kind], "open"
    if key == "benchmark":
        return _of_benchmark(verdict, benchmark)
    if kind == "mixed":
        return f"Mixed: {_names(verdict['better'])} did better, {_names(verdict['worse'])} worse", "open"
    if kind == "worse":
        return f"No: {_names(verdict['worse'])} did worse", "bad"
    if key == "retrieval":
        return _of_retrieval(verdict), "good"
    if verdict["unbeaten"]:  # to beat the weakest rule is not yet to help
        beaten, rest = _names(verdict["beaten"]), _names(verdict["unbeaten"])
        return f"Partly: {_names(verdict['better'])} did better than {beaten}, not distinguishable from {rest}", "good"
    return f"Yes: {_names(verdict['better'])} did better", "good"


def _of_retrieval(verdict: Mapping[str, Any]) -> str:
    """Say yes only where the retrieved helped, and not any candidates at all, or none instead of bad ones."""
    over, rivals = verdict["over"], verdict["rivals"]
    if over == ["random"] and "none" in rivals:
        return "Partly: better than random candidates, not distinguishable from no retrieval"
    if over == ["none"] and "random" in rivals:
        return "Partly: better than no retrieval, not distinguishable from random candidates"
    if over == ["random"]:
        return f"Yes, compared with random candidates: {_names(verdict['better'])}"
    return f"Yes: {_names(verdict['better'])} did better"


_OPEN = {
    "unclear": "Not distinguishable",
    "too few": "Cannot be said: too few data",
    "absent": "Cannot be said: nothing to compare",
}


def _of_benchmark(verdict: Mapping[str, Any], benchmark: str) -> tuple[str, str]:
    """Answer the one question that is asked the other way round: here the benchmark's success is bad news."""
    better, worse, lefts = verdict["better"], verdict["worse"], verdict["lefts"]
    if verdict["verdict"] == "mixed":
        return f"Mixed: than {_names(worse)}, but not than {_names(better)}", "open"
    if verdict["verdict"] == "better":
        return f"No: {_names(better)} did better than {benchmark}", "good"
    those = _names(worse) if len(worse) < lefts else f"all {lefts} variants" if lefts > 1 else worse[0]
    return f"Yes: than {those}", "bad"


def _because(key: str, verdict: Mapping[str, Any], rows: Sequence[Row], findings: Mapping[str, Any]) -> str:
    if verdict["verdict"] == "absent":
        return _NOTHING[key]
    if verdict["verdict"] == "too few":
        return "Fewer than 100 days say nothing."
    claims, total = sum(row["distinguishable"] for row in rows), len(rows)
    fact = _earned_less(rows) + _paid(findings) if key == "benchmark" else ""
    if total == 1:
        told = "the one comparison " + ("is more" if claims else "is no more") + " than chance can explain"
    else:
        told = f"{claims or 'none'} of {total} comparisons {'is' if claims < 2 else 'are'} more than chance can explain"
    sentence = f"{fact}{told}."
    return sentence[0].upper() + sentence[1:]


def _earned_less(rows: Sequence[Row]) -> str:
    """Say in which direction the differences go, which no interval does."""
    yearly = [row for row in rows if row["measure"] == "mean return a year" and row["difference"] is not None]
    less = sum(row["difference"] < 0 for row in yearly)
    return f"{less} of {len(yearly)} variants earned less than {rows[0]['right']}; " if yearly else ""


def _paid(findings: Mapping[str, Any]) -> str:
    """Say what costs took: no interval is needed for that part of a difference."""
    others = [it["paid"] for name, it in findings["costs"]["variants"].items() if name != findings["benchmark"]]
    paid = [it for it in others if it is not None]
    if not any(paid):
        return ""
    least, most = number(100 * min(paid), 1), number(100 * max(paid), 1)
    range_ = most if least == most else f"{least} to {most}"
    return f"costs alone took {range_} points a year, whatever the signal; "


_NOTHING = {
    "retrieval": "No retriever stands beside the same reader without one, or with random candidates: add variants with "
    'retrieval = { retriever = "none" } and { retriever = "random" }.',
    "llm": 'No variant with an LLM stands beside one without: add one with signal = "classifier", "vote" or "none".',
    "benchmark": "The benchmark is the only variant.",
}


def _certainty(findings: Mapping[str, Any], trials: Mapping[str, Any] | None) -> Card:
    found = findings["answers"]["certainty"]
    lines = [*_multiplicity(found), *_trials(trials), *_power(found["power"])]
    total, claims = found["comparisons"], found["claims"]
    if not total:
        answer = "Cannot be said: too few data"
    elif claims:
        answer = f"Sure of {claims} of {count(total)} differences; the rest may be chance"
    else:
        answer = (
            f"Not sure: {'all ' if total > 1 else ''}{count(total)} difference{'s' if total > 1 else ''} may be chance"
        )
    return Card("How sure can one be?", answer, "open", "", tuple(lines))


def _multiplicity(found: Mapping[str, Any]) -> list[Line]:
    lines = []
    if found["comparisons"]:
        lines.append(
            Line(
                f"Of {count(found['comparisons'])} intervals chance alone would make about "
                f"{number(found['expected'], 0 if found['expected'] >= 2 else 1)} leave out zero; "
                f"{count(found['apart'])} do, and {count(found['claims'])} of them "
                f"{'stands' if found['claims'] == 1 else 'stand'} once corrected for their number (Holm)"
            )
        )
    superior = found["superior"]
    if superior["p"] is not None and superior["variants"] > 1:
        which = _names(superior["which"]) if superior["which"] else "none"
        lines.append(
            Line(
                f"The best of {superior['variants']} variants by mean return is {superior['best']}: were none any "
                f"better than the benchmark, one of them would look as good in {_in_hundred(superior['p'])} such runs "
                f"(SPA, p {'< 0.01' if superior['p'] < 0.01 else '= ' + number(superior['p'])}); "
                f"named as better, at a chance of 5 % that any name is false: {which} (StepM)"
            )
        )
    return lines


def _in_hundred(p: float) -> str:
    return f"{round(100 * p)} of 100" if p >= 0.01 else "fewer than 1 of 100"


def _trials(trials: Mapping[str, Any] | None) -> list[Line]:
    if not trials:
        return []
    tried = trials["count"]
    text = f"{count(tried)} configuration{'s have' if tried > 1 else ' has'} been tried on these data"
    if "best" not in trials:  # one ratio has no spread
        return [Line(text)]
    best = trials["best"]
    chance = trials["deflated_sharpe"].get(best)
    text += f": the best of as many worthless ones would show a Sharpe ratio of {number(trials['sharpe0'])}"
    if chance is not None:
        text += f"; the chance that the true one of {best} is above that: {percent(chance, 0)} (deflated Sharpe ratio)"
    if trials["needed_years"] is not None:
        text += f"; at its present size it takes {_years(trials['needed_years'])} to be believed"
    return [Line(text)]


def _power(power: Mapping[str, Any]) -> list[Line]:
    lines = []
    sharpe = power["sharpe"]
    if sharpe:
        lines.append(
            Line(
                f"About {_years(sharpe['years'])} of data would show a difference of {sharpe['difference']:g} Sharpe; "
                f"this run has {_years(power['window_years'])}"
            )
        )
    for measure, unit in _POINTS.items():
        seen = power[measure]
        if seen:
            lines.append(
                Line(
                    "A single comparison, uncorrected for the others, would show four times in five a difference of "
                    f"{number(100 * seen['detectable'], 1)} points {unit}; "
                    f"the largest seen is {number(100 * abs(seen['seen']), 1)}"
                    + _would_take(seen["years"], power["window_years"])
                )
            )
    return lines


def _would_take(years: float | None, window: float) -> str:
    return "" if years is None or years <= window else f", which about {_years(years)} would show"


def _years(years: float) -> str:
    return f"{number(years, 0 if years >= 2 else 1)} years"


def _names(names: Sequence[str]) -> str:
    """Up to two names, or how many."""
    if len(names) > 2:
        return f"{len(names)} variants"
    return " and ".join(names) or MISSING
