"""The order book's public REST interface: books, ticks, fees, time."""

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from venues.sim.exchange import Exchange
from venues.sim.rest.reply import json_reply
from venues.sim.streams.market_frames import book_object
from venues.sim.world.listing import Listing

_MICRO = 1_000_000
_MOST_BOOKS = 500
_NO_BOOK = {"error": "No orderbook exists for the requested token id"}


class _BookRequest(msgspec.Struct):
    token_id: str


_decode_requests = msgspec.json.Decoder(list[_BookRequest]).decode


def market_terms(exchange: Exchange, market: Listing, now_ms: int) -> dict[str, Any]:
    """Return `/clob-markets`: with the venue's short names.

    `mos` is the minimum size, `mts` the tick, `fd` the fee (rate, exponent, takers only), `itode` taker delay on.
    """
    tick = exchange.world.quote(market.asset, market.opens_at_s, now_ms).tick
    return {
        "c": market.condition_id,
        "t": [{"t": market.up_token, "o": "Up"}, {"t": market.down_token, "o": "Down"}],
        "mos": 5,
        "mts": tick / _MICRO,
        "mbf": 1000,
        "tbf": 1000,
        "itode": True,
        "fd": {"r": exchange.world.variant.fee_rate, "e": 1, "to": True},
        "r": {"mi": 50, "ma": 4.5, "moas": 30},
        "v": "v1",
    }


def clob_routes(exchange: Exchange) -> list[Route]:
    """Return the routes below the CLOB's host."""
    return [*_book_routes(exchange), *_market_routes(exchange), *_status_routes(exchange)]


def _open_market(exchange: Exchange, token_id: str, now_ms: int) -> Listing | None:
    """Return the token's market while it has a book: from its listing until its resolution."""
    market = exchange.directory.by_token(token_id, now_ms // 1000)
    return None if market is None or now_ms >= market.resolves_at_s * 1000 else market


def _book_routes(exchange: Exchange) -> list[Route]:
    def of_token(answer: Callable[[Listing, int, str], object]) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            token_id, now_ms = request.query_params.get("token_id", ""), exchange.now_ms()
            market = _open_market(exchange, token_id, now_ms)
            return json_reply(_NO_BOOK, 404) if market is None else json_reply(answer(market, now_ms, token_id))

        return endpoint

    def book(market: Listing, now_ms: int, token_id: str) -> dict[str, Any]:
        return book_object(exchange.world, market, token_id, now_ms)

    def tick_size(market: Listing, now_ms: int, _token_id: str) -> dict[str, float]:
        tick = exchange.world.quote(market.asset, market.opens_at_s, now_ms).tick
        return {"minimum_tick_size": tick / _MICRO}

    async def books(request: Request) -> Response:
        try:
            wanted = _decode_requests(await request.body())
        except msgspec.DecodeError:
            return json_reply({"error": "Invalid payload"}, 400)
        now_ms = exchange.now_ms()
        found = [(_open_market(exchange, ask.token_id, now_ms), ask.token_id) for ask in wanted[:_MOST_BOOKS]]
        return json_reply([book(market, now_ms, token) for market, token in found if market is not None])

    return [
        Route("/book", of_token(book)),
        Route("/books", books, methods=["POST"]),
        Route("/tick-size", of_token(tick_size)),
        Route("/neg-risk", of_token(lambda *_: {"neg_risk": False})),
        Route("/fee-rate", of_token(lambda *_: {"base_fee": 1000})),
    ]


def _market_routes(exchange: Exchange) -> list[Route]:
    def terms(request: Request) -> Response:
        now_ms = exchange.now_ms()
        market = exchange.directory.by_condition(request.path_params["condition_id"], now_ms // 1000)
        return _no_market() if market is None else json_reply(market_terms(exchange, market, now_ms))

    def by_token(request: Request) -> Response:
        market = exchange.directory.by_token(request.path_params["token_id"], exchange.now_ms() // 1000)
        if market is None:
            return _no_market()
        ids = {"primary_token_id": market.up_token, "secondary_token_id": market.down_token}
        return json_reply({"condition_id": market.condition_id} | ids)

    return [Route("/clob-markets/{condition_id}", terms), Route("/markets-by-token/{token_id}", by_token)]


def _status_routes(exchange: Exchange) -> list[Route]:
    def time(_request: Request) -> Response:
        return json_reply(exchange.now_ms() // 1000)

    def ok(_request: Request) -> Response:
        return json_reply("OK")

    def version(_request: Request) -> Response:
        return json_reply({"version": 2})

    return [Route("/time", time), Route("/ok", ok), Route("/", ok), Route("/version", version)]


def _no_market() -> Response:
    return json_reply({"error": "market not found"}, 404)
