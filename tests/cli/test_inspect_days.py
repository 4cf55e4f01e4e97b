"""``ragsignal inspect`` and ``backtest`` of variants that read days, from prices alone."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from ragsignal.data import RANK_FACTORS, STATE_FORMULAS
from tests.cli.commands import run_fresh, run_here
from tests.specs import HOLD, write_spec

pytestmark = pytest.mark.slow

DAYS = {"candidates": "days", "own_days": True, "k": 60, "opposite": 30}
VARIANTS = [
    {"name": "state", "signal": "vote", "retrieval": DAYS | {"retriever": "state"}},
    {"name": "random-days", "signal": "vote", "retrieval": DAYS | {"retriever": "random"}},
    HOLD,
]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(
        tmp_path_factory.mktemp("days"),
        data={"symbols": [f"S{number:02d}" for number in range(30)], "end": date(2015, 4, 30)},
        corpus={"target": "relative"},
        retrieval={"retriever": "none", "k": None},
        variant=VARIANTS,
    )


def test_inspect_shows_what_was_retrieved_and_what_it_says_of_the_stock(spec: Path) -> None:
    answer, said = run_here("inspect", spec, "--symbol", "S03", "--date", "2015-03-10", "--variant", "state")
    hits, days = answer["hits"], answer["days"]
    assert (len(hits), days["alike"], days["unlike"]) == (90, 60, 30)
    assert all(hit["available_at"] <= "2015-03-10" for hit in hits)
    similarity = [hit["similarity"] for hit in hits[:60]]
    assert similarity == sorted(similarity, reverse=True)
    assert [hit["unlike"] for hit in hits] == [False] * 60 + [True] * 30
    assert list(days["state"]) == list(STATE_FORMULAS)
    assert list(hits[0]["payoffs"]) == list(days["pooled"]) == list(days["contributions"]) == list(RANK_FACTORS)
    # the vote is nothing else than the sum: P = 1/2 + sum / sqrt(2)
    assert answer["probability"]["rise"] == pytest.approx(0.5 + sum(days["contributions"].values()) / 2**0.5, abs=1e-9)
    for words in ("the market was", "the nearest of 60 days like it", "the most unlike of 30", hits[0]["date"]):
        assert words in said
    assert f"rank {answer['rank']:+.2f}" in said.splitlines()[-1] + said.splitlines()[-2]


def test_inspect_before_any_day_is_known_abstains(spec: Path) -> None:
    answer, _ = run_here("inspect", spec, "--symbol", "S03", "--date", "2013-02-04", "--variant", "state")
    assert answer["abstained"]
    assert answer["days"] is None


def test_a_report_shows_retrieved_days_and_a_second_run_repeats_the_record(spec: Path) -> None:
    records = []
    for run in (run_fresh, run_here):
        answer, _ = run("backtest", spec, "--out", spec.parent / "runs")
        folder = Path(answer["run_dir"])
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        records.append({key: value for key, value in record.items() if key != "times"})
    assert records[0] == records[1]
    assert list(records[0]["retrieved"]) == ["random-days", "state"]
    assert [day["as_of"] for day in records[0]["retrieved"]["state"]][:2] == ["2015-01-05", "2015-02-02"]
    assert "2015-03-10" in (folder / "assets" / "days-0-2015.js").read_text(encoding="ascii")
