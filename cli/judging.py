"""What an evaluation worker does: show one stage to every policy, and count what each of them did on it."""

from collections.abc import Sequence

import msgspec

from cli.policies import policy_maker
from cli.rollout import EpisodeResult, Terms, run_episode
from cli.stage import Stage
from cli.stages import Shown, stage_of
from core.market.market import Side
from core.records import TradeRecord
from core.trading.performance import RoundTrip
from core.trading.positions import SETTLEMENT

TIME_BINS = 30
"""Parts of a window in which actions are counted: half minutes at W = 900."""


class Judging(msgspec.Struct, frozen=True):
    """One task: a stage, the policies by name or file, and how is traded."""

    shown: Shown
    policies: tuple[str, ...]
    terms: Terms


class Trip(msgspec.Struct, frozen=True):
    """One round trip as it is judged; price in dollars, `won` whether the side held won, None where nobody tells."""

    trip: RoundTrip
    entry_price: float
    duration_s: float
    won: bool | None
    settled: bool
    forced: bool


class Played(msgspec.Struct, frozen=True):
    """What one policy did on one stage. `actions[b]` counts HOLD, BUY and SELL in part `b` of the window."""

    policy: str
    trips: tuple[Trip, ...]
    actions: tuple[tuple[int, int, int], ...]
    proposed: int
    orders: int
    orders_unfilled: int
    maker_fills: int
    fills: int
    unsettled: int


class Judged(msgspec.Struct, frozen=True):
    """A stage: its windows in order, how many markets they are, and what each policy did, in the task's order."""

    windows: tuple[str, ...]
    markets: int
    played: tuple[Played, ...]


def judge(task: Judging) -> Judged:
    """Play one stage with every policy.

    Raises:
        FatalError: an actor crashed, or a policy cannot decide on these features.
    """
    stage = stage_of(task.shown)
    return Judged(
        windows=tuple(dict.fromkeys(_window(stage, m.window.opens_at_s) for m in stage.played)),
        markets=len(stage.played),
        played=tuple(_played(stage, each, task.terms) for each in task.policies),
    )


def _window(stage: Stage, opens_at_s: int) -> str:
    return f"{stage.name} {opens_at_s}"


def _played(stage: Stage, name: str, terms: Terms) -> Played:
    maker = policy_maker(name, stage, settles=terms.exit_before_s is None)
    result = run_episode(stage, maker, terms)
    opens_s = {market.condition_id: market.window.opens_at_s for market in stage.played}
    return Played(
        policy=name,
        trips=tuple(
            _trip(trade, _window(stage, opens_s[trade.condition_id]), result.winners[trade.condition_id])
            for trade in result.trades
        ),
        actions=tuple(_actions(result, opens_s, stage.window_s)),
        proposed=result.proposed,
        orders=result.orders,
        orders_unfilled=result.orders_unfilled,
        maker_fills=sum(fill.liquidity == "MAKER" for fill in result.fills),
        fills=len(result.fills),
        unsettled=result.unsettled,
    )


def _trip(trade: TradeRecord, window: str, winner: Side | None) -> Trip:
    return Trip(
        trip=RoundTrip(window, trade.asset, trade.side, trade.closed_at_ms, trade.fees_usd, trade.pnl_net_usd),
        entry_price=trade.entry_price / 1e6,
        duration_s=(trade.closed_at_ms - trade.opened_at_ms) / 1000,
        won=None if winner is None else trade.side == winner,
        settled=trade.exit_reason == SETTLEMENT,
        forced=trade.force_closed,
    )


def _actions(result: EpisodeResult, opens_s: dict[str, int], window_s: int) -> list[tuple[int, int, int]]:
    counts = [[0, 0, 0] for _ in range(TIME_BINS)]
    for step in result.transitions:
        passed_ms = step.at_ms - opens_s[step.condition_id] * 1000
        counts[min(TIME_BINS - 1, passed_ms * TIME_BINS // (window_s * 1000))][step.action] += 1
    return [(hold, buy, sell) for hold, buy, sell in counts]


def trips_of(judged: Sequence[Judged], number: int) -> list[Trip]:
    """Return the round trips of policy `number` on all stages."""
    return [trip for each in judged for trip in each.played[number].trips]
