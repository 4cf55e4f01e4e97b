"""Read a spec: TOML, ``${NAME}`` from the environment, paths relative to the spec's own folder, then the checks."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ragsignal.config.alpha import SearchSpec
from ragsignal.config.kept_alphas import put_alphas
from ragsignal.config.messages import RawTable, did_you_mean, explain
from ragsignal.config.override import override
from ragsignal.config.run import OVERLAID, RunSpec
from ragsignal.config.tables import WALK, Table
from ragsignal.config.train import TrainSpec
from ragsignal.config.unread import unread_keys
from ragsignal.errors import ConfigError
from ragsignal.utils import expanded, masked

T = TypeVar("T", bound=Table)
_LOG = logging.getLogger(__name__)
SHIPPED = "shipped:"
"""Begins the name of a spec, or of an artifact, that this package brings."""
_SPECS = Path(__file__).parent / "shipped"


def load_train_spec(path: str | Path, settings: Sequence[str] = ()) -> TrainSpec:
    """Read and check a training spec; arguments as of :func:`load_spec`.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    return _load(path, TrainSpec, settings)


_SIGNS: Mapping[type[BaseModel], tuple[str, str, str]] = {
    RunSpec: ("variant", "a run spec", "ragsignal backtest SPEC"),
    TrainSpec: ("split", "a training spec", "ragsignal train"),
    SearchSpec: ("alpha", "a search spec", "ragsignal alpha search SPEC"),
}
"""The table that only this kind of spec has, what the kind is called, and a command that reads it."""


def load_search_spec(path: str | Path, settings: Sequence[str] = ()) -> SearchSpec:
    """Read and check a search spec; arguments as of :func:`load_spec`.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    return _load(path, SearchSpec, settings)


def load_spec(path: str | Path, settings: Sequence[str] = ()) -> RunSpec:
    """Read and check a spec.

    Parameters
    ----------
    path : str or Path
        A TOML file, or ``shipped:sample``: the one of the bundled prices.
    settings : sequence of str, optional
        ``place=value`` words, such as ``data.start=2015-01-02``, that take the place of what the file says.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    spec = _load(path, RunSpec, settings)
    if spec.walk_forward is not None and not any(variant.retrained for variant in spec.variants):
        # not a rule of RunSpec: a sweep leaves variants out
        raise ConfigError(
            f"{path}: no variant reads what [walk_forward] trains; name it, such as classifier = "
            '"walk:classifier", llm.adapter = "walk:stockllm" or retrieval.encoder = "walk:finseer-numeric", '
            "or delete the table"
        )
    warm = spec.walk_forward is not None and spec.walk_forward.warm
    if warm and not any("stockllm" in variant.retrained for variant in spec.variants):
        raise ConfigError(
            f"{path}: walk_forward.warm = true goes on with StockLLM alone, and no variant reads it; write "
            'llm.model = "walk:stockllm" (of text: llm.adapter), or delete warm'
        )
    if spec.external.path is not None and not any(variant.is_external for variant in spec.variants):
        raise ConfigError(
            f"{path}: no variant reads the decisions of [external]; write signal = "
            '"external" in one, or delete the table'
        )
    return spec


def with_settings(spec: RunSpec, settings: Sequence[str]) -> RunSpec:
    """Return a loaded spec with ``place=value`` words laid over it, as :func:`load_spec` lays them over a file.

    Raises
    ------
    ConfigError
        With every mistake found.
    """
    if not settings:
        return spec
    raw = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    override(raw, settings)
    put_alphas(raw)
    return checked(raw, RunSpec, " --set ".join([spec.name, *settings]))


def _load(path: str | Path, kind: type[T], settings: Sequence[str]) -> T:
    path = _file_of(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows editors put a byte order mark first
    except FileNotFoundError:
        raise ConfigError(
            f"no spec at {path}: a spec is a TOML file; `ragsignal init` writes one, and {SHIPPED}sample is one"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a TOML file: byte {error.start} is no UTF-8; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    _check_kind(raw, kind, path)
    override(raw, settings)
    _resolve_paths(raw, path.resolve().parent)
    _read_training(raw)
    put_alphas(raw)
    spec = checked(raw, kind, " --set ".join([str(path), *settings]))
    if isinstance(spec, RunSpec | TrainSpec | SearchSpec):
        for words in unread_keys(spec):
            _LOG.warning("note: %s: %s", path, words)
    return spec


def _check_kind(raw: RawTable, kind: type[BaseModel], path: Path) -> None:
    """Refuse a spec of another kind in a line: all of its tables would be mistakes."""
    sign, expected, _ = _SIGNS[kind]
    there = next(((other, words, command) for other, words, command in _SIGNS.values() if other in raw), None)
    if sign not in raw and there is not None:
        other, words, command = there
        raise ConfigError(
            f"{path} is {words}, as it has a table [{other}]: `{command}` reads it; {expected} with a table [{sign}] "
            "was expected (docs/spec.md)"
        )


def checked(raw: RawTable, kind: type[T], where: str | Path) -> T:
    """``raw`` as a spec.

    Parameters
    ----------
    raw : dict
        A spec as TOML holds it.
    kind : type
    where : str or Path
        Where ``raw`` was read, for the error.

    Raises
    ------
    ConfigError
        With every mistake found, each with its place and, for a typo, the nearest known key.
    """
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(explain(masked(str(where)), raw, error, kind, OVERLAID)) from None


def _file_of(path: str | Path) -> Path:
    """The file that a path or a ``shipped:NAME`` means."""
    name = str(path)
    if not name.startswith(SHIPPED):
        return Path(path)
    file = _SPECS / f"{name.removeprefix(SHIPPED)}.toml"
    if not file.is_file():
        known = sorted(SHIPPED + there.stem for there in _SPECS.glob("*.toml"))
        raise ConfigError(f"no spec {name!r} is shipped.{did_you_mean(name, known)}")
    return file


def _read_training(raw: RawTable) -> None:
    """Put the training spec in the place of its path: a run is known by what it says, and not by where it lies."""
    for name in ("walk_forward", "methods"):
        table = raw.get(name)
        if not isinstance(table, dict) or "train" not in table:
            continue
        if not isinstance(table["train"], str):
            raise ConfigError(f'{name}.train: the path of a training spec was expected, such as "my.train.toml"')
        table["train"] = load_train_spec(table["train"])


def _resolve_paths(raw: RawTable, base: Path) -> None:
    """Expand ``${NAME}`` and anchor relative paths at the spec's folder, in place."""
    for owner in (raw, *_tables(raw.get("variant"))):
        if isinstance(owner.get("strategy"), dict):
            owner["strategy"] = {"folder": ".", **owner["strategy"]}
        tables = {name: value for name, value in owner.items() if isinstance(value, dict)}
        for name, key in _PATHS:
            table = tables.get(name, {}) if name else owner
            text = table.get(key)
            if isinstance(text, str) and _is_path(text, key, base):
                table[key] = str(base / os.path.expanduser(expanded(text, f"{name}.{key}".lstrip("."))))
    data = raw.get("data")
    if isinstance(data, dict) and isinstance(data.get("url"), str):
        data["url"] = _anchored(data["url"], base)


def _anchored(url: str, base: Path) -> str:
    """The URL of a SQLite file as a path may be written; any other as it is: what it reads may be a password."""
    whole = expanded(url, "data.url", "...")
    scheme, separator, file = whole.partition(":///")
    if not scheme.startswith("sqlite") or not separator or not file:
        return url
    return f"{scheme}:///{base / os.path.expanduser(file)}"


_PATHS = (
    ("", "out"),
    ("", "classifier"),  # of a variant
    ("corpus", "alphas"),
    ("alpha", "known"),
    ("data", "path"),
    ("external", "path"),
    ("ideas", "encoder"),
    ("ideas", "library"),
    ("ideas", "model"),
    ("llm", "adapter"),
    ("llm", "model"),
    ("methods", "train"),
    ("news", "path"),
    ("news", "model"),
    ("retrieval", "encoder"),
    ("retrieval", "macro"),
    ("classifier", "base"),
    ("days", "teacher"),
    ("finseer", "base"),
    ("finseer", "start"),
    ("strategy", "folder"),
    ("walk_forward", "train"),
    ("walk_forward", "artifacts"),
)


def _is_path(text: str, key: str, base: Path) -> bool:
    """A model or an encoder may also be ``embedded:NAME``, ``shipped:NAME``, ``walk:KIND`` or a Hub id."""
    if text.startswith(("embedded:", "shipped:", WALK)):
        return False
    return (
        key in ("path", "adapter", "alphas", "out", "train", "artifacts", "macro", "folder", "known", "library")
        or text.startswith((".", "~", "$"))
        or (base / text).is_dir()
    )


def _tables(value: Any) -> list[RawTable]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
