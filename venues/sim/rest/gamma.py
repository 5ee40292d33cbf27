"""Gamma, the catalogue of markets: `/events/slug/{slug}` and `/markets/slug/{slug}`."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from venues.sim.exchange import Exchange
from venues.sim.rest.reply import json_reply
from venues.sim.wire import decimal_text
from venues.sim.world.listing import Listing, iso
from venues.sim.world.variants import ASSETS

_MICRO = 1_000_000


def market_object(exchange: Exchange, market: Listing, now_ms: int) -> dict[str, Any]:
    """Return the market as Gamma describes it at `now_ms`; what it says of the outcome depends on the moment."""
    asset, world = ASSETS[market.asset], exchange.world
    resolves_at_ms = exchange.engine.resolves_at_ms(market)
    resolved = now_ms >= resolves_at_ms
    quote = world.quote(market.asset, market.opens_at_s, now_ms)
    if resolved:
        up_wins = world.winner(market.asset, market.opens_at_s) == "Up"
        prices = ["1", "0"] if up_wins else ["0", "1"]
    else:
        middle = (quote.bid + quote.ask) // 2
        prices = [decimal_text(middle), decimal_text(_MICRO - middle)]
    span = "15m" if market.length_s == 900 else f"{market.length_s}s"  # noqa: PLR2004 - the real venue's window
    stream = f"https://data.chain.link/streams/{market.asset.lower()}-usd-twap-{market.lookback_s}s-streams"
    return {
        "id": market.market_id,
        "question": title(market),
        "conditionId": market.condition_id,
        "slug": market.slug,
        "resolutionSource": stream,
        "endDate": iso(market.closes_at_s),
        "startDate": iso(market.listed_at_s),
        "description": _rules(market, asset.name),
        "outcomes": json.dumps(["Up", "Down"]),
        "outcomePrices": json.dumps(prices),
        "active": True,
        "closed": resolved,
        "createdAt": iso(market.listed_at_s),
        "archived": False,
        "restricted": True,
        "enableOrderBook": True,
        "orderPriceMinTickSize": exchange.engine.tick(market, now_ms) / _MICRO,
        "orderMinSize": 5,
        "endDateIso": iso(market.closes_at_s)[:10],
        "startDateIso": iso(market.listed_at_s)[:10],
        "clobTokenIds": json.dumps([market.up_token, market.down_token]),
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "acceptingOrders": exchange.engine.accepting(market, now_ms),
        "acceptingOrdersTimestamp": iso(market.listed_at_s),
        "negRisk": False,
        "version": "v1",
        "spread": (quote.ask - quote.bid) / _MICRO,
        "bestBid": quote.bid / _MICRO,
        "bestAsk": quote.ask / _MICRO,
        "eventStartTime": iso(market.opens_at_s),
        "umaResolutionStatuses": json.dumps(["resolved"] if resolved else []),
        **({"umaResolutionStatus": "resolved", "closedTime": iso(resolves_at_ms // 1000)} if resolved else {}),
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": world.variant.fee_rate, "takerOnly": True, "rebateRate": 0.2},
        "cryptoMarketConfig": {
            "id": f"{market.asset.lower()}-{span}-twap-{market.lookback_s}",
            "asset": market.asset.lower(),
            "duration": span,
            "twapEnabled": True,
            "twapLookbackSeconds": market.lookback_s,
        },
    }


def event_object(exchange: Exchange, market: Listing, now_ms: int) -> dict[str, Any]:
    """Return the event that holds the market; strike and final price are stated only once it is resolved."""
    resolved = now_ms >= exchange.engine.resolves_at_ms(market)
    event: dict[str, Any] = {
        "id": market.market_id,
        "ticker": market.slug,
        "slug": market.slug,
        "title": title(market),
        "resolutionSource": f"https://data.chain.link/streams/{market.asset.lower()}-usd",
        "startDate": iso(market.listed_at_s),
        "creationDate": iso(market.listed_at_s),
        "endDate": iso(market.closes_at_s),
        "active": True,
        "closed": resolved,
        "archived": False,
        "restricted": True,
        "enableOrderBook": True,
        "negRisk": False,
        "startTime": iso(market.opens_at_s),
        "seriesSlug": market.slug.rpartition("-")[0].replace("updown", "up-or-down"),
        "markets": [market_object(exchange, market, now_ms)],
    }
    if resolved:
        world = exchange.world
        event["eventMetadata"] = {
            "priceToBeat": world.strike(market.asset, market.opens_at_s),
            "finalPrice": world.twap(market.asset, market.closes_at_s),
        }
    return event


def title(market: Listing) -> str:
    """Return the market's question."""
    opens, closes = iso(market.opens_at_s), iso(market.closes_at_s)
    return f"{ASSETS[market.asset].name} Up or Down - {opens[:10]}, {opens[11:19]}-{closes[11:19]} UTC"


def _rules(market: Listing, name: str) -> str:
    return (
        f"Up wins when the {market.lookback_s}-second time-weighted average price of {name} at the end of the window "
        "is at or above the one at its beginning, Down wins otherwise. Prices are simulated."
    )


def gamma_routes(exchange: Exchange) -> list[Route]:
    """Return Gamma's routes."""

    async def market(request: Request) -> Response:
        now_ms = exchange.now_ms()
        exchange.engine.advance(now_ms)
        found = exchange.directory.named(request.path_params["slug"], now_ms // 1000)
        return _unknown() if found is None else json_reply(market_object(exchange, found, now_ms))

    async def event(request: Request) -> Response:
        now_ms = exchange.now_ms()
        exchange.engine.advance(now_ms)
        found = exchange.directory.named(request.path_params["slug"], now_ms // 1000)
        return _unknown() if found is None else json_reply(event_object(exchange, found, now_ms))

    return [Route("/markets/slug/{slug}", market), Route("/events/slug/{slug}", event)]


def _unknown() -> JSONResponse:
    return JSONResponse({"type": "not found error", "error": "slug not found"}, 404)
