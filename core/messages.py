"""What actors say to each other. The base class decides how a message travels: see `core.runtime.message`.

Money, prices and shares are integers of 1e-6; times unix milliseconds.
"""

from collections.abc import Hashable

import msgspec
import numpy as np

from core.alerts.milestones import Standing
from core.market.market import Market, Side
from core.market.views import BookView, FlowView
from core.records import Record
from core.runtime.address import Address
from core.runtime.message import Latest, Message, Money
from core.trading.order_limits import Exposure
from core.trading.orders import Fill, Intent, Order
from core.trading.positions import Position
from core.trading.sizing import LOT_SHARES

# -- market data: the newest replaces an unread older one -------------------------------------------------------------


class BookPublished(Latest, frozen=True):
    """A feed's newest book of one market."""

    view: BookView

    def conflation_key(self) -> Hashable:
        """One unread view per market."""
        return self.view.condition_id


class FlowPublished(Latest, frozen=True):
    """A feed's newest flow of one asset."""

    view: FlowView

    def conflation_key(self) -> Hashable:
        """One unread view per asset."""
        return self.view.asset


class Touch(msgspec.Struct, frozen=True):
    """What is bid for the two tokens of a market, 1e-6; None where nobody bids."""

    condition_id: str
    up_bid: int | None
    down_bid: int | None


class FeedPulse(Latest, frozen=True):
    """How fresh one feed is: told to the watchdog on every grid step, data or not.

    `lag_ms` is the smallest time from the venue's stamp to receipt in the last ten seconds, None without any.
    """

    feed: str
    asset: str
    connected: bool
    has_data: bool
    age_s: float
    frames: int
    bad_frames: int
    reconnects: int
    detail: str
    lag_ms: int | None = None
    touch: Touch | None = None

    def conflation_key(self) -> Hashable:
        """One unread pulse per feed."""
        return self.feed


class PositionPublished(Latest, frozen=True):
    """What a portfolio holds in one market: `side` None when flat; `busy` while one of its orders is not terminal.

    Carries the position itself so that its reader can mark it; None when flat. `others` are what else is held there
    (late fills may leave both sides), `realised_usd` what earlier round trips in it came to (1e-6 dollars), `forced`
    whether a forced exit is under way, `market` None once nothing is held or ordered there.
    """

    asset: str
    condition_id: str
    position: Position | None
    busy: bool
    portfolio: Address
    others: tuple[Position, ...] = ()
    realised_usd: int = 0
    forced: bool = False
    market: Market | None = None

    @property
    def side(self) -> Side | None:
        """The side held, None when flat; less than can be sold at all waits for settlement and is not counted."""
        return None if self.position is None or self.position.shares < LOT_SHARES else self.position.side

    def conflation_key(self) -> Hashable:
        """One unread position per portfolio and market."""
        return self.portfolio, self.condition_id


class WeightsPublished(Latest, frozen=True):
    """A version of the policy's weights: evaluated, immutable."""

    version: int
    weights: object


# -- the calendar -----------------------------------------------------------------------------------------------------


class MarketListed(Message, frozen=True):
    """A window's market is known; told ahead of its opening."""

    market: Market


class StrikeKnown(Message, frozen=True):
    """The price to beat, from the settlement stream or the venue; never from another exchange."""

    condition_id: str
    asset: str
    strike: float


class WinnerKnown(Money, frozen=True):
    """The venue declared the winner of a market."""

    condition_id: str
    asset: str
    winner: Side
    at_ms: int


class AwaitWinner(Message, frozen=True):
    """Ask the discovery for a market's winner: something is held in it."""

    asset: str
    condition_id: str
    slug: str
    closes_at_s: int


class SettlementPricePublished(Latest, frozen=True):
    """The newest price of the settlement stream for one asset."""

    asset: str
    price: float
    venue_ms: int

    def conflation_key(self) -> Hashable:
        """One unread price per asset."""
        return self.asset


# -- decisions and orders ---------------------------------------------------------------------------------------------


class IntentProposed(Money, frozen=True):
    """A market actor wants to open or close; the portfolio sizes, reserves or refuses."""

    market: Market
    intent: Intent
    view: BookView


class ForcedExit(Money, frozen=True):
    """The watchdog wants a position closed, whatever the policy thinks."""

    asset: str
    condition_id: str
    reason: str


class HeldByChoice(Money, frozen=True):
    """The watchdog sees a position come to the end of its window that no rule sells: write that down."""

    asset: str
    condition_id: str


class OrderRequested(Money, frozen=True):
    """The portfolio reserved what the order may cost: execute it.

    `exposure` is the account's with this reservation, for the executor to judge once more.
    """

    market: Market
    intent: Intent
    order: Order
    exposure: Exposure = Exposure()


class CancelRequested(Message, frozen=True):
    """Take back what rests in a market: a forced exit waits for it. Asked again until it is gone."""

    condition_id: str


class OrderReported(Money, frozen=True):
    """An order changed: its new state and the fills since the last report, with what it came from.

    News of a fill may come long after the order is closed and forgotten: then `intent` and `market` are needed.
    """

    order: Order
    fills: tuple[Fill, ...]
    intent: Intent
    market: Market


class TransitionRecorded(Money, frozen=True):
    """One step of one asset for the learner: state, history, action, log-probability and value of the same step.

    `features` has shape (n,), `history` (5, n), both float32; `version` is that of the weights that decided.
    `equity_usd` is the net liquidation value of everything done in this market so far (1e-6): what step t earned is
    the next step's less this one's. `held`: a position or an order is open. `free`: the action could take effect; not
    while an order was at work. `forced`: a forced exit was under way. `done`: the window's last step.
    """

    asset: str
    condition_id: str
    at_ms: int
    features: np.ndarray
    history: np.ndarray
    action: int
    log_prob: float
    value: float
    done: bool
    version: int = 0
    equity_usd: int = 0
    held: bool = False
    free: bool = True
    forced: bool = False


class TrajectoryEnded(Money, frozen=True):
    """A market in which something was traded is settled: what came of it, in cash (1e-6 dollars, net of fees)."""

    asset: str
    condition_id: str
    pnl_net_usd: int


# -- questions between actors: two tells, never an ask ---------------------------------------------------------------


class CalendarRequested(Message, frozen=True):
    """A (re)started actor wants to hear the listed markets of `asset`; `MarketListed` and `StrikeKnown` come back."""

    asset: str
    reply_to: Address


class ViewsRequested(Message, frozen=True):
    """A (re)started actor wants what a feed published last: it must not wait for the venue's next frame."""

    reply_to: Address


class WeightsRequested(Message, frozen=True):
    """A (re)started market actor wants the current weights."""

    reply_to: Address


class PositionRequested(Message, frozen=True):
    """A (re)started actor wants to hear what is held in `asset`."""

    asset: str
    reply_to: Address


class OrderStatusRequested(Money, frozen=True):
    """A restarted portfolio holds a reservation for this order and does not know what became of it."""

    order: Order
    intent: Intent
    market: Market


class HoldingsRequested(Message, frozen=True):
    """The portfolio wants to know what the venue says we hold; the answer counts only while `revision` is current."""

    revision: int
    tokens: tuple[str, ...]


class HoldingsReported(Message, frozen=True):
    """What the venue says we hold: dollars, and shares by token; 1e-6."""

    revision: int
    cash_usd: int
    shares: dict[str, int]


class ResolutionSeen(Message, frozen=True):
    """The market stream announced a winner; the discovery confirms it with the venue's record."""

    condition_id: str
    winning_token: str


class RecorderPulse(Latest, frozen=True):
    """How far the database is behind: `lag_s` is the age of the oldest row not committed, or of its silence.

    `journal_error` says why the journal could not take over now.
    """

    lag_s: float
    queued: int
    error: str | None
    journal_error: str | None = None


# -- storage, alerts --------------------------------------------------------------------------------------------------


class Persist(Money, frozen=True):
    """Rows that must last, to be written in one transaction in this order; `ack_to` hears `Persisted`."""

    rows: tuple[Record, ...]
    ack_to: Address | None = None
    ack_key: str = ""


class Persisted(Message, frozen=True):
    """The rows sent under `key` are committed."""

    key: str


class Alert(Message, frozen=True):
    """Something a person should hear of; `kind` is one of `core.alerts.kinds`.

    With the end of a round trip comes where the account stands, for milestones.
    """

    kind: str
    text: str
    standing: Standing | None = None


class AssetRetiring(Message, frozen=True):
    """An asset's actor exceeded its restart limit: exit what is held, trade it no more."""

    asset: str
    reason: str


class AssetAdded(Message, frozen=True):
    """An operator lets an asset be traded, or keeps one that was being removed: look it up, watch it."""

    asset: str


class AssetRemoved(Message, frozen=True):
    """An operator took an asset out of trading and its actors end: forget it."""

    asset: str


class Tick(Message, frozen=True):
    """A timer of the actor's own; `name` says which."""

    name: str
    at_ms: int = 0
