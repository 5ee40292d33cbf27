"""What everybody who looks at the page is shown: how it stands with database and trader, and the newest status."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from storage.control import Holder, holder
from storage.page_rows import Picture, latest_picture
from storage.pool import Connection

State = Literal["live", "silent", "down", "empty", "away", "starting"]
"""`live`: the trader writes its picture. `silent`: a process holds the lease and has written none for five seconds.
`down`: no process trades, what is stored is shown. `empty`: nothing was ever stored. `away`: the database does not
answer. `starting`: nobody has looked yet."""
SILENT_MS = 5_000
STORED_EVERY_MS = 5_000
DIVERGENCE_EVERY_MS = 10_000


class View(msgspec.Struct, frozen=True):
    """One moment. `since_ms` is when this state began, as well as that is known; `status` the trader's own document.

    `stored` is what `status --json` says without a process, `divergence` how paper differs from live.
    """

    state: State
    at_ms: int
    since_ms: int | None = None
    why: str = ""
    session: int | None = None
    lease: Holder | None = None
    picture_ms: int | None = None
    status: msgspec.Raw | None = None
    stored: Mapping[str, Any] | None = None
    divergence: Mapping[str, Any] | None = None


class Painter:
    """Makes views of one connection; what costs more is asked less often.

    Args:
        stored: what the database knows without a process, as plain values.
        divergence: how a live and a paper session differ, as plain values.
    """

    def __init__(
        self,
        stored: Callable[[Connection], Mapping[str, Any]],
        divergence: Callable[[Connection, int, int], Mapping[str, Any]],
    ) -> None:
        self._stored = stored
        self._divergence = divergence
        self._known: Mapping[str, Any] | None = None
        self._known_ms = 0
        self._differ: Mapping[str, Any] | None = None
        self._differ_ms = 0

    def view(self, connection: Connection, now_ms: int) -> View:
        """Return how things stand.

        Raises:
            TransientError, FatalError: the database cannot be asked.
        """
        leader, picture = holder(connection), latest_picture(connection)
        if leader is None:
            return self._without_process(connection, picture, now_ms)
        self._known = None
        fresh = picture is not None and now_ms - picture.at_ms < SILENT_MS and picture.at_ms >= leader.since_ms
        return View(
            state="live" if fresh else "silent",
            at_ms=now_ms,
            since_ms=leader.since_ms if picture is None else max(picture.at_ms, leader.since_ms),
            session=None if picture is None else picture.session_id,
            lease=leader,
            picture_ms=None if picture is None else picture.at_ms,
            status=None if picture is None else msgspec.Raw(picture.status),
            divergence=None if picture is None else self._compared(connection, picture, now_ms),
        )

    def _without_process(self, connection: Connection, picture: Picture | None, now_ms: int) -> View:
        if self._known is None or now_ms - self._known_ms > STORED_EVERY_MS:
            self._known, self._known_ms = self._stored(connection), now_ms
        session, lease = self._known.get("session"), self._known.get("last_lease")
        ended_ms = None if lease is None else lease.get("released_ms")
        if ended_ms is None and picture is not None:
            ended_ms = picture.at_ms  # it was killed: its last picture is the last that is known of it
        number = None if session is None else session["id"]
        own = picture is not None and picture.session_id == number
        return View(
            state="empty" if session is None else "down",
            at_ms=now_ms,
            since_ms=ended_ms,
            session=number,
            picture_ms=picture.at_ms if own and picture is not None else None,
            status=msgspec.Raw(picture.status) if own and picture is not None else None,
            stored=self._known,
            divergence=self._known.get("divergence"),
        )

    def _compared(self, connection: Connection, picture: Picture, now_ms: int) -> Mapping[str, Any] | None:
        if now_ms - self._differ_ms > DIVERGENCE_EVERY_MS:
            self._differ_ms = now_ms
            process = msgspec.json.decode(picture.status)["process"]
            paper = process.get("paper_session")
            self._differ = None if paper is None else self._divergence(connection, process["session"], paper)
        return self._differ
