"""Stooq's and Kaggle's text files: four forms, the same bars as anybody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ragsignal.cli.app import app
from ragsignal.data.check import find_problems
from ragsignal.data.prices import Prices, read_folder, read_table
from ragsignal.errors import DataError

BARS = {
    "AAPL": [("2020-01-02", "10,12,9,11,100"), ("2020-01-03", "11,13,10,12,200")],
    "BRK-B": [("2020-01-02", "20,22,19,21,5.5")],
}
PLAIN_HEAD = "Date,Open,High,Low,Close,Volume"
KAGGLE_HEAD = f"{PLAIN_HEAD},OpenInt"
BULK_HEAD = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"


def bulk_lines(symbol: str, time: str = "000000", period: str = "D") -> list[str]:
    return [f"{symbol}.US,{period},{day.replace('-', '')},{time},{bar},0" for day, bar in BARS[symbol]]


def write(path: Path, head: str, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Prices:
    for symbol, bars in BARS.items():
        write(tmp_path / "plain" / f"{symbol}.csv", PLAIN_HEAD, [",".join(bar) for bar in bars])
    return read_folder(tmp_path / "plain")


@pytest.fixture
def forms(tmp_path: Path) -> dict[str, Path]:
    """A folder of each form, and a long table."""
    for symbol, bars in BARS.items():
        name = f"{symbol.lower()}.us.txt"
        write(tmp_path / "kaggle" / name, KAGGLE_HEAD, [f"{','.join(bar)},0" for bar in bars])
        write(tmp_path / "bulk" / name, BULK_HEAD, bulk_lines(symbol))
    both = [line for symbol in BARS for line in bulk_lines(symbol)]
    return {
        "kaggle": tmp_path / "kaggle",
        "bulk": tmp_path / "bulk",
        "table": write(tmp_path / "all.txt", BULK_HEAD, both),
        "csv table": write(tmp_path / "all.csv", BULK_HEAD, both),
    }


@pytest.mark.parametrize("form", ["kaggle", "bulk", "table", "csv table"])
def test_every_form_gives_the_same_bars_and_nothing_is_wrong_with_it(
    form: str, forms: dict[str, Path], plain: Prices
) -> None:
    path = forms[form]
    read = read_folder if path.is_dir() else read_table
    assert read(path) == plain
    assert read(path).symbols == ("AAPL", "BRK-B")
    assert read(path, ["BRK-B"]) == plain.select(["BRK-B"])
    assert find_problems(path) == []
    done = CliRunner().invoke(app, ["data", "check", str(path)])
    assert done.exit_code == 0, done.output


def test_an_empty_file_is_a_problem_by_name_of_all_and_none_of_the_others(forms: dict[str, Path]) -> None:
    (forms["kaggle"] / "accp.us.txt").touch()
    with pytest.raises(DataError, match=r"accp\.us\.txt ACCP|accp\.us\.txt: an empty file"):
        read_folder(forms["kaggle"])
    assert [problem.rule for problem in find_problems(forms["kaggle"])] == ["an empty file"]
    assert read_folder(forms["kaggle"], ["AAPL"]).symbols == ("AAPL",)
    with pytest.raises(DataError, match=r"aapl: no prices for this symbol\. Did you mean 'AAPL'"):
        read_folder(forms["kaggle"], ["aapl"])


def test_a_text_file_of_no_ticker_is_left_alone_and_of_another_country_keeps_it(
    forms: dict[str, Path], plain: Prices
) -> None:
    (forms["kaggle"] / "README.txt").write_text("prices of two stocks\n")
    assert read_folder(forms["kaggle"]) == plain
    write(forms["kaggle"] / "7203.jp.txt", KAGGLE_HEAD, ["2020-01-02,10,12,9,11,100,0"])
    assert "7203.JP" in read_folder(forms["kaggle"]).symbols


def test_two_files_of_one_symbol_are_a_problem(forms: dict[str, Path]) -> None:
    write(forms["kaggle"] / "AAPL.csv", PLAIN_HEAD, ["2020-01-02,10,12,9,11,100"])
    (problem,) = find_problems(forms["kaggle"])
    assert (problem.symbol, problem.rule) == ("AAPL", "more than one file of this symbol")


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (bulk_lines("BRK-B"), "its ticker says BRK-B"),
        (bulk_lines("AAPL", period="W"), "bars of the period W"),
        ([bulk_lines("AAPL", "093000")[0], bulk_lines("AAPL", "100000")[1]], "intraday bars"),
        ([line.replace("20200103", "20200230") for line in bulk_lines("AAPL")], "unreadable dates"),
        ([*bulk_lines("AAPL"), "AAPL.US,D"], "lines with too few or too many fields"),
    ],
    ids=["another stock", "weekly", "intraday", "no such day", "cut off"],
)
def test_what_is_wrong_with_a_bulk_file_is_named(tmp_path: Path, lines: list[str], rule: str) -> None:
    folder = write(tmp_path / "aapl.us.txt", BULK_HEAD, lines).parent
    assert [problem.rule for problem in find_problems(folder)] == [rule]


def test_one_time_of_day_is_as_good_as_none(tmp_path: Path, plain: Prices) -> None:
    for time in ("0", "000000", "220000", "22:00"):
        path = write(tmp_path / f"at {time}.txt", BULK_HEAD, [it for s in BARS for it in bulk_lines(s, time)])
        assert read_table(path) == plain
