"""What is learned from lies before what is judged on, by the day on which labels are known."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.config import DataSpec, SplitSpec, Target
from ragsignal.data.labels import bars_until_known, forward_returns
from ragsignal.data.split import Split, SplitPart, make_split
from ragsignal.errors import ConfigError, LookAheadError
from tests import markets

DATA = DataSpec(source="sample", symbols=("A", "B", "C"), start=date(2020, 1, 6), end=date(2020, 6, 30))
VALID_FROM = date(2020, 4, 1)
TARGETS: tuple[Target, ...] = ("movement", "open_to_open", "relative")


def business_days(first: str = "2019-10-01", last: str = "2020-09-30") -> NDArray[np.datetime64]:
    days = np.arange(first, last, dtype="datetime64[D]")
    return days[np.is_busday(days)]


def split_of(calendar: NDArray[np.datetime64] | None = None, known_after: int = 1, **spec: Any) -> Split:
    days = business_days() if calendar is None else calendar
    return make_split(SplitSpec(**{"valid_from": VALID_FROM} | spec), DATA, days, known_after)


# ---------------------------------------------------------------------------------------------------------- time


def test_training_ends_the_embargo_before_validation_begins() -> None:
    split = split_of(embargo=5)
    known_by = date(2020, 3, 25)  # Wednesday to Wednesday: five bars
    assert split == Split(
        protocol="time",
        train=SplitPart("train", DATA.symbols, DATA.start, known_by, known_by),
        valid=SplitPart("valid", DATA.symbols, VALID_FROM, DATA.end, DATA.end),
    )
    assert not split.leaks


def test_the_embargo_is_counted_in_trading_days_back_from_the_first_that_is_validated() -> None:
    # 4 and 5 April 2020 are a weekend, and on Monday nobody trades: Tuesday is the first validation day
    calendar = np.setdiff1d(business_days(), np.array(["2020-04-06"], dtype="datetime64[D]"))
    assert split_of(calendar, valid_from=date(2020, 4, 4), embargo=1).train.known_by == date(2020, 4, 3)
    assert split_of(calendar, valid_from=date(2020, 4, 7), embargo=2).train.known_by == date(2020, 4, 2)


def test_each_part_may_have_symbols_of_its_own() -> None:
    split = split_of(train_symbols=("C", "A"), valid_symbols=("B",))
    assert (split.train.symbols, split.valid.symbols) == (("C", "A"), ("B",))


@pytest.mark.slow
@given(frames=markets.markets(), embargo=st.integers(1, 12), cut=st.integers(8, 20), data=st.data())
def test_no_bar_from_validation_on_moves_what_training_sees(
    frames: markets.Frames, embargo: int, cut: int, data: st.DataObject
) -> None:
    target, horizon = data.draw(st.sampled_from(TARGETS)), data.draw(st.sampled_from([1, 5, 10]))
    known_after = bars_until_known(target, horizon)
    assume(embargo >= known_after and (target != "relative" or len(frames) > 1))
    days = markets.days_of(frames)
    assume(cut + 1 < len(days) and cut - embargo > 0)
    spec = DataSpec(source="noise", symbols=tuple(frames), start=days[0], end=days[-1])
    calendar = np.array(days, dtype="datetime64[D]")
    split = make_split(SplitSpec(valid_from=days[cut], embargo=embargo), spec, calendar, known_after)
    other = markets.poisoned(frames, after=days[cut] - timedelta(days=1))

    def labels(part: SplitPart, market: markets.Frames) -> list[tuple[str, date, date, float]]:
        table = pd.concat(forward_returns(market, target, horizon), names=["symbol", "day"]).dropna().reset_index()
        symbols, outcomes = table["symbol"].tolist(), table["outcome"].tolist()
        days, known = (table[name].dt.date.tolist() for name in ("day", "available_at"))
        rows = zip(symbols, days, known, outcomes, strict=True)
        return [row for row in rows if part.holds(*row[:3])]

    learned = labels(split.train, frames)
    assert learned == labels(split.train, other)
    known = [it[2] for it in learned]
    split.train.check(np.array(known, dtype="datetime64[D]"))
    assert all(it[1] >= days[cut] for it in labels(split.valid, frames))
    # exactly the embargo lies between the last day of training and the first of validation
    assert cut - days.index(split.train.known_by) == embargo


# --------------------------------------------------------------------------------------------------------- paper


def test_the_paper_splits_symbols_and_leaks_all_days() -> None:
    split = split_of(protocol="paper", train_symbols=("A", "B"), valid_symbols=("C",))
    assert split.leaks
    assert (split.train.symbols, split.valid.symbols) == (("A", "B"), ("C",))
    for part in (split.train, split.valid):
        assert (part.first, part.last, part.known_by) == (DATA.start, DATA.end, DATA.end)


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        ((), ("C",), "write train_symbols and valid_symbols"),
        (("A",), (), "write train_symbols and valid_symbols"),
        (("A", "B"), ("C", "B"), "B in both train_symbols and valid_symbols"),
    ],
)
def test_the_papers_symbols_must_be_given_and_apart(
    train: tuple[str, ...], valid: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        split_of(protocol="paper", train_symbols=train, valid_symbols=valid)


# ------------------------------------------------------------------------------------------------------ refusals


def test_an_embargo_shorter_than_the_horizon_is_refused() -> None:
    assert split_of(embargo=2, known_after=2)
    with pytest.raises(ConfigError, match=r"embargo is 1 bar.*known 2 bars later: write embargo = 2 or more"):
        split_of(embargo=1, known_after=2)


@pytest.mark.parametrize("key", ["train_symbols", "valid_symbols"])
def test_an_unknown_symbol_is_named_with_the_nearest(key: str) -> None:
    data = DATA.model_copy(update={"symbols": ("AAPL", "IBM")})
    spec = SplitSpec.model_validate({"valid_from": VALID_FROM, key: ["APPL"]})
    with pytest.raises(ConfigError, match=rf"split\.{key}: 'APPL' is not one of data\.symbols\. Did you mean 'AAPL'"):
        make_split(spec, data, business_days(), 1)


def test_a_part_without_days_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no bar from then through data\.end 2020-06-30"):
        split_of(business_days(last="2020-03-31"))
    with pytest.raises(ConfigError, match="validation part would be empty"):
        split_of(valid_from=date(2020, 7, 1))
    for calendar in (business_days(), business_days(first="2020-01-06")):
        with pytest.raises(ConfigError, match=r"less 5 bars leaves no training day after data\.start 2020-01-06"):
            split_of(calendar, valid_from=date(2020, 1, 13))
    assert split_of(valid_from=date(2020, 1, 14)).train.known_by == date(2020, 1, 7)


# --------------------------------------------------------------------------------------------------------- parts


def test_a_part_holds_its_symbols_its_days_and_what_is_known_in_time() -> None:
    first, last, known_by = date(2020, 1, 6), date(2020, 3, 2), date(2020, 3, 4)
    part = SplitPart("train", ("A",), first, last, known_by)
    assert part.holds("A", first, known_by)
    assert part.holds("A", last, known_by)
    assert not part.holds("B", first, known_by)
    assert not part.holds("A", first - timedelta(days=1), known_by)
    assert not part.holds("A", last + timedelta(days=1), known_by)
    assert not part.holds("A", last, known_by + timedelta(days=1))


def test_a_label_that_is_known_too_late_stops_training_by_its_name() -> None:
    part = split_of().train
    known = np.array(["2020-03-24", "2020-03-25", "2020-03-26", "2020-05-01"], dtype="datetime64[D]")
    part.check(known[:2])
    part.check(known[:0])
    message = r"the train part .* by 2020-03-25, but 2 of its 4 labels .* first \(number 2\) on 2020-03-26"
    with pytest.raises(LookAheadError, match=message):
        part.check(known)


@pytest.mark.parametrize("unit", ["D", "us", "ns"])
def test_a_label_that_is_never_known_is_too_late_in_every_unit(unit: str) -> None:
    known = np.array(["2020-03-25", "NaT"], dtype=f"datetime64[{unit}]")
    with pytest.raises(LookAheadError, match=r"1 of its 2 labels .* first \(number 1\) on NaT"):
        split_of().train.check(known)
