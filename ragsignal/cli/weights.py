"""``ragsignal weights list|verify``: which model weights are here, and are they intact."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.table import Table

from ragsignal.cli.terminal import Commands, answer, people, say

weights_app = Commands(help="Which model weights are here, and are they intact.")


@weights_app.command("list")
def weights_list() -> None:
    """List the embedded weights and the shipped artifacts, whether they are installed, and how to get them."""
    from ragsignal.artifacts import embedded_status, shipped_status

    rows = [*embedded_status(), *shipped_status()]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("weights", no_wrap=True)
    for title in ("role", "installed", "intact"):
        table.add_column(title)
    for row in rows:
        table.add_row(row["name"], row["role"], _yes(row["installed"]), _yes(row["intact"]))
    people.print(table)
    for row in rows:  # beside the table, whose columns are as narrow as the terminal: a command must be whole
        if not row["installed"] and row["install"]:
            say(f"{row['name']}: {row['install']}")
    answer(rows)


@weights_app.command("verify")
def weights_verify(
    ref: Annotated[
        str | None, typer.Argument(help="embedded:NAME, a folder, or a Hub id; default: all embedded.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit hash of a Hub id.")] = None,
) -> None:
    """Resolve weights as a run would, and check their SHA-256; exit 1 if something is missing or altered."""
    from ragsignal.artifacts import EMBEDDED, resolve

    refs = [ref] if ref else [f"embedded:{name}" for name in EMBEDDED]
    verified = [resolve(name, revision) for name in refs]
    for weights in verified:
        people.print(f"{weights.ref}: verified, {weights.digest[:16]}")
    answer([{"ref": it.ref, "folder": str(it.folder), "digest": it.digest} for it in verified])


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: "–"}[value]
