"""The application: every route and websocket of both venues below one port."""

import itertools

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.websockets import WebSocket

from venues.sim.exchange import Exchange
from venues.sim.rest.admin import admin_routes
from venues.sim.rest.binance import binance_routes
from venues.sim.rest.clob import clob_routes
from venues.sim.rest.gamma import gamma_routes
from venues.sim.streams.binance import BinanceChannel
from venues.sim.streams.connection import endpoint
from venues.sim.streams.market import MarketChannel
from venues.sim.streams.prices import PriceChannel
from venues.sim.streams.user import PATH as USER_PATH
from venues.sim.streams.user import UserChannel

_BINANCE_PREFIXES = ("", "/public", "/market")


def make_app(exchange: Exchange) -> Starlette:
    """Return the exchange as an ASGI application."""
    now_ms, misbehave = exchange.now_ms, exchange.transport.socket_fault
    connections = itertools.count(1)

    def wrapped(socket: WebSocket) -> BinanceChannel:
        return BinanceChannel(exchange, socket.query_params.get("streams", "").split("/"), wrapped=True)

    def raw(socket: WebSocket) -> BinanceChannel:
        return BinanceChannel(exchange, socket.path_params.get("names", "").split("/"), wrapped=False)

    sockets: list[BaseRoute] = [
        WebSocketRoute("/ws/market", endpoint(lambda _: MarketChannel(exchange), now_ms, misbehave)),
        WebSocketRoute(USER_PATH, endpoint(lambda _: UserChannel(exchange), now_ms, misbehave)),
        WebSocketRoute("/prices", endpoint(lambda _: PriceChannel(exchange, next(connections)), now_ms, misbehave)),
    ]
    for prefix in _BINANCE_PREFIXES:
        sockets += [
            WebSocketRoute(f"/binance{prefix}/stream", endpoint(wrapped, now_ms, misbehave)),
            WebSocketRoute(f"/binance{prefix}/ws", endpoint(raw, now_ms, misbehave)),
            WebSocketRoute(f"/binance{prefix}/ws/{{names:path}}", endpoint(raw, now_ms, misbehave)),
        ]
    return Starlette(
        routes=[
            *sockets,
            Mount("/gamma", routes=gamma_routes(exchange)),
            Mount("/admin", routes=admin_routes(exchange)),
            Mount("/clob", routes=clob_routes(exchange)),
            Mount("/binance", routes=binance_routes(exchange)),
        ]
    )


def addresses(host: str, port: int) -> dict[str, str]:
    """Return the base URL of every interface; clients append the venue's own paths."""
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {
        "gamma": f"http://{at}/gamma",
        "clob": f"http://{at}/clob",
        "clob_ws": f"ws://{at}/ws/market",
        "user_ws": f"ws://{at}/ws/user",
        "admin": f"http://{at}/admin",
        "price_ws": f"ws://{at}/prices",
        "binance_rest": f"http://{at}/binance",
        "binance_ws": f"ws://{at}/binance",
    }
