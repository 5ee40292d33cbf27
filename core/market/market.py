"""A market as the venue lists it: tokens, tick, minimum size, fee schedule; and what is learned of it later."""

from typing import Literal

import msgspec

from core.market.window import Window

Side = Literal["UP", "DOWN"]


class FeeSchedule(msgspec.Struct, frozen=True):
    """The taker fee of one market: `shares * rate * (p * (1 - p)) ** exponent` dollars. Makers pay nothing."""

    rate: float
    exponent: int = 1
    taker_only: bool = True


class Market(msgspec.Struct, frozen=True):
    """One listed market. Prices, dollars and shares are integers of 1e-6; `fees` is None while unknown."""

    window: Window
    condition_id: str
    up_token: str
    down_token: str
    tick_size: int
    min_order_shares: int
    fees: FeeSchedule | None
    taker_delay_ms: int
    protocol_version: str = "v1"

    @property
    def asset(self) -> str:
        """The asset's ticker in capitals, such as `BTC`."""
        return self.window.asset

    def token(self, side: Side) -> str:
        """Return the token id that pays one dollar when `side` wins."""
        return self.up_token if side == "UP" else self.down_token

    def side_of(self, token_id: str) -> Side | None:
        """Return which side `token_id` stands for, or None when it belongs to another market."""
        if token_id == self.up_token:
            return "UP"
        return "DOWN" if token_id == self.down_token else None
