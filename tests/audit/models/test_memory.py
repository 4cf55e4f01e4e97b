"""The audit of a language model's memory: what it asks, what its statistics say, and planted memory found by it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.artifacts.weights import resolve
from ragsignal.audit.models import traces
from ragsignal.audit.models.memory import TESTS, audit_memory, shift_dates
from ragsignal.audit.models.recall import (
    FamiliarText,
    clustered_fit,
    cutoff_of,
    firm_date_text,
    interaction,
    min_k,
    question,
)
from ragsignal.audit.models.traces import MemoryTests, above_chance, better, knowledge, planted
from ragsignal.audit.verdict import Finding
from ragsignal.config import RunSpec
from ragsignal.data.labels import forward_returns
from ragsignal.llm.stockllm import StockLLM
from ragsignal.study.study import Study
from ragsignal.types import Prompt, Query, Score
from ragsignal.utils import Progress, silent
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

DAY = date(2011, 5, 3)


def answers(n_days: int = 200, symbols: int = 1, seed: int = 0) -> pd.DataFrame:
    """A table of answers without any memory: coins for outcomes, noise for probabilities."""
    rng = np.random.default_rng(seed)
    days = np.repeat(pd.bdate_range("2011-01-03", periods=n_days).date, symbols)
    names = np.tile([f"S{number}" for number in range(symbols)], n_days)
    table = pd.DataFrame({"date": days, "symbol": names, "target": rng.normal(0.0, 0.01, n_days * symbols)})
    probability = 0.5 + 0.02 * rng.standard_normal(len(table))
    return table.assign(probability=probability, value=2 * probability - 1, rose=table["target"] > 0)


# ----------------------------------------------------------------------------------------------- what is asked


def test_a_question_names_symbol_and_date_and_shows_no_price() -> None:
    plain, chat = question("IBM", DAY, chat=False), question("IBM", DAY, chat=True)
    for prompt in (plain, chat):
        assert "IBM" in prompt.text
        assert "2011-05-03" in prompt.text
        assert not re.search(r"\d", prompt.text.replace("2011-05-03", ""))
    assert plain.text.endswith("saw a")  # " rise" or " fall" goes on from here
    assert chat.system
    assert firm_date_text("IBM", DAY).text == "IBM stock, Tuesday, May 3, 2011: shares closed"


@given(st.dates(date(1970, 1, 1), date(2030, 12, 31)), st.text("ABC :+.5\n", max_size=20))
def test_dates_are_moved_and_nothing_else(day: date, rest: str) -> None:
    query = Query("IBM", (day,), (1.0,))
    prompt = Prompt(query, (), f"IBM {day} {rest}|{day}", "told")
    later = shift_dates(prompt, 4)
    found = re.findall(r"\d{4}-\d{2}-\d{2}", later.text)
    assert len(found) == 2
    earlier = date.fromisoformat(found[0])
    assert (earlier.year, earlier.month) == (day.year - 4, day.month)
    assert later.text == prompt.text.replace(str(day), found[0])
    assert (later.query, later.system) == (query, "told")
    assert shift_dates(prompt, 0) is prompt


def test_the_end_of_a_models_text_decides_what_can_be_concluded() -> None:
    ref = "embedded:SmolLM2-135M-Instruct"
    known = cutoff_of("HuggingFaceTB/SmolLM2-1.7B")
    assert known == cutoff_of(ref)
    assert known is not None
    assert "never ruled out" in knowledge(ref, date(2013, 3, 1))
    assert "cannot have read" in knowledge(ref, date(2030, 1, 1))
    assert cutoff_of("some/folder/model") is None
    assert "cannot be ruled out" in knowledge("some/folder/model", DAY)


# -------------------------------------------------------------------------------------------------- statistics


def test_min_k_is_the_mean_of_the_least_likely_fifth() -> None:
    logs = [-1.0, -5.0, -2.0, -0.1, -9.0, -0.5, -0.2, -0.3, -0.4, -0.6]
    assert min_k(logs) == pytest.approx(-7.0)
    assert min_k([-3.0]) == -3.0


def test_clustered_errors_are_those_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    day = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    x, lap = rng.normal(size=len(day)), rng.uniform(size=len(day))
    y = 0.2 * x + rng.normal(size=40)[day] + rng.normal(size=len(day))
    columns = np.column_stack([np.ones(len(day)), x, lap, x * lap])
    theirs = sm.OLS(y, columns).fit(cov_type="cluster", cov_kwds={"groups": day})
    ours = clustered_fit(y, columns, day)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-10)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-8)
    z = [(v - v.mean()) / v.std() for v in (x, lap)]
    scaled = sm.OLS(y, np.column_stack([np.ones(len(day)), *z, z[0] * z[1]]))
    theirs = scaled.fit(cov_type="cluster", cov_kwds={"groups": day}, use_t=True)
    slope = interaction(y, x, lap, day)
    assert slope is not None
    assert slope.p == pytest.approx(theirs.pvalues[3], rel=1e-6)
    assert (slope.low, slope.high) == pytest.approx(tuple(theirs.conf_int()[3]), rel=1e-6)


def test_an_interaction_is_positive_where_memory_helps_and_seldom_found_where_it_does_not() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        outcome, lap = np.sign(rng.normal(size=200)), rng.uniform(size=200)
        slope = interaction(outcome, rng.normal(size=200), lap, np.arange(200))
        assert slope is not None
        found.append(slope.value > 0 and slope.p / 2 < traces.LEVEL)
    assert np.mean(found) <= 0.06  # 0.025 are meant; 3 standard errors above
    knowing = np.where(lap > 0.7, outcome, rng.normal(size=200))
    slope = interaction(outcome, knowing, lap, np.arange(200))
    assert slope is not None
    assert slope.low > 0.0
    assert interaction(outcome, np.full(200, 0.5), lap, np.arange(200)) is None
    assert interaction(outcome[:15], knowing[:15], lap[:15], np.arange(15)) is None


def test_memory_of_half_the_outcomes_is_found_and_its_absence_seldom_is() -> None:
    chance = 0
    for seed in range(40):
        table = answers(seed=seed)
        assert better(planted(table, remembers=True), table)[0]
        chance += better(answers(seed=seed), table.assign(probability=table["probability"].to_numpy()[::-1]))[0]
    assert chance <= 4


def test_calls_are_counted_above_chance_whichever_word_a_model_prefers() -> None:
    table = answers(seed=3)
    rose = table["rose"].to_numpy()
    knowing = np.where(rose, 0.95, 0.9)  # always "rise", and surer of it where it came
    assert above_chance(table["date"], knowing, rose).low > 0.15
    assert above_chance(table["date"], np.where(rose, 0.9, 0.1), rose).low > 0.15
    assert above_chance(table["date"], np.full(len(rose), 0.9), rose).difference == 0.0
    assert not above_chance(table["date"], table["probability"].to_numpy(), rose).distinguishable


# ---------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(("masks", "verdict"), [(True, "passed"), (False, "failed")])
def test_memory_fails_a_run_that_shows_symbols_and_dates(masks: bool, verdict: str) -> None:
    table = answers()
    tests = MemoryTests("reader", masks, "about")
    finding = tests.compare_prompts("memory-masked", planted(table, remembers=True), table)
    assert finding.verdict == verdict
    assert ("hides symbols" in finding.words) == masks
    recalled = tests.test_recall(table, planted(table, remembers=True)["probability"].to_numpy())
    assert recalled.verdict == verdict


def test_silence_is_worth_what_the_probe_could_have_seen() -> None:
    tests, table = MemoryTests("reader", True, "It lies before."), answers(seed=1)
    quiet = tests.compare_prompts("memory-dates", table, table.assign(probability=table["probability"] + 1e-6))
    assert quiet.verdict == "passed"
    assert quiet.words.endswith("It lies before.")
    short = answers(n_days=120, seed=5)
    noisy = tests.compare_prompts("memory-masked", short, answers(n_days=120, seed=6).assign(target=short["target"]))
    assert noisy.evidence["detectable_accuracy"] > traces.SIZEABLE
    assert noisy.verdict == "unknown"


def test_forecasts_that_are_better_where_the_text_is_familiar_fail_even_if_masked() -> None:
    table, rng = answers(seed=2), np.random.default_rng(0)
    lap = rng.uniform(size=len(table))
    leaking = np.where(lap > 0.6, np.where(table["rose"], 0.9, 0.1), 0.5 + 0.1 * rng.standard_normal(len(table)))
    tests = MemoryTests("reader", True, "")
    assert tests.test_interaction(table.assign(probability=leaking), {"min_k": lap}).verdict == "failed"
    assert tests.test_interaction(table, {"min_k": lap}).verdict == "passed"
    assert tests.test_interaction(table.assign(probability=0.5), {"min_k": lap}).verdict == "unknown"


def test_a_probe_that_misses_the_planted_table_calls_itself_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "planted", lambda table, **_: table)
    table, tests = answers(), MemoryTests("reader", True, "")
    assert tests.compare_prompts("memory-masked", table, table).verdict == "broken"
    assert tests.test_recall(table, table["probability"].to_numpy()).verdict == "broken"


# ------------------------------------------------------------------------------------------- with a real reader


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("tiny"), tiny_tokenizer(), context=512)


def spec_of(model: Path, mask: bool = True) -> RunSpec:
    return RunSpec.model_validate(
        {
            "name": "small",
            "benchmark": "reads",
            "data": {"source": "noise", "symbols": ["AA", "BB"], "start": "2020-01-02", "end": "2020-10-30"},
            "corpus": {"indicators": ["adj_close"], "stride": 5},
            "retrieval": {"retriever": "shape", "k": 1},
            "llm": {"model": str(model), "mask": mask, "dtype": "float32"},
            "strategy": {"class": "ragsignal.strategies:LongShort"},
            "variant": [{"name": "blind", "retrieval": {"retriever": "none"}}, {"name": "reads"}],
        }
    )


def probe(spec: RunSpec, progress: Progress = silent) -> list[Finding]:
    study = Study(spec)
    frames = study.prices.select(spec.data.symbols).between(spec.data.start, spec.data.end).frames
    return audit_memory(study, dict(frames), progress, queries=180)


def test_a_random_model_is_probed_once_in_four_ways_and_never_read_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    told: list[tuple[str, int, int]] = []
    findings = probe(spec_of(model), lambda *it: told.append(it))
    assert [it.test for it in findings] == list(TESTS)
    assert {it.subject for it in findings} == {str(model)}
    assert {it.verdict for it in findings} <= {"passed", "unknown"}
    assert findings[0].evidence["queries"] == 180
    asked = {what.rpartition(": ")[2] for what, done, _ in told if not done and "memory of" in what}
    assert asked == {"clear", "masked", "dates moved", "recall", "familiarity"}

    def refuse(*_: Any) -> None:
        raise AssertionError("a warm audit reads nothing")

    monkeypatch.setattr(StockLLM, "score", refuse)
    monkeypatch.setattr(FamiliarText, "score", refuse)
    assert probe(spec_of(model)) == findings


@pytest.mark.parametrize(("mask", "verdict"), [(True, "passed"), (False, "failed")])
def test_a_reader_that_has_memorised_outcomes_by_symbol_and_date_is_found_out(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mask: bool, verdict: str
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    spec = spec_of(model, mask)
    learned: dict[str, bool] = {}
    for symbol, it in forward_returns(Study(spec).prices.frames, "movement").items():
        for day, row in it.dropna().iterrows():
            learned[f"{symbol} {day:%Y-%m-%d}"] = row["outcome"] > 0  # a clear prompt's last line
            learned[f"\nOn {row['available_at']:%Y-%m-%d}, {symbol}"] = row["outcome"] > 0  # the recall question's

    def remember(_: StockLLM, prompts: Sequence[Prompt]) -> list[Score]:
        return [Score(_recalled(learned, prompt.text), tokens=1) for prompt in prompts]

    monkeypatch.setattr(StockLLM, "score", remember)
    monkeypatch.setattr(FamiliarText, "score", lambda _, prompts: [Score(_coin(it.text)) for it in prompts])
    found = {it.test: it for it in probe(spec)}
    for test in ("memory-masked", "memory-dates", "memory-recall"):
        assert found[test].verdict == verdict, found[test]
        assert "remembers" in found[test].words


def _recalled(learned: dict[str, bool], text: str) -> float:
    last = text.rpartition("\n")
    keys = (" ".join(last[2].split()[:2]), f"\n{last[2].removesuffix(' saw a')}")
    for key in keys:
        if key in learned:
            return 0.9 if learned[key] else 0.1
    return 0.45 + 0.1 * _coin(text)


def _coin(text: str) -> float:
    return np.random.default_rng(list(text.encode())).uniform()


def test_familiar_text_is_the_models_own_token_probabilities(model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompts = [firm_date_text("IBM", DAY), firm_date_text("A", date(1999, 12, 31)), firm_date_text("GOOG", DAY)]
    scorer = FamiliarText(resolve(str(model)))
    scores = scorer.score(prompts)
    tokenizer, llama = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model).eval()
    for prompt, score in zip(prompts, scores, strict=True):
        ids = tokenizer(prompt.text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            logs = torch.log_softmax(llama(ids).logits[0, :-1], -1)
        own = [float(logs[place, token]) for place, token in enumerate(ids[0, 1:])]
        assert score.probability == pytest.approx(math.exp(min_k(own)), rel=1e-4)
        assert score.tokens == ids.shape[1]
    assert scorer.recipe["weights"]


def test_days_that_are_too_few_say_nothing(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    spec = spec_of(model)
    data = spec.data.model_copy(update={"end": date(2020, 1, 31)})
    findings = probe(spec.model_copy(update={"data": data}))
    assert {it.verdict for it in findings} == {"unknown"}
    assert len(findings) == len(TESTS)
