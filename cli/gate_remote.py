"""What `halt`, `resume` and `flatten` do in the operator's shell: ask the running process, or store it without one.

A halt also goes into the local file at once where a process runs on this host: it closes before the database answers.
"""
# ruff: noqa: PLC0415

import getpass
import json
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from cli.client import NotRunningError, Whereabouts, ask, client_settings, running_process
from cli.exit_codes import EXIT_NO_ANSWER, EXIT_NOT_RUNNING
from cli.gate_offline import Change, complain, gate_file, lift, now_ms, runs_here, store
from cli.hold_lines import HoldLine, hold_line, hold_text
from core.errors import FuseboxError, RejectedError, TransientError
from core.trading.gate import GateState
from core.trading.lasting_holds import flattened, halted, told

ANSWER_S = 10.0
NEXT = (
    "`flatten` makes it reduce-only and asks for the exits of what is held, `resume --reason TEXT` lets trading go on"
)


class Author(NamedTuple):
    """Who gives a command, why, and when (unix ms)."""

    by: str
    reason: str
    at_ms: int

    def args(self) -> dict[str, Any]:
        """Return what the running process is told."""
        return {"by": self.by, "reason": self.reason, "at_ms": self.at_ms}


def halt(reason: str = "", timeout_s: float = ANSWER_S, *, as_json: bool = False) -> int:
    """Close the gate, print what is held, and return the exit code.

    Raises:
        FuseboxError: the running process refused, or it could be stored nowhere.
    """
    settings, author = client_settings(), _author(reason)

    def change(state: GateState) -> GateState:
        return halted(state, author.reason, author.by, author.at_ms)

    if runs_here(settings):  # it closes by this, whatever the database does
        gate_file(settings).update(change)
    return _give("halt", author.args(), change, settings, timeout_s, as_json=as_json)


def flatten(asset: str = "", timeout_s: float = ANSWER_S, *, as_json: bool = False) -> int:
    """Have what is held sold, print it, and return the exit code.

    Raises:
        FuseboxError: as with `halt`; there is no such asset.
    """
    settings, author = client_settings(), _author("")
    scope = asset.upper()

    def change(state: GateState) -> GateState:
        if scope:
            from config.limits import KNOWN_ASSETS

            if scope not in KNOWN_ASSETS:
                raise RejectedError(f"there is no asset {scope!r}: choose from {', '.join(KNOWN_ASSETS)}")
        return flattened(state, scope, author.by, author.at_ms)

    return _give("flatten", {**author.args(), "asset": scope}, change, settings, timeout_s, as_json=as_json)


def resume(reason: str, timeout_s: float = ANSWER_S, *, as_json: bool = False) -> int:
    """Lift what only a person lifts, print what it was, and return the exit code.

    Raises:
        FuseboxError: it was refused, there is nothing to lift, or a process runs that cannot be asked.
    """
    if not reason.strip():
        raise RejectedError('resume needs a reason: `resume --reason "what was found"`')
    settings, author = client_settings(), _author(reason)
    try:
        with running_process(settings) as (connection, _):
            result = ask(connection, "resume", author.args(), timeout_s)
    except NotRunningError as error:
        if runs_here(settings):
            raise TransientError(
                f"nothing was lifted: the database of the running process is away ({error})"
            ) from error
    else:
        _print(result, "resumed", as_json=as_json)
        return 0
    lifted = lift(settings, f"resume ({reason}) by {author.by}")
    result = {"running": False, "lifted": [msgspec.to_builtins(hold_line(hold)) for hold in lifted]}
    if as_json:
        _print_json(result)
    else:
        _write(*(f"lifted {told(hold)}" for hold in lifted), "no process trades; the next start is not held by these")
    return EXIT_NOT_RUNNING


def _give(
    command: str,
    args: Mapping[str, Any],
    change: Change,
    settings: Whereabouts,
    timeout_s: float,
    *,
    as_json: bool,
) -> int:
    """Ask the running process; where nobody answers, store the change for whoever reads it."""
    try:
        with running_process(settings) as (connection, _):
            result = ask(connection, command, args, timeout_s)
    except RejectedError:
        raise
    except FuseboxError as error:
        return _without_answer(command, change, settings, error, as_json=as_json)
    _print(result, "closed" if command == "halt" else f"flatten {args['asset'] or 'all'}", as_json=as_json)
    return 0


def _without_answer(command: str, change: Change, settings: Whereabouts, why: FuseboxError, *, as_json: bool) -> int:
    done = store(settings, command, change, why)
    if as_json:
        _print_json(
            {
                "running": done.running,
                "seen": done.seen,
                "stored_in": done.places,
                "problems": done.problems,
                "holds": [msgspec.to_builtins(hold_line(hold)) for hold in done.holds],
            }
        )
    else:
        for problem in done.problems:
            complain(problem)
        _write(f"{command} is stored in {' and '.join(done.places)}", *(f"  {told(hold)}" for hold in done.holds))
        if done.seen:
            _write("the running process has taken it from the file and goes by it")
        elif done.running:
            _write("the running process has not confirmed it")
        else:
            _write("no process trades that could be reached; the next start goes by it")
        _write(NEXT if command == "halt" else "`resume --reason TEXT` lifts it")
    if done.seen:
        return 0
    return EXIT_NO_ANSWER if done.running else EXIT_NOT_RUNNING


def _print(result: Mapping[str, Any], done: str, *, as_json: bool) -> None:
    if as_json:
        _print_json({"running": True, **{key: value for key, value in result.items() if key != "ok"}})
        return

    def lines(key: str) -> list[str]:
        holds = [msgspec.convert(hold, type=HoldLine) for hold in result.get(key, ())]
        if key == "lifted":  # how it could be lifted is no news any more
            holds = [msgspec.structs.replace(hold, lasting=False) for hold in holds]
        return [hold_text(hold) for hold in holds]

    _write(f"{done}; gate {result['before']} -> {result['gate']}")
    _write(*(f"  lifted: {line}" for line in lines("lifted")))
    _write(*(f"  still: {line}" for line in lines("remaining" if "remaining" in result else "holds")))
    for each in result["held"]:
        remark = f": {each['remark']}" if each["remark"] else ""
        _write(f"  holds {each['asset']} {each['side']} {each['shares']} shares, {each['cost_usd']} USD{remark}")
    if not result["held"]:
        _write("  nothing is held")
    for hold in result.get("kept_closed_by", ()):
        _write(f"  nothing can be sold while the gate is closed by {hold}")
    if done == "closed":
        _write(NEXT)
    for problem in result["late"]:
        complain(f"{problem}; tried again until it is")


def _author(reason: str) -> Author:
    return Author(f"{_user()}@{socket.gethostname()}", reason, now_ms())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _write(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
