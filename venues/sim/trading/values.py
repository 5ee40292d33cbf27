"""What goes in and out of the engine. Money, shares and prices are integers of 1e-6; moments are unix milliseconds."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Side = Literal["BUY", "SELL"]
OrderType = Literal["GTC", "GTD", "FOK", "FAK"]
TradeStatus = Literal["MATCHED", "MINED", "CONFIRMED", "RETRYING", "FAILED"]
OrderStatus = Literal["LIVE", "MATCHED", "CANCELED", "DELAYED"]
Outcome = Literal["Up", "Down"]

UNIT = 1_000_000
ENDLESS = 2**256 - 1
"""An allowance that is never used up."""


class NewOrder(msgspec.Struct, frozen=True):
    """An order whose signature was verified. A BUY's maker amount is dollars, a SELL's shares; addresses lower case.

    `owner` is the API key, `account` the maker's address, whose balances are used, `order_id` the EIP-712 hash.
    """

    order_id: str
    owner: str
    account: str
    signer: str
    token_id: str
    side: Side
    maker_amount: int
    taker_amount: int
    expiration_s: int
    order_type: OrderType
    post_only: bool
    defer_exec: bool


class Placed(msgspec.Struct, frozen=True):
    """The answer to an order: what it gave (`making_amount`) and got (`taking_amount`), and the trades."""

    order_id: str
    status: Literal["live", "matched", "delayed", "unmatched"]
    making_amount: int = 0
    taking_amount: int = 0
    trade_ids: tuple[str, ...] = ()
    transactions_hashes: tuple[str, ...] = ()
    error: str = ""


class Held(msgspec.Struct, frozen=True):
    """The order waits out the taker delay: ask `Engine.result` at `until_ms` or later."""

    order_id: str
    until_ms: int


class VenueError(Exception):
    """A refusal as the venue words it, with its HTTP status.

    `heartbeat_id` is the right one where one was wrong (the reply's key is then `error_msg`); `code` is a body field of
    its own where not empty, such as `post_only_mode`.
    """

    def __init__(
        self,
        status: int,
        text: str,
        retry_after_s: int | None = None,
        heartbeat_id: str | None = None,
        code: str = "",
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.code = status, text, code
        self.retry_after_s, self.heartbeat_id = retry_after_s, heartbeat_id


class OrderState(msgspec.Struct, frozen=True):
    """An order as `/data/order` and the user channel show it. `reason` says why it was cancelled, empty otherwise."""

    order_id: str
    status: OrderStatus
    condition_id: str
    token_id: str
    owner: str
    account: str
    side: Side
    price: int
    original_size: int
    size_matched: int
    outcome: Outcome
    order_type: OrderType
    expiration_s: int
    created_at_ms: int
    trade_ids: tuple[str, ...] = ()
    reason: str = ""


class MakerOrder(msgspec.Struct, frozen=True):
    """One resting order's part of a trade."""

    order_id: str
    owner: str
    account: str
    token_id: str
    outcome: Outcome
    side: Side
    price: int
    matched_amount: int


class TradeState(msgspec.Struct, frozen=True):
    """A trade as `/data/trades` shows it to one of its owners; for a maker, its own part is in `maker_orders`.

    `fee` is what the taker paid in dollars; `transaction_hash` is empty until the trade was mined.
    """

    trade_id: str
    taker_order_id: str
    condition_id: str
    token_id: str
    side: Side
    size: int
    price: int
    fee: int
    status: TradeStatus
    match_time_ms: int
    last_update_ms: int
    outcome: Outcome
    owner: str
    account: str
    transaction_hash: str
    maker_orders: tuple[MakerOrder, ...]
    trader_side: Literal["TAKER", "MAKER"]
    bucket_index: int = 0


class OrderEvent(msgspec.Struct, frozen=True, tag=True):
    """What the user channel tells the owner of an order."""

    kind: Literal["PLACEMENT", "UPDATE", "CANCELLATION"]
    owner: str
    order: OrderState
    at_ms: int


class TradeEvent(msgspec.Struct, frozen=True, tag=True):
    """What the user channel tells one of the owners in a trade."""

    owner: str
    trade: TradeState
    at_ms: int


UserEvent = OrderEvent | TradeEvent


class Balance(msgspec.Struct, frozen=True):
    """A balance as the venue knows it, which may lag the ledger, and what each spender may take of it."""

    balance: int
    allowances: Mapping[str, int]


class Claim(msgspec.Struct, frozen=True):
    """Winning shares not yet redeemed: each is worth a dollar."""

    condition_id: str
    token_id: str
    shares: int


class Movement(msgspec.Struct, frozen=True):
    """One change of one balance of one account; `asset` is `USD` or a token id. The sum over accounts is always zero.

    `reason` is deposit, trade, fee or payout, `reference` the trade's id or the market's condition.
    """

    account: str
    asset: str
    amount: int
    reason: Literal["deposit", "trade", "fee", "payout"]
    reference: str
    at_ms: int


class Audit(msgspec.Struct, frozen=True):
    """An account to the micro-dollar: balances by asset, and every movement that led to them, oldest first.

    `pending` is what trades matched but not settled will add or take.
    """

    account: str
    balances: Mapping[str, int]
    pending: Mapping[str, int]
    claims: tuple[Claim, ...]
    movements: tuple[Movement, ...]


class TradingRules(msgspec.Struct, frozen=True):
    """What the operator of the exchange chose.

    `settle_low_ms` to `settle_high_ms` is how long a trade takes from MATCHED to MINED, `confirm_ms` from there to
    CONFIRMED. `auto_redeem` pays winners at resolution by itself: nothing in this exchange's interface could redeem
    otherwise, while on the real venue a transaction must claim them (turn it off to have winnings wait for `redeem`).
    """

    deposit: int = 10_000 * UNIT
    taker_delay_ms: int = 150
    min_size: int = 5 * UNIT
    min_marketable: int = UNIT
    settle_low_ms: int = 2_000
    settle_high_ms: int = 50_000
    confirm_ms: int = 4_000
    dead_man_ms: int = 10_000
    expires_early_s: int = 60
    auto_redeem: bool = True
    spenders: tuple[str, ...] = (
        "0xE111180000d2663C0091e4f400237545B87B996B",
        "0xe2222d279d744050d28e00520010520000310F59",
    )


def scaled_rules(window_s: int, rules: TradingRules | None = None) -> TradingRules:
    """Return `rules` with the settlement's delays shortened as windows of `window_s` are to those of 900 s."""
    rules, scale = rules or TradingRules(), min(1.0, window_s / 900)
    return msgspec.structs.replace(
        rules,
        settle_low_ms=round(rules.settle_low_ms * scale),
        settle_high_ms=round(rules.settle_high_ms * scale),
        confirm_ms=round(rules.confirm_ms * scale),
    )
