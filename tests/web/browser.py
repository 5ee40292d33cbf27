"""Debian's Chromium over a page: what it asked for, what it complained of."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WITHIN_MS = 20_000
DESKTOP, PHONE = (1440, 900), (360, 740)
Scheme = Literal["light", "dark"]


class Visit:
    """One page with what it did besides being looked at."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str | None] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None,
        )

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def until(self, expression: str, within_ms: float = WITHIN_MS) -> None:
        """Wait until a JavaScript expression holds."""
        self.page.wait_for_function(f"() => {expression}", timeout=within_ms)

    def violations(self) -> list[str]:
        """Return what axe-core calls serious or critical, with the first place of each."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {each['nodes'][0]['html'][:200]} ({each['nodes'][0].get('failureSummary', '')[:200]})"
            for each in found
            if each["impact"] in ("serious", "critical")
        ]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visit(browser: Browser, url: str, size: tuple[int, int] = DESKTOP, scheme: Scheme = "dark") -> Iterator[Visit]:
    """Open a page in a context of its own."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    try:
        visited = Visit(context.new_page())
        visited.page.goto(url)
        yield visited
    finally:
        context.close()
