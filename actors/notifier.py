"""The NotifierActor tells a person: each alert goes to the alerts table and, grouped, to every channel there is.

How it groups, what it drops and how often it may speak are pure rules in `core.alerts`; docs/alerts.md explains them.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from actors import addresses
from actors.notifier_state import NotifierState
from core.alerts.channel import Channel, RateLimitedError
from core.alerts.daily import DAY_MS, day_of, summary
from core.alerts.grouping import composed
from core.alerts.kinds import DAILY_SUMMARY, MILESTONE, Importance, kind_of
from core.alerts.milestones import reached
from core.alerts.outbox import (
    KEPT_S,
    Noted,
    Outbox,
    added,
    delivered,
    due_ms,
    expired,
    inherited,
    limited,
    postponed,
    put_back,
    refused,
    sent_off,
    taken_up,
)
from core.errors import FuseboxError, RejectedError, TransientError, UnknownOutcomeError
from core.messages import Alert, Persist, Tick
from core.records import AlertRecord
from core.runtime.actor import Actor
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.trading.performance import RoundTrip

LANE = "alerts"
PENDING = "pending"
BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0
JITTER = 0.2
SUMMARY_AFTER_S = 10.0
"""After midnight, so that what closed just before it has been written."""
AGAIN_S = 30.0

Trips = Callable[[int, int], Sequence[RoundTrip]]
"""Reads the session's round trips that closed in [from, to), unix milliseconds; raises a FuseboxError if it cannot."""

Left = Callable[[int], Sequence[AlertRecord]]
"""Reads the session's alerts from before unix `at_ms` whose row says pending; raises a FuseboxError if it cannot."""


def _as_it_is(text: str) -> str:
    return text


class Post(msgspec.Struct, frozen=True):
    """How alerts reach a person; with none of it they are recorded and nothing else."""

    channels: tuple[Channel, ...] = ()
    scrub: Callable[[str], str] = _as_it_is
    """Takes secrets out of a text."""
    least: Importance = Importance.ROUTINE
    """What is less important is recorded and not sent."""
    group_s: float = 2.0
    trips: Trips | None = None
    """None: no daily summary."""
    left: Left | None = None
    """None: nothing is known of alerts that a killed process had only written down."""
    backoff_s: float = BACKOFF_S
    """Before the second attempt; each further one waits twice as long, a minute at most."""


class NotifierActor(Actor):
    """Delivery runs in a worker of each channel, so that a slow one delays nothing and nobody.

    An alert is recorded as pending at once and again with what became of it; what was pending when its incarnation or
    its process ended is delivered by the next one.
    """

    def __init__(self, context: Context, session_id: int, post: Post | None) -> None:
        super().__init__(context)
        self._session_id = session_id
        self._post = Post() if post is None else post
        self._channels = {channel.name: channel for channel in self._post.channels}
        self._state = (
            NotifierState() if context.saved is None else msgspec.msgpack.decode(context.saved, type=NotifierState)
        )
        self._sends = 0
        self._flying: dict[str, str] = {}
        self._troubles: dict[str, str] = {}
        self._asked: int | None = None
        self._started_ms = context.clock.now_ms()
        boxes = self._state.outboxes.values()
        self._inherited = {(noted.kind, noted.text, noted.at_ms) for box in boxes for noted in box.waiting}

    def on_start(self) -> None:
        """Go on with what the incarnation before could not deliver, and with a day that ended meanwhile."""
        before = self._state
        self._state = replace(before, outboxes={}, left=())
        now_ms, new_process = self.context.clock.now_ms(), self.context.incarnation == 1
        for name in self._channels:
            known = before.outboxes.get(name)
            if known is not None:
                known = inherited(known, now_ms) if new_process else taken_up(known)
            self._put(name, known or Outbox())
        for name, outbox in before.outboxes.items():
            if name not in self._channels:
                self._settle(name, outbox.waiting, "suppressed: no such channel any more")
        self._put_back(before.left)
        for name in self._channels:
            self._pump(name)
        self._await_day()
        if new_process:
            self._look_for_left()
        self._save()

    def receive(self, message: object) -> None:
        """Take alerts in, and hear what became of those on their way."""
        match message:
            case Alert(kind=kind, text=text):
                self._hear(kind, text)
                if message.standing is not None:
                    marks, told = reached(self._state.marks, message.standing)
                    self._state = replace(self._state, marks=marks)
                    for line in told:
                        self._hear(MILESTONE, line)
            case WorkDone(key=key, value=rest_s) if key in self._flying:
                self._delivered(self._flying.pop(key), rest_s)
            case WorkFailed(key=key, error=error) if key in self._flying:
                self._failed(self._flying.pop(key), error)
            case WorkDone(key=key, value=list() | tuple() as trips) if key == self._day_key:
                self._summarise(trips)
            case WorkFailed(key=key, error=error) if key == self._day_key:
                self._not_summarised(error)
            case WorkDone(key="left", value=list() | tuple() as rows):
                self._take_over(rows)
            case WorkFailed(key="left", error=TransientError() | UnknownOutcomeError()):
                self.context.timer("left", AGAIN_S, Tick("left"))
            case Tick(name="left"):
                self._look_for_left()
            case Tick(name="day"):
                self._await_day()
            case Tick(name=name) if name in self._channels:
                self._pump(name)
            case _:  # what an earlier incarnation began: its alerts are waiting again
                return
        self._save()

    # -- alerts -------------------------------------------------------------------------------------------------

    def _hear(self, kind: str, text: str) -> None:
        noted = Noted(self._state.number + 1, kind, self._post.scrub(text), self.context.clock.now_ms())
        self._state = replace(self._state, number=noted.number)
        if kind_of(kind).importance < self._post.least:
            self._record(noted, f"suppressed: less important than {self._post.least.name.lower()}")
        elif not self._channels:
            self._record(noted, "suppressed: no channel")
        else:
            self._record(noted, PENDING)
            self._queue(noted)
            for name in self._channels:
                self._pump(name)

    def _queue(self, noted: Noted) -> None:
        self._expect(noted)
        for name in self._channels:
            self._kept(name, *added(self._state.outboxes[name], noted))

    def _put_back(self, alerts: Sequence[Noted]) -> None:
        """Queue alerts of an earlier time ahead of those of now."""
        for noted in alerts:
            self._expect(noted)
        for name in self._channels:
            self._kept(name, *put_back(self._state.outboxes[name], alerts))

    def _expect(self, noted: Noted) -> None:
        if len(self._channels) > 1:
            waiting = dict.fromkeys(self._channels, PENDING)
            self._state = replace(self._state, results={**self._state.results, noted.number: waiting})

    def _kept(self, name: str, outbox: Outbox, dropped: Sequence[Noted]) -> None:
        self._put(name, outbox)
        self._settle(name, dropped, f"suppressed: {len(outbox.waiting)} others waited, none less important")

    def _look_for_left(self) -> None:
        left, before_ms = self._post.left, self._started_ms
        if left is not None:
            self.context.work("left", lambda: left(before_ms), lane=LANE)

    def _take_over(self, rows: Sequence[AlertRecord]) -> None:
        """Go on with what a killed process had written down, but not yet in its checkpoint."""
        left = []
        for row in rows:
            if (row.kind, row.text, row.at_ms) in self._inherited:
                continue
            noted = Noted(self._state.number + 1, row.kind, row.text, row.at_ms, unsure=True)
            self._state = replace(self._state, number=noted.number)
            if not self._channels:
                self._record(noted, "suppressed: no channel")
            elif self.context.clock.now_ms() - row.at_ms > KEPT_S * 1000:
                self._record(noted, "failed: the process that was to send it ended")
            else:
                left.append(noted)
        self._put_back(left)
        for name in self._channels:
            self._pump(name)

    def _pump(self, name: str) -> None:
        """Send what is due, or wait until it is."""
        channel, now_ms = self._channels[name], self.context.clock.now_ms()
        outbox, old = expired(self._state.outboxes[name], now_ms)
        self._put(name, outbox)
        self._settle(name, old, f"failed: {self._troubles.get(name, 'not delivered')}; given up after {KEPT_S:g} s")
        at_ms = due_ms(outbox, channel.rate, self._post.group_s, now_ms)
        if at_ms is None:
            return
        if at_ms > now_ms:
            self.context.timer(f"send {name}", (at_ms - now_ms) / 1000, Tick(name))
            return
        message = composed(outbox.waiting, outbox.dropped, channel.longest, now_ms)
        self._put(name, sent_off(outbox, message.count, channel.rate, now_ms))
        self._sends += 1
        key = f"{name} {self.context.incarnation}.{self._sends}"
        self._flying[key] = name
        self.context.work(key, lambda: channel.send(message.text), lane=f"{LANE} {name}")

    def _delivered(self, name: str, rest_s: object) -> None:
        wanted_s = rest_s if isinstance(rest_s, int | float) else 0.0
        outbox, told = delivered(self._state.outboxes[name], self.context.clock.now_ms(), wanted_s)
        self._troubles.pop(name, None)
        self._put(name, outbox)
        self._settle(name, told, "delivered")
        self._pump(name)

    def _failed(self, name: str, error: BaseException) -> None:
        outbox, now_ms = self._state.outboxes[name], self.context.clock.now_ms()
        backoff_s = min(LONGEST_BACKOFF_S, self._post.backoff_s * 2.0 ** min(outbox.failures, 30))
        until_ms = now_ms + round(backoff_s * 1000 * (1.0 + JITTER * float(self.context.rng.uniform(-1.0, 1.0))))
        # a text nobody vouches for may hold anything
        trouble = self._post.scrub(str(error)) if isinstance(error, FuseboxError) else type(error).__name__
        self._troubles[name] = trouble
        match error:
            case RateLimitedError(retry_after_s=retry_after_s):
                self._put(name, limited(outbox, now_ms + round(retry_after_s * 1000), now_ms))
            case UnknownOutcomeError():
                self._put(name, postponed(outbox, until_ms, unsure=True))
            case TransientError():
                self._put(name, postponed(outbox, until_ms))
            case _:
                after, lost = refused(outbox, until_ms)
                self._put(name, after)
                self._settle(name, lost, f"failed: {trouble}")
        self._pump(name)

    # -- the day ------------------------------------------------------------------------------------------------

    @property
    def _day_key(self) -> str:
        return f"day {self.context.incarnation}.{self._asked}"

    def _await_day(self) -> None:
        """Ask for the round trips of yesterday, if there was no summary of it yet, and wake up after midnight."""
        trips = self._post.trips
        if trips is None:
            return
        yesterday = day_of(self.context.clock.now_ms()) - 1
        if self._state.day is None:
            self._state = replace(self._state, day=yesterday)  # before this session was watched
        elif self._state.day < yesterday and self._asked is None:
            self._asked, from_ms = yesterday, yesterday * DAY_MS
            self.context.work(self._day_key, lambda: trips(from_ms, from_ms + DAY_MS), lane=LANE)
        self.context.timer_at("day", (yesterday + 2) * DAY_MS + round(SUMMARY_AFTER_S * 1000), Tick("day"))

    def _summarise(self, trips: Sequence[RoundTrip]) -> None:
        if self._asked is not None:
            self._hear(DAILY_SUMMARY, summary(self._asked, trips))
            self._state = replace(self._state, day=self._asked)
            self._asked = None

    def _not_summarised(self, error: BaseException) -> None:
        self._asked = None
        if isinstance(error, TransientError | UnknownOutcomeError):
            self.context.timer("day", AGAIN_S, Tick("day"))
            return
        text = str(error) if isinstance(error, RejectedError) else type(error).__name__
        day = day_of(self.context.clock.now_ms()) - 1
        self._hear(DAILY_SUMMARY, f"there is none of yesterday: {text}; `trades` has what it would have said")
        self._state = replace(self._state, day=day)

    # -- keeping ------------------------------------------------------------------------------------------------

    def _put(self, name: str, outbox: Outbox) -> None:
        self._state = replace(self._state, outboxes={**self._state.outboxes, name: outbox})

    def _save(self) -> None:
        self.context.save(msgspec.msgpack.encode(self._state))

    def _settle(self, name: str, alerts: Sequence[Noted], result: str) -> None:
        """Record what became of alerts in one channel; with several, each row says what became of it in all."""
        for noted in alerts:
            known = self._state.results.get(noted.number)
            if known is None:
                self._record(noted, result)
                continue
            known = {**known, name: result}
            results = {key: kept for key, kept in self._state.results.items() if key != noted.number}
            if PENDING in known.values():
                results[noted.number] = known
            self._state = replace(self._state, results=results)
            self._record(noted, "; ".join(f"{channel} {said}" for channel, said in known.items()))

    def _record(self, noted: Noted, delivery: str) -> None:
        row = AlertRecord(self._session_id, noted.kind, noted.text, delivery, noted.at_ms)
        self.context.tell(addresses.DB_WRITER, Persist((row,)))
