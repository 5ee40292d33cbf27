"""`checkpoints`: the saved states of actors and models, listed, shown, exported, imported and rolled back."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.table import Table

from actors import addresses
from cli.client import Whereabouts, ask, client_settings, conninfo_of, stored
from cli.nobody_trades import nobody_trades
from cli.rollback import DISAGREES
from cli.status_view import console
from core.errors import RejectedError
from core.records import CheckpointRecord, HealthEventRecord
from core.runtime.address import Address
from models.checkpoint import regiven
from storage.checkpoints import (
    Generation,
    as_newest,
    generations,
    older,
    payload_of,
    read_file,
    upload,
    write_file,
)
from storage.control import holder
from storage.pool import Connection, connect, database_errors
from storage.queries import BESIDE
from storage.writer import write

ANSWER_S = 15.0

checkpoints = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Saved states of actors and models: list, show, move, roll back."
)

Name = Annotated[
    str,
    typer.Argument(help="As `list` shows it; an actor's bare name means the newest session's.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Also where positions would disagree with what was booked.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for a running process.", min=0.1)]
Number = Annotated[int | None, typer.Option("--generation", help="Which one; the default is named above.", min=0)]


@checkpoints.command("list")
def list_all(output_json: Json = False) -> None:
    """List every generation of every checkpoint, newest first. Exit codes: 0 done, 3 nothing was ever stored."""
    with stored(client_settings()) as connection:
        found = generations(connection)
    if output_json:
        _print_json([_plain(each) for each in found])
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("kind", "name", "generation", "schema", "sha256", "bytes", "created"):
        table.add_column(column, no_wrap=True)
    table.add_column("quarantined because")
    for each in found:
        table.add_row(
            each.kind, each.name, str(each.generation), str(each.schema_version), _checksum(each),
            str(each.size_bytes), f"{datetime.fromtimestamp(each.created_at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC",
            each.quarantined or "",
        )  # fmt: skip
    console().print(table if found else "no checkpoints yet")


@checkpoints.command()
def show(name: Name, generation: Number = None, output_json: Json = False) -> None:
    """Show one generation (default: the newest sound one) with its content. Exit codes: 0 done, 1 there is none."""
    with stored(client_settings()) as connection:
        chosen = _chosen(_found(connection, name), generation)
        content = _content(payload_of(connection, chosen))
    described = {**_plain(chosen), "content": content}
    if output_json:
        _print_json(described)
    else:
        sys.stdout.write(
            "".join(
                f"{key}: {value if isinstance(value, str | int) else json.dumps(value)}\n"
                for key, value in described.items()
            )
        )


@checkpoints.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A file that does not exist yet.", show_default=False)],
    generation: Number = None,
) -> None:
    """Write one generation (default: the newest sound one) to a file that says what it is and carries a checksum."""
    with stored(client_settings()) as connection:
        chosen = _chosen(_found(connection, name), generation)
        write_file(file, chosen, payload_of(connection, chosen))
    sys.stdout.write(f"wrote generation {chosen.generation} of {chosen.name}, {chosen.size_bytes} bytes, to {file}\n")


@checkpoints.command("import")
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help="What `checkpoints export` wrote.", show_default=False)],
    force: Force = False,
    timeout: Timeout = ANSWER_S,
) -> None:
    """Make an exported file the newest generation of NAME; a running process restarts its actor from it.

    Exit codes: 0 done, 1 refused or a damaged file, 3 nothing was ever stored, 4 no answer in time.
    """
    header, payload = read_file(file)
    settings = client_settings()
    with stored(settings) as connection:
        full = name if header.kind == "model" else _full_name(connection, name)
        _check_force(full, force=force)
        if holder(connection) is not None:
            number = upload(connection, header.kind, header.schema_version, payload)
            args = {"name": full, "upload": number, "force": force}
            generation = _ask_running(settings, "checkpoint import", args, timeout)
        else:
            with nobody_trades(connection):
                found = generations(connection, full, header.kind)
                highest = found[0].generation if found else 0
                row = CheckpointRecord(header.kind, full, highest + 1, header.schema_version, payload, _now_ms())
                _write_audited(connection, row, f"the file {file.name}", highest)
            generation = row.generation
    sys.stdout.write(f"{file} is generation {generation} of {full} now\n")


@checkpoints.command()
def rollback(
    name: Name,
    generation: Number = None,
    force: Force = False,
    timeout: Timeout = ANSWER_S,
) -> None:
    """Make an older generation (default: the one before) the newest; a running process restarts its actor from it.

    Exit codes: 0 done, 1 refused, 3 nothing was ever stored, 4 the running process did not answer in time.
    """
    settings = client_settings()
    with stored(settings) as connection:
        found = _found(connection, name)
        chosen = older(found, generation)
        _check_force(chosen.name, force=force)
        if holder(connection) is not None:
            args = {"name": chosen.name, "kind": chosen.kind, "generation": chosen.generation, "force": force}
            number = _ask_running(settings, "checkpoint rollback", args, timeout)
        else:
            with nobody_trades(connection):
                row = as_newest(found, chosen.schema_version, _lasting_payload(connection, found, chosen), _now_ms())
                _write_audited(connection, row, f"generation {chosen.generation}", found[0].generation)
            number = row.generation
    sys.stdout.write(f"{chosen.name}: generation {number} is generation {chosen.generation} again\n")


def _ask_running(settings: Whereabouts, command: str, args: dict[str, Any], timeout_s: float) -> int:
    conninfo = conninfo_of(settings)
    if conninfo is None:
        raise RejectedError("the process has just ended; try again")
    with connect(conninfo) as connection:
        return int(ask(connection, command, args, timeout_s)["generation"])


def _write_audited(connection: Connection, row: CheckpointRecord, what: str, before: int) -> None:
    """Write a generation and, in the same transaction, who made it the newest."""
    with database_errors():
        found = connection.execute("SELECT max(id) FROM sessions").fetchone()
    session = row.name.partition("/")[0] if row.kind == "actor" else None
    number = session if session is not None and session.isdigit() else (found[0] if found else None)
    told = f"generation {row.generation} replaces {before}: {what}, by an operator"
    with database_errors():
        known = connection.execute("SELECT FROM sessions WHERE id = %s", (number,)).fetchone()
    if known is None:  # of a session of another database: there is no row that an event could belong to
        write(connection, (row,))
        return
    write(connection, (row, HealthEventRecord(int(str(number)), row.name, "checkpoint", told, row.created_at_ms)))


def _lasting_payload(connection: Connection, found: list[Generation], chosen: Generation) -> bytes:
    """Return what to write for `chosen`: a model's must not look as if it came from another file, or it will not last.

    A start that is given other weights than those its line began with stores the given ones anew.
    """
    payload = payload_of(connection, chosen)
    newest = found[0]
    if chosen.kind != "model" or not newest.usable:
        return payload
    return regiven(chosen.schema_version, payload, newest.schema_version, payload_of(connection, newest))


def _found(connection: Connection, name: str) -> list[Generation]:
    """Return all generations of a name, newest first.

    Raises:
        RejectedError: there is none, or an actor and a model are both called that.
    """
    found = generations(connection, name) or generations(connection, _full_name(connection, name), "actor")
    if not found:
        known = ", ".join(dict.fromkeys(each.name for each in generations(connection)))
        raise RejectedError(f"there is no checkpoint {name!r}: {known or 'none was ever saved'}")
    if len({each.kind for each in found}) > 1:
        raise RejectedError(f"{name} is the name of an actor's and of a model's checkpoint: rename the model's")
    return found


def _full_name(connection: Connection, name: str) -> str:
    """Return the name under which an actor of the newest session saves; a full name stays as it is."""
    if "/" in name:
        return name
    of_paper = Address(name) in (addresses.PAPER_PORTFOLIO, addresses.PAPER_EXECUTOR)
    with database_errors():
        row = connection.execute(
            "SELECT max(id) FROM sessions WHERE starts_with(venue, %s) = %s", (BESIDE, of_paper)
        ).fetchone()
    return name if row is None or row[0] is None else f"{row[0]}/{name}"


def _chosen(found: list[Generation], generation: int | None) -> Generation:
    if generation is None:
        sound = next((each for each in found if each.usable), None)
        if sound is None:
            raise RejectedError(f"every generation of {found[0].name} is damaged or in quarantine")
        return sound
    chosen = next((each for each in found if each.generation == generation), None)
    if chosen is None:
        have = ", ".join(str(each.generation) for each in found)
        raise RejectedError(f"{found[0].name} has no generation {generation}: there are {have}")
    return chosen


def _check_force(name: str, *, force: bool) -> None:
    portfolios = (addresses.PORTFOLIO.name, addresses.PAPER_PORTFOLIO.name)
    if name.rpartition("/")[2] in portfolios and not force:
        raise RejectedError(DISAGREES)


def _content(payload: bytes) -> object:
    """Return what a checkpoint holds as JSON can show it; a model's tensors are only measured."""
    try:
        return _shown(msgspec.msgpack.decode(payload))
    except msgspec.DecodeError:
        return f"{len(payload)} bytes in a format of its own"


def _shown(value: object) -> object:
    match value:
        case dict():
            return {str(key): _shown(item) for key, item in value.items()}
        case list() | tuple():
            return [_shown(item) for item in value]
        case bytes():
            return f"{len(value)} bytes"
        case _:
            return value


def _checksum(each: Generation) -> str:
    return f"{each.sha256[:12]} {'ok' if each.sound else 'DAMAGED'}"


def _plain(each: Generation) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(each)
    return plain


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
