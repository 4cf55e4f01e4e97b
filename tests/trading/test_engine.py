"""The engine: fills, costs, identical bars for every variant, and what it says before the first figure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.artifacts.artifact import Artifact
from ragsignal.config import ClassifierTraining, CorpusSpec, DataSpec, RunSpec, SplitSpec, TrainSpec, load_spec
from ragsignal.errors import ConfigError, DataError, LookAheadError
from ragsignal.evaluation.run import evaluate_spec
from ragsignal.report import record_of
from ragsignal.trading.engine import notes_of, prepare, run_spec, trade
from ragsignal.trading.findings.family import family_of, rivals_by_label
from ragsignal.trading.notes import notes_on_shares
from ragsignal.trading.results import RunResult
from ragsignal.trading.strategy import load_strategy
from ragsignal.training.classifier import train_classifier
from ragsignal.training.run import TrainingRun
from tests.results import find
from tests.specs import HOLD, MOMENTUM, RANDOM, VOTE, Tables, spec

pytestmark = pytest.mark.slow

TrainedFor = Callable[[str], Artifact]

# Language models, embedded and untrained, with hits of every kind.
READERS: Tables = {
    "corpus": {"indicators": None, "stride": 5},
    "retrieval": {"retriever": "embedding"},
    "variant": [
        {"name": "embedding", "signal": "llm"},
        *(
            {"name": f"random-{seed}", "signal": "llm", "retrieval": {"retriever": "random", "seed": seed}}
            for seed in range(3)
        ),
        {"name": "no-retrieval", "signal": "llm", "retrieval": {"retriever": "none"}},
        MOMENTUM,
        HOLD,
    ],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFor:
    """Train a classifier on the market of the small spec through a day."""

    def through(day: str) -> Artifact:
        last = date.fromisoformat(day)
        spec = TrainSpec(
            name="tiny",
            out=tmp_path_factory.mktemp("trained"),
            data=DataSpec(source="planted", symbols=("AAA", "BBB"), start=date(2012, 1, 2), end=last),
            split=SplitSpec(valid_from=date(last.year - 1, 6, 2)),
            corpus=CorpusSpec(indicators=("adj_close",)),
            classifier=ClassifierTraining(kind="logistic"),
        )
        return train_classifier(TrainingRun(spec))

    return through


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run_spec(spec())


def test_every_variant_runs_on_identical_bars(result: RunResult) -> None:
    for variant in result.variants:
        pd.testing.assert_index_equal(variant.equity.index, result.closes.index, check_names=False, check_freq=False)


def test_orders_fill_at_the_next_open_moved_by_the_slippage_against_the_trader() -> None:
    slipping = spec(costs={"slippage_bps": 20.0})
    run = run_spec(slipping)
    orders = find(run, "vote").orders
    opens = _opens(slipping)
    expected = [
        opens[order.symbol][order.date] * (1 + 0.0020 * np.sign(order.size)) for order in orders.itertuples(index=False)
    ]
    assert len(orders) > 20
    np.testing.assert_allclose(orders["price"], expected, rtol=1e-12)
    np.testing.assert_allclose(
        orders["slippage"], orders["size"].abs() * np.abs(orders["price"] - _base(orders, opens))
    )


def _opens(spec: RunSpec) -> dict[str, pd.Series]:
    from ragsignal.data.sources import load_prices

    return {symbol: frame["open"] for symbol, frame in load_prices(spec.data).frames.items()}


def _base(orders: pd.DataFrame, opens: dict[str, pd.Series]) -> list[float]:
    return [opens[order.symbol][order.date] for order in orders.itertuples(index=False)]


def test_an_order_is_filled_after_the_day_of_its_signal(result: RunResult) -> None:
    signals = find(result, "vote").signals
    first_view = signals[signals["abstained"].isna()]["date"].min()
    assert find(result, "vote").orders["date"].min() > first_view


def test_commission_is_the_spec_basis_points_of_the_money_moved(result: RunResult) -> None:
    orders = find(result, "vote").orders
    np.testing.assert_allclose(orders["commission"], orders["value"].abs() * 5e-4)


def test_costs_only_ever_take_money() -> None:
    free = run_spec(spec(costs={"commission_bps": 0.0, "slippage_bps": 0.0}))
    dear = run_spec(spec(costs={"commission_bps": 10.0, "slippage_bps": 10.0}))
    for variant in free.variants:
        assert variant.metrics["costs_paid"] == pytest.approx(0.0, abs=1e-6)
        assert find(dear, variant.name).equity.iloc[-1] < variant.equity.iloc[-1]


def test_same_close_must_be_asked_for_and_is_flagged() -> None:
    run = run_spec(spec(costs={"execution": "same_close", "slippage_bps": 0.0}))
    orders = find(run, "hold").orders
    first = run.closes.index[0]
    np.testing.assert_allclose(orders["price"].iloc[0], run.closes[orders["symbol"].iloc[0]][first])
    assert any("fill at the close" in note for note in run.notes)


def test_metrics_agree_with_the_equity_curve(result: RunResult) -> None:
    hold = find(result, "hold")
    assert hold.metrics["return"] == pytest.approx(hold.equity.iloc[-1] / 100_000 - 1)
    assert hold.metrics["orders"] == 2
    assert hold.metrics["trades"] == 2
    assert hold.metrics["hit_rate"] is None
    assert 0.85 < float(hold.metrics["exposure"] or 0) < 1.05


def test_buy_and_hold_equals_the_hand_computed_account(result: RunResult) -> None:
    hold = find(result, "hold")
    money = 100_000 - (hold.orders["value"] + hold.orders["commission"]).sum()
    sizes = hold.orders.set_index("symbol")["size"]
    assert hold.equity.iloc[-1] == pytest.approx(money + sum(sizes[s] * result.closes[s].iloc[-1] for s in sizes.index))


def test_signals_from_days_carry_one_name_for_the_set_that_all_stocks_of_a_day_share() -> None:
    days = {"candidates": "days", "retriever": "state", "k": 40, "opposite": 20, "own_days": True}
    market = {
        "symbols": [f"S{number:02d}" for number in range(21)],
        "start": date(2011, 6, 1),
        "end": date(2011, 6, 14),
    }
    ran = run_spec(
        spec(data=market, corpus={"target": "relative"}, variant=[VOTE | {"retrieval": days}, HOLD]),
    )
    signals = find(ran, "vote").signals
    assert not [note for note in ran.notes if "of its hits are" in note]
    named = signals[signals["abstained"].isna()].explode("hits").groupby("date")["hits"]
    assert (named.nunique() == 1).all()
    assert named.first().is_unique
    assert named.first().str.fullmatch("days:[0-9a-f]{16}").all()
    assert signals.loc[signals["abstained"].notna(), "hits"].map(len).max() == 0  # the first bars


def test_signals_carry_hits_and_what_a_next_open_fill_could_earn(result: RunResult) -> None:
    signals = find(result, "vote").signals
    assert len(signals) == 2 * len(result.closes)
    row = signals[(signals["symbol"] == "AAA") & signals["abstained"].isna()].iloc[0]
    assert len(row["hits"]) == 15
    opens = _opens(_spec_of(result))["AAA"]
    place = opens.index.get_loc(row["date"])
    assert row["target"] == pytest.approx(opens.iloc[place + 2] / opens.iloc[place + 1] - 1)


def _spec_of(result: RunResult) -> RunSpec:
    return RunSpec.model_validate(record_of(result)["spec"])


def test_the_warm_up_is_the_only_abstention_and_is_counted(result: RunResult) -> None:
    vote = find(result, "vote")
    assert vote.metrics["abstentions"] == 2 * 5
    assert set(vote.signals["abstained"].dropna()) == {"too few bars"}
    assert (vote.signals.loc[vote.signals["abstained"].notna(), "value"] == 0.0).all()


def test_a_second_run_gives_the_same_result_apart_from_times(result: RunResult) -> None:
    again = run_spec(spec())
    for left, right in zip(result.variants, again.variants, strict=True):
        pd.testing.assert_series_equal(left.equity, right.equity)
        pd.testing.assert_frame_equal(left.signals, right.signals)
        assert left.metrics == right.metrics
    assert result.findings == again.findings
    assert result.digests == again.digests


def test_the_spec_in_the_record_rebuilds_the_run(result: RunResult) -> None:
    assert _spec_of(result) == result.spec


def test_each_variant_is_compared_with_the_benchmark_in_pairs(result: RunResult) -> None:
    rows = [row for row in result.findings.comparisons if row.measure in ("hit rate", "mean return a year")]
    pairs = [(row.left, row.right) for row in rows]
    assert pairs == [("vote", "random"), ("vote", "hold"), ("random", "hold"), ("momentum", "hold")]
    for row in result.findings.comparisons:
        assert not row.distinguishable or row.interval.distinguishable


def test_retrieval_is_compared_with_none_on_the_same_signals(result: RunResult) -> None:
    read = [{"name": "vote", "signal": "llm"}, {"name": "random", "signal": "llm", "retrieval": {"retriever": "none"}}]
    renamed = spec(variant=[*read, MOMENTUM, HOLD])
    rows = [row for row in family_of(renamed, result.variants) if row.question == "retrieval"]
    assert [(row.left, row.right, row.measure) for row in rows] == [
        ("vote", "random", "hit rate"),
        ("vote", "random", "log loss"),
    ]


def test_only_signals_of_the_same_reader_are_paired_and_random_seeds_count_together() -> None:
    readers = spec(**READERS)
    embedding = readers.find_variant("embedding")
    assert rivals_by_label(readers, embedding) == {
        "random (3 seeds)": ["random-0", "random-1", "random-2"],
        "no-retrieval": ["no-retrieval"],
    }
    other = replace(embedding, llm=embedding.llm.model_copy(update={"template": "percent"}))
    assert rivals_by_label(readers, other) == {}


def test_same_close_slips_from_the_close_of_the_signals_bar() -> None:
    run = run_spec(spec(costs={"execution": "same_close", "slippage_bps": 20.0}))
    orders = find(run, "hold").orders
    closes = [run.closes[symbol].iloc[0] for symbol in orders["symbol"]]
    np.testing.assert_allclose(orders["price"], np.multiply(closes, 1.0020))
    np.testing.assert_allclose(orders["slippage"], orders["size"] * np.multiply(closes, 0.0020))


def test_what_a_strategy_says_of_its_params_is_an_error_of_the_spec() -> None:
    with pytest.raises(ConfigError, match=r"variant 'vote': LongShort: exit=0\.2 and enter=0\.1"):
        run_spec(spec(strategy={"params": {"enter": 0.1, "exit": 0.2}}))


def test_a_typo_in_the_last_variant_costs_no_work() -> None:
    told: list[Any] = []
    typo = HOLD | {"strategy": {"class": "ragsignal.strategies:BuyAndHodl"}}
    with pytest.raises(ConfigError, match="Did you mean 'BuyAndHold'"):
        run_spec(
            spec(retrieval={"k": 13}, variant=[VOTE, RANDOM, MOMENTUM, typo]), progress=lambda *line: told.append(line)
        )
    assert told == []


def test_a_price_rule_is_not_given_a_models_signal() -> None:
    with pytest.raises(ConfigError, match="brings its own signal"):
        run_spec(spec(strategy={"class": "ragsignal.strategies:PriceMomentum"}))


def test_weights_of_unknown_training_are_announced_as_such(tmp_path: Path) -> None:
    notes = notes_of(spec(**READERS, llm={"model": str(tmp_path)}))
    assert f"What {tmp_path} was trained on is not recorded: it may have seen this window." in notes
    assert not any("StockLLM is not trained" in note for note in notes)


def test_a_retriever_that_finds_one_kind_of_sequence_only_is_announced(result: RunResult) -> None:
    notes = notes_of(spec(**READERS), result.variants)
    assert "vote: 100 % of its hits are adj_close sequences." in notes
    assert not any("sequences." in note for note in notes_of(_spec_of(result), result.variants))  # its corpus has one


def test_untrained_models_are_announced() -> None:
    notes = notes_of(spec(**READERS))
    assert any("StockLLM is not trained here" in note for note in notes)
    assert any("FinSeer is not trained here" in note for note in notes)


def test_switched_off_costs_are_announced() -> None:
    free = spec(costs={"commission_bps": 0, "slippage_bps": 0})
    assert any("Costs are switched off" in note for note in notes_of(free))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("strategies.nothing:X", "no module 'strategies.nothing'"),
        ("ragsignal.strategies:LongShrt", "Did you mean 'LongShort'"),
        ("pathlib:Path", "pathlib:Path is no strategy"),
    ],
)
def test_a_strategy_that_cannot_be_found_says_where_it_was_looked_for(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_strategy(spec(strategy={"class": name}).strategy)


def test_a_param_that_a_strategy_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no param 'entr'\. Did you mean 'enter'"):
        run_spec(spec(strategy={"params": {"entr": 0.2}}))


def test_a_strategy_without_a_signal_param_cannot_be_given_one() -> None:
    with pytest.raises(ConfigError, match="has no param 'signal'"):
        run_spec(spec(strategy={"class": "ragsignal.strategies:BuyAndHold"}))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"enter": "0.1"}, 'takes a number as enter, and not "0.1"; its own value is enter = 0.1'),
        ({"invest": True}, "takes a number as invest, and not true"),
        ({"exit": [0.1]}, "takes a number as exit, and not [0.1]"),
        ({"enter": math.nan}, "takes a number as enter, and not nan"),
    ],
)
def test_a_param_of_another_kind_than_the_strategys_own_is_refused(params: Tables, words: str) -> None:
    table = {"class": "ragsignal.strategies:LongShort", "params": params}
    with pytest.raises(ConfigError, match=re.escape(words)):
        prepare(spec(variant=[VOTE | {"strategy": table}, HOLD]))


def test_letters_fitted_inside_the_window_are_refused() -> None:
    letters = {"indicators": None, "bins_through": "2015-03-01"}
    with pytest.raises(
        LookAheadError, match=r"letter bins \(fitted through 2015-03-01\), but the backtest starts on 2015-01-05"
    ):
        run_spec(spec(corpus=letters, variant=[{"name": "reader", "signal": "llm"}, HOLD]))


def test_a_trained_classifier_is_a_variant_and_its_training_is_announced(trained: TrainedFor) -> None:
    baseline = trained("2014-12-31")
    classifier = {"name": "blind", "signal": "classifier", "classifier": str(baseline.folder)}
    changes: Tables = {"allow_in_sample": False, "variant": [VOTE, RANDOM, classifier, HOLD]}
    run = run_spec(spec(**changes))
    blind = find(run, "blind")
    assert blind.recipe is not None
    assert blind.recipe["scorer"]["artifact"] == baseline.digest
    assert blind.signals["value"].nunique() > 100
    assert blind.signals["hits"].map(len).max() == 0
    assert any(
        "classifier tiny-classifier was trained on 2 symbols (planted) through 2014-12-" in it for it in run.notes
    )
    assert run.title == "small"
    evaluation = evaluate_spec(spec(**changes, evaluation={"every": 5}))
    assert evaluation.predictions["blind"].dropna().nunique() > 50


def test_what_was_trained_inside_the_window_is_refused_or_stamped_on_every_page(trained: TrainedFor) -> None:
    baseline = trained("2015-06-30")
    classifier = {"name": "vote", "signal": "classifier", "classifier": str(baseline.folder)}
    variants = [classifier, RANDOM, MOMENTUM, HOLD]
    with pytest.raises(
        LookAheadError, match=r"classifier .* \(fitted through 2015-06-\d\d\), but the backtest starts on"
    ):
        run_spec(spec(variant=variants))
    run = run_spec(spec(variant=variants, allow_in_sample=True))
    assert run.notes[0].startswith("IN SAMPLE: vote proves nothing: classifier ")
    assert run.title == "IN SAMPLE: small"


def test_a_window_without_bars_is_refused() -> None:
    spec = load_spec("backtests/paper.toml")
    late = spec.data.model_copy(update={"start": date(2015, 1, 1), "end": date(2015, 2, 1)})
    with pytest.raises(DataError, match="fewer than 2 bars from 2015-01-01 to 2015-02-01 for AAPL, AMZN, IBM, JPM"):
        run_spec(spec.model_copy(update={"data": late}))


def test_progress_names_the_variant_and_counts_to_the_end() -> None:
    told: list[tuple[Any, ...]] = []
    new = spec(retrieval={"k": 14})  # another recipe: nothing is in the store yet
    run_spec(new, progress=lambda *line: told.append(line))
    assert {what for what, _, _ in told} == {"signals of vote", "signals of random"}
    assert all(done <= total for _, done, total in told)


def test_a_note_names_what_whole_shares_leave_out_and_the_cash_that_would_buy_it() -> None:
    small = spec(data={"symbols": ["AAA", "BBB"]}, variant=[HOLD, MOMENTUM])
    _, frames = prepare(small)
    dear = {"AAA": frames["AAA"], "BBB": frames["BBB"] * [1e4, 1e4, 1e4, 1e4, 1.0]}
    hold, momentum = (trade(variant, small, dear) for variant in small.variants)
    first = float(dear["BBB"]["close"].iloc[0])
    assert hold.too_dear == {"BBB": pytest.approx(first / 0.475)}
    assert set(hold.orders["symbol"]) == set(momentum.orders["symbol"]) == {"AAA"}
    (note,) = notes_on_shares((hold, momentum))
    assert note.startswith("hold, momentum: never traded BBB, because no order came to a whole share; costs.cash = ")
    cash = int(note.split("costs.cash = ")[1].split()[0])
    assert "BBB" in set(trade(small.variants[0], spec(variant=[HOLD], costs={"cash": cash}), dear).orders["symbol"])


def test_there_is_no_such_note_where_all_symbols_trade() -> None:
    small = spec(variant=[HOLD, MOMENTUM])
    _, frames = prepare(small)
    assert not trade(small.variants[0], small, frames).too_dear


def test_a_window_that_is_shorter_than_an_indicators_period_is_said_in_a_line() -> None:
    short = spec(data={"start": "2015-01-05", "end": "2015-01-30"}, variant=[MOMENTUM], benchmark="momentum")
    with pytest.raises(ConfigError, match=r"'momentum': its indicators need 21 bars, and AAA has 20 in the window"):
        run_spec(short)
