"""The live table: per asset the window, price, signal, probabilities, position and PnL; the actors; the gate."""

import math
from typing import Literal

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from actors.addresses import PAPER_PORTFOLIO, PORTFOLIO
from cli.learner_line import learner_text
from cli.status_outstanding import outstanding_of, outstanding_texts, venue_of, venue_text
from core.runtime.supervision import ActorReport
from core.runtime.system import ActorSystem
from core.status import (
    AssetStatus,
    FeedStatus,
    HoldingStatus,
    LearnerStatus,
    PortfolioStatus,
    RecorderStatus,
    VenueStatus,
)
from core.trading.gate import GateLevel, GateState, level

LEVELS = {
    GateLevel.OPEN: ("open", "green"),
    GateLevel.REDUCE_ONLY: ("reduce-only", "yellow"),
    GateLevel.CLOSED: ("closed", "red"),
}
COLUMNS: tuple[tuple[str, Literal["left", "right"], int], ...] = (
    ("asset", "left", 0),
    ("window", "left", 150),
    ("left", "right", 0),
    ("Up", "right", 0),
    ("spread", "right", 90),
    ("spot", "right", 110),
    ("strike", "right", 110),
    ("signal", "right", 0),
    ("HOLD BUY SELL", "left", 0),
    ("position", "left", 0),
    ("open PnL", "right", 100),
    ("PnL net", "right", 0),
    ("gate", "left", 96),
)
"""Name, alignment, and the terminal's width from which the column is shown."""


def live_table(system: ActorSystem, assets: tuple[str, ...], title: str, width: int) -> RenderableType:
    """Return what is shown now; reads the status board, the runtime's reports and the gate, asks nobody."""
    now_ms = system.clock.now_ms()
    held = _view(system, PORTFOLIO.name, PortfolioStatus)
    state = system.gate.state
    return Panel(
        Group(
            _assets(system, assets, held, state, now_ms, width),
            _summary(system, held, state, assets),
            _actors(system.reports()),
        ),
        title=title,
        title_align="left",
    )


def _view(system: ActorSystem, key: str, kind: type) -> object:
    shown = system.board.read(key)
    return shown[0] if shown is not None and isinstance(shown[0], kind) else None


def _assets(
    system: ActorSystem, assets: tuple[str, ...], held: object, state: GateState, now_ms: int, width: int
) -> RenderableType:
    table = Table(expand=True, pad_edge=False, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [number for number, (_, _, needs) in enumerate(COLUMNS) if width >= needs]
    for number in shown:
        name, justify, _ = COLUMNS[number]
        table.add_column(name, justify=justify, no_wrap=True)
    for asset in assets:
        status = _view(system, f"asset {asset}", AssetStatus)
        holding = held.holdings.get(asset) if isinstance(held, PortfolioStatus) else None
        row = _asset_row(asset, status, holding, state, now_ms)
        table.add_row(*(row[number] for number in shown))
    return table


def _asset_row(
    asset: str, status: object, holding: HoldingStatus | None, state: GateState, now_ms: int
) -> list[RenderableType]:
    gate = Text(*LEVELS[level(state, asset)])
    if not isinstance(status, AssetStatus):
        return [asset, *[""] * 7, Text("starting", style="yellow"), *[""] * 3, gate]
    left_s = status.closes_at_s - now_ms / 1000
    return [
        Text(asset, style="bold"),
        status.slug or "none",
        f"{max(0.0, left_s):.0f} s" if status.slug else "",
        _cents(status.up_price),
        _cents(status.spread),
        _plain(status.spot),
        _plain(status.strike) if status.strike is not None else Text("unknown", style="dim"),
        _signed(status.signal),
        _odds(status),
        _position(holding),
        _dollars(status.unrealised_usd) if holding is not None and holding.side is not None else Text(""),
        _dollars(holding.realised_usd) if holding is not None else Text("0.00"),
        gate,
    ]


def _odds(status: AssetStatus) -> RenderableType:
    if status.probabilities is None:
        return Text(status.waiting_for or "", style="yellow")
    text = Text()
    for action, probability in enumerate(status.probabilities):
        style = "bold reverse" if action == status.action and action else "bold" if action == status.action else "dim"
        text.append(f"{100 * probability:3.0f}%", style=style)
    return text


def _position(holding: HoldingStatus | None) -> RenderableType:
    if holding is None:
        return Text("flat", style="dim")
    waits = f" +{holding.unsettled} to settle" if holding.unsettled else ""
    if holding.side is None:
        return Text(f"flat{waits}", style="dim")
    style = "green" if holding.side == "UP" else "magenta"
    return Text(f"{holding.side} {holding.shares / 1e6:.2f} @ {holding.entry_price / 1e6:.3f}{waits}", style=style)


def _summary(system: ActorSystem, held: object, state: GateState, assets: tuple[str, ...]) -> RenderableType:
    name, style = LEVELS[max((level(state, scope) for scope in ("", *assets)), default=GateLevel.OPEN)]
    now_ms = system.clock.now_ms()
    lines = [Text.assemble("gate ", (name, style), f"  {_holds(state)}")]
    if isinstance(held, PortfolioStatus):
        wins = f"{held.wins} of {held.trades} won"
        lines.append(
            Text(
                f"session {held.session_id}: cash {held.cash_usd / 1e6:,.2f} USD ({held.reserved_usd / 1e6:,.2f} "
                f"reserved), open cost {held.cost_usd / 1e6:,.2f}, PnL net of fees {held.realised_usd / 1e6:+,.2f}, "
                f"fees {held.fees_usd / 1e6:,.2f}, {wins}"
            )
        )
        paper = _view(system, PAPER_PORTFOLIO.name, PortfolioStatus)
        if isinstance(paper, PortfolioStatus):
            apart = (paper.realised_usd - held.realised_usd) / 1e6
            lines.append(
                Text(
                    f"paper session {paper.session_id} beside: PnL net of fees {paper.realised_usd / 1e6:+,.2f} "
                    f"({apart:+,.2f} against live), fees {paper.fees_usd / 1e6:,.2f}, "
                    f"{paper.wins} of {paper.trades} won"
                )
            )
        lines.extend(Text(text, style="yellow") for text in outstanding_texts(outstanding_of(held), now_ms))
        venue = _view(system, "venue", VenueStatus)
        if isinstance(venue, VenueStatus):
            lines.append(Text(venue_text(venue_of(venue, now_ms), now_ms), style="dim"))
        if held.last_refusal is not None:
            lines.append(Text(f"last refusal: {held.last_refusal}", style="dim"))
    recorder = _view(system, "recorder", RecorderStatus)
    learner = _view(system, "learner", LearnerStatus)
    parts = []
    if isinstance(learner, LearnerStatus):
        parts.append(learner_text(learner))
    if isinstance(recorder, RecorderStatus):
        behind = f"{recorder.queued} queued, {recorder.lag_s:.1f} s behind" if recorder.queued else "nothing queued"
        parts.append(f"database {recorder.written} rows, {behind}")
    stale = [feed for asset in assets for feed in _stale(system, asset)]
    if stale:
        parts.append(f"stale: {', '.join(stale)}")
    lines.append(Text("; ".join(parts), style="dim"))
    return Group(*lines)


def _stale(system: ActorSystem, asset: str) -> list[str]:
    feeds = (_view(system, f"feed feed.{venue}.{asset}", FeedStatus) for venue in ("polymarket", "binance"))
    return [feed.feed for feed in feeds if isinstance(feed, FeedStatus) and feed.stale]


def _holds(state: GateState) -> str:
    shown = [f"{hold.scope or 'all'}: {hold.reason}" for hold in state.holds[:4]]
    more = f" and {len(state.holds) - 4} more" if len(state.holds) > 4 else ""  # noqa: PLR2004 -- as many as are shown
    return "; ".join(shown) + more


def _actors(reports: list[ActorReport]) -> RenderableType:
    return Columns([_actor(report) for report in reports], padding=(0, 2), equal=True)


def _actor(report: ActorReport) -> Text:
    age_s = report.last_message_age_s
    healthy = report.life == "running" and (age_s is None or age_s < 5)  # noqa: PLR2004 -- seconds of silence worth a look
    text = Text()
    text.append("● ", style="green" if healthy else "yellow" if report.life in ("starting", "running") else "red")
    text.append(report.address)
    restarts = f" r{report.restarts}" if report.restarts else ""
    age = "" if age_s is None else f" {age_s:.1f}s"
    waiting = f" {report.mailbox} queued" if report.mailbox > 5 else ""  # noqa: PLR2004 -- a few in passing are normal
    text.append(f"{restarts}{age}{waiting}" if report.life == "running" else f" {report.life}{restarts}", style="dim")
    return text


def _cents(price: int | None) -> str:
    return "" if price is None else f"{price / 1e6:.3f}"


def _plain(value: float | None) -> str:
    if value is None:
        return ""
    digits = max(0, 5 - max(1, math.ceil(math.log10(value)))) if value > 0 else 2
    return f"{value:,.{digits}f}"


def _signed(value: float | None) -> Text:
    if value is None:
        return Text("")
    return Text(f"{value:+.2f}", style="green" if value > 0 else "magenta" if value < 0 else "")


def _dollars(value: int) -> Text:
    return Text(f"{value / 1e6:+.2f}", style="green" if value > 0 else "red" if value < 0 else "")
