"""What the order book's endpoints have in common: who calls, the engine's due work, faults, and refusals in JSON."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from venues.sim.auth.keys import ApiKey
from venues.sim.auth.requests import key_of
from venues.sim.exchange import Exchange
from venues.sim.rest.reply import json_reply
from venues.sim.trading.values import VenueError
from venues.sim.transport import FORBIDDEN_PAGE

Endpoint = Callable[[Request], Awaitable[Response]]
_GATEWAY_TIMEOUT = 504


class Call(msgspec.Struct, frozen=True):
    """One signed request: by whose key, with which body, and when (unix milliseconds) it arrived."""

    request: Request
    key: ApiKey
    body: bytes
    now_ms: int

    def asked(self, name: str) -> str | None:
        """Return a query parameter, None when it is missing or empty."""
        return self.request.query_params.get(name) or None


def open_to_all(exchange: Exchange, answer: Callable[[Request, int], Awaitable[object]]) -> Endpoint:
    """Return an endpoint for everybody; `answer` is given the request and the time, and may raise VenueError."""

    async def endpoint(request: Request) -> Response:
        now_ms = exchange.now_ms()
        try:
            exchange.transport.refuse(request.method, path_of(request))
            exchange.engine.advance(now_ms)
            return json_reply(await answer(request, now_ms))
        except VenueError as error:
            return refusal(error)

    return endpoint


def signed(exchange: Exchange, answer: Callable[[Call], Awaitable[object]], *, changes: bool = False) -> Endpoint:
    """Return an endpoint for owners of API keys; everybody else gets a 401.

    Where it `changes` something, its answer may be withheld by a fault after the change was made.
    """

    async def endpoint(request: Request) -> Response:
        body, path = await request.body(), path_of(request)
        now_ms = exchange.now_ms()
        try:
            exchange.transport.refuse(request.method, path)
            stated_s = exchange.stated_ms() // 1000
            key = key_of(request.headers, request.method, path, body, stated_s, exchange.keys)
            exchange.engine.advance(now_ms)
            reply = json_reply(await answer(Call(request, key, body, now_ms)))
        except VenueError as error:
            return refusal(error)
        withheld_ms = exchange.transport.withheld_ms(request.method, path) if changes else None
        if withheld_ms is None:
            return reply
        await asyncio.sleep(withheld_ms / 1000)
        return HTMLResponse("<html><body>504 Gateway Time-out</body></html>", _GATEWAY_TIMEOUT)

    return endpoint


def refusal(error: VenueError) -> Response:
    """Return the venue's reply for an error: its text in JSON, or a page where a proxy in front of it refuses."""
    if error.text == FORBIDDEN_PAGE:
        return HTMLResponse(error.text, error.status)
    body = {"error": error.text}
    if error.heartbeat_id is not None:
        body = {"error_msg": error.text, "heartbeat_id": error.heartbeat_id}
    if error.code:
        body["code"] = error.code
    reply = json_reply(body, error.status)
    if error.retry_after_s is not None:
        reply.headers["retry-after"] = str(error.retry_after_s)
    return reply


def path_of(request: Request) -> str:
    """Return the path below the order book's own root: what clients sign."""
    return str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))
