"""What a decoder makes of one wire frame, live or recorded: the only input a feed's wire state ever sees.

Polymarket prices and sizes are integers of 1e-6. Binance prices and quantities stay floats: they feed features,
never money. `venue_ms` is the venue's own stamp in unix milliseconds.
"""

from typing import Literal

import msgspec

Level = tuple[int, int]
"""(price, size), both in 1e-6."""

BookSide = Literal["BUY", "SELL"]


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A whole book of one token. Levels in any order: the venue's REST and websocket differ."""

    token_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_ms: int
    tick_size: int | None = None
    min_order_shares: int | None = None


class LevelChange(msgspec.Struct, frozen=True, gc=False):
    """The new aggregate size at one price of one token (0 removes the level)."""

    token_id: str
    side: BookSide
    price: int
    size: int
    best_bid: int | None = None
    best_ask: int | None = None


class PriceChange(msgspec.Struct, frozen=True):
    """One `price_change` frame: changes of both tokens, to be applied in order."""

    changes: tuple[LevelChange, ...]
    venue_ms: int


class LastTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade printed on the slow venue; `side` is the taker's."""

    token_id: str
    price: int
    size: int
    side: BookSide
    venue_ms: int


class BestBidAsk(msgspec.Struct, frozen=True, gc=False):
    """The venue's own statement of a token's touch; None where that side is empty."""

    token_id: str
    best_bid: int | None
    best_ask: int | None
    venue_ms: int


class TickSizeChange(msgspec.Struct, frozen=True, gc=False):
    """The token's tick changed: the local book is void until the next snapshot."""

    token_id: str
    tick_size: int
    venue_ms: int


class MarketResolved(msgspec.Struct, frozen=True, gc=False):
    """The venue declared the winning token of a market."""

    condition_id: str
    winning_token: str
    venue_ms: int


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A trade on the fast venue (`aggTrade` or `trade`). `buyer_is_maker` means the taker sold."""

    symbol: str
    price: float
    quantity: float
    buyer_is_maker: bool
    venue_ms: int


class BookTicker(msgspec.Struct, frozen=True, gc=False):
    """The touch on the fast venue."""

    symbol: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    venue_ms: int


class Kline(msgspec.Struct, frozen=True, gc=False):
    """One candle of the fast venue; `closed` is False while it is still forming."""

    symbol: str
    opens_ms: int
    closes_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    taker_buy_volume: float
    closed: bool
    venue_ms: int


class SettlementPrice(msgspec.Struct, frozen=True, gc=False):
    """A tick of the price stream that settles the markets; `lookback_s` is the TWAP's span, None for a spot tick."""

    asset: str
    price: float
    venue_ms: int
    lookback_s: int | None = None


PolymarketEvent = BookSnapshot | PriceChange | LastTrade | BestBidAsk | TickSizeChange | MarketResolved
BinanceEvent = Trade | BookTicker | Kline
MarketEvent = PolymarketEvent | BinanceEvent | SettlementPrice
