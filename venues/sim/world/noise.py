"""Reproducible randomness that can be entered anywhere: every stretch of time draws from a generator of its own."""

import hashlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_OFFSET = 1 << 40
"""Keeps keys non-negative, as numpy's seed sequence wants them, for times before 1970 too."""


@lru_cache(maxsize=4096)
def label(text: str) -> int:
    """Return a stable 63-bit number for a name (Python's own `hash` differs between processes)."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, name: str, index: int) -> np.random.Generator:
    """Return the random generator of one stretch of time: the same for the same seed, name and index, for ever."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence((seed % (1 << 63), label(name), index + _OFFSET)))
    )


def interpolated(
    draw: Callable[[np.random.Generator, int], Floats], seed: int, name: str, block: int, *, knots: int, points: int
) -> Floats:
    """Return `points` samples of a noise that is linear between knots and continuous from block to block.

    The last knot of a block is the first one of the next, which is why any block can be computed by itself. `draw`
    makes `n` knots from a generator; its first value must not depend on `n`.
    """
    own = draw(generator(seed, name, block), knots)
    following = draw(generator(seed, name, block + 1), 1)
    at = np.arange(points) * (knots / points)
    samples: Floats = np.interp(at, np.arange(knots + 1), np.concatenate([own, following[:1]]))
    return samples


def normal_knots(sd: float) -> Callable[[np.random.Generator, int], Floats]:
    """Return a knot source for `interpolated`: independent normals of standard deviation `sd`."""
    return lambda rng, n: rng.standard_normal(n) * sd


def uniform_knots(low: float, high: float) -> Callable[[np.random.Generator, int], Floats]:
    """Return a knot source for `interpolated`: uniform between `low` and `high`."""
    return lambda rng, n: low + (high - low) * rng.random(n)


def scrambled(key: npt.NDArray[np.uint64]) -> Floats:
    """Return a uniform number in (0, 1) for each 64-bit key: a stateless generator for large grids.

    The mixing is that of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    with np.errstate(over="ignore"):
        z = key + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) / float(1 << 53)
