"""Who decides what fails: nothing, one crash at a chosen message, or everything by a seed."""

import random
from collections import Counter, defaultdict, deque

import msgspec

from core.errors import TransientError, UnknownOutcomeError
from core.runtime.faults import (
    Crash,
    Cut,
    Delay,
    Drop,
    Failure,
    HandlerFault,
    Hang,
    ItemFault,
    OwnerCrash,
    SkewedClock,
    WorkFault,
)
from core.runtime.message import Envelope
from venues.transport import StreamClosed

CRASHES_PER_MINUTE = 3
"""Deaths of one address within 60 s that are injected: fewer than the supervisor forgives, so none may escalate."""
MINUTE_MS = 60_000
AWAY_MS = 500
"""How long a process that is killed at a chosen message stays away."""


class Quiet:
    """Nothing fails; also what every decider becomes when the run comes to rest."""

    def __init__(self) -> None:
        self.messages = 0
        self.jobs = 0
        self.done: Counter[str] = Counter()

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:  # noqa: ARG002 -- a protocol's method
        """Count the message."""
        self.messages += 1
        return None

    def on_work(self, address: str, key: str) -> WorkFault | None:  # noqa: ARG002 -- a protocol's method
        """Count the job."""
        self.jobs += 1
        return None

    def on_item(self, address: str, key: str) -> ItemFault | None:  # noqa: ARG002, D102 -- a protocol's method
        return None

    def on_start(self, address: str, incarnation: int) -> bool:  # noqa: ARG002, D102 -- a protocol's method
        return False

    def kills_process(self) -> bool:
        """Return whether the whole process ends now."""
        return False

    def away_ms(self) -> int:
        """Return how long a killed process stays away."""
        return 0

    def database(self) -> str | None:
        """Return how the next transaction fails: `before` it commits, `after`, or not at all."""
        return None

    def skews_clock(self) -> None:
        """Move the wall clock, if its time has come."""

    def rest(self) -> None:
        """Let nothing fail any more."""


class CrashAt(Quiet):
    """Crashes whoever handles the n-th message of the run, counted from 1; with `address`, its next one from there."""

    def __init__(self, index: int, fault: HandlerFault, address: str | None = None) -> None:
        super().__init__()
        self._address = address
        self._index = index
        self._fault = fault
        self.victim = ""

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        """Crash at the chosen message."""
        super().on_message(address, envelope)
        if self.messages < self._index or self.victim or self._address not in (None, address):
            return None
        self.victim = f"{address} on {type(envelope.message).__name__}"
        self.done["crash"] += 1
        return self._fault


class OwnerCrashAt(Quiet):
    """Lets the actor that waits for the reply of the run's n-th job die before it comes."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self._index = index

    def on_work(self, address: str, key: str) -> WorkFault | None:
        """Crash the owner of the chosen job."""
        super().on_work(address, key)
        if self.jobs != self._index:
            return None
        self.done["reply"] += 1
        return OwnerCrash()


class KillAt(Quiet):
    """Kills the process after the n-th message of the run."""

    def __init__(self, index: int, away_ms: int = AWAY_MS) -> None:
        super().__init__()
        self._index = index
        self._away_ms = away_ms

    def kills_process(self) -> bool:
        """Kill once, after the chosen message."""
        if self.messages < self._index or self.done["kill"]:
            return False
        self.done["kill"] += 1
        return True

    def away_ms(self) -> int:
        """Return how long the process stays away."""
        return self._away_ms


class Intensity(msgspec.Struct, frozen=True):
    """Mean number of messages, items, jobs or transactions between two faults of a kind."""

    crash: float = 500.0
    hang: float = 2_500.0
    item: float = 80.0
    work: float = 30.0
    outage: float = 60.0
    kill: float = 4_000.0
    skew: float = 4_000.0
    start: float = 12.0


class Chaos(Quiet):
    """Everything fails by the seed: actors, jobs, streams, database, clock and process."""

    def __init__(self, seed: int, clock: SkewedClock, intensity: Intensity | None = None) -> None:
        super().__init__()
        self._rng = random.Random(f"chaos {seed}")
        self._clock = clock
        self._intensity = intensity if intensity is not None else Intensity()
        self._resting = False
        self._left = {name: self._gap(name) for name in Intensity.__struct_fields__}
        self._deaths: defaultdict[str, deque[int]] = defaultdict(deque)
        self._blamed: Counter[int] = Counter()
        self._outage: str | None = None
        self._outage_until_ms = 0
        self._kill_due = False
        self._skew_due = False

    def _gap(self, name: str) -> int:
        mean: float = getattr(self._intensity, name)
        return 1 + int(self._rng.expovariate(1 / mean))

    def _due(self, name: str) -> bool:
        """Count one occasion for a kind of fault, and return whether it is the one."""
        if self._resting:
            return False
        self._left[name] -= 1
        if self._left[name] > 0:
            return False
        self._left[name] = self._gap(name)
        return True

    def _may_die(self, address: str) -> bool:
        now_ms, deaths = self._clock.true_ms(), self._deaths[address]
        while deaths and now_ms - deaths[0] > MINUTE_MS:
            deaths.popleft()
        if len(deaths) >= CRASHES_PER_MINUTE:
            return False
        deaths.append(now_ms)
        return True

    def on_message(self, address: str, envelope: Envelope) -> HandlerFault | None:
        """Crash or hang the reader; no message more than twice, for the third time it would be to blame itself."""
        super().on_message(address, envelope)
        self._kill_due = self._due("kill") or self._kill_due
        self._skew_due = self._due("skew") or self._skew_due
        crash, hang = self._due("crash"), self._due("hang")
        if not (crash or hang) or self._blamed[envelope.sequence] >= 2 or not self._may_die(address):
            return None
        self._blamed[envelope.sequence] += 1
        self.done["hang" if hang else "crash"] += 1
        if hang:
            return Hang(self._rng.choice((0, 10, 3_000)))
        return Crash(self._rng.choice(("before", "after")))

    def on_start(self, address: str, incarnation: int) -> bool:
        """Let a restarted actor die in `on_start` too."""
        if incarnation == 1 or not self._due("start") or not self._may_die(address):
            return False
        self.done["crash in on_start"] += 1
        return True

    def on_work(self, address: str, key: str) -> WorkFault | None:
        """Delay a reply, lose it, let the job fail, or let its owner die meanwhile."""
        if not self._due("work"):
            return None
        kind = self._rng.choice(("delay", "delay", "fail", "lost", "owner"))
        if kind == "owner" and not self._may_die(address):
            kind = "delay"
        if kind in ("fail", "lost") and key in ("load", "policy"):  # no network is asked: an error there is a defect
            kind = "delay"
        self.done[f"work {kind}"] += 1
        if kind == "fail":
            return Failure(TransientError("on purpose: nothing was sent"), ran=False)
        if kind == "lost":
            return Failure(UnknownOutcomeError("on purpose: the answer was lost"), ran=True)
        return OwnerCrash() if kind == "owner" else Delay(self._rng.choice((50, 300, 1_500, 4_000)))

    def on_item(self, address: str, key: str) -> ItemFault | None:  # noqa: ARG002 -- a protocol's method
        """Delay or drop an item, or cut the connection."""
        if not self._due("item"):
            return None
        kind = self._rng.choice(("delay", "drop", "cut"))
        self.done[f"item {kind}"] += 1
        if kind == "delay":
            return Delay(self._rng.choice((100, 1_000, 3_000)))
        if kind == "drop":
            return Drop()
        closed = StreamClosed("cut on purpose", self._clock.now_ms())
        return Cut(closed, self._rng.choice((50, 500, 5_000)))

    def database(self) -> str | None:
        """Fail a transaction, or all of them for a while."""
        now_ms = self._clock.true_ms()
        if self._due("outage"):
            self._outage = self._rng.choice(("before", "after"))
            self._outage_until_ms = now_ms + self._rng.choice((0, 400, 1_500, 6_000))
            self.done[f"database fails {self._outage} the commit"] += 1
            return self._outage
        return self._outage if now_ms < self._outage_until_ms and not self._resting else None

    def kills_process(self) -> bool:
        """Return whether the whole process ends now."""
        due, self._kill_due = self._kill_due and not self._resting, False
        self.done["kill"] += due
        return due

    def away_ms(self) -> int:
        """Return how long a killed process stays away."""
        return self._rng.choice((50, 1_000, 8_000))

    def skews_clock(self) -> None:
        """Move the wall clock by up to five seconds, or back to the right time."""
        if self._skew_due and not self._resting:
            self._clock.skew_ms = self._rng.choice((-5_000, -700, 0, 700, 5_000))
            self.done["clock jumps"] += 1
        self._skew_due = False

    def rest(self) -> None:
        """Let nothing fail any more, and set the clock right."""
        self._resting = True
        self._clock.skew_ms = 0
