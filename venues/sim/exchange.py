"""What every route and channel is handed: the world, the clock, the known markets, and who may trade on them."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from venues.sim.auth.keys import KeyRing
from venues.sim.auth.orders import EXCHANGES, Terms
from venues.sim.auth.recovery import Recovery, measured_recovery
from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan
from venues.sim.trading.engine import Engine
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.values import TradingRules, scaled_rules
from venues.sim.transport import Transport
from venues.sim.world import World

Clock = Callable[[], int]
"""Returns unix milliseconds."""


class Exchange(msgspec.Struct, frozen=True):
    """One running exchange."""

    world: World
    directory: Directory
    now_ms: Clock
    assets: tuple[str, ...]
    engine: Engine
    keys: KeyRing
    terms: Terms
    recovery: Recovery
    transport: Transport

    def stated_ms(self) -> int:
        """Return the time the exchange says it is, and checks timestamps against: its clock, with a fault's skew."""
        return self.now_ms() + self.transport.skew_ms()


class Operation(msgspec.Struct, frozen=True):
    """How trading is operated. With a `ledger` file, accounts, orders and API keys survive the process."""

    terms: Terms = Terms()
    rules: TradingRules = TradingRules()
    faults: FaultPlan = FaultPlan()
    ledger: Path | None = None


def make_exchange(
    seed: int, name: str, window_s: int, assets: tuple[str, ...], now_ms: Clock, operation: Operation | None = None
) -> Exchange:
    """Return an exchange over the named world.

    Raises:
        ValueError: for an unknown world, and for a ledger that is another world's or damaged.
        OSError: when the ledger cannot be opened.
    """
    operation = operation or Operation()
    world = World(seed, name, window_s)
    directory = Directory(world, assets)
    rules = msgspec.structs.replace(
        scaled_rules(window_s, operation.rules), spenders=EXCHANGES[operation.terms.version]
    )
    ledger = operation.ledger
    engine = Engine(directory, rules, operation.faults, None if ledger is None else LedgerFile(ledger))
    return Exchange(
        world=world,
        directory=directory,
        now_ms=now_ms,
        assets=assets,
        engine=engine,
        keys=KeyRing(seed, None if ledger is None else ledger.with_name(ledger.name + ".keys")),
        terms=operation.terms,
        recovery=measured_recovery(),
        transport=Transport(engine),
    )
