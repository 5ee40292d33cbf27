"""Binance USD-M futures over REST: `/fapi/v1/klines`, `/time`, `/ping`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from venues.sim.binance_frames import asset_of, candle, kline_row
from venues.sim.exchange import Exchange
from venues.sim.rest.reply import json_reply
from venues.sim.world.flow import MINUTE_MS

_DEFAULT, _MOST = 500, 1500


def binance_routes(exchange: Exchange) -> list[Route]:
    """Return Binance's routes."""

    def klines(request: Request) -> Response:
        query = request.query_params
        asset = asset_of(query.get("symbol", ""), exchange.assets)
        if asset is None:
            return json_reply({"code": -1121, "msg": "Invalid symbol."}, 400)
        if query.get("interval") != "1m":
            return json_reply({"code": -1120, "msg": "Invalid interval."}, 400)
        try:
            limit = int(query.get("limit", _DEFAULT))
            start = int(query["startTime"]) if "startTime" in query else None
            end = int(query["endTime"]) if "endTime" in query else None
        except ValueError:
            return json_reply({"code": -1100, "msg": "Illegal characters found in a parameter."}, 400)
        if not 1 <= limit <= _MOST:
            return json_reply({"code": -1130, "msg": "Data sent for parameter 'limit' is not valid."}, 400)
        now_ms = exchange.now_ms()
        minutes = _minutes(start, end, limit, now_ms)
        return json_reply([kline_row(asset, candle(exchange.world, asset, m * MINUTE_MS, now_ms)) for m in minutes])

    def time(_request: Request) -> Response:
        return json_reply({"serverTime": exchange.now_ms()})

    def ping(_request: Request) -> Response:
        return json_reply({})

    return [Route("/fapi/v1/klines", klines), Route("/fapi/v1/time", time), Route("/fapi/v1/ping", ping)]


def _minutes(start_ms: int | None, end_ms: int | None, limit: int, now_ms: int) -> range:
    """Return the minutes asked for: from `start_ms` on, or the last ones up to `end_ms`; none lies in the future."""
    last = min(now_ms if end_ms is None else end_ms, now_ms) // MINUTE_MS
    if start_ms is None:
        return range(last - limit + 1, last + 1)
    first = -(-start_ms // MINUTE_MS)
    return range(first, min(last, first + limit - 1) + 1)
