"""The heartbeat file: a line of JSON for a host's health check, replaced as a whole every second."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

if TYPE_CHECKING:  # who only reads the file needs no runtime
    from core.runtime.system import ActorSystem

EVERY_S = 1.0
NAME = "heartbeat.json"


class Heartbeat(msgspec.Struct, frozen=True):
    """What the file says; `at_ms` is unix time, `failure` why the process is about to give up."""

    pid: int
    at_ms: int
    session: int
    gate: str
    failure: str | None


class HeartbeatFile:
    """Written from the main loop, so that a main loop that hangs has no heartbeat."""

    def __init__(
        self, state_dir: Path, system: ActorSystem, session_id: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = state_dir / NAME
        self._system = system
        self._session_id = session_id
        self._monotonic = monotonic
        self._due_s = 0.0
        self._failed = False

    def beat(self) -> None:
        """Write the file if the last time was a second ago; a disk that refuses is said once and tried again."""
        now_s = self._monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        gate = self._system.gate.level().name.lower().replace("_", "-")
        beat = Heartbeat(os.getpid(), self._system.clock.now_ms(), self._session_id, gate, self._system.failure)
        partial = self._path.with_suffix(".partial")
        try:
            partial.write_bytes(msgspec.json.encode(beat) + b"\n")
            partial.replace(self._path)
        except OSError as error:
            if not self._failed:
                logger.warning("{}: no heartbeat can be written ({})", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False

    def end(self) -> None:
        """Remove the file: a process that has stopped is not one that hangs."""
        self._path.unlink(missing_ok=True)


def fresh(state_dir: Path, max_age_s: float, now_s: Callable[[], float] = time.time) -> tuple[bool, str]:
    """Return whether the process of `state_dir` shows life, and the sentence that says so or why not."""
    path = state_dir / NAME
    try:
        beat = msgspec.json.decode(path.read_bytes(), type=Heartbeat)
    except FileNotFoundError:
        return False, f"{path} is not there: no process runs, or it is still starting"
    except (OSError, msgspec.DecodeError) as error:
        return False, f"{path} cannot be read: {error}"
    age_s = now_s() - beat.at_ms / 1000
    said = f"process {beat.pid}, session {beat.session}, gate {beat.gate}, heartbeat {age_s:.1f} s old"
    if beat.failure is not None:
        return False, f"{said}: giving up: {beat.failure}"
    return (True, said) if age_s <= max_age_s else (False, f"{said}: older than {max_age_s:g} s")
