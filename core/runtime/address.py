"""Addresses: the stable names by which actors are known. Nobody ever holds an actor, a reference or a proxy."""

import msgspec


class Address(msgspec.Struct, frozen=True):
    """A name such as `market.BTC`: valid before its actor's first start and after any number of restarts."""

    name: str

    def __str__(self) -> str:
        return self.name


OUTSIDE = Address("outside")
"""Sender of whatever no actor sent: the supervisor, the command line, a test."""

RUNTIME = Address("runtime")
"""Sender of timers, work results and stream items."""
