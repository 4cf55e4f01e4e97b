"""The keys of ``source = "sql"``: what they may say, and that a spec holds no password."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from ragsignal.utils import masked


def _without_password(url: str) -> str:
    if masked(url) != url:  # a spec is copied into every record, and into other people's hands
        raise ValueError(
            f"{masked(url)} holds a password; write ${{DB_PASSWORD}} in its place, and type: export DB_PASSWORD=..."
        )
    return url


UrlText = Annotated[str, AfterValidator(_without_password)]
"""A SQLAlchemy URL; a password in it stands in the environment, as ``${NAME}``."""


def check_sql(source: str, path: Path | None, keys: Mapping[str, str | None]) -> None:
    """Raise ``ValueError`` unless ``url``, ``table`` and ``query`` are what ``source`` needs."""
    given = [name for name, value in keys.items() if value is not None]
    if source != "sql":
        if given:
            raise ValueError(f'data.{given[0]} belongs to source = "sql", but source is "{source}"; delete that line')
        return
    if path is not None:
        raise ValueError(f'source = "sql" reads no path, but data.path is {path}; delete that line, url says where')
    if keys["url"] is None:
        raise ValueError('source = "sql" needs a url, such as "sqlite:///prices.db"')
    if len(given) != 2:
        both = "and not both" if len(given) == 3 else "and neither is there"
        raise ValueError(f'source = "sql" needs table = "NAME" or query = "SELECT ...", {both}')
    if not (keys["table"] or keys["query"] or "").strip():
        raise ValueError(f"data.{given[1]} is empty; name a table, or write a query that selects the bars")
