"""A stopped runtime leaves no thread behind that still has something to do: the process may end right away."""

import threading

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.context import Context
from core.runtime.threaded import ThreadedRuntime

A = Address("a")
MOMENT_S = 0.3


class Remains:
    """What a thread leaves in its local storage; its end takes a moment."""

    def __init__(self, gone: threading.Event) -> None:
        self._gone = gone
        self._moment = threading.Event()

    def __del__(self) -> None:
        self._moment.wait(MOMENT_S)
        self._gone.set()


class Holder(Actor):
    """Keeps something in its thread's local storage, as MLX does."""

    def __init__(self, context: Context, local: threading.local, gone: threading.Event) -> None:
        super().__init__(context)
        local.remains = Remains(gone)

    def receive(self, message: object) -> None:
        pass


def test_stop_waits_for_the_last_act_of_an_actors_thread() -> None:
    local, gone = threading.local(), threading.Event()
    system = ThreadedRuntime()
    system.add(Spec(A, lambda context: Holder(context, local, gone)))
    system.start(A)

    assert system.stop(5.0) == []
    assert gone.is_set()
