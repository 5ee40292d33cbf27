"""One incarnation on a pykka thread: pykka's loop, with every exit seen and nothing lost from the mailbox.

pykka drains a dead actor's inbox, swallows deaths in `on_start` and `on_stop`, and takes every actor down on
`SystemExit`. So the inbox is a view of the cell's mailbox that is never empty, no exception ever reaches pykka's own
handling, and the thread reports its end in a `finally`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pykka
from pykka._envelope import Envelope as PykkaEnvelope  # the type of what an inbox hands to the loop
from pykka.messages import _ActorStop

from core.runtime.message import Envelope, Restart, Stop
from core.runtime.supervision import RestartRequestedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.runtime.cell import Cell
    from core.runtime.incarnation import Incarnation
    from core.runtime.system import ActorSystem


class _Inbox:
    """pykka's view of the mailbox: `get` blocks, `empty` is always true so that teardown drains nothing."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def put(self, envelope: PykkaEnvelope[Any], /) -> None:
        """Accept only pykka's own stop message, which `ActorRegistry.stop_all` may send."""
        if isinstance(envelope.message, _ActorStop):
            self._host.cell.mailbox.put(self._host.system.envelope(Stop()))

    def get(self) -> PykkaEnvelope[Any]:
        """Wait for the next message of the cell, or for the incarnation to be fenced."""
        return PykkaEnvelope(self._host.next_envelope())

    def empty(self) -> bool:
        """Return True: what is left belongs to the next incarnation."""
        return True


class Host(pykka.ThreadingActor):
    """Runs one incarnation of one cell."""

    def __init__(self, system: ActorSystem, cell: Cell, number: int, on_exit: Callable[[Host], None]) -> None:
        self._create_actor_inbox = lambda: _Inbox(self)  # type: ignore[method-assign]
        super().__init__()
        self.system = system
        self.cell = cell
        self.number = number
        self.error: BaseException | None = None
        self.failed_on: Envelope | None = None
        self.failed_in = ""
        self._on_exit = on_exit
        self._incarnation: Incarnation | None = None

    def _start_actor_loop(self) -> None:
        thread = threading.Thread(target=self._live, name=f"{self.cell.spec.address}#{self.number}", daemon=True)
        thread.start()

    def _live(self) -> None:
        try:
            self._actor_loop()
        finally:
            self._on_exit(self)

    def next_envelope(self) -> Envelope | None:
        """Return the next envelope; None when there is none to wait for (fenced, or drained after a stop)."""
        while self.cell.incarnation == self.number:  # only one that is busy is fenced, so never one that waits here
            envelope = self.cell.mailbox.take(0.0 if self.cell.draining else None)
            if envelope is not None or self.cell.draining:
                return envelope
        return None

    def on_start(self) -> None:
        """Construct the actor in its own thread and run its `on_start`."""
        self._busy(None)
        try:
            self._incarnation = self.system.make(self.cell)
            self._incarnation.start()
            self._idle()
            self.system.started(self.cell, self.number)
        except BaseException as error:  # noqa: BLE001 -- a death of any kind is the supervisor's to judge
            self._die(error, None, "on_start")

    def _handle_receive(self, envelope: Envelope | None) -> None:
        if envelope is None:
            if self.cell.incarnation == self.number:
                self._stop()
            else:
                self._quit()
            return
        if isinstance(envelope.message, Stop):
            self.cell.draining = True
            return
        if isinstance(envelope.message, Restart):
            self._die(RestartRequestedError("by an operator"), None, "restart")
            return
        assert self._incarnation is not None  # noqa: S101 -- on_start set it or stopped the loop
        self._busy(envelope)
        try:
            result = self._incarnation.handle(envelope)
        except BaseException as error:  # noqa: BLE001 -- SystemExit in one actor must not end the others
            self._incarnation.discard()
            self._die(error, envelope, "receive")
            return
        self._idle()
        if self.cell.incarnation == self.number and isinstance(envelope.reply, Future):
            envelope.reply.set_result(result)  # the asker of one that was fenced has been told so

    def on_stop(self) -> None:
        """Run the actor's `on_stop`; pykka calls this after the last message."""
        assert self._incarnation is not None  # noqa: S101 -- only a running actor is stopped
        try:
            self._incarnation.finish()
        except BaseException as error:  # noqa: BLE001 -- seen, unlike in pykka
            self._die(error, None, "on_stop")

    def _busy(self, envelope: Envelope | None) -> None:
        if self.cell.incarnation == self.number:
            self.cell.current = envelope
            self.cell.busy_since_ms = self.system.clock.monotonic_ms()

    def _idle(self) -> None:
        if self.cell.incarnation == self.number:
            self.cell.busy_since_ms = self.cell.current = None
            self.cell.last_message_ms = self.system.clock.monotonic_ms()

    def _die(self, error: BaseException, envelope: Envelope | None, where: str) -> None:
        self.error, self.failed_on, self.failed_in = error, envelope, where
        self._quit()

    def _quit(self) -> None:
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
