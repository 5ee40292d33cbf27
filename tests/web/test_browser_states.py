"""The page in a real browser over pictures made by hand: what a running demo does not show in a minute."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser

from storage.pool import Connection
from storage.queries import Session
from storage.snapshots import Snapshot, save
from tests.web.browser import CHROMIUM, PHONE, chromium, visit
from tests.web.conftest import NOWHERE, Serve, cut

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")

HOSTILE = "<img src=x onerror=\"document.body.dataset.owned='yes'\">"
PASSWORD = "correct horse"  # noqa: S105


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_status(session: Session, **changed: Any) -> dict[str, Any]:
    """Return the document of a trader of one asset, as `status --json` says it, with what a test wants otherwise."""
    at_ms = now_ms()
    account = {
        "cash_usd": "9000.000000", "reserved_usd": "0.000000", "open_cost_usd": "1000.000000",
        "pnl_net_usd": "12.500000", "open_pnl_usd": "-3.250000", "fees_usd": "1.000000",
        "trades": 4, "wins": 3, "last_refusal": None,
        "outstanding": {"claimable_usd": "0", "claims": [], "unknown_orders": [], "held_to_settlement": []},
    }  # fmt: skip
    asset = {
        "asset": "BTC", "gate": "open", "leaving": False, "window": "btc-w", "closes_at_ms": at_ms + 30_000,
        "opens_at_ms": at_ms - 30_000, "up_price": "0.515000", "spread": "0.010000", "spot": 101.0, "strike": 100.0,
        "signal": 0.1, "probabilities": [0.2, 0.7, 0.1], "decisions": 5, "last_state_age_s": 0.1, "waiting_for": None,
        "position": None, "unsettled": 0, "trades": 4, "pnl_net_usd": "12.500000", "fees_usd": "1.000000",
        "stale_feeds": [], "condition_id": "0xc", "fair_value": 0.61, "bids": [["0.510000", "5.000000"]],
        "asks": [["0.520000", "7.000000"]],
    }  # fmt: skip
    actor = {
        "address": "market.BTC", "life": "running", "incarnation": 2, "restarts": 1, "last_failure": None, "mailbox": 0,
        "last_message_age_s": 0.1, "busy_s": None, "busy_since_ms": None, "up_s": 5.0,
    }  # fmt: skip
    process = {
        "session": session.id, "mode": "paper", "profile": "demo", "pid": 1, "session_started_ms": at_ms,
        "process_started_ms": at_ms, "paper_session": None,
    }  # fmt: skip
    return {
        "schema": 1, "running": True, "at_ms": at_ms, "process": process, "gate": {"level": "open", "holds": []},
        "actors": [actor], "assets": [asset], "portfolio": account, "recorder": None, "learner": None, "limits": [],
        "dead_letters": 0, "hung_threads": 0, "failure": None, "venue": None, **changed,
    }  # fmt: skip


def paint(connection: Connection, session: Session, **changed: Any) -> None:
    save(connection, Snapshot(session.id, now_ms(), msgspec.json.encode(a_status(session, **changed))), lease_epoch=3)


def test_nothing_that_a_venue_or_an_error_says_becomes_part_of_the_page(
    browser: Browser, serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    status = a_status(session)
    status["assets"][0] |= {"window": HOSTILE, "waiting_for": HOSTILE}
    status["actors"][0] |= {"address": f"market.{HOSTILE}", "last_failure": HOSTILE}
    status["portfolio"]["last_refusal"] = HOSTILE
    hold = {"scope": "", "reason": HOSTILE, "level": "closed", "detail": HOSTILE, "set_by": HOSTILE, "lasting": True}
    connection.execute(
        "INSERT INTO health_events (session_id, subject, status, detail, at) VALUES (%s, %s, %s, %s, now())",
        (session.id, HOSTILE, HOSTILE, HOSTILE),
    )
    paint(connection, session, **{**status, "gate": {"level": "closed", "holds": [hold]}, "failure": HOSTILE})
    with visit(browser, serve(database).origin) as visited:
        visited.until("document.querySelector('#holds').textContent.includes('onerror')")
        visited.page.click("#tab-events")
        visited.until("document.querySelector('#ledger').textContent.includes('onerror')")

        assert visited.page.evaluate("document.body.dataset.owned") is None
        assert visited.page.locator("img[onerror]").count() == 0
        assert visited.complaints == []


def test_limits_are_shown_with_what_is_left_of_each(
    browser: Browser, serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    limits = [
        {"name": "daily loss", "scope": "", "unit": "USD", "limit": "500.000000", "used": "450.000000",
         "headroom": "50.000000", "trips": True, "note": "net"},
        {"name": "price", "scope": "BTC", "unit": "USD", "limit": "0.950000", "used": None, "headroom": None,
         "trips": False, "note": ""},
    ]  # fmt: skip
    paint(connection, session, limits=limits)
    with visit(browser, serve(database).origin, PHONE) as visited:
        visited.until("document.querySelectorAll('.limit').length === 2")

        assert "450.00 of 500.00 USD" in visited.text("#limits")
        assert "50.00 left" in visited.text("#limits")
        assert visited.page.locator("#limits .near").count() == 1, "above four fifths it is told apart"
        assert visited.violations() == []


def test_paper_is_held_against_live(
    browser: Browser, serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    status = a_status(session)
    paint(connection, session, process={**status["process"], "mode": "dual", "paper_session": session.id + 1})
    with visit(browser, serve(database).origin) as visited:
        visited.until("!document.querySelector('#beside').hidden")

        assert "Same decisions: 0 orders of both" in visited.text("#divergence-note")
        assert f"Paper, session {session.id + 1}" in visited.text("#divergence")
        assert visited.text("#mode").lower() == "dual"


def test_the_page_says_when_the_trader_is_down_and_when_the_database_is_away_and_recovers(
    browser: Browser, serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    paint(connection, session)
    served = serve(database)
    with visit(browser, served.origin) as visited:
        visited.until("document.querySelector('#link').dataset.state === 'live'")
        trader.execute("UPDATE lease SET released_at = now()")
        trader.execute("SELECT pg_advisory_unlock_all()")
        visited.until("document.querySelector('#banner').textContent.startsWith('No process trades since')")
        assert visited.page.locator("button:has-text('Restart'):not([disabled]):visible").count() == 0
        assert visited.page.is_enabled("#do-halt"), "the next start can be closed"

        served.conninfo = NOWHERE
        cut(database)
        visited.until("document.querySelector('#banner').textContent.startsWith('The database does not answer since')")
        assert "9,000.00" in visited.text("#tiles"), "what was known stays"
        served.conninfo = database
        visited.until("document.querySelector('#link').dataset.state === 'down'")


def test_an_empty_database_is_a_page_that_says_how_to_begin(browser: Browser, serve: Serve, database: str) -> None:
    with visit(browser, serve(database).origin) as visited:
        visited.until("document.querySelector('#banner').textContent.includes('supervisor.py run')")

        assert visited.text("#assets-empty") == "No asset is traded."
        assert visited.violations() == []
        assert visited.complaints == []


def test_one_logs_in_acts_and_logs_out(
    browser: Browser, serve: Serve, database: str, connection: Connection, session: Session, trader: Connection
) -> None:
    paint(connection, session)
    served = serve(database, PASSWORD)
    with visit(browser, served.origin) as visited:
        assert visited.violations() == []
        visited.page.fill("[name=password]", "wrong horse")
        visited.page.keyboard.press("Enter")
        visited.page.wait_for_selector("text=That is not the password")
        visited.page.fill("[name=password]", PASSWORD)
        visited.page.keyboard.press("Enter")
        visited.until("(document.querySelector('#link')?.dataset.state ?? 'starting') !== 'starting'")
        visited.page.click("#do-flatten")
        visited.page.click("#ask-confirm")
        visited.page.wait_for_selector(".toast:has-text('flatten done')")
        visited.page.click("#logout")
        visited.page.wait_for_url("**/login")

        assert served.commands.given == [("flatten", "")]
        assert visited.hosts == {"127.0.0.1"}
