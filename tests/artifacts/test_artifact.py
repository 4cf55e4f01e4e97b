"""An artifact comes back as it was saved, or says what is wrong with it and what to type."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ragsignal.artifacts import artifact
from ragsignal.artifacts.artifact import Artifact, load_artifact, save_artifact, shipped_artifacts
from ragsignal.artifacts.card import Card, Span, describe
from ragsignal.errors import ModelError

BASE = {"ref": "embedded:SmolLM2-135M-Instruct", "revision": None, "sha256": "a" * 64}


def make_card(**changes: Any) -> Card:
    values: dict[str, Any] = {
        "kind": "stockllm",
        "name": "test",
        "base": BASE,
        "template": {"id": "compact-v1", "mask": True, "lookback": 5},
        "target": "relative",
        "recipe": {"rank": 4, "learning_rate": 2e-4},
        "train": Span(first=date(2010, 1, 4), last=date(2012, 12, 28), queries=8_000),
        "valid": Span(first=date(2013, 1, 8), last=date(2013, 12, 30), queries=1_000),
        "trained_through": date(2012, 12, 31),
        "protocol": "time",
        "data": {"source": "sample", "symbols": ["AAPL", "IBM"], "fingerprint": "f" * 64},
        "seed": 0,
        "versions": {"torch": "2.13.0"},
        "command": "ragsignal train stockllm my.toml",
        "metrics": {"valid": {"auc": 0.5123456, "accuracy": 0.5}, "steps": 12},
    }
    return Card(**values | changes)


def write_weights(folder: Path) -> None:
    (folder / "adapter_model.safetensors").write_bytes(b"tensors")
    (folder / "adapter_config.json").write_text("{}")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "README.md").write_text("what the library wrote")


@pytest.fixture
def saved(tmp_path: Path) -> Artifact:
    return save_artifact(tmp_path / "stockllm", make_card(), write_weights)


# ------------------------------------------------------------------------------------------------ there and back


def test_an_artifact_comes_back_as_it_was_saved(saved: Artifact) -> None:
    loaded = load_artifact(saved.folder, "stockllm", "classifier")
    assert loaded == saved
    assert loaded.card == make_card(files=loaded.card.files)
    assert sorted(loaded.card.files) == ["1_Pooling/config.json", "adapter_config.json", "adapter_model.safetensors"]


def test_a_relative_folder_is_loaded_under_the_name_the_user_wrote(
    saved: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved.folder.parent)
    assert load_artifact("stockllm").ref == "stockllm"
    assert load_artifact("stockllm").digest == saved.digest


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    recipe=st.dictionaries(st.text(), json_values, max_size=4),
    days=st.lists(st.dates(), min_size=4, max_size=4).map(sorted),
    slope=numbers.map(float),
    valid=st.booleans(),
)
def test_every_card_survives_json(recipe: dict[str, Any], days: list[date], slope: float, valid: bool) -> None:
    card = make_card(
        recipe=recipe,
        train=Span(first=days[0], last=days[1], queries=1),
        trained_through=days[1],
        valid=Span(first=days[2], last=days[3], queries=2) if valid else None,
        calibration={"method": "platt", "slope": slope, "intercept": -0.0},
    )
    assert Card.model_validate_json(card.model_dump_json()) == card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": {"auc": float("nan")}}, "metrics"),
        ({"metrics": {"auc": object()}}, "cannot fingerprint a object"),
        ({"recipe": {"k": (0, 1)}}, "JSON gives back another value"),
        ({"calibration": {"method": "platt", "slope": float("inf"), "intercept": 0.0}}, "finite"),
        ({"calibration": {"method": "platt", "slope": 1.0}}, "intercept"),
        ({"base": BASE | {"url": ""}}, "url"),
        ({"base": BASE | {"sha256": "abc"}}, "pattern"),
        ({"trained_through": "2012-12-31"}, "date"),
        ({"trained_through": date(2012, 12, 27)}, "lies before the last query 2012-12-28"),
        (
            {"valid": Span(first=date(2014, 1, 1), last=date(2013, 1, 1), queries=1)},
            r"valid\.first 2014-01-01 lies after",
        ),
        ({"seed": 1.0}, "seed"),
        ({"author": "me"}, "author"),
    ],
)
def test_a_card_that_json_or_sense_would_not_give_back_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make_card(**changes)


def test_saving_again_replaces_what_was_there(saved: Artifact) -> None:
    def write_one(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"other")

    again = save_artifact(saved.folder, make_card(seed=1), write_one)
    assert sorted(path.name for path in saved.folder.iterdir()) == ["README.md", "card.json", "model.safetensors"]
    assert again.digest != saved.digest
    assert [path.name for path in saved.folder.parent.iterdir()] == ["stockllm"]


def test_a_save_that_fails_leaves_the_old_artifact_and_no_scratch(saved: Artifact) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_artifact(saved.folder, make_card(), fail)
    assert load_artifact(saved.folder) == saved
    assert [path.name for path in saved.folder.parent.iterdir()] == ["stockllm"]


def test_a_folder_that_is_no_artifact_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match=r"holds no card\.json, so it is not ours to replace; name another folder"):
        save_artifact(tmp_path, make_card(), write_weights)
    assert (tmp_path / "thesis.txt").is_file()


def test_a_pickle_is_not_saved(tmp_path: Path) -> None:
    def write_pickle(folder: Path) -> None:
        (folder / "training_args.bin").write_bytes(b"")

    with pytest.raises(ModelError, match=r"training_args\.bin would be saved as a pickle"):
        save_artifact(tmp_path / "a", make_card(), write_pickle)


# ------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "1_Pooling/config.json"])
def test_a_changed_file_is_refused(saved: Artifact, name: str) -> None:
    with (saved.folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ModelError, match=rf"{name} of .* it was changed; .*made by: ragsignal train stockllm my\.toml"):
        load_artifact(saved.folder)


def test_a_file_that_is_gone_is_named(saved: Artifact) -> None:
    (saved.folder / "adapter_config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks adapter_config\.json, which its card lists; copy the folder again"):
        load_artifact(saved.folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "x.pt", "deep/x.pkl", "config.json"])
def test_a_file_that_a_loader_might_pick_up_is_refused(saved: Artifact, name: str) -> None:
    (saved.folder / name).parent.mkdir(exist_ok=True)
    (saved.folder / name).write_bytes(b"")
    with pytest.raises(ModelError, match=rf"files that its card does not list.* delete .*{name}"):
        load_artifact(saved.folder)


def test_people_may_edit_the_readme_and_add_notes(saved: Artifact) -> None:
    (saved.folder / "README.md").write_text("mine")
    (saved.folder / "notes.md").write_text("mine")
    (saved.folder / ".gitattributes").write_text("")
    assert load_artifact(saved.folder) == saved


def test_an_edited_card_is_another_artifact(saved: Artifact) -> None:
    card = saved.folder / "card.json"
    card.write_text(card.read_text().replace('"trained_through": "2012-12-31"', '"trained_through": "2013-01-02"'))
    assert load_artifact(saved.folder).digest != saved.digest


def test_another_kind_is_refused_with_both_names(saved: Artifact) -> None:
    with pytest.raises(
        ModelError, match=r"is a stockllm, but finseer-text or finseer-numeric is needed here; type: rags"
    ):
        load_artifact(saved.folder, "finseer-text", "finseer-numeric")


def test_a_folder_without_a_card_says_how_to_train_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError, match=r"expected a folder with card\.json; type: ragsignal train finseer SPEC$"):
            load_artifact(folder, "finseer-text", "finseer-numeric")


@pytest.mark.parametrize("version", [0, 2, None])
def test_a_card_of_another_format_is_refused_before_its_content(saved: Artifact, version: int | None) -> None:
    (saved.folder / "card.json").write_text(json.dumps({"format": version, "new": "content"}))
    with pytest.raises(
        ModelError, match=rf"has format {version}, but this version reads 1; type: pip install --upgrade"
    ):
        load_artifact(saved.folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1, "kind": "oracle"}', "\ud800"])
def test_a_damaged_card_is_told_as_such(saved: Artifact, text: str) -> None:
    (saved.folder / "card.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"card\.json"):
        load_artifact(saved.folder)


def test_an_unknown_shipped_name_lists_the_shipped_ones(saved: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "_shipped_folder", lambda: saved.folder.parent)
    assert shipped_artifacts() == ["stockllm"]
    assert load_artifact("shipped:stockllm").digest == saved.digest
    for name in ("finseer", "../stockllm", ""):
        with pytest.raises(ModelError, match=r"there are: shipped:stockllm; type: ragsignal train"):
            load_artifact(f"shipped:{name}")


def test_a_damaged_shipped_artifact_is_repaired_by_pip(saved: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "_shipped_folder", lambda: saved.folder.parent)
    (saved.folder / "adapter_config.json").unlink()
    with pytest.raises(ModelError, match="type: pip install --force-reinstall --no-deps ragsignal"):
        load_artifact("shipped:stockllm")


@pytest.mark.parametrize("name", shipped_artifacts())
def test_what_is_shipped_loads(name: str) -> None:
    card = load_artifact(f"shipped:{name}").card
    assert card.protocol == "time"


# ------------------------------------------------------------------------------------------- template and base


def test_the_template_of_training_passes_and_another_is_refused_key_by_key(saved: Artifact) -> None:
    saved.check_template({"lookback": 5, "mask": True, "id": "compact-v1"})
    with pytest.raises(ModelError) as caught:
        saved.check_template({"id": "percent-v1", "mask": True, "lookback": 5, "digits": 1})
    assert 'template {"id": "compact-v1"}, but {"digits": 1, "id": "percent-v1"} was asked for' in str(caught.value)


def test_weights_of_another_study_are_refused(saved: Artifact) -> None:
    saved.check_study("relative", 5, 1)
    with pytest.raises(
        ModelError, match=r'"corpus.target": "relative"}, but the spec has {"corpus.target": "movement"'
    ):
        saved.check_study("movement", 5, 1)
    # a card that names no horizon was trained at one bar
    with pytest.raises(ModelError, match=r'"corpus.horizon": 1}, but the spec has {"corpus.horizon": 5}'):
        saved.check_study("relative", 5, 5)


def test_weights_are_refused_at_another_horizon_than_that_of_their_card(tmp_path: Path) -> None:
    card = make_card(recipe={"horizon": 5, "lookback": 5})
    saved = save_artifact(tmp_path / "stockllm", card, write_weights)
    saved.check_study("relative", 5, 5)
    with pytest.raises(ModelError, match=r'"corpus.horizon": 5}, but the spec has {"corpus.horizon": 1}'):
        saved.check_study("relative", 5, 1)


def test_a_key_that_is_none_is_not_a_key_that_is_missing(saved: Artifact) -> None:
    with pytest.raises(ModelError, match='"extra": null'):
        saved.check_template(saved.card.template | {"extra": None})


def test_a_base_with_another_digest_is_refused(saved: Artifact) -> None:
    saved.check_base("a" * 64)
    with pytest.raises(ModelError, match=rf"trained on embedded:SmolLM2.* SHA-256 {'a' * 64}, .* has {'b' * 64}; name"):
        saved.check_base("b" * 64)


def test_an_artifact_without_a_base_is_laid_over_nothing(tmp_path: Path) -> None:
    numeric = save_artifact(tmp_path / "n", make_card(kind="finseer-numeric", base=None), write_weights)
    with pytest.raises(ModelError, match="has no base model"):
        numeric.check_base("a" * 64)


# ----------------------------------------------------------------------------------------------------- README.md


def read_front_matter(text: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from huggingface_hub import ModelCardData, RepoCard
    data: Any = RepoCard(text).data
    fields: dict[str, Any] = data.to_dict()
    hub: Any = ModelCardData(**fields)
    assert hub.to_dict() == fields
    return fields


@pytest.mark.parametrize(
    ("kind", "ref", "expected"),
    [
        (
            "stockllm",
            "HuggingFaceTB/SmolLM2-135M",
            {"library_name": "peft", "base_model": "HuggingFaceTB/SmolLM2-135M"},
        ),
        ("finseer-text", "embedded:all-MiniLM-L6-v2", {"library_name": "sentence-transformers"}),
        ("classifier", "../my/model", {}),
    ],
)
def test_the_hub_reads_the_readmes_front_matter(kind: str, ref: str, expected: dict[str, str]) -> None:
    data = read_front_matter(describe(make_card(kind=kind, base=BASE | {"ref": ref})))
    assert data.pop("tags") == ["ragsignal", kind, "finance"]
    assert data == expected


def test_the_readme_says_the_days_the_figures_and_the_limits(saved: Artifact) -> None:
    text = (saved.folder / "README.md").read_text()
    assert "| training | 2010-01-04 | 2012-12-28 | 8,000 |" in text
    assert "| validation | 2013-01-08 | 2013-12-30 | 1,000 |" in text
    assert "| valid.auc | 0.5123 |" in text
    assert "Trained through **2012-12-31**: out of sample only after it." in text
    assert 'adapter = "FOLDER"' in text
    assert "ragsignal train stockllm my.toml" in text
    assert "paper" not in text


def test_the_readme_of_a_paper_split_says_that_it_leaks() -> None:
    assert "protocol = paper leaks**: same dates in train and test" in describe(make_card(protocol="paper"))


@pytest.mark.parametrize("kind", ["stockllm", "finseer-text", "finseer-numeric", "classifier"])
def test_what_the_readme_tells_to_write_is_a_spec(kind: str, tmp_path: Path) -> None:
    import tomllib

    from ragsignal.config import LLMSpec, RetrievalSpec
    from ragsignal.config.run import VariantSpec

    text = describe(make_card(kind=kind, base=None))
    tables = tomllib.loads(text.split("```toml\n")[1].split("```")[0])
    readers: dict[str, Callable[[Any], object]] = {
        "llm": LLMSpec.model_validate,
        "retrieval": RetrievalSpec.model_validate,
        "variant": lambda variants: [VariantSpec.model_validate(it) for it in variants],
    }
    for name, table in tables.items():
        assert readers[name](table)


@pytest.mark.parametrize(
    ("loss", "base", "warned"), [(0.6932, 0.6931, True), (0.6931, 0.6931, True), (0.6930, 0.6931, False)]
)
def test_a_model_that_is_no_better_than_its_base_rate_says_so_on_its_card(
    loss: float, base: float, warned: bool
) -> None:
    card = make_card(metrics={"log_loss": loss, "log_loss_of_base_rate": base})
    said = f"its log-loss is {loss:.5f}, and {base:.5f} of who always says the share of rises"
    assert (said in describe(card)) is warned
    assert (card.warning is not None) is warned


def test_a_card_without_these_figures_warns_of_nothing() -> None:
    assert make_card().warning is None


def test_a_span_counts_days_inclusively() -> None:
    day = date(2012, 1, 3)
    card = make_card(train=Span(first=day, last=day, queries=1), trained_through=day + timedelta(1), valid=None)
    assert "| training | 2012-01-03 | 2012-01-03 | 1 |" in describe(card)
