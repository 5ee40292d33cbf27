"""The round trips of a session that closed in a span of time, as the daily summary and reports add them up."""

from psycopg.rows import dict_row

from core.trading.performance import RoundTrip
from storage.pool import Connection, database_errors
from storage.values import instant, units, unix_ms

QUERY = (
    "SELECT condition_id, asset, side, closed_at, fees_usd, pnl_net_usd FROM trades"
    " WHERE session_id = %(id)s AND closed_at >= %(since)s AND closed_at < %(until)s ORDER BY closed_at, id"
)


def round_trips(connection: Connection, session_id: int, from_ms: int, until_ms: int) -> tuple[RoundTrip, ...]:
    """Return what closed in [from_ms, until_ms), unix milliseconds, in order; its window is the market's id.

    Raises:
        TransientError, FatalError: the database cannot be asked.
    """
    span = {"id": session_id, "since": instant(from_ms), "until": instant(until_ms)}
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(QUERY, span).fetchall()
    return tuple(
        RoundTrip(
            row["condition_id"],
            row["asset"],
            row["side"],
            unix_ms(row["closed_at"]),
            units(row["fees_usd"]),
            units(row["pnl_net_usd"]),
        )
        for row in rows
    )
