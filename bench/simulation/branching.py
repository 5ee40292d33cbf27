"""Runs that differ from one point on, as forks of the run that they share up to there."""

import os
import sys
import traceback
from collections.abc import Callable

import msgspec

from bench.simulation.chaos import AWAY_MS, Quiet
from bench.simulation.run import Result
from core.runtime.faults import Crash, HandlerFault, Hang, OwnerCrash, WorkFault
from core.runtime.message import Envelope

Where = tuple[int, str]
"""(number of the message or job, blow)."""
HANDLER_FAULTS: dict[str, HandlerFault] = {
    "before": Crash("before"),
    "after": Crash("after"),
    "hang": Hang(extra_ms=500),
}


class Branching(Quiet):
    """Lets nothing fail, and forks where a blow is wanted: the child deals it, runs on, and sends its result home."""

    def __init__(self, wanted: set[Where]) -> None:
        super().__init__()
        self._wanted = wanted
        self._seen_kill = 0
        self._home: int | None = None
        self._found: dict[Where, Result] = {}

    def run(self, simulate: Callable[[], Result]) -> dict[Where, Result]:
        """Run the trunk and all its branches; return what came of each branch.

        In a child this never returns: it ends with its result. It must be called where no other thread runs.
        """
        try:
            result = simulate()
        except BaseException as error:  # in the trunk it goes on up, in a branch it is the result
            if self._home is None:
                raise
            traceback.print_exc(file=sys.stderr)
            result = Result(0, f"the run ended with {error!r}", 0, "", 0, 0, 0, 0, {})
        if self._home is not None:
            os.write(self._home, msgspec.msgpack.encode(result))
            os._exit(0)
        return self._found

    def _branch(self, index: int, blow: str) -> bool:
        """Return True in a child, in which the blow falls now; False in the trunk, once the child has ended."""
        where = (index, blow)
        if self._home is not None or where not in self._wanted:
            return False
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._home = writing
            self.done[blow] += 1
            return True
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            sent = pipe.read()
        os.waitpid(child, 0)
        if sent:
            self._found[where] = msgspec.msgpack.decode(sent, type=Result)
        return False

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        """Deal what befalls the reader of a message."""
        super().on_message(address, envelope)
        for blow, fault in HANDLER_FAULTS.items():
            if self._branch(self.messages, blow):
                return fault
        return None

    def on_work(self, address: str, key: str) -> WorkFault | None:
        """Let the owner of a job die before the reply comes."""
        super().on_work(address, key)
        return OwnerCrash() if self._branch(self.jobs, "reply") else None

    def kills_process(self) -> bool:
        """Kill the process after a message."""
        if self.messages == self._seen_kill:
            return False
        self._seen_kill = self.messages
        return self._branch(self.messages, "kill")

    def away_ms(self) -> int:
        """Return how long a killed process stays away."""
        return AWAY_MS
