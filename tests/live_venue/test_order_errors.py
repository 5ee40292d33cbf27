"""Every word of the venue's, as documented and as seen in threads, and what may be done after it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from venues.polymarket.connection import Answer
from venues.polymarket.order_errors import (
    OrderRejectedError,
    OrderTransientError,
    OrderUnknownError,
    Reason,
    Shortage,
    refusal,
    refusal_in_words,
    shortage,
)

BALANCE = (
    "not enough balance / allowance: the balance is not enough -> balance: 45967864, sum of active orders: 26800000, "
    "sum of matched orders: 0, order amount (inc. fees): 21550000"
)
DECIMALS = (
    "invalid amounts, the market buy orders maker amount supports a max accuracy of 2 decimals, "
    "taker amount a max of 4 decimals"
)
REJECTED = {
    "balance-not-enough": (400, BALANCE, Reason.BALANCE),
    "balance-older-form": (400, "not enough balance / allowance", Reason.BALANCE),
    "allowance-not-enough": (
        400,
        "not enough balance / allowance: the allowance is not enough -> spender: 0xE1, allowance: 0",
        Reason.ALLOWANCE,
    ),
    "lower-than-minimum": (400, "order 0xab is invalid. Size (4) lower than the minimum: 5", Reason.TOO_SMALL),
    "marketable-buy-minimum": (
        400,
        "invalid amount for a marketable BUY order ($0.9996), min size: $1",
        Reason.TOO_SMALL,
    ),
    "breaks-tick": (
        400,
        "order 0xab is invalid. Price (0.525) breaks minimum tick size rule: 0.01",
        Reason.OFF_TICK,
    ),
    "post-only-crosses": (400, "invalid post-only order: order crosses book", Reason.POST_ONLY_CROSSES),
    "fok-miss": (
        400,
        "order couldn't be fully filled. FOK orders are fully filled or killed.",
        Reason.FOK_UNFILLED,
    ),
    "fak-miss": (
        400,
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        Reason.FAK_UNMATCHED,
    ),
    "decimals": (
        400,
        DECIMALS,
        Reason.DECIMALS,
    ),
    "invalid-expiration": (400, "invalid expiration", Reason.EXPIRATION),
    "invalid-nonce": (400, "invalid nonce", Reason.NONCE),
    "signer-not-of-api-key": (
        400,
        "the order signer address has to be the address of the API KEY",
        Reason.CREDENTIALS,
    ),
    "owner-not-of-api-key": (400, "the order owner has to be the owner of the API KEY", Reason.CREDENTIALS),
    "invalid-signature": (400, "invalid signature", Reason.CREDENTIALS),
    "invalid-api-key": (401, "Unauthorized/Invalid api key", Reason.CREDENTIALS),
    "deposit-wallet-flow": (400, "maker address not allowed, please use the deposit wallet flow", Reason.WALLET),
    "closed-only": (400, "'0xab' address in closed only mode", Reason.ACCOUNT),
    "banned": (400, "'0xab' address banned", Reason.ACCOUNT),
    "version-mismatch": (400, "order_version_mismatch", Reason.VERSION),
    "version-invalid": (400, "invalid order version, please use the latest clob-client", Reason.VERSION),
    "no-orderbook": (404, "No orderbook exists for the requested token id", Reason.UNKNOWN_TOKEN),
    "words-nobody-documented": (400, "the moon is in the wrong phase", Reason.OTHER),
    "forbidden": (403, "Trading restricted in your region", Reason.BLOCKED),
}
WAITING = {
    "engine-restart": (425, "service not ready", Reason.RESTARTING),
    "too-many-requests": (429, "rate limit exceeded", Reason.RATE_LIMITED),
    "trading-disabled": (503, "Trading is currently disabled. Check polymarket.com for updates", Reason.CANCEL_ONLY),
    "cancel-only": (
        503,
        "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
        Reason.CANCEL_ONLY,
    ),
    "post-only-mode": (503, "Trading is currently in post-only mode", Reason.POST_ONLY_MODE),
    "not-ready": (400, "the market is not yet ready to process new orders", Reason.NOT_READY),
}
UNKNOWN = {
    "duplicated": (400, "order 0xab is invalid. Duplicated.", Reason.DUPLICATE),
    "match-delayed": (400, "order match delayed due to market conditions", Reason.DELAYED),
    "no-matching-orders": (500, "there are no matching orders", Reason.UNCLEAR),
    "rounding-issues": (500, "the trade contains rounding issues", Reason.UNCLEAR),
    "proxy-timeout": (504, "gateway timeout", Reason.UNCLEAR),
    "other-unavailable": (503, "upstream connect error", Reason.UNCLEAR),
    "request-timeout": (408, "request timeout", Reason.UNCLEAR),
}


def answer(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps({"error": text}).encode(), gate_sequence=7)


@pytest.mark.parametrize(("status", "text", "reason"), REJECTED.values(), ids=REJECTED)
def test_a_definite_refusal_is_rejected(status: int, text: str, reason: Reason) -> None:
    error = refusal(answer(status, text), "0xab")
    assert isinstance(error, OrderRejectedError)
    assert isinstance(error, RejectedError)
    assert (error.reason, error.gate_sequence) == (reason, 7)
    assert text in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(("status", "text", "reason"), WAITING.values(), ids=WAITING)
def test_what_surely_did_nothing_is_transient(status: int, text: str, reason: Reason) -> None:
    error = refusal(answer(status, text), "0xab")
    assert isinstance(error, OrderTransientError)
    assert isinstance(error, TransientError)
    assert (error.reason, error.retry_after_s) == (reason, None)


@pytest.mark.parametrize(("status", "text", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_may_have_happened_is_unknown_and_names_the_order(status: int, text: str, reason: Reason) -> None:
    error = refusal(answer(status, text), "0xab")
    assert isinstance(error, OrderUnknownError)
    assert isinstance(error, UnknownOutcomeError)
    assert (error.reason, error.order_hash, error.gate_sequence) == (reason, "0xab", 7)


@pytest.mark.parametrize("status", [400, 404, 500, 502, 520])
def test_an_answer_that_is_not_the_venues_own_is_unknown(status: int) -> None:
    page = b"<html>\n<h1>Bad gateway</h1>\n</html>"
    error = refusal(Answer(status, {}, page), "0xab")
    assert isinstance(error, OrderUnknownError)
    assert "\n" not in str(error)


@pytest.mark.parametrize(("status", "kind"), [(429, OrderTransientError), (403, OrderRejectedError)])
def test_what_a_proxy_refuses_never_reached_the_venue(status: int, kind: type[Exception]) -> None:
    assert isinstance(refusal(Answer(status, {}, b"error code: 1010")), kind)


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)])
def test_retry_after_is_read_where_it_is_seconds(header: str, seconds: float | None) -> None:
    error = refusal(answer(429, "rate limit exceeded", **{"retry-after": header}))
    assert isinstance(error, OrderTransientError)
    assert error.retry_after_s == seconds


def test_a_lagging_balance_is_recognised_with_its_figures() -> None:
    error = refusal(answer(400, BALANCE))
    assert isinstance(error, OrderRejectedError)
    assert error.balance_lags
    assert shortage(error.text) == Shortage(45_967_864, 26_800_000, 0, 21_550_000)
    assert shortage("not enough balance / allowance") is None
    allowance = refusal(answer(400, REJECTED["allowance-not-enough"][1]))
    assert isinstance(allowance, OrderRejectedError)
    assert not allowance.balance_lags


def test_misses_are_killed_orders_and_wrong_keys_need_a_person() -> None:
    for name, (status, text, _) in REJECTED.items():
        error = refusal(answer(status, text))
        assert isinstance(error, OrderRejectedError)
        assert error.killed == (name in {"fok-miss", "fak-miss"})
    wrong = refusal(answer(400, "invalid signature"))
    assert isinstance(wrong, OrderRejectedError)
    assert wrong.needs_operator
    assert "derive the API key" in str(wrong)


def test_an_item_of_a_batch_is_classified_by_its_words() -> None:
    error = refusal_in_words("order 0xab is invalid. Size (4) lower than the minimum: 5", "0xab")
    assert isinstance(error, OrderRejectedError)
    assert error.reason is Reason.TOO_SMALL


@given(st.integers(201, 599), st.binary(max_size=200), st.dictionaries(st.just("retry-after"), st.text(max_size=30)))
def test_any_answer_is_one_of_the_three_in_one_line(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = refusal(Answer(status, headers, body), "0xab")
    assert isinstance(error, OrderRejectedError | OrderTransientError | OrderUnknownError)
    assert len(str(error).splitlines()) == 1
