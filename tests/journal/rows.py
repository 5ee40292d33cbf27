"""Records to put into a journal, and what is in one."""

from core.records import (
    AlertRecord,
    CheckpointRecord,
    DeadLetterRecord,
    FillRecord,
    HealthEventRecord,
    IntentRecord,
    MarketRecord,
    MetricRecord,
    OrderRecord,
    PositionRecord,
    Record,
    TradeRecord,
)
from storage.journal import Journal

Rows = tuple[Record, ...]


def fill(number: int = 1) -> FillRecord:
    return FillRecord(
        id=f"fill-{number}",
        order_id="order-1",
        venue="paper",
        trade_id=f"trade-{number}",
        order_hash="0xhash",
        price=510_000,
        shares=12_000_000,
        fee_usd=214_200,
        liquidity="TAKER",
        state="CONFIRMED",
        filled_at_ms=1_790_000_000_123,
    )


def metric(number: int) -> MetricRecord:
    return MetricRecord(session_id=1, name="lag_s", value=number / 8, at_ms=number)


ONE_OF_EACH: Rows = (
    MarketRecord("0xc", "BTC", "btc-updown-15m-1", 1, 2, None, "UP", 0.07, 10_000),
    IntentRecord("intent-1", 1, "BTC", "0xc", "UP", "OPEN", 5, "policy", 3, 2, (0.1, 0.8, 0.1), (0.0, -1.0, 1.0)),
    OrderRecord("order-1", "intent-1", "paper", "0xh", "FAK", "BUY", "123", 510_000, 1, "LIVE", None, None, None),
    fill(),
    PositionRecord(1, "BTC", "0xc", "UP", 12_000_000, 6_334_200, 5, 6),
    TradeRecord(
        "trade-1",
        1,
        "BTC",
        "0xc",
        "UP",
        5,
        9,
        1,
        510_000,
        1_000_000,
        2,
        3,
        "settled",
        force_closed=False,
        force_close_reason=None,
    ),
    CheckpointRecord("model", "policy", 7, 1, bytes(range(256)), 9),
    HealthEventRecord(1, "market.BTC", "restarted", "crash in receive: é", 9),
    AlertRecord(1, "gate", "reduce-only", "sent", 9),
    metric(3),
    DeadLetterRecord(1, "market.BTC", "feed.binance.BTC", 2, "FlowView", "ValueError", 9),
)


def held(journal: Journal) -> dict[int, Rows]:
    """Return what is not confirmed, after checking that it comes in order and once."""
    entries = list(journal.pending())
    sequences = [sequence for sequence, _ in entries]
    assert sequences == sorted(set(sequences))
    return dict(entries)
