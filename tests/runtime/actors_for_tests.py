"""Small actors that tests drive: they do what a message says and report it on a shared, thread-safe record."""

import threading
from collections.abc import Callable

from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Spec
from core.runtime.context import Context
from core.runtime.message import Message, Money
from core.runtime.supervision import RestartPolicy

PROBE = Address("probe")
SWIFT = RestartPolicy(max_restarts=5, backoff_s=0.001, backoff_max_s=0.01)


class Say(Message, frozen=True):
    """Record the text."""

    text: str


class Pay(Money, frozen=True):
    """A money message: record the amount."""

    amount: int


class Crash(Message, frozen=True):
    """Raise this error."""

    error: BaseException


class CrashMoney(Money, frozen=True):
    """A money message whose handler raises for the first `times` deliveries."""

    times: int


class Block(Message, frozen=True):
    """Wait for the event."""

    until: threading.Event


class Record:
    """What happened, in order; `wait_for` blocks until a text was recorded."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        with self._condition:
            self.texts.append(text)
            self._condition.notify_all()

    def wait_for(self, text: str, times: int = 1, timeout_s: float = 10.0) -> None:
        with self._condition:
            arrived = self._condition.wait_for(lambda: self.texts.count(text) >= times, timeout_s)
        assert arrived, f"{text!r} was not recorded {times} times: {self.texts}"


class Probe(Actor):
    """Records what it is told, and crashes or blocks when asked to."""

    def __init__(self, context: Context, record: Record) -> None:
        super().__init__(context)
        self.record = record

    def on_start(self) -> None:
        self.record.add(f"start {self.context.incarnation}")

    def receive(self, message: object) -> object:
        match message:
            case Say(text=text):
                self.record.add(text)
                return text.upper()
            case Pay(amount=amount):
                self.record.add(f"paid {amount}")
            case Crash(error=error):
                raise error
            case CrashMoney(times=times):
                self.record.add("tried")
                if self.record.texts.count("tried") <= times:
                    raise ValueError("not yet")
                self.record.add("applied")
            case Block(until=until):
                self.record.add("blocking")
                until.wait(30)
                self.context.tell(PROBE, Say("from a zombie"))
        return None

    def on_stop(self) -> None:
        self.record.add(f"stop {self.context.incarnation}")


def spec(
    make: Callable[[Context], Actor],
    name: str = "probe",
    *,
    asset: str | None = None,
    policy: RestartPolicy = SWIFT,
    budget_s: float = 30.0,
) -> Spec:
    """Return a spec with a quick restart policy."""
    return Spec(Address(name), make, asset=asset, policy=policy, budget_s=budget_s)
