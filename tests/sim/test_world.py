"""The world is a function of seed and time: nothing else decides a price, a book or a winner."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.conftest import MIDNIGHT_S
from venues.sim.world import ASSETS, World
from venues.sim.world.world import winning_outcome

_DAY_S = 86_400
_FIRST = World(21, "today", 900)
_SECOND = World(21, "today", 900)


@settings(max_examples=60, deadline=None)
@given(window=st.integers(0, 95), into_ms=st.integers(-60_000, 960_000), asset=st.sampled_from(sorted(ASSETS)))
def test_two_instances_agree_on_every_book_whatever_was_asked_before(window: int, into_ms: int, asset: str) -> None:
    opens = MIDNIGHT_S + window * 900
    t_ms = opens * 1000 + into_ms
    assert _FIRST.book(asset, opens, t_ms) == _SECOND.book(asset, opens, t_ms)
    assert _FIRST.spot(asset, t_ms) == _SECOND.spot(asset, t_ms)


def test_a_window_computed_by_itself_equals_the_same_window_inside_a_run(world: World) -> None:
    opens = MIDNIGHT_S + 40 * 900
    run = [
        (world.strike("ETH", start), world.winner("ETH", start), world.book("ETH", start, start * 1000 + 450_000))
        for start in range(MIDNIGHT_S + 37 * 900, opens + 1, 900)
    ]
    fresh = World(11, "today", 900)
    book = fresh.book("ETH", opens, opens * 1000 + 450_000)
    assert (fresh.strike("ETH", opens), fresh.winner("ETH", opens), book) == run[-1]


def test_seeds_and_assets_differ(world: World) -> None:
    t_ms = MIDNIGHT_S * 1000
    assert world.spot("BTC", t_ms) != World(12).spot("BTC", t_ms)
    a, b = (np.array([world.spot(x, t_ms + k * 60_000) for k in range(200)]) for x in ("ETH", "SOL"))
    assert abs(float(np.corrcoef(np.diff(np.log(a)), np.diff(np.log(b)))[0, 1])) < 0.95


@pytest.mark.parametrize("asset", sorted(ASSETS))
def test_spot_is_continuous_across_midnight(world: World, asset: str) -> None:
    steps = np.array([world.spot(asset, MIDNIGHT_S * 1000 + k * 100) for k in range(-300, 300)])
    moves = np.abs(np.diff(np.log(steps)))
    assert moves[299] <= max(np.delete(moves, 299))


def test_a_strike_struck_at_midnight_averages_ticks_of_both_days() -> None:
    short = World(11, "today", 60)
    ticks = [short.tick("SOL", second) for second in range(MIDNIGHT_S - 3, MIDNIGHT_S + 1)]
    assert short.strike("SOL", MIDNIGHT_S) == pytest.approx(sum(ticks) / 4 / 1e8, rel=1e-12)


@pytest.mark.parametrize(("asset", "annual"), [("BTC", 0.45), ("ETH", 0.60), ("SOL", 0.75), ("XRP", 0.70)])
def test_volatility_is_the_assets_own(world: World, asset: str, annual: float) -> None:
    squares = [
        float(np.square(np.diff(np.log(world.prices.day(asset, MIDNIGHT_S // _DAY_S - k).spot_usd))).sum())
        for k in range(3)
    ]
    assert np.sqrt(np.mean(squares) * 365) == pytest.approx(annual, rel=0.35)


def test_winner_is_the_sign_of_the_two_means_recomputed_from_the_ticks(world: World) -> None:
    for start in range(MIDNIGHT_S, MIDNIGHT_S + 60 * 900, 900):
        opening = [round(world.spot("BTC", s * 1000) * 1e8) for s in range(start - 60, start)]
        closing = [round(world.spot("BTC", s * 1000) * 1e8) for s in range(start + 840, start + 900)]
        assert world.winner("BTC", start) == ("Up" if sum(closing) >= sum(opening) else "Down")
        assert world.strike("BTC", start) == pytest.approx(sum(opening) / 60 / 1e8, rel=1e-12)


def test_both_outcomes_happen(world: World) -> None:
    winners = [world.winner("BTC", MIDNIGHT_S + k * 900) for k in range(96)]
    assert 25 < winners.count("Up") < 71


@given(st.integers(0, 10**18))
def test_a_tie_is_up_and_a_hair_less_is_not(total: int) -> None:
    assert winning_outcome(total, total) == "Up"
    assert winning_outcome(total + 1, total) == "Down"


@settings(max_examples=80, deadline=None)
@given(window=st.integers(0, 95), into_ms=st.integers(0, 899_999))
def test_books_are_never_crossed_and_lie_on_the_tick(window: int, into_ms: int) -> None:
    opens = MIDNIGHT_S + window * 900
    book = _FIRST.book("XRP", opens, opens * 1000 + into_ms)
    prices = [p for p, _ in book.bids], [p for p, _ in book.asks]
    assert prices[0] == sorted(prices[0], reverse=True)
    assert prices[1] == sorted(prices[1])
    assert prices[0][0] < prices[1][0]
    assert all(0 < p < 1_000_000 and p % book.tick == 0 for side in prices for p in side)
    assert all(shares > 0 for side in (book.bids, book.asks) for _, shares in side)
    quote = _FIRST.quote("XRP", opens, opens * 1000 + into_ms)
    assert (quote.bid, quote.ask, quote.tick) == (prices[0][0], prices[1][0], book.tick)


def test_the_other_tokens_book_is_the_mirror(world: World) -> None:
    book = world.book("BTC", MIDNIGHT_S, MIDNIGHT_S * 1000 + 300_000)
    down = book.mirrored()
    assert down.bids[0][0] == 1_000_000 - book.asks[0][0]
    assert down.asks[0] == (1_000_000 - book.bids[0][0], book.bids[0][1])
    assert down.mirrored() == book


def test_trades_of_two_halves_are_the_trades_of_the_whole(world: World) -> None:
    start = MIDNIGHT_S * 1000 + 55_000
    whole = world.trades("BTC", start, start + 20_000)
    halves = [world.trades("BTC", start, start + 7_001), world.trades("BTC", start + 7_001, start + 20_000)]
    assert whole.t_ms.tolist() == [t for half in halves for t in half.t_ms.tolist()]
    assert whole.ids.tolist() == list(range(whole.ids[0], whole.ids[0] + len(whole.ids)))


def test_signed_flow_leads_spot_by_a_second(world: World) -> None:
    seconds = 3_600
    trades = world.trades("BTC", MIDNIGHT_S * 1000, (MIDNIGHT_S + seconds) * 1000)
    at = trades.t_ms // 1000 - MIDNIGHT_S
    signs = np.where(trades.buyer_is_maker, -1.0, 1.0)
    imbalance = np.bincount(at, signs, seconds) / np.maximum(1, np.bincount(at, minlength=seconds))
    spot = np.array([world.spot("BTC", (MIDNIGHT_S + s) * 1000) for s in range(seconds + 5)])
    returns = np.diff(np.log(spot))
    lead, later = (np.corrcoef(imbalance, returns[k : k + seconds])[0, 1] for k in (1, 3))
    assert lead > 0.06
    assert abs(later) < 0.08
    assert 8 < len(at) / seconds < 25


def test_an_unknown_world_or_a_moment_when_nothing_opens_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="today"):
        World(1, "tomorrow")
    with pytest.raises(ValueError, match="opens"):
        world.market("BTC", MIDNIGHT_S + 1)
