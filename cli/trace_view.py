"""A trade's story for people and programs: what was decided from what, then everything by its time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from cli.grid import Grid, dollars
from cli.report_view import moment, price, signed, usd
from core.market.features import SCHEMAS
from core.records import FillRecord, IntentRecord, OrderRecord
from core.trading.slippage import Execution
from storage.trace_rows import Story

SCHEMA = 1
ACTIONS = ("HOLD", "BUY", "SELL")
_EXACT = ("_usd", "price", "shares", "tick_size")
_ACROSS = 4


class Moment(msgspec.Struct, frozen=True):
    """One thing that happened, and the part of the system it is about."""

    at_ms: int
    of: str
    text: str


def as_json(story: Story) -> dict[str, Any]:
    """Return the story as plain values; money, prices and shares are decimal strings, times unix milliseconds."""
    decision = story.decision
    plain: dict[str, Any] = dollars(msgspec.to_builtins(story), _EXACT)
    return {
        "schema": SCHEMA,
        **plain,
        "decision": None if decision is None else {
            "intent_id": decision.id,
            "at_ms": decision.decided_at_ms,
            "action_probs": probabilities(decision),
            "features": named_features(decision),
        },
        "timeline": [msgspec.to_builtins(each) for each in timeline(story)],
    }  # fmt: skip


def lines(story: Story) -> tuple[str, ...]:
    """Return the trade, its market and its decision in a line each."""
    trade, market, decision = story.trade, story.market, story.decision
    forced = " (forced)" if trade.force_closed else ""
    result = (
        f"{trade.asset} {trade.side}: {usd(trade.shares)} shares {price(trade.entry_price)} -> "
        f"{price(trade.exit_price)}, closed by {trade.exit_reason}{forced}; "
        f"PnL net {signed(trade.pnl_net_usd)} USD, fees {usd(trade.fees_usd)}"
    )
    told = [f"trade {trade.id} of session {trade.session_id} ({story.mode}, {story.venue})", result]
    if market is None:
        told.append(f"market {trade.condition_id}: not stored")
    else:
        strike = "unknown" if market.strike is None else f"{market.strike:g}"
        fee = "unknown" if market.fee_rate is None else f"{market.fee_rate:g}"
        told.append(
            f"market {market.slug} ({market.condition_id}): {moment(market.opens_at_ms)} to "
            f"{moment(market.closes_at_ms)}, strike {strike}, winner {market.winner or 'unknown'}, fee rate {fee}"
        )
    if decision is None:
        told.append("decision: not stored")
    elif not decision.action_probs:
        told.append(f"decision: {decision.reason}, not by the policy")
    else:
        told.append(f"decision: {_chances(decision)} in market.{trade.asset}, incarnation {decision.incarnation}")
    return tuple(told)


def grids(story: Story) -> Iterator[Grid]:
    """Yield the decision's features and the timeline."""
    decision = story.decision
    if decision is not None and decision.features:
        cells = [f"{name} {value:+.4f}" for name, value in named_features(decision).items()]
        cells += [""] * (-len(cells) % _ACROSS)
        rows = tuple(tuple(cells[start : start + _ACROSS]) for start in range(0, len(cells), _ACROSS))
        yield Grid("features decided from", ("",) * _ACROSS, rows, words=True)
    began_ms = story.trade.opened_at_ms if decision is None else decision.decided_at_ms
    yield Grid(
        "what happened, UTC",
        ("time", "after", "of", "what"),
        tuple(
            (
                f"{datetime.fromtimestamp(each.at_ms / 1000, UTC):%H:%M:%S.%f}"[:-3],
                f"{(each.at_ms - began_ms) / 1000:+.3f} s",
                each.of,
                each.text,
            )
            for each in timeline(story)
        ),
        words=True,
    )


def timeline(story: Story) -> list[Moment]:
    """Return everything that is stored about the trade, by its time."""
    touches = {each.intent_id: each for each in story.executions}
    sides = {order.id: order.side for order in story.orders}
    told = [_decided(each, touches.get(each.id)) for each in story.intents]
    told += [each for order in story.orders for each in _sent(order)]
    told += [_filled(each, sides[each.order_id]) for each in story.fills]
    told += [each for order in story.orders for each in _ended(order)]
    told += [Moment(each.at_ms, each.subject, f"{each.status}: {each.detail}") for each in story.events]
    told += [Moment(each.at_ms, "alert", f"{each.kind}: {each.text} ({each.delivery})") for each in story.alerts]
    market, trade = story.market, story.trade
    if market is not None:
        winner = "winner not known yet" if market.winner is None else f"{market.winner} wins"
        told += [
            Moment(market.opens_at_ms, "market", "the window opens"),
            Moment(market.closes_at_ms, "market", f"the window closes; {winner}"),
        ]
    told.append(
        Moment(
            trade.closed_at_ms,
            "trade",
            f"closed by {trade.exit_reason} at {price(trade.exit_price)} a share, net {signed(trade.pnl_net_usd)} USD",
        )
    )
    return sorted(told, key=lambda each: each.at_ms)


def probabilities(intent: IntentRecord) -> dict[str, float]:
    """Return the probabilities of the policy's actions by name."""
    return dict(zip(ACTIONS, intent.action_probs, strict=False))


def named_features(intent: IntentRecord) -> dict[str, float]:
    """Return the features by name, where a schema has as many; the rows do not say which schema they are of."""
    names: Sequence[str] = next(
        (schema.names for schema in SCHEMAS.values() if schema.size == len(intent.features)),
        [f"feature {number}" for number in range(1, len(intent.features) + 1)],
    )
    return dict(zip(names, intent.features, strict=True))


def _chances(intent: IntentRecord) -> str:
    return ", ".join(f"{name} {chance:.1%}" for name, chance in probabilities(intent).items())


def _decided(intent: IntentRecord, order: Execution | None) -> Moment:
    what = f"{intent.action} {intent.side} ({intent.reason})"
    if intent.action == "CLOSE" and not intent.action_probs:
        return Moment(intent.decided_at_ms, "exit step", what)
    seen = "" if order is None or order.touch_price is None else f", the touch at {price(order.touch_price)}"
    chances = f": {_chances(intent)}" if intent.action_probs else ""
    return Moment(intent.decided_at_ms, "decision", f"{what}{chances}{seen}")


def _sent(order: OrderRecord) -> Iterator[Moment]:
    if order.submitted_at_ms is not None:
        error = "" if order.closed_at_ms is not None else f"; {order.state}, has not ended{_error(order)}"
        yield Moment(order.submitted_at_ms, "order", f"sent to {order.venue}: {_what(order)}{error}")


def _ended(order: OrderRecord) -> Iterator[Moment]:
    if order.closed_at_ms is not None:
        what = f"never sent, {_what(order)}" if order.submitted_at_ms is None else order.side
        yield Moment(order.closed_at_ms, "order", f"{what}: {order.state}{_error(order)}")


def _what(order: OrderRecord) -> str:
    return f"{order.side} {usd(order.shares)} shares, {order.order_type}, limit {price(order.price)}"


def _error(order: OrderRecord) -> str:
    return "" if order.last_error is None else f": {order.last_error}"


def _filled(fill: FillRecord, side: str) -> Moment:
    undone = ", never happened" if fill.state == "FAILED" else ""
    return Moment(
        fill.filled_at_ms,
        "fill",
        f"{side} {usd(fill.shares)} shares at {price(fill.price)}, fee {usd(fill.fee_usd)} USD, "
        f"{fill.liquidity.lower()}, {fill.state}{undone}",
    )
