"""The package as users meet it: a light import, names that resolve, and a wheel that installs only itself."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import pickle
import shutil
import subprocess
import sys
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest

import ragsignal
from ragsignal import errors, types

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCE = Path(ragsignal.__file__)


def python(program: str, folder: Path = ROOT) -> str:
    """Output of a program in a fresh interpreter, which finds packages in its current folder first."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=folder, check=True, stdout=-1, text=True, timeout=60).stdout.strip()


# ------------------------------------------------------------------------------------------------------- import


def test_importing_takes_less_than_half_a_second_and_no_library() -> None:
    program = """
import sys, time
began = time.perf_counter()
import ragsignal
print(time.perf_counter() - began)
print(sorted({"torch", "transformers", "backtrader", "faiss", "pandas", "numpy", "pydantic"} & set(sys.modules)))
"""
    runs = [python(program).splitlines() for _ in range(3)]
    assert {loaded for _, loaded in runs} == {"[]"}
    assert min(float(seconds) for seconds, _ in runs) < 0.5


def test_the_indicator_and_the_assembly_do_not_import_a_model_library() -> None:
    program = """
import sys, ragsignal
ragsignal.RagMomentum, ragsignal.load_pipeline, ragsignal.run_spec
print(sorted({"torch", "transformers", "faiss", "sentence_transformers"} & set(sys.modules)))
"""
    assert python(program) == "[]"


def test_left_of_the_store_nothing_imports_backtrader() -> None:
    program = "import sys, ragsignal; ragsignal.load_pipeline; print('backtrader' in sys.modules)"
    assert python(program) == "False"


# -------------------------------------------------------------------------------------------------------- names


def lazy_table() -> dict[str, str]:
    """Public name -> module, as type checkers read it in the ``TYPE_CHECKING`` block."""
    blocks = [node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If)]
    (block,) = [node for node in blocks if ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        alias.name: str(line.module).removeprefix("ragsignal.")
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }


def test_every_public_name_resolves_to_what_type_checkers_see() -> None:
    table = lazy_table()
    assert table == ragsignal._HOME
    for name, home in table.items():
        assert getattr(ragsignal, name) is getattr(importlib.import_module(f"ragsignal.{home}"), name)


def test_all_is_the_lazy_table_and_the_errors_in_order() -> None:
    tree = {name for name, it in vars(errors).items() if isinstance(it, type) and issubclass(it, Exception)}
    assert set(ragsignal.__all__) == set(ragsignal._HOME) | tree
    assert ragsignal.__all__ == sorted(ragsignal.__all__)
    assert dir(ragsignal) == sorted([*ragsignal.__all__, "__version__"])
    for name in tree:
        assert getattr(ragsignal, name) is getattr(errors, name)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ragsignal' has no attribute 'RagMomentun'"):
        ragsignal.RagMomentun  # noqa: B018


def test_one_except_catches_every_error_and_the_docstring_draws_the_whole_tree() -> None:
    for name in set(dir(errors)) & set(ragsignal.__all__):
        assert issubclass(getattr(errors, name), ragsignal.RagSignalError)
        assert f" {name} " in f" {errors.__doc__} ".replace("\n", " ")


# ------------------------------------------------------------------------------------------------------ records


def test_records_are_frozen_comparable_hashable_and_travel_to_a_worker() -> None:
    day = date(2021, 1, 8)
    query = types.Query("AA", (date(2021, 1, 7), day), (1.0, 2.0))
    found = types.Candidate("id", "BB", "adj_close", (day,), (1.0,), (0.0,), types.Movement.RISE, 0.01, day)
    hit = types.Hit(found, 0.9, 0)
    signal = types.Signal("AA", day, 0.5, 0.75, None, (hit,), "key")
    prompt = types.Prompt(query, (hit,), "text")
    for record in (query, found, hit, signal, prompt, types.Score(0.5)):
        again = pickle.loads(pickle.dumps(record))
        assert again == record
        assert hash(again) == hash(record)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, dataclasses.fields(record)[0].name, "other")
        assert not hasattr(record, "__dict__")


def test_a_query_may_know_its_last_bar_and_nothing_later() -> None:
    assert types.Query("AA", (date(2021, 1, 7), date(2021, 1, 8)), (1.0, 2.0)).as_of == date(2021, 1, 8)


def test_a_movement_has_a_sign_and_a_word() -> None:
    assert [(int(it), it.word) for it in types.Movement] == [(-1, "fall"), (0, "freeze"), (1, "rise")]


# -------------------------------------------------------------------------------------------------------- wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of the tree; the folders beside the package are in the copy, so that they could slip in."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in ("ragsignal", "strategies", "backtests", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "setup.cfg", "LICENSE", "README.md"):
        shutil.copy(ROOT / file, copy)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(command, cwd=copy, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    (made,) = (copy / "dist").iterdir()
    return made


def test_the_wheel_installs_the_package_and_nothing_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        top = {name.split("/")[0] for name in archive.namelist()}
    assert top == {"ragsignal", f"ragsignal-{ragsignal.__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("ragsignal/")}
    here = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCE.parent.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == here
    assert {"ragsignal/py.typed", "ragsignal/data/bins.json", "ragsignal/report/templates/page.js"} <= shipped


def test_the_wheel_works_without_the_tree_and_says_what_it_is(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = "import ragsignal, ragsignal.data.bins as bins; print(ragsignal.__file__, bins.shipped_bins().recipe)"
    assert python(program, tmp_path).startswith(str(tmp_path / "ragsignal" / "__init__.py") + " ")
    init = "from ragsignal.cli import main; import sys; sys.argv[1:] = ['init']; main()"
    (tmp_path / "empty").mkdir()
    assert json.loads(python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {init}", tmp_path / "empty"))["spec"]
    assert (tmp_path / "empty" / "my_strategy.py").is_file()
    (info,) = tmp_path.glob("*.dist-info")
    assert "ragsignal = ragsignal.cli:main" in (info / "entry_points.txt").read_text()
    metadata = (info / "METADATA").read_text().splitlines()
    assert {f"Version: {ragsignal.__version__}", "License-Expression: GPL-3.0-or-later"} <= set(metadata)
    assert (info / "licenses" / "LICENSE").is_file()


def test_the_version_is_told_in_one_way() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == ragsignal.__version__
