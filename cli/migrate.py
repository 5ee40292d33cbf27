"""`migrate`: brings the database's schema forward, or back, while nobody trades; `run` brings it forward by itself.

A host runs it before each deploy, while the process of the one before still trades. What is to be done is then left to
the `run` that takes over, which has fenced the other before it touches the schema.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from cli.client import Whereabouts, client_settings, stored
from cli.nobody_trades import TradedError, nobody_trades
from cli.usage import UsageError
from storage import migrate as schema
from storage.embedded import EmbeddedServer
from storage.lease import holder_text
from storage.migration_list import Migration, migration_list, steps_back
from storage.pool import Connection, connect, target


def migrate(
    down: Annotated[
        int | None, typer.Option(help="Undo the last N migrations instead.", min=1, metavar="N", show_default=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Undo all after this one: a number, a name, or 0.", metavar="VERSION", show_default=False),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="List them and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Undo without asking.")] = False,
    output_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the database's schema forward to this release, or back.

    While a process trades, forward is left to the `run` that takes over, and back is refused. Undoing drops tables and
    columns with the data in them. Exit codes: 0 done, nothing to do or left to `run`, 1 refused or failed, 2 bad usage,
    3 with --status: there is no database yet.
    """
    if sum((down is not None, to is not None, status)) > 1:
        raise UsageError("--down, --to and --status: give one of them")
    settings = client_settings()
    if status:
        with stored(settings) as connection:
            listed = migration_list(connection)
        _show(listed, output_json=output_json)
    elif down is None and to is None:
        _forward(settings, output_json=output_json)
    else:
        _back(settings, down, to, yes=yes, output_json=output_json)


def _forward(settings: Whereabouts, *, output_json: bool) -> None:
    done, left, holder = list[str](), list[str](), ""
    with _opened(settings) as (conninfo, connection):
        try:
            with nobody_trades(connection):
                done = schema.migrate(conninfo)
        except TradedError:
            holder = holder_text(connection)
            listed = migration_list(connection)
            schema.refuse_newer([each.name for each in listed if each.state == "newer"], conninfo)
            left = [each.name for each in listed if each.state == "waiting"]
    if output_json:
        _print_json({"applied": done, "waiting": left})
    elif left:
        sys.stdout.write(f"{target(conninfo)} is traded by {holder}: the `run` that takes over from it applies ")
        sys.stdout.write(f"{', '.join(left)}\n")
    elif done:
        sys.stdout.write("".join(f"applied {name}\n" for name in done))
    else:
        sys.stdout.write(f"{target(conninfo)} is up to date\n")


def _back(settings: Whereabouts, down: int | None, to: str | None, *, yes: bool, output_json: bool) -> None:
    with stored(settings) as connection, nobody_trades(connection):
        listed = migration_list(connection)
        applied = [each.name for each in listed if each.state == "applied"]
        newer = [each.name for each in listed if each.state == "newer"]
        if newer:
            raise UsageError(f"{', '.join(newer)}: made by a newer release: roll back with that one")
        count = min(down, len(applied)) if down is not None else steps_back(listed, to or "")
        undone = applied[len(applied) - count :][::-1]
        if undone:
            _confirm(undone, yes=yes)
            undone = schema.rollback(_conninfo(settings, connection), count)
    if output_json:
        _print_json({"undone": undone})
    else:
        sys.stdout.write("".join(f"undone {name}\n" for name in undone) or "nothing to undo\n")


def _confirm(undone: Sequence[str], *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"undoing {', '.join(undone)} drops the data in what they made: say --yes")
    sys.stderr.write(f"undoes {', '.join(undone)}, and drops the data in what they made\n")
    typer.confirm("Go on?", abort=True, err=True)


def _conninfo(settings: Whereabouts, connection: Connection) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return connection.info.dsn


@contextlib.contextmanager
def _opened(settings: Whereabouts) -> Iterator[tuple[str, Connection]]:
    """Connect to the database; an embedded one is made and started for the moment."""
    if settings.database_url is not None:
        given = settings.database_url.get_secret_value()
        with connect(given) as connection:
            yield given, connection
        return
    server = EmbeddedServer(settings.state_dir)
    try:
        uri = server.start()
        with connect(uri) as connection:
            yield uri, connection
    finally:
        server.stop()


def _show(listed: Sequence[Migration], *, output_json: bool) -> None:
    if output_json:
        _print_json([msgspec.to_builtins(each) for each in listed])
        return
    wide = max((len(each.name) for each in listed), default=0)
    for each in listed:
        sys.stdout.write(f"{each.name:<{wide}}  {_state(each)}\n")


def _state(each: Migration) -> str:
    if each.state == "waiting":
        return "waiting: `migrate` or the next `run` applies it"
    at = "" if each.applied_at_ms is None else f" {datetime.fromtimestamp(each.applied_at_ms / 1000, UTC):%F %T} UTC"
    return f"applied{at}" + ("; of a newer release" if each.state == "newer" else "")


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
