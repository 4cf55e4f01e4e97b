"""Specs: what loads, and how a mistake is told with its place and a way out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragsignal.config import CorpusSpec, DataSpec, LLMSpec, RetrievalSpec, RunSpec, load_spec, load_train_spec
from ragsignal.errors import ConfigError
from tests.specs import HOLD, Tables, changed, write, write_spec, write_train_spec

PAPER = Path(__file__).parents[2] / "backtests" / "paper.toml"
RAG: Tables = {"name": "rag", "retrieval": {"retriever": "shape"}}
STUDY: Tables = {
    "name": "study",
    "benchmark": "hold",
    "data": {
        "source": "folder",
        "path": "prices",
        "symbols": ["AAPL", "IBM"],
        "start": date(2012, 1, 3),
        "end": date(2013, 3, 1),
    },
    "corpus": {"stride": 5},
    "retrieval": {"k": 7, "embargo": 2},
    "llm": {"template": "percent"},
    "strategy": {"class": "ragsignal.strategies:LongShort"},
    "costs": {"cash": 1000},
    "variant": [RAG, HOLD],
}

Load = Callable[..., RunSpec]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the study from a file, with changes."""
    return lambda **changes: load_spec(write(tmp_path / "study.toml", changed(STUDY, **changes)))


def rag(**changes: Any) -> list[Tables]:
    """The variants, with changes of the first."""
    return [changed(RAG, **changes), HOLD]


def mistakes(load: Load, **changes: Any) -> list[str]:
    """The lines of the error that these changes cause, less the headline, whose count must be right."""
    with pytest.raises(ConfigError) as caught:
        load(**changes)
    headline, *lines = str(caught.value).split("\n")
    assert headline.endswith(f"study.toml: {len(lines)} mistake(s)")
    return [line.strip() for line in lines]


def test_the_papers_spec_loads_and_each_variant_has_its_own_retriever() -> None:
    spec = load_spec(PAPER)
    assert spec.data.symbols == ("AAPL", "IBM", "JPM", "AMZN")
    assert spec.find_variant(spec.benchmark).signal == "none"
    retrievers = [variant.retrieval.retriever for variant in spec.variants if variant.signal == "llm"]
    assert len(set(retrievers)) >= 4
    assert {"finseer", "random", "none"} <= set(retrievers)


def test_a_spec_survives_its_record(load: Load) -> None:
    spec = load()
    assert RunSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


def test_a_variant_overlays_only_the_keys_that_it_names(load: Load) -> None:
    spec = load()
    first, hold = spec.variants
    assert first.retrieval == RetrievalSpec(retriever="shape", k=7, embargo=2)
    assert hold.retrieval == RetrievalSpec(k=7, embargo=2)
    assert first.llm == LLMSpec(template="percent")
    assert first.strategy.name == "ragsignal.strategies:LongShort"
    assert hold.strategy.name == "ragsignal.strategies:BuyAndHold"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"corpus": {"strid": 5}}, "corpus.strid: unknown key. Did you mean 'stride'?"),
        ({"costs": None, "cost": {"cash": 1000}}, "cost: unknown key. Did you mean 'costs'?"),
        ({"costs": {"kash": 1000}}, "costs.kash: unknown key. Did you mean 'cash'?"),
        ({"retrieval": {"retreiver": "dtw"}}, "retrieval.retreiver: unknown key. Did you mean 'retriever'?"),
        (
            {"variant": rag(retrieval={"retriever": None, "retreiver": "shape"})},
            "variant.rag.retrieval.retreiver: unknown key. Did you mean 'retriever'?",
        ),
        ({"variant": rag(lm={})}, "variant.rag.lm: unknown key. Did you mean 'llm'?"),
        (
            {"variant": rag(llm={"templat": "compact"})},
            "variant.rag.llm.templat: unknown key. Did you mean 'template'?",
        ),
        (
            {"variant": [RAG, changed(HOLD, strategy={"parms": {}})]},
            "variant.hold.strategy.parms: unknown key. Did you mean 'params'?",
        ),
    ],
)
def test_a_typo_is_answered_at_its_place_with_the_nearest_key(load: Load, changes: Tables, line: str) -> None:
    assert mistakes(load, **changes) == [line]


def test_a_key_like_no_other_is_answered_with_all_of_its_own_table(load: Load) -> None:
    (line,) = mistakes(load, variant=rag(retrieval={"zzz": 1}))
    assert line == f"variant.rag.retrieval.zzz: unknown key. Known: {', '.join(RetrievalSpec.model_fields)}."


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"retrieval": {"k": 0}}, "retrieval.k: Input should be greater than or equal to 1"),
        ({"variant": rag(retrieval={"k": 0})}, r"variant.rag.retrieval.k: Input should be greater than .* 1"),
        (
            {"variant": rag(retrieval={"retriever": "shap"})},
            "variant.rag.retrieval.retriever: Input should be 'finseer', 'state', 'recent', 'regimes', .*",
        ),
        ({"variant": rag(llm=3)}, "variant.rag.llm: Input should be a valid dictionary"),
        ({"variant": rag(name=None, nom="rag")}, r"variant.1.name: missing, and it has no default"),
        ({"data": {"start": date(2013, 3, 1)}}, "data: start 2013-03-01 must lie before end 2013-03-01"),
        ({"data": {"path": None}}, 'data: source = "folder" needs a path'),
        ({"data": {"symbols": ["AAPL", "AAPL"]}}, "data.symbols: holds a name twice"),
        ({"corpus": {"indicators": ["open", "open"]}}, "corpus.indicators: holds a name twice"),
        ({"benchmark": "held"}, r"spec: benchmark 'held' is not one of the variants: \['rag', .*"),
        ({"variant": [RAG, HOLD | {"name": "rag"}]}, r"spec: two variants share a name: \['rag', 'rag'\]"),
        ({"data": {"symbols": "AAPL"}}, "data.symbols: one value, where a list was expected.*"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(load: Load, changes: Tables, line: str) -> None:
    found = mistakes(load, **changes)
    assert any(re.fullmatch(line, each) for each in found), found


@pytest.mark.parametrize("value", ["5", True, 5.0])
def test_text_truth_values_and_fractions_are_not_taken_for_whole_numbers(load: Load, value: Any) -> None:
    assert mistakes(load, retrieval={"k": value}) == ["retrieval.k: Input should be a valid integer"]
    (line,) = mistakes(load, variant=rag(retrieval={"seed": value}))
    assert line == "variant.rag.retrieval.seed: Input should be a valid integer"
    assert mistakes(load, corpus={"horizon": value}) == ["corpus.horizon: a whole number was expected"]


def test_a_horizon_of_one_bar_is_not_written_down(load: Load) -> None:
    default, longer = load(), load(corpus={"horizon": 5}, evaluation={"horizon": 20})
    for table in ("corpus", "evaluation"):
        assert "horizon" not in getattr(default, table).model_dump()
    assert RunSpec.model_validate_json(longer.model_dump_json(by_alias=True)) == longer
    assert mistakes(load, corpus={"horizon": 2}) == ["corpus.horizon: Input should be 1, 5, 10 or 20"]


@pytest.mark.parametrize("cash", [math.inf, math.nan])
def test_cash_is_finite(load: Load, cash: float) -> None:
    assert mistakes(load, costs={"cash": cash}) == ["costs.cash: Input should be a finite number"]


def test_all_mistakes_are_listed_at_once(load: Load) -> None:
    changes: Tables = {
        "corpus": {"strid": 5},
        "retrieval": {"k": 0},
        "variant": rag(retrieval={"retreiver": "shape"}),
        "strategy": {"class": None, "klass": "ragsignal.strategies:LongShort"},
    }
    assert [line.split(":")[0] for line in mistakes(load, **changes)] == [
        "corpus.strid",
        "retrieval.k",
        "strategy.class",
        "strategy.klass",
        "variant.rag.retrieval.retreiver",
    ]


def test_an_empty_spec_names_all_that_it_must_have(load: Load) -> None:
    lines = mistakes(load, **dict.fromkeys(STUDY))
    assert [line.split(":")[0] for line in lines] == ["name", "data", "strategy", "variant", "benchmark"]


def test_one_variant_table_instead_of_a_list_is_explained(load: Load) -> None:
    (line,) = mistakes(load, variant={"name": "rag"})
    assert "[[variant]]" in line


def test_a_missing_spec_says_what_a_spec_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no spec at .*nowhere\.toml: .*shipped:sample"):
        load_spec(tmp_path / "nowhere.toml")


def test_a_spec_that_is_no_utf_8_is_to_be_saved_as_such(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes('name = "caf\xe9"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"byte 11 is no UTF-8; save it as UTF-8"):
        load_spec(tmp_path / "study.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"study\.toml is not a TOML file: "):
        load_spec(tmp_path / "study.toml")
    with pytest.raises(ConfigError, match="is not a TOML file: "):
        load_spec(tmp_path)


def test_relative_paths_start_at_the_specs_folder(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/reader")
    own = {"adapter": "/b", "model": "~/other"}
    spec = load(
        llm={"adapter": "tuned/a", "model": "./models/base"},
        variant=rag(retrieval={"retriever": "embedding", "encoder": "../encoder"}, llm=own),
    )
    first = spec.variants[0]
    assert spec.data.path == tmp_path / "prices"
    assert spec.llm.adapter == str(tmp_path / "tuned/a")
    assert spec.llm.model == str(tmp_path / "models/base")
    assert first.llm.adapter == "/b"
    assert first.llm.model == "/home/reader/other"
    assert first.retrieval.encoder == str(tmp_path / "../encoder")
    assert spec.retrieval.encoder_ref == "embedded:all-MiniLM-L6-v2"


def test_an_artifact_is_named_by_folder_or_as_shipped(load: Load, tmp_path: Path) -> None:
    named = {"signal": "classifier", "classifier": "./baseline", "llm": {"adapter": "shipped:stockllm-text"}}
    spec = load(variant=rag(**named, retrieval={"retriever": "finseer"}))
    first = spec.variants[0]
    assert first.classifier == str(tmp_path / "baseline")
    assert first.llm.adapter == "shipped:stockllm-text"
    assert first.retrieval.encoder_ref == "shipped:finseer-text"
    assert spec.variants[1].classifier == "shipped:classifier"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"stockllm": {"kk": [0]}}, r"stockllm.kk: unknown key\. Did you mean 'k'\?"),
        ({"split": None, "splt": {}}, r"splt: unknown key\. Did you mean 'split'\?"),
        (
            {"split": {"valid_from": date(2009, 1, 5)}},
            "spec: split.valid_from 2009-01-05 must lie between data.start 2014-01-02 .*",
        ),
        ({"stockllm": {"upper": 0.5}}, "stockllm: upper < 1 needs modules: .*"),
        ({"llm": {"adapter": "a"}}, "spec: llm.adapter belongs to a run: .* delete it"),
    ],
)
def test_a_wrong_training_spec_is_told_with_its_place(tmp_path: Path, changes: Tables, line: str) -> None:
    assert load_train_spec(write_train_spec(tmp_path, stockllm={"k": [0, 3]})).out == tmp_path / "artifacts"
    path = write_train_spec(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        load_train_spec(path)
    found = [each.strip() for each in str(caught.value).split("\n")]
    assert any(re.fullmatch(line, each) for each in found), found


def test_a_hub_id_is_not_taken_for_a_path(load: Load) -> None:
    spec = load(llm={"model": "owner/name"}, variant=rag(retrieval={"retriever": "embedding", "encoder": "owner/name"}))
    assert spec.llm.model == spec.variants[0].retrieval.encoder == "owner/name"


def test_a_path_may_name_an_environment_variable(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICES", "/srv")
    assert load(data={"path": "${PRICES}/daily"}).data.path == Path("/srv/daily")
    monkeypatch.delenv("PRICES")
    with pytest.raises(ConfigError, match=r"data\.path uses \$\{PRICES\}, which is not set; type: export PRICES="):
        load(data={"path": "${PRICES}/daily"})
    with pytest.raises(ConfigError, match=r"llm\.adapter uses \$\{TUNED\}"):
        load(llm={"adapter": "${TUNED}/a"})


def test_find_variant_takes_a_name_or_the_first_with_a_signal(load: Load) -> None:
    spec = load()
    assert spec.find_variant("hold").name == "hold"
    assert spec.find_variant(None).name == "rag"
    with pytest.raises(ConfigError, match=r"no variant 'hodl'\. Did you mean 'hold'\?"):
        spec.find_variant("hodl")
    silent = load(variant=rag(signal="none"))
    with pytest.raises(ConfigError, match=r"no variant has a signal; its variants are \['rag', 'hold'\]"):
        silent.find_variant(None)


def test_a_spec_cannot_be_changed(load: Load) -> None:
    spec = load()
    with pytest.raises(ValidationError, match="frozen"):
        spec.retrieval.k = 3  # type: ignore[misc]
    assert hash(spec.retrieval) == hash(spec.retrieval.model_copy())


def test_specs_are_made_in_python_as_well() -> None:
    spec = DataSpec(source="sample", symbols=("IBM",), start=date(2020, 1, 1), end=date(2020, 2, 1))
    assert spec.path is None
    with pytest.raises(ValidationError, match="holds a name twice"):
        CorpusSpec(symbols=("IBM", "IBM"))


def test_a_byte_order_mark_before_a_spec_is_no_mistake(tmp_path: Path) -> None:
    path = write_spec(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_spec(path).name == "small"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"start": "2015"}}, "data.start: a day was expected, such as 2015-01-02, and not '2015'"),
        ({"name": 151 * "x"}, "of which the first is a letter or a digit, 150 at most"),
        ({"name": "my run"}, "'my run': it names a folder or a file: letters, digits"),
        ({"strategy": {"class": "LongFlat"}}, "'LongFlat': module:Class was expected, such as ragsignal.strategies:"),
        ({"variant": [{"name": "a/b", "signal": "vote"}]}, "'a/b': it names a folder or a file"),
    ],
)
def test_what_does_not_match_is_told_in_words_and_not_as_a_pattern(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as told:
        load_spec(write_spec(tmp_path, **changes))
    assert "pattern" not in str(told.value)
    assert "^" not in str(told.value)


# ------------------------------------------------------------------------------------------------- shipped specs


def test_the_shipped_sample_is_the_spec_of_the_bundled_prices() -> None:
    """One text in two places: the wheel has no backtests/."""
    shipped = Path(__file__).parents[2] / "ragsignal" / "config" / "shipped" / "sample.toml"
    assert shipped.read_bytes() == (Path(__file__).parents[2] / "backtests" / "sample.toml").read_bytes()
    assert load_spec("shipped:sample") == load_spec(shipped)


def test_a_shipped_spec_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no spec 'shipped:smple' is shipped\. Did you mean 'shipped:sample'\?"):
        load_spec("shipped:smple")


# --------------------------------------------------------------------------------- what costs hours is asked for


def test_the_required_keys_alone_read_no_model_and_embed_no_text() -> None:
    tables = {
        "name": "least",
        "benchmark": "a",
        "data": {"source": "noise", "symbols": ["AA"], "start": "2015-01-05", "end": "2015-12-31"},
        "strategy": {"class": "ragsignal.strategies:LongFlat"},
        "variant": [{"name": "a"}],
    }
    (variant,) = RunSpec.model_validate(tables).variants
    assert variant.is_vote
    assert not variant.embeds_text
    assert not variant.reads_finseer
    for asked in ({"llm": {"dtype": "float32"}}, {"variant": [{"name": "a"}, {"name": "b", "llm": {"mask": False}}]}):
        assert all(it.is_llm for it in RunSpec.model_validate(tables | asked).variants)
