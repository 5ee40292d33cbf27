"""What the commands for a running process do: ask it, and print what it answered.

Apart from the command line's own declarations, and with what only one way needs imported there: somebody waits.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from cli.client import NotRunningError, Whereabouts, ask, client_settings, running_process, stored
from cli.exit_codes import EXIT_FAILED, EXIT_NOT_RUNNING
from core.errors import FuseboxError

if TYPE_CHECKING:
    from cli.hold_lines import HoldLine

ANSWER_S = 10.0
FRESH_S = 10.0
"""Age up to which a heartbeat is fresh."""


def restart(name: str, timeout_s: float = ANSWER_S) -> None:
    """Have an asset's actors, or one actor, replaced.

    Raises:
        FuseboxError: no process runs, it refused, or it did not answer within `timeout_s`.
    """
    result = _ask("restart", {"name": name}, timeout_s)
    done = ", ".join(f"{each['address']} (incarnation {each['incarnation']})" for each in result["restarted"])
    sys.stdout.write(f"restarted {done} in {result['took_ms']:.0f} ms\n")


def add(asset: str, timeout_s: float = ANSWER_S) -> None:
    """Have an asset traded.

    Raises:
        FuseboxError: as with `restart`.
    """
    result = _ask("add", {"asset": asset}, timeout_s)
    sys.stdout.write(f"{result['asset']} is traded; assets are {', '.join(result['assets'])}\n")


def remove(asset: str, timeout_s: float = ANSWER_S) -> None:
    """Have an asset sold and taken out of trading.

    Raises:
        FuseboxError: as with `restart`.
    """
    result = _ask("remove", {"asset": asset}, timeout_s)
    until = datetime.fromtimestamp(result["until_ms"] / 1000, UTC)
    how = "something is held and gets sold" if result["held"] else "nothing is held"
    sys.stdout.write(
        f"{result['asset']} opens nothing more, {how}; its actors end when it is flat, "
        f"at {until:%H:%M:%S} UTC at the latest\n"
    )


def status(timeout_s: float = ANSWER_S, *, as_json: bool = False) -> int:
    """Print what runs, or what is stored when nothing does, and return the exit code.

    Raises:
        FuseboxError: a process runs and did not answer within `timeout_s`.
    """
    settings = client_settings()
    try:
        with running_process(settings) as (connection, leader):
            result = ask(connection, "status", {}, timeout_s)
            running = {**result["status"], "lease": msgspec.to_builtins(leader)}
            process = running["process"]
            if process["paper_session"] is not None:
                from cli.divergence import divergence

                found = divergence(connection, process["session"], process["paper_session"])
                running["divergence"] = msgspec.to_builtins(found)
    except NotRunningError as error:
        _show_stored(settings, str(error), as_json=as_json)
        return EXIT_NOT_RUNNING
    if as_json:
        _print_json(running)
        return 0
    from cli.status_report import Status
    from cli.status_view import console, view

    console().print(view(msgspec.convert(running, type=Status)))
    return 0


def heartbeat(max_age_s: float = FRESH_S) -> int:
    """Print how old the heartbeat file is and return the exit code: 0 when it is fresh."""
    from cli.heartbeat import fresh

    alive, said = fresh(client_settings().state_dir, max_age_s)
    sys.stdout.write(said + "\n")
    return 0 if alive else EXIT_FAILED


def _show_stored(settings: Whereabouts, why: str, *, as_json: bool) -> None:
    from cli.status_stored import StoredStatus, stored_status

    found, problem = StoredStatus(), why
    try:
        with stored(settings) as connection:
            found = stored_status(connection)
    except FuseboxError as error:  # not even the database is there: then this is what there is to say
        if not isinstance(error, NotRunningError):
            problem = f"{why}; {error}"
    found = msgspec.structs.replace(found, reason=problem, gate=_with_file(settings, found.gate))
    if as_json:
        _print_json(msgspec.to_builtins(found))
        return
    from cli.status_view import console, stored_view

    console().print(stored_view(found))
    sys.stderr.write(f"fusebox: {problem}\n")


def _with_file(settings: Whereabouts, holds: list[HoldLine]) -> list[HoldLine]:
    """Return what keeps the next start shut: the database's holds, and those that only the local file has."""
    from cli.gate_offline import gate_file
    from cli.hold_lines import hold_line

    kept = {(hold.scope, hold.reason) for hold in holds}
    try:
        stored_here = gate_file(settings).read().holds
    except FuseboxError as error:
        sys.stderr.write(f"fusebox: {error}\n")
        return holds
    return [*holds, *(hold_line(hold) for hold in stored_here if (hold.scope, hold.reason) not in kept)]


def _ask(command: str, args: dict[str, Any], timeout_s: float) -> Any:
    with running_process(client_settings()) as (connection, _):
        return ask(connection, command, args, timeout_s)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
