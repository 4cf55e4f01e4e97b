"""The market whose news tell the next move: its news do, its prices do not, and a lexicon reads them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ragsignal.config import DataSpec
from ragsignal.data.sources import load_prices, planted_news_table
from ragsignal.data.synthetic_news import (
    BAD,
    COLUMNS,
    GOOD,
    NEUTRAL,
    Said,
    company_name,
    planted_news,
    planted_news_items,
)
from ragsignal.errors import ConfigError
from tests.specs import spec

NAMES = [f"N{number:02d}" for number in range(40)]
START, END = "2014-01-02", "2015-06-30"
PRICES = planted_news(NAMES, START, END, seed=1, strength=0.9)
RETURNS = pd.DataFrame({name: np.log(frame["close"]).diff() for name, frame in PRICES.frames.items()})
RELATIVE = RETURNS.sub(RETURNS.median(axis=1), axis=0)
TONES = np.column_stack([Said.of(name, 1, len(RETURNS)).tone for name in NAMES])


def test_the_tone_of_an_item_is_the_sign_of_the_next_relative_return() -> None:
    following, tones = RELATIVE.to_numpy()[1:], TONES[:-1]
    said = tones != 0.0
    assert (np.sign(following[said]) == tones[said]).mean() > 0.93
    assert abs((following[~said] > 0.0).mean() - 0.5) < 0.02


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_no_earlier_return_tells_the_next_one(lag: int) -> None:
    known, following = RELATIVE.to_numpy()[1 : -1 - lag], RELATIVE.to_numpy()[2 + lag :]
    assert abs(np.corrcoef(known.ravel(), following.ravel())[0, 1]) < 0.03


def test_prices_do_not_change_on_the_day_of_an_item_and_volume_knows_nothing_of_it() -> None:
    volume = np.log(np.column_stack([frame["volume"] for frame in PRICES.frames.values()]))
    for table in (RELATIVE.to_numpy(), volume):
        there = np.isfinite(table)
        assert abs(np.corrcoef(table[there], TONES[there])[0, 1]) < 0.03


def test_a_lexicon_reads_every_sentence_as_it_is_meant_whoever_it_is_about() -> None:
    analyzer = pytest.importorskip("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    for name in ("N07", *map(company_name, NAMES)):
        for sentences, low, high in ((GOOD, 0.3, 1.0), (BAD, -1.0, -0.3), (NEUTRAL, 0.0, 0.0)):
            for sentence in sentences:
                assert low <= analyzer.polarity_scores(sentence.format(name))["compound"] <= high


def test_items_stand_around_the_close_and_one_moving_item_in_four_comes_after_it() -> None:
    items = planted_news_items(NAMES, START, END, seed=1)
    assert tuple(items.columns) == COLUMNS
    assert items["id"].is_unique
    local = pd.to_datetime(items["published_at"]).dt.tz_convert("America/New_York")
    minutes = local.dt.hour * 60 + local.dt.minute
    late = minutes >= 16 * 60
    assert minutes.between(570, 1320).all()
    assert not minutes.between(956, 964).any()
    assert abs(late[items["id"].str.endswith("-m")].mean() - 0.25) < 0.02
    assert not late[items["id"].str.endswith("-i")].any()
    assert (items["received_at"] > items["published_at"]).all()


def test_a_later_end_and_another_symbol_move_no_earlier_bar_and_no_earlier_item() -> None:
    longer = planted_news([*NAMES, "X"], START, "2015-12-31", seed=1, strength=0.9)
    for name in ("N00", "N39"):
        pd.testing.assert_frame_equal(longer.frames[name].loc[:END], PRICES.frames[name])
    few, more = planted_news_items(["A"], START, END), planted_news_items(["A", "B"], START, "2015-12-31")
    own = more[(more["symbol"] == "A") & (more["published_at"] < "2015-07-01")].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, few)


def test_a_spec_names_the_market_and_its_news_lie_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    data = spec(data={"source": "planted-news", "symbols": ["AA", "BB"]}).data
    path = planted_news_table(data, data.symbols)
    table = pd.read_csv(path)
    assert set(table["symbol"]) == {"AA", "BB"}
    assert planted_news_table(data, ("BB", "AA")) == path
    first, last = (stamp[:10] for stamp in (table["published_at"].min(), table["published_at"].max()))
    days = load_prices(data).frames["AA"].index
    assert (first, last) >= (str(days[0].date()), str(days[-1].date()))


def test_the_market_is_refused_where_it_cannot_be(tmp_path) -> None:
    data: DataSpec = spec(data={"source": "noise", "symbols": ["AA"]}).data
    with pytest.raises(
        ConfigError, match=r'\[news\] has no path: write path = "FILE.csv"; only source = "planted-news"'
    ):
        planted_news_table(data, data.symbols)
    with pytest.raises(ValueError, match='planted-news" has no list of symbols; name them'):
        spec(data={"source": "planted-news", "symbols": "all"})
    with pytest.raises(ConfigError, match="reads no path"):
        load_prices(spec(data={"source": "planted-news", "path": tmp_path}).data)
    with pytest.raises(ConfigError, match="has no business day"):
        planted_news_items(["A"], "2015-01-03", "2015-01-04")
    with pytest.raises(ConfigError, match="strength"):
        planted_news(["A"], START, END, strength=1.5)
