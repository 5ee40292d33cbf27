"""The CLOB's public REST interface: books, ticks, a market's own rules, and the venue's clock."""

import msgspec

from core.market.events import BookSnapshot
from core.market.market import FeeSchedule
from core.trading.money import micros
from venues.polymarket.decode import WireEvent, snapshot_of
from venues.polymarket.numbers import parse_micros
from venues.rest import Rest
from venues.transport import BadFrameError


class ClobMarket(msgspec.Struct, frozen=True):
    """A market's rules as the CLOB applies them: tick in 1e-6 of a dollar, minimum order in 1e-6 of a share."""

    condition_id: str
    tokens: tuple[str, ...]
    tick_size: int
    min_order_shares: int
    fees: FeeSchedule | None
    has_taker_delay: bool
    protocol_version: str


class _Fee(msgspec.Struct):
    rate: float = msgspec.field(name="r")
    exponent: int = msgspec.field(name="e", default=1)
    taker_only: bool = msgspec.field(name="to", default=True)


class _Token(msgspec.Struct):
    token: str = msgspec.field(name="t")


class _ClobMarket(msgspec.Struct):
    condition_id: str = msgspec.field(name="c")
    tokens: list[_Token] = msgspec.field(name="t")
    min_order_size: float = msgspec.field(name="mos")
    tick_size: float = msgspec.field(name="mts")
    fee: _Fee | None = msgspec.field(name="fd", default=None)
    taker_delay: bool = msgspec.field(name="itode", default=False)
    version: str | None = msgspec.field(name="v", default=None)


class _Tick(msgspec.Struct):
    minimum_tick_size: float | str


class Clob:
    """The CLOB's public REST interface at `base_url`.

    Each call raises `NotFoundError` for an unknown token or market, `TransientError` when the venue could not be asked,
    and `BadFrameError` when its answer cannot be understood.
    """

    def __init__(self, base_url: str, *, timeout_s: float = 5.0) -> None:
        self._rest = Rest(base_url, timeout_s=timeout_s)

    def book(self, token_id: str) -> BookSnapshot:
        """Return the whole book of `token_id`, levels in the venue's order."""
        snapshot = snapshot_of(self._rest.get("/book", WireEvent, {"token_id": token_id}))
        if snapshot.token_id != token_id:
            raise BadFrameError(f"GET /book: asked for token {token_id}, got {snapshot.token_id}")
        return snapshot

    def tick_size(self, token_id: str) -> int:
        """Return the token's tick in 1e-6 of a dollar."""
        tick = self._rest.get("/tick-size", _Tick, {"token_id": token_id}).minimum_tick_size
        return parse_micros(tick) if isinstance(tick, str) else micros(tick)

    def market(self, condition_id: str) -> ClobMarket:
        """Return the rules of the market `condition_id`; its fees are None where it states none."""
        wire = self._rest.get(f"/clob-markets/{condition_id}", _ClobMarket)
        fee = wire.fee
        return ClobMarket(
            wire.condition_id,
            tuple(token.token for token in wire.tokens),
            micros(wire.tick_size),
            micros(wire.min_order_size),
            None if fee is None else FeeSchedule(fee.rate, fee.exponent, fee.taker_only),
            wire.taker_delay,
            wire.version or "v1",
        )

    def time_s(self) -> int:
        """Return the venue's clock in unix seconds."""
        return self._rest.get("/time", int)

    def close(self) -> None:
        """Close the pooled connections."""
        self._rest.close()
