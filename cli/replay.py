"""`replay`: a recording through the same actors in virtual time, with paper fills, and what came of it."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from actors.feed_watch import FeedLimits
from actors.market import MarketRules
from actors.portfolio import Sizing
from actors.watchdog import WatchdogLimits
from cli.recorded import RecordedCalendar, Segment, Tape, segments, tradable
from cli.replay_progress import shown
from cli.replay_report import Report, Tally, as_json, as_table
from cli.wiring import Rules, Services, Venues, assemble, start_all, warm_policy
from core.errors import FatalError
from core.market.book import LocalBook
from core.market.market import Market
from core.records import Record
from core.runtime.clock import VirtualClock
from core.runtime.stepped import SteppedRuntime
from core.runtime.supervision import DeadLetter, SystemEvent
from core.trading.limits import OpenLimits
from core.trading.money import micros
from models.checkpoint import fresh_weights, load_weights
from models.weights import Weights
from venues.recordings.opening import open_recording
from venues.recordings.recording import BINANCE_FLOW, Recording

SESSION_ID = 0
STARTING_CASH_USD = 10_000
BOOK_STALE_S = 30.0
PAPER_LATENCY_MS = 50
SETTLE_AFTER_S = 90
TOLD_EVERY_MS = 10_000
"""Market time between two steps of the progress bar."""
FRESH = "fresh"


def replay(
    recording: Annotated[Path, typer.Argument(help="A recorded file, or a folder of one format.", show_default=False)],
    weights: Annotated[Path | None, typer.Option(help="Policy weights; freshly initialised ones if not given.")] = None,
    size: Annotated[float, typer.Option(help="Trade size in USD.", min=1.0)] = 100.0,
    seed: Annotated[int, typer.Option(help="Seed of the run: order of events, action sampling.", min=0)] = 0,
    sample: Annotated[bool, typer.Option("--sample", help="Sample actions instead of taking the likeliest.")] = False,
    format: Annotated[str | None, typer.Option(help="Force a format instead of recognising it.")] = None,  # noqa: A002 -- the option's name
    output_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Feed a recording through the actors in virtual time and report windows, orders, fees and PnL.

    Timing goes to stderr. Exit codes: 0 done, 1 the recording cannot be replayed, 2 bad usage.
    """
    opened = open_recording(recording, format)
    loaded = load_weights(weights) if weights is not None else fresh_weights(seed)
    began_s = time.perf_counter()
    source = weights.name if weights is not None else f"{FRESH}, seed {seed}"
    report = run_replay(opened, loaded, source, size_usd=size, seed=seed, sample=sample)
    took_s = time.perf_counter() - began_s
    if output_json:
        sys.stdout.write(json.dumps(as_json(report), indent=2, sort_keys=True) + "\n")
    else:
        Console().print(as_table(report))
    sys.stderr.write(
        f"replayed {report.market_s:.0f} s of market time in {took_s:.2f} s: {report.market_s / took_s:.0f}x\n"
    )


def run_replay(
    recording: Recording, weights: Weights, source: str, *, size_usd: float, seed: int, sample: bool
) -> Report:
    """Replay a whole recording and return its report; same recording, same seed, same report."""
    markets = tradable(recording)
    lengths = {market.window.length_s for market in markets} or {900}
    if len(lengths) > 1:
        raise FatalError(f"{recording.path}: windows of {sorted(lengths)} s in one recording; replay them one by one")
    rules = _rules(recording, lengths.pop(), size_usd, sample=sample)
    tally = Tally(recording, markets, seed, source, size_usd, sample=sample, untrained=source.startswith(FRESH))
    saved: dict[str, tuple[int, bytes]] = {}
    for segment in segments(recording, gap_s=2.0 * rules.window_s):
        saved = _run_segment(recording, segment, markets, rules, weights, tally, seed, saved)
    return tally.report()


def _run_segment(
    recording: Recording,
    segment: Segment,
    markets: Sequence[Market],
    rules: Rules,
    weights: Weights,
    tally: Tally,
    seed: int,
    saved: dict[str, tuple[int, bytes]],
) -> dict[str, tuple[int, bytes]]:
    """Run one stretch on a system of its own that starts from what the one before saved."""
    clock = VirtualClock(segment.first_ms)
    system = SteppedRuntime(clock, seed=seed, saved=saved)
    system.observers.append(_stop_at_defect)
    has_prices = bool(segment.prices)
    venues = Venues(
        book_stream=lambda market: Tape(segment.books.get(market.condition_id, ())),
        make_book=lambda market, epoch: LocalBook(
            market, sized=recording.sized, continuous_snapshots=recording.snapshots_only, epoch=epoch
        ),
        flow_streams=lambda asset: (Tape(segment.flows.get(asset, ())),),
        candles=None,
        calendar=RecordedCalendar(recording, markets, clock),
        prices=(lambda: Tape(segment.prices)) if has_prices else None,
    )

    def write(rows: Sequence[Record]) -> None:
        for row in rows:
            tally.add(row)

    services = Services(
        write=write,
        load_weights=lambda: weights,
        weights_source="replay",
        make_policy=warm_policy,
        post=None,
        log=lambda _text: None,
    )
    assemble(system, rules, venues, services)
    start_all(system)
    scale = rules.window_s / 900
    until_ms = segment.last_ms + round(SETTLE_AFTER_S * scale * 1000)
    closes_ms = [m.window.closes_at_s * 1000 for m in markets if m.condition_id in segment.books]
    if any(recording.outcomes.get(m.condition_id) for m in markets):
        until_ms = max([until_ms, *(ms + round(SETTLE_AFTER_S * scale * 1000) for ms in closes_ms)])
    with shown(segment.first_ms, segment.last_ms) as told:
        for at_ms in range(segment.first_ms, segment.last_ms, TOLD_EVERY_MS):
            system.run_until(at_ms)
            told(at_ms)
    system.run_until(until_ms)
    system.stop()
    tally.segment_done(system, segment)
    return {cell.spec.address.name: (cell.generation, cell.saved) for cell in system.cells.values() if cell.saved}


def _stop_at_defect(event: SystemEvent | DeadLetter) -> None:
    """Let a crash end the replay: there is no venue and no clock to blame, it is a defect."""
    if isinstance(event, SystemEvent) and event.kind in ("crashed", "failed"):
        raise FatalError(f"replay: {event.address} crashed: {event.detail}")


def _rules(recording: Recording, window_s: int, size_usd: float, *, sample: bool) -> Rules:
    scale, limits = window_s / 900, OpenLimits(max_book_age_s=BOOK_STALE_S)
    has_flow = BINANCE_FLOW not in recording.lacks
    return Rules(
        assets=recording.assets,
        window_s=window_s,
        session_id=SESSION_ID,
        starting_cash_usd=micros(STARTING_CASH_USD),
        sizing=Sizing(
            trade_size_usd=micros(size_usd),
            slippage_ticks=2,
            order_type="FAK",
            limits=limits,
        ),
        market=MarketRules(
            grid_ms=500,
            book_stale_s=BOOK_STALE_S * scale,
            flow_stale_s=5.0 if has_flow else None,
            sample_actions=sample,
            limits=limits,
        ),
        watchdog=WatchdogLimits(FeedLimits(BOOK_STALE_S * scale, 5.0 if has_flow else None)),
        paper_latency_ms=PAPER_LATENCY_MS,
        paper_book_age_ms=round(BOOK_STALE_S * 1000),
    )
