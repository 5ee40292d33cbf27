"""The auditor of the simulation, with an eye on limits, ends of windows and the kill switch at every step."""

from collections.abc import Mapping

import msgspec

from actors import addresses
from bench.safety.bounds import SLACK_USD, Bounds, beyond
from bench.safety.stakes import UNIT, Stakes, most_usd
from bench.simulation.audit import Auditor, InvariantError
from bench.simulation.books import booked_fills
from bench.simulation.database import Database
from core.market.market import Market, Side
from core.messages import OrderReported, Persist, WinnerKnown
from core.records import HealthEventRecord
from core.trading.gate import GateState
from core.trading.orders import Fill, Intent, Order, is_terminal

TRIPS = ("daily loss", "session drawdown", "consecutive losses")
HELD, UNASKED = "held to settlement", "not asked for in time"
MINUTE_MS = 60_000
CERTAIN = 2
"""Losing trades in a row beyond the limit that prove it missed: which of two that end together came first is open."""

Step = OrderReported | WinnerKnown


class Seen(msgspec.Struct):
    """What was looked at, and what came of it."""

    hand_overs: int = 0
    openings: int = 0
    fills: int = 0
    ends: int = 0
    flat: int = 0
    held: int = 0
    excused: dict[str, int] = {}
    """Who was dead when what reached the close should have been sold."""
    trips: dict[str, int] = {}
    resumed: int = 0
    largest: dict[str, int] = {}
    """The most that was ever at stake, by kind; 1e-6 dollars, or a count."""

    def most(self, what: str, value: int) -> None:
        """Note a value that may be the largest."""
        self.largest[what] = max(value, self.largest.get(what, 0))


class SafetyAuditor(Auditor):
    """Checks what the broker sees against limits that are recomputed here."""

    def __init__(self, database: Database, start_usd: int, winners: Mapping[str, Side], bounds: Bounds) -> None:
        self.bounds = bounds
        self.seen = Seen()
        self._steps: list[Step] = []
        self._noted: list[str] = []
        self._since = dict.fromkeys(TRIPS, 0)
        self._base_usd = dict.fromkeys(TRIPS, 0)
        self.tripped: dict[str, int] = {}
        self.unsold: dict[str, dict[str, int]] = {}
        self._forget()
        super().__init__(database, start_usd, winners)

    def _forget(self) -> None:
        self.stakes = Stakes()
        self._known: set[str] = set()
        self._ended: set[str] = set()
        self._booked: set[str] = set()
        self._opened_ms: list[int] = []

    # -- lives of the process -----------------------------------------------------------------------------------

    def process_starts(self, gate: GateState, restored: tuple[int, bytes] | None) -> None:
        """Forget what never happened: paper fills that no commit holds, and orders that ended with the process."""
        super().process_starts(gate, restored)
        kept = set() if self._state is None else booked_fills(self._state)
        orders = set() if self._state is None else set(self._state.orders)
        steps, opened_ms = self._steps, self._opened_ms
        self._forget()
        self._steps, self._opened_ms = [], opened_ms
        for step in steps:
            if isinstance(step, OrderReported):
                step = msgspec.structs.replace(step, fills=tuple(f for f in step.fills if f.key in kept))  # noqa: PLW2901
            self._account(step)
        for order_id in [order_id for order_id in self.stakes.pending if order_id not in orders]:
            self.stakes.ordered(order_id, "", "", 0)

    def gate_changed(self, state: GateState) -> None:
        """Note what trips the kill switch, and that somebody resumed."""
        super().gate_changed(state)
        held = {hold.reason for hold in state.holds if hold.reason in TRIPS}
        for reason in held - self.tripped.keys():
            self.tripped[reason] = state.sequence
            self.seen.trips[reason] = self.seen.trips.get(reason, 0) + 1
        if self.tripped and not held:
            raise InvariantError(f"kill switch: {sorted(self.tripped)} was lifted by nobody")

    def resumes(self) -> None:
        """A person is about to lift what tripped: those limits count anew from here."""
        self.seen.resumed += 1
        for reason in self.tripped:
            self._since[reason] = len(self.stakes.results)
            self._base_usd[reason] = self.stakes.realised_usd - self.stakes.open_usd
        self.tripped = {}

    # -- steps --------------------------------------------------------------------------------------------------

    def sent(self, message: object, sender: str) -> None:
        """Check what reaches the broker, and book what comes from it."""
        super().sent(message, sender)
        if isinstance(message, OrderReported) and sender == addresses.EXECUTOR.name:
            order = message.order
            if order.submitted_ms is not None and order.id not in self._known:
                self._hand_over(order, message.intent, message.market)
            self._account(message)
            self._check_use(order)
        elif isinstance(message, WinnerKnown):
            self._account(message)
        elif isinstance(message, Persist) and sender == addresses.PORTFOLIO.name:
            for row in message.rows:
                if isinstance(row, HealthEventRecord) and row.status.startswith(HELD):
                    self._noted.append(row.detail)

    def _hand_over(self, order: Order, intent: Intent, market: Market) -> None:
        """Check an order at its hand-over by everything but what it adds to what is at stake."""
        bounds, at_ms = self.bounds, order.submitted_ms or 0
        self.seen.hand_overs += 1
        if intent.decision_price is not None and not intent.forced:
            worse = (order.limit_price - intent.decision_price) * (1 if order.side == "BUY" else -1)
            self.seen.most("slippage", worse)
            _require(worse <= bounds.slippage, "slippage", order, f"{worse / UNIT:.3f} worse than decided")
        if order.side == "SELL":
            return
        self.seen.openings += 1
        _require(not self.tripped, "kill switch", order, f"handed over while {sorted(self.tripped)} holds the gate")
        self._check_gate(order)
        usd = order.shares * order.limit_price // UNIT
        self.seen.most("trade", usd)
        _require(usd <= bounds.trade_usd + SLACK_USD, "trade size", order, f"{usd / UNIT:.2f} USD")
        priced = bounds.min_price <= order.limit_price <= bounds.max_price
        _require(priced, "price", order, f"limit {order.limit_price / UNIT:.3f}")
        left_s = market.window.closes_at_s - at_ms / 1000
        _require(left_s >= bounds.min_left_s, "time left", order, f"{left_s:.2f} s")
        held = self.stakes.shares(order.condition_id)
        _require(not held, "one position", order, f"{held} are held in its market already")
        self._opened_ms = [*(each for each in self._opened_ms if at_ms - each < MINUTE_MS), at_ms]
        self.seen.most("openings a minute", len(self._opened_ms))
        _require(len(self._opened_ms) <= bounds.per_minute, "orders a minute", order, f"{len(self._opened_ms)} opened")
        self._check_losses(order)

    def _check_gate(self, order: Order) -> None:
        """Check that no hold lay on the asset at the sequence of the hand-over, nor was one set before it."""
        gate = self._gate
        shut = [hold for hold in gate.holds if hold.scope in ("", order.asset)]
        text = f"handed over at sequence {order.gate_sequence}, shut at {gate.sequence} by {shut}"
        _require(not shut and order.gate_sequence == gate.sequence, "gate", order, text)

    def _check_losses(self, order: Order) -> None:
        """Check that nothing is opened after losses that certainly tripped the switch; open ones are left out."""
        stakes, bounds = self.stakes, self.bounds
        lost = self._base_usd["daily loss"] - stakes.realised_usd
        _require(lost < bounds.daily_loss_usd, "daily loss", order, f"{lost / UNIT:.2f} USD were lost for certain")
        since = self._since["consecutive losses"]
        streak = stakes.losing_streak(since)
        _require(
            streak < bounds.losses_in_a_row + CERTAIN,
            "consecutive losses",
            order,
            f"{streak} trades in a row were lost",
        )

    def _account(self, step: Step) -> None:
        """Book what the broker or the venue said; each thing once."""
        self._steps.append(step)
        if isinstance(step, WinnerKnown):
            self.stakes.paid(step.condition_id, f"{step.condition_id}.{step.winner.lower()}")
            return
        order = step.order
        for fill in step.fills:
            if fill.key not in self._booked:
                self._booked.add(fill.key)
                self._fill(order, fill)
        if is_terminal(order):
            self._ended.add(order.id)
        elif order.submitted_ms is None:
            return
        if order.submitted_ms is not None:
            self._known.add(order.id)
        left = 0 if order.id in self._ended or order.side == "SELL" else order.shares - order.filled_shares
        rate = 0.0 if step.market.fees is None else step.market.fees.rate
        self.stakes.ordered(order.id, order.asset, order.condition_id, most_usd(left, order.limit_price, rate))

    def _fill(self, order: Order, fill: Fill) -> None:
        self.seen.fills += 1
        sign = 1 if fill.side == "BUY" else -1
        within = (order.limit_price - fill.price) * sign >= 0
        _require(within, "slippage", order, f"filled at {fill.price / UNIT:.3f}, limit {order.limit_price / UNIT:.3f}")
        usd = sign * (fill.shares * fill.price // UNIT) + fill.fee_usd
        self.stakes.filled(order.asset, order.condition_id, fill.token_id, sign * fill.shares, usd)

    def _check_use(self, order: Order) -> None:
        use = self.stakes.use(order.condition_id, order.asset)
        for what, value in (
            ("position", use.market_usd), ("asset exposure", use.asset_usd), ("total exposure", use.total_usd),
            ("positions", use.markets),
        ):  # fmt: skip
            self.seen.most(what, value)
        found = beyond(use, self.bounds)
        _require(found is None, "limits", order, str(found))

    # -- the end of a window ------------------------------------------------------------------------------------

    def window_ends(self, market: Market) -> None:
        """Note what is held as a window closes; what must have been written down of it is asked for a little later."""
        self.seen.ends += 1
        held = self.stakes.shares(market.condition_id)
        if not held:
            self.seen.flat += 1
            return
        self.unsold[market.condition_id] = held

    def look_back(self, market: Market, excuse: str | None) -> None:
        """Check that what was held at the close was on its way out until then, and was written down as held.

        `excuse` is who was dead in the window's last part, when exits are asked for; None when nobody was.
        """
        held = self.unsold.pop(market.condition_id, None)
        if held is None:
            return
        text = f"{ {token: f'{shares / UNIT:.2f} shares' for token, shares in held.items()} } at the close"
        noted = [detail for detail in self._noted if market.condition_id in detail]
        if not noted:
            raise InvariantError(f"unmanaged: {text}, nobody wrote it down")
        if UNASKED not in noted[-1]:
            self.seen.held += 1
        elif excuse is None:
            raise InvariantError(f"unmanaged: {text}, nobody sold and nobody was dead: {noted[-1]}")
        else:
            self.seen.excused[excuse] = self.seen.excused.get(excuse, 0) + 1


def _require(kept: bool, limit: str, order: Order, text: str) -> None:  # noqa: FBT001 -- reads as a sentence
    if not kept:
        raise InvariantError(f"{limit}: {order.id}: {text}")
