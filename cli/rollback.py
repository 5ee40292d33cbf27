"""Rolls a checkpoint back while the process runs: the older generation becomes the newest, its actor starts from it."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from actors import addresses
from cli.operations import Operations
from core.errors import FatalError, RejectedError
from core.messages import Persist
from core.records import CheckpointRecord
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.threaded import ThreadedRuntime
from storage.checkpoints import Generation, as_newest, generations, older, payload_of
from storage.pool import Connection

WRITTEN_WITHIN_S = 3.0
LOOK_EVERY_S = 0.05
DISAGREES = (
    "the portfolio's positions would disagree with the fills and trades that were booked since, and nothing repairs "
    "that by itself: --force does it nevertheless"
)


class _Restored:
    """A context whose saved state is the one given; everything else is the incarnation's own."""

    def __init__(self, context: Context, saved: bytes) -> None:
        self._context = context
        self.saved = saved

    def __getattr__(self, name: str) -> object:
        return getattr(self._context, name)


class Rollback:
    """The command `checkpoint rollback` of a running process."""

    def __init__(self, system: ThreadedRuntime, operations: Operations, session_id: int) -> None:
        self._system = system
        self._operations = operations
        self._session_id = session_id

    def __call__(self, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Roll back `args["name"]` of `args["kind"]` to `args["generation"]` (None: the one before).

        Raises:
            RejectedError: there is no such generation or actor, or it is the portfolio and `force` is not set.
            TransientError: the actor did not come up in time.
        """
        name, kind = str(args.get("name", "")), str(args.get("kind", "actor"))
        found = generations(connection, name, kind)
        chosen = older(found, args.get("generation"))
        payload = payload_of(connection, chosen)
        if kind == "model":
            row = as_newest(found, chosen.schema_version, payload, self._system.clock.now_ms())
            self._system.tell(addresses.DB_WRITER, Persist((row,)))
            _wait_until_written(connection, chosen, row.generation)
            self._operations.restart({"name": addresses.LEARNER.name}, connection)
            return {"name": name, "from": chosen.generation, "generation": row.generation, "actor": "learner"}
        address = self._address(name)
        if address == addresses.PORTFOLIO and not args.get("force"):
            raise RejectedError(DISAGREES)
        generation = self._start_from(address, chosen, payload)
        _wait_until_written(connection, chosen, generation)
        return {"name": name, "from": chosen.generation, "generation": generation, "actor": str(address)}

    def _address(self, name: str) -> Address:
        session, _, actor = name.partition("/")
        address = Address(actor)
        if session != str(self._session_id) or address not in self._system.cells:
            raise RejectedError(f"{name} is no actor of the running session {self._session_id}: stop the process first")
        return address

    def _start_from(self, address: Address, chosen: Generation, payload: bytes) -> int:
        """Restart an actor from `payload`; the next incarnation declares it as its own newest checkpoint."""
        cell = self._system.cells[address]
        spec = cell.spec
        given: list[int] = []

        def make(context: Context) -> Actor:
            if given:  # a second start: the first one failed, so it goes on from what it had
                return spec.make(context)
            generation = context.save(payload)
            given.append(generation)
            now_ms = context.clock.now_ms()
            row = CheckpointRecord(
                chosen.kind, chosen.name, generation, chosen.schema_version, payload, now_ms
            )  # fmt: skip
            context.tell(addresses.DB_WRITER, Persist((row,)))
            return spec.make(_Restored(context, payload))  # type: ignore[arg-type]  # a context but for its `saved`

        before = cell.incarnation
        try:
            self._operations.remake(address, make)
        finally:
            cell.spec = msgspec.structs.replace(cell.spec, make=spec.make)
        if cell.incarnation != before + 1:
            raise RejectedError(
                f"{address} does not start from generation {chosen.generation} and goes on as it was: "
                f"{cell.last_failure}"
            )
        return given[0]


def _wait_until_written(
    connection: Connection, chosen: Generation, generation: int, now_s: Callable[[], float] = time.monotonic
) -> None:
    """Return when the database has the new generation.

    Raises:
        FatalError: it has not within a few seconds.
    """
    pause, deadline_s = threading.Event(), now_s() + WRITTEN_WITHIN_S
    while all(each.generation < generation for each in generations(connection, chosen.name, chosen.kind)):
        if now_s() > deadline_s:
            raise FatalError(f"generation {generation} of {chosen.name} is in use but not yet in the database")
        pause.wait(LOOK_EVERY_S)
