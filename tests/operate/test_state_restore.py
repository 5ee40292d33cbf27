"""What a process starts from: the newest checkpoint that can be trusted, and for money nothing else than the truth."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from psycopg.types.json import Jsonb

from actors.learner import LearnerState
from actors.portfolio_state import SCHEMA_VERSION, PortfolioState
from cli.state_restore import Restore, Restored
from core.records import CheckpointRecord, Record
from core.trading.money import micros
from storage.checkpoints import generations
from storage.local_copies import LocalCopies
from storage.pool import Connection
from storage.queries import Session, database_id, open_session
from storage.writer import write
from tests.operate.account_rows import traded_rows

T0 = 1_776_727_800_123
START = 10_000_000_000
NAME = "1/learner"

RestoreAll = Callable[[], Restored]


@pytest.fixture
def session(connection: Connection) -> Session:
    config = {"starting_cash_usd": "10000"}
    return open_session(connection, "paper", config, venue="paper", new=False, now_ms=T0)


@pytest.fixture
def copies(connection: Connection, tmp_path: Path) -> LocalCopies:
    return LocalCopies(tmp_path, database_id(connection), report=lambda _text: None)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def restore(connection: Connection, session: Session, copies: LocalCopies, lines: list[str]) -> RestoreAll:
    def run() -> Restored:
        return Restore(
            connection,
            session,
            copies,
            write=lambda rows: write(connection, rows),
            log=lines.append,
            now_ms=T0,
        ).run()

    return run


def learner(number: int, heard: int, version: int = 1) -> CheckpointRecord:
    payload = msgspec.msgpack.encode(LearnerState(1, "", heard))
    return CheckpointRecord("actor", NAME, number, version, payload, T0 + number)


def damage(connection: Connection, name: str, generation: int) -> None:
    connection.execute(
        "UPDATE checkpoints SET payload = '\\x00' WHERE name = %s AND generation = %s", (name, generation)
    )


def heard(restored: Restored) -> int | None:
    state = restored.states["learner"].state
    return None if state is None else msgspec.msgpack.decode(state, type=LearnerState).heard


def events(connection: Connection) -> list[str]:
    found = connection.execute("SELECT detail FROM health_events WHERE status = 'checkpoint' ORDER BY id").fetchall()
    return [str(detail) for (detail,) in found]


def test_the_newest_generation_is_restored_without_a_word(
    restore: RestoreAll, connection: Connection, lines: list[str]
) -> None:
    write(connection, [learner(number, number) for number in (1, 2, 3)])
    restored = restore()

    assert heard(restored) == 3
    assert [each.generation for each in restored.states["learner"].older] == [2, 1]
    assert (lines, restored.refusal) == ([], None)


def test_a_damaged_generation_is_quarantined_and_told_and_the_one_before_is_used(
    restore: RestoreAll, connection: Connection, lines: list[str]
) -> None:
    write(connection, [learner(number, number) for number in (1, 2, 3)])
    damage(connection, NAME, 3)
    restored = restore()

    assert heard(restored) == 2
    assert restored.states["learner"].generation == 3  # number 3 is never given out again
    assert [each.quarantined for each in generations(connection, NAME)] == [
        "its content no longer has its checksum", None, None,
    ]  # fmt: skip
    text = "generation 3 is set aside (its content no longer has its checksum); starts from generation 2"
    assert lines == [f"checkpoint of learner: {text}"]
    assert events(connection) == [text]
    lines.clear()
    assert heard(restore()) == 2
    assert lines == []  # told once


def test_an_unknown_schema_version_is_quarantined_by_name(
    restore: RestoreAll, connection: Connection, lines: list[str]
) -> None:
    write(connection, [learner(1, 1), learner(2, 2, version=9)])

    assert heard(restore()) == 1
    assert "schema version 9 is newer than 1: update this program" in lines[0]


def test_a_local_copy_is_used_when_the_database_has_nothing_usable_and_it_is_not_older(
    restore: RestoreAll, connection: Connection, copies: LocalCopies, lines: list[str]
) -> None:
    write(connection, [learner(3, 3)])
    copies.write(learner(3, 3))
    damage(connection, NAME, 3)

    assert heard(restore()) == 3
    assert "starts from the local copy of generation 3" in lines[0]
    lines.clear()
    connection.execute("DELETE FROM checkpoints")
    assert heard(restore()) == 3
    assert "the database has no checkpoint; starts from the local copy of generation 3" in lines[0]


def test_an_older_local_copy_never_beats_the_database(
    restore: RestoreAll, connection: Connection, copies: LocalCopies, lines: list[str]
) -> None:
    copies.write(learner(2, 2))
    write(connection, [learner(3, 3)])
    assert heard(restore()) == 3

    damage(connection, NAME, 3)
    assert heard(restore()) is None
    assert "the local copy is of generation 2, older than 3 in the database: not used; starts from nothing" in lines[0]
    assert restore().states["learner"].generation == 3


def test_a_newer_local_copy_does_not_beat_the_database_either(
    restore: RestoreAll, connection: Connection, copies: LocalCopies
) -> None:
    write(connection, [learner(3, 3)])
    copies.write(learner(5, 5))

    assert heard(restore()) == 3


def test_copies_of_another_database_or_session_are_not_seen(
    restore: RestoreAll, connection: Connection, tmp_path: Path
) -> None:
    other = LocalCopies(tmp_path, "another database", report=lambda _text: None)
    other.write(learner(9, 9))
    mine = LocalCopies(tmp_path, database_id(connection), report=lambda _text: None)
    mine.write(msgspec.structs.replace(learner(9, 9), name="2/learner"))

    assert "learner" not in restore().states


# -- the portfolio ----------------------------------------------------------------------------------------------------


@pytest.fixture
def traded(connection: Connection, session: Session) -> PortfolioState:
    """A session that closed a trade, holds a position and has an order open, by its rows and its checkpoint."""
    state, rows = traded_rows(session.id, START)
    write(connection, rows)
    save(connection, 7, state)
    return state


def save(connection: Connection, generation: int, state: PortfolioState) -> CheckpointRecord:
    payload = msgspec.msgpack.encode(state)
    row = CheckpointRecord("actor", "1/portfolio", generation, SCHEMA_VERSION, payload, T0)
    rows: list[Record] = [row]
    write(connection, rows)
    return row


def portfolio(restored: Restored) -> PortfolioState:
    state = restored.states["portfolio"].state
    assert state is not None
    return msgspec.msgpack.decode(state, type=PortfolioState)


def test_a_portfolio_starts_from_its_newest_generation(restore: RestoreAll, traded: PortfolioState) -> None:
    restored = restore()

    assert (portfolio(restored), restored.states["portfolio"].generation) == (traded, 7)


def test_a_damaged_portfolio_never_goes_back_to_an_older_account_but_is_rebuilt_from_its_rows(
    restore: RestoreAll, connection: Connection, traded: PortfolioState, lines: list[str]
) -> None:
    save(connection, 8, traded)
    save(connection, 6, PortfolioState.new(START))  # older, and of another time: more cash, no position
    damage(connection, "1/portfolio", 7)
    damage(connection, "1/portfolio", 8)
    restored = restore()
    state = portfolio(restored)

    assert state.ledger.cash_usd == traded.ledger.cash_usd != START
    assert state.ledger.positions == traded.ledger.positions
    assert (state.ledger.realised_usd, state.ledger.trade_count) == (
        traded.ledger.realised_usd, traded.ledger.trade_count,
    )  # fmt: skip
    assert set(state.orders) == set(traded.orders)
    assert set(state.ledger.reservations) == set(traded.ledger.reservations)
    assert state.tallies == traded.tallies
    assert restored.refusal is None
    assert "rebuilt from 1 trades and 1 positions, cash" in lines[0]
    newest = generations(connection, "1/portfolio")[0]
    assert (newest.generation, newest.usable, restored.states["portfolio"].generation) == (9, True, 9)
    assert portfolio(restore()) == state  # the next start finds it


def test_a_portfolio_that_was_deleted_is_rebuilt_and_not_taken_for_a_new_one(
    restore: RestoreAll, connection: Connection, traded: PortfolioState
) -> None:
    connection.execute("DELETE FROM checkpoints")

    assert portfolio(restore()).ledger.cash_usd == traded.ledger.cash_usd


def test_a_new_session_has_no_account_to_rebuild(restore: RestoreAll, lines: list[str]) -> None:
    restored = restore()

    assert ("portfolio" in restored.states, restored.refusal, lines) == (False, None, [])


def test_the_portfolios_local_copy_is_taken_when_it_agrees_with_the_rows(
    restore: RestoreAll, connection: Connection, copies: LocalCopies, traded: PortfolioState, lines: list[str]
) -> None:
    copies.write(save(connection, 8, traded))
    damage(connection, "1/portfolio", 8)

    assert portfolio(restore()) == traded
    assert "the local copy of generation 8, which agrees with the rows" in lines[0]


def test_the_portfolios_local_copy_is_not_taken_when_rows_were_written_since(
    restore: RestoreAll, connection: Connection, copies: LocalCopies, traded: PortfolioState, lines: list[str]
) -> None:
    stale = PortfolioState.new(START)
    copies.write(CheckpointRecord("actor", "1/portfolio", 8, SCHEMA_VERSION, msgspec.msgpack.encode(stale), T0))
    connection.execute("DELETE FROM checkpoints")

    assert portfolio(restore()).ledger == traded.ledger
    assert "the local copy of generation 8 is not used: its cash is" in lines[0]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE positions SET shares = shares + 1",
        "UPDATE fills SET state = 'MATCHED'",
        "DELETE FROM markets",
        "UPDATE fills SET price = price + 0.01",
    ],
)
def test_an_account_that_the_rows_do_not_tell_exactly_is_not_traded_with(
    restore: RestoreAll, connection: Connection, traded: PortfolioState, lines: list[str], harm: str
) -> None:
    damage(connection, "1/portfolio", 7)
    connection.execute(harm)
    restored = restore()

    assert restored.refusal is not None
    assert "checkpoints rollback portfolio --force" in restored.refusal
    assert restored.states["portfolio"].state is None
    assert restored.states["portfolio"].generation == 7
    assert "nothing is traded" in lines[0]


def test_starting_cash_is_that_of_the_session_not_of_todays_settings(
    restore: RestoreAll, connection: Connection, traded: PortfolioState
) -> None:
    damage(connection, "1/portfolio", 7)
    connection.execute("UPDATE sessions SET config = %s", (Jsonb({"starting_cash_usd": "10005.5"}),))
    restored = Restore(
        connection,
        open_session(connection, "paper", {}, venue="paper", new=False, now_ms=T0),
        LocalCopies(Path("nowhere"), "none", report=lambda _text: None),
        write=lambda rows: write(connection, rows),
        log=lambda _text: None,
        now_ms=T0,
    ).run()

    assert portfolio(restored).ledger.cash_usd == traded.ledger.cash_usd + micros("5.5")
    assert hashlib.sha256(restored.states["portfolio"].state or b"").hexdigest() == (
        generations(connection, "1/portfolio")[0].sha256
    )
