"""Everything an execution client asks of a live account, in one place: each call blocks and is made by a worker."""

from typing import Protocol

import msgspec

from core.trading.orders import Order
from core.trading.venue_orders import SeenOrder
from venues.polymarket.account import Account
from venues.polymarket.account_values import VenueOrder, VenueOrderStatus, VenueTrade
from venues.polymarket.connection import HandOver
from venues.polymarket.fills import Identity
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.order_client import Accepted, Cancellation, OrderClient
from venues.polymarket.signing import OrderSigner, OrderTerms, SignedOrder

_CLOSED = frozenset(
    {
        VenueOrderStatus.MATCHED,
        VenueOrderStatus.CANCELED,
        VenueOrderStatus.UNMATCHED,
        VenueOrderStatus.INVALID,
    }
)


class Look(msgspec.Struct, frozen=True):
    """What the venue shows of one order: its record, whether it is listed as open, and our trades in its market."""

    order_hash: str
    record: VenueOrder | None
    listed: bool
    trades: tuple[VenueTrade, ...]


class Holdings(msgspec.Struct, frozen=True):
    """What the venue believes the funder holds: dollars, and shares by token; 1e-6."""

    cash_usd: int
    shares: dict[str, int]


class VenueReport(msgspec.Struct, frozen=True):
    """The whole account at one moment: open orders, our trades since a while ago, and what could not be read."""

    open_orders: tuple[VenueOrder, ...]
    trades: tuple[VenueTrade, ...]
    unreadable: tuple[str, ...]


class TradingAccount(Protocol):
    """A live account as the execution client needs it. Errors are those of `venues.polymarket.order_client`."""

    @property
    def identity(self) -> Identity:
        """What makes an order or a trade ours."""
        ...

    def sign(self, order: Order, terms: OrderTerms) -> SignedOrder:
        """Return the order signed. Raises RejectedError."""
        ...

    def post(self, signed: SignedOrder, hand_over: HandOver) -> Accepted:
        """Send it through the gate."""
        ...

    def cancel(self, order_hash: str) -> Cancellation:
        """Cancel one order by its hash."""
        ...

    def cancel_all(self) -> Cancellation:
        """Cancel every order of the account."""
        ...

    def look(self, order_hash: str, condition_id: str, after_s: int) -> Look:
        """Return all that is known of one order; trades from `after_s` (unix seconds) on."""
        ...

    def report(self, after_s: int) -> VenueReport:
        """Return open orders and trades from `after_s` (unix seconds) on."""
        ...

    def holdings(self, tokens: tuple[str, ...]) -> Holdings:
        """Return dollars and shares."""
        ...

    def refresh(self, token_id: str) -> None:
        """Have the venue read a token's balance from the chain again."""
        ...

    def beat(self) -> None:
        """Send one dead-man heartbeat."""
        ...


class LiveAccount:
    """`TradingAccount` over the venue's own interfaces."""

    def __init__(
        self, identity: Identity, signer: OrderSigner, client: OrderClient, account: Account, heartbeat: Heartbeat
    ) -> None:
        self.identity = identity
        self._signer = signer
        self._client = client
        self._account = account
        self._heartbeat = heartbeat

    def sign(self, order: Order, terms: OrderTerms) -> SignedOrder:
        """See `OrderSigner.sign`."""
        return self._signer.sign(order, terms)

    def post(self, signed: SignedOrder, hand_over: HandOver) -> Accepted:
        """See `OrderClient.post`."""
        return self._client.post(signed, post_only=signed.post_only, hand_over=hand_over)

    def cancel(self, order_hash: str) -> Cancellation:
        """See `OrderClient.cancel`."""
        return self._client.cancel(order_hash)

    def cancel_all(self) -> Cancellation:
        """See `OrderClient.cancel_all`."""
        return self._client.cancel_all()

    def look(self, order_hash: str, condition_id: str, after_s: int) -> Look:
        """Ask for the record first: trades read after it cannot miss what it counts."""
        record = self._account.order(order_hash)
        listed = record is None and any(o.order_hash == order_hash for o in self._account.open_orders(condition_id))
        page = self._account.trades(condition_id=condition_id, after_s=after_s)
        return Look(order_hash, record, listed, page.trades)

    def report(self, after_s: int) -> VenueReport:
        """See `TradingAccount`."""
        orders = self._account.open_orders()
        page = self._account.trades(after_s=after_s)
        return VenueReport(orders, page.trades, page.unreadable)

    def holdings(self, tokens: tuple[str, ...]) -> Holdings:
        """See `TradingAccount`."""
        return Holdings(self._account.cash().units, {token: self._account.shares(token).units for token in tokens})

    def refresh(self, token_id: str) -> None:
        """See `Account.refresh`."""
        self._account.refresh(token_id)

    def beat(self) -> None:
        """See `Heartbeat.beat`."""
        self._heartbeat.beat()


def seen_order(record: VenueOrder | None, order_hash: str, *, listed: bool) -> SeenOrder | None:
    """Return the venue's record as the order's life cycle reads it; None where it says nothing certain."""
    if record is None:
        return SeenOrder(order_hash, "LIVE", 0) if listed else None
    if record.status is VenueOrderStatus.LIVE:
        return SeenOrder(order_hash, "LIVE", record.filled_shares or 0)
    if record.status in _CLOSED:
        reason = record.reason or record.status.value.lower()
        return SeenOrder(order_hash, "CLOSED", record.filled_shares or 0, reason)
    return None
