"""The page in a browser, opened as a file: it draws, sorts, switches colours, and asks no network for anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ragsignal.report.page import write_page
from tests.opened import Opened
from tests.report.seen.test_days import DAYS, evidence_on
from tests.report.test_report import BENCHMARK, sample_run

pytestmark = pytest.mark.slow

LIT = "elements => elements.filter(it => it.classList.contains('lit')).map(it => it.tagName)"


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("report")
    write_page(dataclasses.replace(sample_run(250), evidence={"rag-shape": evidence_on(DAYS)}), folder)
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light")
    yield Opened(page, folder)
    page.close()


@pytest.mark.parametrize("width", [1400, 390])
def test_every_chart_is_drawn_without_a_complaint_or_an_outside_request(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 900})
    opened.scroll_through()
    opened.page.screenshot(path=opened.folder / f"{width}.png", full_page=True)
    assert opened.complaints == []
    assert all(url.startswith((opened.folder.as_uri(), "data:", "blob:")) for url in opened.asked)
    wide = opened.page.evaluate("document.documentElement.scrollWidth")
    assert wide == width
    opened.page.set_viewport_size({"width": 1400, "height": 900})


def test_the_page_is_small_and_loads_of_its_sidecars_only_what_is_shown(opened: Opened) -> None:
    opened.scroll_through()
    assert opened.folder.joinpath("index.html").stat().st_size < 2e6
    sidecars = {Path(url).name for url in opened.asked if "/assets/" in url} - {"plotly.min.js"}
    assert sidecars == {"symbol-0.js", "evidence-0-0.js", "explained.js", "account-0.js", "symbols.js"}
    opened.page.select_option("#seen-symbol", "IBM")
    opened.page.wait_for_function("document.getElementById('seen-caption').textContent.includes('on IBM: 250 signals')")
    assert any(url.endswith("/assets/symbol-2.js") for url in opened.asked)


def test_every_line_of_the_contents_leads_to_its_section(opened: Opened) -> None:
    links = opened.page.locator("#contents a")
    targets = [str(link.get_attribute("href")) for link in links.all()]
    assert len(targets) == opened.page.locator("main section").count()
    assert all(opened.page.locator(target).count() == 1 for target in targets)
    links.last.click()
    opened.page.wait_for_function("document.querySelector('#provenance').getBoundingClientRect().top < innerHeight")


def test_a_click_on_a_head_sorts_by_number_with_missing_figures_last(opened: Opened) -> None:
    head = opened.page.locator("#variants thead th", has_text="Sharpe").last
    column = head.evaluate("it => it.cellIndex + 1")  # the first head stands in the row above
    read = f"rows => rows.map(row => row.cells[{column}].textContent.replace('−', '-'))"
    rows = opened.page.locator("#variants tbody tr")
    for direction, sign in (("descending", -1), ("ascending", 1)):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        *figures, missing = rows.evaluate_all(read)
        assert figures == sorted(figures, key=lambda it: sign * float(it))
        assert missing == "–"
    opened.page.locator("#variants thead th.name button").click()
    assert head.get_attribute("aria-sort") is None
    assert rows.first.get_attribute("data-variant") == BENCHMARK


def test_dark_colours_follow_the_system_and_the_switch_in_page_and_charts(opened: Opened) -> None:
    def colours() -> tuple[str, str, str]:
        return tuple(
            opened.page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, document.getElementById('curves')._fullLayout"
                ".paper_bgcolor, document.getElementById('curves')._fullData[0].line.color]"
            )
        )

    light = colours()
    assert light[:2] == ("rgb(255, 255, 255)",) * 2
    opened.page.emulate_media(color_scheme="dark")
    opened.page.wait_for_function("document.getElementById('theme').textContent === 'Light'")
    dark = colours()
    assert all(one != other for one, other in zip(light, dark, strict=True))
    opened.page.click("#theme")
    assert colours() == light
    opened.page.click("#theme")
    assert colours() == dark
    opened.page.click("#theme")


def test_a_variant_under_the_pointer_is_marked_in_curves_tables_and_forest_plots(opened: Opened) -> None:
    marked = opened.page.locator("[data-variant='rag-shape']")
    opened.page.hover("#variants tr[data-variant='rag-shape']")
    opened.page.wait_for_selector("#chips [data-variant='rag-shape'].lit")
    assert set(marked.evaluate_all(LIT)) == {"BUTTON", "TR", "LI"}
    curves = opened.page.evaluate("document.getElementById('curves').data.map(it => [it.name, it.opacity])")
    assert {name for name, opacity in curves if opacity == 1} == {"rag-shape"}
    opened.page.hover("h1")
    opened.page.wait_for_function("!document.querySelector('.lit')")


def test_a_page_without_its_folder_says_what_is_missing(opened: Opened) -> None:
    (opened.folder / "assets" / "symbol-3.js").unlink()
    opened.page.select_option("#seen-symbol", "JPM")
    opened.page.wait_for_selector("text=assets/symbol-3.js was not found: keep the folder assets beside this page")
