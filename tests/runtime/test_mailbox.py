"""Mailboxes keep order, conflate views and let control overtake."""

from collections.abc import Hashable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.runtime.address import RUNTIME, Address
from core.runtime.mailbox import Mailbox
from core.runtime.message import Envelope, Latest, Message, Stop
from tests.runtime.actors_for_tests import Say


class View(Latest, frozen=True):
    """A view of one stream."""

    stream: int
    value: int

    def conflation_key(self) -> Hashable:
        return self.stream


class Fired(Message, frozen=True):
    """A timer's message."""

    number: int


def envelope(message: object, sequence: int) -> Envelope:
    return Envelope(message, Address("sender"), 1, 0, sequence, 0)


class MailboxMachine(RuleBasedStateMachine):
    """A mailbox against lists that say what must come out."""

    def __init__(self) -> None:
        super().__init__()
        self.mailbox = Mailbox()
        self.control: list[object] = []
        self.ordered: list[object] = []
        self.count = 0

    def put(self, message: object) -> None:
        self.count += 1
        self.mailbox.put(envelope(message, self.count))

    @rule(text=st.text(max_size=2))
    def say(self, text: str) -> None:
        message = Say(text)
        self.put(message)
        self.ordered.append(message)

    @rule()
    def stop(self) -> None:
        self.put(Stop())
        self.control.append(Stop())

    @rule(stream=st.integers(0, 2), value=st.integers())
    def view(self, stream: int, value: int) -> None:
        message = View(stream, value)
        self.put(message)
        waiting = [i for i, m in enumerate(self.ordered) if isinstance(m, View) and m.stream == stream]
        if waiting:
            self.ordered[waiting[0]] = message
        else:
            self.ordered.append(message)

    @rule(texts=st.lists(st.text(max_size=2), max_size=3))
    def put_back(self, texts: list[str]) -> None:
        messages = [Say(text) for text in texts]
        self.mailbox.put_back([envelope(message, 0) for message in messages])
        self.ordered[:0] = messages

    @rule(number=st.integers())
    def fire(self, number: int) -> None:
        message = Fired(number)
        self.count += 1
        self.mailbox.put(Envelope(message, RUNTIME, 1, 0, self.count, 0))
        self.ordered.append(message)

    @rule()
    def drop_for_restart(self) -> None:
        stale = [m for m in self.ordered if isinstance(m, View | Fired)]
        assert self.mailbox.drop_for_restart() == len(stale)
        self.ordered = [m for m in self.ordered if not isinstance(m, View | Fired)]

    @rule()
    def take(self) -> None:
        taken = self.mailbox.take()
        expected = self.control or self.ordered
        assert (None if taken is None else taken.message) == (expected.pop(0) if expected else None)

    @invariant()
    def counts_what_is_unread(self) -> None:
        assert len(self.mailbox) == len(self.control) + len(self.ordered)


TestMailbox = MailboxMachine.TestCase
