"""The troubles traders met on the real venue, each by its name, as far as the wire is concerned.

Frozen sockets are in `test_user_stream.py`; a missing `market_resolved` is the settlement's to cope with.
"""

import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from eth_keys.backends import get_backend

from core.errors import RejectedError
from tests.live_venue.builders import CONDITION, FUNDER, order, posted, signer, wire_trade
from tests.live_venue.local_clob import LocalClob, Reply
from tests.live_venue.test_embedded_exchange import TEN, Trader, trading
from tests.live_venue.test_order_errors import BALANCE, DECIMALS
from tests.sim.conftest import Served
from tests.sim_clients.conftest import QUICK, asked_until, new_secret, served
from venues.polymarket.account import Account
from venues.polymarket.account_values import TradeState
from venues.polymarket.credentials import Secret, Wallet
from venues.polymarket.fills import Identity, executions
from venues.polymarket.order_client import OrderClient
from venues.polymarket.order_errors import (
    OrderRejectedError,
    OrderTransientError,
    OrderUnknownError,
    Reason,
    shortage,
)
from venues.polymarket.preflight import VenueClock, clock_problems
from venues.polymarket.signing import OrderTerms, SignedOrder
from venues.sim.auth.orders import Terms
from venues.sim.exchange import Operation


@pytest.fixture(scope="module")
def exchange() -> Iterator[Served]:
    yield from served(Operation(rules=QUICK))


@pytest.fixture
def trader(exchange: Served) -> Iterator[Trader]:
    with trading(exchange, Wallet(Secret(new_secret()))) as running:
        yield running
    misbehave(exchange)


def misbehave(exchange: Served, *rules: dict[str, Any]) -> None:
    content = json.dumps({"seed": 1, "rules": [{"probability": 1.0} | rule for rule in rules]}) if rules else ""
    exchange.http.post(exchange.urls["admin"] + "/faults", content=content).raise_for_status()


def refused(clob: LocalClob, orders: OrderClient, signed: SignedOrder, text: str, status: int = 400) -> Any:
    clob.on("POST", "/order", Reply({"error": text}, status))
    with pytest.raises(OrderRejectedError) as raised:
        orders.post(signed)
    return raised.value


def test_not_enough_balance_when_selling_just_after_buying(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "balance_lag", "duration_ms": 1_000})
    bought = trader.buy()
    trader.orders.post(bought)
    sold = trader.sign(side="SELL", limit_price=trader.terms.tick_size, shares=TEN)
    with pytest.raises(OrderRejectedError) as raised:
        trader.orders.post(sold)
    assert raised.value.balance_lags
    assert trader.confirmed(bought.order_hash).state.on_chain
    trader.account.refresh(trader.token)
    asked_until(lambda: trader.account.shares(trader.token), lambda balance: balance.sellable_shares >= TEN)
    # the refusal was definite: the same signed order may be sent again
    assert trader.orders.post(sold).status == "matched"


def test_the_sum_of_matched_orders_that_stays_stuck_is_funds_locked_for_a_while(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    error = refused(clob, orders, signed, BALANCE.replace("matched orders: 0", "matched orders: 5200000"))
    assert error.balance_lags
    figures = shortage(error.text)
    assert figures is not None
    assert figures.matched_orders == 5_200_000


def test_a_ghost_fill_is_provisional_and_undone_when_it_failed(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "settlement_fails"})
    signed = trader.buy()
    accepted = trader.orders.post(signed)
    assert accepted.status == "matched"
    trade = trader.confirmed(signed.order_hash)
    assert trade.state is TradeState.FAILED
    assert {fill.state for fill in trader.fills(trade)} == {"FAILED"}
    assert trader.account.shares(trader.token).units == 0


def test_decimals_in_market_orders_are_checked_before_they_are_sent(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    with pytest.raises(RejectedError, match="not whole cents"):
        signer().sign(order(limit_price=525_000, shares=10_010_000), OrderTerms(1_000))
    assert signer().sign(order(limit_price=525_000, shares=10_000_000), OrderTerms(1_000)).amounts.maker == 5_250_000
    assert refused(clob, orders, signed, DECIMALS).reason is Reason.DECIMALS


def test_the_tick_size_is_the_one_passed_in_and_never_a_remembered_one() -> None:
    signing = signer()
    with pytest.raises(RejectedError, match="not on the tick"):
        signing.sign(order(limit_price=525_000, order_type="GTC"), OrderTerms(10_000))
    assert signing.sign(order(limit_price=525_000, order_type="GTC"), OrderTerms(1_000))
    with pytest.raises(RejectedError, match="not on the tick"):
        signing.sign(order(limit_price=525_000, order_type="GTC"), OrderTerms(10_000))


def test_a_fak_that_answers_live_and_fills_later_is_found_by_its_trades(
    clob: LocalClob, orders: OrderClient, account: Account
) -> None:
    killed = signer().sign(order(order_type="FAK"), OrderTerms(10_000))
    nothing = {"status": "live", "makingAmount": "", "takingAmount": "", "tradeIDs": None}
    clob.on("POST", "/order", Reply(posted(killed.order_hash, **nothing)))
    accepted = orders.post(killed)
    assert (accepted.status, accepted.making, accepted.trade_ids) == ("live", None, ())
    found = wire_trade(taker_order_id=killed.order_hash)
    clob.on("GET", "/data/trades", Reply({"data": [found], "next_cursor": "LTE="}))
    (trade,) = account.trades(condition_id=CONDITION).trades
    (execution,) = executions(trade, Identity(FUNDER, ""))
    assert execution.leg.order_hash == killed.order_hash


def test_a_plain_wallet_that_is_refused_is_told_about_the_deposit_wallet() -> None:
    for exchange in served(Operation(terms=Terms(require_deposit_wallet=True), rules=QUICK)):
        with trading(exchange, Wallet(Secret(new_secret()))) as trader:
            with pytest.raises(OrderRejectedError, match="signature type 3") as raised:
                trader.orders.post(trader.buy())
            assert raised.value.reason is Reason.WALLET
            assert raised.value.needs_operator


def test_a_signer_that_is_not_the_api_keys_address_is_a_matter_of_credentials(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    error = refused(clob, orders, signed, "the order signer address has to be the address of the API KEY")
    assert (error.reason, error.needs_operator) == (Reason.CREDENTIALS, True)


def test_an_order_of_the_wrong_version_asks_for_a_new_negotiation(trader: Trader) -> None:
    wrong = signer(1, trader.wallet).sign(
        order(token_id=trader.token, limit_price=trader.ask), OrderTerms(10_000, fee_rate_bps=1000)
    )
    with pytest.raises(OrderRejectedError) as raised:
        trader.orders.post(wrong)
    assert raised.value.reason is Reason.VERSION
    assert "restart" in str(raised.value)


def test_a_cloudflare_403_is_a_block_and_our_user_agent_is_our_own(
    clob: LocalClob, orders: OrderClient, signed: SignedOrder
) -> None:
    clob.on("POST", "/order", Reply(b"error code: 1010", 403))
    with pytest.raises(OrderRejectedError) as raised:
        orders.post(signed)
    assert (raised.value.reason, raised.value.needs_operator) == (Reason.BLOCKED, True)
    assert "urllib" not in clob.asked[0].headers["user-agent"].lower()


def test_post_order_never_waits_for_the_settlement(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "settlement_slow", "duration_ms": 20_000})
    begun_s = time.monotonic()
    accepted = trader.orders.post(trader.buy())
    assert time.monotonic() - begun_s < 2.0
    assert accepted.trade_ids
    assert accepted.transaction_hashes == ()


def test_signing_uses_coincurve_where_it_is_installed() -> None:
    backend = type(get_backend()).__name__
    assert backend == ("CoinCurveECCBackend" if find_spec("coincurve") else "NativeECCBackend")


def test_a_timed_out_post_is_unknown_and_is_found_again_by_its_hash(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "accept_then_timeout", "duration_ms": 6_000})
    signed = trader.buy()
    with pytest.raises(OrderUnknownError) as raised:
        trader.orders.post(signed)
    assert raised.value.order_hash == signed.order_hash
    misbehave(exchange)
    cancelled = trader.orders.cancel(signed.order_hash)
    assert list(cancelled.refused) == [signed.order_hash]
    assert trader.fills(trader.confirmed(signed.order_hash))


def test_a_restarting_engine_is_waited_for(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "engine_restart", "duration_ms": 300, "post_only_ms": 300, "limit": 1})
    signed = trader.buy()
    reasons = set()

    def accepted() -> bool:
        try:
            return trader.orders.post(signed).status == "matched"
        except OrderTransientError as error:
            reasons.add(error.reason)
            return False

    asked_until(accepted, lambda done: done)
    assert reasons == {Reason.RESTARTING, Reason.POST_ONLY_MODE}


def test_a_delayed_order_is_neither_rejected_nor_filled_yet(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "delayed", "duration_ms": 300})
    signed = trader.buy()
    assert trader.orders.post(signed).status == "delayed"
    assert trader.fills(trader.confirmed(signed.order_hash))


def test_many_trades_for_one_order_add_up_to_what_the_venue_says_it_took(exchange: Served, trader: Trader) -> None:
    misbehave(exchange, {"kind": "many_trades"})
    signed = trader.buy()
    accepted = trader.orders.post(signed)
    assert len(accepted.trade_ids) > 1
    fills = trader.all_fills(accepted)
    assert len({fill.key for fill in fills}) == len(fills) >= len(accepted.trade_ids)
    assert sum(fill.notional_usd for fill in fills) == accepted.making
    assert sum(fill.shares for fill in fills) == accepted.taking


def test_a_clock_that_is_off_is_found_before_requests_are_refused_for_it() -> None:
    (problem,) = clock_problems(VenueClock(1_000_000_000, 1_000_060, 1_000_000_100))
    assert "behind" in problem.text
