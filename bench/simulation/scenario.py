"""What one simulated run consists of: its windows, its assets, how it trades; a function of the seed."""

import random
from typing import Literal

import msgspec

from core.trading.money import MICRO
from core.trading.orders import OrderType

FIRST_OPENS_S = 1_800_000_000
"""A multiple of every window length used here."""
LEAD_MS = 5_000
SESSION_ID = 1

PolicyKind = Literal["table", "random"]


class Scenario(msgspec.Struct, frozen=True):
    """One run. `held` are the assets whose positions stay until settlement; dollars in 1e-6."""

    seed: int = 0
    assets: tuple[str, ...] = ("BTC",)
    windows: int = 1
    window_s: int = 30
    policy: PolicyKind = "table"
    order_type: OrderType = "FAK"
    held: tuple[str, ...] = ()
    start_usd: int = 2_000 * MICRO
    trade_usd: int = 150 * MICRO
    work_ms: int = 3

    @property
    def start_ms(self) -> int:
        """Unix milliseconds at which the process starts: a little before the first window opens."""
        return FIRST_OPENS_S * 1000 - LEAD_MS

    @property
    def ends_ms(self) -> int:
        """Unix milliseconds at which the last window closes."""
        return (FIRST_OPENS_S + self.windows * self.window_s) * 1000


def scenario_of(seed: int) -> Scenario:
    """Return the run of a seed: two assets, two windows, everything else by chance."""
    rng = random.Random(f"scenario {seed}")
    return Scenario(
        seed=seed,
        assets=("BTC", "ETH"),
        windows=2,
        policy=rng.choice(("table", "random", "random")),
        order_type=rng.choice(("FAK", "FAK", "FOK", "GTC")),
        held=rng.choice(((), ("ETH",), ("BTC", "ETH"))),
        work_ms=rng.choice((0, 3, 40)),
    )
