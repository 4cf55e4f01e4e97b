"""URLs of databases: opened with the password, shown without it, whatever signs it has."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.errors import ConfigError
from ragsignal.utils import DatabaseUrl, expanded, masked

secrets = st.text(min_size=1, max_size=12).map("hunter2{}".format)


@settings(deadline=None)
@given(secret=secrets, escaped=st.booleans(), tail=st.sampled_from(["host/db", "/db?host=/tmp", "host:5432/db?a=b"]))
def test_no_part_of_a_password_is_shown(secret: str, escaped: bool, tail: str) -> None:
    written = quote(secret, safe="", errors="replace") if escaped else secret
    text = f"postgresql://me:{written}@{tail}"
    url = DatabaseUrl(text, "data.url")
    assert "hunter2" not in masked(text) + str(url) + repr(url)
    assert masked(masked(text)) == masked(text)
    try:
        password = url.parsed().password
    except ConfigError as caught:
        said = str(caught)
    else:
        said = url.words(
            RuntimeError(f"no luck with {password}\nand {quote(f'{password}', safe='', errors='replace')}")
        )
        assert "\n" not in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://host/db",
        "postgresql://me@host:5432/db",
        "postgresql+psycopg://me:${DB_PASSWORD}@host/db",
        "${DATABASE_URL}",
        "sqlite:///a/b.db",
        "no URL at all",
    ],
)
def test_what_holds_no_password_is_shown_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_the_environment_is_read_when_the_database_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    url = DatabaseUrl("postgres://me:${PW}@h/${NAME}", "data.url")
    monkeypatch.setenv("NAME", "market")
    with pytest.raises(ConfigError, match=r"data\.url uses \$\{PW\}, which is not set; type: export PW="):
        url.parsed()
    monkeypatch.setenv("PW", "hunter2%40")
    parsed = url.parsed()
    assert (parsed.drivername, parsed.password, parsed.database) == ("postgresql+psycopg", "hunter2@", "market")
    assert str(url) == "postgres://me:${PW}@h/${NAME}"
    assert expanded("a${NAME}b", "x") == "amarketb"
