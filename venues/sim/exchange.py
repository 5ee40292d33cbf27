"""What every route and channel is handed: the world, the clock, and which markets are known."""

from collections.abc import Callable

import msgspec

from venues.sim.directory import Directory
from venues.sim.world import World

Clock = Callable[[], int]
"""Returns unix milliseconds."""


class Exchange(msgspec.Struct, frozen=True):
    """One running exchange."""

    world: World
    directory: Directory
    now_ms: Clock
    assets: tuple[str, ...]


def make_exchange(seed: int, name: str, window_s: int, assets: tuple[str, ...], now_ms: Clock) -> Exchange:
    """Return an exchange over the named world. Raises ValueError for an unknown world."""
    world = World(seed, name, window_s)
    return Exchange(world, Directory(world, assets), now_ms, assets)
