"""Each operator against values by hand, and the laws that hold of all of them."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ragsignal.data.formulas.evaluate as evaluate
import ragsignal.data.rolling as rolling
from ragsignal.data.formulas import OPERATORS, Evaluator, FieldPanel, Formula, Kind, Operator, memory, parse
from ragsignal.types import FloatArray
from tests.data.formulas.trees import formulas, panel, sample_of

_NONE = float("nan")
_FULL = {it.name: it for it in OPERATORS.values() if it.gives is not Kind.GROUP}
# groups are no formula by themselves: they are looked at through what is in them
_TEXTS = sorted(
    {sample_of(it, window) for it in _FULL.values() for window in (max(2, it.shortest), 5, 12)}
    | {
        "group_mean(close, bucket(volume, 4))",
        "ts_mean(3, 2) + open",
        "rank(2) - open",
        "group_rank(1, bucket(close, 2))",
    }
)


def values_on(text: str, **fields: list[list[float]]) -> FloatArray:
    """Values of a formula on fields that are written day by day."""
    arrays = {name: np.array(rows, dtype=np.float64) for name, rows in fields.items()}
    days, symbols = next(iter(arrays.values())).shape
    dates = np.datetime64("2010-01-01") + np.arange(days)
    kinds = {"sector": Kind.GROUP} if "sector" in arrays else {}
    given = FieldPanel(dates, tuple(map(str, range(symbols))), arrays, kinds)
    return Evaluator(given).values(parse(text, given.known))


def column(text: str, *close: float, **more: list[float]) -> list[float]:
    """Values of a formula of one stock."""
    fields = {name: [[it] for it in rows] for name, rows in more.items()}
    return [float(it) for it in values_on(text, close=[[it] for it in close], **fields)[:, 0]]


_TIME = [
    ("ts_delay(close, 2)", [1, 2, 4, 8], [_NONE, _NONE, 1, 2]),
    ("ts_delta(close, 1)", [1, 2, 4, 8], [_NONE, 1, 2, 4]),
    ("ts_returns(close, 1)", [1, 2, 0, 8], [_NONE, 1, -1, _NONE]),
    ("ts_mean(close, 3)", [1, 2, 6, 8], [_NONE, _NONE, 3, 16 / 3]),
    ("ts_sum(close, 3)", [1, 2, 6, _NONE, 1], [_NONE, _NONE, 9, _NONE, _NONE]),
    ("ts_product(close, 3)", [1, 2, 6, 8], [_NONE, _NONE, 12, 96]),
    ("ts_std(close, 3)", [1, 2, 3, 5], [_NONE, _NONE, 1, np.sqrt(7 / 3)]),
    ("ts_var(close, 3)", [1, 2, 3, 5], [_NONE, _NONE, 1, 7 / 3]),
    ("ts_min(close, 3)", [3, 1, 2, 5], [_NONE, _NONE, 1, 1]),
    ("ts_max(close, 3)", [3, 1, 2, 5], [_NONE, _NONE, 3, 5]),
    ("ts_max_diff(close, 3)", [3, 1, 2, 5], [_NONE, _NONE, -1, 0]),
    ("ts_argmin(close, 3)", [3, 1, 1, 5], [_NONE, _NONE, 1, 2]),
    ("ts_argmax(close, 3)", [3, 1, 2, 5], [_NONE, _NONE, 2, 0]),
    ("ts_rank(close, 3)", [3, 1, 2, 2], [_NONE, _NONE, 2 / 3, 2.5 / 3]),
    ("ts_zscore(close, 3)", [1, 2, 3, 3], [_NONE, _NONE, 1, 1 / np.sqrt(3)]),
    ("ts_scale(close, 3)", [1, 5, 2, 2], [_NONE, _NONE, 0.25, 0]),
    ("ts_scale(close, 2)", [1, 1], [_NONE, 0.5]),
    ("ts_corr(close, open, 3)", [1, 2, 3, 3], [_NONE, _NONE, -1, 0]),
    ("ts_cov(close, open, 3)", [1, 2, 3, 3], [_NONE, _NONE, -1, 0]),
    ("ts_residual(close, open, 3)", [1, 2, 3, 3], [_NONE, _NONE, 0, 1 / 3]),
    ("ts_slope(close, 3)", [1, 2, 3, 7], [_NONE, _NONE, 1, 2.5]),
    ("ts_median(close, 3)", [1, 9, 3, 7], [_NONE, _NONE, 3, 7]),
    ("ts_quantile(close, 3, 0.25)", [1, 9, 3, 7], [_NONE, _NONE, 2, 5]),
    ("ts_decay_linear(close, 3)", [1, 2, 6, 0], [_NONE, _NONE, 23 / 6, 14 / 6]),
    ("ts_decay_exp(close, 3)", [4, 2, 6, 0], [_NONE, _NONE, 8 / 1.75, 3.5 / 1.75]),
    ("ts_count(close > 1, 3)", [1, 2, 6, 0], [_NONE, _NONE, 2, 2]),
    ("ts_since(close > 5, 3)", [6, 2, 1, 0, 7], [_NONE, _NONE, 2, 3, 0]),
]


@pytest.mark.parametrize(("text", "close", "expected"), _TIME, ids=[row[0] for row in _TIME])
def test_over_time(text: str, close: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(column(text, *close, open=[3.0, 2, 1, 3, 0][: len(close)]), expected, atol=1e-12)


def test_higher_moments_are_those_of_pandas() -> None:
    given = panel(60, 3)
    frame = pd.DataFrame(given.fields["volume"])
    for name, pandas_name in (("ts_skew", "skew"), ("ts_kurt", "kurt"), ("ts_std", "std"), ("ts_median", "median")):
        found = Evaluator(given).values(parse(f"{name}(volume, 11)"))
        np.testing.assert_allclose(found, getattr(frame.rolling(11), pandas_name)(), rtol=1e-7)


_DAY = [
    ("rank(close)", [3, 1, 1, _NONE, 9], [0.75, 0.375, 0.375, _NONE, 1]),
    ("zscore(close)", [1, 2, 3, _NONE, 2], [-1.22474487, 0, 1.22474487, _NONE, 0]),
    ("scale(close)", [1, -2, 1, _NONE, 0], [0.25, -0.5, 0.25, _NONE, 0]),
    ("demean(close)", [1, 2, 3, _NONE, 2], [-1, 0, 1, _NONE, 0]),
    ("winsorize(close, 1)", [1, 2, 3, _NONE, 2], [2 - np.sqrt(2 / 3), 2, 2 + np.sqrt(2 / 3), _NONE, 2]),
    ("group_mean(close, sector)", [1, 3, 8, _NONE, 2], [2, 2, 8, _NONE, _NONE]),
    ("group_neutralize(close, sector)", [1, 3, 8, _NONE, 2], [-1, 1, 0, _NONE, _NONE]),
    ("group_rank(close, sector)", [1, 3, 8, _NONE, 2], [0.5, 1, 1, _NONE, _NONE]),
    ("group_zscore(close, sector)", [1, 3, 8, _NONE, 2], [-np.sqrt(0.5), np.sqrt(0.5), 0, _NONE, _NONE]),
    ("group_scale(close, sector)", [1, -3, 8, _NONE, 2], [0.25, -0.75, 1, _NONE, _NONE]),
    ("group_max(close, sector)", [1, 3, 8, _NONE, 2], [3, 3, 8, _NONE, _NONE]),
    ("group_min(close, sector)", [1, 3, 8, _NONE, 2], [1, 1, 8, _NONE, _NONE]),
    ("group_count(close, sector)", [1, 3, 8, _NONE, 2], [2, 2, 1, _NONE, _NONE]),
    ("group_mean(close, bucket(close, 2))", [1, 3, 8, _NONE, 2], [1.5, 5.5, 5.5, _NONE, 1.5]),
]


@pytest.mark.parametrize(("text", "close", "expected"), _DAY, ids=[row[0] for row in _DAY])
def test_of_a_day(text: str, close: list[float], expected: list[float]) -> None:
    found = values_on(text, close=[close], sector=[[7e6, 7e6, -1, 7e6, _NONE]])[0]
    np.testing.assert_allclose(found, expected, atol=1e-8)


_PLACE = [
    ("close + open", 3, 2, 5),
    ("close - open", 3, 2, 1),
    ("close * open", 3, 2, 6),
    ("close / open", 3, 0, _NONE),
    ("close / open", 0, 0, _NONE),
    ("-close", 3, 2, -3),
    ("abs(close)", -3, 2, 3),
    ("log(close)", 0, 2, _NONE),
    ("log(close)", -1, 2, _NONE),
    ("log(close)", 1, 2, 0),
    ("sign(close)", -3, 2, -1),
    ("sqrt(close)", 9, 2, 3),
    ("sqrt(close)", -9, 2, _NONE),
    ("close ** open", -3, 2, 9),
    ("close ** open", -3, 0.5, _NONE),
    ("close ** open", 0, -1, _NONE),
    ("close ** open", 1e300, 2, _NONE),
    ("signed_power(close, open)", -3, 2, -9),
    ("min(close, open)", 3, 2, 2),
    ("max(close, open)", 3, _NONE, _NONE),
    ("where(close > open, close, 7)", 3, 2, 3),
    ("where(close > open, close, 7)", 3, _NONE, _NONE),
    ("close < open", 3, 2, 0),
    ("close <= open", 3, 3 * (1 + 1e-12), 1),
    ("close > open", 3 * (1 + 1e-12), 3, 0),
    ("close >= open", 3, 2, 1),
    ("close == open", 0.1 + 0.2, 0.3, 1),
    ("close == open", 3, _NONE, _NONE),
    ("(close > 0) & (open > 0)", -1, _NONE, 0),
    ("(close > 0) & (open > 0)", 1, _NONE, _NONE),
    ("(close > 0) | (open > 0)", 1, _NONE, 1),
    ("(close > 0) | (open > 0)", -1, _NONE, _NONE),
    ("~(close > 0)", 1, 1, 0),
    ("(0.1 + 0.2) * close - open", 1, 0.3, 0),
]


@pytest.mark.parametrize(("text", "close", "opened", "expected"), _PLACE)
def test_of_a_place(text: str, close: float, opened: float, expected: float) -> None:
    np.testing.assert_allclose(column(text, close, open=[opened]), [expected], atol=1e-12)


def test_all_operators_have_a_value_by_hand() -> None:
    texts = " ".join([*(row[0] for row in _TIME), *(row[0] for row in _DAY), *(row[0] for row in _PLACE)])
    by_sign = {it.name for it in OPERATORS.values() if it.sign and f" {it.sign} " in texts} | {"neg", "negate"}
    assert [it for it in OPERATORS if f"{it}(" not in texts and it not in by_sign] == ["ts_skew", "ts_kurt"]


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_words_name_each_argument(operator: Operator) -> None:
    shown = operator.words.format(*(f"<{number}>" for number in range(len(operator.takes))))
    assert all(f"<{number}>" in shown for number in range(len(operator.takes)))


def changed_later(given: FieldPanel, day: int, poison: float) -> FieldPanel:
    """The panel with all bars from ``day`` on replaced."""
    fields = {name: np.where(np.arange(len(it))[:, None] < day, it, poison) for name, it in given.fields.items()}
    return FieldPanel(given.days, given.symbols, fields, given.kinds)


def check_no_later_bar_is_read(formula: Formula, given: FieldPanel, day: int) -> None:
    """Cut or poisoned from a day on, the panel gives the same bits before it."""
    whole = Evaluator(given).values(formula)[:day]
    for other in (given.head(day), *(changed_later(given, day, poison) for poison in (np.nan, -1e200, 0.0))):
        assert Evaluator(other).values(formula)[:day].tobytes() == whole.tobytes()


@pytest.mark.parametrize("text", _TEXTS)
def test_no_later_bar_is_read(text: str) -> None:
    for seed in (0, 1):
        check_no_later_bar_is_read(parse(text), panel(seed=seed), 29)


@settings(deadline=None, max_examples=60)
@given(formulas(levels=3), st.integers(1, 39), st.integers(0, 3))
def test_no_tree_reads_a_later_bar(formula: Formula, day: int, seed: int) -> None:
    check_no_later_bar_is_read(formula, panel(seed=seed), day)


def test_what_is_missing_is_one_nan_whatever_made_it() -> None:
    formula = parse("ts_slope(ts_returns(open < open, 2), 3)")  # 0 / 0: its sign bit is that of a lane
    check_no_later_bar_is_read(formula, panel(seed=1), 15)
    values = Evaluator(panel(seed=1)).values(formula)
    assert {it.tobytes() for it in values[np.isnan(values)]} == {np.float64(np.nan).tobytes()}


def check_memory(formula: Formula, given: FieldPanel) -> None:
    """The last day has the same bits on a panel that begins as early as the formula remembers."""
    first = max(0, len(given.days) - 1 - memory(formula))
    short = FieldPanel(
        given.days[first:], given.symbols, {name: it[first:] for name, it in given.fields.items()}, given.kinds
    )
    assert Evaluator(short).values(formula)[-1].tobytes() == Evaluator(given).values(formula)[-1].tobytes()


@pytest.mark.parametrize("text", _TEXTS)
def test_memory_is_what_decides_a_value(text: str) -> None:
    check_memory(parse(text), panel(seed=1))


@settings(deadline=None, max_examples=60)
@given(formulas(levels=3), st.integers(0, 3))
def test_memory_of_trees(formula: Formula, seed: int) -> None:
    check_memory(formula, panel(seed=seed))


def test_memory_is_no_longer_than_needed() -> None:
    for operator in (it for it in OPERATORS.values() if it.family == "time"):
        formula = parse(sample_of(operator, 5))
        given = panel(seed=2)
        first = len(given.days) - memory(formula)
        late = changed_later(given, 0, np.nan).fields
        fields = {name: np.where(np.arange(40)[:, None] < first, late[name], it) for name, it in given.fields.items()}
        assert np.isnan(Evaluator(FieldPanel(given.days, given.symbols, fields, {})).values(formula)[-1]).all()


@pytest.mark.parametrize("text", _TEXTS)
def test_odd_panels_give_numbers_or_nothing_and_no_warning(text: str) -> None:
    odd = [panel(20, 1), panel(3, 4), changed_later(panel(), 0, np.nan), changed_later(panel(), 0, 5.0)]
    odd += [changed_later(panel(), 20, 0.0), changed_later(panel(), 0, -1e300), panel().head(0)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in odd:
            before = {name: it.copy() for name, it in given.fields.items()}
            found = Evaluator(given).values(parse(text))
            assert found.shape == given.shape
            assert not np.isinf(found).any()
            assert all(np.array_equal(before[name], it, equal_nan=True) for name, it in given.fields.items())


@pytest.mark.parametrize(
    "text",
    [
        "ts_std(close, 3)",
        "ts_zscore(close, 3)",
        "ts_corr(close, close, 3)",
        "ts_sum(abs(close) * 1e8, 3)",
        "close * close",
    ],
)
def test_what_is_too_large_is_missing(text: str) -> None:
    assert np.isnan(column(text, 1e300, -1e300, 1e300, 1e300)[2:]).all()


@pytest.mark.parametrize("text", ["zscore(close)", "scale(close)", "demean(close)", "group_scale(close, sector)"])
def test_a_day_that_is_too_large_is_missing(text: str) -> None:
    values = values_on(text, close=[[1.5e308, -1.5e308, 1.5e308, 1.5e308]], sector=[[1.0, 1, 1, 1]])
    assert np.isnan(values).all()


def test_an_outlier_does_not_tie_the_others() -> None:
    values = values_on("rank(close)", close=[[1e30, 0.001, 0.002, 0.003, 0.004, -1e30, 1e-19, -1e-19]])
    np.testing.assert_allclose(values[0] * 8, [8, 4, 5, 6, 7, 1, 2.5, 2.5])


def check_laws(formula: Formula) -> None:
    """No later bar is read, and none from before what is remembered."""
    for seed in (0, 1):
        check_no_later_bar_is_read(formula, panel(seed=seed), 29)
        check_memory(formula, panel(seed=seed))


@pytest.mark.parametrize(
    "operator",
    [
        Operator("broken", (Kind.SERIES,), Kind.SERIES, lambda it: it - np.nanmean(it, axis=0), "time", "{0}"),
        Operator("broken", (Kind.SERIES,), Kind.SERIES, lambda it: np.roll(it, -1, axis=0), "time", "{0}"),
        Operator("broken", (Kind.SERIES,), Kind.SERIES, lambda it: rolling.ema(it, 0.1), "time", "{0}"),
        Operator("broken", (Kind.SERIES,), Kind.SERIES, lambda it: np.cumsum(it, axis=0), "time", "{0}"),
    ],
)
def test_an_operator_that_breaks_a_law_is_found(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "broken", operator)
    formula = parse("broken(open)")
    with pytest.raises(AssertionError):
        check_laws(formula)


@pytest.mark.parametrize("text", _TEXTS)
def test_pieces_have_the_bits_of_the_whole(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Evaluator(panel()).values(parse(text))
    monkeypatch.setattr(evaluate, "PIECE", 80)  # two symbols, or thirteen days
    assert Evaluator(panel()).values(parse(text)).tobytes() == whole.tobytes()


def test_what_formulas_share_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    mean = OPERATORS["ts_mean"]
    counted = replace(mean, compute=lambda *given: (calls.append(1), mean.compute(*given))[1])
    monkeypatch.setitem(OPERATORS, "ts_mean", counted)
    evaluator = Evaluator(panel())
    evaluator.values(parse("ts_mean(close, 5) - ts_mean(close, 5) / open"))
    evaluator.values(parse("rank(ts_mean(close, 5))"))
    assert len(calls) == 1
    small = Evaluator(panel(), memory=1)  # room for one part: what was made first is gone
    small.values(parse("ts_mean(close, 5) + rank(open)"))
    small.values(parse("ts_mean(close, 5)"))
    assert len(calls) == 3


def test_values_cannot_be_changed() -> None:
    for text in ("close", "ts_mean(close, 5)", "close + 1"):
        with pytest.raises(ValueError, match="read-only"):
            Evaluator(panel()).values(parse(text))[0, 0] = 1.0


@pytest.mark.parametrize(
    "text",
    [
        "rank(ts_mean(close, 3) / close)",
        "ts_rank(close, 7)",
        "ts_argmax(open, 6)",
        "where(ts_mean(close, 3) > close, 1, -1) * ts_zscore(open, 5)",
        "ts_corr(close, open, 6)",
        "sign(close - vwap)",
        "group_rank(ts_delta(close, 2), bucket(close, 3))",
    ],
)
def test_a_constant_times_all_prices_does_not_matter(text: str) -> None:
    given = panel(seed=2)
    prices = ("open", "high", "low", "close", "vwap")
    times = {name: it * 1.37 if name in prices else it for name, it in given.fields.items()}
    other = FieldPanel(given.days, given.symbols, times, {})
    formula = parse(text)
    np.testing.assert_allclose(Evaluator(other).values(formula), Evaluator(given).values(formula), atol=1e-9)
