"""Keeps what actors declare as their checkpoints: rows in the database and local copies, from a thread of its own.

No handler waits for it. Between two looks the latest state wins, so a busy actor costs no more rows than a slow one;
what an actor writes in one transaction with its rows (the portfolio) is only copied here.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
from loguru import logger

from core.errors import FuseboxError
from core.records import CheckpointRecord, Record
from core.runtime.cell import Cell
from core.runtime.checkpoint import Quarantined
from core.runtime.system import ActorSystem
from storage.local_copies import LocalCopies
from storage.queries import checkpoint_name

LOOK_EVERY_S = 1.0
WRITE_EVERY_S = 5.0
"""Of one actor, to the database and to its local copy: what a kill costs of counters at most."""
FINISH_WITHIN_S = 0.7

Mark = Callable[[str, Quarantined], None]
"""Puts a generation of a name into quarantine in the database."""


class _Kept(msgspec.Struct):
    """What was kept of one cell, and when (monotonic)."""

    row: CheckpointRecord
    stored: bool
    copied: bool
    at_s: float


class Keeper:
    """Looks at every cell once a second.

    Args:
        system: whose cells.
        session_id: part of the checkpoints' names.
        others: the sessions of actors that belong to another one, by address name.
        write: writes rows under the lease, apart from what the database's writer writes.
        mark: puts generations into quarantine.
        copies: where local copies go.
        monotonic_s: the clock.
    """

    def __init__(
        self,
        system: ActorSystem,
        session_id: int,
        *,
        write: Callable[[Sequence[Record]], None],
        mark: Mark,
        copies: LocalCopies,
        monotonic_s: Callable[[], float] = time.monotonic,
        others: Mapping[str, int] | None = None,
    ) -> None:
        self._system = system
        self._session_id = session_id
        self._others = dict(others or {})
        self._write = write
        self._mark = mark
        self._copies = copies
        self._monotonic_s = monotonic_s
        self._kept: dict[str, _Kept] = {}
        self._troubles: dict[str, str] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def copy(self, row: CheckpointRecord) -> None:
        """Make a local copy of a row that others store, a model's for instance, at the next look."""
        self._kept[f"{row.kind} {row.name}"] = _Kept(row, stored=True, copied=False, at_s=self._monotonic_s())

    def finish(self) -> None:
        """Keep the last states, of actors that have stopped by now, and end; waits `FINISH_WITHIN_S` at most."""
        self._ending.set()
        if self._thread.ident is None:
            return
        self._thread.join(FINISH_WITHIN_S)
        if self._thread.is_alive():
            logger.warning("the last checkpoints are not all in the database; local copies are kept first")

    def _run(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            self._look_safely(final=False)
        self._look_safely(final=True)

    def _look_safely(self, *, final: bool) -> None:
        try:
            self.look(final=final)
        except Exception as error:  # noqa: BLE001 -- a defect here must be seen, and must not end the keeping
            logger.opt(exception=error).error("keeping checkpoints failed; it goes on")

    def look(self, *, final: bool = False) -> None:
        """Keep what has changed and is due; with `final` everything that has changed."""
        now_s = self._monotonic_s()
        for cell in list(self._system.cells.values()):
            self._take(cell, now_s, final=final)
        for kept in list(self._kept.values()):
            if not kept.copied:
                kept.copied = self._try("local copies", partial(self._copies.write, kept.row))
        waiting = [kept for kept in list(self._kept.values()) if not kept.stored]
        if waiting and self._try("checkpoints", partial(self._write, [kept.row for kept in waiting])):
            for kept in waiting:
                kept.stored = True
        for cell in list(self._system.cells.values()):
            self._mark_quarantined(cell)

    def _take(self, cell: Cell, now_s: float, *, final: bool) -> None:
        layout, address = cell.spec.state, cell.spec.address.name
        with cell.lock:
            generation, state, stored_as = cell.saved_as, cell.saved, cell.stored_as
        kept = self._kept.get(address)
        if layout is None or state is None or (kept is not None and generation <= kept.row.generation):
            return
        if not final and not layout.transactional and kept is not None and now_s - kept.at_s < WRITE_EVERY_S:
            return
        name = self._name(address)
        now_ms = self._system.clock.now_ms()
        row = CheckpointRecord("actor", name, generation, layout.version, state, now_ms)
        stored = layout.transactional or generation <= stored_as
        self._kept[address] = _Kept(row, stored=stored, copied=False, at_s=now_s)

    def _name(self, address: str) -> str:
        return checkpoint_name(self._others.get(address, self._session_id), address)

    def _mark_quarantined(self, cell: Cell) -> None:
        name = self._name(cell.spec.address.name)
        while cell.quarantined:
            bad = cell.quarantined[0]
            if not self._try("checkpoints", partial(self._mark, name, bad)):
                return
            cell.quarantined.popleft()

    def _try(self, what: str, action: Callable[[], None]) -> bool:
        """Do it and return whether it worked; say it when that changes."""
        try:
            action()
        except FuseboxError as error:
            if what not in self._troubles:
                logger.warning("{} are not kept: {}; trying again", what, error)
            self._troubles[what] = str(error)
            return False
        if self._troubles.pop(what, None) is not None:
            logger.info("{} are kept again", what)
        return True
