"""`report` and `trace` from a shell: tables, JSON, the page, exit codes."""

import base64
import html
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.exit_codes import EXIT_BAD_CONFIG, EXIT_NOT_RUNNING
from cli.report import reported
from cli.report_plots import page
from cli.report_view import as_json, grids, lines
from storage.beside import open_beside
from storage.embedded import EmbeddedServer, recorded_uri
from storage.lease import Lease
from storage.migrate import migrate
from storage.pool import Connection, connect
from storage.queries import Session, open_session
from storage.writer import write
from tests.operate.conftest import shell
from tests.reports.conftest import Fusebox
from tests.reports.made import BTC, T0, Order, at, history, seen, trade

NOW = datetime.fromtimestamp(at(4000) / 1000, UTC)
TITLES = [
    "PnL by asset, USD",
    "PnL by side, USD",
    "PnL by hour of closing, UTC, USD",
    "PnL by exit reason, USD",
    "forced exits",
    "forced exits that ended in settlement",
    "slippage",
    "slippage of the policy's orders by asset",
    "worst trades",
    "last trades",
]


def test_the_report_is_printed_as_tables(fusebox: Fusebox, traded: Session) -> None:
    done = fusebox("report")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "session 1 (paper, demo) from 2026-04-20 23:30:00 UTC, not ended\n4 trades, 50.0% won"
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["ETH", "1", "0.0%", "-11.00", "-0.70", "-11.70"] in rows
    assert ["all", "4", "50.0%", "-8.90", "-3.50", "-12.40"] in rows
    assert ["T-2", "1", "1", "3", "2", "2", "-1.00", "-20.00"] in rows
    assert ["close", "1", "0", "100.00", "100%", "0.6000", "+0.0100", "+1.00", "+1.00"] in rows
    assert ["forced", "exit", "3", "2", "50.00", "0%", "-", "-", "-", "+1.00"] in rows
    assert [line.strip() for line in done.stdout.splitlines() if line.strip() in TITLES] == TITLES


def test_json_and_files_hold_the_same_report(fusebox: Fusebox, traded: Session, tmp_path: Path) -> None:
    done = fusebox("report", "--session", traded.id, "--json", "--out", tmp_path / "deep" / "er")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["results"]["all"] == {
        "trades": 4, "win_rate": 0.5, "pnl_gross_usd": "-8.900000", "fees_usd": "3.500000", "pnl_net_usd": "-12.400000",
    }  # fmt: skip
    assert json.loads((tmp_path / "deep" / "er" / "report.json").read_text()) == printed
    assert "<h1>Report</h1>" in (tmp_path / "deep" / "er" / "report.html").read_text()


def test_the_page_holds_every_table_and_asks_no_other_host(connection: Connection, traded: Session) -> None:
    report = reported(connection, None, None, NOW)
    text = page(report)
    tables = list(grids(report))
    assert [grid.title for grid in tables] == TITLES
    for grid in tables:
        assert f"<h2>{html.escape(grid.title)}</h2>" in text
        for cells in grid.rows:
            assert "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" in text
    for line in lines(report):
        assert html.escape(line) in text
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 3
    for source in sources:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert re.search(r"<(script|link|iframe)|https?:|@import|url\(", text) is None
    assert page(report) == text


def test_a_name_from_the_database_stays_text_on_the_page(connection: Connection, session: Session) -> None:
    write(connection, [trade("<b>x</b>.0", session.id, BTC, (1, 2), ("-1", "0"), reason="<script>")])
    text = page(reported(connection, None, None, NOW))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_without_trades_it_says_so(fusebox: Fusebox, session: Session, tmp_path: Path) -> None:
    done = fusebox("report", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no trades: no position was closed yet" in done.stdout
    text = (tmp_path / "report.html").read_text()
    assert "no trades: no position was closed yet" in text
    assert "<img" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("report", "--session", "7"), EXIT_BAD_CONFIG, "--session 7: there is no such session; the newest are 1 ("),
        (("report", "--since", "soon"), EXIT_BAD_CONFIG, "--since soon: write a duration (90m, 24h, 7d) or a moment"),
        (("report", "--out", "/dev/null/x"), EXIT_BAD_CONFIG, "--out /dev/null/x: Not a directory: name a folder"),
        (("trace", "9.X"), EXIT_BAD_CONFIG, "there is no trade '9.X': the newest are s.open.3, c.open.2, e.open.1,"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_mistake_is_one_line(
    fusebox: Fusebox, traded: Session, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = fusebox(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"fusebox: {told}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("report",), ("report", "--since", "24h")], ids=" ".join)
def test_an_empty_database_says_that_nothing_was_stored(fusebox: Fusebox, arguments: tuple[str, ...]) -> None:
    done = fusebox(*arguments)
    assert done.returncode == EXIT_NOT_RUNNING
    assert done.stderr == "fusebox: no session was ever stored: `python supervisor.py run` starts one\n"


def test_without_a_named_database_the_embedded_one_is_read_and_stopped_again(state_dir: Path) -> None:
    command = shell(state_dir)
    nothing = command("report")
    assert nothing.returncode == EXIT_NOT_RUNNING
    assert nothing.stderr.startswith(f"fusebox: nothing was ever stored in {state_dir}")
    server = EmbeddedServer(state_dir)
    conninfo = server.start()
    try:
        migrate(conninfo)
        with connect(conninfo) as connection:
            session = open_session(connection, "paper", {}, venue="demo", new=False, now_ms=T0)
            write(connection, history(session.id))
        running = command("report", "--json")
    finally:
        server.stop()
    stopped, story = command("report", "--json"), command("trace", "b.open")
    assert [each.returncode for each in (running, stopped, story)] == [0, 0, 0], stopped.stderr
    assert json.loads(running.stdout)["results"] == json.loads(stopped.stdout)["results"]
    assert recorded_uri(state_dir) is None


def test_in_dual_mode_paper_is_held_against_live(connection: Connection, database: str) -> None:
    live = open_session(connection, "live", {}, venue="demo, 0xf", new=False, now_ms=T0)
    lease = Lease.acquire(database)
    try:
        paper = open_beside(connection, live, {}, lease.epoch, T0)
    finally:
        lease.release()
    for session, price in ((live, "0.52"), (paper, "0.51")):
        name = f"{session.id}.open"
        order = Order(name, session.id, BTC, "OPEN", 9, "0.53", ("100", price, "1"), features=seen(0.5, 0.02))
        write(connection, [*order.rows, trade(f"{name}.0", session.id, BTC, (10, 20), ("1", "1"))])
    connection.execute("UPDATE intents SET lease_epoch = %s", (lease.epoch,))
    report = reported(connection, None, None, NOW)
    assert [each.id for each in report.sessions] == [live.id]
    assert report.results.all.trades == 1
    titles = [grid.title for grid in grids(report)]
    assert titles[-2:] == ["paper against live, whole sessions", "orders and round trips of the same decision"]
    against, same = list(grids(report))[-2:]
    assert ("opening: price", "0.520000", "0.510000") in against.rows
    assert ("price worse a share, both filled", "1", "0.010000") in same.rows
    assert as_json(report)["divergence"]["same"]["price_worse"] == "0.010000"
    assert "paper against live" in page(report)
    assert reported(connection, paper.id, None, NOW).divergence is None
