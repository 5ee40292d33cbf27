"""Values for the tests of trading and paper fills, with plausible defaults; prices as text, so that they read well."""

from core.market.events import Level
from core.market.market import FeeSchedule, Market, Side
from core.market.views import BookView, TokenBook
from core.market.window import Window
from core.trading.money import MICRO, micros
from core.trading.orders import Fill, FillState, Intent, IntentAction, Order, OrderSide, OrderType

OPENS_S = 1_776_727_800
NOW_MS = OPENS_S * 1000 + 60_000
CRYPTO_FEES = FeeSchedule(0.07)


def a_market(
    *,
    fees: FeeSchedule | None = CRYPTO_FEES,
    taker_delay_ms: int = 150,
    length_s: int = 900,
    protocol: str = "v1",
    opens_s: int = OPENS_S,
) -> Market:
    """Build the market of one BTC window: tick 0.01, at least 5 shares."""
    return Market(
        window=Window("BTC", opens_s, length_s),
        condition_id="0xc",
        up_token="u",  # noqa: S106 - a token id of the market
        down_token="d",  # noqa: S106
        tick_size=MICRO // 100,
        min_order_shares=5 * MICRO,
        fees=fees,
        taker_delay_ms=taker_delay_ms,
        protocol_version=protocol,
    )


def levels(*pairs: tuple[str, float]) -> tuple[Level, ...]:
    """Build levels from prices and shares, in the order given."""
    return tuple((micros(price), micros(size)) for price, size in pairs)


def mirrored(side: tuple[Level, ...]) -> tuple[Level, ...]:
    """Build the levels that the other token shows for the same resting orders."""
    return tuple((MICRO - price, size) for price, size in side)


def a_view(
    *,
    bids: tuple[Level, ...] = levels(("0.49", 100), ("0.48", 200)),
    asks: tuple[Level, ...] = levels(("0.51", 100), ("0.52", 200)),
    received_ms: int = NOW_MS,
    epoch: int = 1,
    sized: bool = True,
    tick: str = "0.01",
    condition_id: str = "0xc",
) -> BookView:
    """Build both tokens' books from the UP token's levels, best first."""
    return BookView(
        asset="BTC",
        condition_id=condition_id,
        up=TokenBook("u", bids, asks),
        down=TokenBook("d", mirrored(asks), mirrored(bids)),
        tick_size=micros(tick),
        venue_ms=received_ms,
        received_ms=received_ms,
        continuity_epoch=epoch,
        sized=sized,
    )


def an_intent(
    intent_id: str = "i1", side: Side = "UP", action: IntentAction = "OPEN", *, condition_id: str = "0xc"
) -> Intent:
    """Build an intent of the policy."""
    return Intent(intent_id, 1, "BTC", condition_id, side, action, NOW_MS, "policy", (0.1, 0.8, 0.1), (0.0,), 1, 1)


def an_order(
    order_id: str = "o1",
    *,
    intent_id: str = "i1",
    side: OrderSide = "BUY",
    outcome: Side = "UP",
    shares: float = 10,
    limit: str = "0.55",
    order_type: OrderType = "FAK",
    condition_id: str = "0xc",
) -> Order:
    """Build a new order."""
    return Order(
        id=order_id,
        intent_id=intent_id,
        asset="BTC",
        condition_id=condition_id,
        token_id="u" if outcome == "UP" else "d",
        outcome=outcome,
        side=side,
        order_type=order_type,
        limit_price=micros(limit),
        shares=micros(shares),
        created_ms=NOW_MS,
        book_epoch=1,
    )


def a_fill(
    order: Order,
    n: int = 0,
    *,
    shares: float = 10,
    price: str = "0.50",
    fee_usd: int = 0,
    state: FillState = "CONFIRMED",
    at_ms: int = NOW_MS,
) -> Fill:
    """Build the order's fill number `n`."""
    return Fill(
        id=f"{order.id}-{n}",
        order_id=order.id,
        venue="paper",
        trade_id=f"{order.id}-{n}",
        order_hash=order.id,
        token_id=order.token_id,
        side=order.side,
        price=micros(price),
        shares=micros(shares),
        fee_usd=fee_usd,
        liquidity="TAKER",
        state=state,
        filled_ms=at_ms,
    )
