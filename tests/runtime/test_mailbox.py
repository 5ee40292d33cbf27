"""Mailboxes keep order, conflate views and let control overtake."""

from collections.abc import Hashable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
        self.closed = False

    def put(self, message: object) -> None:
        self.count += 1
        assert self.mailbox.put(envelope(message, self.count)) is not self.closed

    @rule(text=st.text(max_size=2))
    def say(self, text: str) -> None:
        message = Say(text)
        self.put(message)
        if not self.closed:
            self.ordered.append(message)

    @rule()
    def stop(self) -> None:
        self.put(Stop())
        if not self.closed:
            self.control.append(Stop())

    @rule(stream=st.integers(0, 2), value=st.integers())
    def view(self, stream: int, value: int) -> None:
        message = View(stream, value)
        self.put(message)
        waiting = [i for i, m in enumerate(self.ordered) if isinstance(m, View) and m.stream == stream]
        if waiting:
            self.ordered[waiting[0]] = message
        elif not self.closed:
            self.ordered.append(message)

    @rule()
    def close(self) -> None:
        assert [each.message for each in self.mailbox.close()] == [*self.control, *self.ordered]
        self.control, self.ordered, self.closed = [], [], True

    @rule()
    def open(self) -> None:
        self.mailbox.open()
        self.closed = False

    @precondition(lambda self: not self.closed)
    @rule(texts=st.lists(st.text(max_size=2), max_size=3))
    def put_back(self, texts: list[str]) -> None:
        messages = [Say(text) for text in texts]
        self.mailbox.put_back([envelope(message, 0) for message in messages])
        self.ordered[:0] = messages

    @rule(number=st.integers())
    def fire(self, number: int) -> None:
        message = Fired(number)
        self.count += 1
        if self.mailbox.put(Envelope(message, RUNTIME, 1, 0, self.count, 0)):
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

    @rule(most=st.integers(0, 5))
    def look(self, most: int) -> None:
        assert [each.message for each in self.mailbox.first(most)] == [*self.control, *self.ordered][:most]

    @invariant()
    def counts_what_is_unread(self) -> None:
        assert len(self.mailbox) == len(self.control) + len(self.ordered)


TestMailbox = MailboxMachine.TestCase
