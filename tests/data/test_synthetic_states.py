"""The market with states: retrieving days by state knows what volume pays, and nothing that pools all days does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from ragsignal.config import RetrievalSpec
from ragsignal.data.labels import label_tables
from ragsignal.data.market_days import MarketDays, build_market_days
from ragsignal.data.prices import Prices
from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from ragsignal.data.ranks import daily_ranks
from ragsignal.data.synthetic import DAILY_SIGMA
from ragsignal.data.synthetic_states import SPELL, market_path, planted_days
from ragsignal.errors import ConfigError
from ragsignal.llm.day_vote import DayVote
from ragsignal.retrieval.days import DayRetriever
from ragsignal.retrieval.factory import make_day_retriever
from ragsignal.retrieval.state_metric import StateMetric
from tests.specs import spec

SYMBOLS = tuple(f"D{number:02d}" for number in range(40))
SPAN = ("2009-01-05", "2012-12-31")
TRADED = np.datetime64("2011-01-03")


@cache
def market(strength: float = 0.5) -> tuple[Prices, RankLetters, MarketDays]:
    prices = planted_days(SYMBOLS, *SPAN, strength=strength)
    letters = build_rank_letters(prices.frames)
    return prices, letters, build_market_days(letters, prices.frames, "relative")


def retriever(name: str, strength: float = 0.5) -> DayRetriever:
    days = market(strength)[2]
    table = RetrievalSpec(candidates="days", retriever=name, k=60, own_days=True)  # type: ignore[arg-type]
    return make_day_retriever(table, days, StateMetric.euclidean(days.states[days.days < TRADED]), "")


def ic(name: str, target: str = "relative", strength: float = 0.5) -> float:
    """Mean rank correlation of the vote with what came, over the traded years: its standard error is .007."""
    prices, letters, days = market(strength)
    outcomes, _ = label_tables(prices.frames, letters.days, letters.symbols, target)  # type: ignore[arg-type]
    vote, found = DayVote(letters), retriever(name, strength)
    daily = []
    for row in np.flatnonzero(letters.days >= TRADED)[:-2]:
        ranks = daily_ranks(np.stack([vote.of_universe(row, found.of_day(days.days[row].item())), outcomes[row]]))
        daily.append(np.corrcoef(ranks)[0, 1])
    return float(np.mean(daily))


@pytest.mark.parametrize("target", ["relative", "open_to_open"])
def test_days_of_the_same_state_foretell_what_an_order_can_earn(target: str) -> None:
    assert ic("state", target) >= 0.10


def test_random_and_recent_days_foretell_nothing() -> None:
    assert abs(ic("random")) < 0.02
    assert abs(ic("recent")) < 0.05


def test_without_a_push_days_of_the_same_state_foretell_nothing() -> None:
    assert abs(ic("state", strength=0.0)) < 0.03


def test_states_alternate_in_pairs_of_equal_spells() -> None:
    states = market_path(5_000, seed=3).states
    ends = np.flatnonzero(np.diff(states)) + 1
    lengths = np.diff(ends)
    assert set(np.unique(states)) == {-1.0, 1.0}
    assert (lengths.min(), lengths.max()) == SPELL
    first = int(states[ends[0]] < 0.0)  # of whole spells, the first that is in the first state
    pairs = lengths[first : first + (len(lengths) - first) // 2 * 2].reshape(-1, 2)
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])
    assert abs(states.mean()) < SPELL[1] / len(states)


def test_the_market_tells_its_state_by_trend_and_by_size() -> None:
    path = market_path(20_000, seed=1)
    moves = path.gaps + path.sessions
    rising, falling = moves[path.states > 0], moves[path.states < 0]
    assert rising.mean() > 0.005 > -0.005 > falling.mean()
    assert falling.std() / rising.std() == pytest.approx(1.69, rel=0.05)


def test_the_push_comes_between_the_open_and_the_close_of_the_next_bar() -> None:
    span = ("2000-01-03", "2019-12-31")
    frame = planted_days(["AA"], *span).frames["AA"]
    path = market_path(len(frame), 0)
    opens, closes = np.log(frame["open"].to_numpy()), np.log(frame["close"].to_numpy())
    surprise = np.log(frame["volume"]).to_numpy()
    signed = path.states[:-1] * (surprise - surprise.mean())[:-1] / surprise.std()
    session, gap = (closes - opens - path.sessions)[1:], (opens[1:] - closes[:-1]) - path.gaps[1:]
    error = DAILY_SIGMA / np.sqrt(len(signed))
    assert abs(np.mean(signed * session) - 0.5 * DAILY_SIGMA) < 4 * error
    assert abs(np.mean(signed * gap)) < 4 * error


def test_a_market_is_decided_by_its_seed_and_no_bar_by_other_symbols_or_a_later_end() -> None:
    alone = planted_days(["BB"], *SPAN, seed=5).frames["BB"]
    pd.testing.assert_frame_equal(planted_days(["AA", "BB"], *SPAN, seed=5).frames["BB"], alone, check_exact=True)
    longer = planted_days(["BB"], SPAN[0], "2014-06-30", seed=5).frames["BB"]
    pd.testing.assert_frame_equal(longer.loc[: SPAN[1]], alone, check_exact=True, check_freq=False)
    assert planted_days(["BB"], *SPAN, seed=6) != planted_days(["BB"], *SPAN, seed=5)


def test_bars_are_plausible_and_holding_them_earns_nothing() -> None:
    pooled = []
    for frame in market()[0].frames.values():
        assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
        assert (frame[["low", "volume"]] > 0).all(axis=None)
        pooled.append(np.log(frame["close"]).diff().iloc[1:])
    market_daily = pd.concat(pooled, axis=1).median(axis=1)
    own = pd.concat(pooled, axis=1).sub(market_daily, axis=0)
    assert own.to_numpy().std() == pytest.approx(DAILY_SIGMA, rel=0.05)
    assert abs(market_daily.mean()) < 3 * market_daily.std() / np.sqrt(len(market_daily))


def test_impossible_markets_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"strength 1\.0 is not in"):
        planted_days(SYMBOLS, *SPAN, strength=1.0)
    with pytest.raises(ConfigError, match="no business day"):
        planted_days(SYMBOLS, "2020-01-04", "2020-01-05")


def test_a_spec_names_it() -> None:
    assert spec(data={"source": "planted-days"}).data.source == "planted-days"
    with pytest.raises(ValueError, match="has no list of symbols"):
        spec(data={"source": "planted-days", "symbols": "all"})
