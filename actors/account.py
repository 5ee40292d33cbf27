"""The portfolio's state from its rows: what a start uses when no checkpoint of it can be trusted.

Fills, trades and positions are written in the same transaction as each checkpoint, so they know everything that is
money. What cannot be told from them exactly is refused, never estimated.
"""

import msgspec

from actors.execution import Working
from actors.portfolio_state import PortfolioState, Tally
from core.errors import FatalError, RejectedError
from core.market.market import FeeSchedule, Market, Side
from core.market.window import Window
from core.records import FillRecord, MarketRecord, PositionRecord
from core.trading.booking import apply_fill
from core.trading.ledger import Ledger, Reservation, new_ledger
from core.trading.money import MICRO
from core.trading.orders import Fill, Intent, Order, OrderState
from storage.account_rows import AccountRows, OrderRows, UnconfirmedRows


class AccountUnknownError(FatalError):
    """Raised when rows do not say exactly what is held."""


def disagreement(state: PortfolioState, rows: AccountRows) -> str | None:
    """Return in what a checkpoint differs from its rows, None when they say the same to the micro-dollar."""
    ledger = state.ledger
    cash_usd = rows.totals.cash(ledger.start_usd) - sold_cost(ledger)
    if ledger.cash_usd != cash_usd:
        return f"its cash is {ledger.cash_usd}, rows make it {cash_usd} (1e-6 USD)"
    if (ledger.trade_count, ledger.realised_usd) != (rows.totals.trades, rows.totals.realised_pnl_usd):
        return f"it has {ledger.trade_count} trades, the table {rows.totals.trades}"
    held = {(p.condition_id, p.side): (p.shares, p.cost_usd) for p in ledger.positions.values() if p.shares}
    stored = {(p.condition_id, p.side): (p.shares, p.cost_usd) for p in rows.positions}
    if held != stored:
        return f"it holds {len(held)} positions, the table {len(stored)}, and they are not the same"
    live = {each.order.id for each in rows.orders if each.order.closed_at_ms is None}
    if set(state.orders) != live:
        return f"it has {len(state.orders)} open orders, the table {len(live)}, and they are not the same"
    return None


def sold_cost(ledger: Ledger) -> int:
    """Return the net cost (1e-6) of what is sold but whose sale is not confirmed: neither position nor trade has it."""
    return sum(position.cost_usd for position in ledger.positions.values() if not position.shares)


def rebuilt(rows: AccountRows, start_usd: int) -> PortfolioState:
    """Return the state that `rows` describe, of a session that began with `start_usd` (1e-6).

    Raises:
        AccountUnknownError: a fill is not confirmed, or fills and positions contradict each other.
    """
    if rows.unconfirmed:
        raise AccountUnknownError(f"{rows.unconfirmed} fills are not confirmed")
    markets = {row.condition_id: _market(row, rows.orders) for row in rows.markets}
    missing = {each.intent.condition_id for each in rows.orders} - markets.keys()
    if missing:
        raise AccountUnknownError(f"the market of {min(missing)} is not in the table")
    state = PortfolioState(
        ledger=_ledger(rows, start_usd),
        tallies={t.asset: Tally(t.trades, t.wins, t.pnl_net_usd, t.fees_usd) for t in rows.trades},
    )
    for each in rows.orders:
        if each.order.closed_at_ms is None:
            intent = _intent(each)
            order = _order(each, intent, with_fills=True)
            state = state.with_order(order, intent, markets[intent.condition_id])
            state = _reserved(state, order, intent)
    kept = {condition_id: markets[condition_id] for condition_id in state.held_markets()}
    state = msgspec.structs.replace(state, markets=kept)
    wrong = disagreement(state, rows)
    if wrong is not None:
        raise AccountUnknownError(wrong)
    return state


def unconfirmed(rows: UnconfirmedRows) -> tuple[Working, ...]:
    """Return the closed orders of an earlier process whose fills are not final: it has to be asked what became of them.

    The executor's checkpoint does not tell: it may be seconds older than a kill.
    """
    markets = {row.condition_id: _market(row, rows.orders) for row in rows.markets}
    found = []
    for each in rows.orders:
        intent = _intent(each)
        if intent.condition_id in markets:
            found.append(Working(_order(each, intent, with_fills=True), intent, markets[intent.condition_id]))
    return tuple(found)


def _ledger(rows: AccountRows, start_usd: int) -> Ledger:
    """Replay the fills of the markets in which something is held; cash and totals come from the tables."""
    replayed = new_ledger(0)
    held = {(p.condition_id, p.side): p for p in rows.positions}
    fills = [(of, fill) for of in rows.orders for fill in of.fills]
    for each, fill in sorted(fills, key=lambda pair: pair[1].filled_at_ms):
        intent = _intent(each)
        try:
            replayed = apply_fill(replayed, _fill(fill, each), _order(each, intent, with_fills=False), intent).ledger
        except RejectedError as error:
            raise AccountUnknownError(f"fills cannot be replayed: {error}") from error
    for position in replayed.positions.values():
        _check(held.get((position.condition_id, position.side)), position.shares, position.cost_usd, position.asset)
    return msgspec.structs.replace(
        replayed,
        start_usd=start_usd,
        cash_usd=rows.totals.cash(start_usd),
        realised_usd=rows.totals.realised_pnl_usd,
        trade_count=rows.totals.trades,
    )


def _check(row: PositionRecord | None, shares: int, cost_usd: int, asset: str) -> None:
    if row is None or (row.shares, row.cost_usd) != (shares, cost_usd):
        stored = "nothing" if row is None else f"{row.shares} for {row.cost_usd}"
        said = f"fills make {shares} shares of {asset} for {cost_usd}, the table has {stored} (1e-6)"
        raise AccountUnknownError(said)


def _reserved(state: PortfolioState, order: Order, intent: Intent) -> PortfolioState:
    """Set aside what an open order may still take: with its fee a share never costs more than a dollar."""
    left = order.shares - order.filled_shares
    opens = intent.action == "OPEN"
    reservation = Reservation(
        intent_id=intent.id,
        asset=intent.asset,
        condition_id=intent.condition_id,
        side=intent.side,
        action=intent.action,
        usd=left if opens else 0,
        shares=left,
    )
    ledger = state.ledger
    kept = {**ledger.reservations, intent.id: reservation}
    return msgspec.structs.replace(state, ledger=msgspec.structs.replace(ledger, reservations=kept))


def _market(row: MarketRecord, orders: tuple[OrderRows, ...]) -> Market:
    """Return what the rows know of a market; the listing takes its place as soon as the venue has told it again.

    The other side's token and the smallest order are not in the tables: only what is held is sold, and no more.
    """
    tokens: dict[Side, str] = {
        each.intent.side: each.order.token_id for each in orders if each.intent.condition_id == row.condition_id
    }
    opens_at_s, closes_at_s = row.opens_at_ms // 1000, row.closes_at_ms // 1000
    return Market(
        window=Window(row.asset, opens_at_s, closes_at_s - opens_at_s),
        condition_id=row.condition_id,
        up_token=tokens.get("UP", ""),
        down_token=tokens.get("DOWN", ""),
        tick_size=row.tick_size,
        min_order_shares=MICRO // 100,
        fees=None if row.fee_rate is None else FeeSchedule(row.fee_rate),
        taker_delay_ms=0,
    )


def _intent(rows: OrderRows) -> Intent:
    row = rows.intent
    return Intent(
        id=row.id,
        session_id=row.session_id,
        asset=row.asset,
        condition_id=row.condition_id,
        side=row.side,
        action=row.action,
        decided_ms=row.decided_at_ms,
        reason=row.reason,
        probabilities=row.action_probs,
        features=row.features,
        lease_epoch=row.lease_epoch,
        incarnation=row.incarnation,
        forced=row.reason != "signal",
    )


def _order(rows: OrderRows, intent: Intent, *, with_fills: bool) -> Order:
    row, fills = rows.order, tuple(_fill(fill, rows) for fill in rows.fills)
    order = Order(
        id=row.id,
        intent_id=row.intent_id,
        asset=intent.asset,
        condition_id=intent.condition_id,
        token_id=row.token_id,
        outcome=intent.side,
        side=row.side,
        order_type=row.order_type,  # type: ignore[arg-type]  # the table holds what an order wrote
        limit_price=row.price,
        shares=row.shares,
        created_ms=intent.decided_ms,
        book_epoch=0,
        state=OrderState(row.state),
        submitted_ms=row.submitted_at_ms,
        closed_ms=row.closed_at_ms,
        order_hash=row.order_hash,
        last_error=row.last_error,
    )
    if not with_fills:
        return order
    return msgspec.structs.replace(
        order,
        fills=fills,
        filled_shares=sum(fill.shares for fill in fills),
        filled_notional=sum(fill.notional_usd for fill in fills),
        fees_usd=sum(fill.fee_usd for fill in fills),
    )


def _fill(row: FillRecord, rows: OrderRows) -> Fill:
    return Fill(
        id=row.id,
        order_id=row.order_id,
        venue=row.venue,
        trade_id=row.trade_id,
        order_hash=row.order_hash,
        token_id=rows.order.token_id,
        side=rows.order.side,
        price=row.price,
        shares=row.shares,
        fee_usd=row.fee_usd,
        liquidity=row.liquidity,
        state=row.state,  # type: ignore[arg-type]  # the table holds what a fill wrote
        filled_ms=row.filled_at_ms,
    )
