"""Reading our account at the venue: open orders, trades, balances; and having it look at the chain again."""

from typing import Literal, TypeVar

import msgspec

from core.trading.sizing import LOT_SHARES
from venues.polymarket.account_decode import WireOrder, WireTrade, order_of, trade_of
from venues.polymarket.account_values import VenueOrder, VenueTrade
from venues.polymarket.numbers import parse_whole
from venues.polymarket.session import Session
from venues.rest import NotFoundError
from venues.transport import BadFrameError

T = TypeVar("T")
ANY_SPENDER = "*"
_NOTHING = frozenset({b"", b"null", b"{}", b'""', b"[]"})
AssetType = Literal["COLLATERAL", "CONDITIONAL"]


class Balance(msgspec.Struct, frozen=True):
    """What the venue believes the funder holds, in 1e-6, and what each contract (lower case) may take of it."""

    units: int
    allowances: dict[str, int]

    @property
    def sellable_shares(self) -> int:
        """The balance cut down to whole hundredths of a share: what a sell may be for."""
        return self.units // LOT_SHARES * LOT_SHARES

    def allowance(self, spender: str) -> int:
        """Return what `spender` may take, 0 when it is not named; the older form states one for all."""
        return self.allowances.get(spender.lower(), self.allowances.get(ANY_SPENDER, 0))


class TradePage(msgspec.Struct, frozen=True):
    """Trades in the venue's order, and how many objects could not be read (each with its reason)."""

    trades: tuple[VenueTrade, ...]
    unreadable: tuple[str, ...] = ()


class _Balance(msgspec.Struct):
    balance: str
    allowances: dict[str, str] | None = None
    allowance: str | None = None


class Account:
    """The account of one API key and wallet. Every call blocks and is meant for workers.

    Each raises TransientError when the venue could not be asked, OrderRejectedError when it refused, and
    BadFrameError when its answer cannot be understood.
    """

    def __init__(self, session: Session, signature_type: int) -> None:
        self._session = session
        self._signature_type = signature_type

    def open_orders(self, condition_id: str | None = None) -> tuple[VenueOrder, ...]:
        """Return every open order, or those in one market."""
        params = {} if condition_id is None else {"market": condition_id}
        return tuple(order_of(_read(raw, WireOrder)) for raw in self._session.pages("/data/orders", params))

    def order(self, order_hash: str) -> VenueOrder | None:
        """Return one order; None when the venue does not show it, as it may do for closed ones: look at its trades."""
        try:
            body = self._session.read(f"/data/order/{order_hash}").body.strip()
        except NotFoundError:
            return None
        return None if body in _NOTHING else order_of(_read(body, WireOrder))

    def trades(
        self, *, after_s: int | None = None, condition_id: str | None = None, trade_id: str | None = None
    ) -> TradePage:
        """Return our trades since `after_s` (unix seconds), in one market, or the one with an id.

        Ask again from a while before the last one seen: the venue's order is by match time, states change later.
        """
        asked: dict[str, str | int | None] = {"after": after_s, "market": condition_id, "id": trade_id}
        trades: list[VenueTrade] = []
        unreadable: list[str] = []
        for raw in self._session.pages("/data/trades", {k: v for k, v in asked.items() if v is not None}):
            try:
                trades.append(trade_of(_read(raw, WireTrade)))
            except BadFrameError as error:
                unreadable.append(str(error))
        return TradePage(tuple(trades), tuple(unreadable))

    def cash(self) -> Balance:
        """Return the dollars the venue believes the funder has."""
        return self._balance(self._asked("COLLATERAL", None))

    def shares(self, token_id: str) -> Balance:
        """Return the shares of a token the venue believes the funder has; sell `sellable_shares`, not more."""
        return self._balance(self._asked("CONDITIONAL", token_id))

    def refresh(self, token_id: str | None = None) -> None:
        """Have the venue read a balance from the chain again: a token's, or the dollars."""
        asked = self._asked("COLLATERAL" if token_id is None else "CONDITIONAL", token_id)
        self._session.read("/balance-allowance/update", asked)

    def _asked(self, asset_type: AssetType, token_id: str | None) -> dict[str, str | int]:
        asked: dict[str, str | int] = {"asset_type": asset_type, "signature_type": self._signature_type}
        return asked if token_id is None else asked | {"token_id": token_id}

    def _balance(self, asked: dict[str, str | int]) -> Balance:
        wire = self._session.get("/balance-allowance", _Balance, asked)
        allowances = {spender.lower(): parse_whole(units) for spender, units in (wire.allowances or {}).items()}
        if wire.allowance:
            allowances[ANY_SPENDER] = parse_whole(wire.allowance)
        return Balance(parse_whole(wire.balance or "0"), allowances)


def _read(raw: msgspec.Raw | bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadFrameError(f"{kind.__name__} is unreadable: {error}") from error
