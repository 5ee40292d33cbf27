"""The commands that reach a running process from another shell: `restart`, `add`, `remove`, `status`."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from cli.client import NotRunningError, ask, client_settings, running_process, stored
from cli.heartbeat import fresh
from cli.status_report import LeaseLine, Status
from cli.status_stored import StoredStatus, stored_status
from cli.status_view import console, stored_view, view
from config.settings import Settings
from core.errors import FuseboxError
from storage.control import Holder

EXIT_NOT_RUNNING = 3
ANSWER_S = 10.0

Timeout = Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)]
Asset = Annotated[str, typer.Argument(help="An asset, such as SOL.", show_default=False)]


def restart(
    name: Annotated[str, typer.Argument(help="An asset (BTC) or an actor (executor).", show_default=False)],
    timeout: Timeout = ANSWER_S,
) -> None:
    """Replace an asset's actors, or one actor, in the running process; their state is kept.

    Example: `supervisor.py restart BTC`. Exit codes: 0 done, 1 refused, 3 no process runs, 4 no answer in time.
    """
    result = _ask("restart", {"name": name}, timeout)
    done = ", ".join(f"{each['address']} (incarnation {each['incarnation']})" for each in result["restarted"])
    sys.stdout.write(f"restarted {done} in {result['took_ms']:.0f} ms\n")


def add(asset: Asset, timeout: Timeout = ANSWER_S) -> None:
    """Start trading an asset in the running process, until that process ends.

    Exit codes: 0 done, 1 refused, 3 no process runs, 4 no answer in time.
    """
    result = _ask("add", {"asset": asset}, timeout)
    sys.stdout.write(f"{result['asset']} is traded; assets are {', '.join(result['assets'])}\n")


def remove(asset: Asset, timeout: Timeout = ANSWER_S) -> None:
    """Take an asset out of trading in the running process: what is held is sold, then its actors end.

    Exit codes: 0 begun, 1 refused, 3 no process runs, 4 no answer in time.
    """
    result = _ask("remove", {"asset": asset}, timeout)
    until = datetime.fromtimestamp(result["until_ms"] / 1000, UTC)
    how = "something is held and gets sold" if result["held"] else "nothing is held"
    sys.stdout.write(
        f"{result['asset']} opens nothing more, {how}; its actors end when it is flat, "
        f"at {until:%H:%M:%S} UTC at the latest\n"
    )


def status(
    output_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    heartbeat: Annotated[
        bool, typer.Option("--heartbeat", help="Only judge the heartbeat file: exit 0 when fresh, 1 when not.")
    ] = False,
    max_age_s: Annotated[float, typer.Option(help="Age up to which a heartbeat is fresh, in seconds.", min=0.1)] = 10.0,
    timeout: Timeout = ANSWER_S,
) -> None:
    """Show what runs: actors, assets, gate, positions, PnL, who holds the lease; or what the database knows.

    Exit codes: 0 a process runs, 3 none does (what is stored is shown), 4 it did not answer in time;
    with --heartbeat 0 fresh, 1 stale, missing or failed.
    """
    settings = client_settings()
    if heartbeat:
        alive, said = fresh(settings.state_dir, max_age_s)
        sys.stdout.write(said + "\n")
        raise typer.Exit(0 if alive else 1)
    try:
        with running_process(settings) as (connection, leader):
            result = ask(connection, "status", {}, timeout)
            running = msgspec.structs.replace(
                msgspec.convert(result["status"], type=Status), lease=_lease(leader)
            )  # fmt: skip
    except NotRunningError as error:
        _show_stored(settings, str(error), as_json=output_json)
        raise typer.Exit(EXIT_NOT_RUNNING) from None
    if output_json:
        _print_json(msgspec.to_builtins(running))
    else:
        console().print(view(running))


def _show_stored(settings: Settings, why: str, *, as_json: bool) -> None:
    found, problem = StoredStatus(), why
    try:
        with stored(settings) as connection:
            found = stored_status(connection)
    except FuseboxError as error:  # not even the database is there: then this is what there is to say
        if not isinstance(error, NotRunningError):
            problem = f"{why}; {error}"
    if as_json:
        _print_json(msgspec.to_builtins(msgspec.structs.replace(found, reason=problem)))
        return
    console().print(stored_view(found))
    sys.stderr.write(f"fusebox: {problem}\n")


def _ask(command: str, args: dict[str, Any], timeout_s: float) -> Any:
    with running_process(client_settings()) as (connection, _):
        return ask(connection, command, args, timeout_s)


def _lease(leader: Holder) -> LeaseLine:
    return LeaseLine(leader.epoch, leader.pid, leader.host, leader.since_ms)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
