"""Orders come in: the venue's checks in its order, the taker delay, and the taking."""

from collections.abc import Sequence

from venues.sim.trading import records as r
from venues.sim.trading.amounts import check_decimals, is_market, limit_price, spends_budget, taker_cash, taker_fee
from venues.sim.trading.funds import check_funds
from venues.sim.trading.matching import Lot, by_price, crosses, fills_whole, own_price, plan, shortened, split
from venues.sim.trading.records import USD
from venues.sim.trading.session import Session
from venues.sim.trading.state import Order
from venues.sim.trading.values import UNIT, Held, NewOrder, Outcome, Placed, VenueError
from venues.sim.wire import decimal_text
from venues.sim.world.listing import Listing

NOT_READY = "the market is not yet ready to process new orders"
FOK_MISSED = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_MISSED = "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
_MOST_PIECES = 5


class Intake:
    """Takes orders into the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._results: dict[str, Placed | VenueError] = {}

    def place(self, new: NewOrder, now_ms: int) -> Placed | Held:
        """Accept an order, or raise the VenueError the venue would."""
        session = self._session
        market, outcome = self._market(new.token_id, now_ms)
        price = self._checked(new, market, now_ms)
        order = Order(new, market.slug, outcome, price, 0, "", now_ms, now_ms)
        lots = self._lots(order, market, now_ms)
        order.fee_reserve = self._fee_bound(order, lots)
        asset, amount = order.asset, new.maker_amount + order.fee_reserve
        check_funds(session.state, new.account, asset, amount, now_ms, spender=session.rules.spenders[0])
        _check_taking(order, lots, session.rules.min_marketable)
        waiting, wait_ms = self._wait(order, lots, market)
        session.commit(
            r.Accepted(new, market.slug, outcome, price, order.fee_reserve, waiting, now_ms + wait_ms, now_ms)
        )
        if waiting == "held":
            return Held(new.order_id, now_ms + wait_ms)
        if waiting == "delayed":
            return Placed(new.order_id, "delayed")
        if waiting == "late":
            return Placed(new.order_id, "live")
        return _raised(self._execute(session.state.orders[new.order_id], now_ms))

    def result(self, order_id: str) -> Placed:
        """Return what became of an order that was held. Raises VenueError when it was refused in the end."""
        order = self._session.state.orders.get(order_id)
        if order is None:
            raise VenueError(404, "order not found")
        if order.waiting in {"held", "delayed"}:
            return Placed(order_id, "delayed")
        return _raised(self._results.pop(order_id) if order_id in self._results else _outcome(order))

    def execute(self, order_id: str, now_ms: int) -> None:
        """Let a waiting order take, if its moment has come; what comes of it is kept for `result` if it was held."""
        order = self._session.state.orders[order_id]
        if not order.waiting or order.execute_at_ms > now_ms:
            return
        held = order.waiting == "held"
        self._session.commit(r.Executed(order_id, held, now_ms))
        result = self._execute(order, now_ms)
        if held:
            self._results[order_id] = result

    def _market(self, token_id: str, now_ms: int) -> tuple[Listing, Outcome]:
        market = self._session.directory.by_token(token_id, now_ms // 1000)
        if market is None or now_ms >= self._session.resolves_at_ms(market):
            raise VenueError(404, "No orderbook exists for the requested token id")
        if not self._session.accepting(market, now_ms):
            raise VenueError(400, NOT_READY)
        return market, "Up" if token_id == market.up_token else "Down"

    def _checked(self, new: NewOrder, market: Listing, now_ms: int) -> int:
        """Return the limit price of an order that is well-formed in itself."""
        rules = self._session.rules
        tick = self._session.tick(market, now_ms)
        check_decimals(new, tick)
        price = limit_price(new, tick)
        shares = new.taker_amount if new.side == "BUY" else new.maker_amount
        if not is_market(new) and shares < rules.min_size:
            raise VenueError(
                400,
                f"order {new.order_id} is invalid. Size ({decimal_text(shares)}) lower than the minimum: "
                f"{decimal_text(rules.min_size)}",
            )
        if new.order_id in self._session.state.orders:
            raise VenueError(400, f"order {new.order_id} is invalid. Duplicated.")
        if new.order_type == "GTD":
            if new.expiration_s * 1000 < now_ms + rules.expires_early_s * 1000:
                raise VenueError(400, "invalid expiration")
        elif new.expiration_s:
            raise VenueError(400, "invalid expiration")
        if new.post_only and is_market(new):
            raise VenueError(400, "Invalid order payload")
        return price

    def _lots(self, order: Order, market: Listing, now_ms: int) -> list[Lot]:
        """Return what the order would get at this moment."""
        session = self._session
        offers = session.displayed.offers(market, "ask" if order.is_bid else "bid", now_ms, order.up_price)
        resting = [maker for maker in session.resting(market, bids=not order.is_bid) if crosses(order, maker)]
        return plan(order, offers, resting)

    def _fee_bound(self, order: Order, lots: Sequence[Lot]) -> int:
        """Return what a BUY that takes now may have to pay in fees beyond its amount."""
        if order.new.side == "SELL" or not lots:
            return 0
        rate = self._rate()
        if not spends_budget(order.new):
            return taker_fee(order.new.taker_amount, order.price, rate)
        best = own_price(order, lots[0].up_price)
        return taker_fee(order.new.maker_amount * UNIT // best, best, rate)

    def _rate(self) -> int:
        return round(self._session.world.variant.fee_rate * UNIT)

    def _wait(self, order: Order, lots: Sequence[Lot], market: Listing) -> tuple[r.Waiting, int]:
        """Return why and for how long the order must wait before it takes; only orders that would take do."""
        faults, key = self._session.faults, order.new.order_id
        scope = f"{market.slug} {order.new.account}"
        if not lots:
            return "", 0
        delayed = faults.strike("delayed", key, scope)
        if delayed is not None:
            return "delayed", delayed.duration_ms
        late = None if order.new.order_type == "FOK" else faults.strike("late_fill", key, scope)
        if late is not None:
            return "late", late.duration_ms
        delay_ms = self._session.rules.taker_delay_ms
        return ("held", delay_ms) if delay_ms else ("", 0)

    def _execute(self, order: Order, now_ms: int) -> Placed | VenueError:
        """Let the order take what there is and return the answer to it."""
        session, new = self._session, order.new
        market = session.market(order.slug)
        if not session.accepting(market, now_ms):
            return self._kill(order, VenueError(400, NOT_READY), now_ms)
        lots = self._lots(order, market, now_ms)
        if new.order_type == "FOK" and not fills_whole(order, lots):
            return self._kill(order, VenueError(400, FOK_MISSED), now_ms)
        if new.order_type == "FAK" and not lots:
            return self._kill(order, VenueError(400, FAK_MISSED), now_ms)
        scope = f"{market.slug} {new.account}"
        partial = None
        if lots and new.order_type != "FOK":
            partial = session.faults.strike("partial_fill", f"{new.order_id}|{len(order.trade_ids)}", scope)
            if partial is not None:
                lots = shortened(lots, 0.1 + 0.8 * session.faults.share("part", new.order_id))
        try:
            self._check_cost(order, lots, now_ms)
        except VenueError as refusal:
            return self._kill(order, refusal, now_ms)
        self._trade(order, lots, market, now_ms)
        if not session.end_if_filled(order, now_ms):
            self._leave(order, market, partial.duration_ms if partial else 0, now_ms)
        return _outcome(order)

    def _check_cost(self, order: Order, lots: Sequence[Lot], now_ms: int) -> None:
        """Raise VenueError when the lots cost more, fees included, than the account has left."""
        if order.new.side == "SELL" or not lots:
            return
        cost = 0
        for group in by_price(lots):
            price = own_price(order, group[0].up_price)
            cost += sum(taker_cash("BUY", lot.shares, price) for lot in group)
            cost += taker_fee(sum(lot.shares for lot in group), price, self._rate())
        session, account = self._session, order.new.account
        spender = session.rules.spenders[0]
        check_funds(session.state, account, USD, cost, now_ms, spender=spender, without=order.new.order_id)

    def _trade(self, order: Order, lots: Sequence[Lot], market: Listing, now_ms: int) -> None:
        session, key = self._session, order.new.order_id
        for group in by_price(lots):
            number = len(session.state.trades)
            many = session.faults.strike("many_trades", f"{key}|{number}", f"{market.slug} {order.new.account}")
            pieces = 2 + int(session.faults.share("pieces", key) * (_MOST_PIECES - 1)) if many else 1
            for piece in split(group, pieces):
                number = len(session.state.trades) + 1
                session.commit(session.desk.taken(market, order, piece, number, self._rate(), now_ms))
            for lot in group:
                if lot.maker is not None:
                    session.end_if_filled(lot.maker, now_ms)

    def _leave(self, order: Order, market: Listing, pause_ms: int, now_ms: int) -> None:
        """Kill an unfilled rest, let it rest, or (a fault) leave it alone for a while, as its type asks."""
        session, order_id = self._session, order.new.order_id
        if is_market(order.new):
            session.commit(r.Ended(order_id, "CANCELED", "", now_ms))
        elif pause_ms:
            session.commit(r.Deferred(order_id, now_ms + pause_ms))
        else:
            ahead = session.displayed.shown(market, "bid" if order.is_bid else "ask", order.up_price, now_ms)
            session.commit(r.Rested(order_id, ahead, session.state.rested + 1))

    def _kill(self, order: Order, refusal: VenueError, now_ms: int) -> VenueError:
        self._session.commit(r.Ended(order.new.order_id, "CANCELED", refusal.text, now_ms))
        return refusal


def _check_taking(order: Order, lots: Sequence[Lot], min_marketable: int) -> None:
    """Raise VenueError where an order may not take what it would take now, or must and cannot."""
    new = order.new
    if new.post_only and lots:
        raise VenueError(400, "invalid post-only order: order crosses book")
    if new.side == "BUY" and (lots or is_market(new)) and new.maker_amount < min_marketable:
        raise VenueError(
            400,
            f"invalid amount for a marketable BUY order (${decimal_text(new.maker_amount)}), "
            f"min size: ${decimal_text(min_marketable)}",
        )
    if new.order_type == "FOK" and not fills_whole(order, lots):
        raise VenueError(400, FOK_MISSED)
    if new.order_type == "FAK" and not lots:
        raise VenueError(400, FAK_MISSED)


def _outcome(order: Order) -> Placed:
    if order.trade_ids:
        return Placed(order.new.order_id, "matched", order.given, order.taken, tuple(order.trade_ids))
    return Placed(order.new.order_id, "live" if order.is_open else "unmatched")


def _raised(result: Placed | VenueError) -> Placed:
    if isinstance(result, VenueError):
        raise result
    return result
