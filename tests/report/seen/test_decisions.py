"""A bar of decisions from outside: the signal is shown, and P(rise) only where somebody said one."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ragsignal.report.page import write_page
from ragsignal.study import Study
from ragsignal.trading import run_spec
from tests.opened import Opened
from tests.specs import HOLD, spec

pytestmark = pytest.mark.slow


def test_a_buy_is_no_probability_and_a_probability_is_one(browser: Browser, tmp_path: Path) -> None:
    days = Study(spec()).materials.traded.frames["AAA"].index[:5]
    for name, column, said in (("actions", "action", "overweight"), ("odds", "probability", "0.75")):
        lines = "".join(f"AAA,{day:%Y-%m-%d},{said}\n" for day in days)
        (tmp_path / f"{name}.csv").write_text(f"symbol,date,{column}\n" + lines)
    variants = [
        {"name": name, "signal": "external", "external": {"path": tmp_path / f"{name}.csv"}}
        for name in ("actions", "odds")
    ]
    ran = run_spec(spec(variant=[*variants, HOLD], data={"end": days[4].date()}))
    folder = tmp_path / "page"
    folder.mkdir()
    write_page(ran, folder)
    page = Opened(browser.new_page(), folder)
    page.page.locator("#seen-price").scroll_into_view_if_needed()
    page.page.wait_for_function("document.getElementById('seen-title').textContent !== ''")
    shown = {}
    for name in ("actions", "odds"):
        page.page.select_option("#seen-variant", label=name)
        page.page.fill("#seen-day", f"{days[2]:%Y-%m-%d}")
        page.page.dispatch_event("#seen-day", "change")
        page.page.wait_for_function(f"document.getElementById('seen-title').textContent.endsWith('{name}')")
        shown[name] = page.page.inner_text("#seen-facts")
    assert page.complaints == []
    assert "+0.5000" in shown["actions"]
    assert "P(rise)" not in shown["actions"]
    assert "0.7500" in shown["odds"]
    assert "P(rise)" in shown["odds"]
    assert "decisions of a file" in page.page.inner_text("#variants")
