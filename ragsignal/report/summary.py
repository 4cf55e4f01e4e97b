"""The first line of the page, and what is so by arithmetic: counts and sums, for which no interval is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    claims = [said for _, said in asked.values() if said]
    said = "; ".join([*claims, *([f"no distinguishable difference {unclear}"] if unclear else [])])
    said = said or "no question can be answered: too few data, or nothing to compare"
    return f"IN SAMPLE, so nothing is proven: {said}." if in_sample else f"{said[0].upper()}{said[1:]}."


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


def facts_of(findings: RunFindings) -> list[Fact]:
    """Count and add up: who earned more than the benchmark, by how much, what costs took, and what was left without."""
    benchmark, costs = findings.benchmark, findings.costs
    rows = [row for row in findings.comparisons if row.measure == "mean return a year" and row.right == benchmark]
    gaps = {row.left: row.difference for row in rows if row.difference is not None}
    if not gaps:
        return []
    best = max(gaps, key=lambda name: gaps[name])
    free = _free_of_costs(findings)
    paid = [it.paid for name, it in costs.variants.items() if name != benchmark and it.paid is not None]
    facts = [
        Fact(
            f"Earned less than {benchmark}",
            f"{sum(gap < 0 for gap in gaps.values())} of {len(gaps)} variants",
            f"points of mean return a year, after costs: {_range(list(gaps.values()), signed=True)}",
        ),
        Fact(
            f"Least behind {benchmark}" if gaps[best] < 0 else f"Most ahead of {benchmark}",
            best,
            f"{number(100 * gaps[best], 1, signed=True)} points of mean return a year",
        ),
    ]
    if any(paid):
        took = f"{_range(paid)} points a year"
        facts.append(Fact("Costs took", took, f"at {costs.run_bps:g} bp a side, whatever the signal"))
    if free and costs.run_bps:
        less = sum(gap < 0 for gap in free)
        facts.append(
            Fact("Free of costs", f"{less} of {len(free)} variants", f"would still have earned less than {benchmark}")
        )
    return facts


def _free_of_costs(findings: RunFindings) -> list[float]:
    """What each variant would have earned more than the benchmark a year, had neither paid anything."""
    costs = findings.costs
    place = costs.sides_bps.index(0.0)
    earned = {name: it.yearly[place] for name, it in costs.variants.items()}
    held = earned.pop(findings.benchmark, None)
    return [] if held is None else [it - held for it in earned.values() if it is not None]


def _range(fractions: Sequence[float], signed: bool = False) -> str:
    """Least to most, in points; one number where both read the same."""
    least, most = (number(100 * it, 1, signed=signed) for it in (min(fractions), max(fractions)))
    return least if least == most else f"{least} to {most}"
