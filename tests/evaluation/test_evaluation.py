"""A spec evaluated end to end on markets with a known answer, its free baselines, its checks, and what it writes."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.config import RunSpec, Variant
from ragsignal.data import cut_query
from ragsignal.data.synthetic import planted_market
from ragsignal.errors import ConfigError, DataError, LookAheadError
from ragsignal.evaluation import Evaluation, baselines, console_table, evaluate_spec, write_evaluation
from ragsignal.evaluation.baselines import best_baselines, free_baselines
from ragsignal.evaluation.checks import ORACLE_MEASURES, same_date_oracle, sensitivity, shuffled_labels
from ragsignal.evaluation.comparisons import (
    BEST_BASELINE,
    CLASSIFIER,
    NO_RETRIEVAL,
    RANDOM_RETRIEVAL,
    REVERSAL,
    Comparison,
    Family,
    compare,
    family_of,
    rivals,
)
from ragsignal.evaluation.forecasts import Scoring, of_probability, probabilities
from ragsignal.evaluation.metrics import METRICS, MetricEstimate, Resampling
from ragsignal.evaluation.protocol import notes_of, overlap_of
from ragsignal.evaluation.questions import STYLES, Questions, build_questions, training_rows
from ragsignal.retrieval.retrievers import RandomRetriever
from ragsignal.signals.pipeline import RagPipeline
from ragsignal.statistics import holm
from ragsignal.utils import silent
from ragsignal.utils.records import plain
from tests.fakes import HashScorer, corpus_of, every_query, market, pipeline_of, variant
from tests.markets import poisoned

pytestmark = pytest.mark.slow

SYMBOLS = tuple(f"S{number}" for number in range(6))
FIRST, START, END = date(2019, 1, 1), date(2020, 1, 1), date(2020, 7, 31)

Frames = Mapping[str, pd.DataFrame]


def spec_of(path: Path | None = None, **tables: Any) -> RunSpec:
    variants = [
        {"name": "vote", "signal": "vote"},
        {"name": "random-0", "signal": "vote", "retrieval": {"retriever": "random"}},
        {"name": "random-1", "signal": "vote", "retrieval": {"retriever": "random", "seed": 1}},
        {"name": "hold", "signal": "none"},
    ]
    source = {"source": "noise"} if path is None else {"source": "table", "path": path}
    told = {
        "name": "small",
        "benchmark": "hold",
        "data": {**source, "symbols": list(SYMBOLS), "start": START, "end": END},
        "corpus": {"indicators": ["adj_close"]},
        "retrieval": {"retriever": "shape", "k": 9},
        "strategy": {"class": "ragsignal.strategies:BuyAndHold"},
        "evaluation": {"target": "open_to_open"},
        "variant": variants,
    }
    return RunSpec.model_validate(told | tables)


def written(frames: Frames, folder: Path) -> Path:
    path = folder / "prices.parquet"
    tables = [frame.assign(symbol=symbol).reset_index(names="date") for symbol, frame in frames.items()]
    pd.concat(tables).to_parquet(path)
    return path


def market_of(strength: float, seed: int = 3) -> Frames:
    return planted_market(SYMBOLS, FIRST, END, seed=seed, strength=strength).frames


def estimate_of(evaluation: Evaluation, name: str, measure: str) -> MetricEstimate:
    row = next(row for row in evaluation.forecasters if row.forecast.name == name)
    return row.figures["all"].estimates[measure]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate_spec(spec_of(written(market_of(0.9), tmp_path_factory.mktemp("planted"))))


@pytest.fixture(scope="module")
def noise_spec(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    return spec_of(
        written(market_of(0.0, seed=11), tmp_path_factory.mktemp("noise")),
        evaluation={"target": "movement", "mode": "paper", "reference": {"FinSeer": {"acc": 0.517, "mcc": 0.035}}},
    )


@pytest.fixture(scope="module")
def noise(noise_spec: RunSpec) -> Evaluation:
    return evaluate_spec(noise_spec)


@pytest.fixture(scope="module")
def questions() -> Questions:
    return build_questions(market_of(0.5), spec_of())


def test_the_vote_of_analogues_beats_everything_where_analogues_pay(planted: Evaluation) -> None:
    accuracy = estimate_of(planted, "vote", "acc")
    assert accuracy.low > 0.6
    always = estimate_of(planted, "always-rise", "acc")
    assert accuracy.low > always.high
    against_random = [row for row in planted.comparisons if row.against == RANDOM_RETRIEVAL]
    assert {tuple(row.right) for row in against_random} == {("random-0", "random-1")}
    assert {row.measure for row in against_random} == {"acc", "brier", "log_loss", "ic", "ic_o2o"}
    assert all(row.distinguishable and row.favours == "left" for row in against_random)


def test_nothing_favours_a_variant_where_there_is_nothing_to_find(noise: Evaluation) -> None:
    # of eight seeds, 12 of 128 such differences were distinguishable, in clusters; none of this seed
    rows = noise.comparisons
    assert {row.set for row in rows} == {"all", "non-freeze"}
    assert not [row for row in rows if row.favours == "left"]
    # an overconfident probability does lose on Brier, to anybody who knows that nothing is known
    assert not [row for row in rows if row.measure in ("acc", "ic", "ic_o2o") and row.distinguishable]


def test_every_variant_but_controls_meets_the_best_baseline_of_the_training_period(noise: Evaluation) -> None:
    best = noise.best_baseline
    assert set(best) == {"acc", "brier", "log_loss", "ic", "ic_o2o"}
    rows = [row for row in noise.comparisons if row.against == BEST_BASELINE and row.set == "all"]
    assert {(row.left, row.measure, *row.right) for row in rows} == {
        ("vote", measure, name) for measure, name in best.items()
    }


def test_ics_by_year_are_of_the_days_of_that_year(noise: Evaluation) -> None:
    for row in noise.forecasters:
        (year,) = row.years
        assert (year.year, year.days) == (2020, noise.questions.days)
        for measure in ("ic", "ic_o2o"):
            assert getattr(year, measure) == pytest.approx(row.figures["all"].estimates[measure].value)


def test_ics_are_of_all_queries_and_never_of_those_without_a_freeze(noise: Evaluation) -> None:
    for row in noise.forecasters:
        assert {"ic", "ic_o2o", "ic_residual", "auc_day"} <= set(row.figures["all"].estimates)
        assert not {"ic", "ic_o2o", "ic_residual", "auc_day"} & set(row.figures["non-freeze"].estimates)
    assert {row.set for row in noise.comparisons if row.measure in ("ic", "ic_o2o")} == {"all"}


def test_every_variant_is_compared_by_ics_with_reversal_and_the_classifier(questions: Questions) -> None:
    variants = [
        {"name": "vote", "signal": "vote"},
        {"name": "boosted", "signal": "classifier"},
        {"name": "hold", "signal": "none"},
    ]
    spec, rng = spec_of(variant=variants), np.random.default_rng(0)
    names = ("vote", "boosted", "reversal-1d", "boosting-17")
    forecasts = {name: of_probability(name, "variant", rng.random(len(questions))) for name in names}
    best = dict.fromkeys(("acc", "brier", "log_loss", "ic"), "boosting-17") | {"ic_o2o": "reversal-1d"}
    rows = compare(spec, Scoring(questions), forecasts, best)
    against = {(row.left, row.against, row.measure) for row in rows if row.measure in ("ic", "ic_o2o")}
    assert against == {
        *(("vote", CLASSIFIER, measure) for measure in ("ic", "ic_o2o")),
        *((name, REVERSAL, "ic") for name in ("vote", "boosted")),  # open to open it comes as the best baseline
        *((name, BEST_BASELINE, measure) for name in ("vote", "boosted") for measure in ("ic", "ic_o2o")),
    }


def test_a_difference_is_distinguishable_only_after_the_correction_for_its_family(questions: Questions) -> None:
    spec, rng = spec_of(), np.random.default_rng(4)
    names = ("vote", "random-0", "random-1", "reversal-1d", "boosting-17")
    truth = (questions.outcome > 0) - 0.5
    forecasts = {
        name: of_probability(name, "variant", 0.5 + 0.1 * rng.random(len(questions)) + 0.008 * truth * (name == "vote"))
        for name in names
    }
    best = dict.fromkeys(("acc", "brier", "log_loss", "ic", "ic_o2o"), "boosting-17")
    rows = compare(spec, Scoring(questions), forecasts, best)
    families: dict[Family, list[Comparison]] = {}
    for row in rows:
        families.setdefault(family_of(row.against, row.set, row.measure), []).append(row)
    assert len(families) == 6  # retrieval and skill: ICs, other figures on all queries, and on those without a freeze
    for family in families.values():
        np.testing.assert_array_equal([row.p_family for row in family], holm([row.p for row in family]))
        assert all(row.distinguishable == (row.p_family < 0.05) for row in family)
    assert any(row.distinguishable and row.favours == "left" for row in rows)
    assert any(row.p < 0.05 and not row.distinguishable for row in rows)


def test_the_best_baseline_is_chosen_without_the_test(questions: Questions) -> None:
    learn = training_rows(questions, spec_of())
    measures = ("acc", "log_loss")
    assert best_baselines(questions, learn, 5, measures) == best_baselines(
        _garbled(questions, learn), learn, 5, measures
    )


def test_free_baselines_never_see_a_test_label(questions: Questions) -> None:
    learn = training_rows(questions, spec_of())
    usual = free_baselines(questions, learn, questions.is_query)
    other = free_baselines(_garbled(questions, learn), learn, questions.is_query)
    assert len(usual) == 8
    for one, two in zip(usual, other, strict=True):
        np.testing.assert_array_equal(one.probability, two.probability, err_msg=one.name)
        np.testing.assert_array_equal(one.score, two.score, err_msg=one.name)


def test_the_record_holds_the_baselines_that_saw_the_training_period_only(
    noise: Evaluation, noise_spec: RunSpec
) -> None:
    asked = build_questions(market_of(0.0, seed=11), noise_spec)
    learn = training_rows(asked, noise_spec)
    assert noise.training.labels == learn.sum()
    for forecast in free_baselines(_garbled(asked, learn), learn, asked.is_query):
        np.testing.assert_array_equal(noise.predictions[forecast.name], forecast.probability, err_msg=forecast.name)
    best = best_baselines(_garbled(asked, learn), learn, 5, ("acc", "brier", "log_loss", "ic", "ic_o2o"))
    assert noise.best_baseline == best


def _garbled(questions: Questions, keep: np.ndarray) -> Questions:
    names = ("outcomes", "close_outcomes", "open_outcomes")
    tables = {name: getattr(questions, name) for name in names}
    return replace(questions, **{name: np.where(keep, table, -table * 100 + 1) for name, table in tables.items()})


def test_another_future_moves_no_answer_before_it() -> None:
    frames = market_of(0.5)
    turn = frames["S0"].index[frames["S0"].index >= pd.Timestamp(START)][30].date()
    answers = []
    for market_frames in (frames, poisoned(frames, turn)):
        asked = build_questions(market_frames, spec_of())
        learn = training_rows(asked, spec_of())
        rows = asked.panel.days[np.nonzero(asked.is_query)[0]] <= np.datetime64(turn)
        given = free_baselines(asked, learn, asked.is_query)
        answers.append(
            (
                [*(it.probability[rows] for it in given), *asked.styles[rows].T],
                [q for q in asked.queries if q.as_of <= turn],
            )
        )
    np.testing.assert_array_equal(*(given for given, _ in answers))
    assert answers[0][1] == answers[1][1]
    assert len(answers[0][1]) == 31 * len(SYMBOLS)


def test_training_labels_are_known_an_embargo_before_the_test(questions: Questions) -> None:
    learn = training_rows(questions, spec_of())
    days = questions.panel.days
    first = int(np.searchsorted(days, np.datetime64(START)))
    assert questions.available_at[learn].max() == days[first - 1 - 5]
    # open to open takes two bars to be known
    assert days[np.flatnonzero(learn.any(axis=1))[-1]] == days[first - 1 - 5 - 2]


def test_a_training_period_that_reaches_into_the_embargo_is_refused(questions: Questions) -> None:
    for options, words in (
        ({"train_end": date(2019, 12, 30)}, "usable through 2019-12-24"),
        ({"train_start": date(2019, 12, 1), "train_end": date(2019, 12, 10)}, "need 100"),
    ):
        spec = spec_of(evaluation={"target": "open_to_open", **options})
        with pytest.raises(ConfigError, match=words):
            training_rows(questions, spec)
    with pytest.raises(ValueError, match="must lie before train_end"):
        spec_of(evaluation={"train_start": date(2019, 12, 1), "train_end": date(2019, 1, 10)})


def test_a_rule_is_as_sure_as_its_training_hit_rate(questions: Questions) -> None:
    learn = training_rows(questions, spec_of())
    always = next(it for it in free_baselines(questions, learn, questions.is_query) if it.name == "always-rise")
    rises = questions.outcomes[learn] > 0
    np.testing.assert_allclose(always.probability, (rises.sum() + 1) / (len(rises) + 2))
    reversal = next(it for it in free_baselines(questions, learn, questions.is_query) if it.name == "reversal-1d")
    p = reversal.facts["training_hit_rate"]
    last = np.array([query.closes[-1] / query.closes[-2] - 1 for query in questions.queries])
    np.testing.assert_allclose(reversal.probability, np.where(last < 0, p, 1 - p))
    np.testing.assert_allclose(reversal.score, -last, atol=1e-7)


def test_training_labels_of_one_side_only_are_refused(questions: Questions) -> None:
    learn = training_rows(questions, spec_of())
    with pytest.raises(DataError, match="all rises"):
        free_baselines(replace(questions, outcomes=np.abs(questions.outcomes) + 1e-9), learn, questions.is_query)


def test_queries_are_every_symbol_on_every_nth_day_with_a_known_outcome() -> None:
    frames = dict(market_of(0.5))
    frames["S1"] = frames["S1"].drop(frames["S1"].index[-10])  # a day without a bar
    asked = build_questions(frames, spec_of(evaluation={"target": "movement", "every": 3}))
    days = frames["S0"].loc[str(START) :].index
    expected = [(day.date(), symbol) for day in days[::3] for symbol in SYMBOLS if day in frames[symbol].index[:-1]]
    assert [(query.as_of, query.symbol) for query in asked.queries] == expected
    assert asked.n_days == len({day for day, _ in expected})
    for query, outcome in zip(asked.queries, asked.outcome, strict=True):
        close = frames[query.symbol]["close"]
        bar = close.index.get_loc(pd.Timestamp(query.as_of))
        assert query.closes == tuple(close.iloc[bar - 5 : bar + 1])
        assert outcome == pytest.approx(close.iloc[bar + 1] / close.iloc[bar] - 1)


def test_a_query_that_is_cut_when_it_is_asked_for_is_the_one_that_cut_query_cuts() -> None:
    frames = dict(market_of(0.5))
    frames["S1"] = frames["S1"].iloc[-40:]
    asked = build_questions(frames, spec_of(corpus={"lookback": 3}))
    rows, columns = np.nonzero(asked.is_query)
    whole = list(asked.queries)
    assert asked.queries[5:9] == whole[5:9]
    assert asked.queries[-1] == whole[-1]
    for query, row, column in zip(whole, rows, columns, strict=True):
        past = frames[SYMBOLS[column]].loc[: asked.panel.days[row]]
        assert query == cut_query(SYMBOLS[column], [day.date() for day in past.index], past["close"].tolist(), 3)


def test_outcomes_look_as_far_ahead_as_the_horizon_and_labels_wait_as_long() -> None:
    frames, spec = market_of(0.5), spec_of(evaluation={"target": "open_to_open", "horizon": 5, "every": 2})
    asked = build_questions(frames, spec)
    for query, outcome, close, opened in zip(
        asked.queries, asked.outcome, asked.close_outcome, asked.open_outcome, strict=True
    ):
        bars = frames[query.symbol]
        bar = bars.index.get_loc(pd.Timestamp(query.as_of))
        assert outcome == opened == bars["open"].iloc[bar + 6] / bars["open"].iloc[bar + 1] - 1
        assert close == bars["close"].iloc[bar + 5] / bars["close"].iloc[bar] - 1
    learn, days = training_rows(asked, spec), asked.panel.days
    first = int(np.searchsorted(days, np.datetime64(START)))
    assert asked.available_at[learn].max() == days[first - 1 - 5]
    assert days[np.flatnonzero(learn.any(axis=1))[-1]] == days[first - 1 - 5 - 6]
    assert "5 bars ahead" in notes_of(spec, asked)[0]
    assert overlap_of(spec.evaluation) == 3


def test_styles_are_ranks_of_the_day_and_the_middle_where_unknown() -> None:
    frames = dict(market_of(0.5))
    frames["S1"] = frames["S1"].loc["2020-03-02":]  # no momentum and, on its first day, no last return
    asked = build_questions(frames, spec_of())
    symbols = np.array(SYMBOLS)[np.nonzero(asked.is_query)[1]]
    for name, ranks in zip(STYLES, asked.styles.T, strict=True):
        assert np.abs(np.bincount(asked.day, weights=ranks)).max() < 1e-9, name
        assert np.abs(ranks).max() < 0.5
    assert not asked.styles[symbols == "S1", STYLES.index("mom_250")].any()
    day = next(query.as_of for query in asked.queries if query.symbol == "S1")
    traded = {name: (bars["close"] * bars["volume"]).loc[: str(day)].iloc[-60:].mean() for name, bars in frames.items()}
    here = [number for number, query in enumerate(asked.queries) if query.as_of == day]
    sizes = asked.styles[here, STYLES.index("size")]
    assert [SYMBOLS[place] for place in np.argsort(sizes)] == sorted(traded, key=traded.__getitem__)


def test_a_models_labels_are_drawn_where_there_are_too_many(
    questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = training_rows(questions, spec_of())
    monkeypatch.setattr(baselines, "MOST_LABELS", 300)
    made = {it.name: it.facts["training_labels"] for it in free_baselines(questions, learn, questions.is_query)}
    assert 250 < made["boosting-17"] <= 300  # a label on the first bars has no factor yet
    assert made["always-rise"] == learn.sum() > 300


def test_a_window_without_bars_asks_nothing_and_says_so() -> None:
    spec = spec_of(data={"source": "noise", "symbols": list(SYMBOLS), "start": "2030-01-01", "end": "2031-01-01"})
    with pytest.raises(DataError, match="2030-01-01"):
        build_questions(market_of(0.5), spec)


def test_the_oracle_sees_the_day_where_symbols_move_together(questions: Questions) -> None:
    rng = np.random.default_rng(0)
    days = questions.is_query.any(axis=1)
    together = np.where(
        questions.is_query, (rng.normal(size=len(days)) + 0.3 * rng.normal(size=(6, len(days)))).T, np.nan
    )
    alone = np.where(questions.is_query, rng.normal(size=questions.is_query.shape), np.nan)
    accuracy = []
    for outcomes in (together, alone):
        asked = replace(questions, outcomes=outcomes)
        oracle = same_date_oracle(asked)
        accuracy.append(METRICS["acc"].value(oracle.on(asked, oracle.answered)))
    assert accuracy[0] > 0.8
    assert accuracy[1] < 0.55


def test_the_oracle_stands_apart_from_the_baselines(noise: Evaluation) -> None:
    assert "knows the day's outcome" in noise.leak_detector.words
    (detector,) = noise.leak_detector.rows
    assert detector.forecast.kind == "leak detector"
    assert set(detector.figures["all"].estimates) == set(ORACLE_MEASURES)
    assert detector.forecast.name not in {row.forecast.name for row in noise.forecasters}


def test_shuffled_days_hold_nothing_even_for_who_knew_the_outcomes(questions: Questions) -> None:
    knows = of_probability("knows", "variant", np.where(questions.outcome > 0, 0.9, 0.1))
    silent = of_probability("silent", "variant", np.full(len(questions), 0.5))
    found = shuffled_labels(questions, [knows, silent], Resampling.of(questions.n_days))
    assert {row.forecaster for row in found.rows} == {"knows"}  # a constant cannot be lucky
    assert found.passes
    assert found.max_z <= found.limit
    assert METRICS["auc"].value(knows.on(questions, knows.answered)) == 1.0
    assert shuffled_labels(questions, [silent], Resampling.of(questions.n_days)).passes is None


def test_the_record_of_an_evaluation_reports_its_shuffled_labels(planted: Evaluation, noise: Evaluation) -> None:
    for evaluation in (planted, noise):
        assert len(evaluation.shuffled_labels.rows) == 9
        assert evaluation.shuffled_labels.passes


def test_a_signal_that_rests_on_a_later_candidate_raises() -> None:
    frames = market()
    pipeline = pipeline_of(corpus_of(frames))
    queries = every_query(frames)[-1:]

    class Leaking:
        lookback = 5

        def signals(self, asked: Any) -> Any:
            signals = pipeline.signals(asked)
            late = replace(signals[0].hits[0].candidate, available_at=date(2030, 1, 1))
            return [replace(signals[0], hits=(replace(signals[0].hits[0], candidate=late),))]

    assert probabilities(pipeline, queries)[0].shape == (1,)
    with pytest.raises(LookAheadError, match="only known on 2030-01-01"):
        probabilities(Leaking(), queries)


def test_abstentions_are_left_out_counted_and_never_a_probability() -> None:
    frames = market()
    answers, reasons = probabilities(pipeline_of(corpus_of(frames)), every_query(frames))
    assert reasons["too few bars"] == 2 * 5
    assert np.isnan(answers).sum() == sum(reasons.values())


@dataclass
class FakeStudy:
    """Stands for a study: hash scores on random candidates."""

    spec: RunSpec
    k: int = 3
    progress: Any = silent

    def pipeline(self, variant: Variant) -> RagPipeline:
        seed = variant.retrieval.seed
        corpus = corpus_of(market())
        whole = pipeline_of(corpus, scorer=Deaf() if variant.name == "deaf" else HashScorer())
        return replace(whole, retriever=RandomRetriever(corpus, k=self.k, seed=seed))


class Deaf(HashScorer):
    """Hears the symbol and the day, neither prices nor candidates."""

    def render(self, query: Any, hits: Any) -> Any:
        return replace(super().render(query, hits), text=f"{query.symbol} {query.as_of}")


def test_sensitivity_tells_a_reader_of_noise_from_one_that_ignores_it() -> None:
    frames = market()
    asked = build_questions(
        frames, spec_of(data={"source": "noise", "symbols": ["AA", "BB"], "start": "2020-02-03", "end": END})
    )
    found = {}
    for name in ("hash", "deaf", "alone"):
        retriever = "none" if name == "alone" else "random"
        found[name] = sensitivity(FakeStudy(spec_of()), variant(name, retriever=retriever), asked, 40)  # type: ignore[arg-type]
    assert found["hash"].queries == 40
    for figure in ("jitter", "random_candidates", "spread"):
        assert getattr(found["hash"], figure) == pytest.approx(1 / 3, abs=0.12)  # of two uniform draws
    assert (found["deaf"].jitter, found["deaf"].random_candidates) == (0.0, 0.0)
    assert found["deaf"].spread > 0.2
    assert found["alone"].random_candidates is None


def test_rivals_share_the_reader_and_a_rival_has_none() -> None:
    spec = spec_of(
        variant=[
            {"name": "rag"},
            {"name": "none", "retrieval": {"retriever": "none"}},
            {"name": "none-float", "retrieval": {"retriever": "none"}, "llm": {"dtype": "float32"}},
            {"name": "random", "retrieval": {"retriever": "random"}},
            {"name": "vote", "signal": "vote"},
            {"name": "bert", "signal": "classifier"},
            {"name": "hold", "signal": "none"},
        ]
    )
    found = {variant.name: rivals(spec, variant) for variant in spec.variants}
    assert found["rag"] == {NO_RETRIEVAL: ["none"], RANDOM_RETRIEVAL: ["random"]}
    assert not any(found[name] for name in ("none", "random", "vote", "bert"))


def test_the_same_spec_writes_the_same_record_but_for_its_times(
    noise: Evaluation, noise_spec: RunSpec, tmp_path: Path
) -> None:
    first = write_evaluation(noise, tmp_path / "one")
    again = write_evaluation(evaluate_spec(noise_spec), tmp_path / "two")
    assert first.pop("times") != again.pop("times")
    assert json.dumps(first) == json.dumps(again)
    predictions = [(tmp_path / name / "predictions.parquet").read_bytes() for name in ("one", "two")]
    assert predictions[0] == predictions[1]


def test_what_is_written_can_be_read_by_programs_and_people(noise: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    returned = write_evaluation(noise, tmp_path)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record == returned
    assert record["forecasters"][0]["recipe"]["scorer"] == {"scorer": "vote/1"}
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    assert len(predictions) == record["questions"]["n"]
    assert list(predictions.columns[:4]) == ["date", "symbol", "outcome", "vote"]
    accuracy = ((predictions["boosting-17"] > 0.5) == (predictions["outcome"] > 0)).mean()
    shown = next(row for row in record["forecasters"] if row["name"] == "boosting-17")
    assert shown["figures"]["all"]["acc"]["value"] == pytest.approx(accuracy)
    page = (tmp_path / "table.md").read_text()
    assert page.index("Figures: non-freeze") < page.index("Figures: all")  # mode = "paper"
    assert "| published | FinSeer | – | 0.517 | 0.035 |" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("notes.txt", "predictions.parquet", "record.json", "table.md"),
    ]


def test_the_console_table_fits_into_eighty_columns(noise: Evaluation) -> None:
    from rich.console import Console

    console = Console(width=80, file=io.StringIO())
    console.print(console_table(noise))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "relative-reversal" in text
    assert "…" not in text


def test_relative_outcomes_are_also_judged_by_the_days_ranks(tmp_path: Path) -> None:
    path = written(market_of(0.9), tmp_path)
    found = evaluate_spec(spec_of(path, evaluation={"target": "relative", "every": 2}))
    assert found.questions.rises == pytest.approx(0.5, abs=0.01)
    assert estimate_of(found, "vote", "acc_ranked").value > 0.6
    assert "acc_ranked" in found.best_baseline
    assert found.leak_detector.rows == []  # three of six rise every day
    table = console_table(found)
    assert table.row_count == 11
    assert not any("±" in str(cell) for cell in table.columns[1].cells)  # 76 days have no interval


def test_mistakes_are_found_before_anything_is_scored(noise: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no variant has a signal"):
        evaluate_spec(spec_of(variant=[{"name": "hold", "signal": "none"}]))
    taken = [{"name": "boosting-17", "signal": "vote"}, {"name": "hold", "signal": "none"}]
    with pytest.raises(ConfigError, match="already called 'boosting-17'"):
        evaluate_spec(spec_of(variant=taken))
    with pytest.raises(ValueError, match="reference"):
        spec_of(evaluation={"reference": {"FinSeer": {"accuracy": 0.5}}})
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="name another folder"):
        write_evaluation(noise, tmp_path / "file")
    with pytest.raises(TypeError, match="JSON cannot hold"):
        plain({"a": [object()]})
