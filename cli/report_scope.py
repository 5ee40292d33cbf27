"""What a report is about: the moment that `--since` means, and the sessions that were asked for."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from cli.client import NotRunningError
from cli.usage import UsageError
from storage.report_rows import SessionFacts
from storage.values import unix_ms

DURATION = re.compile(r"(\d{1,9})([smhdw])")
UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
NAMED = 10
EXAMPLES = "write a duration (90m, 24h, 7d) or a moment in UTC (2026-04-20, 2026-04-20T14:30, ...+02:00)"


class Scope(msgspec.Struct, frozen=True):
    """The sessions of a report, newest last, and those that are left out though they traded in its time."""

    sessions: tuple[SessionFacts, ...]
    others: tuple[SessionFacts, ...] = ()


def parse_since(text: str, now: datetime) -> datetime:
    """Return the moment that `text` means: so long before `now`, or an ISO date or time, in UTC unless it says more.

    Raises:
        UsageError: it is neither, or lies ahead.
    """
    asked = text.strip()
    told = DURATION.fullmatch(asked)
    try:
        if told is not None:
            return now - timedelta(seconds=int(told[1]) * UNITS_S[told[2]])
        moment = datetime.fromisoformat(asked)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text}: {EXAMPLES}") from None
    if moment > now:
        raise UsageError(f"--since {text}: that is ahead, it is {now:%Y-%m-%dT%H:%M:%S} UTC now")
    return moment


def chosen(known: Sequence[SessionFacts], number: int | None, *, since: bool) -> Scope:
    """Return the session with that number, or the newest; with `since` all that share its mode and venue.

    Money of one mode or venue is nothing in another, so it is never added up. Of a live session and the paper one
    beside it the live one counts as the newest.

    Raises:
        NotRunningError: there are no sessions.
        UsageError: there is none with that number.
    """
    if not known:
        raise NotRunningError("no session was ever stored: `python supervisor.py run` starts one")
    if number is not None:
        found = next((each for each in known if each.id == number), None)
        if found is None:
            named = ", ".join(f"{each.id} ({described(each)})" for each in known[-NAMED:])
            raise UsageError(f"--session {number}: there is no such session; the newest are {named}")
        return Scope((found,))
    alone = [each for each in known if each.live_session is None]
    newest = alone[-1]
    if not since:
        return Scope((newest,))
    traded = [each for each in alone if each.trades]
    about = traded[-1] if traded else newest
    return Scope(
        sessions=tuple(
            each
            for each in alone
            if (each.mode, each.venue) == (about.mode, about.venue) and (each.trades or each is about)
        ),
        others=tuple(each for each in traded if (each.mode, each.venue) != (about.mode, about.venue)),
    )


def described(session: SessionFacts) -> str:
    """Return what sets a session apart."""
    return f"{session.mode}, {session.venue}"


def milliseconds(moment: datetime | None) -> int:
    """Return a moment in unix milliseconds, 0 without one."""
    return 0 if moment is None else max(0, unix_ms(moment))
