"""`report`: what a session's trades came to, from the database, whether or not a process runs."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.client import client_settings, stored
from cli.completion_names import sessions as session_numbers
from cli.divergence import divergence
from cli.grid import as_group
from cli.report_scope import chosen, milliseconds, parse_since
from cli.report_view import Report, as_json, grids, lines
from cli.status_view import console
from cli.usage import UsageError
from core.trading.report import results
from storage.beside import beside_of
from storage.pool import Connection
from storage.report_rows import report_rows, sessions
from storage.values import unix_ms


def report(
    session: Annotated[
        int | None,
        typer.Option(
            help="Number of a session; the default is the newest.", show_default=False, autocompletion=session_numbers
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only trades closed since: 90m, 24h, 7d, or a date or time in UTC.", show_default=False),
    ] = None,
    output_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json and report.html, with plots.", show_default=False)
    ] = None,
) -> None:
    """Report PnL net of fees by asset, side, hour and exit reason, drawdown, forced exits and slippage.

    Exit codes: 0 done, also without trades; 1 failed, 2 bad usage or no such session, 3 nothing was ever stored.
    """
    now = datetime.now(UTC)
    begin = None if since is None else parse_since(since, now)
    with stored(client_settings()) as connection:
        found = reported(connection, session, begin, now)
    if out is not None:
        _write(found, out)
    if output_json:
        sys.stdout.write(json.dumps(as_json(found), indent=2) + "\n")
        return
    console().print(as_group(lines(found), grids(found)))
    if out is not None:
        sys.stdout.write(f"wrote {out / 'report.html'} and {out / 'report.json'}\n")


def reported(connection: Connection, session: int | None, since: datetime | None, now: datetime) -> Report:
    """Return the report of a session, or of all that belong together since a moment.

    Raises:
        UsageError: there is no such session.
        NotRunningError: there are no sessions.
        TransientError, FatalError: as every query does.
    """
    since_ms = milliseconds(since)
    scope = chosen(sessions(connection, since_ms), session, since=since is not None)
    rows = report_rows(connection, [each.id for each in scope.sessions], since_ms)
    live = [each.id for each in scope.sessions if each.mode == "live"]
    paper = beside_of(connection, live[-1]) if live else None
    return Report(
        at_ms=unix_ms(now),
        since_ms=None if since is None else since_ms,
        sessions=scope.sessions,
        results=results(rows.closed, rows.executions, rows.given_up, since_ms=since_ms),
        others=scope.others,
        divergence=None if paper is None else divergence(connection, live[-1], paper),
    )


def _write(found: Report, folder: Path) -> None:
    from cli.report_plots import page  # noqa: PLC0415 -- the plotting library takes a second to load

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(as_json(found), indent=2) + "\n")
        (folder / "report.html").write_text(page(found))
    except OSError as error:
        raise UsageError(f"--out {folder}: {error.strerror}: name a folder that can be written") from error
