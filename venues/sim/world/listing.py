"""Which markets exist: slugs, token and condition ids, and the moments of a market's life. All follow from the seed."""

import hashlib
from datetime import UTC, datetime

import msgspec

REFERENCE_S = 900
LISTED_AHEAD_S = 86_400
_TOKEN_BASE = 10**76


class Listing(msgspec.Struct, frozen=True):
    """One market: the window `[opens_at_s, closes_at_s)` of an asset, in unix seconds, and its identifiers.

    `lookback_s` is the TWAP's span: 60 s on a 900 s window, scaled with it.
    """

    asset: str
    opens_at_s: int
    closes_at_s: int
    lookback_s: int
    slug: str
    market_id: str
    condition_id: str
    up_token: str
    down_token: str

    @property
    def length_s(self) -> int:
        """Seconds from open to close."""
        return self.closes_at_s - self.opens_at_s

    @property
    def resolves_at_s(self) -> int:
        """Unix second from which on the venue states the winner."""
        return self.closes_at_s + self.lookback_s

    @property
    def listed_at_s(self) -> int:
        """Unix second at which the market was created, a day ahead."""
        return self.opens_at_s - LISTED_AHEAD_S


def lookback_s(window_s: int) -> int:
    """Return the TWAP's span for windows of `window_s`, at least one second."""
    return max(1, round(60 * window_s / REFERENCE_S))


def span_name(window_s: int) -> str:
    """Return the slug's name for the window's length: `15m` at 900 s, else such as `60s`."""
    return "15m" if window_s == REFERENCE_S else f"{window_s}s"


def iso(t_s: float) -> str:
    """Return a unix second as the venue writes it, such as `2026-04-20T23:45:00Z`."""
    return datetime.fromtimestamp(int(t_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_listing(seed: int, window_s: int, asset: str, opens_at_s: int) -> Listing:
    """Return the market of `asset` that opens at `opens_at_s`."""
    slug = f"{asset.lower()}-updown-{span_name(window_s)}-{opens_at_s}"

    def digest(part: str) -> bytes:
        return hashlib.sha256(f"{seed}|{slug}|{part}".encode()).digest()

    def token(outcome: str) -> str:
        return str(_TOKEN_BASE + int.from_bytes(digest(outcome), "big") % (9 * _TOKEN_BASE))

    return Listing(
        asset=asset,
        opens_at_s=opens_at_s,
        closes_at_s=opens_at_s + window_s,
        lookback_s=lookback_s(window_s),
        slug=slug,
        market_id=str(int.from_bytes(digest("id")[:4], "big") % 9_000_000 + 1_000_000),
        condition_id="0x" + digest("condition").hex(),
        up_token=token("Up"),
        down_token=token("Down"),
    )


def parse_slug(slug: str, window_s: int, assets: tuple[str, ...]) -> tuple[str, int] | None:
    """Return the (asset, opening second) that a slug names, None unless such a market can exist here."""
    ticker, _, rest = slug.partition("-updown-")
    span, _, start = rest.partition("-")
    known = ticker == ticker.lower() and ticker.upper() in assets and span == span_name(window_s)
    if not known or not start.isascii() or not start.isdigit() or len(start) > len("9999999999"):
        return None
    opens_at_s = int(start)
    return None if opens_at_s % window_s or start != str(opens_at_s) else (ticker.upper(), opens_at_s)
