"""What is claimed, counted and written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ragsignal.alpha import (
    ALPHAS,
    CLAIM_LEVEL,
    RECORD,
    Generation,
    Search,
    SearchResult,
    count_evaluated,
    ledger,
    search_words,
    write_search,
)
from ragsignal.alpha.figures import WindowFigures
from ragsignal.alpha.levels import LevelProbe
from ragsignal.alpha.result import JudgedAlpha
from ragsignal.config import AlphaSpec, load_search_spec
from ragsignal.data import Prices, bars_until_known, digest_of, fields_of, load_prices, parse
from ragsignal.study import TrialLedger, bars_between, ledger_path
from tests.searches import FADE, SMALL_SEARCH, foreseen_market, search_spec
from tests.specs import changed, spec, write


@pytest.fixture(autouse=True)
def _own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))


def searched(seeds: tuple[str, ...] = (f"-({FADE})",), prices: Prices | None = None, **alpha: object) -> SearchResult:
    """A search where a formula is right every time; it is among the seeds, upside down."""
    spec = search_spec(alpha={"seeds": list(seeds), "generations": 1, **alpha})
    return Search(spec, prices or foreseen_market(spec)).run()


def _holdout_p(kept: JudgedAlpha, p: float) -> tuple[WindowFigures, ...]:
    return (*kept.windows[:-1], replace(kept.holdout, p=p))


def test_what_is_always_right_is_found_with_its_sign() -> None:
    result = searched()
    assert result.verdict == "found"
    best = next(it for it in result.kept if it.digest == digest_of(parse(FADE)))  # among others that are always right
    assert best.claim
    assert best.holdout.ic == pytest.approx(1.0)
    assert best.known_through == result.windows[-1].known_through == result.spec.data.end
    assert set(best.by_year) == {2012, 2013}
    assert best.deflated_sharpe > 0.5
    assert search_words(result)[0].startswith("Found: ")


def test_nothing_is_claimed_of_noise() -> None:
    result = Search(search_spec()).run()
    assert result.verdict == "not distinguishable from noise"
    assert search_words(result)[0].startswith("Not distinguishable from noise")
    assert not result.claims
    assert sum(it.kept for it in result.candidates) == len(result.kept) <= result.spec.alpha.keep


def test_what_fails_on_the_holdout_is_not_claimed_however_good_it_was_before() -> None:
    spec = search_spec()
    prices = foreseen_market(spec)
    others, turned = load_prices(spec.data.model_copy(update={"seed": 7})), {}
    for name, frame in prices.frames.items():
        late = frame.index > np.datetime64(spec.alpha.selection_end)
        turned[name] = pd.concat([frame[~late], others.frames[name][late]])  # what was foreseen is gone
        turned[name].index.name = frame.index.name
    result = searched(prices=Prices(frames=turned))
    assert result.kept[0].windows[1].ic > 0.7
    assert not result.claims


def test_every_formula_is_a_trial_on_the_days_that_it_was_tried_on() -> None:
    result = searched()
    search, selection, holdout = (bars_between(result.spec.data, it.first, it.last) for it in result.windows)
    ledger = TrialLedger(ledger_path())
    assert len(ledger.against(search)) == result.evaluated == result.looks.evaluated
    assert len(ledger.against(selection)) == len(result.candidates)
    assert len(ledger.against(holdout)) == len(result.kept) == result.looks.own
    ledger.close()


def test_formulas_of_a_search_that_was_given_up_are_trials_too() -> None:
    class GivenUpError(Exception):
        pass

    def give_up(generation: Generation) -> None:
        seen.append(generation.evaluated)
        raise GivenUpError

    seen: list[int] = []
    search = Search(search_spec())
    with pytest.raises(GivenUpError):
        search.run(watch=give_up)
    ledger = TrialLedger(ledger_path())
    days = search.part.days.astype("datetime64[D]")
    assert len(ledger.against(bars_between(search.spec.data, days[0].item(), days[-1].item()))) == seen[0]
    ledger.close()


def test_a_second_look_at_a_holdout_is_counted_and_corrected_for() -> None:
    first = searched()
    assert (first.looks.others, first.looks.repeated) == (0, False)
    again = searched()
    assert (again.looks.others, again.looks.repeated) == (0, True)
    assert again.record() | {"times": None} == first.record() | {"times": None}
    assert any("nothing new" in line for line in search_words(again))
    edited = searched(seeds=("volume / ts_mean(volume, 5)", f"-({FADE})"), seed=3, keep=6)
    others = {it.digest for it in first.kept} - {it.digest for it in edited.kept}
    assert edited.looks.others == len(others)
    if others:
        assert any("looked at before" in line for line in search_words(edited))
        name = edited.kept[0].name
        kept = len(edited.kept)
        p = edited.kept[0].holdout.p * (len(others) + 1) * (len(others) + kept + 1)
        assert edited.looks.p[name] == pytest.approx(min(1.0, p))


def test_searching_one_holdout_again_and_again_claims_on_noise_no_more_than_its_level() -> None:
    claimed, rng = 0, np.random.default_rng(0)
    result = searched()
    kept = [replace(result.kept[0], name=f"k{number}") for number in range(5)]
    for _ in range(2000):
        for look in range(20):
            p = rng.uniform(size=len(kept))
            worst = replace(kept[0], p_holm=min(1.0, 5 * p.min()), windows=_holdout_p(kept[0], p.min()))
            claimed_now = ledger._corrected(worst, len(kept), len(kept) * look) < CLAIM_LEVEL
            claimed += claimed_now
            if claimed_now:
                break
    assert claimed / 2000 < 0.075  # 0.05 of the first and 0.05 / 6 of all others; Bonferroni's would be 0.17


def test_a_new_formula_beside_one_that_was_judged_before_is_a_later_look() -> None:
    result = searched()
    old, new = (
        replace(result.kept[0], name=it, digest=it, p_holm=0.04, windows=_holdout_p(result.kept[0], 0.02))
        for it in "ab"
    )
    market = search_spec(data={"seed": 5})  # other bars than those that were searched
    assert ledger.count_search(market, result.windows, [], [], [old]).p == {"a": 0.04}
    looks = ledger.count_search(market, result.windows, [], [], [old, new])
    assert looks.p == {"a": 0.04, "b": pytest.approx(0.02 * 2 * 3)}
    assert looks.claims == ("a",)
    again = ledger.count_search(market, result.windows, [], [], [old, new])
    assert (again.p, again.repeated) == (looks.p, True)  # nor does a repetition make it an earlier one
    alone = ledger.count_search(market, result.windows, [], [], [new])
    assert alone.p == {"b": looks.p["b"]}


def test_trials_of_other_searches_on_the_same_days_deflate_too() -> None:
    first = searched()
    name = first.kept[0].name
    assert first.looks.deflated[name] == first.kept[0].deflated_sharpe
    second = searched(seed=3, population=60)
    best = second.kept[0]
    assert second.looks.evaluated > second.evaluated
    assert second.looks.deflated[best.name] < best.deflated_sharpe


def test_days_of_the_holdout_that_were_searched_before_count_as_looks() -> None:
    early = search_spec()
    first = Search(early).run()
    moved = search_spec(
        data={"start": date(2010, 6, 1), "end": date(2012, 6, 29)},
        alpha={"search_end": date(2011, 3, 31), "selection_end": date(2011, 12, 30), "generations": 1},
    )
    result = Search(moved).run()
    assert first.evaluated - len(result.kept) <= result.looks.others <= first.evaluated
    assert any("looked at before" in line for line in search_words(result))


def test_a_formula_that_was_evaluated_on_the_holdout_counts_as_a_look() -> None:
    run = spec(
        data={"source": "noise", "symbols": list(SMALL_SEARCH["data"]["symbols"])}
        | {"start": date(2013, 1, 2), "end": date(2013, 6, 28)}
    )
    for _ in range(2):
        count_evaluated(run, digest_of(parse("rank(ts_skew(returns, 7))")))
    assert searched().looks.others == 1


def test_a_claim_that_earlier_looks_undo_is_none() -> None:
    result = searched()
    weak = replace(result, looks=replace(result.looks, claims=(), p={it.name: 0.2 for it in result.kept}))
    assert weak.verdict == "not distinguishable from noise"
    assert weak.kept[0].claim  # without them it would be one


def test_known_formulas_are_not_found_again(tmp_path: Path) -> None:
    found = searched()
    write_search(found, tmp_path)
    path = write(tmp_path / "hunt.toml", changed(SMALL_SEARCH, alpha={"known": ALPHAS, "seeds": [FADE]}))
    spec = load_search_spec(path)  # what a search writes, a spec reads
    assert [it.name for it in spec.alpha.known] == [it.name for it in found.kept]
    assert [it.known_through for it in spec.alpha.known] == [it.known_through for it in found.kept]
    again = Search(spec, foreseen_market(spec)).run()
    assert FADE not in {it.formula for it in again.candidates}
    assert all(it.correlation < spec.alpha.correlation for it in again.kept)


def test_a_seed_with_a_longer_window_than_those_of_the_search_has_its_history() -> None:
    seed = "ts_mean(returns, 60)"
    spec = search_spec(alpha={"seeds": [seed], "candidates": 12, "generations": 1})
    market = Search(spec).market
    assert all(market.part(name).first >= 60 for name in ("selection", "holdout"))
    result = Search(spec).run()
    assert "levels" not in result.dead
    assert seed in {it.formula.removeprefix("-") for it in result.candidates}


def test_of_two_known_formulas_that_are_alike_both_count() -> None:
    part = (
        "ts_delta(close, 5) / close - returns"  # 7 of the 8 parts of the second known one, which is 8 of 10 of the seed
    )
    known = [
        {"name": f"k{number}", "formula": text, "known_through": date(2010, 1, 4)}
        for number, text in enumerate((part, f"-({part})"))
    ]
    seed = f"ts_delta(-({part}), 5)"
    settings = {"seeds": (seed,), "candidates": 12, "correlation": 0.99}
    assert seed in {it.formula.removeprefix("-") for it in searched(known=known[:1], **settings).candidates}
    assert seed not in {it.formula.removeprefix("-") for it in searched(known=known, **settings).candidates}


@pytest.mark.parametrize("known", ["sign(close)", "ts_mean(returns, 504)"])
def test_a_known_formula_that_ranks_nothing_is_like_no_other(known: str) -> None:
    kept = {"name": "flat", "formula": known, "known_through": date(2010, 1, 4)}
    result = searched(known=[kept])
    assert all(it.correlation < result.spec.alpha.correlation for it in result.kept)


LEVEL_SEEDS = ("close", "ts_sum(close < 2, 2) - returns")


def test_seeds_that_read_price_levels_are_told_and_left_out() -> None:
    result = searched(seeds=(*LEVEL_SEEDS, f"-({FADE})"))
    assert result.dead["levels"] == len(LEVEL_SEEDS)
    told = "2 seed(s) or candidate(s) were left out"
    assert any(line.startswith(told) for line in search_words(result))
    asked = searched(seeds=LEVEL_SEEDS, levels=True)
    assert "levels" not in asked.dead
    assert not any("left out" in line for line in search_words(asked))


def test_candidates_that_compare_price_levels_with_numbers_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LevelProbe, "compares_levels", lambda _probe, formula: "returns" in fields_of(formula))
    result = Search(search_spec()).run()
    assert result.candidates
    assert not any("returns" in it.formula for it in result.candidates)
    assert result.dead["levels"] == result.spec.alpha.candidates - len(result.candidates)


def test_the_record_is_json_and_the_same_for_the_same_search(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_search(searched(), tmp_path / name)
        record = json.loads((tmp_path / name / RECORD).read_text(encoding="utf-8"))
        assert set(record.pop("times")) >= {"started", "seconds", "looks", "verdict"}
        written.append(record)
    assert written[0] == written[1]
    assert (tmp_path / "one" / ALPHAS).read_bytes() == (tmp_path / "two" / ALPHAS).read_bytes()


@pytest.mark.parametrize("target", ["open_to_open", "movement", "relative"])
@pytest.mark.parametrize("horizon", [1, 5])
def test_the_wait_of_a_spec_is_that_of_its_labels(target: str, horizon: int) -> None:
    alpha = AlphaSpec.model_validate(
        {"search_end": "2012-06-29", "selection_end": "2012-12-28", "target": target, "horizon": horizon}
    )
    assert alpha.gap == alpha.wait == bars_until_known(alpha.target, alpha.horizon)
