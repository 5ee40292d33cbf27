"""The fast venue's order flow of one asset: trades and quotes in, the numbers the features need out, memory bounded.

Time is divided into buckets (0.5 s at W = 900, never under 50 ms) and each bucket keeps cumulative totals, so that a
sum over any lookback is one subtraction. A lookback of n buckets is the n full ones before the present bucket and the
part of the present one that has passed. Time is the time of receipt: in real data venue and local clocks differ by
seconds.
"""

import math
from collections.abc import Sequence

from core.market.events import BinanceEvent, BookTicker, Kline, Trade
from core.market.views import FlowView

_BUCKET_S = 0.5
_MIN_BUCKET_MS = 50
_FLASH_S = 5.0
_FAST_S, _MINUTE_S, _HALF_S, _LONG_S = 10.0, 60.0, 300.0, 600.0
MOVES_S = (1.0, 2.0, 5.0, 10.0)
"""Lookbacks of the fast moves of spot; not scaled with the window: how late a book follows does not depend on it."""
_COARSE_S = 2.0
_COARSE_SAMPLES = 15
LARGE_TRADE_MULTIPLE = 20.0
"""A trade is large at this many times the mean quantity (every 20 s or so in the recorded futures stream)."""
_LARGE_TRADE_SAMPLE = 50
_LARGE_TRADE_DECAY = 0.7
_LARGE_TRADE_FLOOR = 0.05
_CALMEST = -3.0
_PRICE, _BUY, _SELL, _COUNT, _TRADED, _VARIANCE, _COARSE, _PRICES = range(8)


class FlowState:
    """Order flow of one asset. Feed it events in order of arrival; ask for a view at any moment.

    Args:
        asset: the asset's ticker, such as `BTC`.
        window_scale: W / 900; scales every lookback.
        epoch: the first continuity epoch.
    """

    def __init__(self, asset: str, window_scale: float = 1.0, *, epoch: int = 1) -> None:
        self._asset = asset
        self._bucket_ms = max(_MIN_BUCKET_MS, round(_BUCKET_S * 1000 * window_scale))
        self._fast = self._buckets(_FAST_S, window_scale)
        self._minute = self._buckets(_MINUTE_S, window_scale)
        self._half = self._buckets(_HALF_S, window_scale)
        self._long = self._buckets(_LONG_S, window_scale)
        self._flash_ms = max(1, round(_FLASH_S * 1000 * window_scale))
        self._moves = tuple(max(1, round(lookback_s * 1000 / self._bucket_ms)) for lookback_s in MOVES_S)
        self._coarse = max(1, round(_COARSE_S * 1000 / self._bucket_ms))
        self._size = max(self._long, *self._moves) + 2
        # totals at the end of a bucket, by bucket number modulo the ring's size
        self._ring: list[tuple[float, ...]] = [()] * self._size
        self._first: int | None = None
        self._current = 0
        self._price = 0.0
        self._settled_price = 0.0
        self._settled_variance = 0.0
        self._coarse_price = 0.0
        self._coarse_variance = 0.0
        self._price_sum = 0.0
        self._buy = self._sell = self._traded = 0.0
        self._count = 0
        self._large_ms: int | None = None
        self._venue_ms = 0
        self._received_ms = 0
        self._epoch = epoch

    def _buckets(self, lookback_s: float, scale: float) -> int:
        return max(1, round(lookback_s * 1000 * scale / self._bucket_ms))

    def restart_epoch(self) -> None:
        """Note a reconnect: history is kept (prices stay true), but trades may be missing."""
        self._epoch += 1

    def apply(self, event: BinanceEvent, received_ms: int) -> None:
        """Apply one trade, touch or candle received at `received_ms` (unix ms)."""
        self._advance(received_ms)
        if isinstance(event, Trade):
            self._apply_trade(event, received_ms)
        elif isinstance(event, BookTicker):
            self._price = (event.bid + event.ask) / 2
        elif isinstance(event, Kline):
            self._price = event.close
        if self._settled_price <= 0.0:
            self._settled_price = self._price
        self._venue_ms = max(self._venue_ms, event.venue_ms)
        self._received_ms = max(self._received_ms, received_ms)

    def seed(self, klines: Sequence[Kline]) -> None:
        """Fill the lookbacks before the first live event from candles, oldest first, so that they are warm at once.

        Within a candle the price runs straight from open to close, volume is spread evenly, and variance is Parkinson's
        `ln(high / low)^2 / (4 ln 2)`, spread evenly too. Trade counts are not seeded: candles here do not carry them.
        """
        if not klines:
            return
        if self._first is None:
            last = klines[-1]
            self._start(self._end_ms(last) // self._bucket_ms)
            self._price = self._settled_price = last.close
            self._venue_ms = self._received_ms = self._end_ms(last)
        oldest = self._current - self._size + 1
        totals = self._ring[(self._first_bucket() - 1) % self._size]
        for kline in reversed(klines):
            span_ms = max(1, self._end_ms(kline) - kline.opens_ms)
            share = min(1.0, self._bucket_ms / span_ms)
            variance = math.log(kline.high / kline.low) ** 2 / (4 * math.log(2)) * share
            buy, sell = kline.taker_buy_volume * share, (kline.volume - kline.taker_buy_volume) * share
            bucket = self._first_bucket() - 1
            last_inside = (self._end_ms(kline) - 1) // self._bucket_ms
            while bucket >= max(oldest, kline.opens_ms // self._bucket_ms):
                passed = min(1.0, ((bucket + 1) * self._bucket_ms - kline.opens_ms) / span_ms)
                price = kline.open + (kline.close - kline.open) * passed
                self._ring[bucket % self._size] = (price, *totals[1:])
                if bucket <= last_inside:
                    _, bought, sold, count, traded, summed, coarse, prices = totals
                    totals = (
                        price, bought - buy, sold - sell, count, traded, summed - variance, coarse - variance,
                        prices - price,
                    )  # fmt: skip
                self._first = bucket
                bucket -= 1
        if self._first_bucket() > oldest:
            self._ring[(self._first_bucket() - 1) % self._size] = totals

    def view(self, now_ms: int) -> FlowView | None:
        """Return the flow as of `now_ms` (unix ms); None until there is a price.

        With lookbacks of 10, 60, 300 and 600 s (times W / 900), B and S the taker buy and sell quantities in a
        lookback, and V its realised variance (sum of squared log returns of the buckets):

        - returns: `price / price one lookback ago - 1`, over 60, 300, 600 s
        - trade-flow imbalance: `(B - S) / (B + S)` over 60 s, in [-1, 1]
        - cvd: `B - S` over 600 s, in base units
        - CVD acceleration: `((B - S) over the last 30 s - (B - S) over the 30 s before) / (B + S) over 300 s`
        - trade intensity: trades per second over 10 s
        - large-trade flag: 1 at a trade of 20 times the mean quantity of 300 s, times 0.7 for each 5 s since, then 0
        - volatility expansion: `ln(s60 / s600)`, at least -3, with s the square root of V per second; above 0 when it
          rises
        - volatility regime: 1 when s300 exceeds s600
        - trend regime: 1 when the move over 600 s exceeds one standard deviation of it, `|ln(p / p600)| > sqrt(V600)`
        - moves: log returns over 1, 2, 5 and 10 s (not scaled)
        - volatility: of one second, from moves of two seconds over 600 s
        - mean price: of the full buckets of 60 s
        """
        if self._price <= 0.0 or self._first is None:
            return None
        self._advance(now_ms)
        elapsed_ms = min(self._bucket_ms, max(0, now_ms - self._current * self._bucket_ms))
        minute, half, long = self._since(self._minute), self._since(self._half), self._since(self._long)
        long_filled = self._filled(self._long)
        variance_60 = self._variance_rate(minute, self._minute, elapsed_ms)
        variance_300 = self._variance_rate(half, self._half, elapsed_ms)
        variance_600 = self._variance_rate(long, self._long, elapsed_ms)
        move = abs(math.log(self._price / long[_PRICE])) if long_filled else 0.0
        return FlowView(
            self._asset,
            self._price,
            self._return(minute, self._minute),
            self._return(half, self._half),
            self._return(long, self._long),
            _ratio(minute[_BUY] - minute[_SELL], minute[_BUY] + minute[_SELL]) if self._filled(self._minute) else 0.0,
            long[_BUY] - long[_SELL] if long_filled else 0.0,
            self._cvd_acceleration(half),
            self._intensity(elapsed_ms),
            self._large_trade_flag(now_ms),
            _expansion(variance_60, variance_600),
            float(variance_300 > variance_600 > 0.0),
            float(long_filled and move > math.sqrt(max(0.0, long[_VARIANCE]))),
            long_filled,
            self._venue_ms,
            self._received_ms,
            self._epoch,
            tuple(self._move(buckets) for buckets in self._moves),
            self._volatility(long),
            self._mean_price(minute),
        )

    def _move(self, buckets: int) -> float:
        return math.log(self._price / self._then(buckets)[_PRICE]) if self._filled(buckets) else 0.0

    def _volatility(self, long: tuple[float, ...]) -> float:
        """Return the standard deviation of one second's log return; 0 until enough of the longest lookback is there.

        From moves of two seconds: within shorter ones the bounce between bid and offer looks like volatility.
        """
        oldest = max(self._current - self._long, self._first_bucket())
        span_s = (self._current - oldest) * self._bucket_ms / 1000
        if self._current - oldest < min(self._long, _COARSE_SAMPLES * self._coarse):
            return 0.0
        return math.sqrt(max(0.0, long[_COARSE]) / span_s)

    def _mean_price(self, minute: tuple[float, ...]) -> float:
        return minute[_PRICES] / self._minute if self._filled(self._minute) else 0.0

    def _apply_trade(self, trade: Trade, received_ms: int) -> None:
        then = self._then(self._half)
        count = self._count - then[_COUNT]
        if (
            count >= _LARGE_TRADE_SAMPLE
            and trade.quantity >= LARGE_TRADE_MULTIPLE * (self._traded - then[_TRADED]) / count
        ):
            self._large_ms = received_ms
        self._price = trade.price
        self._count += 1
        self._traded += trade.quantity
        if trade.buyer_is_maker:
            self._sell += trade.quantity
        else:
            self._buy += trade.quantity

    def _start(self, bucket: int) -> None:
        self._first = self._current = bucket
        self._ring[(bucket - 1) % self._size] = (0.0,) * 8

    def _first_bucket(self) -> int:
        return self._current if self._first is None else self._first

    def _advance(self, now_ms: int) -> None:
        """Settle the buckets before the one of `now_ms`; a clock that runs backwards stays in the present bucket."""
        bucket = now_ms // self._bucket_ms
        if self._first is None:
            self._start(bucket)
            return
        if bucket <= self._current:
            return
        self._settled_variance = self._total_variance()
        self._settled_price = self._price
        if bucket // self._coarse > self._current // self._coarse:
            if self._coarse_price > 0.0:
                self._coarse_variance += math.log(self._price / self._coarse_price) ** 2
            self._coarse_price = self._price
        first = max(self._current, bucket - self._size)
        self._price_sum += self._price * (first - self._current)
        for settled in range(first, bucket):
            self._price_sum += self._price
            self._ring[settled % self._size] = (
                self._price, self._buy, self._sell, float(self._count), self._traded, self._settled_variance,
                self._coarse_variance, self._price_sum,
            )  # fmt: skip
        self._current = bucket

    def _total_variance(self) -> float:
        if self._settled_price <= 0.0 or self._price <= 0.0:
            return self._settled_variance
        return self._settled_variance + math.log(self._price / self._settled_price) ** 2

    def _since(self, buckets: int) -> tuple[float, ...]:
        """Return the totals since `buckets` full buckets ago; the price is the one of that moment."""
        then = self._then(buckets)
        return (
            then[_PRICE],
            self._buy - then[_BUY],
            self._sell - then[_SELL],
            self._count - then[_COUNT],
            self._traded - then[_TRADED],
            self._total_variance() - then[_VARIANCE],
            self._coarse_variance - then[_COARSE],
            self._price_sum - then[_PRICES],
        )

    def _then(self, buckets: int) -> tuple[float, ...]:
        return self._ring[(max(self._current - buckets, self._first_bucket()) - 1) % self._size]

    def _filled(self, buckets: int) -> bool:
        return self._current - buckets - 1 >= self._first_bucket() and self._then(buckets)[_PRICE] > 0.0

    def _return(self, since: tuple[float, ...], buckets: int) -> float:
        return self._price / since[_PRICE] - 1.0 if self._filled(buckets) else 0.0

    def _variance_rate(self, since: tuple[float, ...], buckets: int, elapsed_ms: int) -> float:
        if not self._filled(buckets):
            return 0.0
        return since[_VARIANCE] / (buckets * self._bucket_ms + elapsed_ms)

    def _cvd_acceleration(self, half: tuple[float, ...]) -> float:
        if not self._filled(self._half):
            return 0.0
        recent_buckets = max(1, self._minute // 2)
        recent, both = self._since(recent_buckets), self._since(2 * recent_buckets)
        recent_delta = recent[_BUY] - recent[_SELL]
        earlier_delta = both[_BUY] - both[_SELL] - recent_delta
        return _ratio(recent_delta - earlier_delta, half[_BUY] + half[_SELL])

    def _intensity(self, elapsed_ms: int) -> float:
        if not self._filled(self._fast):
            return 0.0
        return self._since(self._fast)[_COUNT] * 1000 / (self._fast * self._bucket_ms + elapsed_ms)

    def _large_trade_flag(self, now_ms: int) -> float:
        if self._large_ms is None:
            return 0.0
        steps = max(0, now_ms - self._large_ms) // self._flash_ms
        flag = _LARGE_TRADE_DECAY ** min(steps, 100)
        return flag if flag >= _LARGE_TRADE_FLOOR else 0.0

    @staticmethod
    def _end_ms(kline: Kline) -> int:
        """Where a candle ends: its close, or as far as a forming one had come."""
        close = kline.closes_ms + 1
        return close if kline.closed else max(kline.opens_ms + 1, min(close, kline.venue_ms))


def _expansion(recent: float, usual: float) -> float:
    """Return the log ratio of two volatilities from their variances; a minute without any move is the calmest."""
    if usual <= 0.0:
        return 0.0
    return max(_CALMEST, 0.5 * math.log(recent / usual)) if recent > 0.0 else _CALMEST


def _ratio(numerator: float, denominator: float) -> float:
    """Return the quotient within [-1, 1], and 0 where nothing traded."""
    return max(-1.0, min(1.0, numerator / denominator)) if denominator > 0.0 else 0.0
