"""The published formulas beside an independent implementation of them, alpha101v."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import alpha101v.factors as factors
import alpha101v.operators as theirs
import numpy as np
import pandas as pd
import pytest
from alpha101v.registry import REGISTRY

from ragsignal.data.formulas import STAND_INS, Evaluator, FieldPanel, Kind, explain, library, parse, text_of, words_of
from ragsignal.errors import ConfigError

_GROUPS = {"sector": 3, "industry": 5, "subindustry": 8}
_DAYS, _SYMBOLS = 420, 24


@cache
def made_panel(seed: int) -> FieldPanel:
    """Prices and groups drawn at random, without gaps: all of the source's fields."""
    rng = np.random.default_rng(seed)
    shape = (_DAYS, _SYMBOLS)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, shape), axis=0) + rng.normal(0, 0.5, _SYMBOLS))
    opened = close * np.exp(rng.normal(0, 0.01, shape))
    high = np.maximum(close, opened) * np.exp(np.abs(rng.normal(0, 0.01, shape)))
    low = np.minimum(close, opened) * np.exp(-np.abs(rng.normal(0, 0.01, shape)))
    returns = np.vstack([np.full((1, _SYMBOLS), np.nan), close[1:] / close[:-1] - 1])
    fields = {
        "open": opened, "high": high, "low": low, "close": close, "vwap": (high + low + close) / 3,
        "volume": np.exp(rng.normal(10, 1, shape)), "returns": returns,
        "cap": close * 1e6 * rng.uniform(1, 9, _SYMBOLS),
    }  # fmt: skip
    for name, number in _GROUPS.items():
        fields[name] = np.broadcast_to(rng.integers(0, number, _SYMBOLS).astype(np.float64), shape)
    days = np.datetime64("2010-01-01") + np.arange(_DAYS)
    names = tuple(f"S{number}" for number in range(_SYMBOLS))
    return FieldPanel(days, names, fields, dict.fromkeys(_GROUPS, Kind.GROUP))


def test_all_are_there_where_the_panel_has_the_fields() -> None:
    names = [it.name for it in library(made_panel(0).known)]
    assert names == [f"alpha{number:03d}" for number in range(1, 102)]
    assert [it for it in names if it not in {other.name for other in library()}] == ["alpha056"]


def test_each_reads_back_as_it_was_written() -> None:
    for it in library(made_panel(0).known):
        assert parse(text_of(it.formula), made_panel(0).known) == it.formula
        assert it.source.startswith("Kakushadze")


def test_groups_stand_in_where_the_panel_has_none() -> None:
    text = text_of({it.name: it.formula for it in library()}["alpha058"])
    assert f"group_neutralize(vwap, {STAND_INS['sector']})" in text
    chosen = {it.name: it.formula for it in library(groups={"sector": "bucket(volume, 3)"})}
    assert "group_neutralize(vwap, bucket(volume, 3))" in text_of(chosen["alpha058"])
    assert STAND_INS["industry"] in text_of(chosen["alpha059"])
    given = {it.name: it.formula for it in library(made_panel(0).known, {"sector": "bucket(volume, 3)"})}
    assert "group_neutralize(vwap, sector)" in text_of(given["alpha058"])


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"sectors": "bucket(close, 3)"}, "no groups sectors in the library.*Did you mean 'sector'"),
        ({"sector": "close"}, "has to be groups, and is a series"),
        ({"sector": "bucket(close, 1)"}, "bucket takes a number of 2 to 504 groups, and here has 1"),
        ({"sector": "bucket(clsoe, 3)"}, "no field clsoe"),
        ({"sector": "bucket(close, 3) + 1"}, "argument 1 of add has to be a series, and is groups"),
    ],
)
def test_wrong_groups_are_told(groups: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as told:
        library(groups=groups)
    assert "\n" not in str(told.value)


def test_a_formula_in_words_part_by_part() -> None:
    formula = parse("rank(ts_delta(close, 5)) * -1 + rank(ts_delta(close, 5))")
    assert [(it.text, it.words) for it in explain(formula)] == [
        ("ts_delta(close, 5)", "change of close over 5 bars"),
        ("rank(ts_delta(close, 5))", "rank of (change of close over 5 bars) among the stocks of the day"),
        (
            "rank(ts_delta(close, 5)) * -1",
            "(rank of (change of close over 5 bars) among the stocks of the day) times -1",
        ),
        (text_of(formula), words_of(formula)),
    ]


def test_all_published_formulas_are_explained() -> None:
    for it in library():
        lines = explain(it.formula)
        assert lines[-1].text == text_of(it.formula)
        assert not any("{" in line.words for line in lines)


def _nine(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame to nine digits, and 0 for what is left of a difference of equal numbers."""
    values = frame.to_numpy(dtype=np.float64)
    nothing = np.abs(values) <= 1e-13
    unit = 10.0 ** (np.floor(np.log10(np.where(nothing, 1.0, np.abs(values)))) - 8)
    short = np.where(nothing, 0.0, np.round(values / unit) * unit)
    return pd.DataFrame(short, index=frame.index, columns=frame.columns)


def _correlation(x: pd.DataFrame, y: pd.DataFrame, window: float) -> pd.DataFrame:
    full = (x + y).rolling(int(window)).sum().notna()
    return theirs.correlation(x, y, window).mask(lambda it: it.isna() & full, 0.0)


def _compare(left: object, right: object, operator: str, compare: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    one, other = (it.to_numpy() if isinstance(it, pd.DataFrame) else float(it) for it in (left, right))  # type: ignore[arg-type]
    like = left if isinstance(left, pd.DataFrame) else right
    assert isinstance(like, pd.DataFrame)
    settled = np.where(np.isclose(one, other, rtol=1e-9, atol=0), other, one)
    return compare(pd.DataFrame(settled, index=like.index, columns=like.columns), right, operator)


@pytest.fixture
def our_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs with the choices that the source leaves open made as ours are.

    Ranks over the number and not from 0 to 1; the sample's standard deviation and covariance and not the population's;
    a correlation of 0 and not none with what does not move; a mean with falling weights only where its window is full,
    and the higher of two only where both are there;
    what agrees to nine digits is equal where a rank, a sign, a highest or a comparison hangs on it.
    """

    def settled(function: Callable[..., pd.DataFrame], **chosen: object) -> Callable[..., pd.DataFrame]:
        return lambda frame, *window: function(_nine(frame), *window, **chosen)

    monkeypatch.setattr(factors, "rank", settled(theirs.rank, normalization="one_over_n"))
    monkeypatch.setattr(factors, "ts_rank", settled(theirs.ts_rank, normalization="one_over_n"))
    monkeypatch.setattr(factors, "ts_argmax", settled(theirs.ts_argmax))
    monkeypatch.setattr(factors, "ts_argmin", settled(theirs.ts_argmin))
    monkeypatch.setattr(factors, "sign", settled(factors.sign))
    monkeypatch.setattr(factors, "_cmp", partial(_compare, compare=factors._cmp))
    monkeypatch.setattr(factors, "maximum", np.maximum)
    monkeypatch.setattr(factors, "minimum", np.minimum)
    monkeypatch.setattr(factors, "stddev", partial(theirs.stddev, ddof=1))
    monkeypatch.setattr(factors, "covariance", partial(theirs.covariance, ddof=1))
    monkeypatch.setattr(factors, "decay_linear", partial(theirs.decay_linear, dense=True))
    monkeypatch.setattr(factors, "correlation", _correlation)


def their_values(number: int, panel: FieldPanel) -> np.ndarray:
    """Values of alpha101v."""
    frames: dict[str, object] = {
        name: pd.DataFrame(it, index=panel.days, columns=panel.symbols) for name, it in panel.fields.items()
    }
    frames["Open"] = frames["open"]
    frames["amount"] = frames["vwap"] * frames["volume"]  # type: ignore[operator]
    frames |= {f"ind_{name}": pd.Series(panel.fields[name][0], index=panel.symbols) for name in _GROUPS}
    entry = REGISTRY[f"alpha{number}"]
    return np.asarray(entry.func(**{name: frames[name] for name in entry.params}), dtype=np.float64)


@cache
def evaluator(seed: int) -> Evaluator:
    return Evaluator(made_panel(seed))


@pytest.mark.usefixtures("our_conventions")
@pytest.mark.parametrize("number", range(1, 102))
def test_formula_agrees_with_an_independent_implementation(number: int) -> None:
    panel = made_panel(0)
    published = library(panel.known)[number - 1]
    assert published.name == f"alpha{number:03d}"
    ours, other = evaluator(0).values(published.formula), their_values(number, panel)
    both = ~np.isnan(ours) & ~np.isnan(other)
    assert both.sum() >= 0.99 * (~np.isnan(other)).sum()
    assert both.sum() >= 0.3 * both.size
    np.testing.assert_allclose(ours[both], other[both], rtol=1e-6, atol=1e-9)
