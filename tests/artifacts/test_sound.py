"""Files that are no weights, through every door that loads weights: an error that says what, where and what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from ragsignal.artifacts import Weights, load_artifact, resolve
from ragsignal.artifacts.artifact import save_artifact
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ModelError
from ragsignal.llm import Template, load_causal, load_encoder, load_tokenizer
from ragsignal.llm.stockllm import StockLLM
from ragsignal.retrieval.encoders import load_sentence_model
from tests.artifacts.test_artifact import make_card
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.slow

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
TEMPLATE = Template("compact", True, shipped_bins())
WHOLE = save({"weight": np.ones(64, dtype=np.float32)})
BROKEN = {
    "pointer": (POINTER, "is a pointer of Git LFS.*type: git lfs pull"),
    "garbage": (b"\x93NUMPY" * 40, "cannot be read as safetensors.*copy it again"),
    "cut short": (WHOLE[:-100], "cannot be read as safetensors.*cut short"),
    "empty": (b"", "cannot be read as safetensors.*cut short"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("model") / "llama", tiny_tokenizer())


DOORS: dict[str, Callable[[Path, Path], object]] = {
    "llm.model": lambda _, folder: resolve(str(folder)),
    "llm.adapter": lambda model, folder: StockLLM(resolve(str(model)), TEMPLATE, folder),
}


def _copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("door", ["llm.model", "llm.adapter"])
def test_weights_that_are_no_safetensors_are_refused_by_name(what: str, door: str, model: Path, tmp_path: Path) -> None:
    content, message = BROKEN[what]
    folder = _copy(model, tmp_path)
    name = "model.safetensors" if door == "llm.model" else "adapter_model.safetensors"
    (folder / "adapter_config.json").write_text("{}")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} {message}"):
        DOORS[door](model, folder)


@pytest.mark.parametrize("text", ["", "{", POINTER.decode()])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors.index.json"])
def test_a_json_file_that_is_none_is_refused_by_name(name: str, text: str, model: Path, tmp_path: Path) -> None:
    folder = _copy(model, tmp_path)
    (folder / name).write_text(text)
    with pytest.raises(ModelError, match=rf"{name} (cannot be read as JSON|is a pointer of Git LFS)"):
        resolve(str(folder))


def test_a_folder_without_a_config_says_what_it_should_hold(model: Path, tmp_path: Path) -> None:
    folder = _copy(model, tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json; expected a folder written by save_pretrained"):
        resolve(str(folder))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is an adapter, and no model: name it in llm\.adapter"):
        resolve(str(folder))


def test_a_file_in_the_place_of_a_folder_is_no_hub_id(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"model\.gguf is a file: expected a folder"):
        resolve(str(tmp_path / "model.gguf"))


LOADERS: dict[str, Callable[[Weights], object]] = {
    "tokenizer": load_tokenizer,
    "language model": lambda weights: load_causal(weights, "float32"),
    "encoder": load_encoder,
    "sentence-transformers model": lambda weights: load_sentence_model(weights.folder),
}


@pytest.mark.parametrize("what", LOADERS)
def test_what_transformers_cannot_load_is_an_error_of_ours(what: str, model: Path, tmp_path: Path) -> None:
    folder = _copy(model, tmp_path)
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "config.json").write_text(json.dumps({"model_type": "nobody-knows-it"}))
    with pytest.raises(ModelError, match=rf"cannot be read as an? .*{what}.*; (copy|name)"):
        LOADERS[what](resolve(str(folder)))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("what", ["language model", "encoder", "sentence-transformers model"])
def test_a_model_with_other_layers_than_its_config_is_refused(
    what: str, layers: int, model: Path, tmp_path: Path
) -> None:
    folder = _copy(model, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
    said = r"it holds, without .*, 9 weights .*layers\.1\." if layers == 1 else r"it lacks 9 weights .*layers\.2\."
    with pytest.raises(ModelError, match=f"does not fit the .* of its config.json: {said}"):
        LOADERS[what](resolve(str(folder)))


def test_an_artifact_whose_files_git_lfs_left_out_says_so(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(WHOLE)

    folder = save_artifact(tmp_path / "artifact", make_card(), write).folder
    for name in ("model.safetensors", "card.json"):
        (folder / name).write_bytes(POINTER)
        with pytest.raises(ModelError, match=rf"{name} is a pointer of Git LFS.*git lfs pull"):
            load_artifact(folder)
