"""A window is the stretch of time that one Up-or-Down market is about: 900 s on the real venue, shorter in the demo."""

import msgspec

REFERENCE_LENGTH_S = 900


class Window(msgspec.Struct, frozen=True):
    """One asset's window `[opens_at_s, opens_at_s + length_s)` in unix seconds."""

    asset: str
    opens_at_s: int
    length_s: int

    @property
    def closes_at_s(self) -> int:
        """Unix second at which trading ends and the settlement price is struck."""
        return self.opens_at_s + self.length_s

    @property
    def scale(self) -> float:
        """Factor for everything the design scales with the window's length: W / 900."""
        return self.length_s / REFERENCE_LENGTH_S

    @property
    def slug(self) -> str:
        """The venue's name of the market: `btc-updown-15m-1776727800`, or `btc-updown-60s-...` when scaled."""
        span = "15m" if self.length_s == REFERENCE_LENGTH_S else f"{self.length_s}s"
        return f"{self.asset.lower()}-updown-{span}-{self.opens_at_s}"

    def seconds_left(self, now_ms: int) -> float:
        """Seconds until the window closes; negative afterwards."""
        return self.closes_at_s - now_ms / 1000

    def fraction_left(self, now_ms: int) -> float:
        """Share of the window still to come, clamped to [0, 1]: the feature `time remaining`."""
        return min(1.0, max(0.0, self.seconds_left(now_ms) / self.length_s))

    def next(self) -> "Window":
        """Return the window that opens when this one closes."""
        return Window(self.asset, self.closes_at_s, self.length_s)


def window_at(asset: str, now_ms: int, length_s: int) -> Window:
    """Return the window of `asset` that contains `now_ms` (unix milliseconds)."""
    return Window(asset, now_ms // 1000 // length_s * length_s, length_s)
