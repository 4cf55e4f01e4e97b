"""Explanations in a browser: the page at desk and phone width, and the report's link to it, which leads there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import ragsignal
from ragsignal import Run
from ragsignal.explanation import Explanation
from ragsignal.report.explained.beside import write_explanations
from tests.report.explained.test_beside import VARIANTS
from tests.specs import spec

pytestmark = pytest.mark.slow

DAY = "2015-03-11"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ragsignal.report.write_tearsheets", lambda *_: None)
        yield ragsignal.backtest(spec(**VARIANTS), out=tmp_path_factory.mktemp("runs of it's"))


@pytest.fixture(scope="module")
def one() -> Explanation:
    return ragsignal.explain(spec(**VARIANTS), "AAA", DAY, "vote").explanation


class Watched:
    """A page, what it asked for and what it complained of."""

    def __init__(self, browser: Browser, path: Path, width: int, dark: bool = False) -> None:
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        self.page.set_default_timeout(15_000)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.goto(path.as_uri())


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_width_in_both_colours_and_asks_for_nothing(
    browser: Browser, one: Explanation, tmp_path: Path, width: int, dark: bool
) -> None:
    silent = Explanation("vote", "B&B <b>", date(2015, 3, 11), "1" * 64, one.meaning, None, "no hits")
    for path in write_explanations([one, silent], tmp_path):
        it = Watched(browser, path, width, dark)
        it.page.evaluate("document.querySelectorAll('main details').forEach(fold => fold.open = true)")
        assert it.page.evaluate("document.documentElement.scrollWidth") == width
        assert it.complaints == []
        assert [url for url in it.asked if not url.startswith("data:")] == [path.as_uri()]
        back, ink = it.page.evaluate("[document.body, document.querySelector('h1')].map(e => getComputedStyle(e))"
                                     ".map((style, at) => at ? style.color : style.backgroundColor)")  # fmt: skip
        assert (back == "rgb(255, 255, 255)") == (not dark)
        assert back != ink
        contents = it.page.locator("#contents a")
        sections = it.page.locator("main section")
        assert contents.count() == sections.count() == (0 if "B_B" in path.name else 6)
        it.page.close()


def test_bars_point_the_way_of_their_effect(browser: Browser, one: Explanation, tmp_path: Path) -> None:
    turned = dataclasses.replace(one.groups[0], effect=-abs(one.groups[0].effect))
    (path,) = write_explanations([dataclasses.replace(one, groups=(turned, *one.groups[1:]))], tmp_path)
    it = Watched(browser, path, 1280)
    for row in it.page.locator(".effects li:not(.ends)").all():
        zero, bar = (row.locator(place).bounding_box() for place in (".zero", ".bar-effect"))
        assert zero is not None
        assert bar is not None
        if "−" in row.locator(".size").inner_text().split()[0]:
            assert bar["x"] + bar["width"] <= zero["x"] + 2
        else:
            assert bar["x"] >= zero["x"] - 2
        assert bar["width"] > 0
    it.page.close()


def show(it: Watched, variant: str, day: str) -> str:
    """Look a bar of AAA up, and return what stands there about why."""
    it.page.select_option("#seen-variant", variant)
    it.page.fill("#seen-day", day)
    it.page.dispatch_event("#seen-day", "change")
    it.page.wait_for_function(
        f"document.getElementById('seen-title').textContent === 'AAA at the close of {day}: {variant}'"
    )
    why = it.page.locator("#seen-evidence .why")
    return str(why.inner_text()) if why.count() else ""


def test_a_bar_of_the_report_gives_the_command_and_once_the_page_is_there_the_link(
    browser: Browser, run: Run, one: Explanation
) -> None:
    it = Watched(browser, run.report, 1280)
    it.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    it.page.locator("#seen-price").scroll_into_view_if_needed()
    it.page.wait_for_selector("#seen-evidence .why")
    told = show(it, "vote", DAY)
    folder = str(run.folder).replace("'", "'\"'\"'")
    command = f"ragsignal explain SPEC --symbol AAA --date {DAY} --variant vote --out '{folder}'"
    assert command in told
    it.page.click("#seen-evidence .why button")
    it.page.wait_for_selector("#seen-evidence .why button:text-matches('Copied|Marked')")
    assert command in it.page.evaluate("navigator.clipboard.readText().catch(() => String(getSelection()))")
    assert it.page.locator("#seen-evidence .why a").count() == 0  # no page, no link
    assert show(it, "hold", DAY) == ""  # it has no signal

    write_explanations([one], run.folder)
    it.page.reload()
    it.page.locator("#seen-price").scroll_into_view_if_needed()
    it.page.wait_for_selector("#seen-evidence .why")
    assert show(it, "vote", DAY).startswith("Why: this signal explained")
    assert "ragsignal explain" in show(it, "vote", "2015-03-12")
    show(it, "vote", DAY)
    it.page.click("#seen-evidence .why a")
    it.page.wait_for_selector("#for-and-against")
    assert it.page.locator("h1").inner_text() == f"AAA at the close of {DAY}: vote"
    assert it.complaints == []
    assert all(url.startswith((run.folder.as_uri(), "data:", "blob:")) for url in it.asked)
    it.page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_line_of_the_command_fits_the_report(browser: Browser, run: Run, width: int) -> None:
    it = Watched(browser, run.report, width)
    it.page.locator("#seen-price").scroll_into_view_if_needed()
    it.page.wait_for_selector("#seen-evidence .why")
    assert it.page.evaluate("document.documentElement.scrollWidth") == width
    it.page.close()
