"""What a database holds, row for row, so that it can be compared before and after a change of its schema."""

from typing import Any

from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from storage.pool import connect

Row = dict[str, Any]
Rows = dict[str, list[Row]]
"""Every row of every table of ours, by table."""


def stored_rows(conninfo: str) -> Rows:
    """Return what every table of ours holds, in the order of its content."""
    with connect(conninfo) as connection, connection.cursor(row_factory=dict_row) as cursor:
        tables = cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        names = [str(row["tablename"]) for row in tables if "yoyo" not in str(row["tablename"])]
        return {name: _sorted(cursor.execute(SQL("SELECT * FROM {}").format(Identifier(name)))) for name in names}


def in_common(rows: Rows, other: Rows) -> Rows:
    """Return `rows` with no more than the tables and columns that `other` has too."""
    return {name: _sorted(map(_only(other[name]), found)) for name, found in rows.items() if name in other}


def _only(other: list[Row]) -> Any:
    columns = other[0].keys() if other else None
    return lambda row: {name: value for name, value in row.items() if columns is None or name in columns}


def _sorted(rows: Any) -> list[Row]:
    return sorted(rows, key=repr)
