"""A report's page in a browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page


class Opened:
    """The page, and what it asked for and complained of since it was opened."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.goto(folder.joinpath("index.html").as_uri())

    def scroll_through(self) -> None:
        """See every section, so that every chart is drawn."""
        for section in self.page.locator("main section").all():
            section.scroll_into_view_if_needed()
        self.page.wait_for_function(
            "[...document.querySelectorAll('.chart')].every(it => it.querySelector('.main-svg'))"
        )
        self.page.wait_for_function("document.querySelector('#symbol-table tbody').rows.length > 0")
