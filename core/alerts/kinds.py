"""Every kind of alert and how important it is; docs/alerts.md says what each means and what to do."""

from enum import IntEnum

import msgspec


class Importance(IntEnum):
    """What a full queue drops first, and what a person may choose not to be sent."""

    ROUTINE = 1
    """Business as usual."""
    NOTABLE = 2
    """Something went wrong and mended itself, or is worth knowing of."""
    URGENT = 3
    """A person should look; sent without waiting for others to be grouped with."""


class Kind(msgspec.Struct, frozen=True):
    """How alerts of a kind are treated.

    Those that are `alike` differ by nothing but numbers in their text (an age, an incarnation): a message shows the
    last of them, and how many there were. One that is `at_once` waits for no others.
    """

    importance: Importance
    alike: bool = False
    at_once: bool = False


_ROUTINE, _NOTABLE = Kind(Importance.ROUTINE), Kind(Importance.NOTABLE)
_URGENT = Kind(Importance.URGENT, at_once=True)
_REPEATING = Kind(Importance.NOTABLE, alike=True)

START, RECOVERY, STOP, GAVE_UP = "start", "recovery", "stop", "gave up"
TRADE_OPENED, TRADE_CLOSED, FORCED_EXIT, HELD = "trade opened", "trade closed", "forced exit", "held to settlement"
KILL_SWITCH, GATE = "kill switch", "gate"
SETTLEMENT_OVERDUE = "settlement overdue"
FEED_OUTAGE, FEED_RECOVERED = "feed outage", "feed recovered"
RECORDER_OUTAGE, RECORDER_RECOVERED = "recorder outage", "recorder recovered"
DAILY_SUMMARY, MILESTONE = "daily summary", "milestone"

KINDS = {
    START: _NOTABLE,
    RECOVERY: _NOTABLE,
    STOP: Kind(Importance.NOTABLE, at_once=True),
    GAVE_UP: _URGENT,
    TRADE_OPENED: _ROUTINE,
    TRADE_CLOSED: _ROUTINE,
    FORCED_EXIT: _NOTABLE,
    HELD: _NOTABLE,
    KILL_SWITCH: _URGENT,
    "halt": _URGENT,
    "flatten": _URGENT,
    "resume": _URGENT,
    GATE: _URGENT,
    "actor crashed": _REPEATING,
    "actor hung": _REPEATING,
    "actor restarted": Kind(Importance.ROUTINE, alike=True),
    "actor replaced": Kind(Importance.ROUTINE, alike=True),
    "actor quarantined": _NOTABLE,
    "actor retired": _URGENT,
    "actor failed": _URGENT,
    "asset retired": _URGENT,
    FEED_OUTAGE: _REPEATING,
    FEED_RECOVERED: _REPEATING,
    RECORDER_OUTAGE: Kind(Importance.URGENT, alike=True, at_once=True),
    RECORDER_RECOVERED: _REPEATING,
    "not recorded": _URGENT,
    "reconciliation": _URGENT,
    "winner contradicted": _URGENT,
    SETTLEMENT_OVERDUE: _URGENT,
    "learner": _REPEATING,
    DAILY_SUMMARY: _NOTABLE,
    MILESTONE: _NOTABLE,
}


def kind_of(name: str) -> Kind:
    """Return how alerts of a kind are treated; one that nobody listed is notable."""
    return KINDS.get(name, _NOTABLE)
