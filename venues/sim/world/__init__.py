"""The simulated world: pure functions of seed and time, from which every quote, trade and winner follows."""

from venues.sim.world.variants import ASSETS, VARIANTS, Variant
from venues.sim.world.world import Book, Quote, SlowTrade, World

__all__ = ["ASSETS", "VARIANTS", "Book", "Quote", "SlowTrade", "Variant", "World"]
