"""A language model behind an OpenAI-compatible URL: its answers are not held to a grammar, so each line is read."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from ragsignal.alpha.ideas.brief import Brief, message_of
from ragsignal.alpha.ideas.knowledge import Knowledge
from ragsignal.alpha.ideas.propose import Harvest
from ragsignal.errors import ConfigError, ModelError
from ragsignal.version import VERSION

_AGAIN = (408, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0
_MOST_BYTES = 1 << 20
_SHOWN = 5  # lines that could not be read, with the reasons, in the next question
_SIGNS_BEFORE = re.compile(r"^\s*(?:[-*•]\s+|\(?\d+[.):]\s+)?[`*]*|[`*]*[;,.]?\s*$")


@dataclass(frozen=True)
class Server:
    """Where a model answers.

    Parameters
    ----------
    url : str
        Up to ``/v1``.
    model : str
        As the server calls it.
    key : str, optional
        The environment variable that holds the key; the key itself is read when something is asked, and kept nowhere.
    timeout : float
        Seconds that an answer may take.
    retries : int
        Of a request that failed, with pauses of 1, 2, 4 ... seconds, or as long as the server says.
    """

    url: str
    model: str
    key: str | None = None
    timeout: float = 60.0
    retries: int = 3


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another place."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""
        return


class ChatClient:
    """Asks a server.

    Parameters
    ----------
    server : Server
    sleep : callable, optional
        Waits some seconds between two tries.
    """

    def __init__(self, server: Server, sleep: Callable[[float], None] = time.sleep) -> None:
        self.server = server
        self._sleep = sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def ask(self, messages: list[dict[str, str]], temperature: float, seed: int) -> str:
        """The text of an answer.

        Raises
        ------
        ConfigError
            If the environment has no key of that name.
        ModelError
            If the server cannot be reached, refuses, or answers something else; no message holds the key.
        """
        body = {"model": self.server.model, "messages": messages, "temperature": temperature, "seed": seed}
        for attempt in range(self.server.retries + 1):
            try:
                return self._text(self._sent(json.dumps(body).encode()))
            except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
                if attempt == self.server.retries or not _may_pass(error):
                    self._fail(error, attempt)
                self._sleep(_pause(error, attempt))
        raise AssertionError("the last try either answers or fails")

    def _sent(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": f"ragsignal/{VERSION}"}
        if self.server.key is not None:
            headers["Authorization"] = f"Bearer {self._key()}"
        request = urllib.request.Request(f"{self.server.url}/chat/completions", body, headers)
        with self._opener.open(request, timeout=self.server.timeout) as answer:
            read: bytes = answer.read(_MOST_BYTES + 1)
        return read

    def _key(self) -> str:
        name = self.server.key or ""
        key = os.environ.get(name, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise ConfigError(
                f"ideas.key = {name!r}: the environment has no key of that name; type: export {name}=..., or delete "
                "ideas.key if the server asks for none"
            )
        return key

    def _text(self, answer: bytes) -> str:
        """What the model said."""
        if len(answer) > _MOST_BYTES:
            raise ModelError(f"{self.server.url} answered more than {_MOST_BYTES >> 20} MB; ask for fewer formulas")
        try:
            text = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            text = None
        if not isinstance(text, str):
            raise ModelError(
                f"{self.server.url} answered {self._hidden(answer.decode(errors='replace'))!r}; expected JSON with "
                "choices[0].message.content, as OpenAI's chat completions have it; does ideas.url end where /v1 does?"
            )
        return text

    def _fail(self, error: Exception, attempt: int) -> NoReturn:
        tries = f" after {attempt + 1} tries" if attempt else ""
        if isinstance(error, urllib.error.HTTPError):
            said = self._hidden(error.read(2000).decode(errors="replace"))
            hint = _HINTS.get(error.code, "look at the server's own log")
            raise ModelError(
                f"{self.server.url} refused model {self.server.model!r} with HTTP {error.code}{tries}: {said!r}; {hint}"
            ) from None
        reason = self._hidden(str(getattr(error, "reason", None) or error or type(error).__name__))
        raise ModelError(
            f"{self.server.url} gave no answer{tries}: {reason}; start the server, correct ideas.url, or give it more "
            f"time than ideas.timeout = {self.server.timeout:g} s"
        ) from None

    def _hidden(self, text: str) -> str:
        """A server's words on one line, without the key, which some repeat."""
        key = os.environ.get(self.server.key or "", "").strip() or None
        line = " ".join((text.replace(key, "...") if key else text).split())
        return line if len(line) <= 200 else line[:197] + "..."


_HINTS = {
    301: "a redirect is not followed, as it would carry the key elsewhere; write the URL that it leads to",
    302: "a redirect is not followed, as it would carry the key elsewhere; write the URL that it leads to",
    307: "a redirect is not followed, as it would carry the key elsewhere; write the URL that it leads to",
    308: "a redirect is not followed, as it would carry the key elsewhere; write the URL that it leads to",
    400: "it does not take such a request; does it have this model?",
    401: "the key is wrong or missing: ideas.key names the environment variable that holds it",
    403: "the key may not use this model",
    404: "there is no such model or address: ideas.url ends with /v1 as a rule",
    429: "too many requests; wait, or ask for fewer formulas",
}


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, urllib.error.HTTPError) or error.code in _AGAIN


def _pause(error: Exception, attempt: int) -> float:
    """Seconds until the next try: what the server asks for, else twice as many as before; a minute at most."""
    asked = error.headers.get("Retry-After", "") if isinstance(error, urllib.error.HTTPError) else ""
    return min(_LONGEST_WAIT, float(asked) if re.fullmatch(r"\d+(\.\d+)?", asked) else 2.0**attempt)


class UrlSource:
    """A model behind a URL; each line of its answers is read, and it is asked again for those that are no formula.

    Parameters
    ----------
    client : ChatClient
    knowledge : Knowledge
    asks : int
        Times that it is asked again at most.
    temperature : float
    """

    def __init__(self, client: ChatClient, knowledge: Knowledge, asks: int = 2, temperature: float = 1.0) -> None:
        self.knowledge = knowledge
        self.name = f"{client.server.model} at {client.server.url}"
        self._client, self._asks, self._temperature = client, asks, temperature

    def seeds(self, brief: Brief, count: int, seed: int) -> Harvest:
        """Formulas of the first answer, and of those to what could not be read in it."""
        harvest = Harvest(brief.fields, count)
        messages = [{"role": "user", "content": message_of(brief, count)}]
        for _ in range(self._asks + 1):
            before = len(harvest.refused)
            answer = self._client.ask(messages, self._temperature, seed)
            for line in lines_of(answer):
                harvest.take(line)
            if harvest.lacks <= 0:
                break
            wrong = [f"{it.text}: {it.reason}" for it in harvest.refused[before:][:_SHOWN]]
            asked = f"Write {harvest.lacks} more that are different from all of these, one a line, and nothing else."
            question = "\n".join(["These lines are no formulas:", *wrong, asked] if wrong else [asked])
            messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
        return harvest


def lines_of(answer: str) -> list[str]:
    """The lines of an answer without numbers, dots and quotes around them; fences and empty lines are left out."""
    lines = (_SIGNS_BEFORE.sub("", line).strip() for line in answer.splitlines() if not line.strip().startswith("```"))
    return [line for line in lines if line]
