"""Which paper session goes along with a live one, and what its actors start from."""

from pathlib import Path

import msgspec

from actors import addresses
from actors.portfolio_state import PortfolioState
from actors.states import state_of
from cli.checkpoint_keeper import Keeper
from cli.database import Database
from cli.state_restore import Restore
from core.records import CheckpointRecord
from core.runtime.actor import Actor
from core.runtime.cell import Spec
from core.runtime.clock import VirtualClock
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import RestartPolicy
from storage.beside import WENT_ALONG, beside_of, open_beside
from storage.checkpoints import generations
from storage.journal import Journal
from storage.lease import Lease
from storage.local_copies import LocalCopies
from storage.pool import Connection, open_pool
from storage.queries import Session, database_id, open_session
from storage.writer import write
from tests.dual.conftest import CONFIG, T0
from tests.operate.account_rows import traded_rows

START_USD = 10_000_000_000


def open_ones(connection: Connection) -> list[tuple[int, str]]:
    return connection.execute("SELECT id, mode FROM sessions WHERE ended_at IS NULL ORDER BY id").fetchall()  # type: ignore[return-value]


def test_it_is_resumed_with_the_live_session_and_knows_each_process(
    connection: Connection, live: Session, paper: Session, lease: Lease
) -> None:
    again = open_beside(connection, live, {}, lease.epoch, T0 + 60_000)

    assert again == msgspec.structs.replace(paper, resumed=True)
    assert beside_of(connection, live.id) == paper.id
    noted = connection.execute("SELECT session_id, name, value FROM metrics ORDER BY at").fetchall()
    assert noted == [(paper.id, WENT_ALONG, lease.epoch)] * 2


def test_a_run_on_paper_alone_does_not_resume_it(connection: Connection, paper: Session) -> None:
    alone = open_session(connection, "paper", CONFIG, venue="demo", new=False, now_ms=T0 + 5)
    assert not alone.resumed
    assert alone.id != paper.id
    ended = open_session(connection, "paper", CONFIG, venue="demo", new=True, now_ms=T0 + 6)
    assert {paper.id, ended.id} <= {number for number, _ in open_ones(connection)}


def test_a_new_live_session_ends_the_paper_one_beside_the_old(
    connection: Connection, live: Session, paper: Session, lease: Lease
) -> None:
    fresh = open_session(connection, "live", CONFIG, venue="demo, 0xf", new=True, now_ms=T0 + 9)
    assert open_ones(connection) == [(fresh.id, "live")]
    assert beside_of(connection, fresh.id) is None
    along = open_beside(connection, fresh, CONFIG, lease.epoch, T0 + 10)
    assert not along.resumed
    assert along.id not in (live.id, paper.id)


def restore(connection: Connection, session: Session, folder: Path) -> Restore:
    return Restore(
        connection,
        session,
        LocalCopies(folder, database_id(connection), report=lambda _text: None),
        write=lambda rows: write(connection, rows),
        log=lambda _text: None,
        now_ms=T0,
        portfolio=addresses.PAPER_PORTFOLIO,
    )


def test_its_account_is_rebuilt_from_its_own_rows(
    connection: Connection, live: Session, paper: Session, tmp_path: Path
) -> None:
    state, rows = traded_rows(paper.id, START_USD)
    write(connection, rows)
    restored = restore(connection, paper, tmp_path).run()

    found = restored.states["portfolio.paper"].state
    assert found is not None
    assert msgspec.msgpack.decode(found, type=PortfolioState).ledger.cash_usd == state.ledger.cash_usd
    assert [each.generation for each in generations(connection, f"{paper.id}/portfolio.paper")] == [1]
    assert restore(connection, live, tmp_path).run().states == {}


def test_an_unknown_account_gives_way_to_a_new_paper_session_and_live_trades_on(
    connection: Connection, database: str, live: Session, paper: Session, lease: Lease, tmp_path: Path
) -> None:
    _, rows = traded_rows(paper.id, START_USD)
    bad = CheckpointRecord("actor", f"{paper.id}/portfolio.paper", 1, 99, b"?", T0)
    write(connection, [*rows, bad])
    connection.execute("UPDATE fills SET state = 'MATCHED'")  # what they come to cannot be told
    copies = LocalCopies(tmp_path / "copies", database_id(connection), report=lambda _text: None)
    journal = Journal(tmp_path / "journal", database_id(connection), report=lambda _text: None)
    pool = open_pool(database)
    opened = Database(pool, lease, None, live, journal, None, copies, paper)  # type: ignore[arg-type]  # nobody watches
    try:
        restored = opened.restore()
    finally:
        pool.close()
        journal.close()

    assert (restored.refusal, restored.states) == (None, {})
    assert opened.beside is not None
    assert opened.beside.id > paper.id
    assert beside_of(connection, live.id) == opened.beside.id
    assert (paper.id, "paper") not in open_ones(connection)


class Says(Actor):
    """Saves what it is told."""

    def receive(self, message: object) -> None:
        self.context.save(message)  # type: ignore[arg-type]


def test_checkpoints_of_paper_actors_are_kept_under_their_own_session(tmp_path: Path) -> None:
    system, rows = SteppedRuntime(VirtualClock(T0), seed=0), list[object]()
    for address in (addresses.EXECUTOR, addresses.PAPER_EXECUTOR):
        system.add(Spec(address, Says, policy=RestartPolicy(), state=state_of(address)))
        system.start(address)
        system.tell(address, b"x")
    system.run_until(T0 + 1)
    copies = LocalCopies(tmp_path, "db", report=lambda _text: None)
    others = {addresses.PAPER_EXECUTOR.name: 2}
    keeper = Keeper(system, 1, write=rows.extend, mark=lambda *_: None, copies=copies, others=others)
    keeper.look(final=True)

    assert {row.name for row in rows if isinstance(row, CheckpointRecord)} == {"1/executor", "2/executor.paper"}
