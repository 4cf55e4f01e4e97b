"""``ragsignal explain``: JSON for programs, words for people, and wrong inputs in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ragsignal.cli.app import app
from ragsignal.cli.explain import explain
from ragsignal.errors import ConfigError, RagSignalError
from tests.specs import write_spec

pytestmark = pytest.mark.slow

DAY = "2015-03-10"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("spec"))


def invoke(path: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["explain", str(path), *words])


def answered(path: Path, *words: str) -> tuple[Any, str]:
    done = invoke(path, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr


def test_one_signal_is_told_in_words_and_as_json(path: Path) -> None:
    answer, said = answered(path, "--symbol", "AAA", "--date", DAY)
    assert (answer["variant"], answer["date"]) == ("vote", DAY)
    (one,) = answer["explanations"]
    assert (one["symbol"], one["as_of"], one["reads"], len(one["hits"])) == ("AAA", DAY, "votes of sequences", 15)
    assert one["neighbours"]["last"] < DAY
    for words in (
        f"AAA as of {DAY}: P ",
        "without a group of factors",
        "hits that count most, of 15",
        "opposite case: ",
    ):
        assert words in said
    assert one["opposite"]["words"][:40] in said.replace("\n", "")


def test_several_symbols_are_a_table_and_a_list(path: Path) -> None:
    named, said = answered(path, "--symbol", "AAA", "--symbol", "BBB", "--date", DAY, "--variant", "random")
    assert [it["symbol"] for it in named["explanations"]] == ["AAA", "BBB"]
    assert "2 signals" in said
    everyone, _ = answered(path, "--symbol", "all", "--date", DAY, "--variant", "random")
    assert everyone == named


def test_settings_change_the_spec(path: Path) -> None:
    answer, _ = answered(path, "--symbol", "AAA", "--date", DAY, "--set", "retrieval.k=4")
    assert answer["explanations"][0]["hits_read"] == 4


WRONG = [
    (["--symbol", "AAA", "--date", DAY, "--variant", "vot"], r"no variant 'vot'\. Did you mean 'vote'\?"),
    (
        ["--symbol", "AAA", "--date", DAY, "--variant", "momentum"],
        r"trades prices alone; name one of \['vote', 'random'\]",
    ),
    (["--symbol", "AAB", "--date", DAY], r"AAB is none of the 2 symbols .*Did you mean"),
    (["--symbol", "AAA", "--date", "2015-03-08"], r"no bar on 2015-03-08; the nearest .* 2015-03-06 and 2015-03-09"),
    (["--symbol", "AAA", "--date", "2014-12-30"], r"outside the spec's window.*--set data\.start=2014-12-30"),
    (["--symbol", "AAA", "--date", "2016-01-04"], r"outside the spec's window.*--set data\.end=2016-01-04"),
    (["--symbol", "all", "--symbol", "AAA", "--date", DAY], "or all alone"),
    (["--symbol", "AAA", "--date", DAY, "--set", "retrieval.kk=4"], r"kk"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_wrong_inputs_are_a_line_with_the_repair(path: Path, words: list[str], message: str) -> None:
    done = invoke(path, *words)
    assert isinstance(done.exception, RagSignalError)
    with pytest.raises(RagSignalError, match=message):
        raise done.exception


@pytest.mark.parametrize(
    "words", [["--symbol", "AAA"], ["--date", DAY], ["--symbol", "AAA", "--date", "10.3.2015"], ["--symbols", "AAA"]]
)
def test_what_the_command_line_lacks_is_said_with_exit_code_2(path: Path, words: list[str]) -> None:
    assert invoke(path, *words).exit_code == 2


def test_a_spec_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = invoke(tmp_path / "none.toml", "--symbol", "AAA", "--date", DAY)
    assert isinstance(done.exception, ConfigError)
    assert "none.toml" in str(done.exception)


def test_the_help_says_what_it_is_for() -> None:
    assert explain.__doc__ is not None
    assert "opposite case" in CliRunner().invoke(app, ["explain", "--help"]).output.replace("\n", " ")
