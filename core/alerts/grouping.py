"""One message out of the alerts that wait: in order, as many as fit, with repeats told once and counted."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from core.alerts.kinds import Importance, kind_of
from core.alerts.outbox import Noted

LONGEST_TEXT = 800
"""Characters of one alert in a message; the table has all of it."""
NUMBERS = re.compile(r"\d+(?:\.\d+)?")
AGAIN = " (may have been sent before)"


class Composed(msgspec.Struct, frozen=True):
    """A message, and how many of the waiting alerts it tells."""

    text: str
    count: int


class _Line(msgspec.Struct):
    first: Noted
    last: Noted
    count: int = 1
    unsure: bool = False


def composed(waiting: Sequence[Noted], dropped: int, longest: int, now_ms: int) -> Composed:
    """Return the message that tells as many of the first alerts as fit into `longest` characters, at least one."""
    best = Composed(_message(waiting[:1], dropped, now_ms)[:longest], 1)
    for count in range(2, len(waiting) + 1):
        text = _message(waiting[:count], dropped, now_ms)
        if len(text) > longest:
            break
        best = Composed(text, count)
    return best


def _message(alerts: Sequence[Noted], dropped: int, now_ms: int) -> str:
    lines: dict[tuple[str, str], _Line] = {}
    for noted in alerts:
        key = noted.kind, _alike(noted)
        known = lines.pop(key, None)  # told where the last one of them happened
        first, count = (noted, 1) if known is None else (known.first, known.count + 1)
        unsure = noted.unsure or (known is not None and known.unsure)
        lines[key] = _Line(first, noted, count, unsure)
    told = [_told(line, now_ms) for line in lines.values()]
    if dropped:
        told.append(f"... {dropped} less important or older alerts were not sent: the table alerts has them")
    return "\n".join(told)


def _told(line: _Line, now_ms: int) -> str:
    noted = line.last
    text = noted.text if len(noted.text) <= LONGEST_TEXT else f"{noted.text[: LONGEST_TEXT - 3]}..."
    mark = "!! " if kind_of(noted.kind).importance is Importance.URGENT else ""
    since = f" (x{line.count} since {_moment(line.first.at_ms, now_ms)})" if line.count > 1 else ""
    return f"{_moment(noted.at_ms, now_ms)} {mark}{noted.kind}: {text}{since}{AGAIN if line.unsure else ''}"


def _alike(noted: Noted) -> str:
    return NUMBERS.sub("#", noted.text) if kind_of(noted.kind).alike else noted.text


def _moment(at_ms: int, now_ms: int) -> str:
    """Return a moment in UTC, with its date where that is not today's."""
    at, now = (datetime.fromtimestamp(ms // 1000, UTC) for ms in (at_ms, now_ms))
    return at.strftime("%H:%M:%S" if at.date() == now.date() else "%Y-%m-%d %H:%M:%S")
