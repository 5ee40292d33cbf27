"""The venue's order and trade objects as values, tolerant of everything captures showed them to vary in."""

from decimal import Decimal
from typing import Literal

import msgspec

from core.trading.money import MICRO, micros
from core.trading.orders import OrderSide
from venues.polymarket.account_values import Leg, TradeState, VenueOrder, VenueOrderStatus, VenueTrade
from venues.polymarket.numbers import parse_micros, parse_whole
from venues.transport import BadFrameError

Number = str | int | float | None
"""Numbers come as strings, as numbers, as "" and not at all."""
_SECONDS_END = 100_000_000_000
"""A stamp below this is in seconds, one above in milliseconds."""
_MOST = 10**18
_PREFIXES = ("TRADE_STATUS_", "ORDER_STATUS_")
_STATES = {
    "MATCHED": TradeState.MATCHED,
    "MATCHED_NOT_BROADCASTED": TradeState.MATCHED,
    "MINED": TradeState.MINED,
    "RETRYING": TradeState.RETRYING,
    "CONFIRMED": TradeState.CONFIRMED,
    "FAILED": TradeState.FAILED,
}


class WireOrder(msgspec.Struct):
    """An order object of REST or the user channel."""

    id: str
    status: str = ""
    market: str = ""
    asset_id: str = ""
    side: OrderSide = "BUY"
    price: Number = None
    original_size: Number = None
    size_matched: Number = None
    order_type: str = ""
    associate_trades: list[str] | None = None
    created_at: Number = None


class WireMaker(msgspec.Struct):
    """One maker of a trade object; some captures leave out `side`."""

    order_id: str
    matched_amount: Number
    price: Number
    owner: str = ""
    maker_address: str = ""
    asset_id: str = ""
    side: OrderSide | Literal[""] | None = None


class WireTrade(msgspec.Struct):
    """A trade object of REST or the user channel."""

    id: str
    status: str
    asset_id: str
    side: OrderSide
    size: Number
    price: Number
    taker_order_id: str = ""
    market: str = ""
    owner: str = ""
    maker_address: str = ""
    transaction_hash: str | None = None
    maker_orders: list[WireMaker] | None = None
    trader_side: str | None = None
    match_time: Number = None
    matchtime: Number = None
    last_update: Number = None


def order_of(wire: WireOrder) -> VenueOrder:
    """Return the order a wire object states.

    Raises:
        BadFrameError: when it has no id or a number that is none.
    """
    if not wire.id:
        raise BadFrameError("order without id")
    status, reason = _status(wire.status)
    return VenueOrder(
        wire.id.lower(),
        status,
        wire.market,
        wire.asset_id,
        wire.side,
        _amount(wire.price),
        _amount(wire.original_size),
        _amount(wire.size_matched),
        wire.order_type,
        tuple(wire.associate_trades or ()),
        instant_ms(wire.created_at),
        reason,
    )


def trade_of(wire: WireTrade) -> VenueTrade:
    """Return the trade a wire object states.

    Raises:
        BadFrameError: when an id, a state, a size or a price cannot be understood: a fill must not be guessed.
    """
    if not wire.id or not wire.asset_id:
        raise BadFrameError("trade without id or asset_id")
    state = _STATES.get(_bare(wire.status))
    if state is None:
        raise BadFrameError(f"trade {wire.id}: status {wire.status[:40]!r} is not known")
    taker = Leg(
        wire.taker_order_id.lower(),
        wire.owner,
        wire.maker_address.lower(),
        wire.asset_id,
        wire.side,
        _price(wire.id, wire.price),
        _shares(wire.id, wire.size),
    )
    return VenueTrade(
        wire.id,
        wire.market,
        state,
        taker,
        tuple(_maker(wire.id, maker, taker) for maker in wire.maker_orders or ()),
        {"TAKER": True, "MAKER": False}.get((wire.trader_side or "").upper()),
        instant_ms(wire.match_time if wire.match_time not in (None, "") else wire.matchtime),
        instant_ms(wire.last_update),
        wire.transaction_hash or "",
    )


def instant_ms(value: Number) -> int:
    """Return a stamp in seconds or milliseconds, text or number, as unix milliseconds; 0 where there is none.

    Raises:
        BadFrameError: for anything else.
    """
    if value is None or value == "":
        return 0
    number = parse_whole(value.partition(".")[0]) if isinstance(value, str) else _whole(value)
    return number * 1000 if number < _SECONDS_END else number


def _maker(trade_id: str, wire: WireMaker, taker: Leg) -> Leg:
    token_id = wire.asset_id or taker.token_id
    return Leg(
        wire.order_id.lower(),
        wire.owner,
        wire.maker_address.lower(),
        token_id,
        # same token: the other side of the trade; the other token: both buy (a mint) or both sell (a merge)
        wire.side or (taker.side if token_id != taker.token_id else _opposite(taker.side)),
        _price(trade_id, wire.price),
        _shares(trade_id, wire.matched_amount),
    )


def _opposite(side: OrderSide) -> OrderSide:
    return "SELL" if side == "BUY" else "BUY"


def _bare(status: str) -> str:
    status = status.strip().upper()
    for prefix in _PREFIXES:
        status = status.removeprefix(prefix)
    return status


def _status(text: str) -> tuple[VenueOrderStatus, str]:
    """Return status and reason: `CANCELED_<reason>` and `UNMATCHED_<reason>` carry one, in its own letters."""
    bare = text.strip()
    for prefix in _PREFIXES:
        bare = bare.removeprefix(prefix)
    head, _, reason = bare.partition("_")
    head = head.upper().replace("CANCELLED", "CANCELED")
    if head in VenueOrderStatus.__members__ and head != "OTHER":
        return VenueOrderStatus(head), reason[:200]
    return VenueOrderStatus.OTHER, bare[:200]


def _amount(value: Number) -> int | None:
    """Return a number in 1e-6; None where the venue states none."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        amount = parse_micros(value)
    elif abs(value) <= _MOST / MICRO:  # not so for NaN
        amount = micros(Decimal(str(value)))
    else:
        raise BadFrameError(f"{value!r} is no amount")
    if not 0 <= amount <= _MOST:
        raise BadFrameError(f"{value!r} is no amount")
    return amount


def _shares(trade_id: str, value: Number) -> int:
    shares = _amount(value)
    if not shares:
        raise BadFrameError(f"trade {trade_id}: size {value!r} is none")
    return shares


def _price(trade_id: str, value: Number) -> int:
    price = _amount(value)
    if price is None or price > MICRO:
        raise BadFrameError(f"trade {trade_id}: price {value!r} is none")
    return price


def _whole(value: float) -> int:
    if not 0 <= value <= _MOST:
        raise BadFrameError(f"{value!r} is no instant")
    return int(value)
