"""A match becomes a trade: who gives what to whom, what the taker pays in fees, and when the chain has it."""

import hashlib
from collections.abc import Sequence

from venues.sim.faults import Faults, share
from venues.sim.trading.amounts import maker_cash, taker_cash, taker_fee
from venues.sim.trading.matching import Lot, own_price
from venues.sim.trading.records import COLLATERAL, FEES, USD, WORLD, Leg, Take, Traded
from venues.sim.trading.state import Order
from venues.sim.trading.values import MakerOrder, Outcome, Side, TradingRules
from venues.sim.world.listing import Listing


class Desk:
    """Writes up trades for one exchange: ids and delays follow from the world's seed and the trade's number.

    A trade that is retried, or fails in the end, takes twice as long; that it is retried shows halfway.
    """

    def __init__(self, seed: int, rules: TradingRules) -> None:
        self._seed, self._rules = seed, rules
        self.faults = Faults()

    def taken(self, market: Listing, taker: Order, lots: Sequence[Lot], number: int, rate: int, now_ms: int) -> Traded:
        """Return the trade of an account's order with lots of one price."""
        price = own_price(taker, lots[0].up_price)
        trade_id = self._identifier("trade", number)
        makers: list[MakerOrder] = []
        legs: list[Leg] = []
        takes: list[Take] = []
        cash = 0
        for lot in lots:
            if lot.maker is None:
                paid = taker_cash(taker.new.side, lot.shares, price)
                legs += _transfer(taker.new.account, WORLD, taker.new.side, taker.new.token_id, lot.shares, paid)
                makers.append(self._world_maker(taker, price, lot.shares, f"{trade_id}|{len(makers)}"))
                takes.append(Take("ask" if taker.is_bid else "bid", lot.up_price, lot.shown, lot.shares))
            else:
                paid, more = _met(taker, lot.maker, lot.shares)
                legs += more
                makers.append(_part(lot.maker, lot.shares))
            cash += paid
        shares = sum(lot.shares for lot in lots)
        fee = taker_fee(shares, price, rate)
        if fee:
            legs += [Leg(taker.new.account, USD, -fee, "fee"), Leg(FEES, USD, fee, "fee")]
        return self._traded(
            market,
            trade_id,
            taker.outcome,
            taker.new.side,
            taker.new.token_id,
            price,
            shares,
            cash,
            fee,
            (taker.new.order_id, taker.new.owner, taker.new.account),
            makers,
            legs,
            takes,
            now_ms,
        )

    def given(
        self, market: Listing, fills: Sequence[tuple[Order, int]], takes: Sequence[Take], number: int, now_ms: int
    ) -> Traded:
        """Return the trade of a taker of the world with resting orders, each at its own price and without a fee.

        It is told from the side of the last order's opposite; its price is that order's.
        """
        trade_id = self._identifier("trade", number)
        last = fills[-1][0]
        legs: list[Leg] = []
        for order, shares in fills:
            cash = maker_cash(order.new.side, shares, order.price)
            legs += _transfer(order.new.account, WORLD, order.new.side, order.new.token_id, shares, cash)
        side: Side = "SELL" if last.new.side == "BUY" else "BUY"
        size = sum(shares for _, shares in fills)
        taker = (
            "0x" + self._hex("world order", trade_id),
            self._identifier("world key", trade_id),
            "0x" + self._hex("world account", trade_id)[:40],
        )
        return self._traded(
            market, trade_id, last.outcome, side, last.new.token_id, last.price, size,
            sum(maker_cash(order.new.side, shares, order.price) for order, shares in fills), 0,
            taker, [_part(order, shares) for order, shares in fills], legs, takes, now_ms,
        )  # fmt: skip

    def transaction_hash(self, trade_id: str) -> str:
        """Return the hash of the transaction that settles a trade."""
        return "0x" + self._hex("transaction", trade_id)

    def _traded(
        self,
        market: Listing,
        trade_id: str,
        outcome: Outcome,
        side: Side,
        token_id: str,
        price: int,
        shares: int,
        cash: int,
        fee: int,
        taker: tuple[str, str, str],
        makers: Sequence[MakerOrder],
        legs: Sequence[Leg],
        takes: Sequence[Take],
        now_ms: int,
    ) -> Traded:
        rules, faults = self._rules, self.faults
        scope = f"{market.slug} {taker[2]} {' '.join(maker.account for maker in makers)}"
        fails = faults.strike("settlement_fails", trade_id, scope)
        retries = faults.strike("settlement_retries", trade_id, scope)
        slow = faults.strike("settlement_slow", trade_id, scope)
        lag = faults.strike("balance_lag", trade_id, scope)
        stuck = faults.strike("matched_sum_stuck", trade_id, scope)
        late = share(self._seed, "settles", trade_id) ** 4
        settles_ms = rules.settle_low_ms + round((rules.settle_high_ms - rules.settle_low_ms) * late)
        settles_ms += slow.duration_ms if slow else 0
        retry_ms = now_ms + settles_ms
        mined_ms = retry_ms + (settles_ms if fails or retries else 0)
        return Traded(
            trade_id=trade_id,
            slug=market.slug,
            condition_id=market.condition_id,
            token_id=token_id,
            outcome=outcome,
            side=side,
            price=price,
            shares=shares,
            taker_cash=cash,
            fee=fee,
            taker_order_id=taker[0],
            taker_owner=taker[1],
            taker_account=taker[2],
            makers=tuple(makers),
            legs=tuple(legs),
            takes=tuple(takes),
            at_ms=now_ms,
            fate="fails" if fails else "retries" if retries else "settles",
            retry_at_ms=retry_ms,
            mined_at_ms=mined_ms,
            confirmed_at_ms=mined_ms + rules.confirm_ms,
            unseen_ms=lag.duration_ms if lag else 0,
            stuck_ms=stuck.duration_ms if stuck else 0,
        )

    def _world_maker(self, taker: Order, price: int, shares: int, key: str) -> MakerOrder:
        side: Side = "SELL" if taker.new.side == "BUY" else "BUY"
        account = "0x" + self._hex("world account", key)[:40]
        order_id, owner = "0x" + self._hex("world order", key), self._identifier("world key", key)
        return MakerOrder(order_id, owner, account, taker.new.token_id, taker.outcome, side, price, shares)

    def _hex(self, *parts: object) -> str:
        text = "|".join(map(str, (self._seed, *parts)))
        return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()

    def _identifier(self, *parts: object) -> str:
        h = self._hex(*parts)
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-8{h[17:20]}-{h[20:32]}"


def payout(account: str, shares: dict[str, int], winning_token: str) -> tuple[Leg, ...]:
    """Return the legs that redeem shares of a resolved market: a dollar for each winning one, nothing for the rest."""
    legs: list[Leg] = []
    for token, amount in shares.items():
        legs += [Leg(account, token, -amount, "payout"), Leg(COLLATERAL, token, amount, "payout")]
        if token == winning_token:
            legs += [Leg(COLLATERAL, USD, -amount, "payout"), Leg(account, USD, amount, "payout")]
    return tuple(legs)


def _part(order: Order, shares: int) -> MakerOrder:
    new = order.new
    return MakerOrder(new.order_id, new.owner, new.account, new.token_id, order.outcome, new.side, order.price, shares)


def _transfer(account: str, other: str, side: Side, token: str, shares: int, cash: int) -> list[Leg]:
    """Return the legs by which `account` trades shares for cash with `other`."""
    sign = 1 if side == "BUY" else -1
    return [
        Leg(account, USD, -sign * cash, "trade"),
        Leg(other, USD, sign * cash, "trade"),
        Leg(account, token, sign * shares, "trade"),
        Leg(other, token, -sign * shares, "trade"),
    ]


def _met(taker: Order, maker: Order, shares: int) -> tuple[int, list[Leg]]:
    """Return the taker's dollars and the legs of two accounts' orders meeting at the maker's price.

    Orders for the same token exchange shares; two buyers of opposite tokens mint a pair for a dollar, two sellers
    redeem one.
    """
    cash = maker_cash(maker.new.side, shares, maker.price)
    if maker.new.token_id == taker.new.token_id:
        return cash, _transfer(taker.new.account, maker.new.account, taker.new.side, taker.new.token_id, shares, cash)
    own = shares - cash
    return own, [
        *_transfer(maker.new.account, COLLATERAL, maker.new.side, maker.new.token_id, shares, cash),
        *_transfer(taker.new.account, COLLATERAL, taker.new.side, taker.new.token_id, shares, own),
    ]
