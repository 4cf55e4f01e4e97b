"""What reads news: a reader that was trained with them, and the control; what is refused, each with what to write."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragsignal.config import RunSpec, TrainSpec, load_spec
from ragsignal.data import NEWS_FACTORS, RANK_FACTORS
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from ragsignal.llm.rank_recipe import RANKS_RECIPE, news_recipe, reads_news
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.training.days.examples import day_examples
from ragsignal.training.ranks.boosting import train_boosting
from ragsignal.training.run import TrainingRun
from tests.specs import HOLD, spec, train_spec, write_spec
from tests.tiny import tiny_boosting, tiny_news_boosting, tiny_rank_llm

pytest.importorskip("vaderSentiment")

SYMBOLS = [f"N{number:02d}" for number in range(24)]
CLOSE = "16:00 America/New_York"
MARKET = {"source": "planted-news", "strength": 0.9, "symbols": SYMBOLS, "close": CLOSE}
DATA = MARKET | {"seed": 2, "start": date(2012, 1, 2), "end": date(2012, 4, 30)}
RANKED: dict[str, Any] = {
    "data": DATA,
    "corpus": {"indicators": ["adj_close"], "target": "relative"},
    "retrieval": {"retriever": "none"},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path_factory.getbasetemp() / "news-cache"))


def run_spec(classifier: Path, **changes: Any) -> RunSpec:
    """A spec with news, whose one signal is that of a classifier."""
    variant = {"name": "boosted", "signal": "classifier", "classifier": str(classifier)}
    return spec(**{**RANKED, "news": {}, "variant": [variant, HOLD], **changes})


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A small boosting that was made for the news of these specs."""
    source = Study(run_spec(tmp_path)).materials.news
    assert source is not None
    return tiny_news_boosting(tmp_path / "boosting", source.recipe).folder


def opened(wanted: RunSpec) -> Any:
    return Study(wanted).pipeline(wanted.find_variant(None))


# ------------------------------------------------------------------------------------------------------ the control


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Boosting of the same market and days, with and without its news."""
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGSIGNAL_CACHE", str(tmp_path_factory.getbasetemp() / "news-cache"))
        for name, news in (("news", {}), ("prices", None)):
            folder = tmp_path_factory.mktemp(name)
            small = train_spec(
                out=str(folder),
                data=MARKET | {"seed": 1, "start": date(2008, 1, 2), "end": date(2008, 12, 31)},
                split={"valid_from": date(2008, 10, 1)},
                corpus=RANKED["corpus"],
                classifier={"kind": "boosting"},
                boosting={"members": 1, "trees": 30, "leaves": 8, "least_rows": 100},
                news=news,
            )
            folders[name] = train_boosting(TrainingRun(small)).folder
    return folders


def accuracy(study: Study) -> float:
    """Share of signals on the right side of the next relative return."""
    window = study.spec.data
    frames = study.prices.select(window.symbols).between(window.start, window.end).frames
    signals = study.pipeline(study.spec.variants[0]).signals(queries_of(frames, study.spec.corpus.lookback))
    returns = {name: np.log(frame["close"]).diff().shift(-1) for name, frame in frames.items()}
    median = np.median(np.column_stack([it.to_numpy() for it in returns.values()]), axis=1)
    days = {stamp.date(): row for row, stamp in enumerate(next(iter(frames.values())).index)}
    right = [
        (signal.probability > 0.5) == (gap > 0.0)
        for signal in signals
        if np.isfinite(gap := returns[signal.symbol].iloc[days[signal.as_of]] - median[days[signal.as_of]])
    ]
    assert len(right) > 1500
    return float(np.mean(right))


@pytest.mark.slow
def test_a_reader_of_news_knows_the_next_move_and_one_of_prices_does_not(trained: dict[str, Path]) -> None:
    known = accuracy(Study(run_spec(trained["news"])))
    assert known > 0.65
    assert abs(accuracy(Study(run_spec(trained["prices"], news=None))) - 0.5) < 0.04  # three standard errors
    twin = run_spec(trained["news"], news={"counts_for": "date"}, allow_in_sample=True)
    assert accuracy(Study(twin)) > known + 0.03  # what came after the close tells more, and nobody could know it


@pytest.mark.slow
def test_the_card_says_which_factors_are_of_news_and_what_scored_them(trained: dict[str, Path]) -> None:
    study = Study(run_spec(trained["news"]))
    card = study.artifacts(study.spec.variants[0])["classifier"].card
    assert card.template["news"]["factors"] == list(NEWS_FACTORS)
    assert "vader" in str(card.template["news"]["scorer"]).lower()
    assert study.materials.letters(alphas=False, news=True).factors == RANK_FACTORS + NEWS_FACTORS
    plain = Study(run_spec(trained["prices"], news=None))
    assert not reads_news(plain.artifacts(plain.spec.variants[0])["classifier"])


def test_readers_with_and_without_news_stand_in_one_spec(reader: Path, tmp_path: Path) -> None:
    plain = tiny_boosting(tmp_path / "plain").folder
    both = run_spec(reader, variant=[_of("with", reader), _of("without", plain), HOLD])
    study = Study(both)
    queries = queries_of(study.materials.traded.frames, 5)[-3:]
    alone = Study(run_spec(plain, news=None))
    of_both = study.pipeline(both.variants[1]).signals(queries)
    assert of_both == alone.pipeline(alone.spec.variants[0]).signals(queries)  # bit for bit, address and all
    assert study.pipeline(both.variants[0]).signals(queries)[0].key != of_both[0].key


def _of(name: str, classifier: Path) -> dict[str, Any]:
    return {"name": name, "signal": "classifier", "classifier": str(classifier)}


# ---------------------------------------------------------------------------------------------------- what is refused


def test_a_reader_of_news_without_news_is_refused(reader: Path) -> None:
    with pytest.raises(ConfigError, match=r"reads the day's news .*, and the spec has none; write a table \[news\]"):
        opened(run_spec(reader, news=None))


def test_news_that_are_scored_or_compared_otherwise_are_refused(reader: Path) -> None:
    said = r'was trained on news with \{"novelty_days": 7\}, and \[news\] has \{"novelty_days": 3\}'
    with pytest.raises(ConfigError, match=said):
        opened(run_spec(reader, news={"novelty_days": 3}))


def test_news_that_no_variant_reads_are_refused(tmp_path: Path) -> None:
    plain = tiny_boosting(tmp_path / "plain").folder
    with pytest.raises(ConfigError, match=r"has a table \[news\], and no variant reads it: name a reader"):
        opened(run_spec(plain))


def test_items_that_count_by_date_need_a_word_that_the_result_proves_nothing(reader: Path) -> None:
    by_date = run_spec(reader, news={"counts_for": "date"})
    with pytest.raises(LookAheadError, match=r'news that came after the close \(news.counts_for = "date"\)'):
        opened(by_date)
    allowed = Study(by_date.model_copy(update={"allow_in_sample": True}))
    assert allowed.in_sample(by_date.variants[0]) == ['news that came after the close (news.counts_for = "date")']
    plain = tiny_boosting(reader.parent / "plain").folder
    both = run_spec(reader, news={"counts_for": "date"}, variant=[_of("without", plain), _of("with", reader), HOLD])
    assert Study(both).in_sample(both.variants[0]) == []  # who reads no news has seen none


def test_retrieved_days_before_a_reader_of_news_are_refused(tmp_path: Path, reader: Path) -> None:
    source = Study(run_spec(reader)).materials.news
    assert source is not None
    trunk = tiny_rank_llm(tmp_path / "trunk", template=RANKS_RECIPE | news_recipe(source.recipe))
    llm = {"model": str(trunk.folder), "adapter": "shipped:stockllm-days"}
    days = {"candidates": "days", "retriever": "state", "own_days": True, "k": 5}
    wanted = run_spec(reader, retrieval=days, variant=[{"name": "days", "signal": "llm", "llm": llm}, HOLD])
    with pytest.raises(ConfigError, match='reads news, and days tell nothing of them; write retriever = "none"'):
        opened(wanted)


def test_an_adapter_for_days_is_not_trained_with_news(tmp_path: Path) -> None:
    wanted: TrainSpec = train_spec(out=str(tmp_path), data=MARKET, corpus=RANKED["corpus"], news={})
    with pytest.raises(ConfigError, match=r"no factor of news; delete \[news\] and train StockLLM without it"):
        day_examples(TrainingRun(wanted))


def test_headlines_without_news_or_without_names_are_refused(tmp_path: Path) -> None:
    llm = {"headlines": 2}
    for make in (spec, train_spec):
        with pytest.raises(ValueError, match=r"llm\.headlines = 2 quotes headlines, and the spec reads no news"):
            make(llm=llm)
    few = spec(data=DATA | {"symbols": SYMBOLS[:7]}, llm=llm, news={"names": {"N01": ["Norwick"]}})
    said = r"does not say what they call N00, N02, N03, N04, N05 and 1 more: write N00 = \[\"Company Name\"\] there"
    with pytest.raises(ConfigError, match=said):
        Study(few).materials.template(few.llm)
    clear = few.llm.model_copy(update={"mask": False})
    assert Study(few).materials.template(clear).recipe["headlines"] == "headlines/1, 2 at most"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"news": {"counts_for": "day"}}, r"news\.counts_for: Input should be 'close' or 'date'"),
    ({"news": {"names": {"N00": "Norwick"}}}, r"news\.names\.N00: .*list"),
    ({"llm": {"headlines": 21}}, r"llm\.headlines: Input should be less than or equal to 20"),
    ({"llm": {"headlines": -1}}, r"llm\.headlines: Input should be greater than or equal to 0"),
    ({"llm": {"headline": 1}}, r"llm\.headline: unknown key. Did you mean 'headlines'"),
    (
        {"data": {"source": "noise"}},
        r'\[news\] needs a path, such as path = "news.csv": source = "noise" brings no news',
    ),
    ({"data": {"close": None}}, r'write under \[data\] close = "16:00 America/New_York"'),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_a_wrong_key_is_answered_with_its_place_and_a_repair(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    tables: dict[str, Any] = {"data": DATA, "news": {"novelty_days": 7}}
    path = write_spec(tmp_path, **{name: tables.get(name, {}) | changes.get(name, {}) for name in {*tables, *changes}})
    with pytest.raises(ConfigError, match=said):
        load_spec(path)


def test_a_sequence_of_news_in_a_spec_without_news_says_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"corpus.indicators names news_count, and the spec reads no news"):
        opened(spec(corpus={"indicators": ["news_count"]}))


@pytest.mark.parametrize("trained_with", [0, 3])
def test_an_adapter_that_was_trained_with_another_number_of_headlines_is_refused(
    trained_with: int, tmp_path: Path
) -> None:
    names = {name: [] for name in SYMBOLS[:3]}
    wanted = spec(data=DATA | {"symbols": SYMBOLS[:3]}, llm={"headlines": 2}, news={"names": names})
    materials = Study(wanted).materials
    recipe = materials.template(wanted.llm.model_copy(update={"headlines": trained_with})).recipe
    adapter = tiny_boosting(tmp_path / "adapter", template=recipe)
    with pytest.raises(ModelError, match="headlines/1, 2 at most"):
        adapter.check_template(materials.template(wanted.llm).recipe)


def test_a_spec_without_news_is_written_as_before() -> None:
    plain = spec()
    written = plain.model_dump(mode="json", by_alias=True)
    assert "news" not in written
    assert "headlines" not in written["llm"]
    with_news = run_spec(Path("nowhere")).model_dump(mode="json", by_alias=True)["news"]
    assert "names" not in with_news
    assert "counts_for" not in with_news
