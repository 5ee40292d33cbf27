"""From a frame to a closed trade: what actors say to each other and what was committed, as steps that are told once.

Money messages are delivered again after a crash and rows are written again at each change; a step is a transition.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from core.market.views import BookView
from core.messages import IntentProposed, OrderReported, OrderRequested, PositionPublished
from core.records import IntentRecord, Record, TradeRecord
from core.trading.money import decimal
from core.trading.orders import TERMINAL, Fill, Intent, Order, OrderState

Stage = Literal["proposed", "decided", "sized", "committed", "sent", "answered", "filled", "ended", "closed"]
Value = str | int | float | bool | list[float] | None
K = TypeVar("K")
T = TypeVar("T")

HEARD = frozenset((IntentProposed, OrderRequested, OrderReported, PositionPublished))
"""What the story is made of, of everything that actors tell each other."""
KEPT = 4_096
"""Intents and orders remembered: many hours of trading; one that is older and comes again is told again."""


class Step(msgspec.Struct, frozen=True):
    """One transition: `fields` are for programs, `seconds` what was measured with it, by name."""

    stage: Stage
    account: str
    asset: str
    text: str
    fields: dict[str, Value]
    seconds: dict[str, float] = {}


class Known(msgspec.Struct):
    """What has been told of one order."""

    intent: Intent
    state: OrderState = OrderState.NEW
    sent_ms: int | None = None
    answered: bool = False
    fills: dict[str, str] = {}
    entry: str | None = None


class TradeStory:
    """Remembers what was told; one thread calls it.

    Args:
        accounts: the account, live or paper, of each session that is traded here.
    """

    def __init__(self, accounts: Mapping[int, str]) -> None:
        self._accounts = accounts
        self._frames: OrderedDict[str, tuple[BookView, int]] = OrderedDict()
        self._orders: OrderedDict[str, Known] = OrderedDict()
        self._committed: OrderedDict[str, None] = OrderedDict()
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._entries: OrderedDict[tuple[int, str, str], str] = OrderedDict()

    def told(self, message: object, now_ms: int) -> Iterator[Step]:
        """Yield the steps that a message brings; `now_ms` is the unix time at which it was sent."""
        match message:
            case IntentProposed(intent=intent, view=view):
                yield from self._proposed(intent, view, now_ms)
            case OrderRequested(intent=intent, order=order):
                yield from self._sized(intent, order)
            case OrderReported(intent=intent, order=order, fills=fills):
                yield from self._reported(intent, order, fills, now_ms)
            case PositionPublished(position=position, others=others):
                for each in others if position is None else (position, *others):
                    _remember(self._entries, (each.session_id, each.condition_id, each.side), each.entry_intent_id)

    def wrote(self, rows: Sequence[Record]) -> Iterator[Step]:
        """Yield the steps that committed rows bring."""
        for row in rows:
            if isinstance(row, IntentRecord) and row.id not in self._committed:
                _remember(self._committed, row.id, None)
                known = self._orders.get(f"{row.id}.o")
                fields = {**_of(row), **({} if known is None else _entry(known))}
                yield self._step("committed", row, "intent and order are committed", fields)
            elif isinstance(row, TradeRecord) and row.id not in self._closed:
                _remember(self._closed, row.id, None)
                yield self._trade(row)

    # -- messages -----------------------------------------------------------------------------------------------

    def _proposed(self, intent: Intent, view: BookView, now_ms: int) -> Iterator[Step]:
        if intent.id in self._frames:
            return
        _remember(self._frames, intent.id, (view, now_ms))
        seconds = {"frame_to_decision": now_ms - view.received_ms, "decision_lateness": now_ms - intent.decided_ms}
        yield self._step("proposed", intent, "", _of(intent), {name: ms / 1000 for name, ms in seconds.items()})

    def _sized(self, intent: Intent, order: Order) -> Iterator[Step]:
        if order.id in self._orders:
            return
        known = self._know(intent, order)
        view, _ = self._frames.get(intent.id, (None, 0))
        frame: dict[str, Value] = {} if view is None else {
            "frame_venue_ms": view.venue_ms,
            "frame_received_ms": view.received_ms,
            "frame_epoch": view.continuity_epoch,
        }  # fmt: skip
        what = f"{intent.action} {intent.side}"
        fields: dict[str, Value] = {
            **_of(intent),
            **_entry(known),
            "decided_ms": intent.decided_ms,
            "decision_price": None if intent.decision_price is None else str(decimal(intent.decision_price)),
            "reason": intent.reason,
            "forced": intent.forced,
            "probabilities": list(intent.probabilities),
            "incarnation": intent.incarnation,
            **frame,
        }
        step = f", {intent.step}" if intent.step else ""
        yield self._step("decided", intent, f"{what} decided ({intent.reason}{step})", fields)
        sized = f"{order.side} {_shares(order.shares)} shares, {order.order_type}, limit {_price(order.limit_price)}"
        fields = {
            **_of(intent),
            **_entry(known),
            "order": order.id,
            "order_type": order.order_type,
            "order_side": order.side,
            "shares": str(decimal(order.shares)),
            "limit_price": str(decimal(order.limit_price)),
            "token_id": order.token_id,
            "sized_ms": order.created_ms,
            "frame_epoch": order.book_epoch,
        }
        yield self._step("sized", intent, f"{what} sized: {sized}", fields)

    def _reported(self, intent: Intent, order: Order, fills: Sequence[Fill], now_ms: int) -> Iterator[Step]:
        known = self._orders.get(order.id) or self._know(intent, order)
        base: dict[str, Value] = {**_of(intent), **_entry(known), "order": order.id, "state": order.state.value}
        if order.order_hash is not None:
            base["order_hash"] = order.order_hash
        what = f"{intent.action} {intent.side}"
        if order.submitted_ms is not None and known.sent_ms is None:
            known.sent_ms = order.submitted_ms
            took_s = (order.submitted_ms - intent.decided_ms) / 1000
            fields = {**base, "sent_ms": order.submitted_ms, "gate_sequence": order.gate_sequence}
            yield self._step("sent", intent, f"{what} sent", fields, {"decision_to_hand_over": took_s})
        seconds: dict[str, float] = {}
        answer = order.state in TERMINAL or order.state in (OrderState.LIVE, OrderState.DELAYED)
        if answer and known.sent_ms is not None and not known.answered:
            known.answered = True
            seconds = {"hand_over_to_answer": max(0, (order.closed_ms or now_ms) - known.sent_ms) / 1000}
        for fill in fills or order.fills:
            if known.fills.get(fill.key) != fill.state:
                first = fill.key not in known.fills
                known.fills[fill.key] = fill.state
                yield self._fill(intent, fill, {**base, "first": first})
        if order.state is not known.state:
            before, known.state = known.state, order.state
            error = "" if order.last_error is None else f": {order.last_error}"
            if order.state in TERMINAL and before not in TERMINAL:
                done = f"{_shares(order.filled_shares)} of {_shares(order.shares)} shares"
                fields = {**base, "ended_ms": order.closed_ms, "filled_shares": str(decimal(order.filled_shares))}
                fields["fees_usd"] = str(decimal(order.fees_usd))
                yield self._step("ended", intent, f"{what} {order.state}, {done}{error}", fields, seconds)
            elif order.state not in (OrderState.NEW, OrderState.DURABLE, OrderState.SUBMITTED):
                yield self._step("answered", intent, f"{what} {order.state}{error}", base, seconds)

    def _fill(self, intent: Intent, fill: Fill, base: Mapping[str, Value]) -> Step:
        fields = {
            **base,
            "state": fill.state,
            "fill": fill.id,
            "venue_trade": fill.trade_id,
            "order_side": fill.side,
            "price": str(decimal(fill.price)),
            "shares": str(decimal(fill.shares)),
            "notional_usd": str(decimal(fill.notional_usd)),
            "fee_usd": str(decimal(fill.fee_usd)),
            "liquidity": fill.liquidity,
            "filled_ms": fill.filled_ms,
        }
        text = f"{fill.side} {_shares(fill.shares)} shares at {_price(fill.price)}, fill {fill.state}"
        return self._step("filled", intent, text, fields)

    def _trade(self, row: TradeRecord) -> Step:
        fields: dict[str, Value] = {
            "trade": row.id,
            "entry": row.id.rpartition(".")[0],
            "condition_id": row.condition_id,
            "side": row.side,
            "shares": str(decimal(row.shares)),
            "entry_price": str(decimal(row.entry_price)),
            "exit_price": str(decimal(row.exit_price)),
            "fees_usd": str(decimal(row.fees_usd)),
            "pnl_net_usd": str(decimal(row.pnl_net_usd)),
            "exit_reason": row.exit_reason,
            "forced": row.force_closed,
            "closed_ms": row.closed_at_ms,
        }
        net = f"PnL net {decimal(row.pnl_net_usd):+.2f} USD"
        return self._step("closed", row, f"{row.side} closed by {row.exit_reason}, {net}", fields)

    # -- what is known ------------------------------------------------------------------------------------------

    def _know(self, intent: Intent, order: Order) -> Known:
        """Begin with an order, which names the trade that it closes where that is known."""
        key = (intent.session_id, intent.condition_id, intent.side)
        known = Known(intent, entry=self._entries.get(key) if intent.action == "CLOSE" else intent.id)
        _remember(self._orders, order.id, known)
        return known

    def _step(
        self,
        stage: Stage,
        of: Intent | IntentRecord | TradeRecord,
        text: str,
        fields: dict[str, Value],
        seconds: dict[str, float] | None = None,
    ) -> Step:
        account = self._accounts.get(of.session_id, "other")
        return Step(stage, account, of.asset, f"{of.asset} {text}", fields, seconds or {})


def _of(intent: Intent | IntentRecord) -> dict[str, Value]:
    return {
        "intent": intent.id,
        "condition_id": intent.condition_id,
        "side": intent.side,
        "action": intent.action,
    }


def _entry(known: Known) -> dict[str, Value]:
    return {} if known.entry is None else {"entry": known.entry}


def _shares(shares: int) -> str:
    return f"{decimal(shares):.2f}"


def _price(price: int) -> str:
    return f"{decimal(price):.3f}"


def _remember(known: OrderedDict[K, T], key: K, value: T) -> None:
    known[key] = value
    while len(known) > KEPT:
        known.popitem(last=False)
