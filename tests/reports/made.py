"""Four trades by hand, with the orders, fills and events they came of; what they come to is in the tests.

BTC UP     signal, net +5.60, fees 2.00, closed 23:31; the policy bought at 0.51 and 0.52 where it saw 0.51,
and sold at 0.59 where it saw 0.60
ETH DOWN   T-2, net -11.70, fees 0.70, closed 23:43 by the second order of a forced exit; the touch it saw was 0.32
BTC UP     signal, net +2.00, fees 0.50, closed 23:50; its orders are not stored
SOL UP     settlement, net -8.30, fees 0.30, closed 00:00; a forced exit was tried once and given up
"""

from core.market.features import FUSED_FEATURES, REFERENCE_FEATURES
from core.market.market import Side
from core.records import (
    AlertRecord,
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MarketRecord,
    OrderRecord,
    Record,
    TradeRecord,
)
from core.trading.money import micros
from core.trading.orders import IntentAction

T0 = 1_776_727_800_000
"""2026-04-20 23:30:00 UTC."""
WINDOW_MS = 900_000
HELD = "SOL UP 20.000000 shares of 0xs (T-2): the window ends; 1 attempts: touch 0.3"


def at(second: float) -> int:
    """Return unix milliseconds of a second after the first window's opening."""
    return T0 + round(second * 1000)


def seen(mid: float, spread: float) -> tuple[float, ...]:
    """Return features of the fused schema in which the Up token has this mid and spread."""
    values = dict.fromkeys(FUSED_FEATURES.names, 0.0) | {"price": 2 * mid - 1, "spread": min(1.0, spread * 20)}
    return tuple(values[name] for name in FUSED_FEATURES.names)


class Order:
    """An intent with its one order and the fills of it, as rows."""

    def __init__(
        self,
        name: str,
        session: int,
        market: tuple[str, str, Side],
        action: IntentAction,
        second: float,
        limit: str,
        *fills: tuple[str, str, str],
        features: tuple[float, ...] = (),
        reason: str = "signal",
        fill_state: str = "CONFIRMED",
        ended: bool = True,
    ) -> None:
        asset, condition_id, side = market
        forced = reason != "signal"
        done = "FILLED" if fills else "CANCELLED"
        self.rows: list[Record] = [
            IntentRecord(
                name, session, asset, condition_id, side, action, at(second), reason, 1, 1,
                () if forced else (0.1, 0.7, 0.2), features,
            ),
            OrderRecord(
                f"{name}.o", name, "paper", None, "FAK", "BUY" if action == "OPEN" else "SELL", "11", micros(limit),
                micros(100), done if ended else "LIVE", at(second) + 10, at(second + 1) if ended else None,
                None if fills else "nobody bids",
            ),
        ]  # fmt: skip
        self.rows += [
            FillRecord(
                f"{name}.f{number}", f"{name}.o", "paper", f"{name}.{number}", "", micros(price), micros(shares),
                micros(fee), "TAKER", fill_state, at(second + 1),
            )
            for number, (shares, price, fee) in enumerate(fills)
        ]  # fmt: skip


def trade(
    name: str,
    session: int,
    market: tuple[str, str, Side],
    seconds: tuple[float, float],
    result: tuple[str, str],
    *,
    reason: str = "signal",
    forced: bool = False,
    shares: str = "100",
    prices: tuple[str, str] = ("0.5", "0.6"),
) -> TradeRecord:
    """Return a round trip's row; `seconds` are of its first and last fill, `result` is net and fees."""
    asset, condition_id, side = market
    net, fees = result
    return TradeRecord(
        name, session, asset, condition_id, side, at(seconds[0]), at(seconds[1]), micros(shares), micros(prices[0]),
        micros(prices[1]), micros(fees), micros(net), reason, force_closed=forced,
        force_close_reason=reason if forced else None,
    )  # fmt: skip


BTC: tuple[str, str, Side] = ("BTC", "0xb", "UP")
ETH: tuple[str, str, Side] = ("ETH", "0xe", "DOWN")
SOL: tuple[str, str, Side] = ("SOL", "0xs", "UP")
BTC_LATER: tuple[str, str, Side] = ("BTC", "0xc", "UP")


MARKETS: tuple[tuple[str, str, int, Side | None], ...] = (
    ("BTC", "0xb", 0, "UP"),
    ("ETH", "0xe", 0, "UP"),
    ("SOL", "0xs", 1, "DOWN"),
    ("BTC", "0xc", 1, None),
)


def _market(asset: str, condition_id: str, number: int, winner: Side | None) -> MarketRecord:
    opens_ms = T0 + number * WINDOW_MS
    slug = f"{asset.lower()}-updown-15m-{opens_ms // 1000}"
    return MarketRecord(
        condition_id, asset, slug, opens_ms, opens_ms + WINDOW_MS, 100.5, winner, 0.07, 10_000
    )  # fmt: skip


def history(session: int) -> list[Record]:
    """Return every row of the four trades in a session."""
    return [
        *(_market(*each) for each in MARKETS),
        *Order("b.open", session, BTC, "OPEN", 9, "0.53", ("60", "0.51", "0.6"), ("40", "0.52", "0.4"),
               features=seen(0.50, 0.02)).rows,
        *Order("b.close", session, BTC, "CLOSE", 99, "0.58", ("100", "0.59", "1"), features=seen(0.61, 0.02)).rows,
        trade("b.open.0", session, BTC, (10, 100), ("5.6", "2"), prices=("0.514", "0.59")),
        *Order("e.open", session, ETH, "OPEN", 19, "0.34", ("50", "0.32", "0.5"), features=seen(0.70, 0.04)).rows,
        *Order("e.exit1", session, ETH, "CLOSE", 780, "0.15", reason="T-2, touch").rows,
        *Order("e.exit2", session, ETH, "CLOSE", 789, "0.08", ("50", "0.10", "0.2"), reason="T-2, deeper").rows,
        trade("e.open.1", session, ETH, (20, 790), ("-11.7", "0.7"), reason="T-2", forced=True, shares="50",
              prices=("0.32", "0.1")),
        trade("c.open.2", session, BTC_LATER, (1100, 1200), ("2", "0.5")),
        *Order("s.open", session, SOL, "OPEN", 1000, "0.40", ("20", "0.40", "0.3"),
               features=(0.5,) * REFERENCE_FEATURES.size).rows,
        *Order("s.exit", session, SOL, "CLOSE", 1700, "0.30", reason="T-2, touch").rows,
        trade("s.open.3", session, SOL, (1001, 1805), ("-8.3", "0.3"), reason="settlement", shares="20",
              prices=("0.4", "0")),
        HealthEventRecord(session, "exit SOL", "held to settlement", HELD, at(1799)),
        HealthEventRecord(session, "market.BTC", "failed", "ValueError: nan", at(50)),
        HealthEventRecord(session, "feed.binance.ETH", "stale", "last data 6.1 s ago", at(55)),
        HealthEventRecord(session, "database", "stale", "1.2 s behind", at(60)),
        AlertRecord(session, "trade closed", "BTC UP closed by signal", "delivered", at(101)),
        AlertRecord(session, "trade closed", "SOL UP closed by signal", "delivered", at(101)),
    ]  # fmt: skip
