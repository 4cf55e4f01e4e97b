"""Retrieved days summed up: query days spread over the run, years that add up, the largest payoffs."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from ragsignal.study import DayEvidence, day_evidence
from ragsignal.trading.findings.retrieved import PAYOFFS, QUERY_DAYS, query_days, retrieved_of
from tests.made_days import made_days, made_retriever


@pytest.mark.parametrize(
    ("first", "last", "expected"), [("2011-01-03", "2014-12-31", 12), ("2011-01-03", "2011-02-28", 2)]
)
def test_query_days_are_first_bars_of_months_from_the_first_to_the_last(first: str, last: str, expected: int) -> None:
    bars = pd.bdate_range(first, last)
    days = query_days(bars)
    assert len(days) == expected <= QUERY_DAYS
    assert days == sorted(set(days))
    assert days[0] == bars[0].date()
    assert (days[-1].year, days[-1].month) == (bars[-1].year, bars[-1].month)
    by_month = {(day.year, day.month): day.date() for day in reversed(bars)}
    assert all(day == by_month[day.year, day.month] for day in days)


def test_what_was_retrieved_is_summed_up_for_the_record() -> None:
    as_of = made_days(320).days[300].item()
    evidence = day_evidence(made_retriever(made_days(320), k=60, opposite=30), as_of)
    assert isinstance(evidence, DayEvidence)
    (found,) = retrieved_of({"rag": (evidence,)})["rag"]
    assert (found.as_of, found.alike, found.unlike) == (as_of.isoformat(), 60, 30)
    alike = [hit.candidate for hit in evidence.hits.hits[:60]]
    in_2009 = sum(date.fromisoformat(day.id.partition("/")[2]).year == 2009 for day in alike)
    assert found.years["2009"] == pytest.approx(in_2009 / 60)
    assert sum(found.years.values()) == pytest.approx(1.0)
    assert list(found.years.values()) == sorted(found.years.values(), reverse=True)
    sizes = [abs(payoff) for payoff in found.pooled.values()]
    assert len(sizes) == PAYOFFS
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx(max(map(abs, evidence.pooled.values())))
    assert [value.name for value in found.state] == ["trend_20", "volatility_20", "dispersion_20"]
