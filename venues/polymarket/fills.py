"""Our fills in a trade: the legs that are ours, each in its own order's terms, with the fee the schedule says."""

from collections.abc import Container

import msgspec

from core.errors import RejectedError
from core.market.market import FeeSchedule
from core.trading.fees import taker_fee
from core.trading.money import MICRO
from core.trading.orders import Fill, Liquidity
from venues.polymarket.account_values import Leg, VenueTrade

VENUE = "polymarket"


class Identity(msgspec.Struct, frozen=True):
    """What makes a leg ours: the funder's address, or the API key it came with. The key never shows in a repr."""

    funder: str
    owner: str

    def __repr__(self) -> str:
        return f"Identity({self.funder})"

    def owns(self, leg: Leg) -> bool:
        """Return whether the leg is of our orders."""
        return leg.maker_address == self.funder.lower() or (bool(leg.owner) and leg.owner == self.owner)


class Execution(msgspec.Struct, frozen=True):
    """One leg of ours in one trade; `trade_id` is unique for it together with the order's hash."""

    trade_id: str
    leg: Leg
    liquidity: Liquidity


def executions(trade: VenueTrade, identity: Identity, known: Container[str] = ()) -> tuple[Execution, ...]:
    """Return what of `trade` is ours, known orders and strays alike. `known` are hashes of orders surely ours.

    A taker that met makers at several prices has one execution for each price, `trade_id` then ends in `@price`
    (1e-6): only so is the cash exact. As a maker our fill is in the makers' legs, never in the trade's own figures.
    """
    found: list[Execution] = []
    if _we_take(trade, identity, known):
        found.extend(_taken(trade))
    ours: dict[tuple[str, int], Leg] = {}
    for leg in trade.makers:
        if leg.order_hash in known or identity.owns(leg):
            before = ours.get((leg.order_hash, leg.price))
            shares = leg.shares + (before.shares if before is not None else 0)
            ours[leg.order_hash, leg.price] = msgspec.structs.replace(leg, shares=shares)
    found.extend(Execution(trade.trade_id, leg, "MAKER") for leg in ours.values())
    return tuple(found)


def fill_of(execution: Execution, trade: VenueTrade, order_id: str, fees: FeeSchedule | None) -> Fill:
    """Return an execution as a fill of our order `order_id`. Makers pay nothing.

    Raises:
        RejectedError: when a taker's market has no known fee schedule.
    """
    leg = execution.leg
    fee_usd = 0
    if execution.liquidity == "TAKER":
        if fees is None:
            raise RejectedError(
                f"trade {trade.trade_id}: the fees of {trade.condition_id} are unknown, read its market"
            )
        fee_usd = taker_fee(leg.shares, leg.price, fees)
    return Fill(
        id=f"{execution.trade_id}:{leg.order_hash}",
        order_id=order_id,
        venue=VENUE,
        trade_id=execution.trade_id,
        order_hash=leg.order_hash,
        token_id=leg.token_id,
        side=leg.side,
        price=leg.price,
        shares=leg.shares,
        fee_usd=fee_usd,
        liquidity=execution.liquidity,
        state=trade.state.fill_state,
        filled_ms=trade.matched_ms,
    )


def _we_take(trade: VenueTrade, identity: Identity, known: Container[str]) -> bool:
    if trade.taker.order_hash in known:
        return True
    # the trade's own owner and maker_address may be ours although our order was the resting one
    return trade.we_take if trade.we_take is not None else identity.owns(trade.taker)


def _taken(trade: VenueTrade) -> list[Execution]:
    taker = trade.taker
    by_price: dict[int, int] = {}
    for leg in trade.makers:
        price = leg.price if leg.token_id == taker.token_id else MICRO - leg.price
        by_price[price] = by_price.get(price, 0) + leg.shares
    if sum(by_price.values()) != taker.shares:
        return [Execution(trade.trade_id, taker, "TAKER")]
    legs = [msgspec.structs.replace(taker, price=price, shares=shares) for price, shares in sorted(by_price.items())]
    ids = [trade.trade_id] if len(legs) == 1 else [f"{trade.trade_id}@{leg.price}" for leg in legs]
    return [Execution(trade_id, leg, "TAKER") for trade_id, leg in zip(ids, legs, strict=True)]
