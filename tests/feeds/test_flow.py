"""The order flow: the same numbers that a sum over all events gives, warm when its lookbacks are, bounded in memory."""

import math
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.market.events import BookTicker, Kline, Trade
from core.market.flow import FlowState

START_MS = 1_776_727_800_000
BUCKET_MS = 500


@dataclass(frozen=True)
class Tick:
    """One trade."""

    at_ms: int
    price: float
    quantity: float
    sold: bool


def random_ticks(seed: int, seconds: int, scale: float = 1.0, per_second: float = 4.0) -> list[Tick]:
    random = Random(seed)
    at_ms, price, ticks = float(START_MS), 60_000.0, []
    while at_ms < START_MS + seconds * 1000 * scale:
        price *= math.exp(random.gauss(0.0, 1e-4))
        ticks.append(Tick(int(at_ms), price, random.lognormvariate(0, 1), random.random() < 0.5))
        at_ms += random.expovariate(per_second) * 1000 * scale
    return ticks


def fed(ticks: list[Tick], scale: float = 1.0) -> FlowState:
    flow = FlowState("BTC", scale)
    for tick in ticks:
        flow.apply(Trade("BTCUSDT", tick.price, tick.quantity, tick.sold, tick.at_ms), tick.at_ms)
    return flow


class BruteForce:
    """The documented formulas over the whole list, bucket by bucket."""

    def __init__(self, ticks: list[Tick], now_ms: int) -> None:
        self.ticks = ticks
        self.now_ms = now_ms
        self.bucket = now_ms // BUCKET_MS

    def within(self, lookback_s: float) -> list[Tick]:
        """Trades of the lookback."""
        first = self.bucket - int(lookback_s * 1000 / BUCKET_MS)
        return [tick for tick in self.ticks if tick.at_ms // BUCKET_MS >= first]

    def price_ago(self, lookback_s: float) -> float:
        """The last price before the lookback."""
        first = self.bucket - int(lookback_s * 1000 / BUCKET_MS)
        return [tick for tick in self.ticks if tick.at_ms // BUCKET_MS < first][-1].price

    def delta(self, lookback_s: float) -> float:
        """Taker buys less taker sells."""
        return sum(-tick.quantity if tick.sold else tick.quantity for tick in self.within(lookback_s))

    def volume(self, lookback_s: float) -> float:
        """All that traded."""
        return sum(tick.quantity for tick in self.within(lookback_s))

    def variance(self, lookback_s: float) -> float:
        """Sum of squared log returns of the buckets."""
        closes: dict[int, float] = {}
        for tick in self.ticks:
            closes[tick.at_ms // BUCKET_MS] = tick.price
        first, total, previous = self.bucket - int(lookback_s * 1000 / BUCKET_MS), 0.0, None
        for bucket, close in sorted(closes.items()):
            if previous is not None and bucket >= first:
                total += math.log(close / previous) ** 2
            previous = close
        return total

    def span_ms(self, lookback_s: float) -> float:
        """How long the lookback is, the part of the present bucket included."""
        return lookback_s * 1000 + self.now_ms - self.bucket * BUCKET_MS


# a failing seed says as much as a shrunk one, and shrinking would take minutes
@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(seed=st.integers(0, 10_000), past_ms=st.integers(0, 3_000))
def test_the_view_is_what_a_sum_over_all_events_gives(seed: int, past_ms: int) -> None:
    ticks = random_ticks(seed, 700)
    now_ms = ticks[-1].at_ms + past_ms
    view, brute = fed(ticks).view(now_ms), BruteForce(ticks, now_ms)
    assert view is not None
    assert view.warm
    close = pytest.approx
    price = ticks[-1].price
    assert view.spot == price
    assert view.returns_1m == close(price / brute.price_ago(60) - 1)
    assert view.returns_5m == close(price / brute.price_ago(300) - 1)
    assert view.returns_10m == close(price / brute.price_ago(600) - 1)
    assert view.trade_flow_imbalance == close(brute.delta(60) / brute.volume(60))
    assert view.cvd == close(brute.delta(600))
    assert view.cvd_acceleration == close((2 * brute.delta(30) - brute.delta(60)) / brute.volume(300), abs=1e-9)
    assert view.trade_intensity == close(len(brute.within(10)) * 1000 / brute.span_ms(10))
    rate = {lookback_s: brute.variance(lookback_s) / brute.span_ms(lookback_s) for lookback_s in (60, 300, 600)}
    assert view.volatility_expansion == close(0.5 * math.log(rate[60] / rate[600]), abs=1e-6)
    assert view.volatility_regime == float(rate[300] > rate[600])
    moved = abs(math.log(price / brute.price_ago(600)))
    assert view.trend_regime == float(moved > math.sqrt(brute.variance(600)))


def test_volatility_expansion_rises_when_the_market_wakes_and_falls_when_it_calms() -> None:
    calm = random_ticks(1, 650)
    price = calm[-1].price
    wild = [
        Tick(calm[-1].at_ms + 500 * number, price * (1.001 if number % 2 else 0.999), 1.0, sold=False)
        for number in range(1, 60)
    ]
    view = fed(calm + wild).view(wild[-1].at_ms)
    assert view is not None
    assert view.volatility_expansion > 0.5
    assert view.volatility_regime == 1.0
    flat = [Tick(wild[-1].at_ms + 500 * number, price, 1.0, sold=False) for number in range(1, 140)]
    after = fed(calm + wild + flat).view(flat[-1].at_ms)
    assert after is not None
    assert after.volatility_expansion == -3.0


def test_lookbacks_scale_with_the_window() -> None:
    scale = 60 / 900
    ticks = random_ticks(3, 700, scale)
    view = fed(ticks, scale).view(ticks[-1].at_ms)
    assert view is not None
    assert view.warm
    four_s_ago = [tick for tick in ticks if tick.at_ms // 50 < ticks[-1].at_ms // 50 - 80][-1]
    assert view.returns_1m == pytest.approx(ticks[-1].price / four_s_ago.price - 1)


def test_a_value_is_zero_until_its_lookback_is_filled() -> None:
    ticks = random_ticks(4, 100)
    view = fed(ticks).view(ticks[-1].at_ms)
    assert view is not None
    assert view.returns_1m != 0.0
    assert (view.returns_5m, view.returns_10m, view.volatility_expansion, view.warm) == (0.0, 0.0, 0.0, False)


def test_there_is_no_view_before_a_price() -> None:
    assert FlowState("BTC").view(START_MS) is None


def test_a_large_trade_raises_a_flag_that_fades_in_steps() -> None:
    ticks = [Tick(START_MS + 100 * number, 60_000.0, 1.0, sold=False) for number in range(200)]
    large_ms = ticks[-1].at_ms + 100
    flow = fed([*ticks, Tick(large_ms, 60_000.0, 25.0, sold=False)])
    flags = [flow.view(large_ms + after_ms) for after_ms in (0, 4_999, 5_000, 10_000, 60_000)]
    assert [round(view.large_trade_flag, 4) for view in flags if view is not None] == [1.0, 1.0, 0.7, 0.49, 0.0]
    ordinary = fed([*ticks, Tick(large_ms, 60_000.0, 5.0, sold=False)]).view(large_ms)
    assert ordinary is not None
    assert ordinary.large_trade_flag == 0.0


def test_the_touch_moves_the_spot_price() -> None:
    flow = FlowState("BTC")
    flow.apply(BookTicker("BTCUSDT", 100.0, 1.0, 102.0, 1.0, START_MS), START_MS)
    view = flow.view(START_MS)
    assert view is not None
    assert view.spot == 101.0


def klines(count: int, end_ms: int) -> list[Kline]:
    return [
        Kline(
            "BTCUSDT",
            end_ms - (count - number) * 60_000,
            end_ms - (count - number - 1) * 60_000 - 1,
            60_000.0 + number,
            60_030.0 + number,
            59_980.0 + number,
            60_001.0 + number,
            120.0,
            90.0,
            closed=True,
            venue_ms=end_ms,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("live_first", [False, True])
@pytest.mark.parametrize("gap_ms", [0, 31_700])
def test_candles_warm_the_long_lookbacks_at_once(gap_ms: int, *, live_first: bool) -> None:
    flow = FlowState("BTC")
    now_ms = START_MS + gap_ms
    if not live_first:
        flow.seed(klines(12, START_MS))
    flow.apply(Trade("BTCUSDT", 60_012.0, 1.0, buyer_is_maker=False, venue_ms=now_ms), now_ms)
    if live_first:
        flow.seed(klines(12, START_MS))
    view = flow.view(now_ms)
    assert view is not None
    assert view.warm
    assert view.returns_10m == pytest.approx(60_012.0 / (60_002.0 + gap_ms / 60_000) - 1, abs=2e-6)
    assert view.cvd == pytest.approx((600 - gap_ms / 1000) * 60 / 60, rel=0.01)
    assert view.trade_flow_imbalance == pytest.approx(0.5, abs=0.02)


def test_a_forming_candle_counts_as_far_as_it_has_come() -> None:
    flow = FlowState("BTC")
    forming = Kline("BTCUSDT", START_MS, START_MS + 59_999, 60_012.0, 60_020.0, 60_000.0, 60_010.0, 30.0, 30.0,
                    closed=False, venue_ms=START_MS + 30_000)  # fmt: skip
    flow.seed([*klines(11, START_MS), forming])
    view = flow.view(START_MS + 30_000)
    assert view is not None
    assert view.spot == 60_010.0
    assert view.trade_flow_imbalance == pytest.approx((45.0 + 30.0 - 15.0) / 90.0, abs=0.01)


def test_memory_does_not_grow_and_a_jump_of_the_clock_does_no_harm() -> None:
    flow = fed(random_ticks(5, 1_500))
    size = len(flow._ring)
    flow.apply(Trade("BTCUSDT", 60_000.0, 1.0, buyer_is_maker=False, venue_ms=0), START_MS + 10**9)
    flow.apply(Trade("BTCUSDT", 60_000.0, 1.0, buyer_is_maker=False, venue_ms=0), START_MS)
    view = flow.view(START_MS + 10**9)
    assert len(flow._ring) == size
    assert view is not None
    assert view.cvd == pytest.approx(2.0)
    assert view.trade_flow_imbalance == pytest.approx(1.0)


def test_a_reconnect_begins_an_epoch_and_keeps_the_history() -> None:
    ticks = random_ticks(6, 700)
    flow = fed(ticks)
    flow.restart_epoch()
    view = flow.view(ticks[-1].at_ms)
    assert view is not None
    assert (view.continuity_epoch, view.warm) == (2, True)
