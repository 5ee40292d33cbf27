"""An evaluation as one value: what was judged under which conditions, each policy's result, and their differences."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cli.judging import Judged, Trip, trips_of
from cli.policies import BASELINE, file_of
from core.trading.performance import Interval, Performance, paired, performance
from models.baselines import NAMES, ORACLE

PRICE_BINS = 10


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under what the policies were judged; all of it belongs to the result."""

    source: str
    seeds: str | None
    windows: int = 0
    markets: int = 0
    assets: tuple[str, ...]
    window_s: int
    trade_size_usd: float
    fee_rate: float
    latency_ms: int
    taker_delay_ms: int
    fill_model: str
    entry: str
    exit: str
    actions: str


class Calibration(msgspec.Struct, frozen=True):
    """Trades entered at prices in `[low, high)`: how many, their mean price, and the share whose side won."""

    low: float
    high: float
    trades: int
    mean_price: float
    won_share: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One policy. `oracle_share` is of the oracle's net PnL, None where there is no oracle or it earned nothing."""

    policy: str
    file: str | None
    known_training: str
    performance: Performance
    oracle_share: float | None
    median_duration_s: float | None
    settled_trades: int
    forced_exits: int
    proposed: int
    orders: int
    orders_unfilled: int
    maker_fills: int
    fills: int
    unsettled: int
    hold_share: float
    calibration: tuple[Calibration, ...]


class Difference(msgspec.Struct, frozen=True):
    """How much more `policy` earned than `other`, net, on the same windows."""

    policy: str
    other: str
    net: Interval


class Evaluation(msgspec.Struct, frozen=True):
    """The whole result."""

    conditions: Conditions
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]


def evaluated(
    conditions: Conditions, judged: Sequence[Judged], policies: Sequence[str], trainings: Sequence[str]
) -> Evaluation:
    """Return the evaluation of what was judged; `trainings` says of each policy what it was trained on."""
    windows = [window for each in judged for window in each.windows]
    names = labels(policies)
    trips = [trips_of(judged, number) for number in range(len(policies))]
    rows = [
        msgspec.structs.replace(_row(judged, number, training, windows), policy=names[number], file=_file(policy))
        for number, (policy, training) in enumerate(zip(policies, trainings, strict=True))
    ]
    oracle = next((row.performance.net.total_usd for row in rows if row.policy == ORACLE), 0)
    if oracle > 0:
        rows = [msgspec.structs.replace(row, oracle_share=row.performance.net.total_usd / oracle) for row in rows]
    differences = [
        Difference(names[a], names[b], _lead(trips[a], trips[b], windows))
        for a in range(len(policies))
        for b in range(len(policies))
        if a != b and (trainings[a] != BASELINE or set(trainings) == {BASELINE})
    ]
    markets = sum(each.markets for each in judged)
    conditions = msgspec.structs.replace(conditions, windows=len(windows), markets=markets)
    return Evaluation(conditions, tuple(rows), tuple(differences))


def labels(policies: Sequence[str]) -> list[str]:
    """Return a short name for each policy: a file's own, with as many folders as it takes to tell it from others."""
    paths = [Path(policy).with_suffix("").parts for policy in policies]
    for length in range(1, max(map(len, paths), default=1) + 1):
        short = ["/".join(parts[-length:]) for parts in paths]
        if len(set(short)) == len(short):
            return short
    return list(policies)


def _file(policy: str) -> str | None:
    return None if policy in NAMES else str(file_of(policy))


def _lead(first: Sequence[Trip], second: Sequence[Trip], windows: Sequence[str]) -> Interval:
    return paired((t.trip for t in first), (t.trip for t in second), windows)


def _row(judged: Sequence[Judged], number: int, training: str, windows: Sequence[str]) -> Row:
    played = [each.played[number] for each in judged]
    trips = trips_of(judged, number)
    durations = sorted(trip.duration_s for trip in trips)
    actions = [sum(counts[action] for each in played for counts in each.actions) for action in range(3)]
    return Row(
        policy="",
        file=None,
        known_training=training,
        performance=performance([trip.trip for trip in trips], windows),
        oracle_share=None,
        median_duration_s=durations[len(durations) // 2] if durations else None,
        settled_trades=sum(trip.settled for trip in trips),
        forced_exits=sum(trip.forced for trip in trips),
        proposed=sum(each.proposed for each in played),
        orders=sum(each.orders for each in played),
        orders_unfilled=sum(each.orders_unfilled for each in played),
        maker_fills=sum(each.maker_fills for each in played),
        fills=sum(each.fills for each in played),
        unsettled=sum(each.unsettled for each in played),
        hold_share=actions[0] / max(1, sum(actions)),
        calibration=tuple(calibration(trips)),
    )


def calibration(trips: Sequence[Trip]) -> list[Calibration]:
    """Return, for each tenth of the entry price, how often the traded side won; unknown winners are left out."""
    bins: list[list[Trip]] = [[] for _ in range(PRICE_BINS)]
    for trip in trips:
        if trip.won is not None:
            bins[min(PRICE_BINS - 1, int(trip.entry_price * PRICE_BINS))].append(trip)
    return [
        Calibration(
            number / PRICE_BINS,
            (number + 1) / PRICE_BINS,
            len(kept),
            sum(trip.entry_price for trip in kept) / len(kept),
            sum(bool(trip.won) for trip in kept) / len(kept),
        )
        for number, kept in enumerate(bins)
        if kept
    ]
