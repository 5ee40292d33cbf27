"""What the web page shows of a running process: its status and its samples, written once a second and kept for a day.

None of it is needed to go on trading: a commit is not waited for on disk, and nothing refers to these tables.
"""

from collections.abc import Sequence

import msgspec
from psycopg.sql import SQL

from storage.pool import Connection, connect, database_errors
from storage.values import instant, money

CHANNEL = "fusebox_status"
KEPT_MS = 24 * 3600 * 1000
STATEMENT_TIMEOUT_S = 1.0
CONNECT_TIMEOUT_S = 2

SAVE_STATUS = SQL(
    "INSERT INTO status_snapshots (session_id, at, status)"
    " SELECT %(session)s, %(at)s, %(status)s::json FROM lease WHERE epoch = %(epoch)s"
    " ON CONFLICT (session_id) DO UPDATE SET at = excluded.at, status = excluded.status"
)
SAVE_ASSET = SQL(
    "INSERT INTO asset_samples (session_id, asset, at, condition_id, up_price, fair_value, spot, strike, probabilities,"
    " side, shares, net_usd, best_bid, best_ask, bid_shares, ask_shares)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
SAVE_ACCOUNT = SQL(
    "INSERT INTO account_samples (session_id, at, cash_usd, equity_usd, pnl_net_usd, open_pnl_usd)"
    " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
PRUNED_AT_ONCE = 10_000
"""Rows: after a day without a process everything is too old, and no statement may take longer than its second."""
PRUNE = (
    SQL("DELETE FROM asset_samples WHERE ctid = ANY(ARRAY(SELECT ctid FROM asset_samples WHERE at < %s LIMIT %s))"),
    SQL("DELETE FROM account_samples WHERE ctid = ANY(ARRAY(SELECT ctid FROM account_samples WHERE at < %s LIMIT %s))"),
)
PRUNE_STATUS = SQL("DELETE FROM status_snapshots WHERE at < %s AND session_id <> %s")


class AssetSample(msgspec.Struct, frozen=True):
    """One asset at one moment. Prices, dollars and shares in 1e-6; `fair_value` in [0, 1].

    `net_usd` is what the asset has come to in this session, fees paid and the open position sold at the bid.
    """

    asset: str
    condition_id: str | None
    up_price: int | None
    fair_value: float | None
    spot: float | None
    strike: float | None
    probabilities: tuple[float, ...] | None
    side: str | None
    shares: int
    net_usd: int | None
    best_bid: int | None
    best_ask: int | None
    bid_shares: int | None
    ask_shares: int | None


class AccountSample(msgspec.Struct, frozen=True):
    """One account at one moment, dollars in 1e-6; equity and open PnL are None where positions are not marked."""

    session_id: int
    cash_usd: int
    equity_usd: int | None
    pnl_net_usd: int
    open_pnl_usd: int | None


class Snapshot(msgspec.Struct, frozen=True):
    """Everything of one moment; `status` is the document that `status --json` prints, as JSON."""

    session_id: int
    at_ms: int
    status: bytes
    assets: tuple[AssetSample, ...] = ()
    accounts: tuple[AccountSample, ...] = ()


def snapshot_connection(conninfo: str) -> Connection:
    """Return a connection whose commits wait for no disk and whose statements give up after a second.

    Raises:
        TransientError, FatalError: as `connect` does.
    """
    connection = connect(conninfo, connect_timeout_s=CONNECT_TIMEOUT_S, statement_timeout_s=STATEMENT_TIMEOUT_S)
    with database_errors():
        connection.execute("SET synchronous_commit = off")
    return connection


def save(connection: Connection, snapshot: Snapshot, *, lease_epoch: int) -> bool:
    """Write a snapshot in one transaction and tell whoever listens; False when another process has the lease.

    Raises:
        TransientError: the database is away or busy.
        FuseboxError: it refuses.
    """
    at = instant(snapshot.at_ms)
    asked = {"session": snapshot.session_id, "at": at, "status": snapshot.status.decode(), "epoch": lease_epoch}
    with database_errors(), connection.transaction():
        if connection.execute(SAVE_STATUS, asked).rowcount == 0:
            return False
        with connection.pipeline(), connection.cursor() as cursor:
            cursor.executemany(SAVE_ASSET, [_asset_row(snapshot.session_id, at, each) for each in snapshot.assets])
            cursor.executemany(SAVE_ACCOUNT, [_account_row(at, each) for each in snapshot.accounts])
            cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(snapshot.session_id)))
    return True


def prune(connection: Connection, session_id: int, now_ms: int, most: int = PRUNED_AT_ONCE) -> None:
    """Remove samples older than a day, some at a time, and the status of other sessions of the same age.

    Raises:
        FuseboxError: as `save` does; the next call removes the same.
    """
    oldest = instant(now_ms - KEPT_MS)
    with database_errors():
        for statement in PRUNE:
            connection.execute(statement, (oldest, most))
        connection.execute(PRUNE_STATUS, (oldest, session_id))


def _asset_row(session_id: int, at: object, sample: AssetSample) -> Sequence[object]:
    return (
        session_id,
        sample.asset,
        at,
        sample.condition_id,
        _money(sample.up_price),
        sample.fair_value,
        sample.spot,
        sample.strike,
        None if sample.probabilities is None else list(sample.probabilities),
        sample.side,
        money(sample.shares),
        _money(sample.net_usd),
        _money(sample.best_bid),
        _money(sample.best_ask),
        _money(sample.bid_shares),
        _money(sample.ask_shares),
    )


def _account_row(at: object, sample: AccountSample) -> Sequence[object]:
    return (
        sample.session_id,
        at,
        money(sample.cash_usd),
        _money(sample.equity_usd),
        money(sample.pnl_net_usd),
        _money(sample.open_pnl_usd),
    )


def _money(value: int | None) -> object:
    return None if value is None else money(value)
