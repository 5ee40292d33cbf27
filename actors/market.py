"""A MarketActor owns the decision for one asset.

It fuses both venues' views into features on a fixed grid, keeps the last states, runs its policy, proposes intents.
With a paper account beside the live one it is still one decision: seen from the live account, proposed to each.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import msgspec

from actors import addresses
from actors.addresses import Account
from actors.market_features import Fused, Heard, fuse
from actors.market_status import Known, asset_status
from actors.shadow import Shadow
from core.errors import FuseboxError, RejectedError
from core.market.features import FUSED_FEATURES, SCHEMAS, FeatureHistory, FeatureSchema
from core.market.market import Market
from core.market.state import MarketState
from core.market.views import BookView, FlowView
from core.messages import (
    BookPublished,
    CalendarRequested,
    FlowPublished,
    IntentProposed,
    MarketListed,
    Persist,
    PositionPublished,
    PositionRequested,
    SettlementPricePublished,
    StrikeKnown,
    Tick,
    TransitionRecorded,
    ViewsRequested,
    WeightsPublished,
    WeightsRequested,
)
from core.runtime.actor import Actor
from core.runtime.address import Address
from core.runtime.context import Context
from core.runtime.message import WorkDone, WorkFailed
from core.trading.decisions import interpret
from core.trading.limits import OpenLimits
from core.trading.orders import Intent
from models.policy import greedy, sample

PRICES_KEPT = 100
"""Up mids kept for the volatility feature: the reference's window of grid steps."""
EARLY_MS = 5
"""How much a timer may come before its wall time, when the machine's clock is slewed: the step is done all the same."""
ASK_AGAIN_S = 5.0
TELL_WAIT_MS = 5_000
"""An asset that has not decided for this long says why, once."""
WARMING_UP = "policy is warming up"
BASIS_WEIGHT = 0.05
"""Of a new price of the settlement stream in the mean distance between it and the fast venue."""
BASIS_CHECKS_MS = 10_000
"""The two prices are compared when the fast venue's is not older than this."""


class Policy(Protocol):
    """What decides: probabilities of HOLD, BUY and SELL, and the value of the state."""

    @property
    def schema(self) -> FeatureSchema:
        """The features it wants to see."""
        ...

    def decide(self, state: MarketState) -> tuple[tuple[float, ...], float]:
        """Return (probabilities, value) of one state, whose features (n,) and history (5, n) are of that schema."""
        ...


class MarketRules(msgspec.Struct, frozen=True):
    """How a market actor decides; ages in real seconds."""

    grid_ms: int
    book_stale_s: float
    flow_stale_s: float | None
    sample_actions: bool
    learn: bool = True
    """Whether the learner is told of each step."""
    limits: OpenLimits = OpenLimits()
    """What the portfolio will ask of an opening: a policy may know it beforehand."""
    phases_ms: Mapping[str, int] = {}
    """How long after a multiple of `grid_ms` an asset's steps are due; 0 where it is not named."""


class Saved(msgspec.Struct, frozen=True):
    """The checkpoint: the deque with the grid step and the window it belongs to."""

    condition_id: str | None
    at_ms: int
    history: bytes
    prices: tuple[float, ...]
    decisions: int
    features: int = 18
    """Features per state in `history`."""
    basis: float = 0.0


class MarketActor(Actor):
    """One asset. `make_policy` turns weights into a policy that is warm; it runs in a worker."""

    def __init__(
        self,
        context: Context,
        asset: str,
        session_id: int,
        rules: MarketRules,
        make_policy: Callable[[object], Policy],
        log: Callable[[str], None],
        beside: Account | None = None,
        shadow: Callable[[], Policy] | None = None,
    ) -> None:
        super().__init__(context)
        self.asset = asset
        self._session_id = session_id
        self._make_shadow = shadow
        self._shadow: Shadow | None = None
        self._accounts = (Account(session_id),) if beside is None else (Account(session_id), beside)
        self._rules = rules
        self._make_policy = make_policy
        self._log = log
        self._policy: Policy | None = None
        self._version = 0
        self._markets: dict[str, Market] = {}
        self._books: dict[str, BookView] = {}
        self._positions: dict[str, dict[Address, PositionPublished]] = {}
        self._strikes: dict[str, float] = {}
        self._flow: FlowView | None = None
        self._condition_id: str | None = None
        self._schema = FUSED_FEATURES
        self._history = FeatureHistory(self._schema.size)
        self._basis = 0.0
        self._prices: deque[float] = deque(maxlen=PRICES_KEPT)
        self._decisions = 0
        self._waits_since_ms: int | None = None
        self._told_wait = False
        self._restore(context.saved)

    def on_start(self) -> None:
        """Ask for weights, markets, position and views; start the grid."""
        self._ask()
        self._next_tick(self.context.clock.now_ms())
        if self._make_shadow is not None:
            self.context.work("shadow", self._make_shadow, lane="policy")

    def on_stop(self) -> None:
        """Say how the shadow compared."""
        if self._shadow is not None:
            self._log(self._shadow.told())

    def receive(self, message: object) -> None:
        """Note views as they come; decide on the grid."""
        match message:
            case BookPublished(view=view):
                self._books[view.condition_id] = view
            case FlowPublished(view=view):
                self._flow = view
            case Tick(name="grid", at_ms=at_ms):
                self._step(at_ms)
                now_ms = self.context.clock.now_ms()
                self._next_tick(at_ms if 0 < at_ms - now_ms <= EARLY_MS else now_ms)
            case PositionPublished():
                self._positions.setdefault(message.condition_id, {})[message.portfolio] = message
            case MarketListed(market=market):
                self._markets[market.condition_id] = market
            case StrikeKnown():
                self._strikes[message.condition_id] = message.strike
            case WeightsPublished() if message.version != self._version:
                self._version = message.version
                weights = message.weights
                self.context.work("policy", lambda: self._make_policy(weights), lane="policy")
            case WorkDone(key="policy", value=policy):
                self._take(policy)  # type: ignore[arg-type]
            case WorkDone(key="shadow", value=policy):
                self._shadow = Shadow(policy, self.asset, self._session_id)  # type: ignore[arg-type]
            case WorkFailed(key="policy", error=FuseboxError() as error) if self._policy is not None:
                self._log(f"{self.context.address} keeps its weights, the new ones are of no use: {error}")
            case WorkFailed(error=error):
                raise error
            case Tick(name="ask") if self._policy is None:
                self._ask()
            case SettlementPricePublished(price=price):
                self._compare(price)
            case WeightsPublished() | Tick():
                pass

    def _take(self, policy: Policy) -> None:
        """Decide by another policy from now on; one that sees other features begins with an empty history."""
        self._policy = policy
        if policy.schema != self._schema:
            self._schema = policy.schema
            self._history = FeatureHistory(policy.schema.size)

    def _compare(self, settlement: float) -> None:
        """Note how far the settlement's price lies from the fast venue's mean over the same time."""
        flow = self._flow
        if flow is None or min(flow.mean_price, settlement) <= 0.0:
            return
        if self.context.clock.now_ms() - flow.received_ms <= BASIS_CHECKS_MS:
            self._basis += BASIS_WEIGHT * (math.log(settlement / flow.mean_price) - self._basis)

    def _ask(self) -> None:
        me = self.context.address
        self.context.tell(addresses.LEARNER, WeightsRequested(me))
        self.context.tell(addresses.DISCOVERY, CalendarRequested(self.asset, me))
        for account in self._accounts:
            self.context.tell(account.portfolio, PositionRequested(self.asset, me))
        for feed in (addresses.book_feed(self.asset), addresses.flow_feed(self.asset)):
            self.context.tell(feed, ViewsRequested(me))
        self.context.timer("ask", ASK_AGAIN_S, Tick("ask"))

    # -- the grid -----------------------------------------------------------------------------------------------

    def _next_tick(self, now_ms: int) -> None:
        grid_ms, phase_ms = self._rules.grid_ms, self._rules.phases_ms.get(self.asset, 0)
        at_ms = ((now_ms - phase_ms) // grid_ms + 1) * grid_ms + phase_ms
        self.context.timer_at("grid", at_ms, Tick("grid", at_ms))

    def _step(self, at_ms: int) -> None:
        market = self._current(at_ms)
        self._turn_to(market)
        missing = list(self._missing(market, at_ms))
        if missing or market is None:
            self._wait(market, None, missing, at_ms)
            return
        view = self._books[market.condition_id]
        held = self._held(market.condition_id, addresses.PORTFOLIO)
        try:
            fused = self._fuse(market, view, held, at_ms)
        except RejectedError as error:  # a number that is not finite costs its own step: no decision, no crash
            self._wait(market, None, [str(error)], at_ms)
            return
        self._prices.append(fused.up_price / 1e6)
        self._history.push(fused.features)
        state = msgspec.structs.replace(fused.state, history=self._history.array())
        if self._policy is None:
            self._wait(market, fused, [], at_ms)
            self._save(at_ms)
            return
        probabilities, value = self._policy.decide(state)
        action = sample(probabilities, self.context.rng) if self._rules.sample_actions else greedy(probabilities)
        self._decisions += 1
        self._waits_no_more()
        for account in self._accounts:
            self._act(account, market, view, action, probabilities, fused, at_ms)
        self._record(market, state, fused.equity_usd, held, action, probabilities, value)
        self._cast(market, view, held, action, at_ms)
        self._show(market, fused, probabilities, action, None, at_ms)
        self._save(at_ms)

    def _fuse(
        self,
        market: Market,
        view: BookView,
        held: PositionPublished | None,
        at_ms: int,
        schema: FeatureSchema | None = None,
    ) -> Fused:
        heard = Heard(self._strikes.get(market.condition_id), held, self._prices, self._basis)
        limits = self._rules.limits
        return fuse(market, view, self._flow, heard, at_ms, schema=schema or self._schema, limits=limits)

    def _cast(self, market: Market, view: BookView, held: PositionPublished | None, action: int, at_ms: int) -> None:
        """Ask the shadow about the same step."""
        if self._shadow is not None:
            rows = self._shadow.see(self._fuse(market, view, held, at_ms, self._shadow.schema), action)
            if rows:
                self.context.tell(addresses.DB_WRITER, Persist(rows))

    def _held(self, condition_id: str, portfolio: Address) -> PositionPublished | None:
        return self._positions.get(condition_id, {}).get(portfolio)

    def _act(
        self,
        account: Account,
        market: Market,
        view: BookView,
        action: int,
        probabilities: tuple[float, ...],
        fused: Fused,
        at_ms: int,
    ) -> None:
        """Propose what the action means to one account, given what that account holds itself."""
        held = self._held(market.condition_id, account.portfolio)
        wish = interpret(action, None if held is None else held.side)
        if wish is None or (held is not None and held.busy):
            return
        side, kind = wish
        book = view.up if side == "UP" else view.down
        # a clock that is set back comes to the same `at_ms` again: process and message number make the id unique
        intent = Intent(
            id=f"{account.session_id}.{self.asset}.{at_ms}.{self.context.lease_epoch}.{self.context.receipt}",
            session_id=account.session_id,
            asset=self.asset,
            condition_id=market.condition_id,
            side=side,
            action=kind,
            decided_ms=at_ms,
            reason="signal",
            probabilities=probabilities,
            features=tuple(fused.features.tolist()),
            lease_epoch=self.context.lease_epoch,
            incarnation=self.context.incarnation,
            decision_price=book.best_ask if kind == "OPEN" else book.best_bid,
        )
        self.context.tell(account.portfolio, IntentProposed(market, intent, view))

    def _record(
        self,
        market: Market,
        state: MarketState,
        equity_usd: int,
        held: PositionPublished | None,
        action: int,
        probabilities: tuple[float, ...],
        value: float,
    ) -> None:
        """Tell the learner one step; `done` marks the last one before the window closes."""
        if not self._rules.learn:
            return
        forced = held is not None and held.forced
        transition = TransitionRecorded(
            self.asset,
            market.condition_id,
            state.at_ms,
            state.features,
            state.history,
            action,
            log_prob=math.log(max(probabilities[action], 1e-12)),
            value=value,
            done=state.at_ms + self._rules.grid_ms >= market.window.closes_at_s * 1000,
            version=self._version,
            equity_usd=equity_usd,
            held=held is not None and (held.busy or held.position is not None),
            free=not state.busy and not forced,
            forced=forced,
        )
        self.context.tell(addresses.LEARNER, transition)

    # -- what is known ------------------------------------------------------------------------------------------

    def _current(self, at_ms: int) -> Market | None:
        for market in self._markets.values():
            if market.window.opens_at_s * 1000 <= at_ms < market.window.closes_at_s * 1000:
                return market
        return None

    def _turn_to(self, market: Market | None) -> None:
        """Clear the deque when the market changes; forget the markets that are over and what came late of them."""
        condition_id = None if market is None else market.condition_id
        if condition_id == self._condition_id:
            return
        self._condition_id = condition_id
        self._history.clear()
        self._prices.clear()
        if market is None:
            return
        for key, other in list(self._markets.items()):
            if other.window.closes_at_s <= market.window.opens_at_s:
                del self._markets[key]
        for known in (self._books, self._positions, self._strikes):
            for key in [key for key in known if key not in self._markets]:
                known.pop(key, None)

    def _missing(self, market: Market | None, at_ms: int) -> Iterator[str]:
        """Yield everything without which no state can be computed."""
        if market is None:
            yield "no market listed for this window"
        else:
            view = self._books.get(market.condition_id)
            if view is None:
                yield "no book yet"
            elif at_ms - view.received_ms > self._rules.book_stale_s * 1000:
                yield f"book {(at_ms - view.received_ms) / 1000:.0f} s old"
            elif view.up.mid is None or view.down.mid is None:
                yield "book one-sided"
        if self._rules.flow_stale_s is not None:
            if self._flow is None:
                yield "no flow yet"
            elif at_ms - self._flow.received_ms > self._rules.flow_stale_s * 1000:
                yield f"flow {(at_ms - self._flow.received_ms) / 1000:.0f} s old"

    def _wait(self, market: Market | None, fused: Fused | None, missing: list[str], at_ms: int) -> None:
        """Show why there is no decision, and say it once when that lasts."""
        reason = "; ".join([*missing, WARMING_UP] if self._policy is None else missing)
        since_ms = self._waits_since_ms = at_ms if self._waits_since_ms is None else self._waits_since_ms
        if not self._told_wait and at_ms - since_ms >= TELL_WAIT_MS:
            self._told_wait = True
            self._log(f"{self.context.address} cannot decide: {reason}")
        self._show(market, fused, None, None, reason, at_ms)

    def _waits_no_more(self) -> None:
        if self._told_wait:
            self._log(f"{self.context.address} decides again")
        self._waits_since_ms, self._told_wait = None, False

    def _show(
        self,
        market: Market | None,
        fused: Fused | None,
        probabilities: tuple[float, ...] | None,
        action: int | None,
        waiting_for: str | None,
        at_ms: int,
    ) -> None:
        condition_id = "" if market is None else market.condition_id
        known = Known(
            market,
            self._books.get(condition_id),
            self._flow,
            self._strikes.get(condition_id),
            self._held(condition_id, addresses.PORTFOLIO),
        )
        status = asset_status(self.asset, known, fused, probabilities, action, self._decisions, waiting_for, at_ms)
        self.context.publish(f"asset {self.asset}", status)

    # -- checkpoint ---------------------------------------------------------------------------------------------

    def _save(self, at_ms: int) -> None:
        saved = Saved(
            self._condition_id,
            at_ms,
            self._history.dump(),
            tuple(self._prices),
            self._decisions,
            self._schema.size,
            self._basis,
        )
        self.context.save(msgspec.msgpack.encode(saved))

    def _restore(self, state: bytes | None) -> None:
        """Take the deque back, unless it is older than a grid step: its states would not be neighbours."""
        if state is None:
            return
        saved = msgspec.msgpack.decode(state, type=Saved)
        self._decisions, self._basis = saved.decisions, saved.basis
        if 0 <= self.context.clock.now_ms() - saved.at_ms <= self._rules.grid_ms:
            self._condition_id = saved.condition_id
            self._prices.extend(saved.prices)
            known = next((schema for schema in SCHEMAS.values() if schema.size == saved.features), None)
            if known is not None:
                self._schema, self._history = known, FeatureHistory(known.size)
                self._history.load(saved.history)
