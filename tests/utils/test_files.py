"""A folder is written whole or not at all."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ragsignal.errors import StoreError
from ragsignal.utils.files import cache_folder, write_folder


def write_text(text: str, folder: Path) -> None:
    (folder / "file").write_text(text)


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_appears_with_its_parents_and_nothing_beside_it(tmp_path: Path, replace: bool) -> None:
    write_folder(tmp_path / "deep" / "down", lambda folder: write_text("new", folder), replace=replace)
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "deep",
        "deep/down",
        "deep/down/file",
    ]


@pytest.mark.parametrize(("replace", "kept"), [(False, "old"), (True, "new")])
def test_a_folder_that_is_there_stays_or_goes_as_asked(tmp_path: Path, replace: bool, kept: str) -> None:
    write_folder(tmp_path / "it", lambda folder: write_text("old", folder))
    (tmp_path / "it" / "more").write_text("old")
    write_folder(tmp_path / "it", lambda folder: write_text("new", folder), replace=replace)
    assert (tmp_path / "it" / "file").read_text() == kept
    assert (tmp_path / "it" / "more").exists() is (kept == "old")
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("error", [OSError("disk full"), ValueError("bad tensor"), KeyboardInterrupt()])
def test_a_writer_that_fails_is_heard_and_changes_nothing(tmp_path: Path, error: BaseException, replace: bool) -> None:
    def fail(folder: Path) -> None:
        write_text("half", folder)
        raise error

    write_folder(tmp_path / "it", lambda folder: write_text("old", folder))
    for name in ("it", "other"):
        with pytest.raises(type(error)):
            write_folder(tmp_path / name, fail, replace=replace)
    assert (tmp_path / "it" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refuse_scratch(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise OSError(errno.EACCES, "held by another program")
        return rename(self, target)

    write_folder(tmp_path / "it", lambda folder: write_text("old", folder))
    monkeypatch.setattr(Path, "rename", refuse_scratch)
    with pytest.raises(OSError, match="held by another program"):
        write_folder(tmp_path / "it", lambda folder: write_text("new", folder), replace=True)
    assert (tmp_path / "it" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_a_file_in_the_way_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "it").write_text("a file")
    with pytest.raises(NotADirectoryError):
        write_folder(tmp_path / "it", lambda folder: write_text("new", folder))
    assert (tmp_path / "it").read_text() == "a file"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_of_many_writers_at_once_one_wins_whole(tmp_path: Path) -> None:
    def write(number: int) -> None:
        def fill(folder: Path) -> None:
            for name in ("a", "b"):
                (folder / name).write_text(str(number))

        write_folder(tmp_path / "it", fill)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(16)))
    assert (tmp_path / "it" / "a").read_text() == (tmp_path / "it" / "b").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_of_many_writers_who_replace_the_last_one_stays_whole(tmp_path: Path) -> None:
    def write(number: int) -> None:
        def fill(folder: Path) -> None:
            for name in ("a", "b"):
                (folder / name).write_text(str(number))

        write_folder(tmp_path / "it", fill, replace=True)

    write(99)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(32)))
    write(100)
    assert (tmp_path / "it" / "a").read_text() == (tmp_path / "it" / "b").read_text() == "100"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_what_a_kill_between_two_renames_moved_away_is_put_back(tmp_path: Path) -> None:
    write_folder(tmp_path / "it", lambda folder: write_text("old", folder))
    (tmp_path / "it").rename(tmp_path / f".it.{'0' * 32}.old")
    (tmp_path / f".it.{'0' * 32}.part").mkdir()
    write_folder(tmp_path / "other", lambda folder: write_text("new", folder))
    assert (tmp_path / "it" / "file").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"it", "other"}


def test_a_cache_that_cannot_be_made_says_which_variable_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StoreError, match="set RAGSIGNAL_CACHE to one that can"):
        cache_folder()
