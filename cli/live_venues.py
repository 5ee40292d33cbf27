"""The venues over the network: real ones or the embedded exchange, by the same code; only the URLs differ."""

from collections.abc import Callable

import msgspec

from cli.exchange import Endpoints
from cli.wiring import Venues
from config.load import ConfigError
from config.settings import Settings
from core.market.book import LocalBook
from core.market.events import Kline
from core.market.market import Market
from core.runtime.stream import Stream
from venues.binance.rest import BinanceRest
from venues.binance.stream import binance_streams, symbol_of
from venues.polymarket.clob import Clob
from venues.polymarket.gamma import Gamma
from venues.polymarket.prices import prices_stream
from venues.polymarket.stream import market_stream

CANDLES = 60
BOOK_WITHIN_S = 2.0
"""A book that is asked for because ours is quiet: a late answer says nothing of now."""


class Patience(msgspec.Struct, frozen=True):
    """How long a connection may go without data before it is replaced, in seconds."""

    book_silence_s: float
    flow_silence_s: float


def live_venues(
    endpoints: Endpoints, assets: tuple[str, ...], patience: Patience, now_ms: Callable[[], int], *, routed: bool
) -> Venues:
    """Return access to the venues at `endpoints`; `routed` where Binance splits its streams over two paths."""
    rest = BinanceRest(endpoints.binance_rest, now_ms)
    gamma = Gamma(endpoints.gamma)
    clob = Clob(endpoints.clob, timeout_s=BOOK_WITHIN_S)

    def close() -> None:
        rest.close()
        clob.close()
        gamma.close()

    def flow_streams(asset: str) -> tuple[Stream, ...]:
        return binance_streams(
            endpoints.binance_ws, symbol_of(asset), now_ms, routed=routed, silence_s=patience.flow_silence_s
        )

    def candles(asset: str) -> tuple[Kline, ...]:
        return rest.klines(symbol_of(asset), CANDLES)

    def book_stream(market: Market) -> Stream:
        return market_stream(endpoints.clob_ws, market, now_ms, silence_s=patience.book_silence_s)

    return Venues(
        book_stream=book_stream,
        make_book=lambda market, epoch: LocalBook(market, epoch=epoch),
        flow_streams=flow_streams,
        candles=candles,
        calendar=gamma,
        book=lambda market: (clob.book(market.up_token), clob.book(market.down_token)),
        prices=lambda: prices_stream(endpoints.price_ws, assets, now_ms),
        close=close,
    )


def public_endpoints(settings: Settings) -> Endpoints:
    """Return where the public venues are.

    Raises:
        ConfigError: one of the addresses is not set.
    """
    urls = {
        "gamma": settings.gamma_url,
        "clob": settings.clob_url,
        "clob_ws": settings.clob_ws_url,
        "price_ws": settings.price_ws_url,
        "binance_rest": settings.binance_rest_url,
        "binance_ws": settings.binance_ws_url,
        "user_ws": settings.user_ws_url,
    }
    missing = [name for name, url in urls.items() if url is None]
    if missing:
        raise ConfigError(f"no URL for {', '.join(missing)}: set FUSEBOX_{missing[0].upper()}_URL")
    return Endpoints(**{name: url for name, url in urls.items() if url is not None})
