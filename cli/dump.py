"""SIGUSR1: the stack of every thread and the mailbox of every actor, into the log file, while trading goes on."""

import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator

from loguru import logger

from core.runtime.mailbox import Mailbox
from core.runtime.system import ActorSystem

TYPES_SHOWN = 8


class Dumper:
    """Owns the signal; the dump itself runs on a thread, for a signal handler must neither wait nor log."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._wanted: queue.SimpleQueue[object | None] = (
            queue.SimpleQueue()
        )  # its put may interrupt itself, unlike an event's
        self._thread = threading.Thread(target=self._run, name="dump", daemon=True)

    def start(self) -> None:
        """Take SIGUSR1; call it in the main thread."""
        self._thread.start()
        signal.signal(signal.SIGUSR1, lambda *_: self._wanted.put("dump"))

    def stop(self) -> None:
        """Give SIGUSR1 up: from now on it is ignored, never deadly."""
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self._wanted.put(None)

    def _run(self) -> None:
        while self._wanted.get() is not None:
            threads = list(stacks())
            boxes = list(mailboxes(self._system))
            logger.debug("dump on SIGUSR1\n{}", "\n".join((*boxes, *threads)))
            logger.info("dumped {} threads and {} mailboxes to the log file", len(threads), len(boxes))


def stacks() -> Iterator[str]:
    """Yield each thread's name and where it is, by name; an actor's thread is called `address#incarnation`."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 -- the documented way, in spite of its name
    for ident, frame in sorted(frames.items(), key=lambda item: str(names.get(item[0], item[0]))):
        where = "".join(traceback.format_stack(frame)).rstrip()
        yield f"thread {names.get(ident, 'not of ours')} ({ident})\n{where}"


def mailboxes(system: ActorSystem) -> Iterator[str]:
    """Yield a line for each actor: its life, what it works on, how much waits and of which types the first are."""
    for cell in list(system.cells.values()):
        current = cell.current
        on = "" if current is None or cell.busy_since_ms is None else f", busy with {type(current.message).__name__}"
        first = ", ".join(first_types(cell.mailbox)) or "nothing"
        yield f"actor {cell.spec.address}#{cell.incarnation} {cell.life}{on}: {len(cell.mailbox)} waiting: {first}"


def first_types(mailbox: Mailbox, most: int = TYPES_SHOWN) -> list[str]:
    """Return the types of the first messages that wait, in the order in which they will be read."""
    return [type(envelope.message).__name__ for envelope in mailbox.first(most)]
