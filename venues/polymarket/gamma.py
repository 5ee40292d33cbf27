"""Gamma: which market a window has, what it charges, and who won it."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec

from core.errors import RejectedError
from core.market.market import FeeSchedule, Market, Side
from core.market.window import Window
from core.trading.money import micros
from venues.rest import NotFoundError, Rest
from venues.transport import BadFrameError

PROTOCOL_VERSION = "v1"
TAKER_DELAY_MS = 150
"""Milliseconds that a marketable order waits, as stated for 2026-09-04 and later; Gamma has no field for it."""
_Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_OUTCOMES: dict[str, Side] = {"Up": "UP", "Down": "DOWN"}


class Outcome(msgspec.Struct, frozen=True):
    """What the venue says of a window's end. `strike` and `final` are dollars; all None until it has said so."""

    winner: Side | None
    strike: float | None
    final: float | None


class _FeeSchedule(msgspec.Struct):
    rate: float
    exponent: int = 1
    taker_only: bool = msgspec.field(name="takerOnly", default=True)


class GammaMarket(msgspec.Struct, rename="camel"):
    """The fields of Gamma's market object that are read; lists come as JSON within strings."""

    slug: str
    condition_id: str = ""
    outcomes: str = "[]"
    outcome_prices: str = "[]"
    token_ids: str = msgspec.field(name="clobTokenIds", default="[]")
    event_start_time: _Instant | None = None
    end_date: _Instant | None = None
    closed: bool = False
    order_price_min_tick_size: float | None = None
    order_min_size: float | None = None
    fee_schedule: _FeeSchedule | None = None
    version: str = PROTOCOL_VERSION


class _Metadata(msgspec.Struct):
    strike: float | None = msgspec.field(name="priceToBeat", default=None)
    final: float | None = msgspec.field(name="finalPrice", default=None)


class _Event(msgspec.Struct):
    slug: str = ""
    markets: list[GammaMarket] = []
    metadata: _Metadata | None = msgspec.field(name="eventMetadata", default=None)


class Gamma:
    """Gamma's REST interface at `base_url`.

    Markets are looked up by the slug of their window and never in a list: the lists show tomorrow's as active.
    """

    def __init__(self, base_url: str, *, timeout_s: float = 5.0, taker_delay_ms: int = TAKER_DELAY_MS) -> None:
        self._rest = Rest(base_url, timeout_s=timeout_s)
        self._taker_delay_ms = taker_delay_ms

    def market(self, window: Window) -> Market | None:
        """Return the market of `window`; None while it is not listed or has no tokens yet.

        Raises:
            RejectedError: when what is listed is of another protocol version or of another window.
            TransientError: when it could not be asked.
            BadFrameError: when the answer cannot be understood.
        """
        event = self._event(window.slug)
        if event is None or not event.markets:
            return None
        return market_of(_only(event, window.slug), window, self._taker_delay_ms)

    def outcome(self, slug: str) -> Outcome:
        """Return winner, strike and final price of the window named `slug`, as far as the venue has stated them.

        Raises:
            TransientError: when it could not be asked.
            BadFrameError: when the answer cannot be understood.
        """
        event = self._event(slug)
        if event is None or not event.markets:
            return Outcome(None, None, None)
        metadata = event.metadata or _Metadata()
        return Outcome(winner_of(_only(event, slug)), metadata.strike, metadata.final)

    def close(self) -> None:
        """Close the pooled connections."""
        self._rest.close()

    def _event(self, slug: str) -> _Event | None:
        try:
            return self._rest.get(f"/events/slug/{slug}", _Event)
        except NotFoundError:
            return None


def market_of(wire: GammaMarket, window: Window, taker_delay_ms: int = TAKER_DELAY_MS) -> Market | None:
    """Return Gamma's market object as the market of `window`; None while it names no tokens.

    Raises:
        RejectedError: when it is of another protocol version or of another window.
        BadFrameError: when a field cannot be understood.
    """
    if wire.version != PROTOCOL_VERSION:
        raise RejectedError(
            f"{wire.slug} is of protocol version {wire.version!r}; only {PROTOCOL_VERSION!r} can be traded"
        )
    begins, ends = wire.event_start_time, wire.end_date
    if begins is None or ends is None:
        raise BadFrameError(f"{wire.slug} has no eventStartTime or no endDate")
    if (begins.timestamp(), ends.timestamp()) != (window.opens_at_s, window.closes_at_s):
        raise RejectedError(
            f"{wire.slug} runs from {begins:%Y-%m-%dT%H:%M:%SZ} to {ends:%Y-%m-%dT%H:%M:%SZ}, "
            f"which is not the window {window.slug}"
        )
    tokens = [token for token in _strings(wire, "clobTokenIds", wire.token_ids) if token]
    if not tokens or not wire.condition_id:
        return None
    by_side = dict(zip(_sides(wire), tokens, strict=False))
    if len(tokens) != len(_OUTCOMES) or len(set(tokens)) != len(tokens):
        raise BadFrameError(f"{wire.slug} has {len(set(tokens))} tokens, not one for each of Up and Down")
    if wire.order_price_min_tick_size is None or wire.order_min_size is None:
        raise BadFrameError(f"{wire.slug} has no orderPriceMinTickSize or no orderMinSize")
    fees = wire.fee_schedule
    return Market(
        window,
        wire.condition_id,
        by_side["UP"],
        by_side["DOWN"],
        micros(wire.order_price_min_tick_size),
        micros(wire.order_min_size),
        None if fees is None else FeeSchedule(fees.rate, fees.exponent, fees.taker_only),
        taker_delay_ms,
        wire.version,
    )


def winner_of(wire: GammaMarket) -> Side | None:
    """Return the winner, which is known only when the market is closed and its prices are exactly 1 and 0.

    Raises:
        BadFrameError: when outcomes or prices cannot be understood.
    """
    if not wire.closed:
        return None
    prices = [_price(wire, text) for text in _strings(wire, "outcomePrices", wire.outcome_prices)]
    if sorted(prices) != [0, 1]:
        return None
    return _sides(wire)[prices.index(Decimal(1))]


def _only(event: _Event, slug: str) -> GammaMarket:
    if len(event.markets) != 1:
        raise BadFrameError(f"{slug} lists {len(event.markets)} markets, expected one")
    return event.markets[0]


def _strings(wire: GammaMarket, field: str, text: str) -> list[str]:
    try:
        return msgspec.json.decode(text or "[]", type=list[str])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadFrameError(f"{wire.slug}: {field} is no list of strings: {error}") from error


def _sides(wire: GammaMarket) -> list[Side]:
    names = _strings(wire, "outcomes", wire.outcomes)
    if sorted(names) != sorted(_OUTCOMES):
        raise BadFrameError(f"{wire.slug}: outcomes are {names}, expected Up and Down")
    return [_OUTCOMES[name] for name in names]


def _price(wire: GammaMarket, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise BadFrameError(f"{wire.slug}: outcome price {text!r} is not a number") from error
