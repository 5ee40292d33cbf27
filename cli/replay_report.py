"""What a replay reports: windows, decisions, orders, fills, fees and PnL per asset, and what the recording lacked."""

from collections.abc import Callable, Sequence

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.recorded import DEFAULT_FEES, Segment
from core.market.market import Market
from core.records import FillRecord, IntentRecord, MarketRecord, OrderRecord, PositionRecord, Record, TradeRecord
from core.runtime.system import ActorSystem
from core.status import AssetStatus
from core.trading.money import decimal
from venues.recordings.recording import FEE_SCHEDULE, MINIMUM_ORDER, TAKER_DELAY, Recording


class AssetReport(msgspec.Struct):
    """One asset; dollars in 1e-6. `pnl_net_usd` is of closed and settled trades, the rest is listed as unsettled."""

    windows: int = 0
    decisions: int = 0
    intents: int = 0
    orders: int = 0
    orders_unfilled: int = 0
    fills: int = 0
    trades: int = 0
    wins: int = 0
    fees_usd: int = 0
    pnl_net_usd: int = 0
    unsettled: int = 0
    unsettled_cost_usd: int = 0


class Report(msgspec.Struct):
    """A whole replay."""

    format: str
    seed: int
    weights: str
    size_usd: float
    actions: str
    events: int
    market_s: float
    lacks: tuple[str, ...]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...]
    skipped_frames: int
    assets: dict[str, AssetReport]
    unsettled: list[str]


class Tally:
    """Collects rows as the database would, and counts them at the end."""

    def __init__(
        self,
        recording: Recording,
        markets: Sequence[Market],
        seed: int,
        weights: str,
        size_usd: float,
        *,
        sample: bool,
        untrained: bool,
    ) -> None:
        self._recording = recording
        self._asset_of_market = {market.condition_id: market.asset for market in markets}
        self._seed = seed
        self._weights = weights
        self._size_usd = size_usd
        self._sample = sample
        self._untrained = untrained and not sample
        self._windows: dict[str, str] = {}
        self._intents: dict[str, IntentRecord] = {}
        self._orders: dict[str, OrderRecord] = {}
        self._fills: dict[str, FillRecord] = {}
        self._trades: dict[str, TradeRecord] = {}
        self._positions: dict[tuple[str, str], PositionRecord] = {}
        self._decisions = dict.fromkeys(recording.assets, 0)
        self._events = 0
        self._market_ms = 0

    def add(self, row: Record) -> None:
        """Take one row; a later one of the same key replaces it."""
        match row:
            case MarketRecord():
                self._windows[row.condition_id] = row.asset
            case IntentRecord():
                self._intents[row.id] = row
            case OrderRecord():
                self._orders[row.id] = row
            case FillRecord():
                self._fills[row.id] = row
            case TradeRecord():
                self._trades[row.id] = row
            case PositionRecord():
                key = (row.condition_id, row.side)
                if row.shares:
                    self._positions[key] = row
                else:
                    self._positions.pop(key, None)
            case _:
                pass

    def segment_done(self, system: ActorSystem, segment: Segment) -> None:
        """Add what only the status board knows."""
        self._events += segment.count
        self._market_ms += segment.last_ms - segment.first_ms
        for asset in self._recording.assets:
            shown = system.board.read(f"asset {asset}")
            if shown is not None and isinstance(shown[0], AssetStatus):
                self._decisions[asset] = shown[0].decisions

    def report(self) -> Report:
        """Return the whole report."""
        recording = self._recording
        assets = {asset: AssetReport(decisions=self._decisions[asset]) for asset in recording.assets}
        for asset in self._windows.values():
            assets[asset].windows += 1
        for intent in self._intents.values():
            assets[intent.asset].intents += 1
        for order in self._orders.values():
            of = assets[self._intents[order.intent_id].asset]
            of.orders += 1
            of.orders_unfilled += order.state not in ("FILLED", "PARTIALLY_FILLED")
        for fill in self._fills.values():
            of = assets[self._intents[self._orders[fill.order_id].intent_id].asset]
            of.fills += 1
            of.fees_usd += fill.fee_usd
        for trade in self._trades.values():
            of = assets[trade.asset]
            of.trades += 1
            of.wins += trade.pnl_net_usd > 0
            of.pnl_net_usd += trade.pnl_net_usd
        for position in self._positions.values():
            assets[position.asset].unsettled += 1
            assets[position.asset].unsettled_cost_usd += position.cost_usd
        return Report(
            format=recording.format,
            seed=self._seed,
            weights=self._weights,
            size_usd=self._size_usd,
            actions="sampled" if self._sample else "most probable",
            events=self._events,
            market_s=self._market_ms / 1000,
            lacks=recording.lacks,
            assumptions=self._assumptions(),
            notes=recording.notes,
            skipped_frames=sum(recording.skipped.values()),
            assets=assets,
            unsettled=[
                f"{p.asset} {p.side} {decimal(p.shares)} shares in {p.condition_id}: cost {decimal(p.cost_usd)} USD"
                for p in self._positions.values()
            ],
        )

    def _assumptions(self) -> tuple[str, ...]:
        found = []
        if FEE_SCHEDULE in self._recording.lacks and self._recording.markets:
            found.append(f"taker fee {DEFAULT_FEES.rate} x p x (1 - p), today's schedule")
        if TAKER_DELAY in self._recording.lacks and self._recording.markets:
            found.append("no taker delay: orders arrive after our own latency alone")
        minimums = {market.min_order_shares for market in self._recording.markets}
        if minimums and MINIMUM_ORDER in self._recording.lacks:
            found.append(f"minimum order {', '.join(f'{decimal(m):g}' for m in sorted(minimums))} shares")
        if self._untrained:
            found.append("untrained weights nearly always hold: give --weights, or --sample to see them trade")
        if not self._recording.sized and self._recording.markets:
            found.append("fills are whole at the touch: no sizes were recorded")
        unknown = [m for m in self._recording.markets if self._recording.outcomes.get(m.condition_id) is None]
        if unknown:
            found.append(f"{len(unknown)} of {len(self._recording.markets)} outcomes unknown: nothing settles there")
        return tuple(found)


def as_json(report: Report) -> dict[str, object]:
    """Return the report as plain values; money becomes decimal strings in dollars."""
    plain: dict[str, object] = msgspec.to_builtins(report)
    assets: dict[str, dict[str, object]] = msgspec.to_builtins(report.assets)
    for name, values in assets.items():
        for field in ("fees_usd", "pnl_net_usd", "unsettled_cost_usd"):
            values[field] = str(decimal(getattr(report.assets[name], field)))
    plain["assets"] = assets
    return plain


def as_table(report: Report) -> RenderableType:
    """Return the report for a terminal: one column an asset, so that it fits any width."""
    table = Table(title=f"replay of {report.format}: {report.events} events, {report.market_s:.0f} s of market time")
    table.add_column("")
    for asset in report.assets:
        table.add_column(asset, justify="right")
    for label, value in ROWS:
        table.add_row(label, *(value(row) for row in report.assets.values()))
    lines = [f"weights {report.weights}, actions {report.actions}, size {report.size_usd:g} USD, seed {report.seed}"]
    if report.lacks:
        lines.append(f"the recording lacks: {', '.join(report.lacks)}")
    lines.extend(f"assumed: {text}" for text in report.assumptions)
    lines.extend(f"note: {text}" for text in report.notes)
    if report.skipped_frames:
        lines.append(f"frames skipped as unreadable: {report.skipped_frames}")
    lines.extend(f"unsettled: {text}" for text in report.unsettled)
    return Group(table, Text("\n".join(lines)))


ROWS: tuple[tuple[str, Callable[[AssetReport], str]], ...] = (
    ("windows", lambda row: str(row.windows)),
    ("decisions", lambda row: str(row.decisions)),
    ("orders", lambda row: str(row.orders)),
    ("orders unfilled", lambda row: str(row.orders_unfilled)),
    ("fills", lambda row: str(row.fills)),
    ("trades", lambda row: str(row.trades)),
    ("won", lambda row: str(row.wins)),
    ("fees, USD", lambda row: f"{decimal(row.fees_usd):.2f}"),
    ("PnL net of fees, USD", lambda row: f"{decimal(row.pnl_net_usd):+.2f}"),
    ("unsettled positions", lambda row: str(row.unsettled)),
    ("their cost, USD", lambda row: f"{decimal(row.unsettled_cost_usd):.2f}"),
)
