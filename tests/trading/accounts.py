"""An account for the tests of the ledger: what is opened and closed in it, and how it got there."""

from core.trading.booking import (
    Applied,
    apply_fill,
)
from core.trading.ledger import (
    Ledger,
)
from core.trading.money import MICRO, micros
from core.trading.orders import FillState
from core.trading.sizing import Sized
from tests.trading.builders import NOW_MS, a_fill, an_intent, an_order

OPEN = an_intent()
BUY = an_order()
CLOSE = an_intent("i2", action="CLOSE")
SELL = an_order("o2", intent_id="i2", side="SELL")
TEN_SHARES = Sized(10 * MICRO, micros("0.55"), 6 * MICRO)
LATER_MS = NOW_MS + 60_000


def bought(ledger: Ledger, state: FillState = "CONFIRMED") -> Applied:
    return apply_fill(ledger, a_fill(BUY, fee_usd=175_000, state=state), BUY, OPEN)


def sold(ledger: Ledger, n: int = 0, *, shares: float = 10, state: FillState = "CONFIRMED") -> Applied:
    fill = a_fill(SELL, n, shares=shares, price="0.60", fee_usd=168_000, state=state, at_ms=LATER_MS)
    return apply_fill(ledger, fill, SELL, CLOSE)
