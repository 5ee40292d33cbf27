"""One MLX stream that every thread may use in turn, so that threads can come and go without leaving anything behind.

MLX gives each thread a stream, and with it an operating-system thread that outlives its owner and aborts the process
at exit unless `mx.clear_streams` ran in that owner. Hence work goes to one shared stream, under a lock, and each thread
carries an object whose end, which comes with the thread's own, clears what MLX made for it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx


class SharedStream:
    """A CPU stream for one piece of MLX work at a time.

    A daemon thread that is still at work when the interpreter ends aborts the process, as with any native library:
    join the threads that use a stream first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream: mx.Stream | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the stream and make it the calling thread's default inside the `with` block; not reentrant.

        Nothing unevaluated may leave the block: evaluate inside it.
        """
        with self._lock:
            clear_streams_when_thread_ends()
            if self._stream is None:
                self._stream = mx.new_thread_unsafe_stream(mx.cpu)
            with mx.stream(self._stream):
                yield


class _ThreadEnd:
    """Lives in a thread's local storage: the interpreter drops it in that thread, as the thread's last act."""

    def __init__(self) -> None:
        self._clear = mx.clear_streams  # the module may be gone when the last thread ends

    def __del__(self) -> None:
        self._clear()


_local = threading.local()


def clear_streams_when_thread_ends() -> None:
    """Have MLX's per-thread streams destroyed when the calling thread ends, however it ends. Cheap to repeat."""
    if not hasattr(_local, "end"):
        _local.end = _ThreadEnd()


INFERENCE = SharedStream()
"""The stream of every policy in the process: one decision at a time, a few hundred microseconds each."""

LEARNING = SharedStream()
"""The stream of every update in the process, apart from `INFERENCE`: decisions go on while one runs."""
