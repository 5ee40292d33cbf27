"""What the embedded world's venues send, as decoded events: books, the fast venue's trades and touch, settlement ticks.

They come in bundles: a decision every 500 ms needs no event of its own for each of them.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from core.market.events import BookSnapshot, BookTicker, MarketEvent, SettlementPrice, TickSizeChange, Trade
from core.market.market import Market
from venues.sim.world import ASSETS, Book, World
from venues.sim.world.flow import MINUTE_MS
from venues.sim.world.quotes import QUOTE_MS
from venues.transport import StreamReceived

Item = tuple[int, StreamReceived]
"""(unix milliseconds of receipt, what is received)."""

BOOK_LEAD_MS = 5_000
"""A run begins this long before its first window opens, so that books and feeds are there when it does."""
DELAY_MS = 20
"""From the venue's stamp to the receipt."""
BOOK_EVERY_MS = 1_000
"""A book whose touch stays is shown again this often: the sizes behind it change."""
DEPTH = 12
"""Levels kept on each side of each token."""
FLOW_MS, BRIEF_FLOW_MS = 500, 100
"""Trades of this long come as one bundle with the touch after them; the second for short windows, whose lookbacks are
short. Either is received just before a grid step, so a decision sees what it would see if each trade came by itself."""
FLOW_BEFORE_GRID_MS = 40
_LONG_WINDOW_S = 450
PRICE_EVERY_MS = 1_000
PRICE_DELAY_MS = 150


def book_items(world: World, market: Market) -> Iterator[Item]:
    """Yield the books of a market from shortly before its open to its close: at a new touch, else every second."""
    asset, window = market.asset, market.window
    listing = world.market(asset, window.opens_at_s)
    opens_ms, closes_ms = window.opens_at_s * 1000, window.closes_at_s * 1000
    shown_ms, shown = 0, None
    for at_ms in range(opens_ms - BOOK_LEAD_MS, closes_ms, QUOTE_MS):
        quote = world.quote(asset, window.opens_at_s, at_ms)
        if quote == shown and at_ms - shown_ms < BOOK_EVERY_MS:
            continue
        events: list[MarketEvent] = []
        if shown is not None and quote.tick != shown.tick:
            events += [TickSizeChange(token, quote.tick, at_ms) for token in (market.up_token, market.down_token)]
        shown_ms, shown = at_ms, quote
        events += _snapshots(market, world.market_book(listing, at_ms))
        yield at_ms + DELAY_MS, StreamReceived(tuple(events), at_ms + DELAY_MS)


def _snapshots(market: Market, book: Book) -> tuple[BookSnapshot, BookSnapshot]:
    bids, asks = book.bids[:DEPTH], book.asks[:DEPTH]
    down_bids = tuple([(1_000_000 - price, shares) for price, shares in asks])
    down_asks = tuple([(1_000_000 - price, shares) for price, shares in bids])
    up = BookSnapshot(market.up_token, bids, asks, book.t_ms, book.tick)
    return up, BookSnapshot(market.down_token, down_bids, down_asks, book.t_ms, book.tick)


def flow_items(world: World, asset: str, warm_from_ms: int, from_ms: int, until_ms: int) -> Iterator[Item]:
    """Yield the fast venue's trades and touch in bundles; those before `from_ms` are received late, all at once."""
    symbol, tick = f"{asset}USDT", ASSETS[asset].tick_usd
    every_ms = FLOW_MS if world.window_s >= _LONG_WINDOW_S else BRIEF_FLOW_MS
    warm_from_ms = warm_from_ms // every_ms * every_ms - FLOW_BEFORE_GRID_MS
    for minute_ms in range(warm_from_ms // MINUTE_MS * MINUTE_MS, until_ms, MINUTE_MS):
        first_ms = max(minute_ms - FLOW_BEFORE_GRID_MS, warm_from_ms)
        end_ms = min(minute_ms + MINUTE_MS, until_ms) - FLOW_BEFORE_GRID_MS
        trades = world.trades(asset, first_ms, end_ms)
        rows = list(
            zip(
                trades.price_usd.tolist(),
                trades.quantity.tolist(),
                trades.buyer_is_maker.tolist(),
                trades.t_ms.tolist(),
                strict=True,
            )
        )
        ends = np.arange(first_ms + every_ms, end_ms + 1, every_ms)
        upto = np.searchsorted(trades.t_ms, ends).tolist()
        bids = np.floor(world.prices.spots(asset, ends - 1) / tick) * tick
        low = 0
        for at_ms, high, bid in zip(ends.tolist(), upto, bids.tolist(), strict=True):
            events: list[MarketEvent] = [Trade(symbol, *row) for row in rows[low:high]]
            low = high
            events.append(BookTicker(symbol, bid, 1.0, bid + tick, 1.0, at_ms - 1))
            received_ms = at_ms + DELAY_MS
            yield max(received_ms, from_ms), StreamReceived(tuple(events), received_ms)


def price_items(world: World, assets: Sequence[str], from_ms: int, until_ms: int) -> Iterator[Item]:
    """Yield the ticks of the stream that settles the markets: the mean that each market's strike is one of."""
    lookback_s = world.market(assets[0], 0).lookback_s
    first_ms = -(-from_ms // PRICE_EVERY_MS) * PRICE_EVERY_MS
    for at_ms in range(first_ms, until_ms, PRICE_EVERY_MS):
        ticks = tuple(SettlementPrice(asset, world.twap(asset, at_ms // 1000), at_ms, lookback_s) for asset in assets)
        yield at_ms + PRICE_DELAY_MS, StreamReceived(ticks, at_ms + PRICE_DELAY_MS)
