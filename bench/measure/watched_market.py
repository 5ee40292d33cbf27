"""A market actor that can be crashed from outside and tells when its incarnations decide; otherwise the real one."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

import msgspec

from actors import addresses
from actors.market import MarketActor, MarketRules, Policy
from core.messages import BookPublished, Tick
from core.runtime.context import Context
from core.runtime.faults import InjectedCrashError
from core.runtime.message import Message
from core.runtime.system import ActorSystem


class Blow(Message, frozen=True):
    """Crashes its reader."""


class Life(msgspec.Struct):
    """One incarnation's moments in monotonic seconds; None until they come."""

    started_s: float | None = None
    policy_s: float | None = None
    ready_s: float | None = None
    """Policy, market, book and flow are there, and the policy has been evaluated on them."""
    decided_s: float | None = None


class Probe:
    """What all market actors tell; any thread may wait for it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.lives: dict[tuple[str, int], Life] = defaultdict(Life)
        self.crashed_s: dict[tuple[str, int], float] = {}
        self.decided_ms: dict[str, list[int]] = defaultdict(list)
        """Grid steps at which each asset decided, unix milliseconds."""
        self.tick_ms: list[float] = []
        """From the moment a grid step was due to the end of its handler, decisions only."""
        self.view_ms: list[float] = []
        """From the receipt of a book event to its view in the hands of the market actor."""

    def note(self, asset: str, incarnation: int, moment: str) -> None:
        """Note a moment of an incarnation, the first time only."""
        with self.changed:
            life = self.lives[asset, incarnation]
            if getattr(life, moment) is None:
                setattr(life, moment, time.monotonic())
                self.changed.notify_all()

    def wait(self, asset: str, incarnation: int, moment: str, within_s: float) -> bool:
        """Wait for a moment of an incarnation; False when it does not come in time."""
        with self.changed:
            return self.changed.wait_for(lambda: getattr(self.lives[asset, incarnation], moment) is not None, within_s)

    def clear(self) -> None:
        """Forget the decisions and latencies measured so far."""
        self.tick_ms, self.view_ms = [], []
        for steps in self.decided_ms.values():
            steps.clear()

    def missed(self, asset: str, grid_ms: int) -> int:
        """Return the grid steps without a decision between an asset's first and last one; -1 when it decided none."""
        steps = list(self.decided_ms[asset])
        return (steps[-1] - steps[0]) // grid_ms + 1 - len(steps) if steps else -1


class WatchedMarket(MarketActor):
    """Decides as the real one does, and evaluates its policy once more as soon as it could have decided."""

    def __init__(
        self,
        context: Context,
        asset: str,
        rules: MarketRules,
        make_policy: Callable[[object], Policy],
        probe: Probe,
    ) -> None:
        super().__init__(context, asset, 1, rules, make_policy, lambda _text: None)
        self._probe = probe
        self._ready = False

    def on_start(self) -> None:
        """Note the start."""
        super().on_start()
        self._note("started_s")

    def receive(self, message: object) -> None:
        """Crash, or handle and note."""
        if isinstance(message, Blow):
            self._probe.crashed_s[self.asset, self.context.incarnation] = time.monotonic()
            raise InjectedCrashError("crashed on purpose")
        before = self._decisions
        super().receive(message)
        clock = self.context.clock
        if isinstance(message, BookPublished):
            self._probe.view_ms.append(clock.now_ms() - message.view.received_ms)
        elif isinstance(message, Tick) and self._decisions > before:
            self._probe.tick_ms.append(clock.now_ms() - message.at_ms)
            self._probe.decided_ms[self.asset].append(message.at_ms)
            self._note("decided_s")
        if not self._ready:
            self._look()

    def _look(self) -> None:
        now_ms = self.context.clock.now_ms()
        if self._policy is None:
            return
        self._note("policy_s")
        market = self._current(now_ms)
        if market is None or list(self._missing(market, now_ms)):
            return
        held = self._held(market.condition_id, addresses.PORTFOLIO)
        view = self._books[market.condition_id]
        fused = self._fuse(market, view, held, now_ms)
        self._policy.decide(msgspec.structs.replace(fused.state, history=self._history.array()))
        self._ready = True
        self._note("ready_s")

    def _note(self, moment: str) -> None:
        self._probe.note(self.asset, self.context.incarnation, moment)


def watch_markets(
    system: ActorSystem, rules: MarketRules, make_policy: Callable[[object], Policy], probe: Probe
) -> None:
    """Put watched actors in the place of an assembled system's market actors; before it is started."""
    for address, cell in system.cells.items():
        asset = cell.spec.asset
        if asset is not None and address.name == f"market.{asset}":
            cell.spec = msgspec.structs.replace(cell.spec, make=_maker(asset, rules, make_policy, probe))


def _maker(
    asset: str, rules: MarketRules, make_policy: Callable[[object], Policy], probe: Probe
) -> Callable[[Context], MarketActor]:
    return lambda context: WatchedMarket(context, asset, rules, make_policy, probe)
