"""Types are made ready to be decoded before there are threads: msgspec does that at first use, and not safely.

What it notes of a Struct is visible to others before it is complete, because a type may refer to itself. Two threads
that decode the same type for the first time at the same moment end the process with a segmentation fault (msgspec
0.22).
"""

from collections.abc import Iterator
from contextlib import suppress

import msgspec


def prepare_types() -> None:
    """Make every Struct that has been imported ready; milliseconds the first time, less when repeated."""
    for kind in _below(msgspec.Struct):
        with suppress(TypeError):  # one that is never decoded, such as a message between actors
            msgspec.json.Decoder(kind)


def _below(base: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    kinds: list[type[msgspec.Struct]] = base.__subclasses__()
    for kind in kinds:
        yield kind
        yield from _below(kind)
