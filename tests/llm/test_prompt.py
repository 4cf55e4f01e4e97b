"""Templates: goldens by hand, masking, scale invariance."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.config import TemplateName
from ragsignal.data.bins import shipped_bins
from ragsignal.llm.prompt import Template
from ragsignal.types import Candidate, Hit, Movement, Query

DAYS = tuple(date(2012, 6, 1) - timedelta(days=back) for back in (8, 7, 3, 2, 1, 0))
QUERY = Query("AAPL", DAYS, (100.0, 101.0, 99.0, 99.0, 102.0, 100.0))
PAST = tuple(day - timedelta(days=400) for day in DAYS[1:])
CANDIDATE = Candidate(
    id=f"MSFT/adj_close/{PAST[-1]}",
    symbol="MSFT",
    sequence="adj_close",
    dates=PAST,
    values=(20.0, 20.2, 20.1, 20.40001, 19.9),
    scaled=(0.01, 0.00995, -0.00496, 0.01482, -0.02481),
    movement=Movement.FALL,
    outcome=-0.012,
    available_at=PAST[-1] + timedelta(days=1),
)
HITS = (Hit(CANDIDATE, 0.9, 0), Hit(replace(CANDIDATE, sequence="volume", movement=Movement.FREEZE), 0.8, 1))
NAMES: list[TemplateName] = ["compact", "percent", "finseer-json"]


def _template(name: TemplateName, mask: bool = True) -> Template:
    return Template(name, mask, shipped_bins())


def test_compact_prompt_golden() -> None:
    assert _template("compact").render(QUERY, HITS).text == (
        "Stock moves by day, from A (big fall) to P (big rise), and what came next.\n"
        "adj_close: L L F M B fall\n"
        "volume: I I I I H freeze\n"
        "adj_close: L C H O C"
    )


def test_percent_prompt_golden() -> None:
    assert _template("percent").render(QUERY, HITS[:1]).text == (
        "Stock moves by day in per cent, and what came next.\n"
        "adj_close: +1.0 +1.0 -0.5 +1.5 -2.5 fall\n"
        "adj_close: +1.0 -2.0 +0.0 +3.0 -2.0"
    )


def test_percent_writes_each_kind_of_number_in_its_own_unit() -> None:
    kinds = {"movement": (1.0, 0.0, -1.0, 1.0, 1.0), "alpha101": (0.5, -0.25, 0.0, 1.0, 0.125)}
    hits = tuple(Hit(replace(CANDIDATE, sequence=name, scaled=it), 0.9, 0) for name, it in kinds.items())
    lines = _template("percent").render(QUERY, hits).text.splitlines()
    assert lines[1] == "movement: +1 +0 -1 +1 +1 fall"
    assert lines[2] == "alpha101: +0.5 -0.25 +0 +1 +0.12 fall"


def test_finseer_json_has_the_papers_keys_in_its_order() -> None:
    prompt = _template("finseer-json", mask=False).render(QUERY, HITS[:1])
    records = [json.loads(line) for line in prompt.text.splitlines() if line.startswith("{")]
    assert list(records[0]) == [
        *("candidate_stock", "candidate_date", "candidate_movement", "recent_date_list", "adj_close_list"),
    ]
    assert records[0]["candidate_stock"] == "MSFT"
    assert records[0]["adj_close_list"] == [100.5025, 101.5075, 101.005, 102.5126, 100.0]  # per cent of the last
    assert list(records[1]) == ["query_stock", "query_date", "recent_date_list", "adjusted_close_list"]
    assert records[1]["adjusted_close_list"] == [101.0, 99.0, 99.0, 102.0, 100.0]
    assert records[1]["recent_date_list"][-1] == "2012-06-01"
    assert "the movement of $AAPL is [blank]" in prompt.text


def test_without_hits_the_paper_prompt_has_no_candidate_section() -> None:
    text = _template("finseer-json").render(QUERY, ()).text
    assert "sequences may affect" not in text
    assert text.count("{") == 1


@pytest.mark.parametrize("name", NAMES)
def test_masking_hides_symbols_and_calendar_dates(name: TemplateName) -> None:
    prompt = _template(name).render(QUERY, HITS)
    read = prompt.system + prompt.text
    assert "AAPL" not in read
    assert "MSFT" not in read
    assert not re.search(r"(19|20)\d\d", read)


@pytest.mark.parametrize("name", NAMES)
def test_masking_is_off_by_name_only(name: TemplateName) -> None:
    text = _template(name, mask=False).render(QUERY, HITS).text
    assert all(word in text for word in ("AAPL", "MSFT", "2012-06-01"))


@given(scale=st.floats(min_value=1e-3, max_value=1e3))
def test_no_template_shows_a_price_level(scale: float) -> None:
    scaled = replace(QUERY, closes=tuple(close * scale for close in QUERY.closes))
    for name in NAMES:
        assert _template(name).render(scaled, ()).text == _template(name).render(QUERY, ()).text


@pytest.mark.parametrize("name", NAMES)
def test_the_outcome_itself_is_never_written_only_its_movement(name: TemplateName) -> None:
    other = (replace(HITS[0], candidate=replace(CANDIDATE, outcome=-0.4)),)
    assert _template(name).render(QUERY, other).text == _template(name).render(QUERY, HITS[:1]).text


def test_the_encoder_and_the_prompt_read_the_same_line() -> None:
    bins = shipped_bins()
    assert bins.line("adj_close", CANDIDATE.scaled) in _template("compact").render(QUERY, HITS).text


def test_recipes_differ_by_name_and_mask() -> None:
    recipes = [str(_template(name, mask).recipe) for name in NAMES for mask in (True, False)]
    assert len(set(recipes)) == len(recipes)


def test_a_prompt_names_bars_by_their_clock() -> None:
    weekly = Template("compact", True, shipped_bins(), bar="week")
    assert weekly.head == "Stock moves by week, from A (big fall) to P (big rise), and what came next."
    assert weekly.recipe["bar"] == "week"
    assert "bar" not in replace(weekly, bar="day").recipe
    moments = tuple(datetime(2015, 1, 5, hour) for hour in range(10, 16))
    query = Query("AAA", moments, (50.0, 51.0, 52.0, 51.0, 50.0, 49.0))
    masked = Template("finseer-json", True, shipped_bins(), bar="bar").render(query, ()).text
    assert '"query_date": "next bar"' in masked
    assert '"recent_date_list": ["H-4", "H-3", "H-2", "H-1", "H-0"]' in masked
    assert "on the next bar, the movement" in masked
    clear = Template("finseer-json", False, shipped_bins(), bar="bar").render(query, ()).text
    assert '"query_date": "2015-01-05 15:00"' in clear
    assert "on the bar after 2015-01-05 15:00" in clear
