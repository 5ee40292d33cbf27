"""The operator's side door, for loopback only: faults, ledgers, and what else happens on the chain or by hand."""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from venues.sim.auth.wallets import wallets_of
from venues.sim.exchange import Exchange
from venues.sim.faults import FaultPlan, decode_plan, default_plan
from venues.sim.rest.calls import Endpoint
from venues.sim.rest.reply import json_reply

_REFUSED, _FORBIDDEN = 400, 403
_REFERENCE_WINDOW_S = 900


class _Restart(msgspec.Struct):
    down_ms: int
    post_only_ms: int = 0


class _Redemption(msgspec.Struct):
    address: str
    condition_id: str


class _Approval(msgspec.Struct):
    """What a spender may take: of a token, or of the dollars, in 1e-6."""

    address: str
    spender: str
    amount: int
    token_id: str | None = None


def admin_routes(exchange: Exchange) -> list[Route]:
    """Return the operator's routes."""
    engine = exchange.engine

    async def faults(request: Request) -> object:
        if request.method == "POST":
            body = await request.body()
            engine.set_faults(named_plan(body.decode(), exchange.world.seed, exchange.world.window_s))
        return engine.faults.plan

    async def ledger(request: Request) -> object:
        engine.advance(exchange.now_ms())
        address = request.query_params.get("address")
        return engine.ledger_rows() if address is None else engine.audit(address.lower())

    async def wallets(request: Request) -> object:
        return wallets_of(request.query_params.get("signer", ""))

    async def restart(request: Request) -> object:
        asked = msgspec.json.decode(await request.body(), type=_Restart)
        engine.restart(exchange.now_ms(), asked.down_ms, asked.post_only_ms)
        return {"down_ms": asked.down_ms, "post_only_ms": asked.post_only_ms}

    async def redeem(request: Request) -> object:
        asked = msgspec.json.decode(await request.body(), type=_Redemption)
        return {"paid": engine.redeem(asked.address.lower(), asked.condition_id, exchange.now_ms())}

    async def approve(request: Request) -> object:
        asked = msgspec.json.decode(await request.body(), type=_Approval)
        engine.approve(asked.address.lower(), asked.token_id, asked.spender, asked.amount)
        return engine.balance(asked.address.lower(), asked.token_id, exchange.now_ms())

    return [
        Route("/approve", _loopback(approve), methods=["POST"]),
        Route("/faults", _loopback(faults), methods=["GET", "POST"]),
        Route("/ledger", _loopback(ledger)),
        Route("/wallets", _loopback(wallets)),
        Route("/restart", _loopback(restart), methods=["POST"]),
        Route("/redeem", _loopback(redeem), methods=["POST"]),
    ]


def named_plan(text: str, seed: int, window_s: int) -> FaultPlan:
    """Return the plan a text means: JSON, the word `default`, or none at all for an exchange that behaves.

    Raises ValueError with one line for anything else.
    """
    stripped = text.strip()
    if not stripped:
        return FaultPlan()
    if stripped == "default":
        return default_plan(seed, min(1.0, window_s / _REFERENCE_WINDOW_S))
    return decode_plan(stripped)


def _loopback(answer: Callable[[Request], Awaitable[Any]]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if request.client is None or not ipaddress.ip_address(request.client.host).is_loopback:
            return json_reply({"error": "the admin interface answers on loopback only"}, _FORBIDDEN)
        try:
            return json_reply(await answer(request))
        except ValueError as error:  # msgspec's decoding errors are ValueErrors too
            return json_reply({"error": str(error)}, _REFUSED)

    return endpoint
