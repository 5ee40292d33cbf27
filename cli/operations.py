"""What the commands of an operator do to the running system: restart, add, remove, roll back, and say how it is."""

import difflib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from loguru import logger

from actors import addresses
from actors.portfolio_state import PortfolioState
from actors.watchdog import STARTING
from cli.control import Handler
from cli.status_report import Process, Status, status_of
from cli.wiring import Rules, Services, Venues, asset_specs, discovery_of, watchdog_of
from core.errors import RejectedError, TransientError
from core.market.window import window_at
from core.messages import AssetAdded, AssetRemoved, AssetRetiring, Tick
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.cell import Cell
from core.runtime.context import Context
from core.runtime.supervision import DeadLetter, SystemEvent
from core.runtime.threaded import ThreadedRuntime
from core.trading.forced_exits import RETIRED
from core.trading.gate import GateLevel
from core.trading.lasting_holds import LASTING
from storage.pool import Connection

RUNNING_WITHIN_S = 5.0
STOP_WITHIN_S = 2.0
HEARD_WITHIN_S = 2.0
FLAT_FOR_MS = 2_000
"""An order under way when the gate shut is committed, delayed and filled within this; only then flat means flat."""

AGAIN_MS = 10_000


class _Leaving(msgspec.Struct):
    """An asset that stops being traded once it is flat, or when its window ends."""

    until_ms: int
    flat_since_ms: int | None = None
    not_before_ms: int = 0


class Operations:
    """Carries commands out in the control thread; it touches actors through the runtime only."""

    def __init__(
        self, system: ThreadedRuntime, rules: Rules, venues: Venues, services: Services, known: tuple[str, ...],
        process: Process,
    ) -> None:  # fmt: skip
        self._system = system
        self._rules = rules
        self._venues = venues
        self._services = services
        self._known = known
        self._process = process
        self._leaving: dict[str, _Leaving] = {}
        self._changed = threading.Condition()
        system.observers.append(self._heard)

    def handlers(self) -> dict[str, Handler]:
        """Return what each command does."""
        return {"restart": self.restart, "add": self.add, "remove": self.remove, "status": self.status}

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets that have actors now, in start order."""
        return assets_of(self._system)

    def status(self, _args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        """Return everything that `status` shows, as plain values."""
        return {"status": msgspec.to_builtins(self.picture())}

    def picture(self) -> Status:
        """Return how the system is; of use in any thread."""
        return status_of(self._system, self._process, tuple(self._leaving))

    # -- restart ------------------------------------------------------------------------------------------------

    def restart(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        """Replace an asset's actors, or one actor, between two messages.

        Raises:
            RejectedError: nobody is called that, or the asset is being removed.
            TransientError: a new incarnation did not come up in time.
        """
        name = str(args.get("name", ""))
        targets = self._named(name)
        asset = self._system.cells[targets[0]].spec.asset
        if asset in self._leaving:
            raise RejectedError(f"{asset} is being removed: `add {asset}` keeps it")
        began_s = time.monotonic()
        if asset is not None and (asset, RETIRED) in {(h.scope, h.reason) for h in self._system.gate.state.holds}:
            self._system.ask(addresses.WATCHDOG, Tick("heard"), HEARD_WITHIN_S)  # what it was told of the retirement
            self._system.gate.hold(asset, STARTING, GateLevel.REDUCE_ONLY)
            self._system.gate.release(asset, RETIRED)
            self._system.ask(addresses.WATCHDOG, AssetAdded(asset), HEARD_WITHIN_S)  # it remembers who is retired
        self._renew(targets)
        return {
            "restarted": [{"address": str(a), "incarnation": self._system.cells[a].incarnation} for a in targets],
            "took_ms": round((time.monotonic() - began_s) * 1000, 1),
        }

    def _named(self, name: str) -> list[Address]:
        cells = self._system.cells
        if name.upper() in self.assets:
            return [cell.spec.address for cell in cells.values() if cell.spec.asset == name.upper()]
        if Address(name) in cells:
            return [Address(name)]
        known = [*self.assets, *map(str, cells)]
        meant = difflib.get_close_matches(name, known, 1)
        close = f"did you mean {meant[0]}? " if meant else ""
        raise RejectedError(
            f"there is no asset or actor {name!r}: {close}assets are {', '.join(self.assets)}; "
            f"actors are {', '.join(map(str, cells))}"
        )

    # -- add and remove -----------------------------------------------------------------------------------------

    def add(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        """Start trading an asset; one that is being removed stays.

        Raises:
            RejectedError: the asset is unknown, or is traded already.
            TransientError: an actor did not come up in time.
        """
        asset = str(args.get("asset", "")).upper()
        if asset not in self._known:
            raise RejectedError(f"there is no asset {asset!r}: choose from {', '.join(self._known)}")
        gate, new = self._system.gate, asset not in self.assets
        if not new and asset not in self._leaving:
            raise RejectedError(f"{asset} is traded already; `restart {asset}` starts it anew")
        self._leaving.pop(asset, None)
        gate.hold(
            asset, STARTING, GateLevel.REDUCE_ONLY
        )  # before the other goes: nothing opens until its data is fresh
        gate.release(asset, RETIRED)
        if new:
            for spec in asset_specs(asset, self._rules, self._venues, self._services):
                self._system.add(spec)
                self._system.start(spec.address)
        self._tell_assets(self.assets, AssetAdded(asset))
        self._await({spec.address: 0 for spec in self._specs(asset)})
        return {"asset": asset, "assets": list(self.assets)}

    def remove(self, args: Mapping[str, Any], _connection: Connection) -> Mapping[str, Any]:
        """Take an asset out of trading: reduce-only at once, exits, and its actors end when it is flat.

        Raises:
            RejectedError: the asset is not traded, is being removed already, or is the last one.
            TransientError: the watchdog, who asks for the exits, does not answer; opening is stopped nevertheless.
        """
        asset = str(args.get("asset", "")).upper()
        if asset not in self.assets:
            raise RejectedError(f"{asset!r} is not traded: assets are {', '.join(self.assets)}")
        if asset in self._leaving:
            raise RejectedError(f"{asset} is being removed already")
        if len(self.assets) - len(self._leaving) == 1:
            raise RejectedError(f"{asset} is the last asset: stop the process instead")
        now_ms = self._system.clock.now_ms()
        self._system.gate.hold(asset, RETIRED, GateLevel.REDUCE_ONLY)
        # Asked, not told: a watchdog that was restarted in between would hear it after the asset was added again.
        self._system.ask(addresses.WATCHDOG, AssetRetiring(asset, f"{asset} is removed by an operator"), HEARD_WITHIN_S)
        until_ms = window_at(asset, now_ms, self._rules.window_s).closes_at_s * 1000
        self._leaving[asset] = _Leaving(until_ms)
        return {"asset": asset, "held": self._held(asset), "until_ms": until_ms}

    def tick(self) -> None:
        """End the actors of removed assets that are flat by now, or whose window is over."""
        now_ms = self._system.clock.now_ms()
        for asset, leaving in list(self._leaving.items()):
            if self._held(asset):
                leaving.flat_since_ms = None
            elif leaving.flat_since_ms is None:
                leaving.flat_since_ms = now_ms
            flat = leaving.flat_since_ms is not None and now_ms - leaving.flat_since_ms >= FLAT_FOR_MS
            if now_ms < leaving.not_before_ms or not (flat or now_ms >= leaving.until_ms):
                continue
            try:
                self._drop(asset)
            except TransientError as error:
                logger.warning("{} is not yet removed: {}; trying again in {} s", asset, error, AGAIN_MS // 1000)
                leaving.not_before_ms = now_ms + AGAIN_MS
                continue
            del self._leaving[asset]
            logger.info("{} is removed: {}", asset, "it was flat" if flat else "its window is over")

    def _drop(self, asset: str) -> None:
        self._tell_assets(tuple(kept for kept in self.assets if kept != asset), AssetRemoved(asset))
        for spec in reversed(self._specs(asset)):
            if not self._system.remove(spec.address, STOP_WITHIN_S):
                raise TransientError(f"{spec.address} does not end")
        for key in (f"asset {asset}", *(f"feed {feed(asset)}" for feed in (addresses.book_feed, addresses.flow_feed))):
            self._system.board.remove(key)
        for hold in self._system.gate.state.holds:
            if hold.scope == asset and hold.reason not in (RETIRED, *LASTING):  # nobody is left to lift it
                self._system.gate.release(asset, hold.reason)

    def _specs(self, asset: str) -> list[Any]:
        return [cell.spec for cell in list(self._system.cells.values()) if cell.spec.asset == asset]

    def _held(self, asset: str) -> bool:
        """Whether a position or an order of an open window is on the books; what only waits for its winner is not."""
        kept = (self._system.cells.get(each) for each in (addresses.PORTFOLIO, addresses.PAPER_PORTFOLIO))
        return any(cell is not None and self._holds(cell.saved, asset) for cell in kept)

    def _holds(self, saved: bytes | None, asset: str) -> bool:
        if saved is None:
            return False
        state = msgspec.msgpack.decode(saved, type=PortfolioState)
        now_ms = self._system.clock.now_ms()
        markets = [state.markets.get(condition_id) for condition_id in state.held_markets(asset)]
        return any(market is None or market.window.seconds_left(now_ms) > 0 for market in markets)

    def _tell_assets(self, assets: tuple[str, ...], change: AssetAdded | AssetRemoved) -> None:
        """Let discovery and watchdog know of a change, and hand `assets` to their later incarnations.

        Nobody is made anew: what they know of the other assets stays, and those trade on.
        """
        rules, venues, log = self._rules, self._venues, self._services.log
        makes: dict[Address, Callable[[Context], Actor]] = {
            addresses.DISCOVERY: discovery_of(assets, rules, venues, log),
            addresses.WATCHDOG: watchdog_of(assets, rules, log),
        }
        for address, make in makes.items():
            cell = self._system.cells[address]
            cell.spec = msgspec.structs.replace(cell.spec, make=make)  # before: it may die of something else meanwhile
            self._system.ask(address, change, HEARD_WITHIN_S)

    # -- replacing actors ---------------------------------------------------------------------------------------

    def remake(self, address: Address, make: Callable[[Context], Actor]) -> None:
        """Let `make` build this and every later incarnation of an actor, and wait until the first of them runs."""
        cell = self._system.cells[address]
        cell.spec = msgspec.structs.replace(cell.spec, make=make)
        self._renew([address])

    def _renew(self, targets: Sequence[Address]) -> None:
        before = {address: self._system.cells[address].incarnation for address in targets}
        for address in targets:
            self._system.restart(address)
        self._await(before)

    def _await(self, before: Mapping[Address, int]) -> None:
        """Wait until each address runs an incarnation later than the one given."""
        cells = [(self._system.cells[address], number) for address, number in before.items()]
        with self._changed:
            done = self._changed.wait_for(lambda: all(_is_later(*each) for each in cells), RUNNING_WITHIN_S)
        if not done:
            raise TransientError(f"not running after {RUNNING_WITHIN_S:g} s: {_state_of(cells)}")

    def _heard(self, event: SystemEvent | DeadLetter) -> None:
        if isinstance(event, SystemEvent):
            with self._changed:
                self._changed.notify_all()


def assets_of(system: ThreadedRuntime) -> tuple[str, ...]:
    """Return the assets that have actors, in start order."""
    return tuple(dict.fromkeys(cell.spec.asset for cell in list(system.cells.values()) if cell.spec.asset is not None))


def _is_later(cell: Cell, number: int) -> bool:
    return cell.life == "running" and cell.incarnation > number


def _state_of(cells: Iterable[tuple[Cell, int]]) -> str:
    return "; ".join(
        f"{cell.spec.address} is {cell.life}, last failure: {cell.last_failure or 'none'}"
        for cell, number in cells
        if not _is_later(cell, number)
    )
