"""`status` names what is unfinished: winnings to redeem, orders nobody knows the end of, what settles, the venue."""

from io import StringIO

import msgspec
from rich.console import Console

from cli.live_table import live_table
from cli.status_outstanding import outstanding_of, outstanding_texts, venue_of, venue_text
from core.runtime.clock import VirtualClock
from core.runtime.stepped import SteppedRuntime
from core.status import HeldToSettlement, PortfolioStatus, UnknownOrder, VenueStatus
from core.trading.claims import Claim

NOW_MS = 1_795_400_000_000
ACCOUNT = PortfolioStatus(
    session_id=7,
    cash_usd=9_000_000,
    reserved_usd=0,
    cost_usd=0,
    realised_usd=0,
    fees_usd=0,
    trades=0,
    wins=0,
    holdings={},
    last_refusal=None,
    claims=(
        Claim("BTC", "btc-updown-15m-1", "0xc1", "t1", 12_500_000, NOW_MS - 90_000),
        Claim("ETH", "eth-updown-15m-1", "0xc2", "t2", 1_250_000, NOW_MS - 60_000),
    ),
    unknown=(UnknownOrder("o1", "SOL", "DOWN", "CLOSE", 20_000_000, NOW_MS - 4_000, "sent, but not answered"),),
    held=(HeldToSettlement("XRP", "0xc3", "UP", 3_000_000, "dust"),),
)
VENUE = VenueStatus(
    paused_until_ms=NOW_MS + 8_000, refusal="closed only mode", heartbeat_ms=NOW_MS - 2_500, user_channel=True
)
TEXTS = [
    "to redeem: 12.50 USD of btc-updown-15m-1",
    "to redeem: 1.25 USD of eth-updown-15m-1",
    "outcome unknown for 4 s: SOL CLOSE DOWN 20.00 shares (sent, but not answered)",
    "held to settlement: XRP UP 3.00 shares (dust)",
]
VENUE_TEXT = (
    "venue: heartbeat 2.5 s ago, reconciled not yet, user channel open, asks to wait, 8 s more, "
    "refuses orders: closed only mode"
)


def test_what_is_unfinished_has_a_line_each() -> None:
    assert list(outstanding_texts(outstanding_of(ACCOUNT), NOW_MS)) == TEXTS
    assert venue_text(venue_of(VENUE, NOW_MS), NOW_MS) == VENUE_TEXT


def test_the_json_has_dollars_as_decimals_and_moments_in_milliseconds() -> None:
    shown = msgspec.to_builtins(outstanding_of(ACCOUNT))

    assert shown["claimable_usd"] == "13.750000"
    assert shown["claims"][0] == {
        "asset": "BTC",
        "market": "btc-updown-15m-1",
        "condition_id": "0xc1",
        "claimable_usd": "12.500000",
        "since_ms": NOW_MS - 90_000,
    }
    assert (shown["unknown_orders"][0]["order"], shown["unknown_orders"][0]["since_ms"]) == ("o1", NOW_MS - 4_000)
    assert shown["held_to_settlement"][0]["reason"] == "dust"
    assert msgspec.to_builtins(venue_of(VENUE, NOW_MS))["heartbeat_age_s"] == 2.5


def test_the_live_table_shows_the_same() -> None:
    runtime = SteppedRuntime(VirtualClock(NOW_MS), seed=0, lease_epoch=1)
    runtime.board.publish("portfolio", ACCOUNT, NOW_MS)
    runtime.board.publish("venue", VENUE, NOW_MS)
    console = Console(width=200, record=True, file=StringIO())
    console.print(live_table(runtime, ("BTC",), "live money", 200))
    text = console.export_text()

    assert [line for line in (*TEXTS, VENUE_TEXT) if line not in text] == []
