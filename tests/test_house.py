"""Which room of the package imports which, and through its door alone: a new arrow is a decision, and shows up here.

After such a decision: ``python -m tests.test_house > tests/rooms.txt``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "ragsignal"
TABLE = Path(__file__).with_name("rooms.txt")
COMMANDS = {path.stem for path in (ROOT / "cli").glob("*.py")}
NOT_BEHIND_A_DOOR = {  # they import torch, which costs seconds: a room without a model must not pay them
    "ragsignal.llm.day_model",
    "ragsignal.llm.day_weights",
    "ragsignal.llm.head",
    "ragsignal.llm.rank_model",
    "ragsignal.retrieval.recall.model",
    "ragsignal.retrieval.tower",
    "ragsignal.training.ranks.train",
    "ragsignal.training.stockllm.train",
}


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of this package that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "ragsignal":
            yield from (f"ragsignal.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ragsignal."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ragsignal."))


def room_of(dotted: str) -> str:
    """The first folder or file below the package."""
    return dotted.split(".")[1]


def table() -> str:
    """A line a room, with the rooms that it imports."""
    rooms: dict[str, set[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        rooms.setdefault(room, set()).update({room_of(it) for it in imports_of(path)} - {room})
    return "".join(f"{room}: {' '.join(sorted(there))}".strip() + "\n" for room, there in sorted(rooms.items()))


def test_the_rooms_import_each_other_as_was_decided() -> None:
    assert table() == TABLE.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_outside_a_room_nobody_names_its_files(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    foreign = {it for it in imports_of(path) if it.count(".") > 1 and room_of(it) != own}
    assert foreign <= NOT_BEHIND_A_DOOR


def imported_at_once(path: Path, modules: set[str]) -> set[str]:
    """Modules of this package that a module imports when it is imported itself."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names & modules


def test_no_module_needs_itself_through_others() -> None:
    paths = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    TopologicalSorter({name: imported_at_once(path, set(modules)) for name, path in modules.items()}).prepare()


def test_the_architecture_page_shows_every_room_and_its_files() -> None:
    page = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree = page.split("    ragsignal/\n")[1].split("\n\n")[0]
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {line.split("/")[0].strip() for line in tree.splitlines() if re.match(r" {6}\w+/", line)} == rooms
    words = set(re.findall(r"\w+", tree))
    files = {path.stem for path in ROOT.glob("*/*.py") if not path.stem.startswith("__")}
    assert {name for name in files if name not in words and name not in COMMANDS} == set()


def text_of(path: Path) -> Iterator[str]:
    """Strings that a module computes with: docstrings and attribute documentation are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in words:
            yield node.value


def test_no_recipe_key_or_format_holds_the_path_of_a_module() -> None:
    # what specs and users say is public: it may stand in words, and cannot move
    public = re.compile(r"ragsignal\.(strategies|backtest\(|receive\()")
    texts = {word for path in ROOT.rglob("*.py") for word in text_of(path)}
    named = {word for word in texts if "ragsignal." in public.sub("", word)}
    assert named == {
        "ragsignal.",  # __init__ loads its names lazily
        "ragsignal.artifacts",  # package data
        "ragsignal.data",
        "ragsignal.audit.code.fresh",  # preloaded by worker processes
        "ragsignal.cli",  # and this one, where the command runs
    }


if __name__ == "__main__":
    print(table(), end="")
