"""What is told once lasts once: batches are whole, repeatable and exact."""

from typing import Any, TypeVar

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import RejectedError
from core.records import CheckpointRecord, FillRecord, MarketRecord, MetricRecord, OrderRecord, PositionRecord, Record
from storage.lease import Lease, LeaseLostError, check_epoch
from storage.pool import Connection, connect
from storage.queries import Session, latest_checkpoint, open_positions
from storage.values import instant, money, units, unix_ms
from storage.writer import UPSERTS, write

TABLES = [table for table, _ in UPSERTS.values()]


def contents(connection: Connection) -> dict[str, list[Any]]:
    """Every row of every table the writer fills."""
    return {
        table: connection.execute(f"SELECT to_jsonb(t) - 'id' FROM {table} t ORDER BY t::text").fetchall()  # noqa: S608
        for table in TABLES
    }


T = TypeVar("T", bound=Record)


def of_kind(records: list[Record], kind: type[T]) -> T:
    return next(record for record in records if isinstance(record, kind))


def test_every_kind_of_record_has_its_row(connection: Connection, records: list[Record]) -> None:
    write(connection, records)
    assert {table: len(rows) for table, rows in contents(connection).items()} == dict.fromkeys(TABLES, 1)


def test_writing_a_batch_again_changes_nothing(connection: Connection, records: list[Record]) -> None:
    write(connection, records)
    before = contents(connection)
    write(connection, records)
    write(connection, records + records)
    assert contents(connection) == before


@pytest.mark.parametrize("bad", range(11))
def test_a_bad_row_anywhere_leaves_nothing(connection: Connection, records: list[Record], bad: int) -> None:
    refused = MetricRecord(session_id=999_999, name="orphan", value=1.0, at_ms=0)
    with pytest.raises(RejectedError, match="foreign key"):
        write(connection, [*records[:bad], refused, *records[bad:]])
    assert all(not rows for rows in contents(connection).values())
    write(connection, records)  # and the connection is still good


def test_a_text_the_database_cannot_hold_is_refused_and_leaves_nothing(
    connection: Connection, session: Session
) -> None:
    with pytest.raises(RejectedError, match="NUL"):
        write(connection, [MetricRecord(session.id, "ok", 1.0, 1), MetricRecord(session.id, "not\x00ok", 1.0, 1)])
    assert contents(connection)["metrics"] == []


def test_within_a_batch_the_order_of_parents_and_children_does_not_matter(
    connection: Connection, records: list[Record]
) -> None:
    write(connection, list(reversed(records)))
    assert len(contents(connection)["fills"]) == 1


def test_records_apply_in_the_order_they_were_told(connection: Connection, records: list[Record]) -> None:
    position = of_kind(records, PositionRecord)
    gone = msgspec.structs.replace(position, shares=0)
    write(connection, [position, gone])
    assert open_positions(connection, position.session_id) == []
    write(connection, [gone, position])
    assert open_positions(connection, position.session_id) == [position]


def test_an_unknown_strike_or_winner_never_erases_a_known_one(connection: Connection, records: list[Record]) -> None:
    market = of_kind(records, MarketRecord)
    write(connection, [msgspec.structs.replace(market, strike=67_123.45, winner="UP"), market])
    assert connection.execute("SELECT strike, winner, fee_rate FROM markets").fetchall() == [(67_123.45, "UP", 0.07)]


def test_the_same_fill_told_twice_is_one_row_with_the_last_state(connection: Connection, records: list[Record]) -> None:
    fill = of_kind(records, FillRecord)
    again = msgspec.structs.replace(fill, id="f1-again", state="CONFIRMED", shares=1)
    write(connection, [*records, again])
    assert connection.execute("SELECT id, state, shares FROM fills").fetchall() == [
        ("f1", "CONFIRMED", money(fill.shares))
    ]


def test_two_live_orders_for_one_intent_are_refused(connection: Connection, records: list[Record]) -> None:
    first = of_kind(records, OrderRecord)
    second = msgspec.structs.replace(first, id="o2", order_hash="0xh2")
    write(connection, records)
    with pytest.raises(RejectedError, match="orders_one_live_per_intent"):
        write(connection, [second])
    write(connection, [msgspec.structs.replace(first, state="FAILED", closed_at_ms=first.submitted_at_ms), second])
    assert connection.execute("SELECT id, state FROM orders ORDER BY id").fetchall() == [
        ("o1", "FAILED"),
        ("o2", "SENT"),
    ]


def test_replaying_a_journal_from_its_start_is_harmless(connection: Connection, records: list[Record]) -> None:
    order = of_kind(records, OrderRecord)
    closed = msgspec.structs.replace(order, state="FAILED", closed_at_ms=order.submitted_at_ms)
    retried = msgspec.structs.replace(order, id="o2", order_hash="0xh2")
    journal: list[list[Record]] = [records, [closed], [retried]]
    for batch in journal:
        write(connection, batch)
    before = contents(connection)
    for batch in journal:  # an older state of a closed order would collide with the live one
        write(connection, batch)
    assert contents(connection) == before


def test_checkpoints_keep_three_generations_per_name(connection: Connection, records: list[Record]) -> None:
    first = of_kind(records, CheckpointRecord)
    batch = [msgspec.structs.replace(first, generation=n, payload=b"%d" % n) for n in range(1, 8)]
    other = msgspec.structs.replace(first, name="other")
    write(connection, [other, *batch[:2]])
    write(connection, batch[2:])
    kept = connection.execute("SELECT name, generation FROM checkpoints ORDER BY 1, 2").fetchall()
    assert [generation for name, generation in kept if name == first.name] == [5, 6, 7]
    assert ("other", 1) in kept


def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(
    connection: Connection, records: list[Record]
) -> None:
    first = of_kind(records, CheckpointRecord)
    write(connection, [msgspec.structs.replace(first, generation=n, payload=b"generation %d" % n) for n in (1, 2, 3)])
    connection.execute("UPDATE checkpoints SET payload = 'torn' WHERE generation = 3")
    found = latest_checkpoint(connection, "actor", first.name)
    assert found is not None
    assert (found.generation, found.payload, found.damaged) == (2, b"generation 2", (3,))
    assert latest_checkpoint(connection, "model", first.name) is None


def test_a_process_without_the_lease_cannot_write(connection: Connection, database: str, records: list[Record]) -> None:
    older = Lease.acquire(database)
    write(connection, records[:1], lease_epoch=older.epoch)
    older.release()
    newer = Lease.acquire(database)
    with pytest.raises(LeaseLostError, match=rf"epoch {older.epoch} is lost"):
        write(connection, records, lease_epoch=older.epoch)
    assert contents(connection)["orders"] == []
    write(connection, records, lease_epoch=newer.epoch)
    newer.release()


def test_a_new_holder_waits_for_a_batch_under_way(connection: Connection, database: str) -> None:
    lease = Lease.acquire(database)
    with connection.transaction(), connect(database) as other:
        check_epoch(connection, lease.epoch)
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("UPDATE lease SET epoch = epoch + 1")
    lease.release()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shares=st.integers(1, 10**13),
    cost=st.integers(-(10**13), 10**13),
    opened_ms=st.integers(0, 4_102_444_800_000),
)
def test_money_and_times_come_back_exactly(
    connection: Connection, session: Session, shares: int, cost: int, opened_ms: int
) -> None:
    position = PositionRecord(session.id, "BTC", "0xc0", "UP", shares, cost, opened_ms, opened_ms + 1)
    write(connection, [position])
    assert open_positions(connection, session.id) == [position]


@given(st.integers(-(10**15), 10**15))
def test_units_round_trip(value: int) -> None:
    assert units(money(value)) == value
    assert unix_ms(instant(value % 4_102_444_800_000)) == value % 4_102_444_800_000
