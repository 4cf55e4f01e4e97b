"""Pages in a folder and beside a run: their names, what the report is told of them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import ragsignal
from ragsignal import ConfigError, DataError, RagSignalError, Run
from ragsignal.cli.app import app
from ragsignal.explanation import Explanation
from ragsignal.report.explained.beside import open_folder, page_name, write_explanations
from ragsignal.report.explained.view import Explained
from tests.sidecars import read_sidecar
from tests.specs import HOLD, RANDOM, VOTE, spec, write_spec

VARIANTS = {"variant": [VOTE, RANDOM, HOLD], "data": {"end": "2015-03-31"}}
DAY = date(2015, 3, 11)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(folder: Path) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragsignal.report.write_tearsheets", lambda *_: None)
        yield ragsignal.backtest(spec(**VARIANTS), out=folder)


@pytest.fixture(scope="module")
def one() -> Explained:
    return ragsignal.explain(spec(**VARIANTS), "AAA", DAY, "vote")


def named(it: Explanation, **changes: Any) -> Explanation:
    return replace(it, **changes)


# --- beside a run


def test_beside_a_run_the_report_is_told_of_every_page_that_lies_there(run: Run, one: Explained) -> None:
    assert read_sidecar(run.folder, "explained") == {}
    page = one.save(run.folder)
    assert page == run.folder / "explained" / f"vote-AAA-{DAY}.html"
    other = ragsignal.explain(spec(**VARIANTS), "BBB", "2015-03-12", "random").save(run.folder.parent / "latest")
    expected = {"vote": {"AAA": {str(DAY): page.name}}, "random": {"BBB": {"2015-03-12": other.name}}}
    assert read_sidecar(run.folder, "explained") == expected
    other.unlink()  # somebody tidied: the next page that is written leaves no link that leads nowhere
    one.save(run.folder.parent)  # runs/NAME is its last run
    assert read_sidecar(run.folder, "explained") == {"vote": expected["vote"]}


def test_a_signal_that_the_run_did_not_trade_is_refused(run: Run, one: Explained) -> None:
    before = read_sidecar(run.folder, "explained")
    wrong = [
        (named(one.explanation, key="0" * 64), "is not the one that .* traded .*--set options of that run"),
        (named(one.explanation, as_of=date(2015, 3, 14)), "has no signal of vote on AAA at 2015-03-14"),
        (named(one.explanation, symbol="CCC"), "no signal of vote on CCC .*write the page elsewhere: --out"),
        (named(one.explanation, variant="shape"), "no signal of shape on AAA"),
    ]
    for explanation, message in wrong:
        with pytest.raises(DataError, match=message) as caught:
            write_explanations([one.explanation, explanation], run.folder)
        assert "\n" not in str(caught.value)
    assert read_sidecar(run.folder, "explained") == before


def test_a_report_that_does_not_link_pages_gets_no_sidecar(run: Run, one: Explained, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("record.json", "signals.parquet"):
        (old / name).write_bytes((run.folder / name).read_bytes())
    assert one.save(old).parent == old / "explained"
    assert not (old / "assets").exists()


# --- in any folder


def test_names_of_pages_are_file_names_whatever_a_symbol_is_called(one: Explained, tmp_path: Path) -> None:
    symbols = ["AAA", "BRK.B", "../../x", "a/b", "a_b", "^GSPC", "<b>", "汉"]
    several = [named(one.explanation, symbol=symbol, key=f"{n}" * 64) for n, symbol in enumerate(symbols)]
    assert all(path.parent == tmp_path / "new" for path in write_explanations(several, tmp_path / "new"))
    assert len(list((tmp_path / "new").iterdir())) == len(symbols)
    assert page_name(several[0]) == f"vote-AAA-{DAY}.html"
    assert page_name(several[2]) == f"vote-.._.._x-{DAY}-22222222.html"


def test_a_page_is_replaced_by_one_of_the_same_signal_and_names_its_own_command(one: Explained, tmp_path: Path) -> None:
    both = [one.explanation, named(one.explanation, symbol="B B")]
    for _ in range(2):
        first, second = write_explanations(both, tmp_path, "ragsignal explain a.toml --set costs.cash=1")
    command = f"ragsignal explain a.toml --set costs.cash=1 --symbol AAA --date {DAY} --variant vote"
    assert command in first.read_text(encoding="utf-8")
    assert "--symbol &#39;B B&#39;" in second.read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 2


# --- the command


def explain_by(*words: str) -> Any:
    return CliRunner().invoke(app, ["explain", *words])


def test_the_command_writes_the_page_that_python_shows(one: Explained, run: Run, tmp_path: Path) -> None:
    path = write_spec(tmp_path, **VARIANTS)
    place = ["--symbol", "AAA", "--date", str(DAY)]
    done = explain_by(str(path), *place, "--out", str(tmp_path / "pages"))
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pages"] == [str(tmp_path / "pages" / f"vote-AAA-{DAY}.html")]
    assert told["explanations"] == [one.record()]
    assert "page: " in done.stderr
    plain = explain_by(str(path), *place)
    assert set(json.loads(plain.stdout)) == {"variant", "date", "explanations"}
    beside = explain_by(str(path), *place, "--out", str(run.folder.parent / "latest"))
    assert "the report links it at this bar" in beside.stderr
    many = explain_by(str(path), "--symbol", "all", "--date", str(DAY), "--out", str(tmp_path / "many"))
    assert len(json.loads(many.stdout)["pages"]) == 2
    assert "2 pages in" in many.stderr


# --- from Python


def test_in_a_notebook_it_shows_itself_without_a_script(one: Explained) -> None:
    shown = one._repr_html_()
    assert "vote says: " in shown
    assert "<script" not in shown
    assert "http" not in shown
    assert "last return" in shown
    assert shown.count("<svg") > 4
    assert repr(one).startswith("vote says: ")
    assert json.loads(json.dumps(one.record()))["symbol"] == "AAA"
    assert one.html().startswith("<!doctype html>") or "<!doctype html>" in one.html()
    assert one.explanation == ragsignal.explain(spec(**VARIANTS), "AAA", pd.Timestamp(DAY)).explanation


def test_in_a_notebook_names_are_escaped_and_an_abstention_is_its_reason(one: Explained) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    groups = tuple(replace(group, name=hostile) for group in one.explanation.groups)
    hits = tuple(replace(hit, symbol=hostile) for hit in one.explanation.hits)
    assert "<img" not in Explained(named(one.explanation, symbol=hostile, groups=groups, hits=hits))._repr_html_()
    silent = Explanation("vote", "AAA", DAY, "k", "P that", None, f"no hits {hostile}")
    assert Explained(silent)._repr_html_() == (
        "<div><p><strong>vote has no view on AAA at the close of 2015-03-11: no hits "
        "&lt;img src=x onerror=alert(1)&gt;.</strong></p></div>"
    )


def test_the_function_is_not_hidden_by_the_room() -> None:
    import ragsignal.explanation

    assert callable(ragsignal.explain)
    assert ragsignal.explanation.explain is not ragsignal.explain


# --- wrong inputs

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"on": "11.3.2015"}, "'11.3.2015' is no day; write it as 2013-06-12"),
    ({"on": 20150311}, "20150311 is no day"),
    ({"on": None}, "None is no day"),
    ({"symbol": "all"}, "one symbol of data.symbols is explained in a call, got 'all'; for many type: .*--symbol all"),
    ({"symbol": ["AAA"]}, r"one symbol .*got \['AAA'\]"),
    ({"symbol": "AAa"}, "one symbol .*got 'AAa'"),
    ({"variant": "nobody"}, "nobody"),
    ({"variant": "hold"}, "'hold' has nothing to explain: it trades prices alone"),
    ({"on": "2015-03-14"}, "AAA has no bar on 2015-03-14; the nearest"),
    ({"on": "2016-03-11"}, "outside the spec's window"),
    ({"settings": ["data.start"]}, "data.start"),
    ({"spec": "nowhere.toml"}, "nowhere.toml"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_cannot_be_explained_is_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"spec": spec(**VARIANTS), "symbol": "AAA", "on": DAY, "variant": "vote"}
    with pytest.raises(RagSignalError, match=message) as caught:
        ragsignal.explain(**(arguments | changes))
    assert "\n" not in str(caught.value)


def test_a_folder_that_takes_no_page_is_refused_before_the_work(one: Explained, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"file is a file; pages need a folder: name another one with --out"):
            open_folder(path)
    with pytest.raises(ConfigError, match="no run in"):
        open_folder(tmp_path / "latest")
    path = write_spec(tmp_path, **VARIANTS)
    done = explain_by(str(path), "--symbol", "AAA", "--date", str(DAY), "--out", str(tmp_path / "file"))
    assert done.exit_code != 0
    assert "name another one with --out" in str(done.exception or done.stderr)
