"""What waits for one channel, in order, as a value: bounded, paced, and none the wiser after a restart."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from core.alerts.bucket import Bucket, emptied, ready_ms, spent
from core.alerts.channel import Rate
from core.alerts.kinds import kind_of

MOST_WAITING = 100
KEPT_S = 3_600.0
"""An alert that could not be delivered for so long is given up: it is in the table, and nobody acts on it any more."""
QUIET_S = 90.0
"""Without a message for so long, the next alert is grouped no longer than usual."""
CALM_MESSAGES = 3
"""So many messages in a row wait as long as usual, each one after them twice as long as the one before."""
LONGEST_GROUP_S = 30.0
RESERVED = 2
"""Tokens that are left for alerts that cannot wait: a halt, or a stop, after which nobody is there to wait."""


class Noted(msgspec.Struct, frozen=True):
    """An alert that was heard: the how manyeth, and when. `unsure` when it may have been delivered already."""

    number: int
    kind: str
    text: str
    at_ms: int
    unsure: bool = False


class Outbox(msgspec.Struct, frozen=True):
    """The waiting alerts of one channel; the first `flying` of them are in the message that is on its way."""

    waiting: tuple[Noted, ...] = ()
    flying: int = 0
    dropped: int = 0
    """Alerts that nobody was told of since the last delivered message."""
    told_dropped: int = 0
    """How many of them the message on its way tells of."""
    bucket: Bucket = Bucket()
    not_before_ms: int = 0
    failures: int = 0
    streak: int = 0
    """Messages that were delivered since it was quiet."""
    sent_ms: int = 0
    """When the last one was."""


def added(outbox: Outbox, noted: Noted, most: int = MOST_WAITING) -> tuple[Outbox, tuple[Noted, ...]]:
    """Return the outbox with one more alert, and what was dropped for it: the least important, of those the oldest."""
    return _bounded(outbox, [*outbox.waiting, noted], most)


def put_back(outbox: Outbox, alerts: Sequence[Noted], most: int = MOST_WAITING) -> tuple[Outbox, tuple[Noted, ...]]:
    """Return the outbox with alerts of an earlier time ahead of those that wait, and what was dropped for them."""
    flying = outbox.waiting[: outbox.flying]
    return _bounded(outbox, [*flying, *alerts, *outbox.waiting[outbox.flying :]], most)


def _bounded(outbox: Outbox, waiting: list[Noted], most: int) -> tuple[Outbox, tuple[Noted, ...]]:
    dropped = []
    while len(waiting) > most and len(waiting) > outbox.flying:
        least = min(waiting[outbox.flying :], key=lambda each: kind_of(each.kind).importance)  # the first of them
        waiting.remove(least)
        dropped.append(least)
    return replace(outbox, waiting=tuple(waiting), dropped=outbox.dropped + len(dropped)), tuple(dropped)


def due_ms(outbox: Outbox, rate: Rate, group_s: float, now_ms: int) -> int | None:
    """Return when the next message may leave, not before `now_ms`; None while there is none, or one is on its way."""
    if outbox.flying or not outbox.waiting:
        return None
    first = outbox.waiting[0]
    at_once = any(kind_of(noted.kind).at_once for noted in outbox.waiting)
    wait_s = 0.0 if at_once or outbox.failures else group_wait_s(outbox, group_s, first.at_ms)
    grouped_ms = min(first.at_ms, now_ms) + round(wait_s * 1000)
    allowed_ms = ready_ms(outbox.bucket, rate, now_ms, tokens=1 if at_once else 1 + RESERVED)
    return max(now_ms, grouped_ms, allowed_ms, outbox.not_before_ms)


def group_wait_s(outbox: Outbox, group_s: float, at_ms: int) -> float:
    """Return how long an alert of `at_ms` waits for others: the longer, the more messages there were lately."""
    streak = outbox.streak if at_ms - outbox.sent_ms < QUIET_S * 1000 else 0
    return min(max(group_s, LONGEST_GROUP_S), group_s * 2.0 ** max(0, streak - CALM_MESSAGES + 1))


def sent_off(outbox: Outbox, count: int, rate: Rate, now_ms: int) -> Outbox:
    """Return the outbox with its first `count` alerts on their way, and what was dropped told of with them."""
    return replace(outbox, flying=count, told_dropped=outbox.dropped, bucket=spent(outbox.bucket, rate, now_ms))


def delivered(outbox: Outbox, now_ms: int, rest_s: float = 0.0) -> tuple[Outbox, tuple[Noted, ...]]:
    """Return the outbox without what was delivered, and that; the other side wants a rest of `rest_s` seconds."""
    streak = outbox.streak + 1 if now_ms - outbox.sent_ms < QUIET_S * 1000 else 1
    after = replace(
        outbox,
        waiting=outbox.waiting[outbox.flying :],
        flying=0,
        dropped=outbox.dropped - outbox.told_dropped,
        told_dropped=0,
        not_before_ms=now_ms + round(rest_s * 1000),
        failures=0,
        streak=min(streak, 30),
        sent_ms=now_ms,
    )
    return after, outbox.waiting[: outbox.flying]


def postponed(outbox: Outbox, until_ms: int, *, unsure: bool = False) -> Outbox:
    """Return the outbox after a failure: what was on its way waits again, and may have been delivered if `unsure`."""
    flown = (replace(noted, unsure=noted.unsure or unsure) for noted in outbox.waiting[: outbox.flying])
    return replace(
        outbox,
        waiting=(*flown, *outbox.waiting[outbox.flying :]),
        flying=0,
        told_dropped=0,
        not_before_ms=until_ms,
        failures=outbox.failures + 1,
    )


def limited(outbox: Outbox, until_ms: int, now_ms: int) -> Outbox:
    """Return the outbox after the other side said that it had enough: no failure, but nothing leaves until then."""
    return replace(postponed(outbox, until_ms), bucket=emptied(now_ms), failures=outbox.failures)


def refused(outbox: Outbox, until_ms: int) -> tuple[Outbox, tuple[Noted, ...]]:
    """Return the outbox without what was refused for good, and that; the next message leaves at `until_ms`."""
    after = postponed(outbox, until_ms)
    return replace(after, waiting=outbox.waiting[outbox.flying :]), outbox.waiting[: outbox.flying]


def expired(outbox: Outbox, now_ms: int) -> tuple[Outbox, tuple[Noted, ...]]:
    """Return the outbox without what has waited too long, and that."""
    if outbox.flying:
        return outbox, ()
    old = tuple(noted for noted in outbox.waiting if now_ms - noted.at_ms > KEPT_S * 1000)
    kept = tuple(noted for noted in outbox.waiting if noted not in old)
    return replace(outbox, waiting=kept, dropped=outbox.dropped + len(old)), old


def taken_up(outbox: Outbox) -> Outbox:
    """Return what the next incarnation makes of it: nobody will hear what became of the message on its way."""
    return replace(postponed(outbox, outbox.not_before_ms, unsure=True), failures=0) if outbox.flying else outbox


def inherited(outbox: Outbox, now_ms: int) -> Outbox:
    """Return what the next process makes of it: what was stored may be seconds older than the end of the one before.

    All that waits may have been sent since, and so many messages that there is no token left.
    """
    waiting = tuple(replace(noted, unsure=True) for noted in outbox.waiting)
    return replace(taken_up(outbox), waiting=waiting, bucket=emptied(now_ms))
