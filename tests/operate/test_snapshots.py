"""What a running process writes for the web page: complete, once a second, pruned, and never in trading's way."""

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec
import pytest
from loguru import logger

from cli.snapshots import Snapshots, account_sample, asset_sample, snapshot_of
from cli.status_report import AssetLine, GateLine, Process, Status
from core.runtime.board import StatusBoard
from core.status import AssetStatus, HoldingStatus, PortfolioStatus
from storage.pool import Connection
from storage.queries import Session, open_session
from storage.snapshots import KEPT_MS, AccountSample, AssetSample, Snapshot, prune, save

T0 = 1_776_727_800_000
EPOCH = 5
PROCESS = Process(1, "paper", "demo", 4711, T0, T0)
BTC = AssetStatus(
    asset="BTC",
    slug="btc-updown-60s-1",
    closes_at_s=T0 // 1000 + 30,
    up_price=515_000,
    spread=10_000,
    spot=101.5,
    strike=100.0,
    signal=0.1,
    probabilities=(0.2, 0.7, 0.1),
    action=1,
    decisions=9,
    unrealised_usd=-250_000,
    waiting_for=None,
    at_ms=T0,
    condition_id="0xc",
    opens_at_s=T0 // 1000 - 30,
    fair=0.75,
    bids=((510_000, 3_000_000), (500_000, 4_000_000)),
    asks=((520_000, 9_000_000),),
)
HELD = HoldingStatus("UP", 2_000_000, 1_030_000, 500_000, 1_250_000, 30_000, 3, 0)
ACCOUNT = PortfolioStatus(1, 9_000_000, 0, 1_030_000, 1_250_000, 30_000, 3, 2, {"BTC": HELD}, None)


@pytest.fixture
def session(connection: Connection) -> Session:
    connection.execute("UPDATE lease SET epoch = %s", (EPOCH,))
    return open_session(connection, "paper", {}, venue="demo", new=False, now_ms=T0)


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line).strip()), format="{message}", level="INFO")
    yield lines
    logger.remove(sink)


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def soon(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    waiting, deadline_s = threading.Event(), time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to that"
        waiting.wait(0.02)


def document() -> Status:
    line = AssetLine(
        asset="BTC", gate="open", leaving=False, window=BTC.slug, closes_at_ms=T0, up_price="0.515000", spread=None,
        spot=None, strike=None, signal=None, probabilities=None, decisions=9, last_state_age_s=None, waiting_for=None,
        position=None, unsettled=0, trades=3, pnl_net_usd="1.250000", fees_usd="0.030000", stale_feeds=[],
    )  # fmt: skip
    return Status(
        schema=1, running=True, at_ms=T0, process=PROCESS, gate=GateLine("open", 0, []), actors=[], assets=[line],
        portfolio=None, recorder=None, learner=None, dead_letters=0, hung_threads=0, failure=None,
    )  # fmt: skip


def test_a_snapshot_has_the_status_document_and_the_samples_of_its_charts() -> None:
    board = StatusBoard()
    board.publish("asset BTC", BTC, 0)
    board.publish("portfolio", ACCOUNT, 0)
    found = snapshot_of(document(), board)

    assert msgspec.json.decode(found.status, type=Status) == document()
    assert found.assets == (asset_sample(BTC, HELD),)
    (sample,) = found.assets
    assert (sample.best_bid, sample.bid_shares, sample.ask_shares) == (510_000, 7_000_000, 9_000_000)
    assert (sample.fair_value, sample.side, sample.net_usd) == (0.75, "UP", 1_000_000)
    assert found.accounts == (account_sample(ACCOUNT, -250_000),)
    assert found.accounts[0].equity_usd == 9_000_000 + 1_030_000 - 250_000


def a_snapshot(session: Session, at_ms: int = T0) -> Snapshot:
    assets = (asset_sample(BTC, HELD), AssetSample("ETH", *[None] * 7, 0, *[None] * 5))  # type: ignore[arg-type, call-arg]
    return Snapshot(session.id, at_ms, b'{"a":1}', assets, (AccountSample(session.id, 1, 2, 3, None),))


def test_it_is_stored_exactly_and_the_newest_replaces_the_one_before(connection: Connection, session: Session) -> None:
    assert save(connection, a_snapshot(session), lease_epoch=EPOCH)
    assert save(connection, a_snapshot(session), lease_epoch=EPOCH), "the same again changes nothing"
    assert save(connection, a_snapshot(session, T0 + 1000), lease_epoch=EPOCH)

    assert (count(connection, "status_snapshots"), count(connection, "asset_samples")) == (1, 4)
    row = connection.execute(
        "SELECT up_price, fair_value, shares, net_usd, best_ask FROM asset_samples WHERE asset = 'BTC' LIMIT 1"
    ).fetchone()
    assert row == (Decimal("0.515000"), 0.75, Decimal("2.000000"), Decimal("1.000000"), Decimal("0.520000"))
    assert connection.execute("SELECT equity_usd, open_pnl_usd FROM account_samples LIMIT 1").fetchone() == (
        Decimal("0.000002"),
        None,
    )


def test_a_process_that_lost_its_lease_paints_over_nobody(connection: Connection, session: Session) -> None:
    assert not save(connection, a_snapshot(session), lease_epoch=EPOCH - 1)

    assert (count(connection, "status_snapshots"), count(connection, "asset_samples")) == (0, 0)


def test_samples_are_kept_for_a_day(connection: Connection, session: Session) -> None:
    for at_ms in (T0, T0 + 1000, T0 + KEPT_MS):
        save(connection, a_snapshot(session, at_ms), lease_epoch=EPOCH)
    connection.execute("INSERT INTO status_snapshots VALUES (77, '2020-01-01', '{}')")
    prune(connection, session.id, T0 + 500 + KEPT_MS, most=1)
    assert count(connection, "asset_samples") == 5, "what is too old goes a part at a time"
    prune(connection, session.id, T0 + 500 + KEPT_MS)

    assert (count(connection, "asset_samples"), count(connection, "account_samples")) == (4, 2)
    assert count(connection, "status_snapshots") == 1


def test_the_thread_writes_each_second_and_outlives_the_databases_absence(
    database: str, connection: Connection, session: Session, told: list[str]
) -> None:
    places: list[str | None] = [None]
    thread = Snapshots(lambda: places[0], EPOCH, lambda: a_snapshot(session, time.time_ns() // 1_000_000))
    thread.start()
    soon(lambda: any("is not given its picture: the database is not there" in line for line in told))
    places[0] = database
    soon(lambda: count(connection, "account_samples") >= 2)
    thread.stop()

    assert len([line for line in told if "picture" in line]) == 2, "when it begins and when it ends"
    assert "given its picture again" in told[-1]


def test_a_picture_that_cannot_be_made_is_said_and_ends_nothing(database: str, told: list[str]) -> None:
    calls = threading.Semaphore(0)

    def broken() -> Snapshot:
        calls.release()
        raise ZeroDivisionError("no such number")

    thread = Snapshots(lambda: database, EPOCH, broken)
    thread.start()
    assert calls.acquire(timeout=10)
    assert calls.acquire(timeout=10), "it is tried again"
    thread.stop()

    assert [line for line in told if "no such number" in line] == told
    assert len(told) == 1
