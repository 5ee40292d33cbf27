"""Processes that play episodes: deaf to Ctrl-C, which is their parent's to hear, and gone as soon as it is."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection
from types import TracebackType
from typing import Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """`count` processes, or this one alone where that is one; results come in the order of the tasks.

    A worker ends with its parent, however that ends, and at `close`, whatever it is doing.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        if count > 1:
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small, and the processes many
            context = multiprocessing.get_context("spawn")
            self._watched, self._held = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(count, context, _begin, (self._watched,))

    def map(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield what `work`, a function of a module, makes of each task; what it raises is raised here."""
        if self._pool is None:
            yield from map(work, tasks)
        else:
            yield from self._pool.map(work, tasks)

    def close(self) -> None:
        """End the workers without waiting for what they are doing."""
        if self._pool is not None:
            self._held.close()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._watched.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _begin(watched: connection.Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()


def _end_with_parent(watched: connection.Connection) -> None:
    """Wait for the other end of the pipe to close: the parent closed it, or is no more."""
    connection.wait([watched])
    os._exit(0)
