"""The user channel, `/ws/user`: what happens to the orders and trades of one API key's owner.

A frame that names a key comes first. A wrong key ends the connection, a right one needs no answer.
"""

from collections.abc import Collection

import msgspec

from venues.sim.auth.keys import ApiKey
from venues.sim.auth.requests import key_of_frame
from venues.sim.exchange import Exchange
from venues.sim.streams.connection import Refused
from venues.sim.streams.user_frames import condition_of, user_frame
from venues.sim.wire import json_text

PATH = "/ws/user"


class _Auth(msgspec.Struct, rename={"api_key": "apiKey"}):
    api_key: str
    secret: str
    passphrase: str


class _Request(msgspec.Struct):
    """The first frame, or a later change of the markets; without markets it is about all of them."""

    auth: _Auth | None = None
    markets: list[str] = []
    operation: str | None = None


_decode = msgspec.json.Decoder(_Request).decode


class UserChannel:
    """One client's private stream."""

    beat_ms = 50

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._key: ApiKey | None = None
        self._cursor = 0
        self._markets: set[str] | None = None

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Answer PING, take the key or change the markets. Raises Refused for a wrong key."""
        if text == "PING":
            return ["PONG"]
        try:
            request = _decode(text)
        except msgspec.DecodeError:
            return []
        if self._key is None:
            if request.auth is not None:
                self._open(request.auth, request.markets, now_ms)
        elif request.operation == "subscribe":
            self._markets = None if self._markets is None else self._markets | set(request.markets)
        elif request.operation == "unsubscribe" and self._markets is not None:
            self._markets -= set(request.markets)
        return []

    def _open(self, auth: _Auth, markets: list[str], now_ms: int) -> None:
        key = key_of_frame(auth.api_key, auth.secret, auth.passphrase, self._exchange.keys)
        if key is None:
            raise Refused
        self._exchange.engine.advance(now_ms)
        self._key, self._cursor = key, self._exchange.engine.latest()
        self._markets = set(markets) or None

    def due(self, now_ms: int) -> list[str]:
        """Return the owner's events since the last call, as far as the transport lets them through."""
        if self._key is None:
            return []
        self._exchange.engine.advance(now_ms)
        happened, self._cursor = self._exchange.engine.events(self._cursor)
        owner, wanted = self._key.api_key, self._markets
        mine = [event for event in happened if event.owner == owner and _in(condition_of(event), wanted)]
        transport = self._exchange.transport
        skew_ms = transport.skew_ms()
        return [json_text(user_frame(event, skew_ms)) for event in transport.mangled(mine, PATH)]


def _in(condition_id: str, markets: Collection[str] | None) -> bool:
    return markets is None or condition_id in markets
