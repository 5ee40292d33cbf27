"""What an earlier program saved is converted, or refused by name; nothing of the account is lost or made up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from actors.account import disagreement
from actors.portfolio_state import PortfolioState
from actors.states import PORTFOLIO, state_of
from cli.model_line import open_line
from cli.state_restore import Restore, Restored
from core.market.features import FUSED_FEATURES
from core.records import CheckpointRecord
from core.runtime.address import Address
from core.runtime.checkpoint import UnreadableStateError
from core.trading.ledger import Ledger
from models.checkpoint import MODEL, fresh_weights, read_model
from models.ppo.state import TrainingState
from storage.account_rows import account_rows
from storage.checkpoint_line import stored_names, stored_states
from storage.checkpoints import generations
from storage.local_copies import LocalCopies
from storage.migrate import migrate
from storage.pool import Connection, connect
from storage.queries import Session, checkpoint_name, database_id, open_session
from storage.writer import write

VENUE = "embedded lagged, seed 0, 20 s"
T0 = 1_795_877_400_000
START_USD = 10_000_000_000


@pytest.fixture
def connection(old_database: str) -> Iterator[Connection]:
    with connect(old_database) as opened:
        yield opened


@pytest.fixture
def session(old_database: str, connection: Connection) -> Session:
    migrate(old_database)
    return open_session(connection, "paper", {}, venue=VENUE, new=False, now_ms=T0)


@pytest.fixture
def copies(connection: Connection, tmp_path: Path) -> LocalCopies:
    """None: a new host has no local copies."""
    return LocalCopies(tmp_path, database_id(connection), report=lambda _text: None)


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def restore(connection: Connection, session: Session, copies: LocalCopies, lines: list[str]) -> Callable[[], Restored]:
    """Choose what to start from, as `run` does."""

    def run() -> Restored:
        return Restore(
            connection, session, copies, write=lambda rows: write(connection, rows), log=lines.append, now_ms=T0
        ).run()

    return run


def account(restored: Restored) -> PortfolioState:
    state = restored.states["portfolio"].state
    assert state is not None
    return msgspec.msgpack.decode(state, type=PortfolioState)


def payload_of(connection: Connection, name: str) -> tuple[int, bytes]:
    stored = stored_states(connection, "actor", name)[0]
    return stored.schema_version, stored.payload


def test_every_state_of_the_earlier_program_is_taken_and_none_set_aside(
    restore: Callable[[], Restored], session: Session, connection: Connection, lines: list[str]
) -> None:
    names = stored_names(connection, "actor")
    restored = restore()

    assert (session.id, session.resumed) == (1, True)
    assert {checkpoint_name(1, name) for name in restored.states} == set(names)
    assert len(names) == 7
    assert [name for name, state in restored.states.items() if state.state is None] == []
    assert (restored.refusal, lines) == (None, [])
    assert [each.name for each in generations(connection) if each.quarantined] == []


def test_its_portfolio_is_converted_and_agrees_with_its_rows_to_the_micro_dollar(
    restore: Callable[[], Restored], connection: Connection
) -> None:
    version, payload = payload_of(connection, "1/portfolio")
    state = account(restore())
    rows = account_rows(connection, 1)

    assert version == 1
    assert msgspec.convert(msgspec.msgpack.decode(payload)["ledger"], Ledger) == state.ledger
    assert disagreement(state, rows) is None
    assert state.ledger.cash_usd == rows.totals.cash(START_USD)
    assert state.ledger.trade_count == 3
    assert sorted((each.asset, each.side, each.shares) for each in state.ledger.positions.values()) == [
        ("BTC", "UP", 91_000_000),
        ("ETH", "DOWN", 48_000_000),
    ]
    assert set(state.markets) == {each.condition_id for each in state.ledger.positions.values()}


def test_its_model_goes_on_with_its_weights_and_with_what_its_learner_had_heard(
    session: Session, connection: Connection, copies: LocalCopies, lines: list[str]
) -> None:
    (newest,) = stored_states(connection, "model", "untrained-seed-0")
    line = open_line(
        connection, copies, fresh_weights(0, FUSED_FEATURES), name="untrained-seed-0", source="untrained, seed 0",
        write=lambda rows: write(connection, rows), log=lines.append, now_ms=T0,
    )  # fmt: skip
    weights, state = read_model(MODEL.version, MODEL.read(line.row.schema_version, line.row.payload))

    assert (line.row.generation, line.row.payload, lines) == (newest.generation, newest.payload, [])
    assert weights.to_bytes() == state.weights
    assert state.training is not None
    assert TrainingState.from_bytes(state.training, weights).version == weights.version
    assert state.buffer


def test_a_portfolio_of_a_newer_program_is_set_aside_by_name_and_the_account_is_rebuilt_from_the_rows(
    restore: Callable[[], Restored], connection: Connection, lines: list[str]
) -> None:
    """As after a roll-back of the program: what it cannot read it does not guess."""
    newer = PORTFOLIO.version + 1
    _, payload = payload_of(connection, "1/portfolio")
    write(connection, [CheckpointRecord("actor", "1/portfolio", 900, newer, payload, T0)])
    connection.execute("DELETE FROM checkpoints WHERE name = '1/portfolio' AND generation < 900")
    restored = restore()

    (line,) = lines
    assert f"schema version {newer} is newer than {PORTFOLIO.version}: update this program" in line
    assert "rebuilt from 3 trades and 2 positions" in line
    assert restored.refusal is None
    assert disagreement(account(restored), account_rows(connection, 1)) is None
    assert account(restore()) == account(restored)


@pytest.mark.parametrize("name", ["portfolio", "learner", "market.BTC", "executor", "discovery", "notifier"])
def test_a_version_that_nobody_wrote_is_refused_by_name(name: str) -> None:
    layout = state_of(Address(name))
    assert layout is not None

    with pytest.raises(UnreadableStateError, match=r"schema version 0 is unknown, this program reads"):
        layout.read(0, b"")
    with pytest.raises(UnreadableStateError, match=rf"is newer than {layout.version}: update this program"):
        layout.read(layout.version + 1, b"")
