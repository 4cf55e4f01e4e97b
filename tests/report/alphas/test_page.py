"""The page of a search and of a session: what it says is what the record holds, and nothing in it is read as HTML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragsignal.alpha import Entry, Search, SearchFigures, SearchResult, SessionFile, read_search
from ragsignal.errors import ConfigError
from ragsignal.report.alphas.drawings import bars, decay, stretches
from ragsignal.report.alphas.page import SEARCH_PAGE, render_search, render_session, write_run
from tests.searches import search_spec


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGSIGNAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        return Search(search_spec(data={"source": "planted"}, alpha={"keep": 4, "seed": 1})).run()


def test_the_page_says_what_the_record_holds(result: SearchResult, tmp_path: Path) -> None:
    assert result.kept, "this seed keeps some"
    record = write_run(result, tmp_path, {result.kept[0].name: "passed"})
    page = (tmp_path / SEARCH_PAGE).read_text()
    assert page == render_search(read_search(tmp_path))
    assert record["times"]["words"][0] in page
    for kept in result.kept:
        assert kept.formula.replace("<", "&lt;").replace(">", "&gt;") in page
        assert f"{kept.holdout.ic:+.4f}".replace("-", "−") in page
    assert page.count("later bars cut off and poisoned") == 1
    assert "http" not in re.sub(r"https?://www\.w3\.org\S*", "", page)


def test_what_a_person_wrote_is_text_and_no_markup() -> None:
    entry = Entry(
        name="a",
        formula="volume < ts_mean(volume, 5)",
        note="<script>alert(1)</script>",
        tested=SearchFigures(digest="x", ic=0.0123, t=1.5, days=100),
    )
    page = render_session(SessionFile(spec="s.toml", formula=(entry,)), "mine")
    assert "<script>alert" not in page
    assert "volume &lt; ts_mean(volume, 5)" in page
    assert "+0.0123" in page
    assert "No search was run" in page


def test_drawings_of_nothing_and_of_gaps_are_drawn() -> None:
    assert "NaN" not in bars([None, float("nan"), 0.0, -1.0], ["a", "b", "c", "<d>"], 'quotes "here"')
    assert "&lt;d&gt;" in bars([1.0], ["<d>"], "words")
    assert "polyline" in decay([None, 0.1, float("nan"), -0.1], "words")
    assert decay([], "nothing").startswith("<svg")


def test_windows_lie_on_the_line_in_their_order(result: SearchResult) -> None:
    laid = stretches([(it.name, it.first, it.last) for it in result.windows])
    assert [it.name for it in laid] == ["search", "selection", "holdout"]
    assert laid[0].left == 0.0
    assert laid[0].left + laid[0].width < laid[1].left
    assert laid[-1].left + laid[-1].width == pytest.approx(100.0, abs=0.02)


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, r"no search\.json in"), ("{", "cannot be read"), ("[]", "no record of a search"), ("{}", "no record of")],
)
def test_a_folder_that_no_search_wrote_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "search.json").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_search(tmp_path)
