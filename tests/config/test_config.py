"""Specs: what loads, and how a mistake is told with its place and a way out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragsignal.config import CorpusSpec, DataSpec, LLMSpec, RetrievalSpec, RunSpec, load_spec, load_train_spec
from ragsignal.errors import ConfigError

SAMPLE = Path(__file__).parents[2] / "backtests" / "sample.toml"
SPEC = """
name = "study"
benchmark = "hold"

[data]
source = "folder"
path = "prices"
symbols = ["AAPL", "IBM"]
start = 2012-01-03
end = 2013-03-01

[corpus]
stride = 5

[retrieval]
k = 7
embargo = 2

[llm]
template = "percent"

[strategy]
class = "strategies.rag_momentum:LongShort"

[costs]
cash = 1000

[[variant]]
name = "rag"
retrieval = { retriever = "shape" }

[[variant]]
name = "hold"
signal = "none"
strategy = { class = "strategies.buy_and_hold:BuyAndHold" }
"""

Load = Callable[..., RunSpec]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load SPEC from a file, with each ``old=new`` pair replaced first."""

    def load_edited(*edits: tuple[str, str], text: str = SPEC) -> RunSpec:
        for old, new in edits:
            assert old in text, f"the test is out of date: no {old!r} in the spec"
            text = text.replace(old, new)
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        return load_spec(tmp_path / "study.toml")

    return load_edited


def mistakes(load: Load, *edits: tuple[str, str], text: str = SPEC) -> list[str]:
    """The lines of the error that these edits cause, less the headline, whose count must be right."""
    with pytest.raises(ConfigError) as caught:
        load(*edits, text=text)
    headline, *lines = str(caught.value).split("\n")
    assert headline.endswith(f"study.toml: {len(lines)} mistake(s)")
    return [line.strip() for line in lines]


def test_the_sample_spec_loads_and_each_variant_has_its_own_retriever() -> None:
    spec = load_spec(SAMPLE)
    assert spec.data.symbols == ("AAPL", "GOOG", "IBM", "MSFT")
    assert spec.find_variant(spec.benchmark).signal == "none"
    retrievers = [spec.retrieval_of(variant).retriever for variant in spec.variant if variant.signal == "llm"]
    assert len(set(retrievers)) >= 4
    assert {"finseer", "random", "none"} <= set(retrievers)


def test_a_spec_survives_its_record(load: Load) -> None:
    spec = load()
    assert RunSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec


def test_a_variant_overlays_only_the_keys_that_it_names(load: Load) -> None:
    spec = load()
    rag, hold = spec.variant
    assert spec.retrieval_of(rag) == RetrievalSpec(retriever="shape", k=7, embargo=2)
    assert spec.retrieval_of(hold) == RetrievalSpec(retriever="embedding", k=7, embargo=2)
    assert spec.llm_of(rag) == LLMSpec(template="percent")
    assert spec.strategy_of(rag).name == "strategies.rag_momentum:LongShort"
    assert spec.strategy_of(hold).name == "strategies.buy_and_hold:BuyAndHold"


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (("stride = 5", "strid = 5"), "corpus.strid: unknown key. Did you mean 'stride'?"),
        (("[costs]", "[cost]"), "cost: unknown key. Did you mean 'costs'?"),
        (("[costs]\ncash", "[costs]\nkash"), "costs.kash: unknown key. Did you mean 'cash'?"),
        (("embargo = 2", "retreiver = 'dtw'"), "retrieval.retreiver: unknown key. Did you mean 'retriever'?"),
        (("{ retriever =", "{ retreiver ="), "variant.rag.retrieval.retreiver: unknown key. Did you mean 'retriever'?"),
        (('name = "rag"', 'name = "rag"\nlm = {}'), "variant.rag.lm: unknown key. Did you mean 'llm'?"),
        (
            ('name = "rag"', 'name = "rag"\nllm = { templat = "compact" }'),
            "variant.rag.llm.templat: unknown key. Did you mean 'template'?",
        ),
        (
            ('BuyAndHold" }', 'BuyAndHold", parms = {} }'),
            "variant.hold.strategy.parms: unknown key. Did you mean 'params'?",
        ),
    ],
)
def test_a_typo_is_answered_at_its_place_with_the_nearest_key(load: Load, edit: tuple[str, str], line: str) -> None:
    assert mistakes(load, edit) == [line]


def test_a_key_like_no_other_is_answered_with_all_of_its_own_table(load: Load) -> None:
    (line,) = mistakes(load, ("{ retriever =", "{ zzz = 1, retriever ="))
    assert line == f"variant.rag.retrieval.zzz: unknown key. Known: {', '.join(RetrievalSpec.model_fields)}."


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (("k = 7", "k = 0"), "retrieval.k: Input should be greater than or equal to 1"),
        (("{ retriever =", "{ k = 0, retriever ="), r"variant.rag.retrieval.k: Input should be greater than .* 1"),
        (('"shape"', '"shap"'), "variant.rag.retrieval.retriever: Input should be 'finseer', 'embedding', 'shape', .*"),
        (('name = "rag"', 'name = "rag"\nllm = 3'), "variant.rag.llm: Input should be a valid dictionary"),
        (('name = "rag"', 'nom = "rag"'), r"variant.1.name: missing, and it has no default"),
        (("start = 2012-01-03", "start = 2013-03-01"), "data: start 2013-03-01 must lie before end 2013-03-01"),
        (('path = "prices"', ""), 'data: source = "folder" needs a path'),
        (('"IBM"', '"AAPL"'), "data.symbols: holds a name twice"),
        (("stride = 5", 'indicators = ["open", "open"]'), "corpus.indicators: holds a name twice"),
        (('"hold"\n\n[data]', '"held"\n\n[data]'), r"spec: benchmark 'held' is not one of the variants: \['rag', .*"),
        (('name = "hold"', 'name = "rag"'), r"spec: two variants share a name: \['rag', 'rag'\]"),
        (('symbols = ["AAPL", "IBM"]', 'symbols = "AAPL"'), "data.symbols: one value, where a list was expected.*"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(load: Load, edit: tuple[str, str], line: str) -> None:
    found = mistakes(load, edit)
    assert any(re.fullmatch(line, each) for each in found), found


@pytest.mark.parametrize("text", ['"5"', "true", "5.0"])
def test_text_truth_values_and_fractions_are_not_taken_for_whole_numbers(load: Load, text: str) -> None:
    assert mistakes(load, ("k = 7", f"k = {text}")) == ["retrieval.k: Input should be a valid integer"]
    (line,) = mistakes(load, ("{ retriever =", f"{{ seed = {text}, retriever ="))
    assert line == "variant.rag.retrieval.seed: Input should be a valid integer"


@pytest.mark.parametrize("text", ["inf", "nan"])
def test_cash_is_finite(load: Load, text: str) -> None:
    assert mistakes(load, ("cash = 1000", f"cash = {text}")) == ["costs.cash: Input should be a finite number"]


def test_all_mistakes_are_listed_at_once(load: Load) -> None:
    edits = (
        ("stride = 5", "strid = 5"),
        ("k = 7", "k = 0"),
        ("{ retriever =", "{ retreiver ="),
        ("[strategy]\nclass", "[strategy]\nklass"),
    )
    assert [line.split(":")[0] for line in mistakes(load, *edits)] == [
        "corpus.strid",
        "retrieval.k",
        "strategy.class",
        "strategy.klass",
        "variant.rag.retrieval.retreiver",
    ]


def test_an_empty_spec_names_all_that_it_must_have(load: Load) -> None:
    lines = mistakes(load, text="")
    assert [line.split(":")[0] for line in lines] == ["name", "data", "strategy", "variant", "benchmark"]


def test_one_variant_table_instead_of_a_list_is_explained(load: Load) -> None:
    (line,) = mistakes(load, text=SPEC.split("[[variant]]")[0] + '[variant]\nname = "rag"\n')
    assert "[[variant]]" in line


def test_a_missing_spec_says_what_a_spec_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no spec at .*nowhere\.toml: .*backtests/sample\.toml"):
        load_spec(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"study\.toml is not a TOML file: "):
        load_spec(tmp_path / "study.toml")
    with pytest.raises(ConfigError, match="is not a TOML file: "):
        load_spec(tmp_path)


def test_relative_paths_start_at_the_specs_folder(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/reader")
    adapters = (
        ('template = "percent"', 'template = "percent"\nadapter = "tuned/a"\nmodel = "./models/base"'),
        ('"shape" }', '"embedding", encoder = "../encoder" }\nllm = { adapter = "/b", model = "~/other" }'),
    )
    spec = load(*adapters)
    rag = spec.variant[0]
    assert spec.data.path == tmp_path / "prices"
    assert spec.llm.adapter == str(tmp_path / "tuned/a")
    assert spec.llm.model == str(tmp_path / "models/base")
    assert spec.llm_of(rag).adapter == "/b"
    assert spec.llm_of(rag).model == "/home/reader/other"
    assert spec.retrieval_of(rag).encoder == str(tmp_path / "../encoder")
    assert spec.retrieval.encoder_ref == "embedded:all-MiniLM-L6-v2"


def test_an_artifact_is_named_by_folder_or_as_shipped(load: Load, tmp_path: Path) -> None:
    variant = 'name = "rag"\nsignal = "classifier"\nclassifier = "./baseline"\nllm = { adapter = "shipped:stockllm" }'
    spec = load(('name = "rag"', variant), ('"shape"', '"finseer"'))
    rag = spec.variant[0]
    assert rag.classifier == str(tmp_path / "baseline")
    assert spec.llm_of(rag).adapter == "shipped:stockllm"
    assert spec.retrieval_of(rag).encoder_ref == "shipped:finseer-text"
    assert spec.variant[1].classifier == "shipped:classifier"


TRAIN = """
name = "models"
out = "artifacts"
[data]
source = "planted"
symbols = ["A", "B"]
start = 2010-01-04
end = 2012-12-31
[split]
valid_from = 2012-01-03
[stockllm]
k = [0, 3]
"""


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (("k = [0, 3]", "kk = [0]"), r"stockllm.kk: unknown key\. Did you mean 'k'\?"),
        (("[split]", "[splt]"), r"splt: unknown key\. Did you mean 'split'\?"),
        (("2012-01-03", "2009-01-05"), "spec: split.valid_from 2009-01-05 must lie between data.start 2010-01-04 .*"),
        (("k = [0, 3]", "upper = 0.5"), "stockllm: upper < 1 needs modules: .*"),
        (("[split]", '[llm]\nadapter = "a"\n[split]'), "spec: llm.adapter belongs to a run: .* delete it"),
    ],
)
def test_a_wrong_training_spec_is_told_with_its_place(tmp_path: Path, edit: tuple[str, str], line: str) -> None:
    path = tmp_path / "models.toml"
    path.write_text(TRAIN)
    assert load_train_spec(path).out == tmp_path / "artifacts"
    path.write_text(TRAIN.replace(*edit))
    with pytest.raises(ConfigError) as caught:
        load_train_spec(path)
    found = [each.strip() for each in str(caught.value).split("\n")]
    assert any(re.fullmatch(line, each) for each in found), found


def test_a_hub_id_is_not_taken_for_a_path(load: Load) -> None:
    spec = load(("{ retriever =", '{ encoder = "owner/name", retriever ='), ("[llm]", '[llm]\nmodel = "owner/name"'))
    assert spec.llm.model == spec.retrieval_of(spec.variant[0]).encoder == "owner/name"


def test_a_path_may_name_an_environment_variable(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRICES", "/srv")
    assert load(('"prices"', '"${PRICES}/daily"')).data.path == Path("/srv/daily")
    monkeypatch.delenv("PRICES")
    with pytest.raises(ConfigError, match=r"data\.path uses \$\{PRICES\}, which is not set; type: export PRICES="):
        load(('"prices"', '"${PRICES}/daily"'))
    with pytest.raises(ConfigError, match=r"llm\.adapter uses \$\{TUNED\}"):
        load(("[llm]", '[llm]\nadapter = "${TUNED}/a"'))


def test_find_variant_takes_a_name_or_the_first_with_a_signal(load: Load) -> None:
    spec = load()
    assert spec.find_variant("hold").name == "hold"
    assert spec.find_variant(None).name == "rag"
    with pytest.raises(ConfigError, match=r"no variant 'hodl'\. Did you mean 'hold'\?"):
        spec.find_variant("hodl")
    silent = load(('name = "rag"', 'name = "rag"\nsignal = "none"'))
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
