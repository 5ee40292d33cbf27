"""One asset as its market actor shows it on the status board."""

import msgspec

from actors.market_features import Fused
from core.market.market import Market
from core.market.views import BookView, FlowView
from core.messages import PositionPublished
from core.status import AssetStatus
from core.trading.positions import mark_to_bid

LEVELS_SHOWN = 5


class Known(msgspec.Struct, frozen=True):
    """What an asset's state is made of; None is what has not been heard."""

    market: Market | None
    view: BookView | None
    flow: FlowView | None
    strike: float | None
    held: PositionPublished | None


def asset_status(
    asset: str,
    known: Known,
    fused: Fused | None,
    probabilities: tuple[float, ...] | None,
    action: int | None,
    decisions: int,
    waiting_for: str | None,
    at_ms: int,
) -> AssetStatus:
    """Return what is shown of one step: the decision, or what it waits for; the position at the best bid."""
    market, view = known.market, known.view
    return AssetStatus(
        asset=asset,
        slug=None if market is None else market.window.slug,
        closes_at_s=0 if market is None else market.window.closes_at_s,
        up_price=None if view is None else view.up.mid,
        spread=None if view is None else view.up.spread,
        spot=None if known.flow is None else known.flow.spot,
        strike=known.strike,
        signal=None if fused is None else fused.signal,
        probabilities=probabilities,
        action=action,
        decisions=decisions,
        unrealised_usd=_unrealised_usd(known),
        waiting_for=waiting_for,
        at_ms=at_ms,
        condition_id=None if market is None else market.condition_id,
        opens_at_s=0 if market is None else market.window.opens_at_s,
        fair=None if fused is None else fused.state.fair,
        bids=() if view is None else view.up.bids[:LEVELS_SHOWN],
        asks=() if view is None else view.up.asks[:LEVELS_SHOWN],
    )


def _unrealised_usd(known: Known) -> int:
    """Return the open position's PnL in 1e-6 dollars, its exit at the best bid and its fee included; 0 without one."""
    market, view, held = known.market, known.view, known.held
    if market is None or view is None or held is None or held.position is None:
        return 0
    book = view.up if held.position.side == "UP" else view.down
    return mark_to_bid(held.position, book.best_bid, market.fees) or 0
