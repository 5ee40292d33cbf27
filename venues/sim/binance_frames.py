"""Binance USD-M futures as JSON: aggregate trades, the touch, candles; fields as the venue names them."""

from functools import lru_cache
from typing import Any

import msgspec

from venues.sim.world import World
from venues.sim.world.flow import MINUTE_MS, Trades
from venues.sim.world.noise import generator
from venues.sim.world.variants import ASSETS

_BOOK_STEP_MS = 100


class Candle(msgspec.Struct, frozen=True):
    """One minute of trades; prices in dollars, volumes in base and quote units. `trades` may be 0."""

    opens_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    taker_volume: float
    taker_quote_volume: float
    trades: int
    first_id: int
    last_id: int


def asset_of(symbol: str, assets: tuple[str, ...]) -> str | None:
    """Return the asset of a symbol such as `BTCUSDT` (any case), None when it is not traded here."""
    upper = symbol.upper()
    asset = upper.removesuffix("USDT")
    return asset if asset in assets and upper == f"{asset}USDT" else None


def aggregate_trades(asset: str, trades: Trades, now_ms: int) -> list[dict[str, Any]]:
    """Return one `aggTrade` event per trade."""
    spec = ASSETS[asset]
    rows = zip(
        trades.ids.tolist(),
        trades.t_ms.tolist(),
        trades.price_usd.tolist(),
        trades.quantity.tolist(),
        trades.buyer_is_maker.tolist(),
        strict=True,
    )
    return [
        {
            "e": "aggTrade",
            "E": now_ms,
            "s": f"{asset}USDT",
            "a": number,
            "p": f"{price:.{spec.price_decimals}f}",
            "q": f"{quantity:.{spec.quantity_decimals}f}",
            "f": number,
            "l": number,
            "T": t_ms,
            "m": passive_buyer,
        }
        for number, t_ms, price, quantity, passive_buyer in rows
    ]


def book_ticker(world: World, asset: str, t_ms: int) -> dict[str, Any]:
    """Return the `bookTicker` event of the 100 ms step that contains `t_ms`."""
    spec = ASSETS[asset]
    step = t_ms // _BOOK_STEP_MS
    bid = int(world.spot(asset, t_ms) / spec.tick_usd) * spec.tick_usd
    sizes = _touch_sizes(world.seed, asset, step // 600)[:, step % 600]
    unit = 10_000 / ASSETS[asset].price_usd
    return {
        "e": "bookTicker",
        "u": step,
        "s": f"{asset}USDT",
        "b": f"{bid:.{spec.price_decimals}f}",
        "B": f"{float(sizes[0]) * unit:.{spec.quantity_decimals}f}",
        "a": f"{bid + spec.tick_usd:.{spec.price_decimals}f}",
        "A": f"{float(sizes[1]) * unit:.{spec.quantity_decimals}f}",
        "T": step * _BOOK_STEP_MS,
        "E": step * _BOOK_STEP_MS,
    }


@lru_cache(maxsize=16)
def _touch_sizes(seed: int, asset: str, minute: int) -> Any:
    rng = generator(seed, f"touch {asset}", minute)
    return rng.lognormal(1.5, 0.9, (2, 600)) + 0.1


def candle(world: World, asset: str, opens_ms: int, now_ms: int) -> Candle:
    """Return the candle of the minute that opens at `opens_ms`, from its trades before `now_ms`."""
    trades = world.trades(asset, opens_ms, min(opens_ms + MINUTE_MS, max(now_ms, opens_ms + 1)))
    if not len(trades.ids):
        spot = world.spot(asset, opens_ms)
        return Candle(opens_ms, spot, spot, spot, spot, 0.0, 0.0, 0.0, 0.0, 0, -1, -1)
    price, quantity = trades.price_usd, trades.quantity
    bought = ~trades.buyer_is_maker
    return Candle(
        opens_ms=opens_ms,
        open=float(price[0]),
        high=float(price.max()),
        low=float(price.min()),
        close=float(price[-1]),
        volume=float(quantity.sum()),
        quote_volume=float(quantity @ price),
        taker_volume=float(quantity[bought].sum()),
        taker_quote_volume=float(quantity[bought] @ price[bought]),
        trades=len(trades.ids),
        first_id=int(trades.ids[0]),
        last_id=int(trades.ids[-1]),
    )


def kline_row(asset: str, c: Candle) -> list[Any]:
    """Return the candle as the REST interface lists it, twelve columns."""
    p, q = ASSETS[asset].price_decimals, ASSETS[asset].quantity_decimals
    return [
        c.opens_ms,
        f"{c.open:.{p}f}",
        f"{c.high:.{p}f}",
        f"{c.low:.{p}f}",
        f"{c.close:.{p}f}",
        f"{c.volume:.{q}f}",
        c.opens_ms + MINUTE_MS - 1,
        f"{c.quote_volume:.5f}",
        c.trades,
        f"{c.taker_volume:.{q}f}",
        f"{c.taker_quote_volume:.5f}",
        "0",
    ]


def kline_event(asset: str, c: Candle, now_ms: int) -> dict[str, Any]:
    """Return the candle as the websocket sends it; `x` is true once the minute is over."""
    row = kline_row(asset, c)
    return {
        "e": "kline",
        "E": now_ms,
        "s": f"{asset}USDT",
        "k": {
            "t": c.opens_ms,
            "T": row[6],
            "s": f"{asset}USDT",
            "i": "1m",
            "f": c.first_id,
            "L": c.last_id,
            "o": row[1],
            "c": row[4],
            "h": row[2],
            "l": row[3],
            "v": row[5],
            "n": c.trades,
            "x": now_ms >= c.opens_ms + MINUTE_MS,
            "q": row[7],
            "V": row[9],
            "Q": row[10],
            "B": "0",
        },
    }
