"""The page in a real browser over a running demo: it shows what happens, acts on it, and everybody can use it."""

import contextlib
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from storage.embedded import EmbeddedServer
from tests.system.process import ROOT, UNSTOPPED, Supervisor
from tests.web.browser import CHROMIUM, DESKTOP, PHONE, WITHIN_MS, Scheme, Visit, chromium, visit

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")

IMAGES = "DASHBOARD_IMAGES"
"""Set in the environment: the README's pictures are made anew, of two minutes of the demo as it comes."""
LISTED = "document.querySelector('#ledger tbody tr') !== null || !document.querySelector('#ledger-empty').hidden"
LIVE = "document.querySelector('#link').dataset.state === 'live'"


@contextlib.contextmanager
def demo(*arguments: str, **environ: str) -> Iterator[tuple[Supervisor, str]]:
    """Run the demo with its page, and yield both."""
    folder = Path(tempfile.mkdtemp(prefix="fusebox-test-"))
    given = {"FUSEBOX_DASHBOARD": "true", "FUSEBOX_DASHBOARD_PORT": "0", **environ}
    supervisor = Supervisor(folder, *arguments, environ=given)
    try:
        found = re.search(r"http://\S+", supervisor.wait_for("the web page is at"))
        assert found is not None
        if not any("hold lifted: starting" in line for line in supervisor.lines):
            supervisor.wait_for("hold lifted: starting")
        yield supervisor, found.group()
    finally:
        if supervisor.process.poll() is None:
            supervisor.interrupt()
        supervisor.kill()
        if (folder / "postgres.uri").exists():  # it did not end by itself
            server = EmbeddedServer(folder)
            server.start()
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Supervisor, str]]:
    with demo("--window-s", "20", "--assets", "BTC,ETH") as started:
        yield started


@pytest.fixture(scope="module")
def url(running: tuple[Supervisor, str]) -> str:
    return running[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Browser, url: str) -> Iterator[Visit]:
    """The page on a desk; in the end it has asked nobody else for anything and has nothing to complain of."""
    with visit(browser, url) as visited:
        visited.until(LIVE)
        yield visited
        assert visited.hosts == {"127.0.0.1"}
        assert visited.complaints == []


def test_it_shows_the_account_the_assets_and_every_actor_live(desk: Visit) -> None:
    desk.until("document.querySelectorAll('.asset-tab').length === 2")
    decisions = "[...document.querySelectorAll('.facts dd')].map((e) => e.textContent)"
    desk.page.evaluate("window.before = document.querySelector('#asset-side').innerText")
    desk.until("document.querySelector('#asset-side').innerText !== window.before")

    assert "btc-updown-20s-" in desk.page.evaluate(f"{decisions}.join()")
    actors = desk.text("#actors")
    assert all(name in actors for name in ("market.BTC", "feed.binance.ETH", "portfolio", "learner"))
    assert re.fullmatch(r"[\d,]+\.\d\d", desk.text("#tiles .tile:first-child .value"))
    assert desk.page.locator("#price-chart canvas").count() == 1
    assert desk.page.get_attribute("#price-chart", "aria-label") != "Up price: no data yet"
    assert desk.page.locator(".book tbody tr").count() > 2


def test_records_are_turned_to_by_arrow_keys_and_filtered(desk: Visit) -> None:
    desk.page.focus("#tab-trades")
    desk.page.keyboard.press("ArrowLeft")
    assert desk.page.evaluate("document.activeElement.id") == "tab-events"
    desk.until("document.querySelector('#ledger').textContent.includes('BTC')")

    desk.page.select_option("#filters [name=asset]", "ETH")
    desk.until(
        "document.querySelectorAll('#ledger tbody tr').length > 0 &&"
        " !document.querySelector('#ledger tbody').textContent.includes('BTC')"
    )


def test_an_asset_is_restarted_by_its_button_while_the_other_trades_on(desk: Visit) -> None:
    incarnations = (
        "Object.fromEntries([...document.querySelectorAll('#actors tbody tr')].slice(1)"
        ".filter((row) => row.cells.length > 2).map((row) => [row.cells[0].firstChild.textContent,"
        " Number(row.cells[2].textContent)]))"
    )
    before = desk.page.evaluate(incarnations)
    desk.page.click("role=button[name='Restart BTC'] >> nth=0")
    desk.page.click("#ask-confirm")
    desk.page.wait_for_selector(".toast:has-text('restarted BTC')", timeout=WITHIN_MS)
    desk.until(f"({incarnations})['market.BTC'] > {before['market.BTC']}")

    after = desk.page.evaluate(incarnations)
    assert after["feed.binance.BTC"] > before["feed.binance.BTC"]
    assert after["market.ETH"] == before["market.ETH"]


def test_halt_closes_the_gate_by_keyboard_alone_and_resume_wants_a_reason(desk: Visit) -> None:
    desk.page.focus("#do-halt")
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.type("looking at fills")
    desk.page.keyboard.press("Enter")
    desk.until("document.querySelector('#gate-pill').dataset.level === 'closed'")
    desk.until("document.querySelector('#holds').textContent.includes('looking at fills')")
    assert "by dashboard" in desk.text("#holds")

    desk.page.click("#do-resume")
    desk.page.click("#ask-confirm")
    assert desk.page.evaluate("document.querySelector('#ask').open"), "nothing happens without a reason"
    desk.page.fill("#ask-reason", "the fills are right")
    desk.page.click("#ask-confirm")
    desk.until("!document.querySelector('#ask').open")
    desk.until("!document.querySelector('#holds').textContent.includes('halt')")

    desk.page.click("#tab-events")
    desk.until("document.querySelector('#ledger').textContent.includes('the fills are right) by dashboard')")


def test_flatten_is_asked_twice_and_can_be_taken_back(desk: Visit) -> None:
    desk.page.click("#do-flatten")
    desk.page.keyboard.press("Escape")
    assert "flatten" not in desk.text("#holds")

    desk.page.click("#do-flatten")
    desk.page.select_option("#ask-asset", "ETH")
    desk.page.click("#ask-confirm")
    desk.until("document.querySelector('#holds').textContent.includes('ETH reduce-only: flatten')")
    desk.page.click("#do-resume")
    desk.page.fill("#ask-reason", "flat")
    desk.page.keyboard.press("Enter")
    desk.until("!document.querySelector('#holds').textContent.includes('flatten')")


def test_the_theme_is_the_systems_until_another_is_chosen(browser: Browser, url: str) -> None:
    with visit(browser, url, scheme="light") as light:
        assert light.page.get_attribute("html", "data-theme") == "light"
        light.page.click("#theme")
        light.page.click("#theme")
        assert light.page.get_attribute("html", "data-theme") == "dark"
        light.page.reload()
        assert light.page.get_attribute("html", "data-theme") == "dark"


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "dark"), (DESKTOP, "light"), (PHONE, "dark")], ids=str)
def test_nobody_is_shut_out(browser: Browser, url: str, size: tuple[int, int], scheme: Scheme) -> None:
    with visit(browser, url, size, scheme) as visited:
        visited.until(LIVE)
        visited.until(LISTED)

        assert visited.violations() == []
        assert visited.page.evaluate("document.documentElement.scrollWidth") == size[0], "nothing is wider than it"
        if size == DESKTOP:
            visited.page.click("#do-halt")
            assert visited.violations() == []


def test_a_page_server_that_dies_is_started_again_at_the_same_address_and_trading_does_not_notice(
    running: tuple[Supervisor, str], desk: Visit
) -> None:
    supervisor, url = running
    threads = Path(f"/proc/{supervisor.process.pid}/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    (page,) = (pid for pid in children if b"cli.dashboard" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(int(page), signal.SIGKILL)

    supervisor.wait_for("the web page ended (code -9)")
    assert url in supervisor.wait_for("the web page is back at")
    desk.until(LIVE)
    desk.complaints = [said for said in desk.complaints if "ERR_" not in said]  # what the break itself was told by
    assert supervisor.process.poll() is None


@pytest.mark.skipif(IMAGES not in os.environ, reason=f"{IMAGES}=1 makes the README's pictures anew")
def test_the_readmes_pictures(browser: Browser) -> None:
    with demo(FUSEBOX_POLICY="shipped", **dict.fromkeys(UNSTOPPED, "")) as (supervisor, url):
        for _ in range(30):
            supervisor.wait_for("closed by")
        looks: list[tuple[str, tuple[int, int], Scheme]] = [
            ("dark", (1440, 1290), "dark"), ("light", (1440, 1290), "light"), ("phone", (360, 1290), "dark")
        ]  # fmt: skip
        for name, size, scheme in looks:
            with visit(browser, url, size, scheme) as visited:
                visited.until(LIVE)
                visited.until("document.querySelector('#ledger tbody tr') !== null")
                visited.until("document.querySelector('#equity-chart .nothing').hidden")
                visited.until("/^0:(0[5-9]|1|2)/.test(document.querySelector('#asset-side b').textContent)", 70_000)
                target = ROOT / "docs" / "images" / f"dashboard-{name}.png"
                target.parent.mkdir(exist_ok=True)
                visited.page.screenshot(path=target)
