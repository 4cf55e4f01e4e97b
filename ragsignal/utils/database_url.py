"""Addresses of databases, ``postgresql+psycopg://USER:PASSWORD@HOST/NAME``: opened with the password, shown without.

A URL is kept as it is written. ``${NAME}`` in it is read from the environment when the database is opened, so that
what is kept, sent and recorded holds no password.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from ragsignal.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import URL

# To the last @, whatever is between: what hides too much is better than what shows a part of a password.
_PASSWORD = re.compile(r"(?P<head>://[^:]*:)(?P<password>.*)(?=@)", re.DOTALL)
_OPTION = re.compile(r"(?P<head>[?&][^=&\s]*(?:pass|pwd|secret|token)[^=&\s]*=)(?P<password>[^&\s]*)", re.IGNORECASE)
_NAME = re.compile(r"\$\{(\w+)\}")
_EXPECTED = "postgresql+psycopg://USER:${PASSWORD}@HOST/NAME or sqlite:///prices.db was expected"
_POSTGRES = ("postgres", "postgresql")
_LONGEST = 300  # characters of a driver's message


def expanded(text: str, place: str, example: str = "/your/folder") -> str:
    """``text`` with each ``${NAME}`` read from the environment.

    Raises
    ------
    ConfigError
        If one is not set; names ``place``, where the text stands.
    """

    def lookup(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f"{place} uses ${{{match[1]}}}, which is not set; type: export {match[1]}={example}")
        return os.environ[match[1]]

    return _NAME.sub(lookup, text)


def masked(text: str) -> str:
    """``text`` with ``***`` in the place of passwords in URLs; a ``${NAME}`` tells nothing, and stays."""

    def hide(match: re.Match[str]) -> str:
        return match["head"] + (match["password"] if _NAME.fullmatch(match["password"]) else "***")

    return _OPTION.sub(hide, _PASSWORD.sub(hide, text))


@dataclass(frozen=True)
class DatabaseUrl:
    """Where a database is.

    Parameters
    ----------
    text : str
        As it is written.
    place : str
        Where it is written, for messages: ``data.url``.
    """

    text: str
    place: str

    def __str__(self) -> str:
        return masked(self.text)

    def __repr__(self) -> str:
        return f"DatabaseUrl({self!s})"

    def parsed(self) -> URL:
        """As SQLAlchemy has it, with the password; of PostgreSQL with the driver that the extra ``sql`` brings.

        Raises
        ------
        ConfigError
            If SQLAlchemy is not installed, a ``${NAME}`` is not set, or the text is no URL.
        """
        try:
            from sqlalchemy import make_url
            from sqlalchemy.exc import ArgumentError
        except ImportError:
            raise ConfigError(f"{self.place} needs SQLAlchemy; run: pip install 'ragsignal[sql]'") from None
        whole = expanded(self.text, self.place, "...")
        found = _PASSWORD.search(whole)
        if found and "@" in found["password"] and not whole.startswith("sqlite"):
            raise ConfigError(f"{self.place} {masked(whole)} holds a second @; write an @ of the password as %40")
        try:
            url = make_url(whole)
        except (ArgumentError, ValueError):  # from None: what they say may hold a part of the password
            raise ConfigError(f"{self.place} {masked(whole)!r} is no URL of a database; {_EXPECTED}") from None
        return url.set(drivername="postgresql+psycopg") if url.drivername in _POSTGRES else url

    def words(self, error: BaseException) -> str:
        """What a driver says of an error, in one line and without the password."""
        cause = getattr(error, "orig", None) or error
        said = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause) or type(cause).__name__
        secret = self.parsed().password
        for hidden in (str(secret), quote(str(secret), safe="", errors="replace")) if secret else ():
            said = said.replace(hidden, "***")  # before it is cut, and before its spaces are others
        return masked(" ".join(said.split())[:_LONGEST])
