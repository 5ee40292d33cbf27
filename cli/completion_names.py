"""Names that a shell completes: assets and actors as they always are, sessions and trades from a database that runs."""

import contextlib
from collections.abc import Iterator

from core.errors import FuseboxError

ASSETS = ("BTC", "ETH", "SOL", "XRP")
SHARED_ACTORS = ("db_writer", "discovery", "executor", "learner", "notifier", "portfolio", "watchdog")
PER_ASSET_ACTORS = ("feed.binance", "feed.polymarket", "market")
NEWEST = 50


def assets(incomplete: str) -> list[str]:
    """Return the assets that begin so."""
    return [name for name in ASSETS if name.startswith(incomplete.upper())]


def actors(incomplete: str) -> list[str]:
    """Return the assets and the actors that begin so."""
    each = [f"{kind}.{asset}" for kind in PER_ASSET_ACTORS for asset in ASSETS]
    return [*assets(incomplete), *(name for name in (*SHARED_ACTORS, *each) if name.startswith(incomplete))]


def sessions(incomplete: str) -> list[str]:
    """Return the numbers of the newest sessions that begin so; none while the database does not run."""
    return list(
        _asked("SELECT id::text FROM sessions WHERE id::text LIKE %s || '%%' ORDER BY id DESC LIMIT %s", incomplete)
    )


def trades(incomplete: str) -> list[str]:
    """Return the ids of the newest trades that begin so; none while the database does not run."""
    return list(_asked("SELECT id FROM trades WHERE starts_with(id, %s) ORDER BY closed_at DESC LIMIT %s", incomplete))


def _asked(query: str, incomplete: str) -> Iterator[str]:
    from cli.client import client_settings, conninfo_of  # noqa: PLC0415 -- most completions need no database
    from storage.pool import connect, database_errors  # noqa: PLC0415

    with contextlib.suppress(FuseboxError):  # who presses TAB is not told why nothing comes
        conninfo = conninfo_of(client_settings())
        if conninfo is not None:
            with connect(conninfo, connect_timeout_s=2, statement_timeout_s=0.5) as connection, database_errors():
                yield from (str(name) for (name,) in connection.execute(query, (incomplete, NEWEST)).fetchall())
