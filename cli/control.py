"""The running process's ear: commands from other shells, heard through PostgreSQL on a thread of its own.

Trading never waits for it: a database that is away only means that nobody is heard until it is back.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger

from core.errors import FuseboxError, TransientError
from storage.control import Command, Holder, Listener, acknowledge, holder
from storage.pool import Connection

LISTEN_S = 0.25
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STOP_WITHIN_S = 0.3

Handler = Callable[[Mapping[str, Any], Connection], Mapping[str, Any]]
"""Carries a command out and returns its result; a FuseboxError is the answer that says why not."""


class Control:
    """Listens and answers.

    Args:
        conninfo: where the database is now; None while that is not known.
        epoch: the lease's epoch of this process: commands are for the holder of the newest one.
        handlers: what each command does.
        between: called between two commands, several times a second, with or without a database.
    """

    def __init__(
        self,
        conninfo: Callable[[], str | None],
        epoch: int,
        handlers: Mapping[str, Handler],
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self._conninfo = conninfo
        self._epoch = epoch
        self._handlers = dict(handlers)
        self._between = between
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more commands; waits a moment for the one that is being carried out."""
        self._stopping.set()
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                listener = self._connect()
                try:
                    if failures:
                        logger.info("commands are heard again")
                    failures = 0
                    self._serve(listener)
                finally:
                    listener.close()
            except FuseboxError as error:
                if not failures and not self._stopping.is_set():
                    logger.warning("no commands are heard: {}; trying again", error)
            except Exception as error:  # noqa: BLE001 -- a defect here must be seen, and must not end operator control
                logger.opt(exception=error).error("the control thread failed; it starts again")
            self._stopping.wait(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            self._between()
            failures += 1

    def _connect(self) -> Listener:
        conninfo = self._conninfo()
        if conninfo is None:
            raise TransientError("the database is not there")
        return Listener(conninfo)

    def _serve(self, listener: Listener) -> None:
        while not self._stopping.is_set():
            for command in listener.wait(LISTEN_S):
                leader = holder(listener.connection)
                if leader is None or leader.epoch != self._epoch or self._stopping.is_set():
                    break  # it is for the process that trades now
                self._answer(command, leader, listener.connection)
            self._between()

    def _answer(self, command: Command, leader: Holder, connection: Connection) -> None:
        if command.requested_at_ms < leader.since_ms:
            result: Mapping[str, Any] = {"ok": False, "error": "given to an earlier process; give it again"}
        else:
            result = self.execute(command.command, command.args, connection)
        acknowledge(connection, command.id, result)

    def execute(self, name: str, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Carry out one command and return its result: `ok`, and what came of it or `error`."""
        handler = self._handlers.get(name)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            return {"ok": False, "error": f"there is no command {name!r}; this process knows {known}"}
        if name != "status":
            logger.info("command {}: {}", name, " ".join(f"{key}={value}" for key, value in args.items()))
        try:
            return {"ok": True, **handler(args, connection)}
        except FuseboxError as error:
            logger.warning("command {} refused: {}", name, error)
            return {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 -- whoever asked must hear of it; the traceback is in the log
            logger.opt(exception=error).error("command {} failed", name)
            return {"ok": False, "error": f"defect, see the log: {type(error).__name__}: {error}"}
