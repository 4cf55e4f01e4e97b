"""The experiments of backtests/: each spec loads, and each committed record is of its spec and of no one's machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ragsignal.config import RunSpec, load_search_spec, load_spec, load_train_spec
from ragsignal.evaluation.methods_record import cost_table, differences_table, figures_table, rates_table

FOLDER = Path(__file__).parent.parent / "backtests"
SEARCHES = [FOLDER / "alpha.toml"]
SPECS = sorted(it for it in {*FOLDER.glob("*.toml")} - {*SEARCHES} if not it.name.endswith(".train.toml"))
RECORDS = sorted(FOLDER.glob("*.record.json"))
PLACES = {"RAGSIGNAL_STOCKNET", "RAGSIGNAL_US_PRICES"}


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLACES:
        monkeypatch.setenv(name, f"/{name}")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_every_spec_of_the_folder_loads(path: Path) -> None:
    assert load_spec(path).name == path.stem


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: path.name)
def test_every_search_spec_of_the_folder_loads(path: Path) -> None:
    assert load_search_spec(path).name == path.stem


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.train.toml")), ids=lambda path: path.name)
def test_every_training_spec_of_the_folder_loads(path: Path) -> None:
    spec = load_train_spec(path)
    assert spec.split.valid_from < spec.data.end


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_committed_record_holds_no_path_of_a_machine(path: Path) -> None:
    assert not re.findall(r'"(?:/|[A-Z]:\\)[^"]*"', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["acl18", "planted"])
def test_a_committed_evaluation_is_of_the_committed_spec(name: str) -> None:
    record = json.loads((FOLDER / f"{name}.record.json").read_text(encoding="utf-8"))
    spec = load_spec(FOLDER / f"{name}.toml")
    assert _without_places(record["spec"]) == _without_places(spec.model_dump(mode="json", by_alias=True))


def test_a_committed_evaluation_shows_every_interval_and_what_was_not_distinguishable() -> None:
    record = json.loads((FOLDER / "acl18.record.json").read_text(encoding="utf-8"))
    for row in record["forecasters"]:
        acc = row["figures"]["all"]["acc"]
        assert acc["low"] <= acc["value"] <= acc["high"]
    assert {"always-rise", "reversal-1d", "logistic", "boosting"} <= {row["name"] for row in record["forecasters"]}
    assert all(isinstance(row["distinguishable"], bool) for row in record["comparisons"])


def test_the_positive_control_is_found_by_retrieval_and_by_nothing_else() -> None:
    record = json.loads((FOLDER / "planted.record.json").read_text(encoding="utf-8"))
    acc = {row["name"]: row["figures"]["all"]["acc"]["value"] for row in record["forecasters"]}
    assert acc["rag-shape"] >= 0.70
    assert acc["rag-finseer-numeric"] >= 0.70
    assert abs(acc["no-retrieval"] - 0.50) <= 0.02


@pytest.mark.parametrize("name", ["advise", "advise_sample"])
def test_a_committed_advice_is_of_the_committed_spec_and_tells_nothing_apart(name: str) -> None:
    record = json.loads((FOLDER / f"{name}.record.json").read_text(encoding="utf-8"))
    spec = load_train_spec(FOLDER / f"{name}.train.toml")
    ladder = record["ladder"]
    for key, value in spec.advise.model_dump(mode="json").items():
        assert ladder[key] == value
    assert ladder["boosting"] == spec.boosting.model_dump(mode="json")
    assert ladder["data"]["end"] == str(spec.data.end) == "2010-12-31"
    assert record["advice"]["flat"]
    assert record["exponent"]["low"] < 0.0 < 0.44 < 0.72 < record["exponent"]["high"]


def test_the_record_of_going_on_stands_beside_training_anew_with_every_interval() -> None:
    record = json.loads((FOLDER / "warm.record.json").read_text(encoding="utf-8"))
    ways = {row["way"]: row for row in record["ways"]}
    assert {"anew", "all", "all, replay", "all, replay, ewc", "lora, replay"} == set(ways)
    spec = load_spec(FOLDER / "warm.toml")
    assert spec.walk_forward is not None
    for name, row in ways.items():
        assert row["ic"]["low"] <= row["ic"]["difference"] <= row["ic"]["high"]
        assert (row["less anew"] is None) == (name == "anew")
        steps = [year["steps"] for year in row["years"]]
        assert steps[0] <= 400
        assert name == "anew" or set(steps[1:]) == {spec.walk_forward.warm_steps}
    assert all(cell["in_sample"] == (cell["period"] < cell["step"]) for cell in record["matrix"]["cells"])


def _without_places(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec without its paths, which differ from machine to machine."""
    read = RunSpec.model_validate_json(json.dumps(spec)).model_dump(mode="json", by_alias=True)
    read["data"]["path"] = read["llm"]["adapter"] = None
    for variant in read["variant"]:
        variant["retrieval"].pop("encoder", None)
        variant.pop("classifier")
    return read


def test_the_tables_of_methods_in_the_docs_are_the_committed_record() -> None:
    record = json.loads((FOLDER / "text_methods.record.json").read_text(encoding="utf-8"))
    page = (FOLDER.parent / "docs" / "training.md").read_text(encoding="utf-8")
    for table in (figures_table, cost_table, differences_table, rates_table):
        assert table(record) in page
    asked = record["questions"]
    assert f"{asked['n']:,} queries, {asked['symbols']} symbols, {asked['days']:,} days" in page


def test_the_committed_comparison_of_methods_is_of_the_committed_spec() -> None:
    record = json.loads((FOLDER / "text_methods.record.json").read_text(encoding="utf-8"))
    spec = load_spec(FOLDER / "text_methods.toml").model_dump_json(by_alias=True)
    assert record["spec"] == json.loads(spec.replace(f"{FOLDER}/..", ".."))
    assert {row["method"] for row in record["trained"] if row["chosen"]} == {"lora", "adalora", "prefix"}
    assert all(len(way["figures"]["auc"]) == 3 for way in record["ways"])
