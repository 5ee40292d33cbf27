"""The alerts that nobody has been told of, as far as the table knows: what a killed process leaves behind."""

from psycopg.rows import dict_row

from core.records import AlertRecord
from storage.pool import Connection, database_errors
from storage.values import instant, unix_ms

MOST = 500
QUERY = (
    "SELECT kind, text, delivery, at FROM alerts WHERE session_id = %(id)s AND at < %(before)s"
    " AND (delivery = 'pending' OR delivery ~ '(^|; )[a-z0-9_]+ pending(;|$)') ORDER BY at DESC, id DESC LIMIT %(most)s"
)


def pending_alerts(connection: Connection, session_id: int, before_ms: int) -> tuple[AlertRecord, ...]:
    """Return the session's newest alerts from before unix `before_ms` that are pending in some channel, in order.

    Raises:
        TransientError, FatalError: the database cannot be asked.
    """
    given = {"id": session_id, "before": instant(before_ms), "most": MOST}
    with database_errors(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(QUERY, given).fetchall()
    return tuple(
        AlertRecord(session_id, row["kind"], row["text"], row["delivery"], unix_ms(row["at"])) for row in reversed(rows)
    )
