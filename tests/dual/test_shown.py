"""What a person sees of the paper session beside the live one: in `status`, on the live table, in the headline."""

import io

import msgspec
import pytest
from rich.console import Console, RenderableType

from actors import addresses
from cli.divergence import Divergence, divergence
from cli.live_table import live_table
from cli.screen import MONEY
from cli.status_report import Process, Status, status_of
from cli.status_stored import stored_status
from cli.status_view import stored_view, view
from config.settings import Settings
from core.runtime.clock import SystemClock
from core.runtime.threaded import ThreadedRuntime
from core.status import PortfolioStatus
from core.trading.money import MICRO
from storage.pool import Connection
from storage.queries import Session

LIVE = PortfolioStatus(1, 900 * MICRO, 0, 100 * MICRO, -5 * MICRO, 2 * MICRO, 3, 1, {}, None)
PAPER = msgspec.structs.replace(LIVE, session_id=2, cash_usd=950 * MICRO, realised_usd=-3 * MICRO, trades=4)


def text_of(shown: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(shown)
    return out.getvalue()


@pytest.fixture
def system() -> ThreadedRuntime:
    """A runtime on whose board both portfolios have shown themselves."""
    runtime = ThreadedRuntime(SystemClock(), seed=0)
    runtime.board.publish(addresses.PORTFOLIO.name, LIVE, 0)
    runtime.board.publish(addresses.PAPER_PORTFOLIO.name, PAPER, 0)
    return runtime


@pytest.fixture
def status(system: ThreadedRuntime) -> Status:
    return status_of(system, Process(1, "dual", "demo", 7, 0, 0, 2))


def test_status_has_both_accounts_and_marks_the_live_one_only(status: Status) -> None:
    assert status.portfolio is not None
    assert status.paper_beside is not None
    assert (status.portfolio.pnl_net_usd, status.portfolio.open_pnl_usd) == ("-5.000000", "0.000000")
    assert (status.paper_beside.pnl_net_usd, status.paper_beside.open_pnl_usd) == ("-3.000000", None)
    shown = text_of(view(status))
    assert "paper session 2 beside: cash 950.00 USD (0.00 reserved), open cost 100.00, PnL net -3.00, fees" in shown


def test_the_divergence_is_shown_where_somebody_has_added_it(
    status: Status, connection: Connection, live: Session, paper: Session
) -> None:
    found = divergence(connection, live.id, paper.id)
    assert "divergence" not in text_of(view(status))
    shown = text_of(view(msgspec.structs.replace(status, divergence=found)))
    assert f"divergence: live session {live.id}, paper session {paper.id} beside it" in shown
    assert msgspec.convert(msgspec.to_builtins(found), type=Divergence) == found


def test_what_is_stored_is_the_live_sessions_with_the_divergence(
    connection: Connection, live: Session, paper: Session
) -> None:
    found = stored_status(connection)
    assert found.session is not None
    assert (found.session.id, found.session.mode) == (live.id, "live")
    assert found.divergence == divergence(connection, live.id, paper.id)
    assert "divergence: PnL net" in text_of(stored_view(found))


def test_the_live_table_has_a_line_for_paper(system: ThreadedRuntime) -> None:
    shown = text_of(live_table(system, (), "title", 200))
    assert "paper session 2 beside: PnL net of fees -3.00 (+2.00 against live), fees 2.00, 1 of 4 won" in shown


def test_every_mode_has_a_headline() -> None:
    assert set(MONEY) == {"paper", "live", "dual"}


@pytest.mark.parametrize("mode", ["live", "dual"])
def test_with_real_money_the_learner_hears_nothing_unless_switched_on(mode: str) -> None:
    assert not Settings.model_validate({"mode": mode}).learns
    assert Settings.model_validate({"mode": mode, "learn_live": True}).learns
    assert Settings.model_validate({"mode": "paper"}).learns
