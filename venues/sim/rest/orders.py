"""Placing orders, one or several at once."""

import asyncio
from typing import Any

from starlette.routing import Route

from venues.sim.auth.orders import Posted, decode_order, decode_orders, verified
from venues.sim.exchange import Exchange
from venues.sim.rest.calls import Call, signed
from venues.sim.trading.values import Held, Placed, VenueError
from venues.sim.wire import decimal_text

_MOST_ORDERS = 15
_REFUSED = 400


def order_routes(exchange: Exchange) -> list[Route]:
    """Return the routes that take orders."""
    engine = exchange.engine

    async def placed(posted: Posted, call: Call) -> Placed:
        """Place one order, waiting out the taker delay. Raises VenueError."""
        order = await verified(posted, call.key, exchange.terms, exchange.recovery, neg_risk=False)
        engine.ensure_account(order.account, exchange.now_ms())
        answer = engine.place(order, exchange.now_ms())
        while isinstance(answer, Held):
            await asyncio.sleep(max(0.0, (answer.until_ms - exchange.now_ms()) / 1000))
            if exchange.now_ms() >= answer.until_ms:
                answer = engine.result(answer.order_id, exchange.now_ms())
        return answer

    async def post(call: Call) -> dict[str, Any]:
        return placed_object(await placed(decode_order(call.body), call))

    async def post_many(call: Call) -> list[dict[str, Any]]:
        orders = decode_orders(call.body)
        if len(orders) > _MOST_ORDERS:
            raise VenueError(_REFUSED, f"Too many orders in payload: {len(orders)}, max allowed: {_MOST_ORDERS}")

        async def item(posted: Posted) -> dict[str, Any]:
            try:
                return placed_object(await placed(posted, call))
            except VenueError as error:  # one refused order is an item of the answer, the others go on
                return placed_object(Placed("", "unmatched", error=error.text)) | {"status": ""}

        return list(await asyncio.gather(*map(item, orders)))

    return [
        Route("/order", signed(exchange, post, changes=True), methods=["POST"]),
        Route("/orders", signed(exchange, post_many, changes=True), methods=["POST"]),
    ]


def placed_object(placed: Placed) -> dict[str, Any]:
    """Return the answer to one order; amounts are empty while nothing was matched."""
    return {
        "success": True,
        "errorMsg": placed.error,
        "orderID": placed.order_id,
        "takingAmount": decimal_text(placed.taking_amount) if placed.taking_amount else "",
        "makingAmount": decimal_text(placed.making_amount) if placed.making_amount else "",
        "status": placed.status,
        "transactionsHashes": list(placed.transactions_hashes),
        "tradeIDs": list(placed.trade_ids),
    }
