"""Misbehaviour between engine and client: refusals, silence after an order was taken, broken sockets, odd clocks."""

import itertools
from collections.abc import Sequence
from typing import Literal, TypeVar

from venues.sim.trading.engine import Engine
from venues.sim.trading.values import VenueError

_FORBIDDEN, _TOO_MANY = 403, 429
FORBIDDEN_PAGE = (
    "<html><head><title>Attention Required! | Cloudflare</title></head><body>error code: 1010</body></html>"
)

SocketFault = Literal["freeze_socket", "drop_socket", "cut_frame"]
_SOCKET_FAULTS: tuple[SocketFault, ...] = ("drop_socket", "cut_frame", "freeze_socket")
_Event = TypeVar("_Event")


class Transport:
    """Applies the transport rules of the engine's current fault plan. Every question counts as one occasion."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._occasions = itertools.count(1)

    def refuse(self, method: str, path: str) -> None:
        """Raise VenueError 403 or 429 when this request is not let through at all."""
        scope = f"{method} {path}"
        if self._engine.faults.strike("forbidden", self._key(), scope):
            raise VenueError(_FORBIDDEN, FORBIDDEN_PAGE)
        limited = self._engine.faults.strike("rate_limited", self._key(), scope)
        if limited is not None:
            raise VenueError(_TOO_MANY, "Too Many Requests", retry_after_s=-(-limited.duration_ms // 1000))

    def withheld_ms(self, method: str, path: str) -> int | None:
        """Return for how long the answer to a request already carried out is kept back, None when it is not."""
        rule = self._engine.faults.strike("accept_then_timeout", self._key(), f"{method} {path}")
        return None if rule is None else rule.duration_ms

    def skew_ms(self) -> int:
        """Return how far the time the exchange states is from its own."""
        rule = self._engine.faults.standing("clock_skew", "clock")
        return 0 if rule is None else rule.skew_ms

    def socket_fault(self, path: str) -> tuple[SocketFault, int] | None:
        """Return what happens to a socket that is about to be sent something, and for how many milliseconds."""
        for kind in _SOCKET_FAULTS:
            rule = self._engine.faults.strike(kind, self._key(), path)
            if rule is not None:
                return kind, rule.duration_ms
        return None

    def mangled(self, events: Sequence[_Event], path: str) -> list[_Event]:
        """Return user events as they reach one client: some twice, some after their successor, some never."""
        out: list[_Event] = []
        late: list[_Event] = []
        for event in events:
            if self._engine.faults.strike("drop_event", self._key(), path):
                continue
            if self._engine.faults.strike("reorder_event", self._key(), path):
                late.append(event)
                continue
            twice = self._engine.faults.strike("duplicate_event", self._key(), path) is not None
            out += [event, event] if twice else [event]
            out += late
            late = []
        return out + late

    def _key(self) -> str:
        return str(next(self._occasions))
