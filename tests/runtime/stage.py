"""One set of specifications, two runtimes: the same steps on threads in real time, and stepped in virtual time."""

import threading
from collections.abc import Callable, Iterator

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.clock import VirtualClock
from core.runtime.context import Context
from core.runtime.faults import HandlerFault, Hang
from core.runtime.message import Envelope
from core.runtime.stepped import SteppedRuntime
from core.runtime.stream import StopSignal
from core.runtime.supervision import DeadLetter, RestartPolicy, SystemEvent
from core.runtime.system import ActorSystem
from core.runtime.threaded import ThreadedRuntime
from tests.runtime.actors_for_tests import PROBE, SWIFT, Block, Record, spec

START_MS = 1_000_000


class HangOnBlock:
    """In virtual time nothing blocks: the handler of `Block` is said to, and wakes half a second too late."""

    def on_message(self, _address: str, envelope: Envelope) -> HandlerFault | None:
        return Hang(extra_ms=500) if isinstance(envelope.message, Block) else None

    def on_work(self, _address: str, _key: str) -> None:
        return None

    def on_item(self, _address: str, _key: str) -> None:
        return None

    def on_start(self, _address: str, _incarnation: int) -> bool:
        return False


class Stage:
    """A runtime, what its actors recorded, and what it announced; a wait lets virtual time pass where there is any."""

    def __init__(self, *, stepped: bool, hangs: bool = False) -> None:
        self.record = Record()
        self.announced: list[SystemEvent | DeadLetter] = []
        self._changed = threading.Condition()
        self.stepped: SteppedRuntime | None = None
        self.runtime: ActorSystem
        if stepped:
            self.runtime = self.stepped = SteppedRuntime(
                VirtualClock(START_MS), faults=HangOnBlock() if hangs else None
            )
        else:
            self.runtime = ThreadedRuntime(seed=1)
        self.runtime.observers.append(self._heard)

    def _heard(self, event: SystemEvent | DeadLetter) -> None:
        with self._changed:
            self.announced.append(event)
            self._changed.notify_all()

    def start(
        self,
        make: Callable[[Context, Record], Actor],
        name: str = "probe",
        *,
        asset: str | None = None,
        policy: RestartPolicy = SWIFT,
        budget_s: float = 30.0,
    ) -> None:
        """Add and start an actor; on threads, its start is not waited for."""
        made = spec(lambda context: make(context, self.record), name, asset=asset, policy=policy, budget_s=budget_s)
        self.runtime.add(made)
        self.runtime.start(made.address)

    def tell(self, *messages: object, to: Address = PROBE) -> None:
        for message in messages:
            self.runtime.tell(to, message)

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until a text was recorded."""
        if self.stepped is not None:
            self.stepped.run()
        self.record.wait_for(text, times, 0.0 if self.stepped is not None else 10.0)

    def wait_until(self, ready: Callable[[], object]) -> None:
        """Wait for something that comes with an announcement."""
        if self.stepped is not None:
            self.stepped.run()
        with self._changed:
            assert self._changed.wait_for(ready, 0.0 if self.stepped is not None else 10.0), self.announced

    def event(self, kind: str) -> SystemEvent:
        """Wait for the first announcement of a kind."""
        self.wait_until(lambda: self._events(kind))
        return self._events(kind)[0]

    def _events(self, kind: str) -> list[SystemEvent]:
        return [event for event in self.announced if isinstance(event, SystemEvent) and event.kind == kind]

    def letters(self) -> list[tuple[str, str]]:
        """Return what became a dead letter, and why."""
        return [(letter.message_type, letter.reason) for letter in self.runtime.dead_letters]

    def stop(self) -> list[str]:
        """Stop everything; return what did not end."""
        if isinstance(self.runtime, ThreadedRuntime):
            return self.runtime.stop(5.0)
        assert self.stepped is not None
        self.stepped.stop()
        return []


class Source:
    """A stream for either runtime: one item, which is recorded when it is asked for."""

    def __init__(self, record: Record, item: str) -> None:
        self._record, self._item = record, item

    def items(self, from_ms: int) -> Iterator[tuple[int, object]]:
        self._record.add(f"opened {self._item}")
        yield from_ms, self._item

    def run(self, emit: Callable[[object], None], stop: StopSignal) -> None:
        self._record.add(f"opened {self._item}")
        emit(self._item)
        stop.wait(30)
