"""The slow market is like the recorded one: its prices are right on average, its spreads, sizes and moves usual."""

import numpy as np
import numpy.typing as npt
import pytest

from tests.sim.conftest import MIDNIGHT_S
from venues.sim.world import World

_WINDOWS = sorted(("BTC", MIDNIGHT_S - 86_400 * (k % 12) + (k * 7919 % 96) * 900) for k in range(60))
_FEE = 0.07

Touches = dict[tuple[str, int], npt.NDArray[np.float64]]
"""Bid and ask of Up, one row a second, by asset and opening second."""


def _cost(price: float) -> float:
    return price + _FEE * price * (1 - price)


@pytest.fixture(scope="module")
def touches(world: World) -> Touches:
    """Bid and ask of Up at every second of the sampled windows."""
    out: Touches = {}
    for asset, opens in _WINDOWS:
        quotes = [world.quote(asset, opens, (opens + s) * 1000) for s in range(900)]
        out[asset, opens] = np.array([[q.bid, q.ask] for q in quotes]) / 1e6
    return out


def test_mids_are_calibrated(world: World, touches: Touches) -> None:
    scores, expected, errors = [], [], []
    for (asset, opens), touch in touches.items():
        won = float(world.winner(asset, opens) == "Up")
        mids = touch.mean(axis=1)[60::60]
        scores.append(float(np.mean((mids - won) ** 2)))
        expected.append(float(np.mean(mids * (1 - mids))))
        errors.append(float((mids - won).mean()))
    assert 0.11 < np.mean(scores) < 0.20
    surprise = np.array(scores) - expected
    assert abs(surprise.mean()) < 3 * surprise.std() / np.sqrt(len(surprise))
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(len(errors))


def test_a_value_that_is_a_minute_old_earns_nothing_after_fees(
    world: World,
    touches: Touches,
) -> None:
    per_window = []
    for (asset, opens), touch in touches.items():
        won = float(world.winner(asset, opens) == "Up")
        gains = []
        for second in range(60, 900, 60):
            old = world.fair(asset, opens, (opens + second - 60) * 1000)
            bid, ask = touch[second]
            if old > _cost(ask):
                gains.append(won - _cost(ask))
            if 1 - old > _cost(1 - bid):
                gains.append(1 - won - _cost(1 - bid))
        per_window.append(sum(gains))
    mean, error = np.mean(per_window), np.std(per_window) / np.sqrt(len(per_window))
    assert mean < 2 * error


def test_spreads_sizes_and_moves_are_near_the_recorded_ones(
    world: World,
    touches: Touches,
) -> None:
    spread = np.concatenate([t[:, 1] - t[:, 0] for t in touches.values()])
    assert np.quantile(spread, [0.5, 0.9, 0.99]) == pytest.approx([0.01, 0.01, 0.03], abs=0.0101)
    assert np.median(spread) == pytest.approx(0.01)
    moves = np.concatenate([np.abs(np.diff(t.mean(axis=1))) for t in touches.values()])
    assert 0.28 < (moves > 1e-9).mean() < 0.48
    assert np.quantile(moves, [0.9, 0.99]) == pytest.approx([0.02, 0.06], abs=0.0151)
    sizes = [
        shares / 1e6
        for asset, opens in _WINDOWS[:20]
        for second in range(30, 900, 120)
        for side in [world.book(asset, opens, (opens + second) * 1000)]
        for shares in (side.bids[0][1], side.asks[0][1])
    ]
    assert 180 < np.median(sizes) < 330
    book = world.book("BTC", MIDNIGHT_S, MIDNIGHT_S * 1000 + 60_000)
    assert min(len(book.bids), len(book.asks)) >= 10


def test_the_slow_market_follows_spot_within_about_a_second(touches: Touches, world: World) -> None:
    by_lag: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for (asset, opens), touch in list(touches.items())[:20]:
        moves = np.diff(touch.mean(axis=1))
        spot = np.diff([world.spot(asset, (opens + s) * 1000) for s in range(900)])
        for lag, found in by_lag.items():
            shifted = moves[lag:]
            found.append(float(np.corrcoef(spot[: len(shifted)], shifted)[0, 1]))
    means = {lag: float(np.nanmean(found)) for lag, found in by_lag.items()}
    assert max(means, key=means.__getitem__) == 1
    assert means[1] > 0.5


def _edge_seconds(world: World, opens: int) -> int:
    """Count the seconds at which somebody who reads the fast venue beats spread and fee by two cents."""
    count = 0
    for second in range(0, world.window_s, max(1, world.window_s // 60)):
        t_ms = (opens + second) * 1000
        fair, quote = world.fair("BTC", opens, t_ms), world.quote("BTC", opens, t_ms)
        best = max(fair - _cost(quote.ask / 1e6), 1 - fair - _cost(1 - quote.bid / 1e6))
        count += best > 0.02
    return count


@pytest.mark.parametrize("window_s", [60, 900])
def test_the_lagged_world_pays_who_reads_the_fast_venue_and_today_hardly(window_s: int) -> None:
    starts = [MIDNIGHT_S + k * 7 * window_s for k in range(12)]
    slow, fast = World(11, "lagged", window_s), World(11, "today", window_s)
    lagged = np.mean([_edge_seconds(slow, s) for s in starts])
    today = np.mean([_edge_seconds(fast, s) for s in starts])
    assert lagged >= 3
    assert lagged > 2 * today
