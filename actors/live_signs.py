"""What a live execution client shows on the status board: how the venue takes us, and when it was heard last."""

from msgspec.structs import replace

from actors.execution import Host
from core.status import VenueStatus

BOARD = "venue"


class VenueSigns:
    """The newest `VenueStatus`, published at each change."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._status = VenueStatus()

    def note(self, **changed: object) -> None:
        """Change some fields and show the whole."""
        after = replace(self._status, **changed)
        if after != self._status:
            self._status = after
            self._host.context.publish(BOARD, after)
