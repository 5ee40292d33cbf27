"""Cancelling orders: by id, all of them, or those of one market."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.routing import Route

from venues.sim.auth.orders import MALFORMED
from venues.sim.exchange import Exchange
from venues.sim.rest.calls import Call, signed
from venues.sim.trading.values import VenueError

_MOST_CANCELS = 1000
_REFUSED = 400
_ORDER_ID = re.compile(r"0x[0-9a-fA-F]{64}")


class _CancelOne(msgspec.Struct, rename={"order_id": "orderID"}):
    order_id: str


class _CancelMarket(msgspec.Struct):
    market: str = ""
    asset_id: str = ""


_decode_one = msgspec.json.Decoder(_CancelOne).decode
_decode_many = msgspec.json.Decoder(list[str]).decode
_decode_market = msgspec.json.Decoder(_CancelMarket).decode


def cancel_routes(exchange: Exchange) -> list[Route]:
    """Return the routes that cancel orders."""
    engine = exchange.engine

    def by_id(call: Call, order_ids: list[str]) -> dict[str, Any]:
        if not all(_ORDER_ID.fullmatch(order_id) for order_id in order_ids):
            raise VenueError(_REFUSED, "Invalid orderID")
        lower = [order_id.lower() for order_id in order_ids]
        return _cancelled(*engine.cancel(call.key.api_key, lower, call.now_ms))

    async def cancel(call: Call) -> dict[str, Any]:
        try:
            order_ids = [_decode_one(call.body).order_id]
        except msgspec.DecodeError:
            raise VenueError(_REFUSED, MALFORMED) from None
        return by_id(call, order_ids)

    async def cancel_many(call: Call) -> dict[str, Any]:
        try:
            order_ids = _decode_many(call.body)
        except msgspec.DecodeError:
            raise VenueError(_REFUSED, MALFORMED) from None
        if len(order_ids) > _MOST_CANCELS:
            raise VenueError(_REFUSED, f"Too many orders in payload, max allowed: {_MOST_CANCELS}")
        return by_id(call, order_ids)

    async def cancel_all(call: Call) -> dict[str, Any]:
        return _cancelled(*engine.cancel_all(call.key.api_key, call.now_ms))

    async def cancel_market(call: Call) -> dict[str, Any]:
        try:
            which = _decode_market(call.body)
        except msgspec.DecodeError:
            raise VenueError(_REFUSED, MALFORMED) from None
        filters = which.market or None, which.asset_id or None
        return _cancelled(*engine.cancel_market(call.key.api_key, *filters, call.now_ms))

    def route(path: str, answer: Callable[[Call], Awaitable[object]]) -> Route:
        return Route(path, signed(exchange, answer, changes=True), methods=["DELETE"])

    return [
        route("/order", cancel),
        route("/orders", cancel_many),
        route("/cancel-all", cancel_all),
        route("/cancel-market-orders", cancel_market),
    ]


def _cancelled(cancelled: list[str], refused: dict[str, str]) -> dict[str, Any]:
    return {"canceled": cancelled, "not_canceled": refused}
