"""The user channel, `/ws/user`: it greets and answers PING. With no orders taken yet it has nothing else to say."""


class UserChannel:
    """One client's private stream."""

    beat_ms = 1_000

    def receive(self, text: str, now_ms: int) -> list[str]:
        """Answer PING; the authentication frame needs no answer, as on the venue."""
        del now_ms
        return ["PONG"] if text == "PING" else []

    def due(self, now_ms: int) -> list[str]:
        """Return nothing: there are no orders."""
        del now_ms
        return []
