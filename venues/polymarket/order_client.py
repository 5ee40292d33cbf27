"""Sending and cancelling orders: one request, one answer, and an error tree that says what may have happened."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from venues.polymarket.account_decode import Number
from venues.polymarket.amounts import may_rest
from venues.polymarket.connection import Answer, HandOver
from venues.polymarket.numbers import parse_micros
from venues.polymarket.order_errors import OrderUnknownError, Reason, refusal, refusal_in_words
from venues.polymarket.session import OK, Session, decoded
from venues.polymarket.signing import SignedOrder
from venues.transport import BadFrameError

AcceptedStatus = Literal["live", "matched", "delayed", "unmatched"]
MOST_CANCELS = 1000
"""Ids the venue takes in one request."""


class Accepted(msgspec.Struct, frozen=True):
    """The venue took the order. Amounts in 1e-6 as it states them, None where it does not; trades are provisional.

    `live` rests; `matched` has trades, whose fills come by the user channel or `Account.trades`; `delayed` matches
    later; `unmatched` crossed but found its counterparty gone, and rests.
    """

    order_hash: str
    status: AcceptedStatus
    trade_ids: tuple[str, ...]
    making: int | None
    taking: int | None
    transaction_hashes: tuple[str, ...]
    gate_sequence: int


class Cancellation(msgspec.Struct, frozen=True):
    """Which orders a cancel ended, and why it did not end others (`already canceled or matched`, `pending/delayed`)."""

    cancelled: tuple[str, ...]
    refused: Mapping[str, str]


class _Posted(msgspec.Struct, rename="camel"):
    success: bool = False
    error_message: str = msgspec.field(name="errorMsg", default="")
    order_id: str = msgspec.field(name="orderID", default="")
    taking_amount: Number = None
    making_amount: Number = None
    status: str = ""
    transactions_hashes: list[str] | None = None
    trade_ids: list[str] | None = msgspec.field(name="tradeIDs", default=None)


class _Cancelled(msgspec.Struct):
    canceled: list[str] | None = None
    not_canceled: dict[str, str] | None = None


class OrderClient:
    """Orders of one API key. Every call blocks for an answer (seconds at most) and is meant for workers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def warm(self, count: int = 1) -> None:
        """Have connections ready, so that no order waits for a handshake. Raises TransientError when unreachable."""
        self._session.connections.warm(count)

    def post(self, signed: SignedOrder, *, post_only: bool = False, hand_over: HandOver | None = None) -> Accepted:
        """Send a signed order and return how the venue took it; settlement is not waited for.

        Args:
            signed: what `OrderSigner.sign` made; sending it twice is safe, the venue knows the hash.
            post_only: refuse to take liquidity; for GTC orders.
            hand_over: `functools.partial(gate.submit, asset, kind)`: check and write happen under the gate's lock.

        Raises:
            GateRefusedError: when the gate was shut; not a byte was sent.
            OrderRejectedError: when the venue refused for good; `reason` says why.
            TransientError: when surely nothing happened (no connection; OrderTransientError: 425, 429, 503).
            OrderUnknownError: when the order may stand or have traded.
        """
        if post_only and not may_rest(signed.order_type):
            raise RejectedError(f"order {signed.order_id}: a {signed.order_type} order cannot be post-only, use GTC")
        body = self._body(signed, post_only=post_only)
        sequence: list[int] = []
        try:
            answer = self._session.send("POST", "/order", body, hand_over=_noting(hand_over, sequence))
        except UnknownOutcomeError as error:
            raise OrderUnknownError(
                Reason.UNCLEAR, str(error), signed.order_hash, sequence[0] if sequence else 0
            ) from error
        if answer.status != OK:
            raise refusal(answer, signed.order_hash)
        return self._accepted(answer, signed)

    def cancel(self, order_hash: str) -> Cancellation:
        """Cancel one order by its hash, whether or not its post was ever answered; errors as `cancel_many`."""
        return self._cancel("/order", msgspec.json.encode({"orderID": order_hash}))

    def cancel_many(self, order_hashes: Iterable[str]) -> Cancellation:
        """Cancel orders by their hashes.

        Raises:
            OrderRejectedError: when the venue refused the request as a whole.
            TransientError: when it was not sent, or the venue asks to wait.
            OrderUnknownError: when some may be cancelled; asking again is harmless.
        """
        hashes = list(order_hashes)
        parts = [hashes[i : i + MOST_CANCELS] for i in range(0, len(hashes), MOST_CANCELS)]
        return _joined([self._cancel("/orders", msgspec.json.encode(part)) for part in parts])

    def cancel_all(self) -> Cancellation:
        """Cancel every open order of the API key; errors as `cancel_many`."""
        return self._cancel("/cancel-all", b"")

    def cancel_market(self, condition_id: str, token_id: str | None = None) -> Cancellation:
        """Cancel every open order in one market, or of one token; errors as `cancel_many`."""
        body = {"market": condition_id} | ({} if token_id is None else {"asset_id": token_id})
        return self._cancel("/cancel-market-orders", msgspec.json.encode(body))

    def _cancel(self, path: str, body: bytes) -> Cancellation:
        try:
            answer = self._session.send("DELETE", path, body)
        except UnknownOutcomeError as error:
            raise OrderUnknownError(Reason.UNCLEAR, str(error), None) from error
        if answer.status != OK:
            raise refusal(answer)
        try:
            wire = decoded(answer, _Cancelled, f"DELETE {path}")
        except (BadFrameError, TransientError) as error:
            raise OrderUnknownError(Reason.UNCLEAR, str(error), None) from error
        return Cancellation(tuple(i.lower() for i in wire.canceled or ()), _lower(wire.not_canceled))

    def _body(self, signed: SignedOrder, *, post_only: bool) -> bytes:
        wrapped: dict[str, object] = {
            "order": signed.payload,
            "owner": self._session.api_key.key.reveal(),
            "orderType": signed.order_type,
        }
        if signed.version > 1:
            wrapped["deferExec"] = False
        wrapped["postOnly"] = post_only
        return msgspec.json.encode(wrapped)

    def _accepted(self, answer: Answer, signed: SignedOrder) -> Accepted:
        sequence = answer.gate_sequence
        try:
            posted = decoded(answer, _Posted, "POST /order")
        except (BadFrameError, TransientError) as error:
            raise OrderUnknownError(Reason.UNCLEAR, str(error), signed.order_hash, sequence) from error
        if not posted.order_id and posted.error_message:
            text = self._session.api_key.scrubbed(" ".join(posted.error_message.split())[:300])
            raise refusal_in_words(text, signed.order_hash, sequence)
        if posted.order_id.lower() != signed.order_hash or posted.status not in {
            "live",
            "matched",
            "delayed",
            "unmatched",
        }:
            raise OrderUnknownError(
                Reason.UNCLEAR,
                f"POST /order: {posted.status[:40]!r} for {posted.order_id[:80]!r}, sent {signed.order_hash}",
                signed.order_hash,
                sequence,
            )
        return Accepted(
            signed.order_hash,
            msgspec.convert(posted.status, AcceptedStatus),
            tuple(posted.trade_ids or ()),
            _stated(posted.making_amount),
            _stated(posted.taking_amount),
            tuple(posted.transactions_hashes or ()),
            sequence,
        )


def _noting(hand_over: HandOver | None, sequence: list[int]) -> HandOver | None:
    """Return `hand_over` noting the gate's sequence, which an exception thrown by the write would lose."""
    if hand_over is None:
        return None

    def noting(write: Callable[[int], None]) -> int | None:
        def noted(at: int) -> None:
            sequence.append(at)
            write(at)

        return hand_over(noted)

    return noting


def _stated(value: Number) -> int | None:
    """Return an amount, or None: an order that was accepted stays accepted whatever its figures look like."""
    try:
        return parse_micros(str(value)) if value not in (None, "") else None
    except BadFrameError:
        return None


def _lower(refused: dict[str, str] | None) -> dict[str, str]:
    return {order_hash.lower(): reason for order_hash, reason in (refused or {}).items()}


def _joined(parts: list[Cancellation]) -> Cancellation:
    cancelled = tuple(order_hash for part in parts for order_hash in part.cancelled)
    return Cancellation(cancelled, {key: why for part in parts for key, why in part.refused.items()})
