"""Whether files of weights are what their names say, and whether they fit the model that is to hold them.

Libraries load what they can and warn of the rest: an adapter that fits no layer leaves the base model as it was. Here
each misfit is an error, and so is each file that no library could read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ragsignal.errors import ModelError, RagSignalError

_POINTER = b"version https://git-lfs"
_SHOWN = 3  # names in a message
_OF_BODY = re.compile(r"\.\d+\.|embeddings")  # a numbered layer, or what stands before the first
_LINES, _LETTERS = 3, 400  # of a library's own message, which may name every tensor of a model


def check_file(path: Path) -> None:
    """Refuse a file of a model folder that is cut short, garbage, or a pointer in the place of the file.

    Raises
    ------
    ModelError
        Naming the file, what it should be, and how to get it.
    """
    check_fetched(path)
    if path.suffix == ".safetensors":
        tensor_names(path)
    elif path.suffix == ".json":
        with reading(path, "JSON", "copy the file again from where it came"):
            json.loads(path.read_text(encoding="utf-8"))


def check_fetched(path: Path) -> None:
    """Raise ``ModelError`` where Git LFS left a pointer in the place of a file."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise ModelError(
                f"{path} is a pointer of Git LFS, and not the file itself; type: git lfs pull (in the repository that "
                "it came from), or download the file"
            )


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors of a safetensors file; raises ``ModelError`` where it is no whole one."""
    from safetensors import safe_open

    repair = "it is cut short or another file: copy it again from where it came"
    with reading(path, "safetensors", repair), safe_open(path, framework="np") as file:
        return list(file.keys())


@contextmanager
def reading(where: object, what: str, repair: str) -> Iterator[None]:
    """Turn whatever a library raises over a file into a ``ModelError`` that says where, what and what to do.

    Parameters
    ----------
    where : Path or str
        The file or folder.
    what : str
        What was expected there.
    repair : str
        What to do.
    """
    try:
        yield
    except (RagSignalError, MemoryError):
        raise
    except Exception as error:  # transformers, peft and safetensors raise many kinds: one message for all
        raise ModelError(f"{where} cannot be read as {what}: {_shortened(error)}; {repair}") from error


def check_fit(where: object, what: str, missing: Collection[str], unexpected: Collection[str], repair: str) -> None:
    """Refuse weights that fill a part of a model only, or hold what it has no place for.

    Parameters
    ----------
    where : Path or str
        The file or folder.
    what : str
        The model.
    missing, unexpected : collection of str
        Names of tensors that the model needs and the file lacks, and the other way round.
    repair : str
        What to do.

    Raises
    ------
    ModelError
        Naming the first of both, with their numbers.
    """
    faults = [f"it lacks {_counted(missing)}"] if missing else []
    faults += [f"it holds, without a place for them there, {_counted(unexpected)}"] if unexpected else []
    if faults:
        raise ModelError(f"{where} does not fit {what}: {', and '.join(faults)}; {repair}")


def check_encoder(where: object, loaded: Mapping[str, Collection[str]]) -> None:
    """Refuse an encoder of which layers are missing or left over; heads may be, as another one is laid on.

    Parameters
    ----------
    where : Path or str
    loaded : mapping
        What transformers gives for ``output_loading_info``.

    Raises
    ------
    ModelError
        Naming the layers.
    """
    missing, unexpected = ([key for key in loaded[kind] if _OF_BODY.search(key)] for kind in _KINDS)
    check_fit(where, "the encoder of its config.json", missing, unexpected, "copy it again, or name another encoder")


_KINDS = ("missing_keys", "unexpected_keys")


def _counted(names: Collection[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{len(names)} weights ({shown}{', ...' if len(names) > _SHOWN else ''})"


def _shortened(error: Exception) -> str:
    """The first lines of a library's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = " ".join(lines[:_LINES])[:_LETTERS].rstrip(" .;:")
    more = len(lines) - _LINES
    return f"{text} (and {more} lines more)" if more > 0 else text
