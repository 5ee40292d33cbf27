"""The paper session that goes along with a live one: which it is, and in which processes it did."""

from collections.abc import Mapping
from typing import Any

from core.records import MetricRecord
from storage.pool import Connection, database_errors
from storage.queries import Session, open_session, venue_beside
from storage.writer import write

WENT_ALONG = "beside_lease_epoch"
"""The metric of the paper session with the lease epoch of each process in which both ran."""


def open_beside(
    connection: Connection,
    live: Session,
    config: Mapping[str, Any],
    lease_epoch: int,
    now_ms: int,
    *,
    new: bool = False,
) -> Session:
    """Resume or start the paper session beside `live`, and note that both run under `lease_epoch` from now on.

    Raises:
        LeaseLostError, TransientError, FatalError: as every write does.
    """
    venue = venue_beside(live.id)
    session = open_session(connection, "paper", config, venue=venue, new=new, now_ms=now_ms)
    write(connection, (MetricRecord(session.id, WENT_ALONG, lease_epoch, now_ms),), lease_epoch=lease_epoch)
    return session


def beside_of(connection: Connection, live_session_id: int) -> int | None:
    """Return the newest paper session beside a live one, None when it never had one.

    Raises:
        TransientError, FatalError: as every query does.
    """
    with database_errors():
        row = connection.execute(
            "SELECT max(id) FROM sessions WHERE mode = 'paper' AND venue = %s", (venue_beside(live_session_id),)
        ).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else None
