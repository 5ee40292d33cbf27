"""The portfolio's whole state as one frozen value, and what is made of it: orders, lines for people, status."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from core.market.market import Market
from core.status import HeldToSettlement, HoldingStatus, PortfolioStatus, UnknownOrder
from core.trading.claims import Claim
from core.trading.exits import Progress, Quote
from core.trading.ledger import Ledger, new_ledger, position_key
from core.trading.lifecycle import fill_news
from core.trading.losses import Losses, with_trade
from core.trading.money import decimal
from core.trading.orders import Fill, Intent, Order, OrderState, OrderType
from core.trading.positions import ClosedTrade, Position
from core.trading.sizing import Sized

SCHEMA_VERSION = 2
"""Of the checkpoint: it grows when `PortfolioState` changes, with an upgrade of the one before in `actors.states`."""
BY_CHOICE = "not sold before the close, by choice"
"""Why a position is held to settlement that no rule sells: it is not a forced exit."""


class Tally(msgspec.Struct, frozen=True):
    """Closed trades of one asset in this session; dollars in 1e-6."""

    trades: int = 0
    wins: int = 0
    pnl_net_usd: int = 0
    fees_usd: int = 0


class Result(msgspec.Struct, frozen=True):
    """What the round trips of one market came to so far, in 1e-6 dollars."""

    asset: str
    closes_at_s: int
    pnl_net_usd: int = 0


class PortfolioState(msgspec.Struct, frozen=True):
    """Ledger, open orders with their intents, and the markets of both. Treat the dictionaries as immutable."""

    ledger: Ledger
    orders: dict[str, Order] = {}
    intents: dict[str, Intent] = {}
    markets: dict[str, Market] = {}
    tallies: dict[str, Tally] = {}
    claims: dict[str, Claim] = {}
    exits: dict[str, Progress] = {}
    results: dict[str, Result] = {}
    """What came of each market in which something was ordered, until its end was told."""
    losses: Losses = Losses()
    opened_ms: tuple[int, ...] = ()
    """When the opening orders of the last minute were made."""

    @classmethod
    def new(cls, start_usd: int) -> "PortfolioState":
        """Return a state that holds nothing but `start_usd` (1e-6)."""
        return cls(new_ledger(start_usd))

    def positions(self, condition_id: str) -> tuple[Position, ...]:
        """Return what is held in one market."""
        return tuple(p for p in self.ledger.positions.values() if p.condition_id == condition_id)

    def held_markets(self, asset: str | None = None) -> list[str]:
        """Return the condition ids with a position or an open order, of one asset or of all."""
        held = {p.condition_id: p.asset for p in self.ledger.positions.values()}
        held.update({order.condition_id: order.asset for order in self.orders.values()})
        return [condition_id for condition_id, of in held.items() if asset in (None, of)]

    def is_busy(self, condition_id: str) -> bool:
        """Return whether an order of the market is not terminal."""
        return bool(self.orders_of(condition_id))

    def orders_of(self, condition_id: str) -> tuple[Order, ...]:
        """Return the orders of a market that are not terminal."""
        return tuple(order for order in self.orders.values() if order.condition_id == condition_id)

    def is_unknown(self, condition_id: str) -> bool:
        """Return whether the venue may or may not have an order of the market: then nothing more is sent there."""
        return any(order.state is OrderState.UNKNOWN for order in self.orders_of(condition_id))

    def exit_of(self, position: Position, reason: str = "") -> Progress:
        """Return how far the forced exit of a position has come; one for `reason` that has just begun, if none has."""
        known = self.exits.get(position_key(position.condition_id, position.side))
        if known is None or known.entry_intent_id != position.entry_intent_id:
            return Progress(position.entry_intent_id, reason)
        return replace(known, reason=reason or known.reason)

    def with_exit(self, position: Position, progress: Progress) -> "PortfolioState":
        """Return the state with how far the forced exit of a position has come."""
        return replace(self, exits={**self.exits, position_key(position.condition_id, position.side): progress})

    def with_order(self, order: Order, intent: Intent, market: Market | None) -> "PortfolioState":
        """Return the state with an open order, its intent and its market."""
        return replace(
            self,
            orders={**self.orders, order.id: order},
            intents={**self.intents, intent.id: intent},
            markets=self.markets if market is None else {**self.markets, market.condition_id: market},
        )

    def without_order(self, order: Order) -> "PortfolioState":
        """Return the state without a terminal order and its intent, and without its market if nothing is held there."""
        after = replace(
            self,
            orders={key: kept for key, kept in self.orders.items() if key != order.id},
            intents={key: kept for key, kept in self.intents.items() if key != order.intent_id},
        )
        return after.without_idle_market(order.condition_id)

    def without_idle_market(self, condition_id: str) -> "PortfolioState":
        """Return the state without a market in which nothing is held; the same state while something is."""
        if condition_id in self.held_markets():
            return self
        return replace(
            self,
            markets={key: kept for key, kept in self.markets.items() if key != condition_id},
            exits={key: kept for key, kept in self.exits.items() if not key.startswith(f"{condition_id}/")},
        )

    def is_forced(self, condition_id: str) -> bool:
        """Return whether a forced exit of what is held in a market is under way."""
        orders = any(self.intents[order.intent_id].forced for order in self.orders_of(condition_id))
        exits = (progress for key, progress in self.exits.items() if key.startswith(f"{condition_id}/"))
        return orders or any(progress.held != BY_CHOICE for progress in exits)

    def realised(self, condition_id: str) -> int:
        """Return what the round trips of a market came to so far, in 1e-6 dollars."""
        result = self.results.get(condition_id)
        return 0 if result is None else result.pnl_net_usd

    def with_result_of(self, market: Market) -> "PortfolioState":
        """Return the state that adds up what comes of a market."""
        if market.condition_id in self.results:
            return self
        result = Result(market.asset, market.window.closes_at_s)
        return replace(self, results={**self.results, market.condition_id: result})

    def with_trade(self, trade: ClosedTrade) -> "PortfolioState":
        """Return the state with one more round trip in the tally of its asset, and in the result of its market."""
        losses = with_trade(self.losses, trade.pnl_net_usd)
        state = replace(self, tallies=tallied(self.tallies, trade), losses=losses)
        result = self.results.get(trade.condition_id)
        if result is None:  # its end was told before a fill turned up late
            return state
        grown = replace(result, pnl_net_usd=result.pnl_net_usd + trade.pnl_net_usd)
        return replace(state, results={**self.results, trade.condition_id: grown})

    def without_result(self, condition_id: str) -> "PortfolioState":
        """Return the state without the result of a market, once it was told."""
        return replace(self, results={key: kept for key, kept in self.results.items() if key != condition_id})

    def with_market(self, market: Market) -> "PortfolioState":
        """Return the state knowing a market."""
        return replace(self, markets={**self.markets, market.condition_id: market})

    def has_news(self, fills: Iterable[Fill]) -> bool:
        """Return whether one of the fills, or its state, is not in the account yet.

        Raises:
            IllegalTransitionError: when a report contradicts a fill that was final.
        """
        settled = {key for market in self.ledger.settled for key in market.fill_keys}
        for fill in fills:
            booked = self.ledger.fills.get(fill.key)
            if booked is None and fill.key in settled:
                continue
            if fill_news(None if booked is None else booked.fill.state, fill.state) != "KNOWN":
                return True
        return False

    def has_traded(self, condition_id: str) -> bool:
        """Return whether a market has a position, an open order or fills that its settlement has to close."""
        return condition_id in self.held_markets() or any(
            booked.condition_id == condition_id for booked in self.ledger.fills.values()
        )


def order_for(
    intent: Intent,
    market: Market,
    sized: Sized,
    order_type: OrderType,
    now_ms: int,
    book_epoch: int,
    quote: Quote | None = None,
) -> Order:
    """Return the one order of an intent, as sized on a book of `book_epoch`; `quote` is the step of a forced exit."""
    return Order(
        id=f"{intent.id}.o",
        intent_id=intent.id,
        asset=intent.asset,
        condition_id=market.condition_id,
        token_id=market.token(intent.side),
        outcome=intent.side,
        side="BUY" if intent.action == "OPEN" else "SELL",
        order_type=order_type if quote is None else quote.order_type,
        limit_price=sized.limit_price,
        shares=sized.shares,
        created_ms=now_ms,
        book_epoch=book_epoch,
        post_only=quote is not None and quote.post_only,
    )


def told(trade: ClosedTrade) -> str:
    """Return a round trip as one line for people."""
    return (
        f"{trade.asset} {trade.side} closed by {trade.exit_reason}: {decimal(trade.shares):.2f} shares "
        f"{decimal(trade.entry_price):.3f} -> {decimal(trade.exit_price):.3f}, "
        f"PnL net {decimal(trade.pnl_net_usd):+.2f} USD, fees {decimal(trade.fees_usd):.2f}"
    )


def tallied(tallies: dict[str, Tally], trade: ClosedTrade) -> dict[str, Tally]:
    """Return the tallies with one more closed trade."""
    before = tallies.get(trade.asset, Tally())
    after = Tally(
        trades=before.trades + 1,
        wins=before.wins + (trade.pnl_net_usd > 0),
        pnl_net_usd=before.pnl_net_usd + trade.pnl_net_usd,
        fees_usd=before.fees_usd + trade.fees_usd,
    )
    return {**tallies, trade.asset: after}


def status_of(state: PortfolioState, session_id: int, now_s: float, last_refusal: str | None) -> PortfolioStatus:
    """Return what the status board shows; `now_s` (unix) tells open windows from those that wait for their winner."""
    holdings: dict[str, HoldingStatus] = {}
    positions = state.ledger.positions.values()
    for asset in sorted({p.asset for p in positions} | set(state.tallies)):
        own = [p for p in positions if p.asset == asset]
        waiting = [p for p in own if _closed(state, p, now_s)]
        current = next((p for p in own if p not in waiting and p.shares), None)
        tally = state.tallies.get(asset, Tally())
        holdings[asset] = HoldingStatus(
            side=None if current is None else current.side,
            shares=0 if current is None else current.shares,
            cost_usd=sum(p.cost_usd for p in own),
            entry_price=0 if current is None else current.entry_price,
            realised_usd=tally.pnl_net_usd,
            fees_usd=tally.fees_usd + sum(p.fees_usd for p in own),
            trades=tally.trades,
            unsettled=len(waiting),
        )
    return PortfolioStatus(
        session_id=session_id,
        cash_usd=state.ledger.cash_usd,
        reserved_usd=sum(held.usd for held in state.ledger.reservations.values()),
        cost_usd=sum(p.cost_usd for p in positions),
        realised_usd=state.ledger.realised_usd,
        fees_usd=sum(held.fees_usd for held in holdings.values()),
        trades=sum(tally.trades for tally in state.tallies.values()),
        wins=sum(tally.wins for tally in state.tallies.values()),
        holdings=holdings,
        last_refusal=last_refusal,
        claims=tuple(sorted(state.claims.values(), key=lambda claim: claim.since_ms)),
        unknown=tuple(_unknown(state)),
        held=tuple(_held(state)),
    )


def _unknown(state: PortfolioState) -> Iterator[UnknownOrder]:
    for order in state.orders.values():
        if order.state is OrderState.UNKNOWN:
            yield UnknownOrder(
                order_id=order.id,
                asset=order.asset,
                side=order.outcome,
                action="OPEN" if order.side == "BUY" else "CLOSE",
                shares=order.shares,
                since_ms=order.unknown_since_ms or order.submitted_ms or order.created_ms,
                error=order.last_error,
            )


def _held(state: PortfolioState) -> Iterator[HeldToSettlement]:
    """Yield what waits for its winner knowingly; less than a lot is of no account."""
    for position in state.ledger.positions.values():
        market = state.markets.get(position.condition_id)
        too_small = market is not None and position.shares < market.min_order_shares
        too_small = too_small and not state.is_busy(position.condition_id)
        reason = state.exit_of(position).held or ("dust" if too_small else "")
        if reason and position.shares:
            yield HeldToSettlement(position.asset, position.condition_id, position.side, position.shares, reason)


def _closed(state: PortfolioState, position: Position, now_s: float) -> bool:
    market = state.markets.get(position.condition_id)
    return market is not None and market.window.closes_at_s <= now_s


def from_version_1(payload: bytes) -> bytes:
    """Return a checkpoint of version 1, which knew of no losses: its result of today is the best it can tell."""
    state = msgspec.msgpack.decode(payload, type=PortfolioState)
    losses = Losses(peak_usd=max(0, state.ledger.realised_usd))
    return msgspec.msgpack.encode(replace(state, losses=losses))
