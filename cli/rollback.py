"""Rolls a checkpoint back, or imports one, while the process runs: it is the newest then, its actor starts from it."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from actors import addresses
from cli.control import Handler
from cli.model_line import ModelLine
from core.errors import FatalError, RejectedError
from core.messages import Persist
from core.records import CheckpointRecord, HealthEventRecord
from core.runtime.address import Address
from core.runtime.checkpoint import Offer, UnreadableStateError
from core.runtime.threaded import ThreadedRuntime
from models.weights import WeightsError
from storage.checkpoints import Generation, as_newest, generations, older, payload_of, take_upload
from storage.pool import Connection

WRITTEN_WITHIN_S = 3.0
LOOK_EVERY_S = 0.05
DISAGREES = (
    "the portfolio's positions would disagree with the fills and trades that were booked since, and nothing repairs "
    "that by itself: --force does it nevertheless"
)
ACTS_AGAIN = "the executor would act again for orders that have ended since: --force does it nevertheless"


class _Wanted:
    """What is to become the newest generation of a name, and how it is called when it did."""

    def __init__(self, kind: str, name: str, schema_version: int, payload: bytes, what: str) -> None:
        self.kind = kind
        self.name = name
        self.schema_version = schema_version
        self.payload = payload
        self.what = what


class Rollback:
    """The commands `checkpoint rollback` and `checkpoint import` of a running process.

    Args:
        system: whose actors.
        restart: replaces the actor that its `name` argument names, and waits for it.
        session_id: of the running session: only its actors run.
        models: the weights in use.
        refusal: the hold under which an unknown account keeps the gate closed; a portfolio put back lifts it.
        copied: makes a local copy of a model's new generation.
    """

    def __init__(
        self,
        system: ThreadedRuntime,
        restart: Handler,
        session_id: int,
        models: ModelLine | None = None,
        refusal: str | None = None,
        copied: Callable[[CheckpointRecord], None] = lambda _row: None,
    ) -> None:
        self._system = system
        self._restart = restart
        self._session_id = session_id
        self._models = models
        self._refusal = refusal
        self._copied = copied

    def handlers(self) -> dict[str, Handler]:
        """Return what each command does."""
        return {"checkpoint rollback": self, "checkpoint import": self.import_}

    def __call__(self, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Roll back `args["name"]` of `args["kind"]` to `args["generation"]` (None: the one before).

        Raises:
            RejectedError: there is no such generation or actor, it is of no use, or it needs `force`.
            TransientError: the actor did not come up in time.
        """
        name, kind = str(args.get("name", "")), str(args.get("kind", "actor"))
        chosen = older(generations(connection, name, kind), args.get("generation"))
        payload = payload_of(connection, chosen)
        wanted = _Wanted(kind, name, chosen.schema_version, payload, f"generation {chosen.generation}")
        done = self._apply(wanted, connection, force=bool(args.get("force")))
        return {"name": name, "from": chosen.generation, **done}

    def import_(self, args: Mapping[str, Any], connection: Connection) -> Mapping[str, Any]:
        """Make the upload `args["upload"]` the newest generation of `args["name"]`.

        Raises:
            RejectedError: the upload is gone, nobody has that name, it is of no use, or it needs `force`.
            TransientError: the actor did not come up in time.
        """
        kind, schema_version, payload = take_upload(connection, int(args.get("upload", 0)))
        name = str(args.get("name", ""))
        wanted = _Wanted(kind, name, schema_version, payload, "an imported file")
        return {"name": name, **self._apply(wanted, connection, force=bool(args.get("force")))}

    def _apply(self, wanted: _Wanted, connection: Connection, *, force: bool) -> dict[str, Any]:
        found = generations(connection, wanted.name, wanted.kind)
        before = found[0].generation if found else 0
        try:
            if wanted.kind == "model":
                row, actor = self._model(wanted, found), addresses.LEARNER
            else:
                actor = self._address(wanted.name)
                self._check_force(actor, force=force)
                row = self._start_from(actor, wanted, connection)
        except (UnreadableStateError, WeightsError) as error:
            raise RejectedError(f"{wanted.name} cannot start from {wanted.what}: {error}") from error
        told = f"generation {row.generation} replaces {before}: {wanted.what}, by an operator"
        event = HealthEventRecord(self._session_id, wanted.name, "checkpoint", told, self._system.clock.now_ms())
        self._system.tell(addresses.DB_WRITER, Persist((row, event)))
        _wait_until_written(connection, row)
        if wanted.kind == "model" and self._models is not None and wanted.name == self._models.name:
            self._copied(row)
            self._restart({"name": addresses.LEARNER.name}, connection)
        if actor == addresses.PORTFOLIO and self._refusal is not None:
            self._system.gate.release(None, self._refusal)
        return {"before": before, "generation": row.generation, "actor": str(actor)}

    def _model(self, wanted: _Wanted, found: list[Generation]) -> CheckpointRecord:
        now_ms = self._system.clock.now_ms()
        highest = found[0].generation if found else 0
        if self._models is not None and wanted.name == self._models.name:
            return self._models.adopt(wanted.schema_version, wanted.payload, highest, now_ms)
        if found:
            return as_newest(found, wanted.schema_version, wanted.payload, now_ms)
        return CheckpointRecord("model", wanted.name, 1, wanted.schema_version, wanted.payload, now_ms)

    def _address(self, name: str) -> Address:
        session, _, actor = name.partition("/")
        address = Address(actor)
        if session != str(self._session_id) or address not in self._system.cells:
            raise RejectedError(f"{name} is no actor of the running session {self._session_id}: stop the process first")
        return address

    def _check_force(self, address: Address, *, force: bool) -> None:
        if force:
            return
        if address == addresses.PORTFOLIO:
            raise RejectedError(DISAGREES)
        if address == addresses.EXECUTOR:
            raise RejectedError(ACTS_AGAIN)

    def _start_from(self, address: Address, wanted: _Wanted, connection: Connection) -> CheckpointRecord:
        """Restart an actor from what is wanted; it is its own newest checkpoint then. It goes on as it was if not."""
        cell = self._system.cells[address]
        layout = cell.spec.state
        state = wanted.payload if layout is None else layout.read(wanted.schema_version, wanted.payload)
        offer = Offer(state)
        with cell.lock:
            cell.offer = offer
        try:
            self._restart({"name": str(address)}, connection)
        finally:
            with cell.lock:  # not taken: then no later restart may take it
                cell.offer = None
        if offer.generation is None:
            raise RejectedError(f"{address} does not start from {wanted.what} and goes on as it was: {offer.error}")
        version = wanted.schema_version if layout is None else layout.version
        now_ms = self._system.clock.now_ms()
        return CheckpointRecord("actor", wanted.name, offer.generation, version, state, now_ms)


def _wait_until_written(
    connection: Connection, row: CheckpointRecord, now_s: Callable[[], float] = time.monotonic
) -> None:
    """Return when the database has the new generation.

    Raises:
        FatalError: it has not within a few seconds.
    """
    pause, deadline_s = threading.Event(), now_s() + WRITTEN_WITHIN_S
    while all(each.generation < row.generation for each in generations(connection, row.name, row.kind)):
        if now_s() > deadline_s:
            raise FatalError(f"generation {row.generation} of {row.name} is in use but not yet in the database")
        pause.wait(LOOK_EVERY_S)
