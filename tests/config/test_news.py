"""The table of news: a lag in words, keys that belong together, and a close without which no moment can be placed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import NewsSpec, RunSpec, TrainSpec, load_spec
from ragsignal.errors import ConfigError
from tests.specs import spec, train_spec, write_spec

CLOSE = {"close": "16:00 America/New_York"}


@pytest.mark.parametrize(
    ("lag", "expected"),
    [
        (0, timedelta(0)),
        (15, timedelta(minutes=15)),
        ("90 s", timedelta(seconds=90)),
        ("5 min", timedelta(minutes=5)),
        ("1.5 h", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
    ],
)
def test_a_lag_is_minutes_or_a_text(lag: int | str, expected: timedelta) -> None:
    assert NewsSpec(path="news.csv", lag=lag).delay == expected


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"lag": -1}, r"news\.lag.*: -1: expected minutes, or a text such as"),
    ({"lag": "soon"}, r"'soon': expected minutes"),
    ({"lag": "400 d"}, r"'400 d': expected minutes.*0 to 366 days"),
    ({"scorer": "classifier"}, 'scorer = "classifier" needs model: the folder of a text classifier'),
    ({"model": "owner/name"}, 'model: belongs to scorer = "classifier"'),
    ({"device": "cuda", "threads": 2}, 'device, threads: belongs to scorer = "classifier"'),
    ({"novelty_days": 0}, r"news\.novelty_days: .*greater than or equal to 1"),
    ({"pth": "x"}, r"news\.pth: unknown key. Did you mean 'path'"),
    ({"scorer": "lexcion"}, r"news\.scorer: Input should be 'lexicon' or 'classifier'"),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_wrong_table_is_answered_with_its_place_and_a_repair(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = write_spec(tmp_path, data=CLOSE, news={"path": "news.csv", **changes})
    with pytest.raises(ConfigError, match=said):
        load_spec(path)


@pytest.mark.parametrize("make", [spec, train_spec])
def test_news_without_a_close_are_refused_with_the_line_to_add(make: Any) -> None:
    with pytest.raises(ValueError, match='write under \\[data\\] close = "16:00 America/New_York"'):
        make(news={"path": "news.csv"})


def test_a_path_is_relative_to_the_spec_and_reads_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR", "feeds")
    (tmp_path / "finbert").mkdir()
    news = {"path": "${VENDOR}/news.csv", "scorer": "classifier", "model": "finbert"}
    loaded = load_spec(write_spec(tmp_path, data=CLOSE, news=news)).news
    assert loaded is not None
    assert loaded.path == tmp_path / "feeds" / "news.csv"
    assert loaded.model == str(tmp_path / "finbert")


@pytest.mark.parametrize(("kind", "make"), [(RunSpec, spec), (TrainSpec, train_spec)])
def test_a_spec_without_news_is_written_as_before_and_one_with_news_is_read_back(kind: Any, make: Any) -> None:
    assert "news" not in make().model_dump(mode="json")
    told = make(data=CLOSE, news={"path": "news.csv"})
    assert kind.model_validate_json(told.model_dump_json(by_alias=True)) == told
