"""Ways to make one text reader forecast: trained, scored and compared by one command, and what is refused."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from ragsignal.artifacts.artifact import load_artifact
from ragsignal.artifacts.weights import resolve
from ragsignal.cli import main
from ragsignal.cli.app import app
from ragsignal.config import load_spec
from ragsignal.errors import ModelError
from ragsignal.evaluation import compare_methods, evaluate_spec
from ragsignal.evaluation.metrics import Resampling, Sample
from ragsignal.evaluation.slope import CALIBRATION_SLOPE
from ragsignal.llm.stockllm import StockLLM
from ragsignal.study import Study
from ragsignal.training.methods import method_examples, train_methods
from ragsignal.utils import plain
from tests.methods import RUN, SYMBOLS, write_market, write_methods_specs
from tests.specs import HOLD
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market, a base, specs, and what the command makes of them."""
    folder = tmp_path_factory.mktemp("methods")
    write_market(folder)
    path = write_methods_specs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGSIGNAL_CACHE", str(folder / "cache"))  # what is in the store already costs no tokens
        done = CliRunner().invoke(app, ["train", "methods", str(path), "--out", str(folder / "runs")])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def record(folder: Path) -> dict[str, Any]:
    text = (folder / "runs/ways-methods/latest/record.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


# --- one command


def test_one_command_trains_every_method_and_scores_every_way_on_the_same_queries(record: dict[str, Any]) -> None:
    names = [way["name"] for way in record["ways"]]
    assert names == [
        "zero-shot",
        "zero-shot, calibrated",
        "few-shot",
        "few-shot, calibrated",
        "by-lora",
        "by-adalora",
        "by-prefix",
        "base rate",
        "one-day reversal",
        "logistic",
        "boosting",
    ]
    assert {way["n"] for way in record["ways"]} == {record["questions"]["n"]}
    assert [(row["method"], row["learning_rate"]) for row in record["trained"]] == [
        ("lora", 0.001),
        ("lora", 0.01),
        ("adalora", 0.01),
        ("prefix", 0.01),
    ]
    assert {row["examples"] for row in record["trained"]} == {64}
    assert {row["steps"] for row in record["trained"]} == {4}
    assert all(it["cpu_seconds"] > 0 for it in record["times"]["trained"])
    asked = record["times"]["variants"]
    assert all(it["cpu_ms_a_prompt"] > 0 for it in asked.values())
    assert (
        asked["few-shot"]["tokens_a_prompt"]
        > asked["zero-shot"]["tokens_a_prompt"]
        == asked["by-lora"]["tokens_a_prompt"]
    )


def test_the_rate_with_the_least_validation_loss_is_kept_and_read(folder: Path, record: dict[str, Any]) -> None:
    lora = [row for row in record["trained"] if row["method"] == "lora"]
    best = min(lora, key=lambda row: row["log_loss"])
    assert [row["chosen"] for row in lora] == [row is best for row in lora]
    kept = load_artifact(folder / "artifacts/lora/stockllm", "stockllm")
    assert kept.digest == best["artifact"]
    assert kept.card.recipe["learning_rate"] == best["learning_rate"]


def test_a_repetition_trains_nothing_and_comes_to_the_same(folder: Path, record: dict[str, Any]) -> None:
    began: list[str] = []
    spec = load_spec(folder / "ways.toml")
    rows = train_methods(spec, lambda what, *_: began.append(what))
    assert not any("training StockLLM" in what for what in began)
    again = [{key: value for key, value in asdict(row).items() if key != "cpu_seconds"} for row in rows]
    assert plain(again) == record["trained"]


def test_figures_of_a_way_are_those_of_an_evaluation(folder: Path, record: dict[str, Any]) -> None:
    evaluation = evaluate_spec(load_spec(folder / "ways.toml"))
    ways = {way["name"]: way["figures"] for way in record["ways"]}
    for row in evaluation.forecasters:
        if row.forecast.kind == "variant":
            for measure in ("acc", "mcc", "auc", "brier", "log_loss", "ic"):
                theirs = row.figures["all"].estimates[measure]
                assert ways[row.forecast.name][measure][0] == pytest.approx(theirs.value, rel=1e-4, abs=1e-5)


def test_a_prompt_alone_is_calibrated_on_validation_days_and_keeps_its_order(
    folder: Path, record: dict[str, Any]
) -> None:
    said = pd.read_parquet(folder / "runs/ways-methods/latest/predictions.parquet")
    ranks = said[["zero-shot", "zero-shot, calibrated"]].rank(method="min")
    assert (ranks["zero-shot"] == ranks["zero-shot, calibrated"]).mean() > 0.95  # ties of rounding
    way = next(it for it in record["ways"] if it["name"] == "zero-shot, calibrated")
    raw = np.log(said["zero-shot"] / (1 - said["zero-shot"]))
    moved = way["calibration"]["slope"] * raw + way["calibration"]["intercept"]
    assert (1 / (1 + np.exp(-moved))).to_numpy() == pytest.approx(said["zero-shot, calibrated"].to_numpy(), abs=1e-6)


def test_no_outcome_of_the_run_moves_what_was_said(folder: Path, tmp_path: Path) -> None:
    """Prices of the last bars are others: what was said before them, and what free models learned, stays."""
    for name in ("base", "artifacts"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "prices").mkdir()
    for file in (folder / "prices").glob("*.csv"):
        table = pd.read_csv(file)
        late = table["date"] >= "2015-05-01"
        table.loc[late, ["open", "high", "low", "close"]] *= 1.3
        table.to_csv(tmp_path / "prices" / file.name, index=False)
    other = compare_methods(load_spec(write_methods_specs(tmp_path))).predictions
    said = pd.read_parquet(folder / "runs/ways-methods/latest/predictions.parquet")
    early = said["date"] < "2015-04-30"
    assert early.sum() > 50
    columns = [name for name in said.columns if name not in ("date", "symbol", "outcome")]
    np.testing.assert_allclose(other[early][columns], said[early][columns], atol=1e-6)


# --- each method


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix"])
def test_the_scorer_says_what_a_plain_forward_pass_says_and_calibrates_it(folder: Path, method: str) -> None:
    """Prompts that share their beginning, of unlike lengths, in one batch; against peft, one prompt at a time."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = load_spec(folder / "ways.toml")
    study = Study(spec)
    template = study.materials.template(spec.llm)
    queries = [it.query for it in method_examples(spec)[1][:6]]
    found = [signal.hits for signal in study.pipeline(spec.find_variant("few-shot")).signals(queries)]
    prompts = [template.render(query, found[at][: at % 3]) for at, query in enumerate(queries)]
    artifact = load_artifact(folder / f"artifacts/{method}/stockllm", "stockllm")
    reader = StockLLM(resolve(str(folder / "base")), template, artifact, dtype="float32")
    odds, calibration = reader.log_odds(prompts), artifact.card.calibration
    assert calibration is not None
    moved = calibration["slope"] * odds + calibration["intercept"]
    assert [it.probability for it in reader.score(prompts)] == pytest.approx(1 / (1 + np.exp(-moved)), abs=1e-6)
    tokenizer = AutoTokenizer.from_pretrained(folder / "base")
    model: Any = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft does not find AdaLoRA's ranks under LoRA's names, and takes them up
        model = PeftModel.from_pretrained(model, str(artifact.folder)).eval()
    rise, fall = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in template.labels)
    with torch.no_grad():
        for prompt, said in zip(prompts, odds, strict=True):
            ids = torch.tensor([tokenizer(prompt.text)["input_ids"]])
            logits = model(input_ids=ids).logits[0, -1]
            assert said == pytest.approx(float(logits[rise] - logits[fall]), abs=1e-4)


@pytest.mark.parametrize("method", ["lora", "adalora", "prefix"])
def test_an_adapter_of_another_base_is_refused(folder: Path, tmp_path: Path, method: str) -> None:
    other = tiny_llama(tmp_path / "other", tiny_tokenizer(), context=512)
    spec = load_spec(folder / "ways.toml", [f"llm.model={other}"])
    with pytest.raises(ModelError, match=r"was trained on .* but the spec's base"):
        Study(spec).pipeline(spec.find_variant(f"by-{method}"))


def test_adalora_keeps_fewer_ranks_than_it_began_with(record: dict[str, Any]) -> None:
    rows = {row["method"]: row for row in record["trained"]}
    assert rows["adalora"]["kept_parameters"] < rows["adalora"]["trainable_parameters"]
    assert rows["lora"]["kept_parameters"] == rows["lora"]["trainable_parameters"]
    assert rows["prefix"]["trainable_parameters"] == 3 * 2 * 2 * 32  # tokens, blocks, keys and values, width


# --- interrupted


class Killed(Exception):  # noqa: N818 - not an error, an event
    """Stands in for a process that ends."""


def test_a_comparison_that_was_killed_goes_on_and_comes_to_the_same_adapters(folder: Path, tmp_path: Path) -> None:
    for name in ("prices", "base"):
        (tmp_path / name).symlink_to(folder / name)
    spec = load_spec(write_methods_specs(tmp_path, methods={"lora": [0.01]}))
    heard: list[str] = []

    def kill(what: str, done: int, total: int) -> None:
        if what == "adalora, learning rate 0.01: training StockLLM" and done == 3:
            raise Killed

    torch.manual_seed(5)
    with pytest.raises(Killed):
        train_methods(spec, kill)
    rows = train_methods(spec, lambda what, done, _: heard.append(f"{what} {done}"))
    assert not any("lora, learning rate 0.01: training StockLLM" in it for it in heard if not it.startswith("ada"))
    steps = [it.rpartition(" ")[2] for it in heard if it.startswith("adalora, learning rate 0.01: training StockLLM")]
    assert steps == ["2", "3", "4"]
    for row in rows:
        place = f"artifacts/{row.method}/rate-0.01/stockllm/adapter_model.safetensors"
        assert (tmp_path / place).read_bytes() == (folder / place).read_bytes()


# --- the slope


def sample_of(odds: Any, rose: Any, days: int = 20) -> Sample:
    n = len(odds)
    p = 1 / (1 + np.exp(-odds))
    zeros = np.zeros(n)
    outcome = np.where(rose, 0.01, -0.01)
    return Sample(np.arange(n) % days, days, outcome, p, p, zeros, outcome, outcome, zeros[:, None], 5)


@pytest.mark.parametrize("true", [0.3, 1.0, 2.0])
def test_the_slope_is_that_of_a_logistic_regression(true: float) -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    odds = rng.normal(0.3, 1.0, 5000)
    rose = rng.random(5000) < 1 / (1 + np.exp(-true * odds))
    fitted = LogisticRegression(C=np.inf).fit(odds[:, None], rose).coef_[0, 0]
    assert CALIBRATION_SLOPE.value(sample_of(odds, rose)) == pytest.approx(fitted, abs=0.02)


def test_the_interval_of_the_slope_holds_it_and_is_of_days() -> None:
    rng = np.random.default_rng(1)
    odds = rng.normal(0.0, 1.0, 4000)
    rose = rng.random(4000) < 1 / (1 + np.exp(-0.5 * odds))
    sample = sample_of(odds, rose, days=200)
    daily = CALIBRATION_SLOPE.daily(sample)
    one = CALIBRATION_SLOPE.estimate(daily, Resampling.of(200))
    assert one.low < 0.5 < one.high
    assert one.high - one.low == pytest.approx(4 * 0.035, rel=0.3)  # four standard errors of that regression


def test_what_says_the_same_of_all_has_no_slope() -> None:
    assert np.isnan(CALIBRATION_SLOPE.value(sample_of(np.full(100, 0.2), np.arange(100) % 3 == 0)))


# --- wrong inputs, each a line on the command line that says what and how to mend it


NO_ZERO_SHOT = [{"name": "hold", "signal": "none", "strategy": {"class": "ragsignal.strategies:BuyAndHold"}}]
WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"methods": {"lora": [], "adalora": [], "prefix": []}}, {}, "no method has a learning rate to try"),
    ({"methods": {"lora": [0.0]}}, {}, "methods.lora.0"),
    ({"methods": {"prefix": [2.0]}}, {}, "methods.prefix.0"),
    ({"methods": {"lora": [0.01, 0.01]}}, {}, "a learning rate stands twice in [0.01, 0.01]"),
    ({"methods": {"ada_lora": [0.01]}}, {}, "adalora"),
    ({"methods": {"train": 3}}, {}, "methods.train: the path of a training spec was expected"),
    ({"methods": {"train": "gone.toml"}}, {}, "no spec at"),
    ({"methods": None}, {}, "has no table [methods]"),
    ({"data": {"start": date(2014, 12, 1)}}, {}, "methods.train learns through 2014-12-31"),
    ({}, {"stockllm": {"reader": "ranks"}, "classifier": {"kind": "boosting"}}, "has no adapter"),
    (
        {},
        {"split": {"protocol": "paper", "train_symbols": ["AA"], "valid_symbols": ["BB"]}},
        "on the days it validates",
    ),
    ({}, {"llm": {"model": "embedded:other"}}, "has a table [llm] of its own"),
    ({"variant": NO_ZERO_SHOT}, {}, "compared with one variant that reads the query alone"),
    ({"variant": [*RUN["variant"], {"name": "twice"}]}, {}, "['zero-shot', 'twice'] do"),
    ({"variant": [*RUN["variant"][:4], HOLD]}, {}, "methods.prefix is trained and no variant reads it"),
    ({"evaluation": {"target": "relative"}}, {}, "have another outcome in the run's prices"),
    ({"corpus": {"symbols": SYMBOLS[1:]}}, {}, "methods.train learns from AA, and the run reads no prices of it"),
]


@pytest.mark.parametrize("case", WRONG, ids=[words for *_, words in WRONG])
def test_what_cannot_be_compared_is_told_in_a_line_before_anything_is_trained(
    folder: Path,
    case: tuple[dict[str, Any], dict[str, Any], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, train, words = case
    here = folder / "wrong"
    here.mkdir(exist_ok=True)
    for name in ("prices", "base"):
        if not (here / name).exists():
            (here / name).symlink_to(folder / name)
    path = write_methods_specs(here, train, **run)
    monkeypatch.setattr("sys.argv", ["ragsignal", "train", "methods", str(path), "--out", str(here / "runs")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert words in " ".join(told.split())
    assert "Traceback" not in told
    assert not (here / "artifacts").exists()


def test_a_folder_that_is_no_artifact_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    for name in ("prices", "base"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "artifacts/lora/stockllm").mkdir(parents=True)
    (tmp_path / "artifacts/lora/stockllm/notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"lora/stockllm holds no card.json, so it is not ours to replace"):
        train_methods(load_spec(write_methods_specs(tmp_path)))


def test_a_kept_adapter_that_was_changed_is_made_again(folder: Path, tmp_path: Path) -> None:
    for name in ("prices", "base"):
        (tmp_path / name).symlink_to(folder / name)
    shutil.copytree(folder / "artifacts", tmp_path / "artifacts")
    (tmp_path / "artifacts/prefix/stockllm/adapter_model.safetensors").write_bytes(b"changed")
    train_methods(load_spec(write_methods_specs(tmp_path)))
    whole = load_artifact(folder / "artifacts/prefix/stockllm").digest
    assert load_artifact(tmp_path / "artifacts/prefix/stockllm").digest == whole
