"""The matching engine's one face: orders in, trades, balances and user events out."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from venues.sim.directory import Directory
from venues.sim.faults import FaultPlan, Faults
from venues.sim.trading import records as r
from venues.sim.trading.clearing import Clearing
from venues.sim.trading.dead_man import DeadMan
from venues.sim.trading.funds import known
from venues.sim.trading.intake import Intake
from venues.sim.trading.ledger_file import LedgerFile
from venues.sim.trading.records import USD
from venues.sim.trading.resting import Resting
from venues.sim.trading.session import Session, Work
from venues.sim.trading.state import Order, allowance
from venues.sim.trading.values import (
    Audit,
    Balance,
    Claim,
    Held,
    Movement,
    NewOrder,
    OrderState,
    Placed,
    TradeState,
    TradingRules,
    UserEvent,
    VenueError,
)
from venues.sim.trading.views import order_state, trade_state
from venues.sim.world import Book
from venues.sim.world.listing import Listing
from venues.sim.world.quotes import QUOTE_MS

PENDING = "cannot cancel because the order is in pending/delayed status"
GONE = "already canceled or matched"


class Engine:
    """One venue's trading. Every call with a moment first does what came due until then; time never runs back.

    Calls that change something return once it is in the file. With the same world, rules, plan and calls it does the
    same, however finely `advance` is called in between.
    """

    def __init__(
        self, directory: Directory, rules: TradingRules, faults: FaultPlan, ledger: LedgerFile | None = None
    ) -> None:
        """Continue from the ledger file. Raises LedgerFileError when it is another world's or damaged."""
        self.rules = rules
        self._session = Session(directory, rules, faults, ledger)
        self._state = self._session.state
        self._intake, self._resting = Intake(self._session), Resting(self._session)
        self._clearing, self._dead_man = Clearing(self._session), DeadMan(self._session)
        self._now_ms: int | None = None
        self._stepped_ms = 0
        self._markets: list[Listing] = self._resting.active()
        self._down_until_ms = self._post_only_until_ms = 0

    @property
    def faults(self) -> Faults:
        """The plan at work, for what happens between engine and client too."""
        return self._session.faults

    def set_faults(self, plan: FaultPlan) -> None:
        """Replace the plan; counts begin anew."""
        self._session.faults = self._session.desk.faults = Faults(plan)
        for condition_id, slug in self._state.markets.items():
            if condition_id not in self._state.winners:
                market = self._session.market(slug)
                self._session.remember(self._session.resolves_at_ms(market), "resolve", slug)

    def restart(self, now_ms: int, down_ms: int, post_only_ms: int) -> None:
        """Refuse orders and cancels with 425 for `down_ms`, then orders that are not post-only for `post_only_ms`."""
        self._down_until_ms = now_ms + down_ms
        self._post_only_until_ms = self._down_until_ms + post_only_ms

    def ensure_account(self, address: str, now_ms: int) -> None:
        """Give an address its deposit when it is seen for the first time; its allowances are set."""
        if address not in self._state.accounts:
            with self._changing(now_ms) as now:
                self._session.commit(r.Opened(address, self.rules.deposit, now))

    def place(self, order: NewOrder, now_ms: int) -> Placed | Held:
        """Take an order: answered at once, or `Held` for the taker delay. Raises VenueError when it is refused."""
        self.ensure_account(order.account, now_ms)
        with self._changing(now_ms) as now:
            fault = None
            if now >= self._post_only_until_ms:
                fault = self.faults.strike("engine_restart", order.order_id, order.account)
            if fault is not None:
                self.restart(now, fault.duration_ms, fault.post_only_ms)
            self._check_up(now)
            if now < self._post_only_until_ms and not order.post_only:
                text = "Trading is currently post-only. Only post-only orders are accepted, cancels are allowed."
                wait_s = -(-(self._post_only_until_ms - now) // 1000)
                raise VenueError(503, text, retry_after_s=wait_s, code="post_only_mode")
            return self._intake.place(order, now)

    def result(self, order_id: str, now_ms: int) -> Placed:
        """Return what became of a held order; `delayed` before its time. Raises VenueError when it was refused."""
        self.advance(now_ms)
        return self._intake.result(order_id)

    def cancel(self, owner: str, order_ids: Sequence[str], now_ms: int) -> tuple[list[str], dict[str, str]]:
        """Cancel orders and return (the cancelled, why others were not). Raises VenueError during a restart."""
        with self._changing(now_ms) as now:
            self._check_up(now)
            return self._cancel(owner, order_ids, now, "")

    def cancel_all(self, owner: str, now_ms: int) -> tuple[list[str], dict[str, str]]:
        """Cancel all open orders of an owner; see `cancel`."""
        return self.cancel_market(owner, None, None, now_ms)

    def cancel_market(
        self, owner: str, condition_id: str | None, token_id: str | None, now_ms: int
    ) -> tuple[list[str], dict[str, str]]:
        """Cancel an owner's open orders of one market, or one token, or (with neither) all; see `cancel`."""
        with self._changing(now_ms) as now:
            self._check_up(now)
            found = self._open(owner, condition_id=condition_id, token_id=token_id)
            return self._cancel(owner, [order.new.order_id for order in found], now, "")

    def order(self, owner: str, order_id: str) -> OrderState | None:
        """Return one order of an owner, open or not, None when there is none."""
        order = self._state.orders.get(order_id)
        return None if order is None or order.new.owner != owner else self._shown(order)

    def open_orders(
        self, owner: str, *, order_id: str | None = None, condition_id: str | None = None, token_id: str | None = None
    ) -> list[OrderState]:
        """Return an owner's live orders, oldest first; delayed ones are not among them yet."""
        found = self._open(owner, order_id=order_id, condition_id=condition_id, token_id=token_id)
        return [self._shown(order) for order in found if order.status == "LIVE"]

    def trades(
        self,
        owner: str,
        *,
        trade_id: str | None = None,
        maker_address: str | None = None,
        condition_id: str | None = None,
        token_id: str | None = None,
        before_s: int | None = None,
        after_s: int | None = None,
    ) -> list[TradeState]:
        """Return an owner's trades, newest first, matched in `[after_s, before_s)` where these are given."""
        shown = []
        for key in reversed(self._state.trades_of.get(owner, [])):
            made = self._state.trades[key].made
            if after_s is not None and made.at_ms < after_s * 1000:
                break  # all the others are older still
            accounts = {made.taker_account, *(maker.account for maker in made.makers)}
            tokens = {made.token_id, *(maker.token_id for maker in made.makers)}
            wanted = (
                trade_id in {None, key}
                and (maker_address is None or maker_address in accounts)
                and condition_id in {None, made.condition_id}
                and (token_id is None or token_id in tokens)
                and (before_s is None or made.at_ms < before_s * 1000)
            )
            if wanted:
                shown.append(trade_state(self._state.trades[key], owner))
        return shown

    def balance(self, address: str, token_id: str | None, now_ms: int) -> Balance:
        """Return dollars (no token) or shares as the venue knows them, which may lag, and what spenders may take."""
        self.advance(now_ms)
        asset = token_id or USD
        allowances = {spender: allowance(self._state, address, asset, spender) for spender in self.rules.spenders}
        return Balance(known(self._state, address, asset, now_ms), allowances)

    def refresh_balance(self, address: str, token_id: str | None, now_ms: int) -> None:
        """Have the venue read the balance anew, so that it sees every settled trade."""
        with self._changing(now_ms):
            self._session.commit(r.Refreshed(address, token_id or USD))

    def approve(self, address: str, token_id: str | None, spender: str, amount: int) -> None:
        """Change an allowance, as a transaction on the chain would."""
        self._session.commit(r.Approved(address, token_id or USD, spender, amount))
        self._session.flush(self._now_ms or 0)

    def heartbeat(self, owner: str, heartbeat_id: str | None, now_ms: int) -> str:
        """Take a heartbeat and return the next one's id. Raises VenueError, with the right id, for a stale one."""
        with self._changing(now_ms) as now:
            return self._dead_man.beat(owner, heartbeat_id, now)

    def claimable(self, address: str) -> list[Claim]:
        """Return winnings that wait to be redeemed."""
        return self._clearing.claims(address)

    def redeem(self, address: str, condition_id: str, now_ms: int) -> int:
        """Redeem an address's shares of a resolved market and return the dollars (1e-6) paid."""
        with self._changing(now_ms) as now:
            return self._clearing.redeem(address, condition_id, now)

    def advance(self, now_ms: int) -> None:
        """Do everything that came due, each at its own moment."""
        with self._changing(now_ms):
            pass

    def next_due_ms(self) -> int | None:
        """Return when there is something to do next, None when nothing is planned."""
        step = self._stepped_ms + QUOTE_MS if self._markets else None
        due = self._session.due[0][0] if self._session.due else None
        return min((moment for moment in (step, due) if moment is not None), default=None)

    def events(self, after: int) -> tuple[list[UserEvent], int]:
        """Return the user events from cursor `after` on and the cursor to ask with next."""
        return self._session.log.after(after)

    def latest(self) -> int:
        """Return the cursor of now."""
        return self._session.log.end

    def book(self, market: Listing, now_ms: int) -> Book:
        """Return the Up token's book less what was taken, plus resting orders; a side may be empty."""
        return self._session.book(market, now_ms)

    def tick(self, market: Listing, now_ms: int) -> int:
        """Return the market's tick in 1e-6."""
        return self._session.tick(market, now_ms)

    def accepting(self, market: Listing, now_ms: int) -> bool:
        """Return whether the market takes orders."""
        return self._session.accepting(market, now_ms)

    def resolves_at_ms(self, market: Listing) -> int:
        """Return when the venue states the market's winner."""
        return self._session.resolves_at_ms(market)

    def announces_resolution(self, market: Listing) -> bool:
        """Return whether `market_resolved` is sent for it."""
        return self.faults.standing("no_market_resolved", market.slug, market.slug) is None

    def ledger_rows(self) -> list[Movement]:
        """Return every movement of every account, oldest first; their sum per asset is zero."""
        return list(self._state.ledger.movements)

    def audit(self, address: str) -> Audit:
        """Return an account to the micro-dollar."""
        pending = {asset: amount for asset, amount in self._state.pending_of.get(address, {}).items() if amount}
        movements = tuple(row for row in self._state.ledger.movements if row.account == address)
        return Audit(
            address, self._state.ledger.holdings(address), pending, tuple(self._clearing.claims(address)), movements
        )

    @contextmanager
    def _changing(self, now_ms: int) -> Iterator[int]:
        """Catch up to a moment, let a change be made then, and bring all of it to the disk."""
        now = max(now_ms, self._now_ms or 0)
        if self._now_ms is None:
            self._stepped_ms = now - now % QUOTE_MS
            self._dead_man.watch(now)
        try:
            self._catch_up(now)
            if self._now_ms is None:  # what was overdue came first: an order may have expired meanwhile
                for market in self._markets:
                    self._resting.resume(market, self._stepped_ms)
            self._now_ms = now
            yield now
        finally:
            self._follow(now)
            self._session.flush(now)

    def _catch_up(self, now_ms: int) -> None:
        """Do due work and quote steps in the order of time; at one moment due work comes first."""
        due = self._session.due
        while True:
            step_ms = self._stepped_ms + QUOTE_MS if self._markets else None
            if due and due[0][0] <= now_ms and (step_ms is None or due[0][0] <= step_ms):
                at_ms, work, key = heapq.heappop(due)
                self._do(work, key, max(at_ms, self._now_ms or at_ms))
                self._follow(at_ms)
            elif step_ms is not None and step_ms <= now_ms:
                self._stepped_ms = step_ms
                for market in self._markets:
                    self._resting.step(market, step_ms)
                self._follow(step_ms)
            else:
                return

    def _follow(self, now_ms: int) -> None:
        """Note which markets' steps matter from now on."""
        if not self._markets:
            self._stepped_ms = max(self._stepped_ms, now_ms - now_ms % QUOTE_MS)
        self._markets = self._resting.active()

    def _do(self, work: Work, key: str, now_ms: int) -> None:
        match work:
            case "execute":
                self._intake.execute(key, now_ms)
            case "stage":
                self._clearing.stage(key, now_ms)
            case "resolve":
                self._clearing.resolve(key, now_ms)
            case "expire":
                self._end([self._state.orders[key]], "expired", "expire", key, now_ms)
            case "close":
                self._end(list(self._state.by_market.get(key, {}).values()), "market closed", "close", key, now_ms)
            case "beat":
                if self._dead_man.lapsed(key, now_ms):
                    self._end(self._open(key), "no heartbeat", "beat", key, now_ms)

    def _end(self, orders: list[Order], reason: str, work: Work, key: str, now_ms: int) -> None:
        """Cancel the open ones of the orders; those about to be matched come first and are looked at again."""
        for order in orders:
            if order.waiting in {"held", "delayed"}:
                self._session.remember(max(order.execute_at_ms, now_ms) + 1, work, key)
            elif order.is_open:
                self._session.commit(r.Ended(order.new.order_id, "CANCELED", reason, now_ms))

    def _cancel(
        self, owner: str, order_ids: Sequence[str], now_ms: int, reason: str
    ) -> tuple[list[str], dict[str, str]]:
        canceled: list[str] = []
        kept: dict[str, str] = {}
        for order_id in order_ids:
            order = self._state.open.get(order_id)
            if order is None or order.new.owner != owner:
                kept[order_id] = GONE
            elif order.waiting in {"held", "delayed"}:
                kept[order_id] = PENDING
            else:
                self._session.commit(r.Ended(order_id, "CANCELED", reason, now_ms))
                canceled.append(order_id)
        return canceled, kept

    def _open(
        self, owner: str, *, order_id: str | None = None, condition_id: str | None = None, token_id: str | None = None
    ) -> list[Order]:
        return [
            order
            for order in self._state.open.values()
            if order.new.owner == owner
            and order_id in {None, order.new.order_id}
            and token_id in {None, order.new.token_id}
            and (condition_id is None or condition_id == self._session.market(order.slug).condition_id)
        ]

    def _shown(self, order: Order) -> OrderState:
        return order_state(order, self._session.market(order.slug).condition_id)

    def _check_up(self, now_ms: int) -> None:
        if now_ms < self._down_until_ms:
            raise VenueError(425, "Service is not ready", retry_after_s=-(-(self._down_until_ms - now_ms) // 1000))
