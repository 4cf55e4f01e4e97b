"""News of a study: read once, scored once a text, placed by its own prices, and told of in its notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.data import days_of
from ragsignal.errors import ConfigError, DataError
from ragsignal.signals import SignalStore
from ragsignal.study import Materials, NewsSource, Study, data_digests, notes_on_news
from ragsignal.types import FloatArray, Recipe
from tests.specs import spec

CLOSE = {"close": "16:00 America/New_York"}
ROWS = [
    "id,symbol,published_at,headline",
    "1,AAA,2015-03-02T15:00:00Z,a great profit",
    "1,AAA,2015-03-02T15:30:00Z,a great profit",
    "2,AAA,2015-03-02T21:00:01Z,a terrible loss",
    "3,AAA,2015-06-01,a great profit",
    "4,BBB,2015-03-07T12:00:00Z,a great profit",
    "5,ZZZ,2015-03-07T12:00:00Z,a great profit",
    "6,BBB,2016-03-07T12:00:00Z,read by nobody",
]


@dataclass
class Tones:
    """Good is 1, terrible is -1; counts what it reads."""

    read: list[str] = field(default_factory=list)
    recipe: Recipe = field(default_factory=lambda: {"scorer": "tones"})

    def sentiment(self, texts: Sequence[str]) -> FloatArray:
        self.read += texts
        return np.array([1.0 if "great" in text else -1.0 for text in texts])


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch) -> Tones:
    made = Tones()
    monkeypatch.setattr("ragsignal.study.news.load_text_scorer", lambda _: made)
    return made


def told(folder: Path, rows: Sequence[str] = ROWS, **news: Any) -> Any:
    (folder / "news.csv").write_text("\n".join(rows), encoding="utf-8")
    return spec(data=CLOSE, news={"path": folder / "news.csv", "lag": 0, **news})


def materials(folder: Path, store: SignalStore, **data: Any) -> Materials:
    wanted = told(folder)
    changed = wanted.data.model_copy(update=data)
    return Materials(changed, wanted.corpus, None, NewsSource(wanted.news, lambda: store))


def test_items_are_placed_by_the_bars_of_the_spec(tones: Tones, tmp_path: Path) -> None:
    found = materials(tmp_path, SignalStore(":memory:")).news_days
    of_a = {day: found.sentiment[row, 0] for row, day in enumerate(found.days.tolist()) if found.count[row, 0]}
    assert of_a == {date(2015, 3, 2): 1.0, date(2015, 3, 3): -1.0, date(2015, 6, 2): 1.0}
    assert found.headlines("BBB", date(2015, 3, 9)) == ("a great profit",)
    assert found.count.sum() == 4


def test_a_second_run_reads_no_text_and_what_belongs_to_no_bar_is_never_read(tones: Tones, tmp_path: Path) -> None:
    store = SignalStore(":memory:")
    first = materials(tmp_path, store).news_days
    assert sorted(tones.read) == ["a great profit", "a terrible loss"]
    again = materials(tmp_path, store).news_days
    assert len(tones.read) == 2
    assert again.digest == first.digest
    np.testing.assert_array_equal(again.sentiment, first.sentiment)


def test_news_of_a_spec_that_ends_earlier_are_the_same_until_then(tones: Tones, tmp_path: Path) -> None:
    store = SignalStore(":memory:")
    whole, cut = materials(tmp_path, store), materials(tmp_path, store, end=date(2015, 4, 1))
    length = len(cut.news_days.days)
    assert whole.news_days.day_digests[:length] == cut.news_days.day_digests
    assert (cut.news_days.days == days_of(cut.prices.frames["AAA"])).all()


def test_notes_and_digests_of_a_run_tell_of_its_news(tones: Tones, tmp_path: Path) -> None:
    study = Study(told(tmp_path))
    (note,) = notes_on_news(study)
    assert note == (
        "News: 4 items, available from 2015-03-02 to 2015-06-02; 1 said again what was there; 1 have no zone or no "
        "time of day, and count for the session after their day; 1 are of 1 other symbols."
    )
    assert data_digests(study, [])["news"] == study.materials.news_table.items.digest
    assert tones.read == []  # notes cost no model call


def test_a_table_that_grows_gives_the_same_record(tones: Tones, tmp_path: Path) -> None:
    before = Study(told(tmp_path))
    first = notes_on_news(before), data_digests(before, []), before.materials.news_days.digest
    after = Study(told(tmp_path, [*ROWS, "1,AAA,2016-01-04T12:00:00Z,revised", "9,AAA,2015-12-31T21:00:01Z,late"]))
    assert (notes_on_news(after), data_digests(after, []), after.materials.news_days.digest) == first
    assert after.materials.news_table.counts.late == 3


def test_symbols_without_news_are_named(tones: Tones, tmp_path: Path) -> None:
    assert notes_on_news(Study(told(tmp_path, ROWS[:3])))[1] == "No news of 1 of 2 symbols: BBB."


@pytest.mark.parametrize("counts_for", ["close", "date"])
def test_news_of_other_years_are_refused_and_are_not_days_without_news(
    tones: Tones, tmp_path: Path, counts_for: str
) -> None:
    rows = [ROWS[0], "1,AAA,1999-03-02T15:00:00Z,a", "2,BBB,1999-04-02T15:00:00Z,b"]
    wanted = told(tmp_path, rows)
    news = wanted.news.model_copy(update={"counts_for": counts_for})
    opened = Materials(wanted.data, wanted.corpus, None, NewsSource(news, lambda: SignalStore(":memory:")))
    with pytest.raises(
        DataError, match=r"none of its 2 items of the spec's symbols is of a bar: .* 1999-03-02 to 1999"
    ):
        _ = opened.news_days
    assert tones.read == []


def test_a_study_without_news_is_as_it_was() -> None:
    study = Study(spec())
    assert notes_on_news(study) == []
    assert set(data_digests(study, [])) == {"prices"}
    with pytest.raises(ConfigError, match=r'write \[news\] with path = "news.csv", and data.close'):
        _ = study.materials.news_days


def test_wrong_news_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="published_at that is no time at line 2"):
        _ = Study(told(tmp_path, [ROWS[0], "1,AAA,soon,a"])).materials.news_table
    with pytest.raises(
        DataError, match=r"no news .* before the close of 2015-12-31 \(data\.end\): the first of 1 items"
    ):
        _ = Study(told(tmp_path, [ROWS[0], ROWS[-1]])).materials.news_table
    lost = told(tmp_path)
    lost = lost.model_copy(update={"data": lost.data.model_copy(update={"close": "16:00 Mars"})})
    with pytest.raises(ConfigError, match=r"data\.close: '16:00 Mars': there is no time zone 'Mars'"):
        _ = Study(lost).materials.news_table


@pytest.mark.slow
def test_the_lexicon_and_a_text_classifier_both_score_a_study(tmp_path: Path) -> None:
    from tests.tiny_text import tiny_classifier

    model = str(tiny_classifier(tmp_path / "tiny"))
    by_words = Study(told(tmp_path)).materials.news_days
    by_model = Study(told(tmp_path, scorer="classifier", model=model)).materials.news_days
    assert by_words.digest != by_model.digest
    np.testing.assert_array_equal(by_words.count, by_model.count)
    row = int(np.searchsorted(by_words.days, np.datetime64("2015-03-02")))
    assert by_words.sentiment[row, 0] > 0.5
    assert -1.0 < by_model.sentiment[row, 0] < 1.0
