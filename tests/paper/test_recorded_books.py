"""On books as they really were: no fill out of nothing, and no money from trading to and fro."""

import csv
import gzip
from pathlib import Path

import msgspec
import pytest

from core.market.events import Level
from core.market.market import Side
from core.market.views import BookView, TokenBook
from core.trading.booking import apply_fill
from core.trading.ledger import Ledger, free_cash, new_ledger, position_key, release, reserve, sellable_shares
from core.trading.lifecycle import FillReported
from core.trading.money import MICRO, micros
from core.trading.orders import Intent
from core.trading.sizing import Refusal, Sized, size_close, size_open
from tests.trading.builders import a_market, an_intent, an_order
from venues.paper.broker import PaperBroker

BOOKS = Path(__file__).resolve().parents[2] / ".." / "shared" / "recordings" / "clob-books-15m"
WINDOWS = (1_773_893_700, 1_773_947_700)
Row = dict[str, str]


def recorded(opens_s: int, side: str) -> dict[str, Row]:
    """Read one token's snapshots by their time stamp."""
    path = BOOKS / f"btc-updown-15m-{opens_s}__{side}.csv.gz"
    if not path.exists():
        pytest.skip("recorded five-level books are not on this machine")
    with gzip.open(path, "rt") as lines:
        return {row["timestamp_ms"]: row for row in csv.DictReader(lines)}


def token_book(token: str, row: Row) -> TokenBook:
    """Build a book from the five levels of a row."""

    def side(name: str) -> tuple[Level, ...]:
        pairs = [(row[f"{name}_{n}_price"], row[f"{name}_{n}_size"]) for n in range(1, 6)]
        return tuple((micros(price), micros(size)) for price, size in pairs if price and size)

    return TokenBook(token, side("bid"), side("ask"))


@pytest.fixture(scope="module", params=WINDOWS)
def views(request: pytest.FixtureRequest) -> list[BookView]:
    """Both tokens' books of one recorded window, in order of time."""
    up, down = recorded(request.param, "up"), recorded(request.param, "down")
    return [
        BookView("BTC", "0xc", token_book("u", up[at]), token_book("d", down[at]), 10_000, int(at), int(at), 1)
        for at in sorted(up.keys() & down.keys(), key=int)
    ]


def test_both_tokens_show_the_same_resting_orders(views: list[BookView]) -> None:
    def flipped(levels: tuple[Level, ...]) -> tuple[Level, ...]:
        return tuple((MICRO - price, size) for price, size in levels)

    same = sum(flipped(v.up.asks) == v.down.bids and flipped(v.up.bids) == v.down.asks for v in views)

    assert same / len(views) > 0.95


def traded(broker: PaperBroker, ledger: Ledger, view: BookView, intent: Intent, sized: Sized) -> Ledger:
    """Reserve, send into a book that stands still, account for the fills, and release."""
    market = a_market(opens_s=view.received_ms // 900_000 * 900, taker_delay_ms=0)
    order = msgspec.structs.replace(
        an_order(
            f"o-{intent.id}",
            intent_id=intent.id,
            outcome=intent.side,
            side="BUY" if intent.action == "OPEN" else "SELL",
        ),
        shares=sized.shares,
        limit_price=sized.limit_price,
    )
    ledger = reserve(ledger, intent, sized)
    arrival = broker.submit(order, market, view, view.received_ms)
    for report in broker.arrive(order.id, view, arrival.due_ms):
        if isinstance(report.event, FillReported):
            ledger = apply_fill(ledger, report.event.fill, order, intent).ledger
    return release(ledger, intent.id)


@pytest.mark.parametrize("side", ["UP", "DOWN"])
def test_buying_and_selling_into_the_same_book_loses_spread_and_fees(views: list[BookView], side: Side) -> None:
    market, round_trips = a_market(), 0
    for n, view in enumerate(views[:: len(views) // 60]):
        broker, start = PaperBroker(0, 5000), new_ledger(1000 * MICRO)
        book, mid = (view.up if side == "UP" else view.down), view.up.mid
        if mid is None:
            continue
        sized = size_open(
            market, book, mid, trade_size_usd=200 * MICRO, cash_usd=free_cash(start), slippage_ticks=2, order_type="FAK"
        )
        if isinstance(sized, Refusal):
            continue
        held = traded(broker, start, view, an_intent(f"{n}-open", side), sized)
        assert held.cash_usd >= 1000 * MICRO - sized.reserve_usd
        selling = size_close(market, book, sellable_shares(held, "0xc", side), slippage_ticks=2)
        if isinstance(selling, Refusal):
            continue
        after = traded(broker, held, view, an_intent(f"{n}-close", side, "CLOSE"), selling)
        if after.trade_count == 0:
            continue
        round_trips += 1
        bought = held.positions[position_key("0xc", side)]
        assert -after.realised_usd > (book.spread or 0) * bought.shares // MICRO

    assert round_trips > 20
