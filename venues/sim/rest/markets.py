"""Markets as the order book describes them: `/clob-markets` (short names), `/markets` (long form), by token."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from venues.sim.exchange import Exchange
from venues.sim.rest.calls import open_to_all
from venues.sim.rest.gamma import title
from venues.sim.trading.values import VenueError
from venues.sim.wire import content_hash
from venues.sim.world.listing import Listing, iso

_MICRO = 1_000_000
_NOT_FOUND, _REFUSED = 404, 400
_END = base64.b64encode(b"-1").decode()
_WINDOWS_BEHIND, _WINDOWS_AHEAD = 4, 8


def market_terms(exchange: Exchange, market: Listing, now_ms: int) -> dict[str, Any]:
    """Return `/clob-markets`: with the venue's short names.

    `mos` is the minimum size, `mts` the tick, `fd` the fee (rate, exponent, takers only), `itode` taker delay on.
    """
    return {
        "c": market.condition_id,
        "t": [{"t": market.up_token, "o": "Up"}, {"t": market.down_token, "o": "Down"}],
        "mos": exchange.engine.rules.min_size / _MICRO,
        "mts": exchange.engine.tick(market, now_ms) / _MICRO,
        "mbf": 1000,
        "tbf": 1000,
        "itode": exchange.engine.rules.taker_delay_ms > 0,
        "fd": {"r": exchange.world.variant.fee_rate, "e": 1, "to": True},
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
        "nr": False,
        "v": "v1",
    }


def market_object(exchange: Exchange, market: Listing, now_ms: int) -> dict[str, Any]:
    """Return the long form; a token's price is the middle of its book until its market is resolved."""
    resolved = now_ms >= exchange.engine.resolves_at_ms(market)
    winner = exchange.world.winner(market.asset, market.opens_at_s) if resolved else None
    quote = exchange.world.quote(market.asset, market.opens_at_s, now_ms)
    up_price = (quote.bid + quote.ask) / 2 / _MICRO if winner is None else float(winner == "Up")
    return {
        "enable_order_book": True,
        "active": True,
        "closed": resolved,
        "archived": False,
        "accepting_orders": exchange.engine.accepting(market, now_ms),
        "accepting_order_timestamp": iso(market.listed_at_s),
        "minimum_order_size": exchange.engine.rules.min_size / _MICRO,
        "minimum_tick_size": exchange.engine.tick(market, now_ms) / _MICRO,
        "condition_id": market.condition_id,
        "question_id": "0x" + content_hash("question", market.slug) + content_hash(market.slug)[:24],
        "question": title(market),
        "market_slug": market.slug,
        "end_date_iso": iso(market.closes_at_s),
        "game_start_time": None,
        "seconds_delay": 0,
        "maker_base_fee": 1000,
        "taker_base_fee": 1000,
        "notifications_enabled": True,
        "neg_risk": False,
        "neg_risk_market_id": "",
        "neg_risk_request_id": "",
        "is_50_50_outcome": False,
        "tokens": [
            {"token_id": token, "outcome": outcome, "price": price, "winner": winner == outcome}
            for token, outcome, price in (
                (market.up_token, "Up", up_price),
                (market.down_token, "Down", 1 - up_price),
            )
        ],
        "tags": ["Crypto"],
    }


def market_routes(exchange: Exchange) -> list[Route]:
    """Return the routes about markets."""
    directory, world = exchange.directory, exchange.world

    def found(request: Request, now_ms: int) -> Listing:
        condition_id = request.path_params["condition_id"]
        if not condition_id.startswith("0x"):
            raise VenueError(_REFUSED, "Invalid market")
        market = directory.by_condition(condition_id, now_ms // 1000)
        if market is None:
            raise VenueError(_NOT_FOUND, "market not found")
        return market

    async def terms(request: Request, now_ms: int) -> dict[str, Any]:
        return market_terms(exchange, found(request, now_ms), now_ms)

    async def long_form(request: Request, now_ms: int) -> dict[str, Any]:
        return market_object(exchange, found(request, now_ms), now_ms)

    async def listed(_request: Request, now_ms: int) -> dict[str, Any]:
        opens_at_s = now_ms // 1000 // world.window_s * world.window_s
        around = range(-_WINDOWS_BEHIND, _WINDOWS_AHEAD + 1)
        markets = [world.market(asset, opens_at_s + k * world.window_s) for k in around for asset in exchange.assets]
        rows = [market_object(exchange, market, now_ms) for market in markets]
        return {"limit": len(rows), "count": len(rows), "next_cursor": _END, "data": rows}

    async def by_token(request: Request, now_ms: int) -> dict[str, str]:
        market = directory.by_token(request.path_params["token_id"], now_ms // 1000)
        if market is None:
            raise VenueError(_NOT_FOUND, "market not found")
        return {
            "condition_id": market.condition_id,
            "primary_token_id": market.up_token,
            "secondary_token_id": market.down_token,
        }

    return [
        Route("/clob-markets/{condition_id}", open_to_all(exchange, terms)),
        Route("/markets", open_to_all(exchange, listed)),
        Route("/markets/{condition_id}", open_to_all(exchange, long_form)),
        Route("/markets-by-token/{token_id}", open_to_all(exchange, by_token)),
    ]
