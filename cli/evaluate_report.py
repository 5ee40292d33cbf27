"""An evaluation for people and programs: tables on a terminal, JSON, and the same tables for a page."""

from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import RenderableType

from cli.evaluation import Conditions, Evaluation, Row
from cli.grid import Grid, as_group, dollars
from core.trading.money import decimal
from core.trading.performance import Interval, Slice


def header(conditions: Conditions) -> tuple[str, ...]:
    """Return under what was judged, in lines."""
    c = conditions
    seeds = "" if c.seeds is None else f", seeds {c.seeds}"
    return (
        f"{c.source}{seeds}: {c.windows} windows of {c.window_s} s, {c.markets} markets of {' '.join(c.assets)}",
        f"taker fee {c.fee_rate:g} x p x (1 - p) a share, latency {c.latency_ms} ms, taker delay {c.taker_delay_ms} ms",
        f"fills: {c.fill_model}",
        f"size {c.trade_size_usd:g} USD x confidence, entry {c.entry}, exit {c.exit}, actions {c.actions}",
        "95 % intervals by bootstrap over windows, all assets of one together",
    )


def grids(evaluation: Evaluation) -> Iterator[Grid]:
    """Yield every table."""
    rows = evaluation.rows
    yield Grid(
        "policies, USD",
        ("policy", "trades", "won", "gross", "fees", "net", "95 % from", "to", "of oracle's"),
        tuple(_result(row) for row in rows),
    )
    yield Grid(
        "a window and the way there, USD",
        ("policy", "net a window", "windows traded", "max drawdown", "median s held", "HOLD share", "trained on"),
        tuple(_course(row) for row in rows),
    )
    yield Grid(
        "orders",
        ("policy", "wishes", "orders", "unfilled", "fills", "as maker", "forced exits", "settled", "left open"),
        tuple(_orders(row) for row in rows),
    )
    for title, slices in (("by asset", "by_asset"), ("by side", "by_side")):
        yield Grid(
            f"{title}, USD",
            ("policy", "of", "trades", "won", "gross", "fees", "net"),
            tuple(
                (row.policy, name, *_slice(part))
                for row in rows
                for name, part in getattr(row.performance, slices).items()
            ),
        )
    yield Grid(
        "differences on the same windows, USD",
        ("policy", "less", "net", "95 % from", "to", "a window"),
        tuple(
            (d.policy, d.other, *_interval(d.net), f"{d.net.per_window_usd / 1e6:+.3f}") for d in evaluation.differences
        ),
    )
    yield Grid(
        "calibration of the traded side",
        ("policy", "entry price", "trades", "mean price", "side won"),
        tuple(
            (row.policy, f"{c.low:.1f} to {c.high:.1f}", str(c.trades), f"{c.mean_price:.3f}", f"{c.won_share:.3f}")
            for row in rows
            for c in row.calibration
        ),
    )


def as_tables(evaluation: Evaluation) -> RenderableType:
    """Return the evaluation for a terminal."""
    return as_group(header(evaluation.conditions), grids(evaluation))


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluation as plain values; money of 1e-6 becomes decimal strings in dollars."""
    plain: dict[str, Any] = dollars(msgspec.to_builtins(evaluation))
    return plain


def _result(row: Row) -> tuple[str, ...]:
    share = "" if row.oracle_share is None else f"{row.oracle_share:.0%}"
    return (row.policy, *_slice(row.performance.all), *_interval(row.performance.net)[1:], share)


def _course(row: Row) -> tuple[str, ...]:
    done = row.performance
    return (
        row.policy,
        f"{done.net.per_window_usd / 1e6:+.3f}",
        str(done.windows_traded),
        f"{decimal(done.max_drawdown_usd):.2f}",
        "" if row.median_duration_s is None else f"{row.median_duration_s:.1f}",
        f"{row.hold_share:.2%}",
        row.known_training,
    )


def _orders(row: Row) -> tuple[str, ...]:
    numbers = (row.proposed, row.orders, row.orders_unfilled, row.fills, row.maker_fills)
    ends = (row.forced_exits, row.settled_trades, row.unsettled)
    return (row.policy, *map(str, numbers + ends))


def _slice(part: Slice) -> tuple[str, ...]:
    rate = "" if part.win_rate is None else f"{part.win_rate:.1%}"
    money = (f"{decimal(value):+.2f}" for value in (part.pnl_gross_usd, -part.fees_usd, part.pnl_net_usd))
    return (str(part.trades), rate, *money)


def _interval(net: Interval) -> tuple[str, str, str]:
    total, low, high = (f"{decimal(value):+.2f}" for value in (net.total_usd, net.low_usd, net.high_usd))
    return total, low, high
