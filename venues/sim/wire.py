"""How values look on the wire: decimal strings without trailing zeros, hashes, JSON text."""

import hashlib
from functools import lru_cache

import msgspec

_MICRO = 1_000_000
_encoder = msgspec.json.Encoder()


@lru_cache(maxsize=65_536)
def decimal_text(micros: int) -> str:
    """Return integers of 1e-6 as the venue writes them: `0.1`, `0.86`, `395.8`, `339`."""
    whole, part = divmod(micros, _MICRO)
    return f"{whole}.{part:06d}".rstrip("0") if part else str(whole)


def content_hash(*parts: object) -> str:
    """Return 40 hexadecimal digits that identify a state of a book (the venue's own recipe is not public)."""
    return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=20).hexdigest()


def json_text(value: object) -> str:
    """Return `value` as compact JSON text."""
    return _encoder.encode(value).decode()
