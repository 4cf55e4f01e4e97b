"""What a search leaves behind: the kept formulas, which a spec can name, and the record that its page is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ragsignal.alpha.result import ALPHAS, RECORD, JudgedAlpha, SearchResult
from ragsignal.alpha.words import search_words
from ragsignal.errors import ConfigError
from ragsignal.utils import Record, find_run, write_file, write_json

NOT_AUDITED: Mapping[str, str] = {}
"""Where nobody has audited the formulas."""


def write_search(result: SearchResult, folder: Path, audits: Mapping[str, str] = NOT_AUDITED) -> Record:
    """Write ``alphas.toml`` and ``search.json`` into a folder; returns the record.

    ``audits`` is the verdict of the audit of each kept formula by its name.
    """
    text = alphas_text(result.kept)
    write_file(folder / ALPHAS, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))
    record = result.record()
    for alpha in record["kept"]:
        alpha |= {"audit": audits[alpha["name"]]} if alpha["name"] in audits else {}
    record["times"]["words"] = search_words(result)
    write_json(folder / RECORD, record)
    return record


def alphas_text(kept: tuple[JudgedAlpha, ...]) -> str:
    """Kept formulas as TOML."""
    lines = [
        "# Formulas that a search kept. Whether they are distinguishable from noise: search.json beside this file."
    ]
    for it in kept:
        values = {"name": it.name, "formula": it.formula, "digest": it.digest}
        lines += ["", "[[alpha]]", *(f"{key} = {_quoted(value)}" for key, value in values.items())]
        lines.append(f"known_through = {it.known_through}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text)


def read_search(folder: Path) -> Record:
    """The record of a search, by the folder of its run.

    Raises
    ------
    ConfigError
        If there is none, or it is no record of a search.
    """
    path = find_run(folder) / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"no {RECORD} in {path.parent}; name the folder of a search, or a session (`ragsignal alpha search SPEC` "
            "writes the first, `ragsignal alpha chat SPEC` the second)"
        ) from None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}; search again: ragsignal alpha search SPEC") from None
    if not isinstance(record, dict) or not {"spec", "windows", "kept", "population", "times"} <= record.keys():
        raise ConfigError(f"{path} is no record of a search; run it again: ragsignal alpha search SPEC")
    return record
