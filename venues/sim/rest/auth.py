"""Making, deriving, listing and deleting API keys."""

from starlette.requests import Request
from starlette.routing import Route

from venues.sim.auth.keys import CREATE_REFUSED, DERIVE_REFUSED, ApiKey
from venues.sim.auth.requests import wallet_claim
from venues.sim.exchange import Exchange
from venues.sim.rest.calls import Call, open_to_all, signed
from venues.sim.trading.values import VenueError

_REFUSED = 400


def auth_routes(exchange: Exchange) -> list[Route]:
    """Return the routes about keys."""

    async def create(request: Request, now_ms: int) -> dict[str, str]:
        claim = await wallet_claim(request.headers, exchange.stated_ms() // 1000, exchange.recovery)
        key = exchange.keys.create(claim.address, claim.nonce)
        if key is None:
            raise VenueError(_REFUSED, CREATE_REFUSED)
        exchange.engine.ensure_account(claim.address, now_ms)
        return key.credentials()

    async def derive(request: Request, _now_ms: int) -> dict[str, str]:
        claim = await wallet_claim(request.headers, exchange.stated_ms() // 1000, exchange.recovery)
        key: ApiKey | None = exchange.keys.derive(claim.address, claim.nonce)
        if key is None:
            raise VenueError(_REFUSED, DERIVE_REFUSED)
        return key.credentials()

    async def listed(call: Call) -> dict[str, list[str]]:
        return {"apiKeys": [key.api_key for key in exchange.keys.of_address(call.key.address)]}

    async def delete(call: Call) -> str:
        exchange.keys.delete(call.key)
        return "OK"

    async def closed_only(_call: Call) -> dict[str, bool]:
        return {"closed_only": False}

    return [
        Route("/auth/api-key", open_to_all(exchange, create), methods=["POST"]),
        Route("/auth/api-key", signed(exchange, delete), methods=["DELETE"]),
        Route("/auth/derive-api-key", open_to_all(exchange, derive)),
        Route("/auth/api-keys", signed(exchange, listed)),
        Route("/auth/ban-status/closed-only", signed(exchange, closed_only)),
    ]
