"""The market channel's frames: books, level changes, trades, ticks and outcomes as JSON objects, keys as recorded."""

import hashlib
from typing import Any

from venues.sim.trading.values import TradeState
from venues.sim.wire import content_hash, decimal_text, json_text
from venues.sim.world import Book, SlowTrade, World
from venues.sim.world.listing import Listing

_UNIT = 1_000_000
_RECENT_MS = 30_000


def _levels(levels: tuple[tuple[int, int], ...]) -> list[dict[str, str]]:
    """Return levels worst first: the venue lists bids ascending and asks descending, the best one last."""
    return [{"price": decimal_text(price), "size": decimal_text(shares)} for price, shares in reversed(levels)]


def of_token(market: Listing, book: Book, token_id: str) -> Book:
    """Return the book as `token_id` sees it, given that of the Up token."""
    return book if token_id == market.up_token else book.mirrored()


def touch(book: Book) -> tuple[int, int]:
    """Return best bid and ask; an empty side counts as nobody paying anything, or everybody asking a dollar."""
    return book.bids[0][0] if book.bids else 0, book.asks[0][0] if book.asks else _UNIT


def last_price(world: World, market: Listing, token_id: str, t_ms: int) -> str:
    """Return the price of the token's last trade, the best bid when nothing was traded for half a minute."""
    recent = world.slow_trades(market, t_ms - _RECENT_MS, t_ms + 1)
    if not recent:
        quote = world.quote(market.asset, market.opens_at_s, t_ms)
        return decimal_text(quote.bid if token_id == market.up_token else _UNIT - quote.ask)
    printed = recent[-1]
    same = (printed.outcome == "Up") == (token_id == market.up_token)
    return decimal_text(printed.price if same else _UNIT - printed.price)


def book_frame(world: World, market: Listing, token_id: str, up_book: Book) -> dict[str, Any]:
    """Return a `book` event: the token's whole book, given that of the Up token."""
    book = of_token(market, up_book, token_id)
    return {
        "market": market.condition_id,
        "asset_id": token_id,
        "timestamp": str(book.t_ms),
        "hash": content_hash(token_id, book.t_ms),
        "bids": _levels(book.bids),
        "asks": _levels(book.asks),
        "tick_size": decimal_text(book.tick),
        "event_type": "book",
        "last_trade_price": last_price(world, market, token_id, book.t_ms),
    }


def book_object(world: World, market: Listing, token_id: str, up_book: Book) -> dict[str, Any]:
    """Return GET /book's reply for one token, with the hash the vendor's clients compute of it."""
    frame = book_frame(world, market, token_id, up_book)
    summary: dict[str, Any] = {
        **{key: frame[key] for key in ("market", "asset_id", "timestamp")},
        "hash": "",
        **{key: frame[key] for key in ("bids", "asks")},
        "min_order_size": "5",
        "tick_size": frame["tick_size"],
        "neg_risk": False,
        "last_trade_price": frame["last_trade_price"],
    }
    summary["hash"] = hashlib.sha1(json_text(summary).encode(), usedforsecurity=False).hexdigest()
    return summary


def price_change_frame(market: Listing, old: Book, new: Book) -> dict[str, Any] | None:
    """Return a `price_change` event that turns one Up book into the next, both tokens mirrored; None without a change.

    Levels that vanish come first, so that no entry leaves a crossed book; each entry's best prices are those after it.
    """
    state = {"BUY": dict(old.bids), "SELL": dict(old.asks)}
    changes = [
        (shares > 0, side, price, shares)
        for side, was, now in (("BUY", old.bids, new.bids), ("SELL", old.asks, new.asks))
        for price, shares in _changed(dict(was), dict(now))
    ]
    entries: list[dict[str, str]] = []
    for _, side, price, shares in sorted(changes):
        levels = state[side]
        if shares:
            levels[price] = shares
        else:
            del levels[price]
        bid, ask = max(state["BUY"], default=0), min(state["SELL"], default=_UNIT)
        entries.append(_entry(market.up_token, side, price, shares, best=(bid, ask), t_ms=new.t_ms))
        mirrored = "SELL" if side == "BUY" else "BUY"
        best = (_UNIT - ask, _UNIT - bid)
        entries.append(_entry(market.down_token, mirrored, _UNIT - price, shares, best=best, t_ms=new.t_ms))
    if not entries:
        return None
    return {
        "market": market.condition_id,
        "price_changes": entries,
        "timestamp": str(new.t_ms),
        "event_type": "price_change",
    }


def _changed(was: dict[int, int], now: dict[int, int]) -> list[tuple[int, int]]:
    gone = [(price, 0) for price in was if price not in now]
    return gone + [(price, shares) for price, shares in now.items() if was.get(price) != shares]


def _entry(token_id: str, side: str, price: int, shares: int, *, best: tuple[int, int], t_ms: int) -> dict[str, str]:
    return {
        "asset_id": token_id,
        "price": decimal_text(price),
        "size": decimal_text(shares),
        "side": side,
        "hash": content_hash(token_id, t_ms, side, price),
        "best_bid": decimal_text(best[0]),
        "best_ask": decimal_text(best[1]),
    }


def trade_frame(market: Listing, trade: SlowTrade, number: int) -> dict[str, str]:
    """Return a `last_trade_price` event; `number` tells trades of one moment apart."""
    token_id = market.up_token if trade.outcome == "Up" else market.down_token
    return {
        "market": market.condition_id,
        "asset_id": token_id,
        "price": decimal_text(trade.price),
        "size": decimal_text(trade.shares),
        "fee_rate_bps": "1000",
        "side": trade.side,
        "timestamp": str(trade.t_ms),
        "event_type": "last_trade_price",
        "transaction_hash": "0x" + content_hash(token_id, trade.t_ms, number) + content_hash(number, trade.t_ms)[:24],
    }


def own_trade_frame(trade: TradeState) -> dict[str, str]:
    """Return a `last_trade_price` event of a trade that an order of one of our clients took part in as the taker."""
    return {
        "market": trade.condition_id,
        "asset_id": trade.token_id,
        "price": decimal_text(trade.price),
        "size": decimal_text(trade.size),
        "fee_rate_bps": "1000",
        "side": trade.side,
        "timestamp": str(trade.match_time_ms),
        "event_type": "last_trade_price",
        "transaction_hash": trade.transaction_hash,
    }


def best_frame(market: Listing, token_id: str, up_book: Book) -> dict[str, str]:
    """Return a `best_bid_ask` event."""
    book = of_token(market, up_book, token_id)
    bid, ask = touch(book)
    return {
        "market": market.condition_id,
        "asset_id": token_id,
        "best_bid": decimal_text(bid),
        "best_ask": decimal_text(ask),
        "spread": decimal_text(ask - bid),
        "timestamp": str(book.t_ms),
        "event_type": "best_bid_ask",
    }


def tick_frame(market: Listing, token_id: str, old: Book, new: Book) -> dict[str, str]:
    """Return a `tick_size_change` event."""
    return {
        "market": market.condition_id,
        "asset_id": token_id,
        "old_tick_size": decimal_text(old.tick),
        "new_tick_size": decimal_text(new.tick),
        "timestamp": str(new.t_ms),
        "event_type": "tick_size_change",
    }


def resolved_frame(world: World, market: Listing, at_ms: int) -> dict[str, Any]:
    """Return a `market_resolved` event of that moment."""
    winner = world.winner(market.asset, market.opens_at_s)
    return {
        "id": market.market_id,
        "market": market.condition_id,
        "assets_ids": [market.up_token, market.down_token],
        "winning_asset_id": market.up_token if winner == "Up" else market.down_token,
        "winning_outcome": winner,
        "timestamp": str(at_ms),
        "tags": ["crypto"],
        "event_type": "market_resolved",
    }
