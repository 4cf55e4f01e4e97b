"""The audit of signals that read news: clean ones pass, and news that count before they were published are caught."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.audit.signals import news as audited_news
from ragsignal.audit.signals import signals, visibility
from ragsignal.audit.signals.news import known_news, planted_by_date, planted_early, poisoned_news
from ragsignal.audit.signals.signals import audit_signals
from ragsignal.audit.verdict import Finding
from ragsignal.config import DataSpec, RunSpec
from ragsignal.data import NewsItems, Prices, counted_by_date, load_prices, with_news
from ragsignal.data.news import days as news_days
from ragsignal.data.synthetic_news import planted_news_items
from ragsignal.study import Study
from ragsignal.utils import silent
from tests.made_news import CLOSE, drawn_items, made
from tests.markets import bars
from tests.specs import HOLD, spec
from tests.tiny import tiny_news_boosting

SYMBOLS = [f"S{number:02d}" for number in range(22)]
DATA = {
    "source": "planted-news",
    "symbols": SYMBOLS,
    "start": date(2012, 1, 2),
    "end": date(2012, 2, 3),
    "close": "16:00 America/New_York",
}
DAYS = np.arange("2014-01-06", "2014-02-01", dtype="datetime64[D]")
WEEKDAYS = DAYS[np.is_busday(DAYS)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(visibility, "SECONDS", 0.5)
    monkeypatch.setattr(visibility, "_FEWEST", 3)  # cut points
    monkeypatch.setattr(signals, "DAYS", 1)


@functools.cache
def history(data: DataSpec) -> Prices:
    """A year and a half of prices: fewer rank nobody, and more take minutes."""
    return load_prices(data).between(date(2010, 9, 1), None)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """News of the market, as a file."""
    path = tmp_path_factory.mktemp("news") / "news.csv"
    planted = planted_news_items(SYMBOLS, "2010-09-01", DATA["end"])
    planted[planted["published_at"] > "2011-06"].to_csv(path, index=False)
    return path


def of_news(items: Path, **changes: Any) -> RunSpec:
    """A month of a market of 22 stocks whose signals are those of a small boosting of 44 letters."""
    tables: dict[str, Any] = {
        "data": DATA,
        "news": {"path": items},
        "corpus": {"indicators": ["adj_close"], "target": "relative"},
        "retrieval": {"retriever": "none"},
        "variant": [
            {"name": "boosted", "signal": "classifier", "classifier": str(items.parent / "boosting")},
            HOLD,
        ],
    }
    return spec(**tables | changes)


@pytest.fixture(scope="module")
def boosted(items: Path) -> RunSpec:
    plain = of_news(items)
    source = Study(plain, history=history(plain.data)).materials.news
    assert source is not None
    tiny_news_boosting(items.parent / "boosting", source.recipe)
    return plain


def audit(wanted: RunSpec) -> dict[tuple[str, str], Finding]:
    """Findings on the short history."""
    study = Study(wanted, history=history(wanted.data))
    frames = dict(study.prices.select(wanted.data.symbols).between(wanted.data.start, wanted.data.end).frames)
    return {(it.test, it.subject): it for it in audit_signals(study, frames, silent)}


@pytest.mark.slow
def test_a_reader_of_news_is_proved_with_the_news_that_were_known(boosted: RunSpec) -> None:
    found = audit(boosted)
    assert {it.verdict for it in found.values()} == {"passed"}
    assert found["signal-prefix", "boosted"].evidence["rebuilt"] == ["rank letters", "news"]


@pytest.mark.slow
def test_the_leaky_twin_counts_late_items_for_their_day_and_is_caught(boosted: RunSpec) -> None:
    twin = spec_with(boosted, counts_for="date")
    found = audit(twin)
    for test in ("signal-prefix", "signal-poison"):
        assert found[test, "boosted"].verdict == "failed"
    assert "what is visible as of" in found["signal-prefix", "boosted"].words


def spec_with(plain: RunSpec, **of_news_table: Any) -> RunSpec:
    assert plain.news is not None
    news = plain.news.model_copy(update=of_news_table)
    return plain.model_copy(update={"news": news, "allow_in_sample": True})


@pytest.fixture
def only_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_CHANGES", {"signal-prefix": signals._CHANGES["signal-prefix"]})


@pytest.mark.slow
@pytest.mark.usefixtures("only_cuts")
def test_an_item_that_the_package_gives_to_the_bar_before_its_own_is_caught(
    boosted: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = news_days.bars_of

    def early(items: NewsItems, *read: Any) -> Any:
        return honest(replace(items, available_at=items.available_at - np.timedelta64(20, "h")), *read)

    monkeypatch.setattr(news_days, "bars_of", early)
    assert audit(boosted)["signal-prefix", "boosted"].verdict == "failed"


@pytest.mark.slow
@pytest.mark.usefixtures("only_cuts")
def test_letters_of_news_that_are_a_day_early_are_caught(boosted: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def early(letters: Any, news: Any, recipe: Any) -> Any:
        whole = with_news(letters, news, recipe)
        of_news = np.concatenate([whole.letters[1:, :, 41:], whole.letters[-1:, :, 41:]])
        return replace(whole, letters=np.concatenate([whole.letters[:, :, :41], of_news], axis=2))

    monkeypatch.setattr(visibility, "with_news", early)
    assert audit(boosted)["signal-prefix", "boosted"].verdict == "failed"


@pytest.mark.slow
def test_a_test_that_does_not_see_the_planted_news_calls_itself_broken(
    boosted: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = audited_news.PlantedNews(lambda items: items, date(2012, 1, 20))
    monkeypatch.setattr(visibility, "planted_by_date", lambda *_: blind)
    found = audit(boosted)
    assert found["signal-prefix", "boosted"].verdict == found["signal-poison", "boosted"].verdict == "broken"
    assert "news that count before they were published" in found["signal-prefix", "boosted"].words


@pytest.mark.slow
@pytest.mark.parametrize("counts_for", ["close", "date"])
def test_windows_of_news_are_seen_when_their_outcome_is_known_whichever_bar_counts_an_item(
    items: Path, counts_for: str
) -> None:
    corpus = {"indicators": ["news_sentiment", "news_count"], "target": "movement"}
    plain = of_news(
        items,
        data=DATA | {"symbols": SYMBOLS[:3]},
        corpus=corpus,
        retrieval={"retriever": "shape", "k": 3},
        variant=[{"name": "vote", "signal": "vote"}, HOLD],
    )
    found = audit(spec_with(plain, counts_for=counts_for))
    verdicts = {test: found[test, "vote"].verdict for test in ("signal-prefix", "signal-poison")}
    assert set(verdicts.values()) == {"passed"}


# ------------------------------------------------------------------------------- what is cut, what is planted


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.sampled_from(WEEKDAYS.tolist()))
def test_what_was_known_is_what_the_stamps_say_and_poison_moves_nothing_of_it(seed: int, day: date) -> None:
    items = drawn_items(("A", "B"), WEEKDAYS, seed)
    close = CLOSE.instants(np.array([day], "datetime64[D]"))[0]
    known = known_news(items, day)
    assert (known.available_at <= close).all()
    assert len(known) == int((items.available_at <= close).sum())
    poisoned = poisoned_news(items, day)
    past = items.available_at <= close
    assert [poisoned.line(row) for row in np.flatnonzero(past)] == [items.line(row) for row in np.flatnonzero(past)]
    assert (poisoned.headlines[~past] != items.headlines[~past]).all()


def test_an_item_without_a_time_is_known_after_its_day() -> None:
    items = drawn_items(("A",), WEEKDAYS, share=1.0)
    dated = replace(items, after=WEEKDAYS.copy(), available_at=WEEKDAYS.astype("datetime64[us]"))
    day = WEEKDAYS[3].item()
    assert len(known_news(dated, day)) == 3


def test_counting_by_date_brings_items_from_after_the_close_to_the_bar_of_their_day() -> None:
    frames = {"A": bars(20, days=_index(WEEKDAYS))}
    items = drawn_items(("A",), WEEKDAYS, share=1.0)
    honest, early = made(items, frames), made(counted_by_date(items), frames)
    local = (items.available_at - np.timedelta64(5, "h")).astype("datetime64[D]")
    there = np.isin(local, WEEKDAYS)
    counts = np.array([(local[there] == day).sum() for day in honest.days])
    weekend = np.array([(~there & (local < day) & (local > day - np.timedelta64(3, "D"))).sum() for day in honest.days])
    assert (early.count[:, 0] >= counts).all()
    assert early.count[:, 0].sum() <= counts.sum() + weekend.sum()
    assert (early.count != honest.count).any()


def test_a_plant_counts_items_that_were_not_known_on_its_day() -> None:
    days = WEEKDAYS.tolist()
    items = drawn_items(("A",), WEEKDAYS, share=1.0)
    noon = replace(items, available_at=WEEKDAYS.astype("datetime64[us]") + np.timedelta64(17, "h"))
    assert planted_by_date(noon, days) is None  # nothing came after a close
    for told, planted in (
        (items, planted_by_date(items, days)),
        (items, planted_early(items, days, 8)),
        (noon, planted_early(noon, days, 8)),
    ):
        assert planted is not None
        assert len(known_news(planted.count(told), planted.day)) > len(known_news(told, planted.day))
    old = replace(items, available_at=items.available_at - np.timedelta64(900, "D"))
    assert planted_early(old, days, 8) is None


def _index(days: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.DatetimeIndex(days)
