"""Laws 7 and 8 of the design: do what was asked or raise; no pickle. The others stand beside the parts they bind."""

from __future__ import annotations

import ast
import copy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.numpy import save_file

from ragsignal.artifacts.weights import digest_of_folder
from ragsignal.config import RunSpec
from ragsignal.errors import ModelError

ROOT = Path(__file__).parent.parent
PAPER = tomllib.loads((ROOT / "backtests" / "paper.toml").read_text())
MODULES = sorted((ROOT / "ragsignal").rglob("*.py"))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
FREE = ("params",)  # a strategy's own params are checked against the strategy, when it is loaded


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    """Every table of a spec, the spec itself first."""
    if isinstance(value, dict):
        yield value
        for key, item in value.items():
            if key not in FREE:
                yield from _tables(item)
    if isinstance(value, list):
        for item in value:
            yield from _tables(item)


@given(data=st.data())
def test_a_key_that_is_not_understood_is_never_ignored(data: st.DataObject) -> None:
    spec = copy.deepcopy(PAPER)
    table = data.draw(st.sampled_from(list(_tables(spec))))
    key = data.draw(NAMES.map("x_{}".format))  # no key of a spec begins so
    table[key] = data.draw(st.sampled_from([1, "text", True, [], {}]))
    with pytest.raises(ValidationError):
        RunSpec.model_validate(spec)


@given(data=st.data())
def test_a_word_that_is_not_a_choice_is_never_replaced_by_a_default(data: st.DataObject) -> None:
    spec = copy.deepcopy(PAPER)
    table, key = data.draw(
        st.sampled_from(
            [
                *((spec["data"], "source"), (spec["corpus"], "target"), (spec["retrieval"], "retriever")),
                *((spec["llm"], key) for key in ("template", "dtype", "device")),
                *((spec["costs"], "execution"), (spec["variant"][0], "signal"), (spec, "benchmark")),
                (spec["variant"][0]["retrieval"], "retriever"),
            ]
        )
    )
    table[key] = data.draw(NAMES.map("x_{}".format))
    with pytest.raises(ValidationError):
        RunSpec.model_validate(spec)


@given(names=st.sets(st.sampled_from(["model.bin", "model.pt", "a.pth", "b.ckpt", "c.pkl"]), min_size=1))
def test_a_folder_of_pickles_is_refused_and_beside_safetensors_they_are_not_read(names: set[str]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        for name in names:
            (folder / name).write_bytes(b"\x80\x04.")
        with pytest.raises(ModelError, match="only pickled weights"):
            digest_of_folder(folder)
        save_file({"weight": np.zeros(2, dtype=np.float32)}, folder / "model.safetensors")
        with_pickles = digest_of_folder(folder)
        for name in names:
            (folder / name).unlink()
        assert digest_of_folder(folder) == with_pickles


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_reads_pickles_or_runs_remote_code(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
        if isinstance(node, ast.keyword) and node.arg in ("trust_remote_code", "allow_pickle"):
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("torch", "load"), ("pd", "read_pickle")}
