"""The account as a value: cash, positions, the fills already in it, and what open intents have reserved."""

import msgspec
from msgspec.structs import replace

from core.errors import RejectedError
from core.market.market import Side
from core.trading.orders import Fill, Intent, IntentAction
from core.trading.positions import Position, cash_flow
from core.trading.sizing import LOT_SHARES, Sized


class Reservation(msgspec.Struct, frozen=True):
    """What one open intent may still spend (OPEN) or sell (CLOSE); 1e-6."""

    intent_id: str
    asset: str
    condition_id: str
    side: Side
    action: IntentAction
    usd: int
    shares: int


class BookedFill(msgspec.Struct, frozen=True):
    """A fill that is in the account, and whose position it moved."""

    fill: Fill
    condition_id: str
    side: Side
    intent_id: str


class SettledMarket(msgspec.Struct, frozen=True):
    """A market that has paid out, with the keys of its fills."""

    condition_id: str
    winner: Side
    fill_keys: tuple[str, ...]


class Ledger(msgspec.Struct, frozen=True):
    """The whole account in integers of 1e-6. Treat the dictionaries as immutable: transitions copy them.

    Positions are keyed by `position_key`, reservations by intent id, fills by `Fill.key`.
    """

    start_usd: int
    cash_usd: int
    realised_usd: int = 0
    trade_count: int = 0
    positions: dict[str, Position] = {}
    reservations: dict[str, Reservation] = {}
    fills: dict[str, BookedFill] = {}
    settled: tuple[SettledMarket, ...] = ()


def new_ledger(start_usd: int) -> Ledger:
    """Return an account that holds nothing but `start_usd` (1e-6)."""
    return Ledger(start_usd=start_usd, cash_usd=start_usd)


def position_key(condition_id: str, side: Side) -> str:
    """Return the key of a position in `Ledger.positions`."""
    return f"{condition_id}/{side}"


def free_cash(ledger: Ledger) -> int:
    """Return the cash (1e-6) that a new OPEN may reserve.

    Neither what is reserved nor the proceeds of sells that are not confirmed yet: those may still be undone.
    """
    reserved = sum(held.usd for held in ledger.reservations.values())
    provisional = sum(cash_flow(b.fill) for b in ledger.fills.values() if _is_provisional(b) and b.fill.side == "SELL")
    return ledger.cash_usd - reserved - provisional


def confirmed_shares(ledger: Ledger, condition_id: str, side: Side) -> int:
    """Return the shares (1e-6) held less those whose purchase is not confirmed."""
    position = ledger.positions.get(position_key(condition_id, side))
    if position is None:
        return 0
    unconfirmed = sum(b.fill.shares for b in provisional_fills(ledger, condition_id, side) if b.fill.side == "BUY")
    return max(0, position.shares - unconfirmed)


def sellable_shares(ledger: Ledger, condition_id: str, side: Side) -> int:
    """Return the confirmed shares (1e-6) that no open sell holds."""
    held = sum(r.shares for r in _open(ledger, condition_id) if r.side == side and r.action == "CLOSE")
    return max(0, confirmed_shares(ledger, condition_id, side) - held)


def reserve(ledger: Ledger, intent: Intent, sized: Sized) -> Ledger:
    """Return the ledger with cash (OPEN) or shares (CLOSE) set aside for `intent`.

    Raises:
        RejectedError: when an intent of the same kind is open for the position, an OPEN meets the other side of its
            market or a position whose sale is not confirmed, or there is not enough free cash or confirmed inventory.
    """
    refusal = _refusal(ledger, intent, sized)
    if refusal is not None:
        raise RejectedError(f"intent {intent.id}: {refusal}")
    opens = intent.action == "OPEN"
    held = Reservation(
        intent_id=intent.id,
        asset=intent.asset,
        condition_id=intent.condition_id,
        side=intent.side,
        action=intent.action,
        usd=sized.reserve_usd if opens else 0,
        shares=sized.shares,
    )
    return replace(ledger, reservations={**ledger.reservations, intent.id: held})


def release(ledger: Ledger, intent_id: str) -> Ledger:
    """Return the ledger without the intent's reservation; the same ledger when there is none."""
    if intent_id not in ledger.reservations:
        return ledger
    return replace(ledger, reservations={k: v for k, v in ledger.reservations.items() if k != intent_id})


def unconfirmed_fills(ledger: Ledger, condition_id: str) -> tuple[Fill, ...]:
    """Return the fills of a market that are neither confirmed nor failed."""
    return tuple(b.fill for b in ledger.fills.values() if b.condition_id == condition_id and _is_provisional(b))


def unconfirmed_sales(ledger: Ledger, condition_id: str) -> tuple[Fill, ...]:
    """Return the sales in a market that may still be undone, which would bring back what was sold."""
    return tuple(fill for fill in unconfirmed_fills(ledger, condition_id) if fill.side == "SELL")


def _refusal(ledger: Ledger, intent: Intent, sized: Sized) -> str | None:
    same_market = _open(ledger, intent.condition_id)
    if any(r.intent_id == intent.id or (r.side, r.action) == (intent.side, intent.action) for r in same_market):
        return f"an {intent.action} of {intent.side} is already open"
    if intent.action == "CLOSE":
        free = sellable_shares(ledger, intent.condition_id, intent.side)
        return None if 0 < sized.shares <= free else f"{sized.shares} shares to sell, {free} free"
    if settlement_of(ledger, intent.condition_id) is not None:
        return "the market is settled"
    if any(r.action == "OPEN" for r in same_market) or any(
        p.condition_id == intent.condition_id and p.side != intent.side and not is_dust(ledger, p)
        for p in ledger.positions.values()
    ):
        return "the other side of the market is held or being opened"
    held = ledger.positions.get(position_key(intent.condition_id, intent.side))
    if (held is not None and held.shares == 0) or unconfirmed_sales(ledger, intent.condition_id):
        return "the sale of the previous position is not confirmed"
    free = free_cash(ledger)
    return None if 0 < sized.reserve_usd <= free else f"{sized.reserve_usd} to reserve, {free} free (1e-6 USD)"


def settlement_of(ledger: Ledger, condition_id: str) -> SettledMarket | None:
    """Return how a market was settled, None while it is not (or was forgotten since)."""
    return next((m for m in ledger.settled if m.condition_id == condition_id), None)


def _open(ledger: Ledger, condition_id: str) -> list[Reservation]:
    return [r for r in ledger.reservations.values() if r.condition_id == condition_id]


def provisional_fills(ledger: Ledger, condition_id: str, side: Side) -> list[BookedFill]:
    """Return the fills of one position that are neither confirmed nor failed."""
    return [b for b in ledger.fills.values() if (b.condition_id, b.side) == (condition_id, side) and _is_provisional(b)]


def is_dust(ledger: Ledger, position: Position) -> bool:
    """Return whether a position is less than can be sold, and will be until its market settles."""
    return 0 < position.shares < LOT_SHARES and not provisional_fills(ledger, position.condition_id, position.side)


def _is_provisional(booked: BookedFill) -> bool:
    return booked.fill.state == "MATCHED"
