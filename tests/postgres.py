"""A PostgreSQL of the tests' own: in a temporary folder, behind a Unix socket, gone with the tests.

It is started where a package of PostgreSQL is installed (Debian: ``apt install postgresql``), as another user where
the tests run as root, which ``postgres`` refuses.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

GUARDED, PASSWORD = "guarded", "s3cr:t/wörd"
"""A user who needs a password, and that password: with signs that a URL has to escape."""
_WAIT = 60.0  # seconds; a busy machine starts it in ten
_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB", "max_connections=40")


@dataclass
class Server:
    """A running server.

    Parameters
    ----------
    folder : Path
        Holds its socket.
    process : Popen
    """

    folder: Path
    process: subprocess.Popen[bytes]
    _made: int = 0

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The URL of a database of it."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last one, if it has any."""
        import psycopg

        with psycopg.connect(f"host={self.folder} user=postgres dbname={database}", autocommit=True) as connection:
            cursors = [connection.execute(statement.encode()) for statement in statements]
            return cursors[-1].fetchall() if cursors[-1].description else []

    def new_database(self) -> str:
        """Make an empty database; its name."""
        self._made += 1
        name = f"d{self._made}"
        self.run(f"CREATE DATABASE {name}")
        return name


def binaries() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: float(it.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def running() -> Iterator[Server]:
    """Start a server; skips the test where that cannot be done."""
    pytest.importorskip("psycopg", reason="the extra sql is not installed: pip install 'ragsignal[sql]'")
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL: there is no /usr/lib/postgresql/*/bin/initdb (Debian: apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="ragsignal-pg-"))  # short: the path of a socket has 107 characters at most
    try:
        process = _start(programs, folder)
        try:
            server = Server(folder, process)
            server.run(f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # at once, whoever is still connected
            process.wait(timeout=_WAIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(programs: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Make the data folder, and start the server on it."""
    data, user = folder / "data", _other_user()
    rights: dict[str, Any] = {}
    if user is not None:
        rights = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    init = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(init, check=True, capture_output=True, cwd=folder, **rights)
    (data / "pg_hba.conf").write_text(f"local all {GUARDED} scram-sha-256\nlocal all all trust\n")
    options = (*_QUICK, f"unix_socket_directories={folder}", "listen_addresses=")
    settings = [word for option in options for word in ("-c", option)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([programs / "postgres", "-D", data, *settings], stderr=log, cwd=folder, **rights)
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < _WAIT:
        ready = [programs / "pg_isready", "-q", "-h", folder]
        if subprocess.run(ready, check=False).returncode == 0:
            return process
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()[-1000:]}")


def _other_user() -> pwd.struct_passwd | None:
    """Who runs the server where this process is root's: the package's own user, else one without rights."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in users:
            return users[name]
    pytest.skip(f"PostgreSQL refuses to run as {getpass.getuser()}, and there is no user postgres or nobody")
