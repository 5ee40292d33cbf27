"""A report for people and programs: lines and tables, the same on a terminal and on the page, and JSON."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from cli.divergence import Divergence, Execution, SessionFigures
from cli.grid import Grid, dollars
from cli.report_scope import described
from core.records import TradeRecord
from core.trading.money import decimal
from core.trading.performance import Slice
from core.trading.report import Forced, Results
from core.trading.slippage import Slippage
from storage.report_rows import SessionFacts

SCHEMA = 1
_EXACT = ("_usd", "_price", "shares")
_NONE = "-"


class Report(msgspec.Struct, frozen=True):
    """What `report --json` prints; times are unix milliseconds. `others` traded in the same time, apart from it."""

    at_ms: int
    since_ms: int | None
    sessions: tuple[SessionFacts, ...]
    results: Results
    others: tuple[SessionFacts, ...] = ()
    divergence: Divergence | None = None
    schema: int = SCHEMA


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values; money, prices and shares are decimal strings."""
    plain: dict[str, Any] = dollars(msgspec.to_builtins(report), _EXACT)
    return plain


def lines(report: Report) -> tuple[str, ...]:
    """Return what stands above the tables."""
    found, since = report.results, report.since_ms
    scope = "; ".join(f"session {each.id} ({described(each)}) {_span(each)}" for each in report.sessions)
    told = [scope if since is None else f"since {moment(since)}: {scope}"]
    if found.all.trades:
        told += _told(report)
    elif since is None:
        told.append("no trades: no position was closed yet")
    else:
        told.append(f"no trades: no position was closed since {moment(since)}")
    held = [each for each in report.sessions if each.open_positions]
    told += [
        f"open in session {each.id}: {each.open_positions} positions that cost {usd(each.open_cost_usd)} USD, "
        "not in these numbers"
        for each in held
    ]
    told += [
        f"not in it: {each.trades} trades of session {each.id} ({described(each)}), see `report --session {each.id}`"
        for each in report.others
    ]
    return tuple(told)


def grids(report: Report) -> Iterator[Grid]:
    """Yield every table that has something to say."""
    yield from (grid for grid in _grids(report) if grid.rows)


def _grids(report: Report) -> Iterator[Grid]:
    found = report.results
    parts: tuple[tuple[str, dict[str, Slice]], ...] = (
        ("asset", found.by_asset),
        ("side", found.by_side),
        ("hour", found.by_hour),
        ("exit reason", found.by_reason),
    )
    for name, slices in parts:
        closing = " of closing, UTC" if name == "hour" else ""
        yield Grid(
            f"PnL by {name}{closing}, USD",
            (name, "trades", "won", "gross", "fees", "net"),
            _with_total(slices, found.all) if slices else (),
        )
    yield Grid(
        "forced exits",
        ("reason", "closed", "held to settlement", "orders", "most for one", "unfilled", "fees USD", "net USD"),
        tuple((reason, *_forced(each)) for reason, each in found.forced.items()),
    )
    yield Grid(
        "forced exits that ended in settlement",
        ("trade", "position", "reason", "given up because", "orders", "net USD"),
        tuple(
            (each.trade_id, f"{each.asset} {each.side}", each.reason, each.why or _NONE, str(each.orders),
             signed(each.pnl_net_usd))
            for each in found.held
        ),
    )  # fmt: skip
    for title, of, slipped in (
        ("slippage", "orders to", found.slippage),
        ("slippage of the policy's orders by asset", "asset", found.slippage_by_asset),
    ):
        yield Grid(
            title,
            (of, "orders", "unfilled", "shares", "price known", "decided at", "worse a share", "worse USD",
             "within limit USD"),
            tuple((name, *_slipped(each)) for name, each in slipped.items()),
        )  # fmt: skip
    for title, trades in (("worst trades", found.worst), ("last trades", found.last)):
        yield Grid(
            title,
            ("trade", "closed UTC", "position", "shares", "entry", "exit", "fees", "net", "exit reason"),
            tuple(_trade(each) for each in trades),
        )
    if report.divergence is not None:
        yield from _divergence(report.divergence)


def moment(at_ms: int) -> str:
    """Return a time for people."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def usd(value: int) -> str:
    """Return dollars of 1e-6 with two decimals."""
    return f"{decimal(value):,.2f}"


def signed(value: int) -> str:
    """Return dollars of 1e-6 with two decimals and their sign."""
    return f"{decimal(value):+,.2f}"


def price(value: int | None) -> str:
    """Return a price of 1e-6, or that it is not known."""
    return _NONE if value is None else f"{decimal(value):.4f}"


def _told(report: Report) -> list[str]:
    found = report.results
    whole, net, fall = found.all, found.net, found.drawdown
    won = 0.0 if whole.win_rate is None else whole.win_rate
    total = f"gross {signed(whole.pnl_gross_usd)}, fees {usd(whole.fees_usd)}, net {signed(whole.pnl_net_usd)} USD"
    told = [f"{whole.trades} trades, {won:.1%} won; {total}"]
    if net.windows > 1:
        told.append(
            f"net {signed(net.total_usd)} is between {signed(net.low_usd)} and {signed(net.high_usd)} "
            f"(95 %, bootstrap over the {net.windows} windows traded)"
        )
    else:
        told.append("one window only: no interval")
    if fall.trough_ms is None:
        told.append("no drawdown: the equity never fell below an earlier value")
    else:
        start = "the start" if fall.peak_ms is None else moment(fall.peak_ms)
        told.append(
            f"max drawdown {usd(fall.drawdown_usd)} USD net of fees{_share(report)}, "
            f"from {start} to {moment(fall.trough_ms)}"
        )
    return told


def _share(report: Report) -> str:
    first = report.sessions[0].starting_cash_usd
    if report.since_ms is not None or len(report.sessions) != 1 or not first:
        return ""
    return f" ({report.results.drawdown.drawdown_usd / first:.2%} of the {usd(first)} it started with)"


def _span(session: SessionFacts) -> str:
    begun = f"from {moment(session.started_ms)}"
    return f"{begun}, not ended" if session.ended_ms is None else f"{begun} to {moment(session.ended_ms)}"


def _with_total(slices: Mapping[str, Slice], whole: Slice) -> tuple[tuple[str, ...], ...]:
    return (*((name, *_slice(part)) for name, part in slices.items()), ("all", *_slice(whole)))


def _slice(part: Slice) -> tuple[str, ...]:
    rate = _NONE if part.win_rate is None else f"{part.win_rate:.1%}"
    return (str(part.trades), rate, *map(signed, (part.pnl_gross_usd, -part.fees_usd, part.pnl_net_usd)))


def _forced(each: Forced) -> tuple[str, ...]:
    counts = map(str, (each.trades, each.held, each.orders, each.most_orders, each.unfilled_orders))
    return (*counts, signed(-each.fees_usd), signed(each.pnl_net_usd))


def _slipped(each: Slippage) -> tuple[str, ...]:
    measured = each.measured_shares
    return (
        str(each.orders),
        str(each.unfilled),
        usd(each.filled_shares),
        f"{measured / each.filled_shares:.0%}" if each.filled_shares else _NONE,
        price(each.decision_price),
        _NONE if each.worse_price is None else f"{decimal(each.worse_price):+.4f}",
        signed(each.worse_usd) if measured else _NONE,
        signed(each.within_limit_usd),
    )


def _trade(each: TradeRecord) -> tuple[str, ...]:
    return (
        each.id,
        moment(each.closed_at_ms).removesuffix(" UTC"),
        f"{each.asset} {each.side}",
        usd(each.shares),
        price(each.entry_price),
        price(each.exit_price),
        signed(-each.fees_usd),
        signed(each.pnl_net_usd),
        f"{each.exit_reason} (forced)" if each.force_closed else each.exit_reason,
    )


def _divergence(found: Divergence) -> Iterator[Grid]:
    live, paper, same = found.live, found.paper, found.same
    yield Grid(
        "paper against live, whole sessions",
        ("", f"live, session {live.session}", f"paper, session {paper.session}"),
        tuple((name, mine, its) for (name, mine), (_, its) in zip(_figures(live), _figures(paper), strict=True)),
    )
    yield Grid(
        "orders and round trips of the same decision",
        ("", "count", "live less paper"),
        (
            ("orders of both", str(same.orders), ""),
            ("only live", str(same.only_live), ""),
            ("only paper", str(same.only_paper), ""),
            ("price worse a share, both filled", str(same.both_filled), same.price_worse or _NONE),
            ("fee more a share, both filled", str(same.both_filled), same.fee_more or _NONE),
            ("live's PnL net USD of both's trades", str(same.trades), same.live_pnl_net_usd),
            ("paper's", str(same.trades), same.paper_pnl_net_usd),
        ),
    )


def _figures(of: SessionFigures) -> list[tuple[str, str]]:
    return [
        *_executed("opening", of.opening),
        *_executed("closing", of.closing),
        ("trades", str(of.trades)),
        ("PnL net USD", of.pnl_net_usd),
        ("fees USD", of.fees_usd),
    ]


def _executed(what: str, of: Execution) -> list[tuple[str, str]]:
    return [
        (f"{what}: orders", str(of.orders)),
        (f"{what}: filled", str(of.filled)),
        (f"{what}: shares asked for", of.shares),
        (f"{what}: shares filled", of.filled_shares),
        (f"{what}: price", of.price or _NONE),
        (f"{what}: fee a share", of.fee or _NONE),
    ]
