"""The first line of the page, and what is so by arithmetic: counts and sums, for which no interval is needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ragsignal.report.answers import was_ruined
from ragsignal.report.words import named, number
from ragsignal.trading import RunFindings, Verdict


@dataclass(frozen=True)
class Fact:
    """A figure that this window has, whatever may be concluded from it."""

    label: str
    figure: str
    words: str


def verdict_line(findings: RunFindings, in_sample: bool = False) -> str:
    """Put the first three answers into one line; a question that the run cannot answer is left out."""
    answers, benchmark = findings.answers, findings.benchmark
    asked = {
        "by retrieval": (answers.retrieval, _of_retrieval(answers.retrieval)),
        "by the LLM": (answers.llm, _of_llm(answers.llm)),
        f"from {benchmark}": (answers.benchmark, _of_benchmark(answers.benchmark, benchmark)),
    }
    unclear = " or ".join(where for where, (verdict, _) in asked.items() if verdict.verdict == "unclear")
    lost = [was_ruined(tuple(findings.ruined), findings.ruined)] if findings.ruined else []
    claims = [*lost, *(said for _, said in asked.values() if said)]
    said = "; ".join([*claims, *([f"no distinguishable difference {unclear}"] if unclear else [])])
    said = said or _unanswered({verdict.verdict for verdict, _ in asked.values()})
    if in_sample:
        return f"IN SAMPLE, so nothing is proven: {said}."
    ours = said.startswith(("retrieval ", "the LLM ", "no "))  # else a variant's name, which stays as it is
    return f"{said[0].upper() if ours else said[0]}{said[1:]}."


def _unanswered(verdicts: set[str]) -> str:
    if "too few" in verdicts:
        return "no question can be answered: fewer than 100 days say nothing"
    why = "of each comparison one side never traded" if "idle" in verdicts else "there is nothing to compare"
    return f"no question can be answered: {why}"


def _of_retrieval(verdict: Verdict) -> str:
    better, worse = named(verdict.better), named(verdict.worse)
    helped = f"retrieval helped ({better})"
    if verdict.over == ("random",) and "none" in verdict.rivals:
        helped = "retrieval beat random candidates only"
    elif verdict.over == ("none",) and "random" in verdict.rivals:
        helped = "retrieval beat no retrieval, but not random candidates"
    return {
        "better": helped,
        "worse": f"retrieval hurt ({worse})",
        "mixed": f"retrieval helped {better} and hurt {worse}",
    }.get(verdict.verdict, "")


def _of_llm(verdict: Verdict) -> str:
    better, worse = named(verdict.better), named(verdict.worse)
    return {
        "better": f"the LLM beat {named(verdict.beaten)} only" if verdict.unbeaten else f"the LLM helped ({better})",
        "worse": f"the LLM hurt ({worse})",
        "mixed": f"the LLM helped {better} and hurt {worse}",
    }.get(verdict.verdict, "")


def _of_benchmark(verdict: Verdict, benchmark: str) -> str:
    better, worse = named(verdict.better), named(verdict.worse)
    return {
        "better": f"{better} beat {benchmark}",
        "worse": f"{worse} did worse than {benchmark}",
        "mixed": f"{better} beat {benchmark}, {worse} did worse",
    }.get(verdict.verdict, "")


def facts_of(findings: RunFindings, traded: Collection[str]) -> list[Fact]:
    """Count and add up: who earned less than the benchmark, by how much, what costs took, and what was left without.

    ``traded`` names the variants that traded at all: one that never did is behind or ahead of nothing.
    """
    return [*_gaps(findings, traded), *_costs(findings, [it for it in traded if it != findings.benchmark])]


def _gaps(findings: RunFindings, traded: Collection[str]) -> list[Fact]:
    benchmark = findings.benchmark
    rows = [row for row in findings.comparisons if row.measure == "mean return a year" and row.right == benchmark]
    gaps = {row.left: row.difference for row in rows if row.difference is not None and row.left in traded}
    ruined = [name for name in findings.ruined if name != benchmark and benchmark not in findings.ruined]
    less, total = sum(gap < 0 for gap in gaps.values()) + len(ruined), len(gaps) + len(ruined)
    if not total:
        return []
    sizes = [f"points of mean return a year, after costs: {_range(list(gaps.values()), signed=True)}"] if gaps else []
    lost = [f"{named(ruined)} lost all"] if ruined else []
    facts = [Fact(f"Earned less than {benchmark}", _variants(less, total), "; ".join([*sizes, *lost]))]
    if gaps:
        best = max(gaps, key=lambda name: gaps[name])
        place = f"Least behind {benchmark}" if gaps[best] < 0 else f"Most ahead of {benchmark}"
        facts.append(Fact(place, best, f"{number(100 * gaps[best], 1, signed=True)} points of mean return a year"))
    return facts


def _costs(findings: RunFindings, names: Sequence[str]) -> list[Fact]:
    costs, benchmark = findings.costs, findings.benchmark
    paid = [it for it in (costs.variants[name].paid for name in names) if it is not None]
    if not any(paid):
        return []
    took = Fact("Costs took", f"{_range(paid)} points a year", f"at {costs.run_bps:g} bp a side, whatever the signal")
    place = costs.sides_bps.index(0.0)
    held = costs.variants[benchmark].yearly[place]
    earned = [it for it in (costs.variants[name].yearly[place] for name in names) if it is not None]
    if held is None or not earned:
        return [took]
    less = sum(it < held for it in earned)
    free = Fact("Free of costs", _variants(less, len(earned)), f"would still have earned less than {benchmark}")
    return [took, free]


def _variants(some: int, total: int) -> str:
    return f"{some} of {total} variant{'s' if total > 1 else ''}"


def _range(fractions: Sequence[float], signed: bool = False) -> str:
    """Least to most, in points; one number where both read the same."""
    least, most = (number(100 * it, 1, signed=signed) for it in (min(fractions), max(fractions)))
    return least if least == most else f"{least} to {most}"
