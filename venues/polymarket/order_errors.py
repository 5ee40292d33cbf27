"""The venue's words for why an order or a cancel was not taken, as errors that say what may be done next."""

import re
from enum import StrEnum

import msgspec

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from venues.polymarket.connection import Answer
from venues.polymarket.numbers import parse_whole
from venues.transport import BadFrameError


class Reason(StrEnum):
    """Why the venue refused, or what it asks to wait for."""

    BALANCE = "BALANCE"
    ALLOWANCE = "ALLOWANCE"
    TOO_SMALL = "TOO_SMALL"
    OFF_TICK = "OFF_TICK"
    DECIMALS = "DECIMALS"
    POST_ONLY_CROSSES = "POST_ONLY_CROSSES"
    FOK_UNFILLED = "FOK_UNFILLED"
    FAK_UNMATCHED = "FAK_UNMATCHED"
    EXPIRATION = "EXPIRATION"
    NONCE = "NONCE"
    UNKNOWN_TOKEN = "UNKNOWN_TOKEN"  # noqa: S105 - a token of a market
    CREDENTIALS = "CREDENTIALS"
    WALLET = "WALLET"
    ACCOUNT = "ACCOUNT"
    VERSION = "VERSION"
    BLOCKED = "BLOCKED"
    OTHER = "OTHER"
    NOT_READY = "NOT_READY"
    RESTARTING = "RESTARTING"
    RATE_LIMITED = "RATE_LIMITED"
    CANCEL_ONLY = "CANCEL_ONLY"
    POST_ONLY_MODE = "POST_ONLY_MODE"
    DUPLICATE = "DUPLICATE"
    DELAYED = "DELAYED"
    UNCLEAR = "UNCLEAR"


REMEDIES = {
    Reason.ALLOWANCE: "approve the exchange contract once with the wallet, then refresh the balance",
    Reason.CREDENTIALS: "derive the API key with this wallet's key and signature type",
    Reason.WALLET: "set signature type 3 and the deposit wallet as funder",
    Reason.ACCOUNT: "the venue restricted the account: only it can lift that",
    Reason.VERSION: "the venue moved to another order version: restart to negotiate it",
    Reason.BLOCKED: "this host or region may not trade there",
}
"""What a person has to do; reasons without an entry end with the order."""
KILLED = frozenset({Reason.FOK_UNFILLED, Reason.FAK_UNMATCHED})
"""The order was taken and killed for want of a counterparty: cancelled rather than rejected."""


class OrderRejectedError(RejectedError):
    """Raised when the venue definitively refused; `text` is what it said."""

    def __init__(self, reason: Reason, text: str, gate_sequence: int = 0) -> None:
        remedy = REMEDIES.get(reason)
        super().__init__(text if remedy is None else f"{text} ({remedy})")
        self.reason = reason
        self.text = text
        self.gate_sequence = gate_sequence

    @property
    def killed(self) -> bool:
        """Whether the order was a FOK or FAK that found no counterparty."""
        return self.reason in KILLED

    @property
    def needs_operator(self) -> bool:
        """Whether every further order would be refused too until a person changes something."""
        return self.reason in REMEDIES

    @property
    def balance_lags(self) -> bool:
        """Whether this may be the venue's balance lagging a fill: wait for MINED, refresh it, then try again.

        Funds held by matched orders (`sum of matched orders`) come free the same way.
        """
        return self.reason is Reason.BALANCE


class OrderTransientError(TransientError):
    """Raised when nothing happened; `retry_after_s` is the venue's wish, None where it has none."""

    def __init__(self, reason: Reason, text: str, retry_after_s: float | None = None, gate_sequence: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.gate_sequence = gate_sequence


class OrderUnknownError(UnknownOutcomeError):
    """Raised when the order may stand or have traded: cancel it by `order_hash` and look for its trades."""

    def __init__(self, reason: Reason, text: str, order_hash: str | None, gate_sequence: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.order_hash = order_hash
        self.gate_sequence = gate_sequence


class Shortage(msgspec.Struct, frozen=True):
    """The figures of a balance refusal, in 1e-6 of a dollar or share."""

    balance: int
    active_orders: int
    matched_orders: int
    needed: int


# the first that fits, matched against lower-case text
_REJECTED = (
    ("the allowance is not enough", Reason.ALLOWANCE),
    ("not enough balance", Reason.BALANCE),
    ("lower than the minimum", Reason.TOO_SMALL),
    ("min size: $", Reason.TOO_SMALL),
    ("breaks minimum tick size rule", Reason.OFF_TICK),
    ("invalid amounts", Reason.DECIMALS),
    ("order crosses book", Reason.POST_ONLY_CROSSES),
    ("fok orders are fully filled or killed", Reason.FOK_UNFILLED),
    ("no orders found to match with fak order", Reason.FAK_UNMATCHED),
    ("invalid expiration", Reason.EXPIRATION),
    ("invalid nonce", Reason.NONCE),
    ("no orderbook exists", Reason.UNKNOWN_TOKEN),
    ("address of the api key", Reason.CREDENTIALS),
    ("owner of the api key", Reason.CREDENTIALS),
    ("invalid signature", Reason.CREDENTIALS),
    ("maker address not allowed", Reason.WALLET),
    ("closed only mode", Reason.ACCOUNT),
    ("banned", Reason.ACCOUNT),
    ("order_version_mismatch", Reason.VERSION),
    ("invalid order version", Reason.VERSION),
)
_SHORTAGE = re.compile(
    r"balance: (\d+), sum of active orders: (\d+), sum of matched orders: (\d+), order amount \(inc\. fees\): (\d+)"
)
_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT = 400, 401, 403, 404, 408
_TOO_EARLY, _TOO_MANY, _SERVER_ERROR, _UNAVAILABLE = 425, 429, 500, 503


class _Error(msgspec.Struct):
    error: str | None = None
    error_msg: str | None = None
    error_message: str | None = msgspec.field(name="errorMsg", default=None)


_errors = msgspec.json.Decoder(_Error)


def said(answer: Answer) -> str | None:
    """Return the venue's own words in an answer, on one line; None when it is not the venue that speaks."""
    try:
        error = _errors.decode(answer.body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    text = error.error or error.error_msg or error.error_message
    return " ".join(text.split())[:300] if text else None


def refusal(
    answer: Answer, order_hash: str | None = None
) -> OrderRejectedError | OrderTransientError | OrderUnknownError:
    """Return the error that an answer without success stands for.

    Rejected only where the venue itself said so, transient only where nothing can have happened, else unknown.
    """
    text = said(answer)
    status, sequence = answer.status, answer.gate_sequence
    shown = f"HTTP {status}: {text or _glimpse(answer.body)}"
    waiting = _transient(status, (text or "").lower())
    if waiting is not None:
        return OrderTransientError(waiting, shown, _retry_after_s(answer), sequence)
    if status == _UNAUTHORIZED:
        return OrderRejectedError(Reason.CREDENTIALS, shown, sequence)
    if status == _FORBIDDEN:
        return OrderRejectedError(_reason(text) or Reason.BLOCKED, shown, sequence)
    if text is None or status >= _SERVER_ERROR or status == _TIMEOUT:
        return OrderUnknownError(Reason.UNCLEAR, shown, order_hash, sequence)
    return refusal_in_words(text, order_hash, sequence, shown)


def refusal_in_words(
    text: str, order_hash: str | None = None, gate_sequence: int = 0, shown: str | None = None
) -> OrderRejectedError | OrderTransientError | OrderUnknownError:
    """Return the error that the venue's words stand for, in an answer or in one item of a batch."""
    words = text.lower()
    shown = shown or text
    if "is invalid. duplicated" in words:
        return OrderUnknownError(Reason.DUPLICATE, f"{shown} (the venue had it before)", order_hash, gate_sequence)
    if "order match delayed" in words:
        return OrderUnknownError(Reason.DELAYED, shown, order_hash, gate_sequence)
    if "not yet ready to process" in words:
        return OrderTransientError(Reason.NOT_READY, shown, None, gate_sequence)
    return OrderRejectedError(_reason(text) or Reason.OTHER, shown, gate_sequence)


def shortage(text: str) -> Shortage | None:
    """Return the figures of a balance refusal; None for the older form, which has none."""
    found = _SHORTAGE.search(text)
    return None if found is None else Shortage(*(int(number) for number in found.groups()))


def _reason(text: str | None) -> Reason | None:
    words = (text or "").lower()
    return next((reason for part, reason in _REJECTED if part in words), None)


def _transient(status: int, words: str) -> Reason | None:
    if status == _TOO_EARLY:
        return Reason.RESTARTING
    if status == _TOO_MANY:
        return Reason.RATE_LIMITED
    if status == _UNAVAILABLE and "post-only" in words:
        return Reason.POST_ONLY_MODE
    if status == _UNAVAILABLE and ("cancel-only" in words or "trading is currently disabled" in words):
        return Reason.CANCEL_ONLY
    return None


def _retry_after_s(answer: Answer) -> float | None:
    """Return what `retry-after` asks in seconds; a date, which the venue does not send, counts as nothing."""
    try:
        return float(parse_whole(answer.headers.get("retry-after", "").strip()))
    except BadFrameError:
        return None


def _glimpse(body: bytes) -> str:
    return " ".join(body[:120].decode(errors="replace").split()) or "an empty answer"
