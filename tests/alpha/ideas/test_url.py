"""A server of the test's own: what it is sent, and what becomes of its answers, sound or not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ragsignal.alpha.ideas.brief import Tried, message_of, polish
from ragsignal.alpha.ideas.propose import propose, propose_all
from ragsignal.alpha.ideas.url import ChatClient, Server, UrlSource, lines_of
from ragsignal.data import BAR_FIELDS, OPERATORS, parse, text_of
from ragsignal.data.prices import load_sample
from ragsignal.errors import ConfigError, LookAheadError, ModelError
from tests.alpha.ideas.readers import made_knowledge

KEY = "sk-secret-0123456789"


class Answers(ThreadingHTTPServer):
    """Answers with what it was given, in turn, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []

    @property
    def at(self) -> Server:
        return Server(f"http://127.0.0.1:{self.server_address[1]}/v1", "small", timeout=5.0, retries=2)

    def says(self, *texts: str) -> None:
        for text in texts:
            body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})
            self.answers.append((200, {}, body.encode()))


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.raw.append(raw + str(self.headers))
        self.server.bodies.append(json.loads(raw))
        self.server.keys.append(self.headers.get("Authorization"))
        self.server.paths.append(self.path)
        status, headers, body = self.server.answers.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Answers()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def client_of(server: Answers, waits: list[float] | None = None, **changes: Any) -> ChatClient:
    return ChatClient(replace(server.at, **changes), (waits if waits is not None else []).append)


def test_lines_that_are_no_formulas_are_told_with_the_reason_and_asked_for_again(
    server: Answers, tmp_path: Path
) -> None:
    server.says("1. `rank(volume)`\nrank(ts_delay(close, -5))\nrank(price)\n", "- rank(close / open)\nrank(volume)")
    source = UrlSource(client_of(server), made_knowledge(tmp_path))
    proposed = propose_all("momentum of volume", BAR_FIELDS, source, count=2)
    assert [text_of(it.formula) for it in proposed.proposals] == ["rank(volume)", "rank(close / open)"]
    assert [it.text for it in proposed.refused][:2] == ["rank(ts_delay(close, -5))", "rank(price)"]
    again = server.bodies[1]["messages"][-1]["content"]
    assert "rank(ts_delay(close, -5)):" in again
    assert "no later one can be reached" in again
    assert "Write 1 more" in again
    assert server.paths == ["/v1/chat/completions"] * 2
    assert {it.came_from for it in proposed.proposals} == {f"small at {server.at.url}"}


def test_it_is_asked_again_so_often_and_no_more(server: Answers, tmp_path: Path) -> None:
    server.says("I am a poet", "no", "never", "rank(volume)")
    source = UrlSource(client_of(server), made_knowledge(tmp_path), asks=2)
    proposed = propose_all("momentum of volume", BAR_FIELDS, source, count=1)
    assert (len(server.bodies), len(proposed.proposals), len(proposed.refused)) == (3, 0, 3)


def test_what_is_sent_is_the_idea_fields_operators_known_formulas_and_search_results(
    server: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.says("rank(volume)")
    knowledge = made_knowledge(tmp_path)
    tried = Tried(parse("rank(ts_delta(volume, 7))"), 0.0123, 321)
    brief = polish("momentum of volume over 20 days", BAR_FIELDS, knowledge, [tried])
    propose(brief, BAR_FIELDS, UrlSource(client_of(server, key="MY_KEY"), knowledge), count=1)
    (body,) = server.bodies
    assert set(body) == {"model", "messages", "temperature", "seed"}
    assert body["messages"] == [{"role": "user", "content": message_of(brief, 1)}]
    left = body["messages"][0]["content"]
    for part in (
        brief.idea,
        "rank(ts_delta(volume, 7)): +0.0123 over 321 days",
        *(it.known.words for it in brief.context),
    ):
        assert part in left
        left = left.replace(part, "")
    for name in OPERATORS:
        assert f"\n{name}(" in left
    prices = load_sample()
    for symbol, frame in prices.frames.items():
        assert len(symbol) < 3 or symbol not in left
        assert not any(f"{value:.2f}" in server.raw[0] for value in frame["close"])
    assert server.keys == [f"Bearer {KEY}"]
    assert KEY not in json.dumps(body)


@pytest.mark.parametrize("window", ["selection", "holdout"])
def test_no_result_of_days_that_judge_can_be_sent(window: Any) -> None:
    with pytest.raises(
        LookAheadError, match=rf"rank\(close\) was tried on the {window} window; only results of the se"
    ):
        polish("momentum", tried=[Tried(parse("rank(close)"), 0.02, 100, window)])


def test_a_busy_server_is_asked_again_after_a_pause(server: Answers) -> None:
    waits: list[float] = []
    server.answers = [(503, {}, b"busy"), (429, {"Retry-After": "7"}, b"slow down")]
    server.says("hello")
    assert client_of(server, waits).ask([], 1.0, 0) == "hello"
    assert waits == [1.0, 7.0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (401, {}, b"bad key " + KEY.encode()),
            r"refused model 'small' with HTTP 401: 'bad key \.\.\.'; the key is wrong",
        ),
        ((404, {}, b""), r"HTTP 404: ''; there is no such model or address: ideas.url ends with /v1"),
        (
            (307, {"Location": "http://127.0.0.1:1/"}, b""),
            r"HTTP 307: ''; a redirect is not followed, as it would carry",
        ),
        ((200, {}, b"<html>hello</html>"), r"answered '<html>hello</html>'; expected JSON with choices\[0\]"),
        ((200, {}, b'{"choices": []}'), r"expected JSON with choices\[0\]\.message\.content"),
        ((200, {}, b'{"choices": [{"message": {"content": null}}]}'), r"expected JSON with choices"),
        ((200, {}, b"x" * ((1 << 20) + 2)), r"answered more than 1 MB; ask for fewer formulas"),
    ],
)
def test_an_answer_that_is_none(server: Answers, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.answers = [answer]
    with pytest.raises(ModelError, match=said) as error:
        client_of(server, key="MY_KEY").ask([], 1.0, 0)
    assert KEY not in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.bodies) == 1  # none of these passes by itself


def test_a_server_that_stays_busy(server: Answers) -> None:
    server.answers = [(500, {}, b"oops")] * 3
    with pytest.raises(ModelError, match=r"HTTP 500 after 3 tries: 'oops'; look at the server's own log"):
        client_of(server).ask([], 1.0, 0)


def test_no_server_at_all() -> None:
    waits: list[float] = []
    server = Server("http://127.0.0.1:9/v1", "small", timeout=2.0, retries=1)
    with pytest.raises(ModelError, match=r"http://127.0.0.1:9/v1 gave no answer after 2 tries: .*; start the server"):
        ChatClient(server, waits.append).ask([], 1.0, 0)
    assert waits == [1.0]


@pytest.mark.parametrize("key", [None, "", "two\nlines"])
def test_no_key_in_the_environment(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("MY_KEY", key)
    client = ChatClient(Server("http://127.0.0.1:9/v1", "small", "MY_KEY"))
    with pytest.raises(
        ConfigError, match=r"ideas.key = 'MY_KEY': the environment has no key of that name; type: export"
    ):
        client.ask([], 1.0, 0)


def test_signs_around_a_line_are_no_part_of_it() -> None:
    answer = "```python\n1. rank(close)\n- `rank(-close)`;\n\n2) **-rank(open)**\n* rank(high),\n-rank(low)\n```"
    assert lines_of(answer) == ["rank(close)", "rank(-close)", "-rank(open)", "rank(high)", "-rank(low)"]
