"""The order book's public REST interface: books, ticks, fees, terms, time."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from venues.sim.exchange import Exchange
from venues.sim.rest.account import account_routes
from venues.sim.rest.auth import auth_routes
from venues.sim.rest.calls import open_to_all
from venues.sim.rest.cancels import cancel_routes
from venues.sim.rest.markets import market_routes
from venues.sim.rest.orders import order_routes
from venues.sim.streams.market_frames import book_object
from venues.sim.trading.values import VenueError
from venues.sim.world.listing import Listing

_MICRO = 1_000_000
_MOST_BOOKS = 500
_REFUSED, _NOT_FOUND = 400, 404
_NO_BOOK = "No orderbook exists for the requested token id"


class _BookRequest(msgspec.Struct):
    token_id: str


_decode_requests = msgspec.json.Decoder(list[_BookRequest]).decode


def clob_routes(exchange: Exchange) -> list[Route]:
    """Return the routes below the CLOB's host."""
    return [
        *_book_routes(exchange),
        *market_routes(exchange),
        *_status_routes(exchange),
        *auth_routes(exchange),
        *order_routes(exchange),
        *cancel_routes(exchange),
        *account_routes(exchange),
    ]


def _with_book(exchange: Exchange, token_id: str, now_ms: int) -> Listing | None:
    """Return the token's market while it has a book: from its listing until its resolution."""
    market = exchange.directory.by_token(token_id, now_ms // 1000)
    return None if market is None or now_ms >= exchange.engine.resolves_at_ms(market) else market


def _book_routes(exchange: Exchange) -> list[Route]:
    def of_token(answer: Callable[[Listing, int, str], object]) -> Callable[[Request, int], Awaitable[object]]:
        async def endpoint(request: Request, now_ms: int) -> object:
            token_id = request.query_params.get("token_id", "")
            market = _with_book(exchange, token_id, now_ms)
            if market is None:
                raise VenueError(_NOT_FOUND, _NO_BOOK)
            return answer(market, now_ms, token_id)

        return endpoint

    def book(market: Listing, now_ms: int, token_id: str) -> dict[str, Any]:
        return book_object(exchange.world, market, token_id, exchange.engine.book(market, now_ms))

    def tick_size(market: Listing, now_ms: int, _token_id: str) -> dict[str, float]:
        return {"minimum_tick_size": exchange.engine.tick(market, now_ms) / _MICRO}

    async def books(request: Request, now_ms: int) -> list[dict[str, Any]]:
        try:
            wanted = _decode_requests(await request.body())
        except msgspec.DecodeError:
            raise VenueError(_REFUSED, "Invalid payload") from None
        if len(wanted) > _MOST_BOOKS:
            raise VenueError(_REFUSED, "Payload exceeds the limit")
        found = [(_with_book(exchange, ask.token_id, now_ms), ask.token_id) for ask in wanted]
        return [book(market, now_ms, token_id) for market, token_id in found if market is not None]

    def route(path: str, answer: Callable[[Listing, int, str], object]) -> Route:
        return Route(path, open_to_all(exchange, of_token(answer)))

    return [
        route("/book", book),
        Route("/books", open_to_all(exchange, books), methods=["POST"]),
        route("/tick-size", tick_size),
        route("/neg-risk", lambda *_: {"neg_risk": False}),
        route("/fee-rate", lambda *_: {"base_fee": 1000}),
    ]


def _status_routes(exchange: Exchange) -> list[Route]:
    async def time(_request: Request, _now_ms: int) -> int:
        return exchange.stated_ms() // 1000

    async def ok(_request: Request, _now_ms: int) -> str:
        return "OK"

    async def version(_request: Request, _now_ms: int) -> dict[str, int]:
        return {"version": exchange.terms.version}

    return [
        Route(path, open_to_all(exchange, answer))
        for path, answer in (("/time", time), ("/ok", ok), ("/", ok), ("/version", version))
    ]
