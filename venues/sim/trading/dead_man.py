"""The dead man's switch: an owner who once sent heartbeats and falls silent loses all open orders."""

from venues.sim.faults import share
from venues.sim.trading import records as r
from venues.sim.trading.session import Session
from venues.sim.trading.values import VenueError


class DeadMan:
    """Heartbeats by owner. Each answer carries the id that the next one must bring.

    It cannot be disarmed. Once it struck, or after a restart of the exchange, an empty id begins anew.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last_ms: dict[str, int] = {}
        self._current: dict[str, str] = {}

    def beat(self, owner: str, heartbeat_id: str | None, now_ms: int) -> str:
        """Take one heartbeat and return the id for the next. Raises VenueError, with the right id, for a stale one."""
        session, current = self._session, self._current.get(owner)
        if current is None and not heartbeat_id:
            current = ""
        elif current is None:
            current = self._next(owner, now_ms)
        if (heartbeat_id or "") != current:
            self._current[owner] = current
            raise VenueError(400, "Invalid Heartbeat ID", heartbeat_id=current)
        if owner not in session.state.armed:
            session.commit(r.Armed(owner))
        self._current[owner] = self._next(owner, now_ms)
        self._last_ms[owner] = now_ms
        session.remember(now_ms + session.rules.dead_man_ms, "beat", owner)
        return self._current[owner]

    def watch(self, now_ms: int) -> None:
        """Begin to count the silence of owners known only from the file."""
        for owner in self._session.state.armed:
            if owner not in self._last_ms:
                self._last_ms[owner] = now_ms
                self._session.remember(now_ms + self._session.rules.dead_man_ms, "beat", owner)

    def lapsed(self, owner: str, now_ms: int) -> bool:
        """Return whether the owner has been silent for too long; then an empty id may begin anew."""
        if now_ms < self._last_ms[owner] + self._session.rules.dead_man_ms:
            return False
        self._current.pop(owner, None)
        return True

    def _next(self, owner: str, now_ms: int) -> str:
        first, second = (int(share(self._session.world.seed, part, owner, now_ms) * 2**48) for part in "ab")
        return f"{first >> 16:08x}-{first & 0xFFFF:04x}-4{second >> 36:03x}-8{second >> 24 & 0xFFF:03x}-{first:012x}"
