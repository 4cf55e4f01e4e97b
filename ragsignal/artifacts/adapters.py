"""A peft adapter laid over a model: wholly, or not at all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ragsignal.artifacts.sound import check_file, check_fit, reading, tensor_names
from ragsignal.errors import ModelError
from ragsignal.utils import Record

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_REPAIR = "name the adapter that was trained on this model, or train one: ragsignal train stockllm SPEC"


def check_adapter_files(folder: Path) -> None:
    """Refuse a folder that is no adapter written by peft: without its two files, or with one that cannot be read.

    Raises
    ------
    ModelError
        Naming the file, and what to do.
    """
    for name in (ADAPTER_WEIGHTS, ADAPTER_CONFIG):
        if not (folder / name).is_file():  # without safetensors peft would look for a pickle
            raise ModelError(
                f"{folder} holds no {name}; expected an adapter written by peft (model.save_pretrained(FOLDER)), with "
                f"{ADAPTER_WEIGHTS} and {ADAPTER_CONFIG}"
            )
        check_file(folder / name)


def adapter_config(folder: Path, base: str | None) -> Record:
    """Read an adapter's configuration as it is to be kept: the same from every process and on every machine.

    Parameters
    ----------
    folder : Path
        Where peft wrote it.
    base : str or None
        Reference of the model that it belongs to, in the place of the folder that peft puts there.
    """
    config: Record = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # peft writes a set, in another order in each process
    return config


def with_adapter(model: Any, folder: Path) -> Any:
    """Lay an adapter over a model, unmerged.

    Merging into bfloat16 weights would move log-odds by 0.2 to 0.7.

    Raises
    ------
    ModelError
        If the adapter's tensors are not those that its config makes in ``model``: others, fewer, more, or of another
        shape.
    """
    from peft import PeftModel, get_peft_model_state_dict

    check_adapter_files(folder)
    with warnings.catch_warnings(), reading(folder, f"an adapter of {_name(model)}", _REPAIR):
        # peft looks for AdaLoRA's ranks under LoRA's names, misses them, and then takes them up all the same
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match")
        warnings.filterwarnings("ignore", "Found missing adapter keys")  # refused below, with their names
        warnings.filterwarnings("ignore", "Adapter .* LoRA tensor.* have invalid shape")  # AdaLoRA leaves layers out
        adapted = PeftModel.from_pretrained(model, str(folder))
        # said not to look for embeddings: peft would ask the Hub whether the vocabulary has grown
        wanted = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    beside = set(adapted.state_dict())  # embeddings that were saved beside the adapter have their place there
    check_tensors(folder, _name(model), wanted, _REPAIR, beside)
    return adapted


def check_tensors(folder: Path, what: str, wanted: Collection[str], repair: str, beside: Collection[str] = ()) -> None:
    """Raise ``ModelError`` unless an adapter's file holds the tensors ``wanted``, and no other but those ``beside``."""
    held = set(tensor_names(folder / ADAPTER_WEIGHTS))
    check_fit(folder, what, set(wanted) - held, held - set(wanted) - set(beside), repair)


def _name(model: Any) -> str:
    """What a message calls a model: its class and its width and layers, where it says them."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    sizes = [f"{getattr(config, key)} {word}" for key, word in _SIZES.items() if getattr(config, key, None)]
    return f"the model ({config.model_type}{''.join(f', {size}' for size in sizes)})"


_SIZES = {"num_hidden_layers": "layers", "hidden_size": "wide"}
