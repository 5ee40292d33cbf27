"""The dead-man heartbeat: once begun, ten seconds of silence make the venue cancel all our orders."""

import msgspec

from core.errors import TransientError, UnknownOutcomeError
from venues.polymarket.connection import Answer
from venues.polymarket.order_errors import refusal
from venues.polymarket.session import OK, Session, decoded
from venues.transport import BadFrameError

PATH = "/v1/heartbeats"
BEAT_EVERY_S = 5.0
CANCELS_AFTER_S = 10.0
_BAD_REQUEST = 400


class _Beat(msgspec.Struct):
    heartbeat_id: str | None = None


class Heartbeat:
    """The chain of heartbeats of one API key: each one names the id the last one brought.

    Not safe from two threads at once: one worker beats.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._id = ""

    def beat(self) -> None:
        """Send one heartbeat. An id the venue no longer takes is replaced by the one it names, and sent at once.

        Raises:
            TransientError: when it may not have arrived; the next one repairs the chain.
            OrderRejectedError: when the venue refused it, such as for wrong keys.
        """
        answer = self._sent()
        if answer.status == _BAD_REQUEST:
            current = _id_of(answer)
            if current is not None:
                self._id = current
                answer = self._sent()
        if answer.status != OK:
            error = refusal(answer)
            if isinstance(error, UnknownOutcomeError):
                raise TransientError(f"heartbeat: {error}")
            raise error
        next_id = _id_of(answer)
        if next_id is None:
            raise TransientError("heartbeat: the answer names no next id")
        self._id = next_id

    def _sent(self) -> Answer:
        try:
            return self._session.send("POST", PATH, msgspec.json.encode({"heartbeat_id": self._id}))
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error


def _id_of(answer: Answer) -> str | None:
    try:
        return decoded(answer, _Beat, PATH).heartbeat_id or None
    except (BadFrameError, TransientError):
        return None
