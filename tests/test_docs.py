"""What the README and docs say is run or compared with the code."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ragsignal import config
from ragsignal.config.run import VariantSpec
from ragsignal.data.decisions import ACTIONS, HOLD
from ragsignal.study import Study
from ragsignal.trading import run_spec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECORD = ROOT / "backtests" / "sample.record.json"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.slow
def test_the_readmes_strategy_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)
    ran: Any = scope["ran"]
    assert len(ran.rag) > 50
    assert ran.trades > 10


def _row(variant: dict[str, float | None]) -> str:
    figures = [_percent(variant["return"]), _number(variant["sharpe"]), _percent(variant["max_drawdown"])]
    figures += [str(variant["trades"]), f"{variant['costs_paid']:,.0f}", _percent(variant["hit_rate"])]
    return f"| {variant['name']} | {' | '.join(figures)} |"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %".replace("-", "−")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def test_the_readmes_table_is_the_committed_record() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    rows = [_row(variant) for variant in record["variants"]]
    assert len(rows) == 10
    for row in rows:
        assert row in README


def test_the_committed_record_is_of_the_committed_spec() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    spec = config.load_spec(ROOT / "backtests" / "sample.toml")
    assert record["spec"] == Study(spec).spec.model_dump(mode="json", by_alias=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
        assert not anchor or anchor in _anchors(page.parent / target), f"{target}#{anchor}"


def _anchors(page: Path) -> list[str]:
    """What a heading is called in a link: lower case, hyphens for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


# ------------------------------------------------------------------------------------------------ keys of specs

Documented = dict[tuple[str, str], str]
"""(table, key) -> what stands in the column of defaults; the table of a spec's own keys is called ""."""

RUN_TABLES: dict[str, type[config.Table]] = {
    "": config.RunSpec,
    "data": config.DataSpec,
    "data.universe": config.UniverseSpec,
    "corpus": config.CorpusSpec,
    "retrieval": config.RetrievalSpec,
    "llm": config.LLMSpec,
    "external": config.ExternalSpec,
    "news": config.NewsSpec,
    "strategy": config.StrategySpec,
    "costs": config.CostSpec,
    "evaluation": config.EvaluationSpec,
    "probe": config.ProbeSpec,
    "walk_forward": config.WalkForwardSpec,
    "methods": config.MethodsSpec,
    "variant": VariantSpec,
}
TRAIN_TABLES: dict[str, type[config.Table]] = {
    "": config.TrainSpec,
    "split": config.SplitSpec,
    "stockllm": config.StockLLMTraining,
    "feedback": config.FeedbackTraining,
    "finseer": config.FinseerTraining,
    "recall": config.RecallTraining,
    "classifier": config.ClassifierTraining,
    "boosting": config.BoostingTraining,
    "ranks": config.RanksTraining,
    "days": config.DaysTraining,
    "advise": config.AdviseTraining,
}
ALPHA_TABLES: dict[str, type[config.Table]] = {
    "": config.SearchSpec,
    "alpha": config.AlphaSpec,
    "ideas": config.IdeasSpec,
}
SHARED = {"data", "corpus", "llm", "news"}  # tables of both kinds, documented once


def _section(page: str, heading: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def _documented(heading: str) -> Documented:
    found: Documented = {}
    table = ""
    for line in re.findall(r"^\|(.*)\|$", _section("spec.md", heading), flags=re.MULTILINE):
        where, keys, default, *_ = (cell.strip() for cell in line.split("|"))
        names = re.findall(r"`(\w+)`", keys)
        if not names:
            continue  # the head of the table
        table = where.strip("`[]") or table
        literals = re.findall(r"`([^`]+)`", default) if re.fullmatch(r"(`[^`]+`(, )?)+", default) else None
        defaults = literals or [default] * len(names)
        found |= {(table, name): text for name, text in zip(names, defaults, strict=True)}
    return found


@pytest.mark.parametrize(
    ("heading", "tables"),
    [("A run spec", RUN_TABLES), ("A training spec", TRAIN_TABLES), ("A search spec", ALPHA_TABLES)],
)
def test_every_key_of_a_spec_is_documented_with_its_default(
    heading: str, tables: dict[str, type[config.Table]]
) -> None:
    documented = _documented(heading)
    keys = {
        (name, field.alias or key): field
        for name, table in tables.items()
        for key, field in table.model_fields.items()
        if name or key not in {*tables, *SHARED}
    }
    assert set(documented) == set(keys)
    for key, field in keys.items():
        assert _says(documented[key], field), f"{key}: {documented[key]!r} is not {field.default!r}"


def _says(text: str, field: Any) -> bool:
    """Whether a cell is the default: "required", its value, or, where the default is nothing, any words."""
    if field.is_required() or text == "required":
        return bool(field.is_required() and text == "required")
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    if default in (None, [], {}):
        return True
    try:
        return bool(tomllib.loads(f"x = {text}")["x"] == default)
    except tomllib.TOMLDecodeError:
        return text == default


# ----------------------------------------------------------------------------------------------------- examples


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(code) for _, code in found]


EXAMPLES = [(page, code) for page in PAGES for code in _blocks(page, "toml")]


@pytest.mark.parametrize(("page", "code"), EXAMPLES, ids=[page.name for page, _ in EXAMPLES])
def test_every_toml_example_is_a_spec_or_a_part_of_one(page: Path, code: str, tmp_path: Path) -> None:
    raw = tomllib.loads(code)
    (tmp_path / "example.toml").write_text(code, encoding="utf-8")
    if "split" in raw:
        assert config.load_train_spec(tmp_path / "example.toml").out == tmp_path / raw["out"]
    elif "alpha" in raw:
        assert config.load_search_spec(tmp_path / "example.toml").out == tmp_path / raw["out"]
    elif "benchmark" in raw:
        assert config.load_spec(tmp_path / "example.toml").name == raw["name"]
    else:
        for name, table in raw.items():
            RUN_TABLES[name].model_validate(table)


def test_the_example_of_own_decisions_is_traded_as_its_page_says(tmp_path: Path) -> None:
    page = ROOT / "docs" / "external.md"
    for name, language in (("mine.toml", "toml"), ("decisions.csv", "csv")):
        (code,) = _blocks(page, language)
        (tmp_path / name).write_text(code, encoding="utf-8")
    ran = run_spec(config.load_spec(tmp_path / "mine.toml"))
    agents = ran.variants[0]
    said = agents.signals[agents.signals["symbol"] == "AAPL"]["value"].tolist()
    assert said[:4] == [1.0, 1.0, -1.0, 0.0]  # bought, held, sold, then nobody says anything
    assert agents.metrics["abstentions"] == agents.metrics["signals"] - 4
    assert agents.traded


def test_the_actions_of_the_page_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "external.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `action` \| .*$", page, flags=re.MULTILINE)
    assert set(re.findall(r"`([a-z ]+)`", row)) == {"action", *ACTIONS, *HOLD}


def _training_page(tmp_path: Path, number: int) -> tuple[config.TrainSpec, config.RunSpec]:
    """The training spec at a place of docs/training.md, and the run spec after it."""
    training, run = _blocks(ROOT / "docs" / "training.md", "toml")[number : number + 2]
    (tmp_path / "my.train.toml").write_text(training, encoding="utf-8")
    (tmp_path / "my.toml").write_text(run, encoding="utf-8")
    trained, used = config.load_train_spec(tmp_path / "my.train.toml"), config.load_spec(tmp_path / "my.toml")
    assert used.data.start > trained.data.end
    assert used.data.path == trained.data.path
    assert used.corpus == trained.corpus
    return trained, used


def test_the_run_of_ranks_on_the_training_page_fits_what_its_training_leaves(tmp_path: Path) -> None:
    trained, used = _training_page(tmp_path, 0)
    assert used.llm.model == str(trained.out / "stockllm")
    assert used.find_variant("boosting").classifier == str(trained.out / "classifier")


def test_the_spec_of_days_on_the_training_page_is_that_of_ranks_with_one_more_table(tmp_path: Path) -> None:
    ranks, _, days, run, *_ = (tomllib.loads(code) for code in _blocks(ROOT / "docs" / "training.md", "toml"))
    assert days.pop("days")["teacher"] == "./artifacts/my-state/classifier"  # what --set out of the page writes
    assert days == ranks
    assert run["llm"]["model"] == f"./{ranks['out']}/stockllm"
    assert run["llm"]["adapter"] == f"./{ranks['out']}/stockllm-days"
    assert run["retrieval"]["encoder"] == f"./{ranks['out']}/finseer-days"
    (tmp_path / "my.train.toml").write_text(_blocks(ROOT / "docs" / "training.md", "toml")[2], encoding="utf-8")
    told = ["stockllm.reader=text", "boosting.state=true", "out=artifacts/my-state"]
    teacher = config.load_train_spec(tmp_path / "my.train.toml", told)
    student = config.load_train_spec(tmp_path / "my.train.toml")
    assert student.days.teacher == str(teacher.out / "classifier")
    assert (teacher.data, teacher.split, teacher.corpus) == (student.data, student.split, student.corpus)


def test_the_run_of_text_on_the_training_page_fits_what_its_training_leaves(tmp_path: Path) -> None:
    trained, used = _training_page(tmp_path, 4)
    assert used.data.path == tmp_path / "prices"
    assert used.llm.adapter == str(trained.out / "stockllm")
    assert used.llm.template == trained.llm.template
    assert used.find_variant("classifier").classifier == str(trained.out / "classifier")
    finseer = used.find_variant("finseer").retrieval
    assert (finseer.retriever, finseer.encoder) == ("finseer", str(trained.out / "finseer-text"))


@pytest.mark.slow
def test_the_pooling_of_the_training_page_is_that_of_the_first_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast  # type: ignore[attr-defined]

    from ragsignal.retrieval.encoders import load_sentence_model
    from ragsignal.utils.quiet import quiet_loading

    (code,) = _blocks(ROOT / "docs" / "training.md", "python")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]))
    size: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "hidden_size": 8}
    with quiet_loading():
        BertModel(BertConfig(vocab_size=6, **size)).save_pretrained("finseer")
        BertTokenizerFast("vocab.txt").save_pretrained("finseer")
        exec(compile(code, "training.md", "exec"), {})
        model = load_sentence_model(tmp_path / "finseer-cls")
    assert model[1].pooling_mode == "cls"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    import click
    import typer

    from ragsignal.cli.app import app

    commands: Any = typer.main.get_command(app)
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:^ {4,}|`)ragsignal ((?:train |data |weights )?\w[\w-]*)", text, flags=re.MULTILINE)
    named += re.findall(r"-m ragsignal\.cli ((?:train )?\w+)", text)
    for words in named:
        command = commands
        for word in words.split():
            command = command.get_command(click.Context(command), word)
            assert command is not None, words


def test_every_test_that_the_look_ahead_page_names_exists() -> None:
    text = (ROOT / "docs" / "look-ahead.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]*test_\w+\.py)`", text):
        assert (ROOT / "tests" / name).exists(), name
