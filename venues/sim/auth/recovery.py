"""Recovering signers without holding up the event loop: in place where it is quick, in a thread where it is not.

With coincurve it takes 0.1 ms; in pure Python, which is what 3.14 has, tens of milliseconds.
"""

import asyncio
import time
from collections.abc import Callable

from venues.sim.auth.eip712 import recover

QUICK_S = 0.001
_SAMPLE_DIGEST = bytes(31) + b"\x02"
_SAMPLE_SIGNATURE = (
    # r is the x coordinate of the curve's generator: valid with any s
    bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798") + bytes(31) + b"\x01\x1b"
)
_SAMPLES = 3


class Recovery:
    """Finds the signer of a digest."""

    def __init__(self, *, in_thread: bool) -> None:
        self.in_thread = in_thread

    async def signer(self, signed: bytes, signature: bytes) -> str | None:
        """Return the signer's address, None when the signature is no key's; see `recover`."""
        if self.in_thread:
            return await asyncio.to_thread(recover, signed, signature)
        return recover(signed, signature)


def measured_recovery(clock_s: Callable[[], float] = time.perf_counter) -> Recovery:
    """Return a recovery that uses a thread if the best of three here takes over a millisecond.

    The first of them also loads the curve's library, so that no request has to.
    """
    taken_s = []
    for _ in range(_SAMPLES):
        began_s = clock_s()
        recover(_SAMPLE_DIGEST, _SAMPLE_SIGNATURE)
        taken_s.append(clock_s() - began_s)
    return Recovery(in_thread=min(taken_s) > QUICK_S)
