"""The table of ideas: what proposes formulas for an idea in words."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from ragsignal.config.tables import AtLeastOne, FilePath, Table, WindowBars

_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_SECRETS = re.compile(r"(sk|pk|hf|gsk|key|xai)[-_]\w{8}", re.IGNORECASE)


def _checked_url(url: str) -> str:
    try:
        read = urlsplit(url)
        sound = read.scheme in ("http", "https") and bool(read.hostname) and (read.port is None or read.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(
            f'{url!r}: the URL of an OpenAI-compatible server was expected, such as "http://localhost:8080/v1"'
        )
    if read.username or read.password or read.query or read.fragment:
        raise ValueError(
            "a URL without user, password, '?' and '#' was expected: a spec is no place for secrets; write "
            'key = "NAME", the environment variable that holds the key'
        )
    return url.rstrip("/")


def _checked_key(name: str) -> str:
    if not _VARIABLE.fullmatch(name) or _SECRETS.match(name):
        raise ValueError(
            'the name of an environment variable was expected, such as key = "OPENAI_API_KEY"; a key itself is never '
            "written in a spec"
        )
    return name


class IdeasSpec(Table):
    """What ``ragsignal alpha ideas`` proposes formulas with: templates, unless a model or a URL is named.

    ``model`` is a causal language model by reference, ``embedded:NAME``, a folder, or a Hub id (then ``revision`` is
    required, a full commit hash); with ``url``, an OpenAI-compatible server that is sent the idea, the name that the
    server has for it. ``key`` names the environment variable that holds the server's key. ``timeout`` is in seconds;
    ``retries`` are of a request that failed, ``asks`` those for lines in the place of such as could not be read.

    ``library`` is a text file with further formulas, one a line, that are looked up by an idea's words. ``floor`` is
    the cosine of ``encoder`` below which a formula, or a template, does not fit.

    A formula has at most ``depth`` operators within each other, takes at most ``tokens`` of a model, and one of
    ``windows``, or of those that the idea names.
    """

    model: str | None = None
    revision: str | None = None
    url: Annotated[str, AfterValidator(_checked_url)] | None = None
    key: Annotated[str, AfterValidator(_checked_key)] | None = None
    timeout: float = Field(default=60.0, gt=0, le=3600)
    retries: int = Field(default=3, ge=0, le=10)
    asks: int = Field(default=2, ge=0, le=10)
    encoder: str = "embedded:all-MiniLM-L6-v2"
    library: FilePath | None = None
    floor: float = Field(default=0.4, ge=-1, le=1)
    depth: int = Field(default=4, ge=1, le=12)
    windows: tuple[WindowBars, ...] = Field(default=(1, 2, 3, 5, 10, 20, 60, 120, 250), min_length=1, strict=False)
    temperature: float = Field(default=1.0, ge=0.01, le=100)
    tokens: int = Field(default=48, ge=1, le=200)
    threads: AtLeastOne | None = None

    @model_validator(mode="after")
    def _check(self) -> IdeasSpec:
        if self.url and not self.model:
            raise ValueError('url needs model, the name that its server has for one, such as model = "qwen3"')
        if self.url and self.revision:
            raise ValueError("revision belongs to a model of the Hub; a server at a URL has its own")
        if self.key and not self.url:
            raise ValueError('key belongs to url: write url = "http://localhost:8080/v1", or delete the key')
        return self
