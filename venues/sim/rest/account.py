"""An owner's orders, trades, balances and heartbeats."""

import base64
from typing import Any, Literal

import msgspec
from starlette.routing import Route

from venues.sim.auth.wallets import wallets_of
from venues.sim.exchange import Exchange
from venues.sim.rest.calls import Call, signed
from venues.sim.rest.objects import order_object, trade_object
from venues.sim.trading.values import VenueError

_REFUSED = 400
PAGE = 100
_END = base64.b64encode(b"-1").decode()
_ASSET_TYPES = ("COLLATERAL", "CONDITIONAL")
_Query = Literal["orders", "trades"]
_BAD_QUERY: dict[_Query, str] = {
    "orders": "invalid order params payload",
    "trades": "Invalid trade params payload",
}


class _Heartbeat(msgspec.Struct):
    heartbeat_id: str | None = None


_decode_heartbeat = msgspec.json.Decoder(_Heartbeat).decode


def account_routes(exchange: Exchange) -> list[Route]:
    """Return the routes about one owner's account."""
    engine = exchange.engine

    async def order(call: Call) -> dict[str, Any] | None:
        found = engine.order(call.key.api_key, call.request.path_params["order_id"].lower())
        return None if found is None else order_object(found)

    async def orders(call: Call) -> dict[str, Any]:
        found = engine.open_orders(
            call.key.api_key,
            order_id=call.asked("id"),
            condition_id=call.asked("market"),
            token_id=call.asked("asset_id"),
        )
        return page([order_object(state) for state in found], call, "orders")

    async def trades(call: Call) -> dict[str, Any]:
        found = engine.trades(
            call.key.api_key,
            trade_id=call.asked("id"),
            maker_address=call.asked("maker_address"),
            condition_id=call.asked("market"),
            token_id=call.asked("asset_id"),
            before_s=_number(call, "before"),
            after_s=_number(call, "after"),
        )
        return page([trade_object(state) for state in found], call, "trades")

    async def balance(call: Call) -> dict[str, Any]:
        address, token_id = _asset(call)
        engine.ensure_account(address, call.now_ms)
        known = engine.balance(address, token_id, call.now_ms)
        allowances = {spender: str(amount) for spender, amount in known.allowances.items()}
        return {"balance": str(known.balance), "allowances": allowances}

    async def refresh(call: Call) -> dict[str, Any]:
        address, token_id = _asset(call)
        engine.ensure_account(address, call.now_ms)
        engine.refresh_balance(address, token_id, call.now_ms)
        return {}

    async def heartbeat(call: Call) -> dict[str, str]:
        try:
            last = _decode_heartbeat(call.body).heartbeat_id
        except msgspec.DecodeError:
            raise VenueError(_REFUSED, "Invalid payload") from None
        return {"heartbeat_id": engine.heartbeat(call.key.api_key, last or None, call.now_ms)}

    return [
        Route("/data/order/{order_id}", signed(exchange, order)),
        Route("/data/orders", signed(exchange, orders)),
        Route("/data/trades", signed(exchange, trades)),
        Route("/balance-allowance", signed(exchange, balance)),
        Route("/balance-allowance/update", signed(exchange, refresh)),
        Route("/v1/heartbeats", signed(exchange, heartbeat), methods=["POST"]),
        Route("/heartbeats", signed(exchange, heartbeat), methods=["POST"]),
    ]


def page(rows: list[dict[str, Any]], call: Call, what: _Query) -> dict[str, Any]:
    """Return the page of `rows` that the request's cursor (a number in base64) asks for, and where the next begins.

    Raises VenueError 400 for a cursor that is none.
    """
    cursor = call.asked("next_cursor")
    try:
        first = 0 if cursor is None else int(base64.b64decode(cursor, validate=True))
    except ValueError:
        raise VenueError(_REFUSED, _BAD_QUERY[what]) from None
    shown = rows[first : first + PAGE] if first >= 0 else []
    more = first >= 0 and first + PAGE < len(rows)
    following = base64.b64encode(str(first + PAGE).encode()).decode() if more else _END
    return {"limit": PAGE, "count": len(shown), "next_cursor": following, "data": shown}


def _number(call: Call, name: str) -> int | None:
    text = call.asked(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise VenueError(_REFUSED, _BAD_QUERY["trades"])
    return int(text)


def _asset(call: Call) -> tuple[str, str | None]:
    """Return whose balance of what is meant: one of the owner's wallets, and a token, None for dollars."""
    kind, token_id = call.asked("asset_type"), call.asked("token_id")
    try:
        address = wallets_of(call.key.address).of_type(int(call.asked("signature_type") or 0))
    except ValueError:
        raise VenueError(_REFUSED, "Invalid signature_type") from None
    if kind not in _ASSET_TYPES:
        raise VenueError(_REFUSED, "Invalid asset type")
    if kind == "CONDITIONAL" and token_id is None:
        raise VenueError(_REFUSED, "Invalid token id")
    return address, token_id if kind == "CONDITIONAL" else None
