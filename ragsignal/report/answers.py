"""The first screen in words: four questions, a short answer to each, and the evidence for it, with numbers.

Takes verdicts and rows as :mod:`ragsignal.trading.findings` worked them out. An answer claims a difference only where
a row survives the correction for the number of all rows; a difference in the wrong direction is said as plainly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragsignal.report.words import MINUS, count, named, number, percent
from ragsignal.trading import Certainty, PairedDifference, Power, RunFindings, Verdict

SHOWN = 4
"""Comparisons that a console is told of: the clearest one of each kind."""

UNITS = {  # factor, digits, unit
    "hit rate": (100, 2, "points of hit rate"),
    "mean return a year": (100, 1, "points of mean return a year"),
    "log loss": (1, 5, "log loss (less is better)"),
    "IC": (1, 4, "IC a day, open to open"),
    "Sharpe ratio": (1, 2, "Sharpe"),
}

_NOBODY: Mapping[str, str] = {}

Trials = Mapping[str, Any]
"""What the ledger knows, from :func:`ragsignal.study.count_run`."""


@dataclass(frozen=True)
class Line:
    """A piece of evidence: what was measured, and what may be concluded from it (empty: nothing to conclude)."""

    effect: str
    conclusion: str = ""
    claimed: bool = False

    def __str__(self) -> str:
        return f"{self.effect}: {self.conclusion}" if self.conclusion else self.effect


@dataclass(frozen=True)
class AnswerCard:
    """One question of the first screen.

    Parameters
    ----------
    question, answer : str
    tone : {"good", "bad", "open"}
        How it is coloured: for what the user built, against it, or neither.
    because : str
        A sentence on how many comparisons the answer stands on.
    lines : tuple of Line
        The clearest comparisons; of the last question, what bounds all answers.
    """

    question: str
    answer: str
    tone: str
    because: str
    lines: tuple[Line, ...]


def question_of(key: str, benchmark: str) -> str:
    """Ask the question that a comparison belongs to."""
    if key == "benchmark":
        return f"Would {benchmark} have done better?"
    return {"retrieval": "Did retrieval help?", "llm": "Did the LLM help?"}[key]


def cards(findings: RunFindings, trials: Trials | None = None) -> list[AnswerCard]:
    """Answer the four questions; ``trials`` is the ledger's part of the last answer."""
    answers = findings.answers
    return [
        _card("retrieval", answers.retrieval, findings),
        _card("llm", answers.llm, findings),
        _card("benchmark", answers.benchmark, findings),
        _certainty(answers.certainty, trials, bool(findings.ruined)),
    ]


def answers_in_words(findings: RunFindings, trials: Trials | None = None) -> list[str]:
    """Four lines for a console: each question, its answer, and the clearest evidence."""
    return [
        " ".join(
            filter(None, [f"{card.question} {card.answer}.", card.because, *(f"{line}." for line in card.lines[:1])])
        )
        for card in cards(findings, trials)
    ]


def line_of(row: PairedDifference, comparisons: int, ruined: Mapping[str, str] = _NOBODY) -> Line:
    """Say what one paired difference shows, of ``comparisons`` in all; ``ruined``: day of ruin by variant."""
    pair = f"{row.left} {MINUS} {row.right}"
    if row.ruined_sides(ruined):
        return Line(f"{pair}: {row.measure}", f"does not exist, {was_ruined(row.ruined_sides(ruined), ruined)}")
    if row.difference is None:
        return Line(f"{pair}: {row.measure}", "does not exist, one side never moved")
    if row.low is None or row.high is None:
        return Line(f"{pair}: {row.measure}", "too few data to tell")
    if row.difference == row.low == row.high == 0:
        return Line(f"{pair}: {row.measure}", "both did the same")
    factor, digits, unit = UNITS[row.measure]
    size, low, high = (number(factor * it, digits, signed=True) for it in (row.difference, row.low, row.high))
    effect = f"{pair}: {size} {unit}, 95 % interval {low} … {high}"
    return Line(effect, _conclusion(row, comparisons), row.distinguishable)


def _conclusion(row: PairedDifference, comparisons: int) -> str:
    if row.distinguishable:
        return f"{row.left if row.better else row.right} is better"
    if row.interval.distinguishable:
        return f"one of {comparisons}: chance can explain it, not distinguishable"
    return "not distinguishable"


def _card(key: str, verdict: Verdict, findings: RunFindings) -> AnswerCard:
    rows = [row for row in findings.comparisons if row.question == key]
    comparisons = findings.answers.certainty.comparisons
    if verdict.verdict == "ruined":
        answer, tone = _of_ruined(key, rows, findings)
    else:
        answer, tone = _headline(key, verdict, findings.benchmark)
    return AnswerCard(
        question=question_of(key, findings.benchmark),
        answer=answer,
        tone=tone,
        because=_because(key, verdict, rows, findings),
        lines=tuple(line_of(row, comparisons, findings.ruined) for row in _clearest(rows)),
    )


def _clearest(rows: Sequence[PairedDifference]) -> list[PairedDifference]:
    """Of each measure and kind of rival the row with the smallest p; claims first, then in the order of the rows."""
    best: dict[tuple[str, str], PairedDifference] = {}
    for row in sorted(rows, key=lambda row: 2.0 if row.p is None else row.p):
        best.setdefault((row.measure, row.against), row)
    kinds = dict.fromkeys((row.measure, row.against) for row in rows)
    return sorted((best[kind] for kind in kinds), key=lambda row: not row.distinguishable)[:SHOWN]


def _headline(key: str, verdict: Verdict, benchmark: str) -> tuple[str, str]:
    better, worse = named(verdict.better), named(verdict.worse)
    if verdict.verdict in _OPEN:
        return _OPEN[verdict.verdict], "open"
    if key == "benchmark":
        return _of_benchmark(verdict, benchmark)
    if verdict.verdict == "mixed":
        return f"Mixed: {better} did better, {worse} worse", "open"
    if verdict.verdict == "worse":
        return f"No: {worse} did worse", "bad"
    if key == "retrieval":
        return _of_retrieval(verdict), "good"
    if verdict.unbeaten:  # to beat the weakest rule is not yet to help
        beaten, rest = named(verdict.beaten), named(verdict.unbeaten)
        return f"Partly: {better} did better than {beaten}, not distinguishable from {rest}", "good"
    return f"Yes: {better} did better", "good"


def _of_retrieval(verdict: Verdict) -> str:
    """Say yes only where the retrieved helped, and not any candidates at all, or none instead of bad ones."""
    if verdict.over == ("random",) and "none" in verdict.rivals:
        return "Partly: better than random candidates, not distinguishable from no retrieval"
    if verdict.over == ("none",) and "random" in verdict.rivals:
        return "Partly: better than no retrieval, not distinguishable from random candidates"
    if verdict.over == ("random",):
        return f"Yes, compared with random candidates: {named(verdict.better)}"
    return f"Yes: {named(verdict.better)} did better"


def _of_ruined(key: str, rows: Sequence[PairedDifference], findings: RunFindings) -> tuple[str, str]:
    """Answer where accounts are gone: one of 0 did worse than any that is not, for which no interval is needed."""
    ruined, benchmark = findings.ruined, findings.benchmark
    lefts = tuple(dict.fromkeys(row.left for row in rows))
    if key != "benchmark" or {benchmark, *lefts} <= ruined.keys():
        sides = tuple(dict.fromkeys(side for row in rows for side in row.ruined_sides(ruined)))
        return f"Cannot be said: {was_ruined(sides, ruined)}", "open"
    if benchmark in ruined:
        return f"No: {was_ruined((benchmark,), ruined)}", "open"
    return f"Yes: {was_ruined(lefts, ruined)}", "bad"


def was_ruined(names: Sequence[str], ruined: Mapping[str, str]) -> str:
    """Say who was ruined; of one, when."""
    if len(names) == 1:
        return f"{names[0]} was ruined on {ruined[names[0]]}"
    return f"{named(names)} were ruined"


_OPEN = {
    "unclear": "Not distinguishable",
    "idle": "Cannot be said: one side never traded",
    "too few": "Cannot be said: too few data",
    "absent": "Cannot be said: nothing to compare",
}


def _of_benchmark(verdict: Verdict, benchmark: str) -> tuple[str, str]:
    """Answer the one question that is asked the other way round: here the benchmark's success is bad news."""
    better, worse, lefts = named(verdict.better), named(verdict.worse), verdict.lefts
    if verdict.verdict == "mixed":
        return f"Mixed: than {worse}, but not than {better}", "open"
    if verdict.verdict == "better":
        return f"No: {better} did better than {benchmark}", "good"
    return f"Yes: than {worse if len(verdict.worse) < lefts or lefts == 1 else f'all {lefts} variants'}", "bad"


def _because(key: str, verdict: Verdict, rows: Sequence[PairedDifference], findings: RunFindings) -> str:
    if verdict.verdict == "absent":
        return _NOTHING[key]
    if verdict.verdict == "idle":
        return "Cash has neither a Sharpe ratio nor a difference that would say anything."
    if verdict.verdict == "too few":
        return "Fewer than 100 days say nothing."
    fact, rows = _ruin(rows, findings.ruined), [row for row in rows if not row.ruined_sides(findings.ruined)]
    if verdict.verdict == "ruined":
        return f"{fact[0].upper()}{fact[1:]}an account at 0 has no later returns that could be compared."
    claims, total = sum(row.distinguishable for row in rows), len(rows)
    if total == 1:
        counts = "the one comparison " + ("is more" if claims else "is no more")
    else:
        counts = f"{claims or 'none'} of {total} comparisons {'is' if claims < 2 else 'are'} more"
    sentence = f"{fact}{counts} than chance can explain."
    return sentence[0].upper() + sentence[1:]


def _ruin(rows: Sequence[PairedDifference], ruined: Mapping[str, str]) -> str:
    """Say which accounts are missing in the comparisons of returns."""
    sides = tuple(dict.fromkeys(side for row in rows for side in row.ruined_sides(ruined)))
    return f"the account{'s' if len(sides) > 1 else ''} of {was_ruined(sides, ruined)}; " if sides else ""


_NOTHING = {
    "retrieval": "No retriever stands beside the same reader without one, or with random candidates: add variants with "
    'retrieval = { retriever = "none" } and { retriever = "random" }.',
    "llm": 'No variant with an LLM stands beside one without: add one with signal = "classifier", "vote" or "none".',
    "benchmark": "The benchmark is the only variant.",
}


def _certainty(certainty: Certainty, trials: Trials | None, ruined: bool) -> AnswerCard:
    total, claims = certainty.comparisons, certainty.claims
    if not total:
        answer = (
            f"Cannot be said: {'a ruined account cannot be compared' if ruined else 'no comparison has an interval'}"
        )
    elif claims:
        answer = f"Sure of {claims} of {count(total)} differences; the rest may be chance"
    else:
        answer = (
            f"Not sure: {'all ' if total > 1 else ''}{count(total)} difference{'s' if total > 1 else ''} may be chance"
        )
    lines = [*_multiplicity(certainty), *_trials(trials), *_power(certainty.power)]
    return AnswerCard("How sure can one be?", answer, "open", "", tuple(map(Line, lines)))


def _multiplicity(certainty: Certainty) -> list[str]:
    lines = []
    if certainty.comparisons:
        lines.append(
            f"Of {count(certainty.comparisons)} intervals chance alone would make about "
            f"{number(certainty.expected, 0 if certainty.expected >= 2 else 1)} leave out zero; "
            f"{count(certainty.apart)} do, and {count(certainty.claims)} of them "
            f"{'stands' if certainty.claims == 1 else 'stand'} once corrected for their number (Holm)"
        )
    superior = certainty.superior
    if superior.p is not None and superior.variants > 1:
        which = named(superior.which) if superior.which else "none"
        lines.append(
            f"The best of {superior.variants} variants by mean return is {superior.best}: were none any "
            f"better than the benchmark, one of them would look as good in {_in_hundred(superior.p)} such runs "
            f"(SPA, p {'< 0.01' if superior.p < 0.01 else '= ' + number(superior.p)}); "
            f"named as better, at a chance of 5 % that any name is false: {which} (StepM)"
        )
    return lines


def _in_hundred(p: float) -> str:
    return f"{round(100 * p)} of 100" if p >= 0.01 else "fewer than 1 of 100"


def _trials(trials: Trials | None) -> list[str]:
    if not trials:
        return []
    total = trials["count"]
    text = f"{count(total)} configuration{'s have' if total > 1 else ' has'} been tried on these data"
    if "best" not in trials:  # one ratio has no spread
        return [text]
    best = trials["best"]
    chance = trials["deflated_sharpe"].get(best)
    text += f": the best of as many worthless ones would show a Sharpe ratio of {number(trials['sharpe0'])}"
    if chance is not None:
        text += f"; the chance that the true one of {best} is above that: {percent(chance, 0)} (deflated Sharpe ratio)"
    if trials["needed_years"] is not None:
        text += f"; at its present size it takes {_years(trials['needed_years'])} to be believed"
    return [text]


def _power(power: Power) -> list[str]:
    lines = []
    if power.sharpe:
        lines.append(
            f"About {_years(power.sharpe.years)} of data would show a difference of {power.sharpe.difference:g} "
            f"Sharpe; this run has {_years(power.window_years)}"
        )
    for seen, unit in ((power.hit_rate, "of hit rate"), (power.yearly, "of mean return a year")):
        if seen:
            lines.append(
                "A single comparison, uncorrected for the others, would show four times in five a difference of "
                f"{number(100 * seen.detectable, 1)} points {unit}; "
                f"the largest seen is {number(100 * abs(seen.seen), 1)}{_would_take(seen.years, power.window_years)}"
            )
    return lines


def _would_take(years: float | None, window: float) -> str:
    return "" if years is None or years <= window else f", which about {_years(years)} would show"


def _years(years: float) -> str:
    return f"{number(years, 0 if years >= 2 else 1)} years"
