"""Binance's REST interface, as far as it is needed: candles to warm the flow's lookbacks, and the venue's clock."""

from collections.abc import Callable

import msgspec

from core.market.events import Kline
from venues.binance.decode import parse_positive, parse_quantity
from venues.rest import Rest
from venues.transport import BadFrameError

_FIELDS = 12
_MOST_KLINES = 1500


class _ServerTime(msgspec.Struct):
    server_ms: int = msgspec.field(name="serverTime")


class BinanceRest:
    """The USD-M futures REST interface at `base_url` (such as `https://fapi.binance.com`).

    Each call raises `TransientError` when the venue could not be asked, `RejectedError` when it refused, and
    `BadFrameError` when its answer cannot be understood.
    """

    def __init__(self, base_url: str, now_ms: Callable[[], int], *, timeout_s: float = 5.0) -> None:
        self._rest = Rest(base_url, timeout_s=timeout_s)
        self._now_ms = now_ms

    def klines(self, symbol: str, limit: int = 20, interval: str = "1m") -> tuple[Kline, ...]:
        """Return the last `limit` (up to 1500) candles of `symbol`, oldest first; the last one is still forming."""
        parameters: dict[str, str | int] = {
            "symbol": symbol,
            "interval": interval,
            "limit": min(_MOST_KLINES, max(1, limit)),
        }
        rows = self._rest.get("/fapi/v1/klines", list[list[int | str]], parameters)
        now_ms = self._now_ms()
        return tuple(_kline(symbol, row, now_ms) for row in rows)

    def time_ms(self) -> int:
        """Return the venue's clock in unix milliseconds."""
        return self._rest.get("/fapi/v1/time", _ServerTime).server_ms

    def close(self) -> None:
        """Close the pooled connections."""
        self._rest.close()


def _kline(symbol: str, row: list[int | str], now_ms: int) -> Kline:
    if len(row) != _FIELDS:
        raise BadFrameError(f"a candle of {symbol} has {len(row)} fields, expected {_FIELDS}")
    opens, opening, high, low, close, volume, closes, _, _, taker_buy, *_ = row
    if not isinstance(opens, int) or not isinstance(closes, int):
        raise BadFrameError(f"a candle of {symbol} has no stamps: {opens!r}, {closes!r}")
    return Kline(
        symbol,
        opens,
        closes,
        parse_positive(str(opening)),
        parse_positive(str(high)),
        parse_positive(str(low)),
        parse_positive(str(close)),
        parse_quantity(str(volume)),
        parse_quantity(str(taker_buy)),
        closes < now_ms,
        now_ms,
    )
