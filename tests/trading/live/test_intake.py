"""What becomes of bars that are late, twice, corrected, missing, wrong or early."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.data import SessionClose
from ragsignal.trading.live import Bar, Event, Intake, LiveDay

MONDAY = date(2024, 1, 8)
NOW = datetime(2024, 2, 1, tzinfo=UTC)
WAIT = 60.0


def day(number: int) -> date:
    return MONDAY + timedelta(days=number)


def bar(symbol: str, number: int, close: float = 10.0) -> Bar:
    return Bar(symbol, day(number), close, close * 1.01, close * 0.99, close, 1000.0)


def intake(*known: LiveDay, close: SessionClose | None = None) -> Intake:
    """Of A and B, whose first look at the source is over."""
    made = Intake(("A", "B"), known, close, WAIT)
    made.ready(0.0)
    return made


def whole(number: int, close: float = 10.0) -> LiveDay:
    return LiveDay(day(number), {symbol: bar(symbol, number, close) for symbol in ("A", "B")})


def taken(of: Intake, *bars: Bar, at: float = 0.0) -> list[str]:
    """Kinds of the events."""
    return [event.kind for event in of.take(bars, NOW, at)]


def given_out(of: Intake, at: float = 0.0) -> list[date]:
    return [it.day for it in of.ready(at)[0]]


def test_a_day_waits_for_its_last_bar() -> None:
    one = intake()
    assert taken(one, bar("A", 0)) == []
    assert given_out(one, at=WAIT - 1) == []
    assert one.missing == ("B",)
    taken(one, bar("B", 0))
    assert given_out(one) == [day(0)]


def test_a_gap_is_waited_for_and_then_told_of() -> None:
    one = intake()
    taken(one, bar("A", 0))
    days, events = one.ready(WAIT)
    assert list(days[0].bars) == ["A"]
    assert [(it.kind, it.symbol, it.day) for it in events] == [("gap", "B", day(0))]
    assert one.counts == {"gap": 1}


def test_a_later_day_does_not_end_the_wait_of_an_earlier_one() -> None:
    one = intake()
    taken(one, bar("A", 0), bar("A", 1), bar("B", 1))
    assert given_out(one) == []
    taken(one, bar("B", 0))
    assert given_out(one) == [day(0), day(1)]


def test_a_late_bar_is_not_put_into_the_past() -> None:
    one = intake(LiveDay(day(0), {"A": bar("A", 0)}))
    (event,) = one.take([bar("B", 0)], NOW, 0.0)
    assert event.kind == "late"
    assert "--journal" in event.words
    assert given_out(one, at=WAIT) == []


def test_an_equal_bar_again_is_ignored_and_counted() -> None:
    one = intake(whole(0))
    rounded = replace(bar("A", 0), close=10.0 * (1 + 1e-8))
    assert taken(one, bar("A", 0), rounded) == []
    assert one.counts == {"duplicate": 2}
    assert given_out(one, at=WAIT) == []


def test_another_bar_of_a_traded_day_is_told_of_and_not_traded() -> None:
    one = intake(whole(0))
    (event,) = one.take([bar("A", 0, close=11.0)], NOW, 0.0)
    assert event.kind == "revision"
    assert "10, 10.1, 9.9, 10, 1000 is now 11" in event.words
    assert given_out(one, at=WAIT) == []


def test_a_bar_that_is_corrected_before_its_day_is_traded_counts_as_corrected() -> None:
    one = intake()
    assert taken(one, bar("A", 0), bar("A", 0), bar("A", 0, close=11.0), bar("B", 0)) == ["revision"]
    ((only,), _) = one.ready(0.0)
    assert only.bars["A"].close == 11.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"close": -1.0}, "prices missing or not above zero"),
        ({"open": float("nan")}, "prices missing or not above zero"),
        ({"volume": -1.0}, "volume missing or negative"),
        ({"high": 9.0}, "high below low"),
        ({"close": 20.0}, "open or close outside low..high"),
    ],
)
def test_a_wrong_bar_is_refused_until_it_is_right(change: dict[str, float], words: str) -> None:
    one = intake()
    (event,) = one.take([replace(bar("A", 0), **change)], NOW, 0.0)
    assert (event.kind, words in event.words) == ("bad", True)
    taken(one, bar("A", 0), bar("B", 0))
    assert given_out(one) == [day(0)]


def test_a_bar_of_a_day_that_is_not_over_is_held_until_it_is() -> None:
    one = intake(close=SessionClose.parse("16:00 America/New_York"))
    before, after = (datetime(2024, 1, 8, 21, 0, second, tzinfo=UTC) for second in (0, 1))
    events = one.take([bar("A", 0), bar("B", 0)], before - timedelta(seconds=1), 0.0)
    assert [it.kind for it in events] == ["early", "early"]
    assert given_out(one, at=WAIT) == []
    assert one.take([], after, 0.0) == []
    assert given_out(one) == [day(0)]


def test_without_a_close_a_day_is_over_where_its_date_has_come_somewhere() -> None:
    one = intake()
    assert [it.kind for it in one.take([bar("A", 0)], datetime(2024, 1, 6, tzinfo=UTC), 0.0)] == ["early"]
    assert one.take([], datetime(2024, 1, 7, 11, tzinfo=UTC), 0.0) == []


def test_a_symbol_that_is_silent_for_days_is_not_waited_for_until_it_speaks() -> None:
    one = intake()
    kinds: list[str] = []
    for number in range(5):
        taken(one, bar("A", number))
        kinds += [it.kind for it in one.ready(WAIT)[1]]
    assert kinds == ["gap"] * 5 + ["silent"]
    taken(one, bar("A", 5))
    assert given_out(one) == [day(5)]
    taken(one, bar("A", 6), bar("B", 6))
    assert given_out(one) == [day(6)]
    taken(one, bar("A", 7))
    assert given_out(one) == []


def test_the_first_look_waits_for_nothing_but_the_newest_day() -> None:
    one = Intake(("A", "B"), (), None, WAIT)
    taken(one, bar("A", 0), bar("B", 1), bar("A", 1), bar("A", 2))
    days, events = one.ready(0.0)
    assert [it.day for it in days] == [day(0), day(1)]
    assert events == []
    taken(one, bar("B", 2))
    assert given_out(one) == [day(2)]


def test_a_restart_tells_of_the_bars_that_its_first_look_does_not_wait_for() -> None:
    """A job after each close is always a restart: what was missing on its older days was traded past in silence."""
    one = Intake(("A", "B"), [whole(0)], None, WAIT)
    taken(one, bar("A", 0), bar("B", 0), bar("A", 1), bar("A", 2), bar("B", 2))
    days, events = one.ready(0.0)
    assert [it.day for it in days] == [day(1), day(2)]
    assert [(it.kind, it.symbol, it.day) for it in events] == [("gap", "B", day(1))]
    assert "as the run was started with a later day there. If it comes, it is late" in events[0].words
    assert one.counts["gap"] == 1
    assert taken(one, bar("B", 1)) == ["late"]


def test_a_rescaled_past_is_seen_and_new_bars_come_in_the_old_basis() -> None:
    one = intake(*map(whole, range(4)))
    halved = [replace(bar("A", number, close=5.0), volume=2000.0) for number in range(5)]
    events = one.take([*halved, bar("B", 4)], NOW, 0.0)
    assert [(it.kind, it.symbol) for it in events] == [("rescaled", "A")]
    ((only,), _) = one.ready(0.0)
    assert only.bars["A"].values == pytest.approx(bar("A", 4).values)


def test_a_bar_that_is_held_over_a_split_is_rescaled_once() -> None:
    one = intake(*map(whole, range(4)), close=SessionClose.parse("16:00 America/New_York"))
    halved = [replace(bar("A", number, close=5.0), volume=2000.0) for number in range(5)]
    noon, evening = (datetime(2024, 1, 12, hour, tzinfo=UTC) for hour in (17, 22))
    assert [it.kind for it in one.take([*halved, bar("B", 4)], noon, 0.0)] == ["rescaled", "early", "early"]
    one.take([], noon, 0.0)
    one.take([], evening, 0.0)
    ((only,), _) = one.ready(0.0)
    assert only.bars["A"].values == pytest.approx(bar("A", 4).values)


def test_volumes_that_stay_when_prices_are_rescaled_are_no_revisions() -> None:
    one = intake(*map(whole, range(4)))
    assert taken(one, *(bar("A", number, close=9.9) for number in range(4))) == ["rescaled"]


def test_one_corrected_close_is_no_rescaled_past() -> None:
    one = intake(*map(whole, range(4)))
    again = [bar("A", 1), bar("A", 2), bar("A", 3, close=5.0)]
    assert taken(one, *again) == ["revision"]


def test_an_event_says_whose_day_it_is_of() -> None:
    assert str(Event("late", "A", MONDAY, "words")) == "late A 2024-01-08: words"


@given(data=st.data())
def test_whatever_comes_in_whatever_order_each_bar_is_given_once_or_told_of(data: st.DataObject) -> None:
    """Nothing lost, nothing twice: a restart after each look gives what one that never stopped gives."""
    sent = [bar(symbol, number) for number in range(6) for symbol in ("A", "B")]
    order = data.draw(st.permutations(sent + data.draw(st.lists(st.sampled_from(sent), max_size=6))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4)))
    out: list[LiveDay] = []
    late = set[tuple[str, date]]()
    one = intake()
    for start, stop in zip([0, *cuts], [*cuts, len(order)], strict=True):
        events = one.take(order[start:stop], NOW, 0.0)
        late |= {(it.symbol, it.day) for it in events if it.kind == "late" and it.day}
        out += one.ready(WAIT)[0]
        assert not one.missing
        one = intake(*out)  # as after a kill
    days = [it.day for it in out]
    assert days == sorted(set(days))
    given_bars = [(symbol, it.day) for it in out for symbol in it.bars]
    assert len(given_bars) == len(set(given_bars))
    assert set(given_bars) | late == {(it.symbol, it.day) for it in sent}
    assert not set(given_bars) & late
