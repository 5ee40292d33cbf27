"""What must hold before live trading: the order version is negotiated, and each problem says what to do."""

from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import FatalError, TransientError
from core.market.market import Market
from core.market.window import Window
from core.trading.limits import KNOWN_PROTOCOLS
from tests.live_venue.builders import FUNDER, NOW_MS, PRIVATE_KEY, WALLET
from tests.live_venue.local_clob import LocalClob, Reply
from venues.polymarket.account import ANY_SPENDER, Account, Balance
from venues.polymarket.credentials import Secret, Wallet
from venues.polymarket.preflight import (
    VenueClock,
    account_problems,
    clock_problems,
    funds_problems,
    market_problems,
    read_clock,
    version_problems,
    wallet_problems,
)
from venues.polymarket.signing import signer_address
from venues.polymarket.versions import negotiate, order_format
from venues.rest import Rest

EXCHANGE = order_format(2, WALLET).exchange(neg_risk=False)


@pytest.fixture
def rest(clob: LocalClob) -> Iterator[Rest]:
    client = Rest(clob.url)
    yield client
    client.close()


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_we_sign_is_negotiated(clob: LocalClob, rest: Rest, version: int) -> None:
    clob.on("GET", "/version", Reply({"version": version}))
    assert negotiate(rest) == version
    assert order_format(version, WALLET).version == version
    assert version_problems(version) == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply({"version": 3}), "order version 3.*install a release"),
        (Reply({"version": 0}), "order version 0"),
        (Reply({"version": "two"}), "does not say which order version"),
        (Reply({}), "does not say which order version"),
        (Reply({}, 404), "does not say which order version"),
    ],
    ids=["three", "zero", "words", "nothing", "not-found"],
)
def test_any_other_version_is_a_clear_refusal(clob: LocalClob, rest: Rest, reply: Reply, reason: str) -> None:
    clob.on("GET", "/version", reply)
    with pytest.raises(FatalError, match=reason):
        negotiate(rest)
    assert version_problems(3)[0].text == "the venue takes 3, this program signs (1, 2)"
    with pytest.raises(FatalError, match="version 3 cannot be signed"):
        order_format(3, WALLET)


def test_a_venue_that_cannot_be_asked_is_not_a_version(clob: LocalClob, rest: Rest) -> None:
    clob.on("GET", "/version", Reply(b"", 502))
    with pytest.raises(TransientError):
        negotiate(rest)


@pytest.mark.parametrize(
    ("asked_ms", "answered_ms", "skew_ms"),
    [
        (NOW_MS, NOW_MS + 80, 0),
        (NOW_MS + 9_000, NOW_MS + 9_080, 8_356),
        (NOW_MS - 9_080, NOW_MS - 9_000, -8_645),
        (NOW_MS - 20_000, NOW_MS + 20_000, 0),
    ],
)
def test_skew_is_what_travel_and_whole_seconds_do_not_explain(asked_ms: int, answered_ms: int, skew_ms: int) -> None:
    assert VenueClock(asked_ms, NOW_MS // 1000, answered_ms).skew_ms == skew_ms


def test_a_clock_that_is_off_is_a_problem_with_its_direction() -> None:
    assert clock_problems(VenueClock(NOW_MS, NOW_MS // 1000, NOW_MS)) == []
    (ahead,) = clock_problems(VenueClock(NOW_MS + 60_000, NOW_MS // 1000, NOW_MS + 60_000))
    (behind,) = clock_problems(VenueClock(NOW_MS - 60_000, NOW_MS // 1000, NOW_MS - 60_000))
    assert "ahead of the venue" in ahead.text
    assert "behind the venue" in behind.text
    assert str(ahead).startswith("clock: this host is ")
    ticks = iter([5, 9])
    assert read_clock(lambda: 7, lambda: next(ticks)) == VenueClock(5, 7, 9)


@pytest.mark.parametrize(
    ("units", "allowances", "subjects"),
    [
        (100, {EXCHANGE.lower(): 2**256 - 1}, []),
        (99, {EXCHANGE.lower(): 100}, ["balance"]),
        (100, {EXCHANGE.lower(): 99}, ["allowance"]),
        (0, {}, ["balance", "allowance"]),
        (100, {ANY_SPENDER: 100}, []),
    ],
)
def test_dollars_and_allowance_must_cover_the_limits(
    units: int, allowances: dict[str, int], subjects: list[str]
) -> None:
    assert [problem.subject for problem in funds_problems(Balance(units, allowances), EXCHANGE, 100)] == subjects


@pytest.mark.parametrize(
    ("wallet", "said"),
    [
        (WALLET, None),
        (Wallet(Secret(PRIVATE_KEY), 1, FUNDER), None),
        (Wallet(Secret("0xabc")), "no 64 hexadecimal digits"),
        (Wallet(Secret(PRIVATE_KEY), 1), "needs the funder"),
        (Wallet(Secret(PRIVATE_KEY), 9), "does not exist"),
    ],
)
def test_a_wallet_must_fit_together(wallet: Wallet, said: str | None) -> None:
    problems = [str(problem) for problem in wallet_problems(wallet)]
    assert len(problems) == (said is not None)
    assert said is None or said in problems[0]
    assert not any(PRIVATE_KEY[2:] in problem for problem in problems)


def test_a_market_of_another_protocol_is_named() -> None:
    def market(version: str) -> Market:
        return Market(Window("BTC", 1_776_727_800, 900), "0xc0", "1", "2", 10_000, 5_000_000, None, 150, version)

    assert market_problems([market(version) for version in KNOWN_PROTOCOLS]) == []
    (problem,) = market_problems([market("v2")])
    assert problem.subject == "btc-updown-15m-1776727800"
    assert "'v2'" in problem.text


def test_the_account_is_asked_for_keys_dollars_and_allowance(clob: LocalClob, account: Account) -> None:
    def answers(balance: dict[str, Any]) -> None:
        clob.on("GET", "/balance-allowance", Reply(balance))
        clob.on("GET", "/data/orders", Reply({"data": [], "next_cursor": "LTE="}))

    answers({"balance": "100", "allowances": {EXCHANGE: "100"}})
    assert account_problems(account, WALLET, EXCHANGE, 100) == []
    answers({"balance": "0", "allowances": {}})
    subjects = [problem.subject for problem in account_problems(account, WALLET, EXCHANGE, 100)]
    assert subjects == ["balance", "allowance", "wallet"]
    clob.on("GET", "/balance-allowance", Reply({"error": "Unauthorized/Invalid api key"}, 401))
    (problem,) = account_problems(account, WALLET, EXCHANGE, 100)
    assert problem.subject == "account"
    assert signer_address(WALLET) in problem.remedy
