"""Connections, a session and one record of every kind, for the tests of what lasts."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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
from storage.pool import Connection, connect
from storage.queries import Session, open_session

T0 = 1_776_727_800_123


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that stays open to the server's account: any other pytest that starts closes pytest's own."""
    with tempfile.TemporaryDirectory(prefix="fusebox-test-") as folder:
        yield Path(folder)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def session(connection: Connection) -> Session:
    return open_session(connection, "paper", {"starting_cash_usd": 10_000}, venue="demo", new=False, now_ms=T0)


@pytest.fixture
def records(session: Session) -> list[Record]:
    """One of each kind, in the order in which trading produces them."""
    return [
        MarketRecord("0xc0", "BTC", "btc-updown-15m-1776727800", T0, T0 + 900_000, None, None, 0.07, 10_000),
        IntentRecord(
            "i1", session.id, "BTC", "0xc0", "UP", "OPEN", T0 + 1, "policy", 1, 1, (0.1, 0.7, 0.2), (0.5,) * 18
        ),
        OrderRecord("o1", "i1", "paper", "0xh1", "FAK", "BUY", "111", 510_000, 100_000_000, "SENT", T0 + 2, None, None),
        FillRecord("f1", "o1", "paper", "t1", "0xh1", 510_000, 100_000_000, 1_749_300, "TAKER", "MATCHED", T0 + 3),
        PositionRecord(session.id, "BTC", "0xc0", "UP", 100_000_000, 52_749_300, T0 + 3, T0 + 3),
        TradeRecord(
            "r1", session.id, "ETH", "0xc1", "DOWN", T0, T0 + 9, 5_000_000, 400_000, 1_000_000, 84_000, 2_916_000,
            "settlement", force_closed=False, force_close_reason=None,
        ),
        CheckpointRecord("actor", f"{session.id}/portfolio", 1, 1, b"\x00state", T0),
        HealthEventRecord(session.id, "feed.binance.BTC", "stale", "no frame for 5 s", T0),
        AlertRecord(session.id, "opened", "BTC UP 100", "pending", T0),
        MetricRecord(session.id, "latency_ms", 1.5, T0),
        DeadLetterRecord(session.id, "market.BTC", "feed.binance.BTC", 2, "FlowView", "ValueError: nan", T0),
    ]  # fmt: skip
