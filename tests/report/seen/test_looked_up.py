"""Looking things up in a browser: a click on a bar shows what was retrieved for it, and trades sort."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from ragsignal.report.page import write_page
from ragsignal.trading import round_trips
from tests.opened import Opened
from tests.sidecars import Written, inspected, read_sidecar

pytestmark = pytest.mark.slow


def opened(browser: Browser, written: Written, width: int) -> Opened:
    write_page(written.result, written.folder)
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(15_000)
    looked_up = Opened(page, written.folder)
    page.locator("#seen-price").scroll_into_view_if_needed()
    page.wait_for_selector("#seen-evidence .chart .main-svg")
    return looked_up


@pytest.fixture(scope="module")
def of_sequences(browser: Browser, sequences: Written) -> Iterator[Opened]:
    it = opened(browser, sequences, 1400)
    yield it
    it.page.close()


@pytest.fixture(scope="module")
def of_days(browser: Browser, days: Written) -> Iterator[Opened]:
    it = opened(browser, days, 390)
    yield it
    it.page.close()


def click_bar(it: Opened, share: float) -> str:
    """Click the chart of signals, ``share`` of its width from the left; give the day that is then shown."""
    before = it.page.input_value("#seen-day")
    area = it.page.locator("#seen-price .nsewdrag").last.bounding_box()
    assert area is not None
    it.page.mouse.click(area["x"] + share * area["width"], area["y"] + area["height"] / 2)
    it.page.wait_for_function(f"document.getElementById('seen-day').value !== '{before}'")
    day = it.page.input_value("#seen-day")
    it.page.wait_for_function(f"document.getElementById('seen-title').textContent.includes('{day}')")
    it.page.wait_for_function("document.querySelector('#seen-evidence .chart .main-svg') !== null")
    return day


def assert_clean(it: Opened) -> None:
    assert it.complaints == []
    assert all(url.startswith((it.folder.as_uri(), "data:", "blob:")) for url in it.asked)
    assert it.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_click_on_a_bar_shows_its_sequences_over_the_query_with_dates_outcomes_and_scores(
    of_sequences: Opened,
    sequences: Written,
) -> None:
    page, day = of_sequences.page, click_bar(of_sequences, 0.7)
    answer = inspected(sequences.spec, "AAA", day, "vote")
    rows = page.locator("#seen-evidence table tbody tr").all_inner_texts()
    assert len(rows) == len(answer["hits"]) == 15
    for row, hit in zip(rows, answer["hits"], strict=True):
        for words in (hit["symbol"], hit["dates"][0], hit["dates"][-1], f"{hit['score']:.3f}", hit["available_at"]):
            assert words in row
        assert hit["movement"] in row
    traces = page.evaluate("document.getElementById('seen-windows').data.map(it => [it.name, it.y])")
    assert [name for name, _ in traces][-2:] == ["query", "what came"]
    assert len(traces) == 17
    assert dict(traces)["query"] == pytest.approx(answer["query"]["closes"], rel=1e-6)
    assert f"{answer['probability']['rise']:.4f}" in page.locator("#seen-facts").inner_text()
    assert_clean(of_sequences)


def test_another_variant_and_another_day_show_another_retrieval(of_sequences: Opened) -> None:
    page = of_sequences.page
    before = page.locator("#seen-evidence table").inner_text()
    page.select_option("#seen-variant", "random")
    page.wait_for_function("document.getElementById('seen-title').textContent.endsWith('random')")
    assert page.locator("#seen-evidence table").inner_text() != before
    day = page.input_value("#seen-day")
    page.click("#seen-after")
    page.wait_for_function(f"document.getElementById('seen-day').value > '{day}'")
    page.select_option("#seen-variant", "hold")
    page.wait_for_function("document.getElementById('seen-caption').textContent.includes('has no signal')")
    assert page.locator("#seen-evidence table").count() == 0
    page.select_option("#seen-variant", "vote")
    assert_clean(of_sequences)


def test_a_click_on_a_bar_shows_its_days_on_the_line_of_the_market_on_a_phone(of_days: Opened, days: Written) -> None:
    page, day = of_days.page, click_bar(of_days, 0.8)
    answer = inspected(days.spec, "S00", day, "state")
    rows = page.locator("#seen-evidence table").first.locator("tbody tr").all_inner_texts()
    assert len(rows) == 20
    for row, hit in zip(rows, answer["hits"], strict=False):
        for words in (hit["date"], f"{hit['similarity']:.2f}", hit["available_at"]):
            assert words in row
    traces = page.evaluate("document.getElementById('seen-timeline').data.map(it => [it.name, it.x])")
    drawn = sorted(dict(traces)["alike"] + dict(traces)["unlike"])
    assert drawn == sorted(hit["date"] for hit in answer["hits"])
    assert f"On {day} the market was" in page.locator("#seen-evidence").inner_text()
    added = f"{sum(answer['days']['contributions'].values()):+.4f}".replace("-", "−")
    assert f"All 41 factors together: {added}" in page.locator("#seen-evidence").inner_text()
    letters = [it["letter"] for it in answer["universe"]["letters"]]
    assert page.locator("#seen-evidence .letters dd:last-child").all_text_contents() == letters
    assert_clean(of_days)


def test_trades_sort_by_a_click_on_a_head_and_lead_to_their_bar(of_sequences: Opened, sequences: Written) -> None:
    page, variant = of_sequences.page, sequences.result.variants[0]
    page.select_option("#account-variant", variant.name)
    page.locator("#trades").scroll_into_view_if_needed()
    page.wait_for_selector("#trades-table tbody tr")
    trips = round_trips(variant.orders, sequences.result.closes.index)
    for direction, best in (("descending", trips["profit"].max()), ("ascending", trips["profit"].min())):
        page.click("#trades-table th >> text=Profit")
        head = page.locator("#trades-table th", has_text="Profit")
        assert head.get_attribute("aria-sort") == direction
        first = page.locator("#trades-table tbody tr").first.locator("td").nth(9).inner_text()
        assert float(first.replace("−", "-").replace(",", "")) == pytest.approx(best, abs=0.01)
    link = page.locator("#trades-table tbody tr").first.locator("button").first
    day = link.inner_text()
    link.click()
    page.wait_for_function(f"document.getElementById('seen-day').value === '{day}'")
    assert_clean(of_sequences)


def test_the_pointer_on_a_bar_shows_its_price_position_and_signal(of_sequences: Opened) -> None:
    page = of_sequences.page
    page.locator("#seen-price").scroll_into_view_if_needed()
    box = page.locator("#seen-price").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 100)
    words = "[...document.querySelectorAll('#seen-price .hovertext')].map(it => it.textContent).join()"
    page.wait_for_function(f"/shares held/.test({words}) && /signal [+-]/.test({words})")


def test_months_and_exposure_follow_the_variant(of_sequences: Opened, sequences: Written) -> None:
    page = of_sequences.page
    page.select_option("#account-variant", "hold")
    page.wait_for_function("document.querySelector('.months[data-of=hold]').hidden === false")
    assert page.locator(".months:visible").count() == 1
    account = read_sidecar(sequences.folder, "account-2")
    words = f"{account['all']} round trips, {account['all']} still open at the end. What is open stands at "
    page.wait_for_function("words => document.getElementById('trades-words').textContent.startsWith(words)", arg=words)
    page.wait_for_selector("#account-exposure .main-svg")
    assert_clean(of_sequences)
