"""What the page shows of a bar is what ``ragsignal inspect`` says of it, and was known at its close."""

from __future__ import annotations

import numpy as np
import pytest

from ragsignal.data import RANK_FACTORS
from ragsignal.report.seen.files import open_seen
from tests.sidecars import Written, floats, inspected, read_sidecar, shorts


@pytest.mark.parametrize(("number", "variant"), [(0, "vote"), (1, "random")])
def test_sequences_of_a_bar_are_those_that_inspect_prints(sequences: Written, number: int, variant: str) -> None:
    answer = inspected(sequences.spec, "BBB", "2015-03-10", variant)
    file, bar = read_sidecar(sequences.folder, f"evidence-{number}-1"), sequences.bar("2015-03-10")
    assert file["counts"][str(bar)] == len(answer["hits"]) == 15
    for (place, score), hit in zip(file["hits"][str(bar)], answer["hits"], strict=True):
        symbol, sequence, first, last, values, movement, outcome, known = file["candidates"][place]
        assert (symbol, sequence, known) == (hit["symbol"], hit["sequence"], hit["available_at"])
        assert [first, last] == [hit["dates"][0], hit["dates"][-1]]
        assert ["fall", "freeze", "rise"][movement + 1] == hit["movement"]
        np.testing.assert_allclose([score, outcome], [hit["score"], hit["outcome"]], atol=1e-6)
        np.testing.assert_allclose(values, hit["values"], rtol=1e-5)
    values = floats(read_sidecar(sequences.folder, "symbol-1")["signals"][str(number)]["values"])
    assert values[bar] == pytest.approx(answer["signal"], rel=1e-6)
    assert (1 + values[bar]) / 2 == pytest.approx(answer["probability"]["rise"], rel=1e-6)


def test_the_window_that_is_drawn_is_that_of_the_query(sequences: Written) -> None:
    query = inspected(sequences.spec, "AAA", "2015-03-10", "vote")["query"]
    bar, panel = sequences.bar("2015-03-10"), open_seen(sequences.result).panel()
    window = slice(bar - panel["lookback"], bar + 1)
    assert panel["dates"][window] == query["dates"]
    np.testing.assert_allclose(floats(read_sidecar(sequences.folder, "symbol-0")["close"])[window], query["closes"])


def test_no_sequence_is_drawn_that_was_not_known_at_the_close_of_its_bar(sequences: Written) -> None:
    bars = [str(day.date()) for day in sequences.result.closes.index]
    for name in ("evidence-0-0", "evidence-0-1", "evidence-1-0", "evidence-1-1"):
        file = read_sidecar(sequences.folder, name)
        assert len(file["hits"]) == len(bars) - 5  # the first ones have too few bars
        for bar, hits in file["hits"].items():
            known = [file["candidates"][place][-1] for place, _ in hits]
            assert known
            assert max(known) <= bars[int(bar)]


def test_days_of_a_bar_are_those_that_inspect_prints(days: Written) -> None:
    answer = inspected(days.spec, "S03", "2015-02-10", "state")
    day, market = read_sidecar(days.folder, "days-0-2015")["2015-02-10"], read_sidecar(days.folder, "market-0")
    rows, scores = shorts(day["rows"]), floats(day["scores"])
    said = [np.datetime64(hit["date"]).astype(int) for hit in answer["hits"]]
    np.testing.assert_array_equal(floats(market["days"])[rows], said)
    np.testing.assert_allclose(scores + (scores < 0), [hit["similarity"] for hit in answer["hits"]], rtol=1e-5)
    assert (scores < 0).tolist() == [hit["unlike"] for hit in answer["hits"]]
    known = [np.datetime64(hit["available_at"]).astype(int) for hit in answer["hits"]]
    np.testing.assert_array_equal(floats(market["known"])[rows], known)
    payoffs = floats(market["payoffs"]).reshape(-1, len(RANK_FACTORS))[rows]
    np.testing.assert_allclose(payoffs, [list(hit["payoffs"].values()) for hit in answer["hits"]], rtol=1e-6)
    np.testing.assert_allclose(floats(day["pooled"]), list(answer["days"]["pooled"].values()), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(
        [z for _, z, _ in day["state"]], [it["z"] for it in answer["days"]["state"].values()], atol=1e-3
    )


def test_letters_of_a_bar_are_those_that_inspect_prints(days: Written) -> None:
    answer = inspected(days.spec, "S03", "2015-02-10", "state")
    file, bar = read_sidecar(days.folder, "symbol-3"), days.bar("2015-02-10")
    letters = file["letters"][bar * len(RANK_FACTORS) :][: len(RANK_FACTORS)]
    assert letters == answer["prompt"]["text"] == "".join(it["letter"] for it in answer["universe"]["letters"])
    assert floats(file["signals"]["0"]["values"])[bar] == pytest.approx(answer["signal"], rel=1e-5)
    assert floats(file["signals"]["0"]["ranks"])[bar] == pytest.approx(answer["rank"], rel=1e-5)


def test_no_day_is_drawn_whose_payoffs_were_not_known_at_the_close_of_its_bar(days: Written) -> None:
    file, known = read_sidecar(days.folder, "days-0-2015"), floats(read_sidecar(days.folder, "market-0")["known"])
    assert list(file) == [str(day.date()) for day in days.result.closes.index]
    for as_of, day in file.items():
        assert known[shorts(day["rows"])].max() <= np.datetime64(as_of).astype(int)


def test_the_days_of_the_page_are_the_ones_that_decided_the_signals(days: Written) -> None:
    for variant in days.result.variants[:2]:
        named = variant.signals.groupby("date")["hits"].first()
        for evidence in days.result.evidence[variant.name]:
            hits = named[str(evidence.as_of)]
            assert hits in ([], [f"days:{evidence.hits.digest[:16]}"])


def test_variants_that_retrieve_the_same_days_share_their_files(days: Written) -> None:
    variants = open_seen(days.result).panel()["variants"]
    assert [it["group"] for it in variants] == [0, 0, None]
    assert sorted(path.stem for path in (days.folder / "assets").glob("days-*")) == ["days-0-2015"]


def test_the_record_names_twelve_days_at_most_however_many_the_page_shows(days: Written) -> None:
    assert [it.as_of for it in days.result.retrieved["state"]] == ["2015-01-05", "2015-02-02"]
    assert len(days.result.evidence["state"]) == len(days.result.closes)
