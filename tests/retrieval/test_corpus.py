"""The corpus: sorted by when things became known, so that a day sees a prefix, and the prefix never changes."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
import tracemalloc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ragsignal.config import CorpusSpec, Horizon, KeptAlpha, Target
from ragsignal.data import calendar_of, factors, shipped_bins, windows
from ragsignal.data.labels import movement_of
from ragsignal.errors import ConfigError, DataError, StoreError
from ragsignal.retrieval import corpus as corpus_module
from ragsignal.retrieval.corpus import Corpus, build_corpus, load_or_build
from ragsignal.retrieval.sequences import Beside
from tests.made_news import drawn_items, made, news_of
from tests.markets import Frames, bars, days_of, markets, poisoned, until

few = settings(max_examples=20, deadline=None)
targets = st.sampled_from(["movement", "open_to_open"])
horizons = st.sampled_from([1, 5, 10, 20])
SHORT = CorpusSpec(indicators=("close", "volume", "Returns"), lookback=3)


@pytest.fixture(scope="module")
def two() -> Frames:
    return {"IBM": bars(40), "AAPL": bars(40, seed=1)}


@pytest.fixture(scope="module")
def corpus(two: Frames) -> Corpus:
    return build_corpus(two, SHORT)


def records(corpus: Corpus, end: int | None = None) -> list[Any]:
    """The candidates of a prefix as records, which compare by value."""
    return [corpus.candidate(row) for row in range(len(corpus) if end is None else end)]


def has_candidates(frames: Frames, spec: CorpusSpec) -> bool:
    """Whether a symbol has bars for a window and what came after it."""
    return max(map(len, frames.values())) > spec.lookback + spec.horizon + 1


def spec_of(target: Target, horizon: Horizon = 1, stride: int = 1) -> CorpusSpec:
    return CorpusSpec(target=target, horizon=horizon, stride=stride)


def built_or_none(frames: Mapping[str, pd.DataFrame], spec: CorpusSpec) -> Corpus | None:
    try:
        return build_corpus(frames, spec)
    except DataError:
        return None


# --- order and the as-of law


@few
@given(markets(), targets)
def test_rows_are_sorted_by_the_day_they_became_known_and_then_by_id(frames: Frames, target: Target) -> None:
    corpus = build_corpus(frames, spec_of(target))
    keys = [(candidate.available_at, candidate.id) for candidate in records(corpus)]
    assert keys == sorted(set(keys))


@few
@given(markets(), st.builds(spec_of, targets, horizons), st.integers(-3, 90), st.integers(0, 4))
def test_as_of_sees_all_that_was_known_and_nothing_later(
    frames: Frames, spec: CorpusSpec, offset: int, embargo: int
) -> None:
    assume(has_candidates(frames, spec))
    corpus = build_corpus(frames, spec)
    as_of = date(2020, 1, 1) + timedelta(days=offset)
    end = corpus.visible(as_of, embargo)
    past = [day for day in days_of(frames) if day <= as_of]
    if len(past) <= embargo:
        assert end == 0
        return
    known = corpus.available_at.astype(object)
    limit = past[-1 - embargo]
    assert (known[:end] <= min(limit, as_of)).all()
    assert (known[end:] > limit).all()


def test_an_embargo_counts_trading_days_and_not_calendar_days(corpus: Corpus) -> None:
    monday = date(2020, 1, 20)
    known = corpus.available_at.astype(object)
    for as_of in (monday, monday + timedelta(days=1)):  # on the Monday, one day of embargo reaches back over a weekend
        end = corpus.visible(as_of, embargo=1)
        assert known[end - 1] == (date(2020, 1, 17) if as_of == monday else monday)
    saturday = date(2020, 1, 18)
    assert corpus.visible(saturday) == corpus.visible(date(2020, 1, 17))
    assert corpus.visible(date(1999, 1, 1)) == 0
    assert corpus.visible(date(2999, 1, 1)) == len(corpus)


@few
@given(markets(), st.builds(spec_of, targets, horizons, st.sampled_from([1, 3])), st.data())
def test_poisoning_or_dropping_the_future_changes_nothing_that_was_visible(
    frames: Frames, spec: CorpusSpec, data: st.DataObject
) -> None:
    assume(has_candidates(frames, spec))
    as_of = data.draw(st.sampled_from(days_of(frames)))
    full = build_corpus(frames, spec)
    end, digest = full.visible(as_of), full.digest_as_of(as_of)
    others = [built_or_none(until(frames, as_of), spec), build_corpus(poisoned(frames, as_of), spec)]
    for other in others:
        if other is None:
            assert end == 0
            continue
        assert other.visible(as_of) == end
        assert other.digest_as_of(as_of) == digest
        assert records(other, end) == records(full, end)
    assert others[0] is None or others[0].digest == digest


@few
@given(st.integers(0, 2**32), st.integers(5, 40), horizons)
def test_the_relative_target_is_blind_to_the_future_too(seed: int, position: int, horizon: Horizon) -> None:
    frames = {symbol: bars(45, seed + number) for number, symbol in enumerate("ABC")}
    as_of = frames["A"].index[position].date()
    full, other = (build_corpus(it, spec_of("relative", horizon)) for it in (frames, poisoned(frames, as_of)))
    end = full.visible(as_of)
    assert other.digest_as_of(as_of) == full.digest_as_of(as_of)
    assert records(other, end) == records(full, end)


# --- the digest


@few
@given(markets(), st.data())
def test_the_digest_notices_a_change_of_any_past_bar(frames: Frames, data: st.DataObject) -> None:
    symbol = data.draw(st.sampled_from(sorted(frames)))
    full = build_corpus(frames, CorpusSpec())
    mine = np.flatnonzero(full.symbol_id == full.symbols.index(symbol))
    # from the third day on: the first windows of a symbol hold few sequences, and not all of them move with its prices
    as_of = data.draw(st.sampled_from(sorted(set(full.available_at[mine].tolist()))[2:]))
    past = frames[symbol].loc[: pd.Timestamp(as_of)]
    row = data.draw(st.integers(0, len(past) - 1))
    changed = frames[symbol].copy()
    changed.iloc[row, 0:4] *= 1.001
    other = build_corpus({**frames, symbol: changed}, CorpusSpec())
    assert other.digest_as_of(as_of) != full.digest_as_of(as_of)
    before = changed.index[row].date() - timedelta(days=1)
    assert other.digest_as_of(before) == full.digest_as_of(before)


def test_a_close_that_is_revised_today_is_noticed_today(two: Frames, corpus: Corpus) -> None:
    today = two["IBM"].index[-1]
    revised = two["IBM"].copy()
    revised.loc[today, "close"] *= 1.001  # so far it stands in an outcome only: no window that ends today is visible
    other = build_corpus({**two, "IBM": revised}, SHORT)
    assert other.digest_as_of(today.date()) != corpus.digest_as_of(today.date())


@pytest.mark.parametrize("column", ["dates", "values", "scaled", "outcome", "symbol_id", "sequence_id"])
def test_the_digest_reads_every_column(corpus: Corpus, column: str) -> None:
    changed = getattr(corpus, column).copy()
    changed[-1] = changed[0]
    other = dataclasses.replace(corpus, **{column: changed})
    assert other.digest != corpus.digest
    assert dataclasses.replace(corpus).digest == corpus.digest


def test_the_digest_differs_between_any_two_days_with_news(corpus: Corpus) -> None:
    days = sorted(set(corpus.available_at.tolist()))
    digests = [corpus.digest_as_of(day) for day in days]
    assert len(set(digests)) == len(days)
    assert corpus.digest_as_of(days[0] - timedelta(days=1)) == ""
    assert corpus.digest_as_of(days[3], embargo=1) == corpus.digest_as_of(days[2])
    assert corpus.digest == digests[-1] == corpus.digest_as_of(date(2999, 1, 1))


def test_the_order_of_symbols_does_not_matter(two: Frames, corpus: Corpus) -> None:
    other = build_corpus(dict(reversed(two.items())), SHORT)
    assert records(other) == records(corpus)
    assert other.digest == corpus.digest


def test_another_symbol_changes_the_digest_from_the_day_on_which_it_is_visible(two: Frames, corpus: Corpus) -> None:
    late = two["IBM"].iloc[20:]
    # a name that sorts first moves the numbers of all other symbols
    other = build_corpus({**two, "AA": late}, SHORT)
    first = min(c.available_at for c in records(other) if c.symbol == "AA")
    day_before = max(day for day in days_of(two) if day < first)
    assert other.digest_as_of(day_before) == corpus.digest_as_of(day_before)
    assert other.digest_as_of(first) != corpus.digest_as_of(first)
    renamed = build_corpus({"IBM": two["IBM"], "AAPX": two["AAPL"]}, SHORT)
    assert renamed.digest != corpus.digest


# --- what is in it


def test_candidates_by_hand() -> None:
    days = pd.bdate_range("2020-01-02", periods=5)  # Thursday to Wednesday
    close = np.array([100.0, 110.0, 99.0, 99.0, 198.0])
    frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 10.0}, index=days)
    corpus = build_corpus({"X": frame}, CorpusSpec(indicators=("close",), lookback=2))
    first, second = records(corpus)
    assert first.id == "X/close/2020-01-06"
    assert first.dates == (date(2020, 1, 3), date(2020, 1, 6))
    assert first.values == (110.0, 99.0)
    assert first.scaled == pytest.approx((np.log(1.1), np.log(0.9)))
    assert (first.outcome, first.movement.word, first.available_at) == (0.0, "freeze", date(2020, 1, 7))
    assert (second.outcome, second.movement.word, second.available_at) == (1.0, "rise", date(2020, 1, 8))


def test_every_sequence_of_every_symbol_is_in_unless_indicators_are_named(two: Frames, corpus: Corpus) -> None:
    everything = build_corpus({symbol: bars(320, seed) for seed, symbol in enumerate(two)}, CorpusSpec(stride=7))
    pairs = {(candidate.symbol, candidate.sequence) for candidate in records(everything)}
    assert pairs == {(symbol, name) for symbol in two for name in factors.SEQUENCES}
    assert {candidate.sequence for candidate in records(corpus)} == {"close", "volume", "Returns"}
    assert corpus.movement.tolist() == movement_of(corpus.outcome).tolist()


def test_start_bounds_the_first_bar_of_a_window_and_end_the_day_of_its_outcome(two: Frames, corpus: Corpus) -> None:
    start, end = date(2020, 1, 15), date(2020, 2, 5)
    bounded = build_corpus(two, SHORT.model_copy(update={"start": start, "end": end}))
    kept = [it for it in records(corpus) if it.dates[0] >= start and it.available_at <= end]
    assert records(bounded) == kept
    assert kept[0].dates[0] == start
    assert kept[-1].available_at == end


def test_an_unknown_indicator_is_named_with_those_that_exist(two: Frames) -> None:
    with pytest.raises(ConfigError, match=r"corpus\.indicators: unknown \['colse'\]; known are open, high, .*alpha101"):
        build_corpus(two, CorpusSpec(indicators=("close", "colse")))


@pytest.mark.parametrize("spec", [CorpusSpec(start=date(2030, 1, 1)), CorpusSpec(lookback=60)])
def test_an_empty_corpus_is_refused(two: Frames, spec: CorpusSpec) -> None:
    with pytest.raises(DataError, match=r"the corpus is empty: 2 symbols, 34 indicators, .*widen"):
        build_corpus(two, spec)


def test_a_symbol_that_has_no_bars_yet_adds_nothing(two: Frames, corpus: Corpus) -> None:
    other = build_corpus({**two, "FB": two["IBM"].iloc[:0]}, SHORT)
    assert other.digest == corpus.digest


# --- on disk


@few
@given(markets(), targets, st.integers(1, 40))
def test_what_is_written_as_it_is_cut_is_what_is_built_in_memory(
    frames: Frames, target: Target, block_ends: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_BLOCK_ENDS", block_ends)
        written = load_or_build(frames, "prices", spec_of(target), Path(folder))
        built = build_corpus(frames, spec_of(target))
        for field in fields(Corpus):
            ours, theirs = getattr(built, field.name), getattr(written, field.name)
            assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)
            assert np.array_equal(ours, theirs)
        for day in days_of(frames):
            assert written.digest_as_of(day) == built.digest_as_of(day)
            assert written.visible(day, embargo=2) == built.visible(day, embargo=2)


def test_a_loaded_corpus_is_not_hashed_again(two: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_or_build(two, "prices", SHORT, tmp_path)
    monkeypatch.setattr(corpus_module, "RunningDigest", lambda *_: pytest.fail("hashed again"))
    again = load_or_build(two, "prices", SHORT, tmp_path)
    assert again.digest == first.digest != ""
    assert again.digest_as_of(date(2020, 2, 3)) == first.digest_as_of(date(2020, 2, 3))


def test_a_corpus_of_other_columns_than_were_loaded_has_a_digest_of_its_own(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "c")
    loaded = Corpus.load(tmp_path / "c")
    other = dataclasses.replace(loaded, outcome=loaded.outcome + 1)
    assert other.digest != loaded.digest
    assert dataclasses.replace(loaded).digest == loaded.digest


def test_a_corpus_without_kept_digests_computes_them(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "c")
    (tmp_path / "c" / "digests.npy").unlink()
    loaded = Corpus.load(tmp_path / "c")
    assert loaded.digest == corpus.digest
    assert loaded.visible(date(2020, 2, 3)) == corpus.visible(date(2020, 2, 3))


@pytest.mark.parametrize("damage", ["cut", "garbled", "of another corpus", "of another form"])
def test_damaged_digests_are_an_error_that_says_what_to_delete(corpus: Corpus, tmp_path: Path, damage: str) -> None:
    corpus.save(tmp_path / "c")
    path = tmp_path / "c" / "digests.npy"
    content, table = path.read_bytes(), np.load(path)
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "garbled":
            path.write_bytes(b"?" * len(content))
        case "of another corpus":
            np.save(path, table[:-1])
        case _:
            np.save(path, table["end"])
    with pytest.raises(StoreError, match=r"cannot read .*digests\.npy: .*; delete the folder and run again"):
        Corpus.load(tmp_path / "c")


def test_a_build_holds_a_block_and_not_the_candidates(tmp_path: Path) -> None:
    frames = {f"S{number}": bars(400, number) for number in range(8)}
    spec = CorpusSpec(lookback=20)
    tracemalloc.start()  # numpy reports to it
    corpus = load_or_build(frames, "prices", spec, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(file.stat().st_size for file in next((tmp_path / "corpora").iterdir()).iterdir())
    assert len(corpus) > 80_000
    assert peak < size / 2


def test_saving_and_loading_keeps_every_column_and_maps_it_into_memory(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "deep" / "down")
    loaded = Corpus.load(tmp_path / "deep" / "down")
    for field in fields(Corpus):
        ours, theirs = getattr(corpus, field.name), getattr(loaded, field.name)
        assert isinstance(theirs, tuple if isinstance(ours, tuple) else np.memmap)
        np.testing.assert_array_equal(ours, theirs)
        assert getattr(ours, "dtype", None) == getattr(theirs, "dtype", None)
    assert loaded.digest == corpus.digest
    assert records(loaded) == records(corpus)
    assert loaded.visible(date(2020, 2, 3)) == corpus.visible(date(2020, 2, 3))


def test_writers_of_the_same_corpus_at_once_leave_one_whole_folder(corpus: Corpus, tmp_path: Path) -> None:
    gate = threading.Barrier(4)

    def save_with_the_others(_: int) -> None:
        gate.wait(timeout=30)
        corpus.save(tmp_path / "c")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save_with_the_others, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert Corpus.load(tmp_path / "c").digest == corpus.digest


def test_who_comes_second_keeps_the_first_folder_and_removes_its_own(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "c")
    written = (tmp_path / "c" / "values.npy").stat().st_mtime_ns
    corpus.save(tmp_path / "c")
    assert (tmp_path / "c" / "values.npy").stat().st_mtime_ns == written
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_folder_that_cannot_be_made_is_an_error_and_not_somebody_elses_work(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file in the way")
    with pytest.raises(OSError, match="c"):
        corpus.save(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_corpus_is_built_once(two: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_or_build(two, "prices", SHORT, tmp_path)
    monkeypatch.setattr(corpus_module, "_draft", lambda *_: pytest.fail("built again"))
    assert load_or_build(two, "prices", SHORT, tmp_path).digest == first.digest
    # letters are no part of a corpus
    refitted = SHORT.model_copy(update={"bins_through": date(2020, 1, 1)})
    assert load_or_build(two, "prices", refitted, tmp_path).digest == first.digest


@pytest.mark.parametrize("field", sorted(set(CorpusSpec.model_fields) - {"bins_through"}))
def test_other_prices_or_another_spec_are_another_corpus(two: Frames, tmp_path: Path, field: str) -> None:
    changes: dict[str, Any] = {
        "symbols": ("IBM",),
        "indicators": ("open",),
        "lookback": 4,
        "stride": 2,
        "start": date(2020, 1, 6),
        "end": date(2020, 2, 6),
        "target": "open_to_open",
        "horizon": 5,
        "alphas": (KeptAlpha(name="fade", formula="-close", known_through=date(2019, 1, 2)),),
    }
    load_or_build(two, "prices", SHORT, tmp_path)
    load_or_build(two, "other prices", SHORT, tmp_path)
    load_or_build(two, "prices", SHORT.model_copy(update={field: changes[field]}), tmp_path)
    assert len(list((tmp_path / "corpora").iterdir())) == 3


@pytest.mark.parametrize("damage", ["missing", "cut", "garbled"])
def test_a_damaged_corpus_is_an_error_that_says_what_to_delete(corpus: Corpus, tmp_path: Path, damage: str) -> None:
    corpus.save(tmp_path / "c")
    column = tmp_path / "c" / "values.npy"
    content = column.read_bytes()
    column.unlink()
    if damage != "missing":
        column.write_bytes(content[: len(content) // 2] if damage == "cut" else b"?" * len(content))
    with pytest.raises(StoreError, match=r"cannot read the corpus in .*; delete the folder and run again"):
        Corpus.load(tmp_path / "c")


# -------------------------------------------------------------------------------------------------- news as sequences

NEWS_FRAMES = {"IBM": bars(40), "AAPL": bars(36, seed=1)}
OF_NEWS = CorpusSpec(indicators=("close", "news_sentiment", "news_count"), lookback=3)


def test_news_are_sequences_beside_the_others_which_stay_as_they_are() -> None:
    corpus, plain = build_corpus(NEWS_FRAMES, OF_NEWS, Beside(news_of(NEWS_FRAMES))), build_corpus(NEWS_FRAMES, SHORT)
    assert corpus.sequences == ("close", "news_count", "news_sentiment")
    news = news_of(NEWS_FRAMES)
    for candidate in records(corpus):
        if candidate.sequence == "news_count":
            column = news.symbols.index(candidate.symbol)
            rows = np.searchsorted(news.days, np.array(candidate.dates, "datetime64[D]"))
            assert candidate.values == candidate.scaled == tuple(news.count[rows, column].tolist())
    of_close = [it for it in records(corpus) if it.sequence == "close"]
    assert of_close == [it for it in records(plain) if it.sequence == "close"]
    ends = {(it.symbol, it.dates): it.available_at for it in of_close}
    same = [it for it in records(corpus) if it.sequence == "news_sentiment" and (it.symbol, it.dates) in ends]
    assert same
    assert all(it.available_at == ends[it.symbol, it.dates] for it in same)


@few
@given(st.integers(12, 30))
def test_no_later_item_moves_what_is_visible(bar: int) -> None:
    frames = NEWS_FRAMES
    day = days_of(frames)[bar]
    whole = build_corpus(frames, OF_NEWS, Beside(news_of(frames)))
    items = drawn_items(tuple(frames), calendar_of(frames.values()))
    close = items.close.instants(np.array([day], "datetime64[D]"))[0]
    cut = until(frames, day)
    assert build_corpus(cut, OF_NEWS, Beside(made(items.take(items.available_at <= close), cut))).digest_as_of(day) == (
        whole.digest_as_of(day)
    )
    fewer = items.take(items.available_at <= close - np.timedelta64(5, "D"))
    assert build_corpus(cut, OF_NEWS, Beside(made(fewer, cut))).digest_as_of(day) != whole.digest_as_of(day)


def test_other_news_are_another_corpus_in_the_cache_and_none_is_the_old_one(tmp_path: Path) -> None:
    frames = NEWS_FRAMES
    first = load_or_build(frames, "prices", OF_NEWS, tmp_path, Beside(news_of(frames)))
    assert load_or_build(frames, "prices", OF_NEWS, tmp_path, Beside(news_of(frames, seed=1))).digest != first.digest
    plain = load_or_build(frames, "prices", SHORT, tmp_path)
    folders = len(list((tmp_path / "corpora").iterdir()))
    assert load_or_build(frames, "prices", SHORT, tmp_path, Beside(news_of(frames))).digest == plain.digest
    assert len(list((tmp_path / "corpora").iterdir())) == folders == 3


def test_a_sequence_of_news_without_news_says_what_to_write() -> None:
    with pytest.raises(
        ConfigError, match=r"news_sentiment, news_count, and the spec reads no news; write a table \[news\]"
    ):
        build_corpus(NEWS_FRAMES, OF_NEWS)
    with pytest.raises(ConfigError, match=r"unknown \['news_mood'\]; known are .* news_sentiment, news_count"):
        build_corpus(NEWS_FRAMES, CorpusSpec(indicators=("news_mood",)), Beside(news_of(NEWS_FRAMES)))


def test_letters_of_news_are_cut_at_fixed_edges() -> None:
    bins = shipped_bins()
    assert bins.line("news_sentiment", (-1.0, -0.01, 0.0, 0.01, 1.0)) == "news_sentiment: A H I I P"
    assert bins.line("news_count", (0.0, 1.0, 2.0, 14.0, 99.0)) == "news_count: A B C O P"
    assert bins.line("news_novelty", (0.0, 0.5, 1.0)) == "news_novelty: A I P"
