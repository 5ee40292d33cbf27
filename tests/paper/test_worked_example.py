"""The example in docs/paper-fills.md is what the broker and the ledger really do."""

from collections.abc import Iterator
from pathlib import Path

from core.market.views import BookView
from core.trading.booking import apply_fill
from core.trading.ledger import new_ledger
from core.trading.lifecycle import FillReported
from core.trading.money import MICRO, decimal
from core.trading.orders import Intent, Order
from core.trading.positions import ClosedTrade
from tests.trading.builders import NOW_MS, a_market, a_view, an_intent, an_order, levels
from venues.paper.broker import PaperBroker

PAGE = Path(__file__).resolve().parents[2] / "docs" / "paper-fills.md"
LEGS: list[tuple[Intent, Order, BookView]] = [
    (
        an_intent("i1"),
        an_order("o1", intent_id="i1", shares=20, limit="0.53"),
        a_view(bids=(), asks=levels(("0.51", 12), ("0.52", 30))),
    ),
    (
        an_intent("i2", action="CLOSE"),
        an_order("o2", intent_id="i2", side="SELL", shares=20, limit="0.50"),
        a_view(bids=levels(("0.55", 15), ("0.54", 40)), asks=levels(("0.56", 1)), received_ms=NOW_MS + 60_000),
    ),
]


def played() -> Iterator[tuple[str, ClosedTrade | None]]:
    """Trade the example and yield a table row for each fill, with the round trip it ended."""
    broker, ledger, market = PaperBroker(50, 5000), new_ledger(100 * MICRO), a_market()
    for intent, order, view in LEGS:
        arrival = broker.submit(order, market, view, view.received_ms)
        for report in broker.arrive(order.id, view, arrival.due_ms):
            assert isinstance(report.event, FillReported)
            fill = report.event.fill
            ledger, trade = (applied := apply_fill(ledger, fill, order, intent)).ledger, applied.closed_trade
            amounts = (fill.shares, fill.price, fill.notional_usd, fill.fee_usd, ledger.cash_usd)
            yield f"| {fill.side} | " + " | ".join(text(amount) for amount in amounts) + " |", trade


def text(amount: int) -> str:
    """Write micros as short as people do."""
    return f"{decimal(amount).normalize():f}"


def test_the_table_is_what_happens() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(("| BUY", "| SELL"))]

    assert rows == [row for row, _ in played()]


def test_the_result_is_what_the_page_says() -> None:
    *_, (_, trade) = played()
    page = " ".join(PAGE.read_text().split())

    assert trade is not None
    assert f"bought at {text(trade.entry_price)} and sold at {text(trade.exit_price)} on average" in page
    assert f"lost {text(-trade.pnl_net_usd)} dollars: the fees ate {text(trade.fees_usd)}" in page
