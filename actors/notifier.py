"""The NotifierActor tells a person: each alert goes to the alerts table and, where one is set, to a Discord webhook."""

from collections.abc import Callable

import msgspec

from actors import addresses
from core.errors import FuseboxError
from core.messages import Alert, Persist
from core.records import AlertRecord
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed

LANE = "notifier"
MOST_WAITING = 100
"""Alerts that may wait for the channel; the ones beyond are recorded and not sent."""

Post = Callable[[str], None]
"""Delivers one text to the channel; raises a FuseboxError when it was not delivered."""


class Pending(msgspec.Struct, frozen=True):
    """An alert that was handed to the channel and has no result yet."""

    kind: str
    text: str
    at_ms: int


class NotifierState(msgspec.Struct, frozen=True):
    """The checkpoint: what is on its way. An alert may be delivered twice, but not never."""

    pending: tuple[Pending, ...] = ()


class NotifierActor(Actor):
    """Delivery runs in a worker, so that a slow channel delays nothing.

    An alert is recorded as pending at once and again with the result of its delivery; what was pending when its
    incarnation or its process ended is delivered by the next one.
    """

    def __init__(self, context: Context, session_id: int, post: Post | None) -> None:
        super().__init__(context)
        self._session_id = session_id
        self._post = post
        self._sending: dict[str, tuple[Alert, int]] = {}
        state = NotifierState() if context.saved is None else msgspec.msgpack.decode(context.saved, type=NotifierState)
        self._left = state.pending

    def on_start(self) -> None:
        """Deliver what the incarnation before could not."""
        for number, left in enumerate(self._left):
            alert = Alert(left.kind, left.text)
            if self._post is None:
                self._record(alert, left.at_ms, "no channel")
            else:
                self._send(f"alert-left-{number}", self._post, alert, left.at_ms)
        if self._left:
            self._save()

    def receive(self, message: object) -> None:
        """Deliver and record alerts."""
        match message:
            case Alert():
                self._deliver(message)
            case WorkDone(key=key):
                self._sent(key, "delivered")
            case WorkFailed(key=key, error=FuseboxError() as error):
                self._sent(key, f"failed: {error}")
            case WorkFailed(key=key, error=error):  # a text nobody vouches for may hold the channel's secret URL
                self._sent(key, f"failed: {type(error).__name__}")

    def _deliver(self, alert: Alert) -> None:
        now_ms = self.context.clock.now_ms()
        post = self._post
        if post is None:
            self._record(alert, now_ms, "no channel")
            return
        if len(self._sending) >= MOST_WAITING:
            self._record(alert, now_ms, f"not sent: {len(self._sending)} alerts wait for the channel")
            return
        self._record(alert, now_ms, "pending")
        self._send(f"alert-{self.context.receipt}", post, alert, now_ms)
        self._save()

    def _send(self, key: str, post: Post, alert: Alert, at_ms: int) -> None:
        self._sending[key] = (alert, at_ms)
        text = f"{alert.kind}: {alert.text}"
        self.context.work(key, lambda: post(text), lane=LANE)

    def _sent(self, key: str, delivery: str) -> None:
        sent = self._sending.pop(key, None)
        if sent is not None:  # else an earlier incarnation sent it
            self._record(*sent, delivery)
            self._save()

    def _save(self) -> None:
        pending = tuple(Pending(alert.kind, alert.text, at_ms) for alert, at_ms in self._sending.values())
        self.context.save(msgspec.msgpack.encode(NotifierState(pending)))

    def _record(self, alert: Alert, at_ms: int, delivery: str) -> None:
        row = AlertRecord(self._session_id, alert.kind, alert.text, delivery, at_ms)
        self.context.tell(addresses.DB_WRITER, Persist((row,)))
