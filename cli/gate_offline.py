"""`halt`, `resume` and `flatten` where no process answers: both stores are changed, for whoever reads them next.

A process that runs on this host reads the file within a tenth of a second; with the next start it is the stricter of
both that counts.
"""
# ruff: noqa: PLC0415

import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from cli.client import NoAnswerError, NotRunningError, Whereabouts, stored
from core.errors import FuseboxError, RejectedError, TransientError
from core.trading.gate import GateState, Hold
from core.trading.lasting_holds import lasting, resumed, told
from storage.gate_file import GateFile
from storage.gate_table import update_gate
from storage.pool import Connection

SEEN_WITHIN_S = 1.5
LOOK_S = 0.02

Change = Callable[[GateState], GateState]


class Stored(NamedTuple):
    """What became of a change: the holds now, where they are stored and where not.

    `running`: a process trades here or holds the lease. `seen`: it has taken the change from the file.
    """

    holds: tuple[Hold, ...]
    places: list[str]
    problems: list[str]
    running: bool
    seen: bool


def store(settings: Whereabouts, command: str, change: Change, why: FuseboxError) -> Stored:
    """Store a change that could not be told to a process because of `why`.

    Raises:
        RejectedError: it cannot be right.
        TransientError: it could be stored nowhere.
    """
    here = runs_here(settings)
    running = here or isinstance(why, NoAnswerError)
    holds: tuple[Hold, ...] = ()
    places: list[str] = []
    problems: list[str] = []
    seen, file = False, gate_file(settings)
    try:
        after, number = file.update(change)
    except RejectedError:
        raise
    except FuseboxError as error:
        problems.append(f"not in the local file: {error}")
    else:
        holds = lasting(after)
        places.append(str(file.path))
        seen = here and _is_seen(file, number)
    reachable = isinstance(why, NotRunningError | NoAnswerError)
    if reachable and (settings.database_url is not None or not here):
        try:
            with stored(settings) as connection:
                holds = lasting(_store_in_table(connection, command, change))
        except FuseboxError as error:
            problems.append(f"not in the database: {error}")
        else:
            places.append("the database")
    if not places:
        raise TransientError(f"{command} could be stored nowhere: {'; '.join([str(why), *problems])}")
    return Stored(holds, places, [str(why), *problems], running, seen)


def lift(settings: Whereabouts, what: str) -> list[Hold]:
    """Lift what is stored and return it; in the database first, so that whatever fails leaves the stricter of both.

    Raises:
        RejectedError: there is nothing to lift.
        FuseboxError: a store cannot be changed.
    """
    lifted: dict[tuple[str, str], Hold] = {}

    def noted(state: GateState) -> GateState:
        lifted.update({(hold.scope, hold.reason): hold for hold in lasting(state)})
        return resumed(state)

    try:
        with stored(settings) as connection:
            _store_in_table(connection, what, noted)
    except NotRunningError as error:
        if settings.state_dir.exists():
            complain(str(error))  # never a database here: the file is all there is
    gate_file(settings).update(noted)
    if not lifted:
        raise RejectedError("nothing was halted or tripped: no process trades, and the next start is not held")
    return list(lifted.values())


def gate_file(settings: Whereabouts) -> GateFile:
    """Return the local store of a state folder; what is damaged is said on standard error."""
    return GateFile(settings.state_dir, report=complain, now_ms=now_ms)


def runs_here(settings: Whereabouts) -> bool:
    """Whether a process of this host trades with the state folder; one that was killed leaves its heartbeat behind."""
    from cli.heartbeat import NAME, Heartbeat

    try:
        beat = msgspec.json.decode((settings.state_dir / NAME).read_bytes(), type=Heartbeat)
        os.kill(beat.pid, 0)
    except PermissionError:
        return True  # somebody else's process: it is there
    except (OSError, msgspec.DecodeError):
        return False
    return True


def now_ms() -> int:
    """Return unix milliseconds."""
    return time.time_ns() // 1_000_000


def complain(text: str) -> None:
    """Say what went wrong on standard error."""
    sys.stderr.write(f"fusebox: {text}\n")


def _store_in_table(connection: Connection, command: str, change: Change) -> GateState:
    found: list[GateState] = []

    def noted(state: GateState) -> GateState:
        found.append(state)
        return change(state)

    after = update_gate(connection, noted)
    if found and found[-1] != after:
        _record(connection, command, found[-1], after)
    return after


def _record(connection: Connection, what: str, before: GateState, after: GateState) -> None:
    """Write the change into the last session's health events, if there is one."""
    from core.records import HealthEventRecord
    from storage.writer import write

    row = connection.execute("SELECT max(id) FROM sessions").fetchone()
    if row is None or not isinstance(row[0], int):
        return
    said = [("; ".join(told(hold) for hold in state.holds) or "open") for state in (before, after)]
    detail = f"{what}, stored while no process answered: {said[0]} -> {said[1]}"
    write(connection, [HealthEventRecord(row[0], "gate", "operator", detail, now_ms())])


def _is_seen(file: GateFile, number: int) -> bool:
    deadline_s = time.monotonic() + SEEN_WITHIN_S
    while not file.is_seen(number):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(LOOK_S)
    return True
