"""`status` for a terminal."""

import sys
from decimal import Decimal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.divergence import Divergence
from cli.divergence import lines as divergence_lines
from cli.hold_lines import hold_text, moment
from cli.learner_line import learner_text
from cli.status_outstanding import outstanding_texts, venue_text
from cli.status_report import AssetLine, PortfolioLine, Status
from cli.status_stored import StoredStatus

WIDE = 200
"""Columns assumed where there is no terminal: a file or a pipe has no edge to cut a table at."""
HEALTH_STYLES = {"healthy": "green", "degraded": "yellow", "critical": "bold red"}
STYLES = {"open": "green", "reduce-only": "yellow", "closed": "red"}


def console() -> Console:
    """Return standard output, as wide as the terminal, or wide enough."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def view(status: Status) -> RenderableType:
    """Return a running process's status."""
    return Group(*_head(status), _assets(status), *_limits(status), _actors(status), *_tail(status))


def stored_view(status: StoredStatus) -> RenderableType:
    """Return what is known of a process that does not run."""
    lines: list[RenderableType] = [Text("not running", style="bold red")]
    session, lease = status.session, status.last_lease
    if session is not None:
        lines.append(
            Text(
                f"last session {session.id} ({session.mode}, {session.status}) since {moment(session.started_ms)}: "
                f"{session.trades} trades, PnL net {_usd(session.pnl_net_usd)} USD, fees {_usd(session.fees_usd)}, "
                f"open cost {_usd(session.open_cost_usd)}"
            )
        )
    if lease is not None:
        ended = "ended without giving it up" if lease.released_ms is None else f"ended {moment(lease.released_ms)}"
        lines.append(Text(f"last lease: process {lease.pid} on {lease.host}, epoch {lease.epoch}, {ended}"))
    lines.extend(Text(f"gate: {hold_text(hold)}", style="red") for hold in status.gate)
    lines.extend(_divergence(status.divergence))
    lines.extend(
        Text(f"holds {each.asset} {each.side} {_usd(each.shares)} shares for {_usd(each.cost_usd)} USD")
        for each in status.positions
    )
    lines.extend(
        Text(f"{moment(each.at_ms)}  {each.subject} {each.status}: {each.detail}", style="dim")
        for each in status.events
    )
    return Group(*lines)


def _head(status: Status) -> list[RenderableType]:
    process, lease, account = status.process, status.lease, status.portfolio
    lines: list[RenderableType] = [
        Text(
            f"session {process.session} ({process.mode}, {process.profile}) since {moment(process.session_started_ms)}"
        )
    ]
    if lease is not None:
        lines.append(
            Text(
                f"lease: process {lease.pid} on {lease.host}, epoch {lease.epoch}, since {moment(lease.since_ms)}"
            )
        )  # fmt: skip
    gate = Text.assemble("gate: ", (status.gate.level, STYLES[status.gate.level]))
    for hold in status.gate.holds:
        gate.append(f"\n  {hold_text(hold)}")
    lines.append(gate)
    if account is not None:
        lines.append(_account(account))
        lines.extend(Text(text) for text in outstanding_texts(account.outstanding, status.at_ms))
        if account.last_refusal is not None:
            lines.append(Text(f"last refusal: {account.last_refusal}"))
    if status.venue is not None:
        lines.append(Text(venue_text(status.venue, status.at_ms)))
    if status.paper_beside is not None:
        lines.append(_account(status.paper_beside, f"paper session {process.paper_session} beside: "))
    lines.extend(_divergence(status.divergence))
    return lines


def _account(account: PortfolioLine, whose: str = "") -> Text:
    marked = "" if account.open_pnl_usd is None else f"open {_usd(account.open_pnl_usd)}, "
    return Text(
        f"{whose}cash {_usd(account.cash_usd)} USD ({_usd(account.reserved_usd)} reserved), "
        f"open cost {_usd(account.open_cost_usd)}, PnL net {_usd(account.pnl_net_usd)}, "
        f"{marked}fees {_usd(account.fees_usd)}, {account.wins} of {account.trades} won"
    )


def _divergence(found: Divergence | None) -> list[RenderableType]:
    """Return how paper beside live differs from it; nothing where there is no paper."""
    return [] if found is None else [Text(f"divergence: {line}") for line in divergence_lines(found)]


def _assets(status: Status) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("asset", "gate", "window", "left", "Up", "position", "PnL net", "decisions", "waiting for"):
        table.add_column(column, no_wrap=column != "waiting for")
    for each in status.assets:
        table.add_row(
            f"{each.asset} (leaving)" if each.leaving else each.asset,
            Text(each.gate, style=STYLES[each.gate]),
            each.window or "none",
            "" if each.closes_at_ms is None else f"{max(0.0, (each.closes_at_ms - status.at_ms) / 1000):.0f} s",
            "" if each.up_price is None else f"{Decimal(each.up_price):.3f}",
            _position(each),
            _usd(each.pnl_net_usd),
            str(each.decisions),
            "; ".join(filter(None, (each.waiting_for, *(f"{feed} stale" for feed in each.stale_feeds)))),
        )
    return table


def _position(each: AssetLine) -> str:
    waits = f" +{each.unsettled} to settle" if each.unsettled else ""
    if each.position is None:
        return f"flat{waits}"
    return f"{each.position.side} {_usd(each.position.shares)} @ {Decimal(each.position.entry_price):.3f}{waits}"


def _limits(status: Status) -> list[RenderableType]:
    """Return the limits, those that trip the kill switch last; nothing before the portfolio has spoken."""
    if not status.limits:
        return []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, right in (("limit", False), ("used", True), ("of", True), ("left", True), ("", False)):
        table.add_column(column, justify="right" if right else "left", no_wrap=bool(column))
    for each in sorted(status.limits, key=lambda line: line.trips):
        kind = "trips the kill switch" if each.trips else ""
        table.add_row(
            f"{each.name} {each.scope}".strip(),
            each.used or "",
            f"{each.limit} {each.unit}",
            each.headroom or "",
            ", ".join(filter(None, (each.note, kind))),
        )
    return [table]


def _actors(status: Status) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("actor", "health", "life", "inc", "restarts", "mailbox", "last message", "busy", "last failure"):
        table.add_column(column, no_wrap=column != "last failure")
    for each in status.actors:
        table.add_row(
            each.address,
            Text(each.health, style=HEALTH_STYLES[each.health]),
            Text(each.life, style="green" if each.life == "running" else "yellow"),
            str(each.incarnation),
            str(each.restarts),
            str(each.mailbox),
            "" if each.last_message_age_s is None else f"{each.last_message_age_s:.1f} s ago",
            "" if each.busy_s is None else f"{each.busy_s:.1f} s",
            each.last_failure or "",
        )
    return table


def _tail(status: Status) -> list[RenderableType]:
    parts = [f"dead letters {status.dead_letters}", f"hung threads {status.hung_threads}"]
    if status.recorder is not None:
        written = f"database {status.recorder.written} rows, {status.recorder.queued} queued"
        parts.append(written if status.recorder.error is None else f"{written}, {status.recorder.error}")
        if status.recorder.journal_error is not None:
            parts.append(f"journal: {status.recorder.journal_error}")
        if status.recorder.refused:
            parts.append(f"{status.recorder.refused} refused batches in the journal folder wait for you")
    if status.learner is not None:
        parts.append(learner_text(status.learner))
    lines: list[RenderableType] = [Text("; ".join(parts), style="dim")]
    if status.failure is not None:
        lines.append(Text(f"giving up: {status.failure}", style="red"))
    return lines


def _usd(value: str) -> str:
    return f"{Decimal(value):,.2f}"
