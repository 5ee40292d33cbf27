"""The complete system in real time: the threaded runtime, MLX inference and the venue in memory, in this process."""

import sys
import time

import msgspec

from bench.measure.watched_market import Probe, watch_markets
from bench.measure.whole_system import assemble_calm, asset_names, market_rules
from cli.run import SWITCH_INTERVAL_S
from cli.wiring import start_all, warm_policy
from core.runtime.address import Address
from core.runtime.clock import SystemClock
from core.runtime.supervision import RestartPolicy
from core.runtime.threaded import ThreadedRuntime
from models.checkpoint import fresh_weights

GRID_MS = 500
STARTS_WITHIN_S = 120.0
"""Compiling the policy takes seconds where it was never compiled before."""


class LiveSystem:
    """Started, and every market actor has decided once, when the constructor returns.

    Args:
        asset_count: how many assets.
        every_ms: time between two books, and between two trades, of an asset.
        grid_ms: time between two decisions.
        policy: restart policy of the market actors in place of their own.
    """

    def __init__(
        self, asset_count: int, every_ms: int, *, grid_ms: int = GRID_MS, policy: RestartPolicy | None = None
    ) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self.assets = asset_names(asset_count)
        self.probe = Probe()
        self.system = ThreadedRuntime(SystemClock(), seed=1, lease_epoch=1, lane_width={"rest": 4, "policy": 1})
        rules = market_rules(grid_ms)
        assemble_calm(
            self.system,
            self.assets,
            seed=1,
            every_ms=every_ms,
            market=rules,
            load_weights=lambda: fresh_weights(1),
            make_policy=warm_policy,
            write=lambda _rows: None,
        )
        watch_markets(self.system, rules, warm_policy, self.probe)
        if policy is not None:
            for asset in self.assets:
                cell = self.system.cells[self.market(asset)]
                cell.spec = msgspec.structs.replace(cell.spec, policy=policy)
        start_all(self.system)
        deadline_s = time.monotonic() + STARTS_WITHIN_S
        for asset in self.assets:
            if not self.probe.wait(asset, 1, "decided_s", deadline_s - time.monotonic()):
                raise TimeoutError(f"{asset} did not decide within {STARTS_WITHIN_S:g} s of the start")

    def market(self, asset: str) -> Address:
        """Return the address of an asset's market actor."""
        return Address(f"market.{asset}")

    def incarnation(self, asset: str) -> int:
        """Return which incarnation of an asset's market actor lives."""
        return self.system.cells[self.market(asset)].incarnation

    def stop(self) -> list[str]:
        """Stop everything and return what did not end."""
        return self.system.stop(10.0)
