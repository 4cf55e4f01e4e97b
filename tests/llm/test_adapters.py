"""An adapter that does not fit its model, in whole or in part, is an error with the names of the tensors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from ragsignal.artifacts import resolve
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ModelError
from ragsignal.llm.prompt import Template
from ragsignal.llm.rank_ensemble import RankEnsemble
from ragsignal.llm.stockllm import StockLLM
from tests.llm.test_prompt import QUERY
from tests.tiny import tiny_llama, tiny_rank_llm, tiny_tokenizer

pytestmark = pytest.mark.slow

Tensors = dict[str, Any]
TEMPLATE = Template("compact", True, shipped_bins())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("model") / "llama", tiny_tokenizer(), context=256)


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(str(model)), config).save_pretrained(str(folder))
    return folder


def _score(model: Path, adapter: Path) -> float:
    reader = StockLLM(resolve(str(model)), TEMPLATE, adapter, dtype="float32")
    return reader.score([TEMPLATE.render(QUERY, ())])[0].probability


def _renamed(tensors: Tensors) -> Tensors:
    return {name.replace("model.layers", "model.language_model.layers"): it for name, it in tensors.items()}


def _first_layer(tensors: Tensors) -> Tensors:
    return {name: it for name, it in tensors.items() if ".layers.0." in name}


def _third_layer(tensors: Tensors) -> Tensors:
    return tensors | {name.replace(".layers.1.", ".layers.2."): it for name, it in tensors.items()}


MISFITS: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "no layer": (
        _renamed,
        r"it lacks 8 weights \(.*layers\.0.*, \.\.\.\), and it holds, .* 8 weights \(.*language_mod",
    ),
    "some layers": (_first_layer, r"it lacks 4 weights \(base_model.model.model.layers.1.self_attn.q_proj.lora_A"),
    "layers more": (_third_layer, r"it holds, without a place for them there, 4 weights \(base_.*layers\.2\."),
    "another width": (
        lambda tensors: {name: np.ones((4, 8) if "lora_A" in name else it.shape) for name, it in tensors.items()},
        r"cannot be read as an adapter of .*size mismatch for .*lora_A.*4, 8.*ragsignal train stockllm",
    ),
}


@pytest.mark.parametrize("what", MISFITS)
def test_an_adapter_that_does_not_fit_is_refused_with_the_names(
    what: str, model: Path, adapter: Path, tmp_path: Path
) -> None:
    change, message = MISFITS[what]
    copy = Path(shutil.copytree(adapter, tmp_path / "copy"))
    tensors = change(load_file(copy / "adapter_model.safetensors"))
    save_file({name: np.ascontiguousarray(it) for name, it in tensors.items()}, copy / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=message):
        _score(model, copy)


def test_an_adapter_that_fits_is_read(model: Path, adapter: Path) -> None:
    assert 0.0 < _score(model, adapter) < 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"holds no adapter_config\.json; expected an adapter written by peft"),
        ("{", r"adapter_config\.json cannot be read as JSON"),
        ("{}", r"cannot be read as an adapter of the model \(llama"),
        ('{"peft_type": "LORA", "target_modules": ["c_attn"]}', r"as an adapter of the model \(llama.*c_attn"),
    ],
)
def test_an_adapter_without_a_config_that_fits_is_refused(
    content: str | None, message: str, model: Path, adapter: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(adapter, tmp_path / "copy"))
    (copy / "adapter_config.json").unlink()
    if content is not None:
        (copy / "adapter_config.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        _score(model, copy)


def _without_head(seed: Path) -> None:
    tensors = load_file(seed / "model.safetensors")
    del tensors["head.weight"]
    save_file(tensors, seed / "model.safetensors", {"format": "pt"})


def _with_layers(seed: Path) -> None:
    config = json.loads((seed / "config.json").read_text())
    (seed / "config.json").write_text(json.dumps(config | {"num_hidden_layers": config["num_hidden_layers"] - 1}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_without_head, r"seed-0 does not fit .*: it lacks 1 weights \(head\.weight\).*ragsignal train stockllm"),
        (_with_layers, r"seed-0 does not fit .*: it holds, without .*layers\.1\."),
        (lambda seed: (seed / "config.json").unlink(), r"config\.json cannot be read as the config of a model on rank"),
    ],
)
def test_a_model_on_ranks_that_is_not_whole_is_refused(
    harm: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = tiny_rank_llm(tmp_path / "ranks", seeds=1).folder
    harm(folder / "seed-0")
    ensemble = RankEnsemble([folder / "seed-0"])
    with pytest.raises(ModelError, match=message):
        _ = ensemble.memory, ensemble.models
