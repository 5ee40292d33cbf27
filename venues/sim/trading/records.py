"""What happened, as written to the ledger file: the engine's whole state is the fold of these records."""

from typing import Literal

import msgspec

from venues.sim.trading.values import MakerOrder, NewOrder, Outcome, Side, TradeStatus

WORLD, FEES, COLLATERAL, OUTSIDE = "world", "fees", "collateral", "outside"
"""The accounts on the other side: the displayed liquidity's makers and takers, the venue's fees, the contract that
mints and redeems pairs of shares, and where deposits come from. They may be negative; addresses may not."""

USD = "USD"

Reason = Literal["deposit", "trade", "fee", "payout"]
Waiting = Literal["held", "delayed", "late", ""]
"""Why an accepted order does not trade yet: the taker delay, a fault that answers `delayed`, one that says live."""
BookSide = Literal["bid", "ask"]


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """One side of a posting; the legs of a posting sum to zero per asset."""

    account: str
    asset: str
    amount: int
    reason: Reason


class Take(msgspec.Struct, frozen=True, array_like=True):
    """Shares taken from a displayed level, in the Up token's terms, and what the level showed then."""

    side: BookSide
    price: int
    shown: int
    shares: int


class Opened(msgspec.Struct, frozen=True, tag=True):
    """An account was seen for the first time and got its deposit."""

    account: str
    dollars: int
    at_ms: int


class Approved(msgspec.Struct, frozen=True, tag=True):
    """An allowance was changed."""

    account: str
    asset: str
    spender: str
    amount: int


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """An order passed the checks. `price` is its limit, `fee_reserve` what it may cost beyond its amount."""

    order: NewOrder
    slug: str
    outcome: Outcome
    price: int
    fee_reserve: int
    waiting: Waiting
    execute_at_ms: int
    at_ms: int


class Executed(msgspec.Struct, frozen=True, tag=True):
    """An order's turn to take came; `held` says that it had waited out the taker delay."""

    order_id: str
    held: bool
    at_ms: int


class Deferred(msgspec.Struct, frozen=True, tag=True):
    """A partly filled order is left alone until a moment, at which it takes again."""

    order_id: str
    execute_at_ms: int


class Rested(msgspec.Struct, frozen=True, tag=True):
    """An order joined the book behind `ahead` displayed shares, as the `number`-th that ever did."""

    order_id: str
    ahead: int
    number: int


class Advanced(msgspec.Struct, frozen=True, tag=True):
    """Displayed shares ahead of a resting order became fewer."""

    order_id: str
    ahead: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """An order will not trade any more: filled, or cancelled for `reason`."""

    order_id: str
    status: Literal["MATCHED", "CANCELED"]
    reason: str
    at_ms: int


class Traded(msgspec.Struct, frozen=True, tag=True):
    """A match. `legs` are posted when it is mined; `fate` and the moments of its stages are settled from the start."""

    trade_id: str
    slug: str
    condition_id: str
    token_id: str
    outcome: Outcome
    side: Side
    price: int
    shares: int
    taker_cash: int
    fee: int
    taker_order_id: str
    taker_owner: str
    taker_account: str
    makers: tuple[MakerOrder, ...]
    legs: tuple[Leg, ...]
    takes: tuple[Take, ...]
    at_ms: int
    fate: Literal["settles", "retries", "fails"]
    retry_at_ms: int
    mined_at_ms: int
    confirmed_at_ms: int
    unseen_ms: int
    stuck_ms: int


class Staged(msgspec.Struct, frozen=True, tag=True):
    """A trade reached a stage of its settlement."""

    trade_id: str
    status: TradeStatus
    transaction_hash: str
    at_ms: int


class Restored(msgspec.Struct, frozen=True, tag=True):
    """The world changed levels that had been taken from: they count as whole again."""

    condition_id: str
    levels: tuple[tuple[BookSide, int], ...]


class Resolved(msgspec.Struct, frozen=True, tag=True):
    """The venue stated a market's winner."""

    slug: str
    condition_id: str
    winner: Outcome
    at_ms: int


class Redeemed(msgspec.Struct, frozen=True, tag=True):
    """An account's shares of a resolved market were paid out."""

    condition_id: str
    legs: tuple[Leg, ...]
    at_ms: int


class Refreshed(msgspec.Struct, frozen=True, tag=True):
    """The venue read an account's balance of one asset anew."""

    account: str
    asset: str


class Armed(msgspec.Struct, frozen=True, tag=True):
    """An owner began to send heartbeats."""

    owner: str


Record = (
    Opened
    | Approved
    | Accepted
    | Executed
    | Deferred
    | Rested
    | Advanced
    | Ended
    | Traded
    | Staged
    | Restored
    | Resolved
    | Redeemed
    | Refreshed
    | Armed
)
