"""The first line, the arithmetic, the forest plot and the sidecars: the same figures as in the findings."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.report.figures import curves
from ragsignal.report.forest import forests_of
from ragsignal.report.page import render_page
from ragsignal.report.record import record_of
from ragsignal.report.sidecar import write_sidecar
from ragsignal.report.summary import facts_of, verdict_line
from ragsignal.study import Provenance
from ragsignal.trading import RunResult
from ragsignal.trading.findings import RunFindings
from ragsignal.trading.findings.answers import verdict_of
from ragsignal.trading.findings.family import corrected
from tests.report.test_report import (
    BENCHMARK,
    BETTER,
    NOTHING,
    WORSE,
    comparison,
    days_of,
    equity_of,
    random_returns,
    result_of,
    sample_run,
    text_of,
    unpacked,
    variant_of,
)


@functools.cache
def run() -> RunResult:
    """The sample run on 120 bars."""
    return sample_run(120)


def findings_of_rows(**rows: Any) -> RunFindings:
    """Findings with a verdict of its own for each question; one that is not given has nothing to compare."""
    asked = {key: [dataclasses.replace(row, question=key) for row in rows.get(key, ())] for key in QUESTIONS}
    verdicts = {key: verdict_of(corrected(of_question)) for key, of_question in asked.items()}
    return dataclasses.replace(run().findings, answers=dataclasses.replace(run().findings.answers, **verdicts))


QUESTIONS = ("retrieval", "llm", "benchmark")


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (
            {"retrieval": [BETTER], "llm": [NOTHING], "benchmark": [NOTHING]},
            f"Retrieval helped (rag); no distinguishable difference by the LLM or from {BENCHMARK}.",
        ),
        ({"retrieval": [WORSE], "benchmark": [WORSE]}, f"Retrieval hurt (bad); bad did worse than {BENCHMARK}."),
        ({"llm": [BETTER], "benchmark": [BETTER]}, f"The LLM helped (rag); rag beat {BENCHMARK}."),
        ({"llm": [BETTER, dataclasses.replace(NOTHING, left="rag", right="rule")]}, "The LLM beat other only."),
        ({"benchmark": [BETTER]}, f"rag beat {BENCHMARK}."),
        ({}, "No question can be answered: there is nothing to compare."),
        (
            {"benchmark": [dataclasses.replace(NOTHING, low=None, high=None, p=None)]},
            "No question can be answered: fewer than 100 days say nothing.",
        ),
    ],
)
def test_the_first_line_claims_what_the_answers_claim(rows: Any, line: str) -> None:
    findings = findings_of_rows(**rows)
    assert verdict_line(findings) == line
    assert verdict_line(findings, in_sample=True).startswith("IN SAMPLE, so nothing is proven: ")


def test_what_is_arithmetic_is_said_without_an_interval() -> None:
    gaps = {"rag-shape": -0.051, "no-retrieval": 0.02, "price-momentum": -0.13, "reversal": 0.5}
    rows = [comparison(name, BENCHMARK, "mean return a year", gap, -1.0, 1.0, 0.5) for name, gap in gaps.items()]
    traded = [name for name in gaps if name != "reversal"]  # which never traded: it is ahead of nothing
    facts = {fact.label: fact for fact in facts_of(dataclasses.replace(run().findings, comparisons=rows), traded)}
    assert facts[f"Earned less than {BENCHMARK}"].figure == "2 of 3 variants"
    assert facts[f"Earned less than {BENCHMARK}"].words.endswith("−13.0 to +2.0")
    assert facts[f"Most ahead of {BENCHMARK}"].figure == "no-retrieval"
    assert facts["Costs took"].words == "at 10 bp a side, whatever the signal"
    assert facts["Free of costs"].figure.endswith("of 3 variants")
    words = " ".join(f"{fact.label} {fact.figure} {fact.words}" for fact in facts.values())
    assert not {"interval", "chance", "distinguishable"} & set(words.split())


def test_a_ruined_account_earned_less_and_is_named_first() -> None:
    row = comparison("rag-shape", BENCHMARK, "mean return a year", 0.02, -1.0, 1.0, 0.5)
    lost = {"reversal": "2010-03-01"}
    findings = dataclasses.replace(run().findings, comparisons=[row], ruined=lost)
    fact = facts_of(findings, ["rag-shape", "reversal"])[0]
    assert fact.figure == "1 of 2 variants"
    assert fact.words.endswith("+2.0; reversal lost all")
    assert verdict_line(findings).startswith("reversal was ruined on 2010-03-01; ")
    many = dataclasses.replace(findings, ruined=dict.fromkeys("abc", "2010-03-01"))
    assert verdict_line(many).startswith("3 variants were ruined; ")
    (only,) = facts_of(dataclasses.replace(findings, comparisons=[]), ["reversal"])[:1]
    assert (only.figure, only.words) == ("1 of 1 variant", "reversal lost all")


def test_a_run_in_which_nothing_traded_has_no_facts() -> None:
    assert facts_of(run().findings, []) == []


def test_costs_stand_with_the_facts_and_not_with_an_answer() -> None:
    page = render_page(run())
    assert "Costs took" in page.split("By arithmetic")[1].split("By inference")[0]
    assert "costs" not in text_of(page.split("By inference")[1].split('<section id="comparisons">')[0]).lower()


def test_every_comparison_has_its_row_with_a_mark_on_claims_alone() -> None:
    findings = run().findings
    forests = forests_of(findings)
    rows = [row for forest in forests for row in forest.rows]
    assert len(rows) + sum(len(forest.without) for forest in forests) == len(findings.comparisons)
    claimed = [row for row in findings.comparisons if row.distinguishable]
    assert [row.words.split(":")[0] for row in rows if row.claimed] == [f"{it.left} − {it.right}" for it in claimed]
    assert any(row.claimed for row in rows)
    assert any(not row.claimed for row in rows)
    page = render_page(run())
    assert page.count('class="point claimed" style') == len(claimed)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 3), min_size=1, max_size=6))
def test_an_interval_lies_on_its_axis_at_its_place(intervals: list[tuple[float, float, float]]) -> None:
    rows = [
        comparison(f"v{place}", BENCHMARK, "Sharpe ratio", at, low, high, 0.5)
        for place, (low, at, high) in enumerate(map(sorted, intervals))
    ]
    (forest,) = forests_of(dataclasses.replace(run().findings, comparisons=rows))
    places = [(row.low, row.at, row.high) for row in forest.rows]
    assert all(0 <= low <= at <= high <= 100 for low, at, high in places)
    assert 0 <= forest.zero <= 100
    assert all((row.at > forest.zero) <= (it.difference > 0) for row, it in zip(forest.rows, rows, strict=True))
    ticks = [place for place, _ in forest.ticks]
    assert ticks == sorted(ticks)
    assert 1 <= len(ticks) <= 8
    assert all(0 <= place <= 100 for place in ticks)


def test_a_pair_without_an_interval_is_said_and_not_drawn() -> None:
    row = dataclasses.replace(comparison("a", "b", "hit rate", 0.1, 0.0, 0.2, 0.5), low=None, p=None)
    (forest,) = forests_of(dataclasses.replace(run().findings, comparisons=[row]))
    assert (forest.rows, forest.without) == ([], ["a − b: hit rate: too few data to tell"])


def test_of_log_loss_less_is_better() -> None:
    rows = [comparison("a", "b", measure, 0.1, 0.0, 0.2, 0.5) for measure in ("log loss", "hit rate")]
    forests = forests_of(dataclasses.replace(run().findings, comparisons=rows))
    assert [forest.better for forest in forests] == ["left", "right"]


def test_notes_on_origin_are_folded_once_and_every_other_note_is_seen_first() -> None:
    origin, caution = Provenance("The reader r was trained on 3 symbols."), "IN SAMPLE: v proves nothing."
    noted = dataclasses.replace(run(), notes=(origin, caution))
    page = render_page(noted)
    assert page.index(caution) < page.index('id="curves"')
    assert page.count(origin) == 1
    assert page.index(origin) > page.index('<section id="provenance">')
    assert record_of(noted)["notes"] == [origin, caution]


def test_long_curves_share_points_and_lose_neither_an_end_nor_the_deepest_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragsignal.report.figures._VALUES", 0)
    bars = 2345
    equity = equity_of(random_returns(1, bars), days_of(bars))
    drawn = curves(result_of([variant_of(BENCHMARK, equity)]))
    wealth, drawdown = (unpacked(trace["y"]) for trace in drawn["traces"])
    assert len(wealth) == len(drawdown) == len(drawn["dates"]) == 501
    assert wealth[0] == 100
    assert wealth[-1] == pytest.approx(100 * equity.iloc[-1] / equity.iloc[0], rel=1e-6)
    deepest = (equity / np.maximum.accumulate(equity) - 1).min()
    assert drawdown.min() == pytest.approx(100 * deepest, rel=1e-6)


def test_a_sidecar_is_one_call_with_its_data_as_json(tmp_path: Path) -> None:
    data = {"</script>": [1.5, None, "é\u2028"]}
    text = write_sidecar(tmp_path, "signal-0", data).read_text(encoding="ascii")
    assert (tmp_path / "assets" / "signal-0.js").exists()
    assert text.startswith('ragsignal.receive("signal-0",')
    assert json.loads(text.removeprefix('ragsignal.receive("signal-0",').removesuffix(");\n")) == data


@pytest.mark.parametrize("name", ["../x", "A", "a b", "BRK/B", ""])
def test_a_sidecar_is_named_after_no_symbol(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a sidecar"):
        write_sidecar(tmp_path, name, {})
    with pytest.raises(ValueError, match="JSON"):
        write_sidecar(tmp_path, "a", float("nan"))
