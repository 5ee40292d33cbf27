"""Exact reading of the venue's decimal strings as integers of 1e-6, fast enough for every level of every frame."""

from core.trading.money import MICRO
from venues.transport import BadFrameError

_DECIMALS = 6
_LONGEST = 40
_LONGEST_WHOLE = 80
"""Allowances are 256-bit numbers."""
_CACHE_LIMIT = 50_000
_cache: dict[str, int] = {}


def parse_micros(text: str) -> int:
    """Return a plain decimal such as `"0.48"`, `".48"`, `"12"` or `"-1.5"` in integers of 1e-6.

    Digits beyond the sixth are cut off towards zero: the venue has none, and a size must never be rounded up.

    Raises:
        BadFrameError: for anything else, exponents, infinities and NaN included.
    """
    known = _cache.get(text)
    if known is not None:
        return known
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits = whole + fraction
    if not digits or len(text) > _LONGEST or not (digits.isascii() and digits.isdigit()):
        raise BadFrameError(f"{text[:_LONGEST]!r} is not a plain decimal number")
    value = int(whole or "0") * MICRO + int(fraction[:_DECIMALS].ljust(_DECIMALS, "0"))
    if text[0] == "-":
        value = -value
    if len(_cache) >= _CACHE_LIMIT:
        _cache.clear()
    _cache[text] = value
    return value


def parse_whole(text: str) -> int:
    """Return a whole number such as `"45967864"`: base units, seconds, milliseconds.

    Raises:
        BadFrameError: for anything else.
    """
    if not text or len(text) > _LONGEST_WHOLE or not (text.isascii() and text.isdigit()):
        raise BadFrameError(f"{text[:_LONGEST]!r} is not a whole number")
    return int(text)
