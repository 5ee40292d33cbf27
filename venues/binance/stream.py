"""Binance's market streams of one symbol: trades and candles on one route, the touch on another."""

from collections.abc import Callable, Sequence
from random import Random

from venues.binance.decode import decode_binance_frame
from venues.stream import Stream, StreamTimings

MARKET_ROUTE = "market"
PUBLIC_ROUTE = "public"
_ROUTES = {"aggTrade": MARKET_ROUTE, "kline_1m": MARKET_ROUTE, "bookTicker": PUBLIC_ROUTE}
STREAMS = ("aggTrade", "bookTicker", "kline_1m")


def symbol_of(asset: str) -> str:
    """Return the venue's symbol of an asset: `BTC` gives `BTCUSDT`."""
    return f"{asset.upper()}USDT"


def binance_streams(
    base_url: str,
    symbol: str,
    now_ms: Callable[[], int],
    *,
    routed: bool,
    silence_s: float = 15.0,
    timings: StreamTimings | None = None,
    random: Random | None = None,
) -> tuple[Stream, ...]:
    """Return the streams that together give aggTrade, bookTicker and kline_1m of `symbol`.

    Since 2026-04-23 the USD-M futures venue serves trades and candles below `/market` and the touch below `/public`
    only (a stream asked for on the other route connects and stays silent), so `routed` gives two streams, each to be
    run by a worker of its own: first trades and candles, then the touch. Unrouted, one connection carries all.

    Args:
        base_url: such as `wss://fstream.binance.com`, without a path.
        symbol: such as `BTCUSDT`.
        now_ms: the clock for receipt stamps, unix ms.
        routed: True for the public venue.
        silence_s: seconds without an event after which a connection is replaced.
        timings: all waits, in place of `silence_s`.
        random: the source of backoff jitter.

    Raises:
        RejectedError: when `base_url` is no websocket URL.
    """
    waits = timings or StreamTimings(silence_s=silence_s)

    def stream(route: str, names: Sequence[str]) -> Stream:
        joined = "/".join(f"{symbol.lower()}@{name}" for name in names)
        url = f"{base_url.rstrip('/')}{route}/stream?streams={joined}"
        return Stream(url, (), decode_binance_frame, now_ms, waits, ping=None, random=random)

    if not routed:
        return (stream("", STREAMS),)
    return tuple(
        stream(f"/{route}", [name for name in STREAMS if _ROUTES[name] == route])
        for route in (MARKET_ROUTE, PUBLIC_ROUTE)
    )
