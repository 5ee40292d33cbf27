"""The live client on the embedded exchange, which shares no code with it: orders, fills, cancels, balances."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Queue
from random import Random

import msgspec
import pytest

from core.market.market import FeeSchedule
from core.runtime.gate import GateCell
from core.trading.gate import OrderKind
from core.trading.money import MICRO, micros
from core.trading.orders import Fill, Order
from tests.feeds.local_venue import Stop
from tests.live_venue.builders import order
from tests.sim.conftest import Served
from tests.sim_clients.conftest import QUICK, asked_until, new_secret, open_market, served, tokens, touch
from venues.polymarket.account import Account
from venues.polymarket.account_values import OrderUpdate, TradeState, TradeUpdate, UserEvent, VenueTrade
from venues.polymarket.auth import Level2
from venues.polymarket.clob import Clob
from venues.polymarket.connection import Connections
from venues.polymarket.credentials import POLY_PROXY, Secret, Wallet
from venues.polymarket.fills import Identity, executions, fill_of
from venues.polymarket.heartbeat import Heartbeat
from venues.polymarket.keys import Keys
from venues.polymarket.order_client import Accepted, OrderClient
from venues.polymarket.order_errors import OrderRejectedError, OrderUnknownError, Reason
from venues.polymarket.preflight import account_problems, clock_problems, read_clock, wallet_problems
from venues.polymarket.session import Session
from venues.polymarket.signing import OrderSigner, OrderTerms, SignedOrder, funder_address, signer_address
from venues.polymarket.user_stream import UserMessage, UserReceived, UserStream
from venues.polymarket.versions import negotiate, order_format
from venues.rest import Rest
from venues.sim.auth.orders import Terms
from venues.sim.auth.wallets import wallets_of
from venues.sim.exchange import Operation

FEES = FeeSchedule(0.07, 1, taker_only=True)
TEN = 10_000_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Trader:
    """Everything the live broker has of one wallet, negotiated and keyed as at a start."""

    def __init__(self, exchange: Served, wallet: Wallet) -> None:
        self.wallet = wallet
        self.clob_url = exchange.urls["clob"]
        self.connections = Connections(self.clob_url)
        rest = Rest(self.clob_url)
        self.version = negotiate(rest)
        rest.close()
        self.format = order_format(self.version, wallet)
        self.signer = OrderSigner(self.format, now_ms, Random(5))
        self.api_key = Keys(self.connections, wallet, now_ms).api_key()
        self.session = Session(self.connections, Level2(signer_address(wallet), self.api_key, now_ms))
        self.orders = OrderClient(self.session)
        self.account = Account(self.session, wallet.signature_type)
        self.identity = Identity(funder_address(wallet), self.api_key.key.reveal())
        self.gate = GateCell()
        market = open_market(exchange)
        self.condition_id = market["conditionId"]
        self.token, _ = tokens(market)
        bid, ask = touch(exchange, self.token)
        self.bid, self.ask = micros(bid), micros(ask)
        self.terms = OrderTerms(micros(market["orderPriceMinTickSize"]), fee_rate_bps=1000)

    def sign(self, **changes: object) -> SignedOrder:
        wanted: Order = order(token_id=self.token, condition_id=self.condition_id, **changes)
        return self.signer.sign(wanted, self.terms)

    def buy(self, shares: int = TEN) -> SignedOrder:
        """Sign a FOK buy that crosses the book by a few ticks, in whole shares."""
        return self.sign(limit_price=min(self.ask + 3 * self.terms.tick_size, 990_000), shares=shares)

    def confirmed(self, order_hash: str) -> VenueTrade:
        """Return the trade of an order when it is final."""

        def trade() -> VenueTrade | None:
            seen = self.account.trades(condition_id=self.condition_id)
            assert seen.unreadable == ()
            return next((t for t in seen.trades if t.taker.order_hash == order_hash and t.state.is_final), None)

        found = asked_until(trade, lambda t: t is not None)
        assert found is not None
        return found

    def all_fills(self, accepted: Accepted) -> list[Fill]:
        """Return the fills of all trades of an order when they are final."""

        def trades() -> list[VenueTrade]:
            seen = self.account.trades(condition_id=self.condition_id).trades
            return [t for t in seen if t.trade_id in accepted.trade_ids and t.state.is_final]

        found = asked_until(trades, lambda final: len(final) == len(accepted.trade_ids))
        return [fill for trade in found for fill in self.fills(trade)]

    def fills(self, trade: VenueTrade) -> list[Fill]:
        return [fill_of(execution, trade, "order-1", FEES) for execution in executions(trade, self.identity)]


@pytest.fixture(scope="module")
def exchange() -> Iterator[Served]:
    yield from served(Operation(rules=QUICK))


@pytest.fixture
def trader(exchange: Served) -> Iterator[Trader]:
    with trading(exchange, Wallet(Secret(new_secret()))) as running:
        yield running


@contextmanager
def trading(exchange: Served, wallet: Wallet) -> Iterator[Trader]:
    running = Trader(exchange, wallet)
    yield running
    running.connections.close()


def test_the_preflight_passes_for_a_funded_wallet(exchange: Served, trader: Trader) -> None:
    clob = Clob(trader.clob_url)
    assert clock_problems(read_clock(clob.time_s, now_ms)) == []
    clob.close()
    assert wallet_problems(trader.wallet) == []
    spender = trader.format.exchange(neg_risk=False)
    assert account_problems(trader.account, trader.wallet, spender, 10_000 * MICRO) == []
    problems = account_problems(trader.account, trader.wallet, spender, 10_001 * MICRO)
    assert "balance" in [problem.subject for problem in problems]


def test_a_buy_through_the_gate_is_confirmed_and_the_cash_agrees(trader: Trader) -> None:
    signed = trader.buy()
    before = trader.account.cash().units
    accepted = trader.orders.post(signed, hand_over=partial(trader.gate.submit, "BTC", OrderKind.OPEN_ORDER))
    assert (accepted.status, accepted.order_hash) == ("matched", signed.order_hash)
    fills = trader.all_fills(accepted)
    assert {fill.state for fill in fills} == {"CONFIRMED"}
    # a FOK buy spends its dollars: below its limit it gets more shares than it was for
    bought = sum(fill.shares for fill in fills)
    assert bought == accepted.taking
    assert bought >= TEN
    assert {fill.order_hash for fill in fills} == {signed.order_hash}
    spent = before - trader.account.cash().units
    assert sum(fill.notional_usd for fill in fills) == accepted.making
    # a step of the fee's rounding for each fill
    assert abs(spent - sum(fill.notional_usd + fill.fee_usd for fill in fills)) <= 10 * len(fills)
    assert accepted.making is not None
    assert accepted.making <= signed.amounts.maker
    held = asked_until(lambda: trader.account.shares(trader.token), lambda balance: balance.units > 0)
    assert held.units == bought
    assert held.sellable_shares % 10_000 == 0


def test_what_was_bought_can_be_sold_when_it_is_on_the_chain(trader: Trader) -> None:
    bought = trader.buy()
    trader.orders.post(bought)
    trader.confirmed(bought.order_hash)
    asked_until(lambda: trader.account.shares(trader.token), lambda balance: balance.units >= TEN)
    sold = trader.sign(side="SELL", limit_price=trader.terms.tick_size, shares=TEN)
    accepted = trader.orders.post(sold)
    assert (accepted.status, accepted.making) == ("matched", TEN)
    fills = trader.all_fills(accepted)
    assert sum(fill.notional_usd for fill in fills) == accepted.taking


def test_a_resting_order_is_seen_and_cancelled_by_its_hash(trader: Trader) -> None:
    resting = trader.sign(order_type="GTC", limit_price=trader.terms.tick_size, shares=100 * MICRO)
    assert trader.orders.post(resting, post_only=True).status == "live"
    (seen,) = trader.account.open_orders(trader.condition_id)
    assert (seen.order_hash, seen.shares, seen.filled_shares) == (resting.order_hash, 100 * MICRO, 0)
    shown = trader.account.order(resting.order_hash)
    assert shown is not None
    assert shown.price == trader.terms.tick_size
    assert trader.orders.cancel(resting.order_hash).cancelled == (resting.order_hash,)
    assert list(trader.orders.cancel(resting.order_hash).refused) == [resting.order_hash]
    assert trader.account.open_orders() == ()
    again = trader.sign(order_type="GTC", limit_price=trader.terms.tick_size, shares=100 * MICRO)
    trader.orders.post(again)
    assert trader.orders.cancel_market(trader.condition_id).cancelled == (again.order_hash,)
    assert trader.orders.cancel_all().cancelled == ()


def test_the_same_order_sent_twice_is_known_by_its_hash_and_not_a_second_one(trader: Trader) -> None:
    resting = trader.sign(order_type="GTC", limit_price=trader.terms.tick_size, shares=100 * MICRO)
    trader.orders.post(resting)
    with pytest.raises(OrderUnknownError) as raised:
        trader.orders.post(resting)
    assert raised.value.reason is Reason.DUPLICATE
    assert len(trader.account.open_orders()) == 1
    trader.orders.cancel_all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"limit_price": 10_000, "shares": 1_000 * MICRO}, Reason.FOK_UNFILLED),
        ({"limit_price": 10_000, "shares": 1_000 * MICRO, "order_type": "FAK"}, Reason.FAK_UNMATCHED),
        ({"limit_price": 10_000, "shares": MICRO, "order_type": "GTC"}, Reason.TOO_SMALL),
        ({"limit_price": 990_000, "shares": 20_000 * MICRO, "order_type": "GTC"}, Reason.BALANCE),
        ({"side": "SELL", "limit_price": 990_000, "order_type": "GTC"}, Reason.BALANCE),
    ],
)
def test_refusals_come_with_their_reason(trader: Trader, changes: dict[str, object], reason: Reason) -> None:
    with pytest.raises(OrderRejectedError) as raised:
        trader.orders.post(trader.sign(**changes))
    assert raised.value.reason is reason


def test_a_signature_that_was_tampered_with_is_refused_as_credentials(trader: Trader) -> None:
    signed = trader.buy()
    payload = msgspec.json.decode(signed.payload, type=dict[str, str | int])
    payload["makerAmount"] = str(signed.amounts.maker - 10_000)
    forged = msgspec.structs.replace(signed, payload=msgspec.Raw(msgspec.json.encode(payload)))
    with pytest.raises(OrderRejectedError) as raised:
        trader.orders.post(forged)
    assert raised.value.needs_operator


def test_heartbeats_follow_each_other(trader: Trader) -> None:
    heartbeat = Heartbeat(trader.session)
    for _ in range(3):
        heartbeat.beat()
    other = Heartbeat(trader.session)
    other.beat()


def test_the_user_channel_tells_of_the_order_and_of_every_state_of_its_trade(exchange: Served, trader: Trader) -> None:
    messages: Queue[UserMessage] = Queue()
    stop = Stop()
    stream = UserStream(exchange.urls["user_ws"], trader.api_key, [trader.condition_id], now_ms)
    thread = threading.Thread(target=stream.run, args=(messages.put, stop))
    thread.start()
    try:
        messages.get(timeout=5)
        signed = trader.buy()
        accepted = trader.orders.post(signed)
        heard = heard_until_final(messages, accepted.trade_ids)
    finally:
        stop.set()
        thread.join(5)
    assert signed.order_hash in {event.order.order_hash for event in heard if isinstance(event, OrderUpdate)}
    trades = [event.trade for event in heard if isinstance(event, TradeUpdate)]
    for trade_id in accepted.trade_ids:
        states = [trade.state for trade in trades if trade.trade_id == trade_id]
        assert states == [TradeState.MATCHED, TradeState.MINED, TradeState.CONFIRMED]
    by_rest = trader.account.trades(condition_id=trader.condition_id).trades
    assert keys_of(trader, trades) == keys_of(trader, by_rest)


def keys_of(trader: Trader, trades: Iterable[VenueTrade]) -> set[str]:
    return {fill.key for trade in trades for fill in trader.fills(trade)}


def heard_until_final(messages: Queue[UserMessage], trade_ids: Iterable[str]) -> list[UserEvent]:
    heard: list[UserEvent] = []
    final: set[str] = set()
    while not final.issuperset(trade_ids):
        message = messages.get(timeout=10)
        if isinstance(message, UserReceived):
            heard.extend(message.events)
            trades = [event.trade for event in message.events if isinstance(event, TradeUpdate)]
            final.update(trade.trade_id for trade in trades if trade.state.is_final)
    return heard


def test_a_proxy_wallet_trades_with_its_funders_money(exchange: Served) -> None:
    key = Secret(new_secret())
    proxy = wallets_of(signer_address(Wallet(key))).proxy
    with trading(exchange, Wallet(key, POLY_PROXY, proxy)) as trader:
        signed = trader.buy()
        trader.orders.post(signed)
        assert trader.fills(trader.confirmed(signed.order_hash))


def test_version_1_is_negotiated_and_trades() -> None:
    for exchange in served(Operation(terms=Terms(version=1), rules=QUICK)):
        with trading(exchange, Wallet(Secret(new_secret()))) as trader:
            assert trader.version == 1
            signed = trader.buy()
            accepted = trader.orders.post(signed)
            assert accepted.order_hash == signed.order_hash
            assert sum(fill.shares for fill in trader.all_fills(accepted)) == accepted.taking
