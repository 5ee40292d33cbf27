"""Which migrations a database has and which wait, without changing or locking anything."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from core.errors import FatalError
from storage.migrate import MIGRATIONS
from storage.pool import Connection, database_errors

ROLLBACK = ".rollback"


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema; `newer` is one that the database has and this program does not know."""

    name: str
    state: Literal["applied", "waiting", "newer"]
    applied_at_ms: int | None = None

    @property
    def version(self) -> int | None:
        """The number that its name begins with."""
        digits = self.name.partition("_")[0]
        return int(digits) if digits.isdigit() else None


def migration_list(connection: Connection, migrations: Path = MIGRATIONS) -> list[Migration]:
    """Return every migration of this program and of the database, in order.

    Raises:
        TransientError, FatalError: the database cannot be asked.
    """
    with database_errors():
        known = connection.execute("SELECT to_regclass('_yoyo_migration')").fetchone()
        rows: Sequence[tuple[object, ...]] = []
        if known is not None and known[0] is not None:
            rows = connection.execute("SELECT migration_id, applied_at_utc FROM _yoyo_migration").fetchall()
    applied = {str(name): _ms(at) for name, at in rows}
    ours = sorted(path.stem for path in migrations.glob("*.sql") if not path.stem.endswith(ROLLBACK))
    listed = [
        Migration(name, "applied", applied[name]) if name in applied else Migration(name, "waiting") for name in ours
    ]
    return listed + [Migration(name, "newer", applied[name]) for name in sorted(applied) if name not in ours]


def steps_back(listed: Sequence[Migration], version: str) -> int:
    """Return how many migrations have to be undone so that `version`, a number or a name, is the last one applied.

    Raises:
        FatalError: no applied migration is called so.
    """
    applied = [each for each in listed if each.state == "applied"]
    if version.isdigit() and int(version) == 0:
        return len(applied)
    for number, each in enumerate(applied):
        if version == each.name or (version.isdigit() and int(version) == each.version):
            return len(applied) - 1 - number
    have = ", ".join(each.name for each in applied) or "none"
    raise FatalError(f"no applied migration is called {version!r}: there are {have}; 0 undoes them all")


def _ms(at: object) -> int | None:
    """Return yoyo's moment, which is UTC without saying so, in unix milliseconds."""
    return round(at.replace(tzinfo=UTC).timestamp() * 1000) if isinstance(at, datetime) else None
