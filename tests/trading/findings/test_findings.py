"""What a run comes to: claims that survive their number, regimes that know no future, costs, calibration, chance."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal import statistics
from ragsignal.config import RunSpec, load_spec
from ragsignal.report import answers_in_words
from ragsignal.trading.engine import run_spec
from ragsignal.trading.findings import RunFindings, findings_of
from ragsignal.trading.findings.answers import verdict_of
from ragsignal.trading.findings.costs import SIDES_BPS, costs_of
from ragsignal.trading.findings.days import earnings
from ragsignal.trading.findings.family import PairedDifference, corrected, family_of
from ragsignal.trading.findings.null import hit_rates_by_shift, shifted
from ragsignal.trading.findings.regimes import REGIMES, regimes_at_close, regimes_of
from ragsignal.trading.results import RunResult
from ragsignal.trading.variant import Metrics, VariantResult
from ragsignal.utils import plain

SYMBOLS = ("A", "B", "C")


# --- runs as an engine would make them ------------------------------------------------------------------------------


def days_of(n_bars: int) -> pd.DatetimeIndex:
    return pd.bdate_range("2015-01-05", periods=n_bars, name="date").as_unit("us")


def signals_of(n_bars: int, seed: int, skill: float = 0.0) -> pd.DataFrame:
    """Signals of the size 0.1; ``skill`` is how often they are given away. Targets are the same for every seed."""
    targets = np.random.default_rng(99).normal(0, 0.01, (n_bars, len(SYMBOLS)))
    rng = np.random.default_rng(seed)
    told = rng.random(targets.shape) < skill
    values = (
        0.1
        * np.where(told, np.sign(targets), rng.choice([-1.0, 1.0], targets.shape))
        * rng.uniform(0.5, 1.5, targets.shape)
    )
    targets[-1] = np.nan
    columns = {
        "date": np.repeat(days_of(n_bars), len(SYMBOLS)),
        "symbol": np.tile(SYMBOLS, n_bars),
        "value": values.ravel(),
        "probability": 0.5 + values.ravel() / 2,
        "abstained": None,
        "target": targets.ravel(),
        "key": "k",
        "hits": [[]] * values.size,
        "tokens": 0,
        "seconds": 0.0,
    }
    return pd.DataFrame(columns)


def variant_of(name: str, kind: str, n_bars: int, seed: int, skill: float = 0.0, drift: float = 0.0) -> VariantResult:
    returns = np.random.default_rng(seed).normal(drift, 0.01, n_bars - 1)
    equity = pd.Series(1e5 * np.cumprod(np.r_[1.0, 1 + returns]), index=days_of(n_bars))
    signals = signals_of(n_bars, seed, skill)
    orders = pd.DataFrame(columns=["date", "symbol", "size", "price", "value", "commission", "slippage"])
    return VariantResult(
        name=name,
        kind=kind,
        equity=equity,
        exposure=equity * 0,
        orders=orders,
        signals=signals if kind != "none" else signals.iloc[:0],
        metrics=cast(Metrics, {"hit_rate": 0.5 if kind != "none" else None, "cagr": 0.1, "sharpe": 0.5}),
    )


def spec_of(costs: dict[str, Any] | None = None) -> RunSpec:
    llm = [("rag", "shape"), ("random-0", "random"), ("random-1", "random"), ("bare", "none")]
    variants: list[dict[str, Any]] = [
        {"name": name, "signal": "llm", "retrieval": {"retriever": retriever, "seed": int(name == "random-1")}}
        for name, retriever in llm
    ]
    variants += [{"name": "classifier", "signal": "classifier"}]
    variants += [{"name": name, "signal": "none"} for name in ("momentum", "hold")]
    return RunSpec.model_validate(
        {
            "name": "made-up",
            "data": {"source": "noise", "symbols": SYMBOLS, "start": "2015-01-05", "end": "2016-12-30"},
            "strategy": {"class": "ragsignal.strategies:LongShort"},
            "costs": costs or {},
            "variant": variants,
            "benchmark": "hold",
        }
    )


def variants_of(spec: RunSpec, n_bars: int = 300, skill: float = 0.0, drift: float = 0.0) -> list[VariantResult]:
    """``skill`` and ``drift`` are given to the variant ``rag`` alone."""
    return [
        variant_of(it.name, it.signal, n_bars, seed, *((skill, drift) if it.name == "rag" else ()))
        for seed, it in enumerate(spec.variants)
    ]


def closes_of(n_bars: int, seed: int = 5) -> pd.DataFrame:
    moves = np.random.default_rng(seed).normal(0, 0.012, (n_bars, len(SYMBOLS)))
    return pd.DataFrame(50 * np.exp(np.cumsum(moves, axis=0)), index=days_of(n_bars), columns=list(SYMBOLS))


def found(n_bars: int = 300, **skills: float) -> RunFindings:
    spec = spec_of()
    variants = variants_of(spec, n_bars, **skills)
    return findings_of(spec, variants, closes_of(n_bars))


def verdicts(findings: RunFindings) -> list[str]:
    answers = findings.answers
    return [it.verdict for it in (answers.retrieval, answers.llm, answers.benchmark)]


@pytest.fixture(scope="module")
def noise() -> RunFindings:
    return found()


@pytest.fixture(scope="module")
def skilled() -> RunFindings:
    return found(skill=0.5, drift=0.01)


# --- claims -----------------------------------------------------------------------------------------------------------


def row(p: float | None, difference: float = 1.0, measure: str = "hit rate") -> PairedDifference:
    half = abs(difference) * (0.5 if p is not None and p < 0.05 else 2.0)
    ends = (difference - half, difference + half)
    return PairedDifference("retrieval", "none", "rag", "bare", measure, difference, *ends, p)


def test_a_difference_is_claimed_only_if_it_survives_the_number_of_all_comparisons() -> None:
    alone = corrected([row(0.02)])
    among = corrected([row(0.02), *(row(0.5) for _ in range(11))])
    assert alone[0].distinguishable
    assert not among[0].distinguishable
    assert among[0].adjusted == pytest.approx(12 * 0.02)
    assert corrected([row(0.001), *(row(0.5) for _ in range(11))])[0].distinguishable


def test_a_row_without_a_p_claims_nothing_and_does_not_count() -> None:
    first, unknown = corrected([row(0.03), row(None)])
    assert first.adjusted == pytest.approx(0.03)
    assert not unknown.distinguishable


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_there_is_no_claim_where_the_smallest_p_times_all_comparisons_is_above_five_percent(
    p_values: list[float],
) -> None:
    rows = corrected([row(p) for p in p_values])
    if any(it.distinguishable for it in rows):
        assert min(p_values) * len(p_values) <= 0.05 + 1e-12


def test_a_lower_log_loss_is_the_better_one() -> None:
    assert corrected([row(0.01, -1.0, "log loss")])[0].better is True
    assert corrected([row(0.01, -1.0)])[0].better is False


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([], "absent"),
        ([row(None)], "too few"),
        ([row(0.5)], "unclear"),
        ([row(0.001)], "better"),
        ([row(0.001, -1.0)], "worse"),
        ([row(0.001), row(0.001, -1.0)], "mixed"),
    ],
)
def test_a_verdict_says_what_the_rows_say(rows: list[PairedDifference], verdict: str) -> None:
    assert verdict_of(corrected(rows)).verdict == verdict


def test_retrievers_of_signals_that_rank_stocks_are_compared_by_ic() -> None:
    made_up = spec_of()
    ranking = made_up.model_copy(update={"corpus": made_up.corpus.model_copy(update={"target": "relative"})})
    rows = [row for row in family_of(ranking, wide_variants(ranking)) if row.question == "retrieval"]
    assert {(row.right, row.measure) for row in rows} == {
        (right, measure) for right in ("bare", "random (2 seeds)") for measure in ("hit rate", "IC")
    }
    assert all(row.low is not None and row.low > 0.0 for row in rows)


def wide_variants(spec: RunSpec) -> list[VariantResult]:
    """The variants of :func:`variants_of`, ``rag`` with skill, on ten symbols."""
    variants = variants_of(spec, skill=0.3)
    tables = [
        pd.concat(
            [signals_of(300, 10 * seed + number, 0.3 * (it.name == "rag")).assign(copy=number) for number in range(10)]
        )
        for seed, it in enumerate(variants)
    ]
    return [
        dataclasses.replace(
            it,
            signals=table.assign(symbol=table["symbol"] + table["copy"].astype(str))
            if it.kind != "none"
            else it.signals,
        )
        for it, table in zip(variants, tables, strict=True)
    ]


def test_every_question_has_its_pairs(noise: RunFindings) -> None:
    pairs = {(it.question, it.left, it.right, it.measure) for it in noise.comparisons}
    assert {it[1:] for it in pairs if it[0] == "retrieval"} == {
        ("rag", right, measure) for right in ("bare", "random (2 seeds)") for measure in ("hit rate", "log loss")
    }
    assert {it[1:] for it in pairs if it[0] == "llm"} == {
        (left, *rest)
        for left in ("rag", "bare")  # what is fed at random is a yardstick, not the LLM's case
        for rest in (("classifier", "hit rate"), ("momentum", "Sharpe ratio"))
    }
    others = ("rag", "random-0", "random-1", "bare", "classifier", "momentum")
    assert {it[1:] for it in pairs if it[0] == "benchmark"} == {
        (left, "hold", measure) for left in others for measure in ("mean return a year", "Sharpe ratio")
    }
    assert len(pairs) == len(noise.comparisons)


def test_noise_is_not_distinguishable_and_skill_is(noise: RunFindings, skilled: RunFindings) -> None:
    assert verdicts(noise) == ["unclear"] * 3
    assert verdicts(skilled) == ["better"] * 3
    assert skilled.answers.retrieval.better == ("rag",)
    assert set(skilled.answers.retrieval.over) == {"none", "random"}


def test_the_certainty_counts_what_was_tested(noise: RunFindings) -> None:
    certainty = noise.answers.certainty
    assert certainty.comparisons == len(noise.comparisons) == 20
    assert certainty.expected == pytest.approx(1.0)
    assert certainty.claims == 0
    assert 0 < (certainty.superior.p or 0) <= 1
    power = certainty.power
    assert power.sharpe
    assert power.hit_rate
    assert power.sharpe.years == pytest.approx(2 * (1 - power.sharpe.correlation) * 2.8016**2 / 0.25, rel=1e-3)
    assert 0.02 < power.hit_rate.detectable < 0.2


def test_findings_are_json_and_the_same_for_the_same_run(noise: RunFindings) -> None:
    again = found()
    assert again == noise
    assert json.dumps(plain(again), allow_nan=False) == json.dumps(plain(noise), allow_nan=False)


def test_the_record_has_the_words_of_the_page_where_they_are_no_identifiers(noise: RunFindings) -> None:
    record = plain(noise)
    power = record["answers"]["certainty"]["power"]
    assert set(power) == {"window_years", "sharpe", "hit rate", "log loss", "mean return a year"}
    assert set(record["regimes"]["variants"]["rag"]["bull"]) == {"return", "sharpe", "hit_rate"}
    assert len(record["costs"]["variants"]["rag"]["return"]) == len(SIDES_BPS)
    with_counts = {it["measure"] for it in record["comparisons"] if "mcnemar" in it}
    without = {it["measure"] for it in record["comparisons"] if "mcnemar" not in it}
    assert with_counts == {"hit rate"}
    assert without == {"log loss", "Sharpe ratio", "mean return a year"}


@pytest.mark.parametrize("n_bars", [2, 3, 30, 99])
def test_too_few_days_are_told_and_nothing_is_claimed(n_bars: int) -> None:
    findings = found(n_bars)
    assert verdicts(findings) == ["too few"] * 3
    assert findings.answers.certainty.comparisons == 0
    json.dumps(plain(findings), allow_nan=False)


def test_a_run_of_the_benchmark_alone_has_nothing_to_compare() -> None:
    spec = spec_of()
    alone = spec.model_copy(update={"variant": spec.variant[-1:]})
    findings = findings_of(alone, [variant_of("hold", "none", 200, 1)], closes_of(200))
    assert verdicts(findings) == ["absent"] * 3
    assert findings.calibration == findings.symbols == {}


def test_accounts_that_never_move_and_signals_that_all_abstain_have_findings_too() -> None:
    spec = spec_of()
    flat = [
        dataclasses.replace(
            it,
            equity=it.equity * 0 + 1e5,
            signals=it.signals.assign(value=0.0, probability=0.5, abstained="too few bars"),
        )
        for it in variants_of(spec)
    ]
    findings = findings_of(spec, flat, closes_of(300))
    assert findings.answers.certainty.claims == 0
    assert findings.calibration == {}
    assert set(findings.null.shifted.values()) == {None}


def test_an_account_that_lost_everything_has_no_sharpe_to_compare() -> None:
    spec = spec_of()
    variants = variants_of(spec)
    equity = variants[0].equity.copy()
    equity.iloc[150:] = 0.0
    variants[0] = dataclasses.replace(variants[0], equity=equity)
    rows = family_of(spec, variants)
    lost = [it for it in rows if it.left == "rag" and it.measure == "Sharpe ratio"]
    assert lost
    assert not any(it.distinguishable for it in lost)


# --- regimes ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 199), st.integers(0, 10_000))
def test_poisoning_the_future_leaves_every_known_regime_equal(last: int, seed: int) -> None:
    closes = closes_of(200, seed)
    poisoned = closes.copy()
    poisoned.iloc[last + 1 :] *= np.random.default_rng(seed).uniform(10, 1000, (199 - last, 3))
    pd.testing.assert_frame_equal(regimes_at_close(closes)[: last + 1], regimes_at_close(poisoned)[: last + 1])


def test_a_return_belongs_to_the_regime_of_the_close_before_it() -> None:
    """80 rising bars, then falling ones: of 60, the 29th fall turns the sum, and is itself still a bull's bar."""
    moves = np.r_[np.full(80, 0.01), np.full(120, -0.011)]
    closes = pd.DataFrame({"A": 50 * np.exp(np.cumsum(moves))}, index=days_of(200))
    variant = variant_of("v", "none", 200, 0)
    earned = pd.Series(np.where(np.arange(200) == 79 + 29, 0.5, 0.0), index=days_of(200))
    variant = dataclasses.replace(variant, equity=1e5 * (1 + earned).cumprod())
    by_regime = regimes_of([variant], closes).variants["v"]
    assert (by_regime["bull"].yearly or 0) > 0
    assert by_regime["bear"].yearly == 0


def test_regimes_split_the_bars_that_have_a_past() -> None:
    days = regimes_of([], closes_of(300)).days
    assert days["bull"] + days["bear"] + days["none"] == 299
    assert days["none"] == 60
    assert min(days[name] for name in REGIMES) > 0


# --- costs ------------------------------------------------------------------------------------------------------------

MARKET = """
name = "costs"
benchmark = "hold"
[data]
source = "noise"
symbols = ["AAA", "BBB"]
start = 2015-01-05
end = 2016-03-31
[corpus]
indicators = ["adj_close"]
stride = 5
[retrieval]
retriever = "shape"
[strategy]
class = "ragsignal.strategies:LongShort"
params = {{ enter = 0.0 }}
[costs]
commission_bps = {commission}
slippage_bps = {slippage}
[[variant]]
name = "vote"
signal = "vote"
[[variant]]
name = "momentum"
signal = "none"
strategy = {{ class = "ragsignal.strategies:PriceMomentum" }}
[[variant]]
name = "hold"
signal = "none"
strategy = {{ class = "ragsignal.strategies:BuyAndHold" }}
"""


def _real(folder: Path, commission: float, slippage: float) -> tuple[RunSpec, RunResult]:
    path = folder / "costs.toml"
    path.write_text(MARKET.format(commission=commission, slippage=slippage))
    spec = load_spec(path)
    return spec, run_spec(spec)


@pytest.mark.slow
def test_costs_as_reckoned_are_those_of_a_real_run_at_other_costs(tmp_path: Path) -> None:
    """Within a twentieth of what the change of costs does, and a tenth of a point."""
    spec, result = _real(tmp_path, 5.0, 5.0)
    reckoned = costs_of(spec, result.variants).variants
    for commission, slippage in ((0.0, 0.0), (10.0, 10.0)):
        other_spec, other = _real(tmp_path, commission, slippage)
        at = SIDES_BPS.index(commission + slippage)
        real = costs_of(other_spec, other.variants).variants
        for name in ("vote", "momentum", "hold"):
            earned = reckoned[name].yearly
            moved = abs((earned[at] or 0) - (earned[SIDES_BPS.index(10.0)] or 0))
            assert earned[at] == pytest.approx(real[name].yearly[at], abs=0.001 + moved / 20)


def test_at_its_break_even_cost_a_variant_earns_nothing(tmp_path: Path) -> None:
    spec, result = _real(tmp_path, 5.0, 5.0)
    vote = costs_of(spec, result.variants).variants["vote"]
    free, dear = vote.yearly[0] or 0, vote.yearly[-1] or 0
    assert free + (dear - free) / 50.0 * (vote.break_even_bps or 0) == pytest.approx(0.0, abs=1e-9)


def test_what_never_traded_has_no_break_even_cost() -> None:
    spec = spec_of()
    assert {it.break_even_bps for it in costs_of(spec, variants_of(spec)).variants.values()} == {None}


# --- calibration, symbols -----------------------------------------------------------------------------------------


def test_signals_that_know_the_outcome_show_it_in_bins_dead_band_and_symbols(skilled: RunFindings) -> None:
    rag = skilled.calibration["rag"]
    seen = [it.seen for it in rag.reliability]
    assert sum(it.signals for it in rag.reliability) == 3 * 299
    assert len(seen) == 5
    assert max(seen[:2]) < 0.5 < min(seen[3:])
    assert all((it.low or 1) <= it.seen <= (it.high or 0) for it in rag.reliability)
    assert rag.ece.value > 2 * (rag.ece.noise or 1)
    assert rag.dead_band[0].share == 1.0
    assert (rag.dead_band[0].low or 0) > 0.5
    assert {it.symbol for it in skilled.symbols["rag"]} == set(SYMBOLS)
    assert all((it.hit_rate or 0) > (it.base_rate or 1) and (it.earned or 0) > 0 for it in skilled.symbols["rag"])


def test_chance_alone_makes_about_the_calibration_error_that_is_said(noise: RunFindings) -> None:
    errors = [noise.calibration[name].ece for name in ("rag", "random-0", "random-1", "bare")]
    ratio = np.mean([it.value for it in errors]) / np.mean([it.noise or 0 for it in errors])
    assert 0.6 < ratio < 1.7


def test_a_position_pays_only_when_its_side_changes() -> None:
    variant = variant_of("v", "vote", 3, 0)
    signals = signals_of(3, 0).query("symbol == 'A'").assign(value=[0.2, 0.4, -0.1], target=[0.01, 0.02, 0.03])
    book = earnings(dataclasses.replace(variant, signals=signals), cost=0.001)
    assert book.loc["A", "held"] == 3
    assert book.loc["A", "earned"] == pytest.approx(0.01 + 0.02 - 0.03 - 3 * 0.001)
    strong = earnings(dataclasses.replace(variant, signals=signals), 0.001, threshold=0.3)
    assert strong.loc["A", "earned"] == pytest.approx(0.02 - 2 * 0.001)


# --- chance -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10_000))
def test_all_shifts_at_once_are_each_shift_alone(n_days: int, n_symbols: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    side, outcome = rng.choice([-1.0, 0.0, 1.0], (2, n_days, n_symbols))
    for shift, rate in enumerate(hit_rates_by_shift(side, outcome)):
        moved = np.roll(side, shift, axis=0)
        counted = (moved != 0) & (outcome != 0)
        expected = np.mean((moved == outcome)[counted]) if counted.any() else np.nan
        assert rate == pytest.approx(expected, nan_ok=True)


def test_a_signal_that_always_says_rise_is_exactly_what_chance_gives() -> None:
    variant = variant_of("v", "vote", 300, 0)
    among = shifted(dataclasses.replace(variant, signals=variant.signals.assign(value=0.3)))
    assert among is not None
    assert among.low == pytest.approx(among.high, abs=0.01)
    assert among.p > 0.05


def test_skill_stands_out_of_its_shifts(noise: RunFindings, skilled: RunFindings) -> None:
    with_skill, without = skilled.null.shifted["rag"], noise.null.shifted["rag"]
    assert with_skill is not None
    assert without is not None
    assert with_skill.p < 0.01
    assert with_skill.middle == pytest.approx(0.5, abs=0.03)
    assert without.p > 0.01


def test_two_random_seeds_cannot_give_a_p_below_a_third(noise: RunFindings) -> None:
    among = noise.null.random["rag"]
    assert among.seeds == ["random-0", "random-1"]
    assert among.least_p == pytest.approx(1 / 3)
    assert min(it.p for it in (among.hit_rate, among.cagr, among.sharpe) if it) >= among.least_p


@pytest.mark.slow
def test_an_account_below_zero_has_no_later_returns_and_no_later_gain() -> None:
    spec = spec_of()
    variants = variants_of(spec)
    for last in (0.0, -5000.0):
        equity = variants[0].equity.copy()
        equity.iloc[150:] = np.linspace(last, 3 * last, 150)  # loses on, which over a negative value reads as a gain
        ruined = dataclasses.replace(variants[0], equity=equity)
        assert ruined.returns.iloc[:150].notna().all()
        assert ruined.returns.iloc[150:].isna().all()
        figures = statistics.performance(equity)
        assert [figures[key] for key in ("volatility", "sharpe", "sharpe_error", "sortino")] == [None] * 4
        for number in (0, len(variants) - 1):  # a variant, and the benchmark
            held = [*variants]
            held[number] = dataclasses.replace(held[number], equity=equity)
            findings = findings_of(spec, held, closes_of(300))
            json.dumps(plain(findings), allow_nan=False)
            assert len(answers_in_words(findings)) == 4
