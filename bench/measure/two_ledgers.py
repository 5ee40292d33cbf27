"""Our rows and the embedded exchange's ledger, trade by trade: whatever differs is one line that says what differs.

The exchange's figures are its own postings, read with its own reader; ours come from the tables and the portfolio's
checkpoint. Neither side computes anything for the other.
"""

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import psycopg

from actors.portfolio_state import PortfolioState
from core.trading.orders import Fill
from storage.queries import checkpoint_name, latest_checkpoint
from storage.values import units
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.records import USD
from venues.sim.trading.state import State

Standing = Literal["PROVISIONAL", "FINAL", "FAILED"]
_VENUE = {"MATCHED": "PROVISIONAL", "RETRYING": "PROVISIONAL", "MINED": "PROVISIONAL", "CONFIRMED": "FINAL"}
_OURS = {"MATCHED": "PROVISIONAL", "CONFIRMED": "FINAL", "FAILED": "FAILED"}


class Flow(msgspec.Struct, frozen=True):
    """What one trade does to an account (1e-6): dollars net of the fee, the fee, and shares by token."""

    cash_usd: int
    fee_usd: int
    shares: dict[str, int]
    condition_id: str
    standing: str


class Venue(msgspec.Struct, frozen=True):
    """One account in the exchange's ledger: `paid` by market that was resolved, `orders` their sides by hash."""

    cash_usd: int
    deposit_usd: int
    flows: dict[str, Flow]
    paid: dict[str, int]
    shares: dict[str, int]
    open_orders: tuple[str, ...]
    orders: dict[str, str]


class Rows(msgspec.Struct, frozen=True):
    """One session in our tables, with the portfolio's last checkpoint. `settled` are markets booked with a winner."""

    cash_usd: int | None
    start_usd: int
    flows: dict[str, Flow]
    settled: frozenset[str]
    shares: dict[str, int]
    open_orders: tuple[str, ...]
    hashes: frozenset[str]
    repaired: tuple[str, ...]
    outcomes: Counter[str]


def read_venue(ledger: Path) -> Venue:
    """Return the one account of a ledger file, also while the exchange still writes it."""
    state = _replayed(ledger)
    if not state.accounts:
        return Venue(0, 0, {}, {}, {}, (), {})
    (account,) = state.accounts
    flows = {}
    for trade_id, settling in state.trades.items():
        made = settling.made
        legs = [leg for leg in made.legs if leg.account == account]
        shares: defaultdict[str, int] = defaultdict(int)
        for leg in legs:
            if leg.asset != USD:
                shares[leg.asset] += leg.amount
        flows[trade_id] = Flow(
            sum(leg.amount for leg in legs if leg.asset == USD),
            -sum(leg.amount for leg in legs if leg.asset == USD and leg.reason == "fee"),
            {token: amount for token, amount in shares.items() if amount},
            made.condition_id,
            "FAILED" if settling.status == "FAILED" else _VENUE[settling.status],
        )
    moved = [row for row in state.ledger.movements if row.account == account and row.asset == USD]
    paid: defaultdict[str, int] = defaultdict(int)
    for row in moved:
        if row.reason == "payout":
            paid[row.reference] += row.amount
    return Venue(
        state.ledger.balance(account, USD),
        sum(row.amount for row in moved if row.reason == "deposit"),
        flows,
        dict(paid),
        {token: amount for token, amount in state.ledger.holdings(account).items() if token != USD},
        tuple(state.open),
        {order_hash: order.new.side for order_hash, order in state.orders.items()},
    )


def read_rows(connection: psycopg.Connection, session_id: int) -> Rows:
    """Return what the tables and the newest checkpoint say of a session at one moment.

    Of a killed process the database may still commit what it had been sent.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return _read_rows(connection, session_id)


def _read_rows(connection: psycopg.Connection, session_id: int) -> Rows:
    fills: list[tuple[Fill, str]] = []
    for row in connection.execute(
        "SELECT f.id, f.order_id, f.venue, f.trade_id, f.order_hash, o.token_id, o.side, f.price, f.shares, f.fee_usd,"
        " f.liquidity, f.state, i.condition_id FROM fills f JOIN orders o ON o.id = f.order_id"
        " JOIN intents i ON i.id = o.intent_id WHERE i.session_id = %s",
        (session_id,),
    ):
        fill_id, order_id, name, trade_id, order_hash, token_id, side = row[:7]
        price, shares, fee_usd = (units(number) for number in row[7:10])
        liquidity, state, condition_id = row[10:]
        fill = Fill(
            fill_id, order_id, name, trade_id, order_hash, token_id, side, price, shares, fee_usd, liquidity, state, 0
        )
        fills.append((fill, condition_id))
    checkpoint = latest_checkpoint(connection, "actor", checkpoint_name(session_id, "portfolio"))
    books = None if checkpoint is None else msgspec.msgpack.decode(checkpoint.payload, type=PortfolioState)
    orders = connection.execute(
        "SELECT o.id, o.order_hash, o.state, o.closed_at IS NULL FROM orders o JOIN intents i ON i.id = o.intent_id"
        " WHERE i.session_id = %s",
        (session_id,),
    ).fetchall()
    return Rows(
        None if books is None else books.ledger.cash_usd,
        0 if books is None else books.ledger.start_usd,
        by_trade(fills),
        frozenset(_column(connection, "SELECT condition_id FROM trades WHERE session_id = %s"
                                      " AND exit_reason = 'settlement'", session_id)),
        _held(connection, session_id),
        tuple(row[0] for row in orders if row[3]),
        frozenset(row[1] for row in orders if row[1] is not None),
        tuple(_column(connection, "SELECT detail FROM health_events WHERE session_id = %s AND status = 'reconciled'",
                      session_id)),
        Counter(row[2] for row in orders),
    )  # fmt: skip


def differences(venue: Venue, ours: Rows, *, at_rest: bool) -> list[str]:
    """Return every way in which the two disagree.

    Args:
        venue: the exchange's side.
        ours: our side.
        at_rest: nothing is in flight any more: then both must know the same trades, all of them final, hold the same
            cash, and wait for no winner: what a market still owes is in flight until both sides have booked it.
            Otherwise the exchange may know more than we have heard yet, never the other way round.
    """
    found = [f"the venue's word was taken: {text}" for text in ours.repaired]
    for trade_id, flow in ours.flows.items():
        found += _trade_differences(trade_id, venue.flows.get(trade_id), flow)
    found += [  # an exit may be sent while its row waits for a database that is away
        f"{side} {order_hash} is at the venue, no row of ours has it"
        for order_hash, side in venue.orders.items()
        if order_hash not in ours.hashes and (side == "BUY" or at_rest)
    ]
    if ours.cash_usd is not None:
        known = [flow for trade_id, flow in venue.flows.items() if _counts(ours.flows.get(trade_id))]
        paid = sum(venue.paid.get(condition_id, 0) for condition_id in ours.settled)
        expected = ours.start_usd + sum(flow.cash_usd for flow in known) + paid
        if ours.cash_usd != expected:
            found.append(f"our cash is {ours.cash_usd}, what we know of makes {expected} at the venue (1e-6 USD)")
        found += _share_differences(known, ours)
    return found + (_unfinished(venue, ours) if at_rest else [])


def _trade_differences(trade_id: str, venue: Flow | None, ours: Flow) -> Iterable[str]:
    if venue is None:
        yield f"trade {trade_id} is ours alone"
        return
    for what in ("cash_usd", "fee_usd", "shares", "condition_id"):
        theirs, mine = getattr(venue, what), getattr(ours, what)
        if theirs != mine:
            yield f"trade {trade_id}: {what} {mine} with us, {theirs} at the venue"
    if {venue.standing, ours.standing} == {"FINAL", "FAILED"} or (ours.standing, venue.standing) == (
        "FAILED",
        "PROVISIONAL",
    ):
        yield f"trade {trade_id} is {ours.standing} with us, {venue.standing} at the venue"


def _share_differences(known: Iterable[Flow], ours: Rows) -> Iterable[str]:
    """Compare shares by token in markets that we have not settled."""
    shares: defaultdict[str, int] = defaultdict(int)
    for flow in known:
        if flow.condition_id not in ours.settled:
            for token, amount in flow.shares.items():
                shares[token] += amount
    for token in shares.keys() | ours.shares.keys():
        if shares.get(token, 0) != ours.shares.get(token, 0):
            yield f"{ours.shares.get(token, 0)} of {token[:12]}.. with us, {shares.get(token, 0)} at the venue"


def _unfinished(venue: Venue, ours: Rows) -> list[str]:
    found = [f"order {order_id} has not ended" for order_id in ours.open_orders]
    found += [f"order {order_hash} is still open at the venue" for order_hash in venue.open_orders]
    missing = [trade_id for trade_id, flow in venue.flows.items() if flow.standing != "FAILED"]
    found += [f"trade {trade_id} is the venue's alone" for trade_id in missing if trade_id not in ours.flows]
    for trade_id, flow in ours.flows.items():
        theirs = venue.flows.get(trade_id)
        if flow.standing == "PROVISIONAL" or (theirs is not None and theirs.standing != flow.standing):
            found.append(f"trade {trade_id} is {flow.standing} with us, {theirs and theirs.standing} at the venue")
    if ours.cash_usd != venue.cash_usd:
        found.append(f"our cash is {ours.cash_usd}, the venue's {venue.cash_usd} (1e-6 USD)")
    if venue.shares != ours.shares:
        found.append(f"we hold {ours.shares}, the venue has {venue.shares} for us")
    elif ours.shares:  # agreed until the venue pays, which it does whether or not anybody of ours is there to hear it
        found.append(f"{ours.shares} wait for their winner")
    return found


def _counts(flow: Flow | None) -> bool:
    return flow is not None and flow.standing != "FAILED"


def _replayed(ledger: Path) -> State:
    state = State()
    if not ledger.exists():
        return state
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / ledger.name
        shutil.copyfile(ledger, copy)
        header, _, _ = copy.read_bytes().partition(b"\n")
        if not header:
            return state
        file = LedgerFile(copy)
        for record in file.open(msgspec.json.decode(header, type=dict[str, str])["ledger_of"]):
            state.apply(record)
        file.close()
    return state


def by_trade(fills: Iterable[tuple[Fill, str]]) -> dict[str, Flow]:
    """Return our fills, each with its market, as flows by the venue's trade: one trade may be fills at many prices."""
    grouped: defaultdict[str, list[tuple[Fill, str]]] = defaultdict(list)
    for fill, condition_id in fills:
        grouped[fill.trade_id.partition("@")[0]].append((fill, condition_id))
    return {trade_id: _flow(parts) for trade_id, parts in grouped.items()}


def _flow(fills: list[tuple[Fill, str]]) -> Flow:
    shares: defaultdict[str, int] = defaultdict(int)
    cash = fees = 0
    for fill, _ in fills:
        sign = 1 if fill.side == "BUY" else -1
        shares[fill.token_id] += sign * fill.shares
        cash -= sign * fill.notional_usd + fill.fee_usd
        fees += fill.fee_usd
    standings = sorted({_OURS[fill.state] for fill, _ in fills})
    return Flow(cash, fees, dict(shares), fills[0][1], "/".join(standings))


def _held(connection: psycopg.Connection, session_id: int) -> dict[str, int]:
    """Return the shares in our positions by token."""
    rows = connection.execute(
        "SELECT DISTINCT o.token_id, p.shares FROM positions p JOIN intents i USING (session_id, condition_id, side)"
        " JOIN orders o ON o.intent_id = i.id WHERE p.session_id = %s",
        (session_id,),
    )
    return {token: units(shares) for token, shares in rows}


def _column(connection: psycopg.Connection, query: str, session_id: int) -> list[str]:
    return [row[0] for row in connection.execute(query, (session_id,))]


def counted(values: Mapping[str, int]) -> str:
    """Return counts as one line for people, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(values.items(), key=lambda item: -item[1])) or "none"
